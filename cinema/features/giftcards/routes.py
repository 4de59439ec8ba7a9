"""Routes of gift cards."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.domain.principal import ADMIN, MANAGER
from cinema.features.accounts.authority import COUNTER_ROLES
from cinema.features.accounts.front_door import FrontDoor
from cinema.features.giftcards import examples
from cinema.features.giftcards.service import GiftCardsService
from cinema.features.giftcards.shapes import (
    BalanceInput,
    CardBalance,
    CardEntry,
    CardQuery,
    CardSale,
    CardSaleInput,
    DisableInput,
    GiftCard,
)
from cinema.http.context import RequestContext
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Gift cards"
MANAGERS: Final = frozenset({MANAGER, ADMIN})


class CardParts(msgspec.Struct, frozen=True):
    """What the handlers of this module work with."""

    cards: GiftCardsService
    door: FrontDoor


@Operation(
    method="POST",
    path="/api/v1/gift-cards",
    operation_id="sellGiftCards",
    summary="Sell gift cards",
    description="Only this answer shows the codes: they are not kept. `counter` puts the money "
    "into your open cash session. Managers sell up to 500 cards at once, and give cards away "
    "(`free`).",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    request=CardSaleInput,
    request_example=examples.SALE_INPUT,
    response=CardSale,
    response_example=examples.SALE,
    status=201,
    errors=(
        "UNKNOWN_REFERENCE",
        "UNKNOWN_PAYMENT_METHOD",
        "CASH_SESSION_REQUIRED",
        "RETRY",
        "OUTCOME_UNKNOWN",
    ),
    idempotent=True,
)
async def sell_cards(parts: CardParts, context: RequestContext) -> Reply:
    """Sell cards."""
    client = parts.door.client(context)
    sale = await parts.cards.sell(context.principal, context.body, client, context.request_key)
    return success(sale, status=201)


@Operation(
    method="POST",
    path="/api/v1/gift-cards/balance",
    operation_id="getGiftCardBalance",
    summary="Look up what is on a gift card",
    description="For whoever has its code. Ten times a minute, counted by account and by address.",
    tag=TAG,
    auth="bearer",
    guests=True,
    request=BalanceInput,
    request_example=examples.BALANCE_INPUT,
    response=CardBalance,
    response_example=examples.BALANCE,
    errors=("UNKNOWN_GIFT_CARD", "RATE_LIMITED", "RETRY"),
)
async def get_balance(parts: CardParts, context: RequestContext) -> Reply:
    """The balance of a card."""
    address = parts.door.client(context).address
    return success(await parts.cards.balance(context.principal, context.body.code, address))


@Operation(
    method="GET",
    path="/api/v1/gift-cards",
    operation_id="listGiftCards",
    summary="List gift cards that a cinema has sold, oldest first",
    description="With `last_four`, those whose codes end so.",
    tag=TAG,
    auth="bearer",
    roles=MANAGERS,
    query=CardQuery,
    response=list[GiftCard],
    response_example=[examples.CARD],
    meta=PageMeta,
    errors=("RETRY",),
)
async def list_cards(parts: CardParts, context: RequestContext) -> Reply:
    """A page of cards."""
    return listed(await parts.cards.cards(context.principal, context.query))


@Operation(
    method="GET",
    path="/api/v1/gift-cards/{gift_card_id}",
    operation_id="getGiftCard",
    summary="Get a gift card",
    tag=TAG,
    auth="bearer",
    roles=MANAGERS,
    response=GiftCard,
    response_example=examples.CARD,
    errors=("RETRY",),
)
async def get_card(parts: CardParts, context: RequestContext) -> Reply:
    """One card."""
    (card_id,) = context.ids
    return success(await parts.cards.card(context.principal, card_id))


@Operation(
    method="GET",
    path="/api/v1/gift-cards/{gift_card_id}/entries",
    operation_id="listGiftCardEntries",
    summary="List what has changed the balance of a gift card, oldest first",
    tag=TAG,
    auth="bearer",
    roles=MANAGERS,
    response=list[CardEntry],
    response_example=[examples.ENTRY],
    errors=("RETRY",),
)
async def list_entries(parts: CardParts, context: RequestContext) -> Reply:
    """The entries of a card."""
    (card_id,) = context.ids
    return success(await parts.cards.entries(context.principal, card_id))


@Operation(
    method="POST",
    path="/api/v1/gift-cards/{gift_card_id}/disable",
    operation_id="disableGiftCard",
    summary="Take a gift card out of use",
    description="For good. Refunds to it fail, and wait for staff, until it is replaced. A card "
    "that is out of use already is answered as it is.",
    tag=TAG,
    auth="bearer",
    roles=MANAGERS,
    request=DisableInput,
    request_example={"reason": "Lost."},
    response=GiftCard,
    response_example=examples.DISABLED,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
)
async def disable_card(parts: CardParts, context: RequestContext) -> Reply:
    """Take a card out of use."""
    (card_id,) = context.ids
    client = parts.door.client(context)
    reason = context.body.reason
    return success(await parts.cards.disable(context.principal, card_id, reason, client))


@Operation(
    method="POST",
    path="/api/v1/gift-cards/{gift_card_id}/replace",
    operation_id="replaceGiftCard",
    summary="Replace a gift card that was lost",
    description="The card is taken out of use, and a new one gets what is on it, and what goes "
    "back to it later. Only this answer shows the new code.",
    tag=TAG,
    auth="bearer",
    roles=MANAGERS,
    request=DisableInput,
    request_example={"reason": "Lost."},
    response=CardSale,
    response_example=examples.SALE,
    status=201,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
    idempotent=True,
)
async def replace_card(parts: CardParts, context: RequestContext) -> Reply:
    """Replace a card."""
    (card_id,) = context.ids
    client = parts.door.client(context)
    reason, key = context.body.reason, context.request_key
    sale = await parts.cards.replace(context.principal, card_id, reason, client, key)
    return success(sale, status=201)


ROUTES: Final = (
    sell_cards,
    get_balance,
    list_cards,
    get_card,
    list_entries,
    disable_card,
    replace_card,
)
