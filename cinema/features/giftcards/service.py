"""Gift cards: sold, looked up, chosen to pay bookings, disabled."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.money import Money
from cinema.domain.paging import BY_TEXT, Page, after, page
from cinema.domain.principal import STAFF, Principal
from cinema.domain.rejections import refuse
from cinema.features.accounts.authority import require_own_cinema, serves
from cinema.features.accounts.shapes import Client
from cinema.features.accounts.throttles import Throttles
from cinema.features.accounts.user_store import Act
from cinema.features.giftcards.rules import (
    GROUP_CHARS,
    Card,
    NewCode,
    code_digest,
    code_of,
    new_code,
    seed_of_deposit,
    seed_of_order,
    seed_of_refund,
    shown_code,
    tidy_code,
)
from cinema.features.giftcards.shapes import (
    CardBalance,
    CardEntry,
    CardQuery,
    CardSale,
    CardSaleInput,
    GiftCard,
    NewCard,
)
from cinema.features.giftcards.store import FoundCard, GiftCardsRepository
from cinema.features.giftcards.use_store import CardUsesRepository
from cinema.features.ledger.refund_store import Goodwill
from cinema.features.refusals import found, granted

SEED_BYTES: Final = 32

UNUSABLE: Final = {
    "empty": "Nothing is left on this gift card: pay another way.",
    "expired": "This gift card has expired: pay another way, or ask at the counter.",
    "disabled": "This gift card cannot be used any more: pay another way, or ask at the counter.",
}


class GiftCardsService:
    """Use cases of gift cards; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        cards: GiftCardsRepository,
        uses: CardUsesRepository,
        throttles: Throttles,
        *,
        demo: bool,
        new_id: Callable[[], UUID],
        now: Callable[[], datetime],
    ) -> None:
        self._cards = cards
        self._uses = uses
        self._throttles = throttles
        self._demo = demo
        self._new_id = new_id
        self._now = now

    async def sell(
        self, by: Principal, request: CardSaleInput, client: Client, key: IdempotencyKey | None
    ) -> CardSale:
        """Sell cards; their codes are shown by this answer, and by repetitions of its request.

        Refuses FORBIDDEN, VALIDATION_ERROR, UNKNOWN_REFERENCE, UNKNOWN_PAYMENT_METHOD,
        CASH_SESSION_REQUIRED.
        """
        self._check_sale(by, request)
        sale = await self._cards.sell(
            self._new_id(),
            [self._new_id() for _ in range(request.quantity)],
            request,
            digest_key=await self._digest_key(),
            seed=secrets.token_bytes(SEED_BYTES),
            act=self._act(by, client),
            key=key,
        )
        return _shown(sale)

    def _check_sale(self, by: Principal, request: CardSaleInput) -> None:
        if not serves(by, request.cinema_id):
            raise refuse("FORBIDDEN", "You do not work at this cinema.")
        method, payment = request.payment.method, request.payment
        if by.role == STAFF and request.quantity > 1:
            raise refuse("FORBIDDEN", "Only managers sell many gift cards at once.")
        if by.role == STAFF and method == "free":
            raise refuse("FORBIDDEN", "Only managers give gift cards away.")
        if method == "demo" and not self._demo:
            raise refuse("UNKNOWN_PAYMENT_METHOD", method=method)
        if method != "counter" and (payment.tender or payment.reference):
            text = "Only payments with the method `counter` have this."
            raise refuse("VALIDATION_ERROR", text, path="$.payment")

    async def balance(self, by: Principal, code: str, address: str) -> CardBalance:
        """What is on a card, for whoever has its code. Refuses RATE_LIMITED, UNKNOWN_GIFT_CARD."""
        await self._throttles.count_card_look(by.user_id, address)
        known = await self._find(code)
        card = known.card
        return CardBalance(
            last_four=known.last_four,
            balance=Money(card.balance_minor, card.currency),
            status=card.standing_at(self._now()),
            expires_at=card.expires_at,
        )

    async def usable(self, code: str, customer: bytes, booking_id: UUID | None = None) -> FoundCard:
        """The card of a code, for somebody who wants to pay with it.

        Also one that pays this booking already, and may be empty for that reason. Refuses
        RATE_LIMITED (only wrong codes count), UNKNOWN_GIFT_CARD, GIFT_CARD_UNUSABLE.
        """
        async with self._throttles.card_guess(customer):
            known = await self._find(code)
        standing = known.card.standing_at(self._now())
        if standing == "active":
            return known
        if booking_id is not None and await self._uses.pays(known.id, booking_id):
            return known
        raise refuse("GIFT_CARD_UNUSABLE", UNUSABLE[standing], reason=standing)

    async def choose(self, payment_id: UUID, card_id: UUID) -> None:
        """Note which card an attempt to pay is by. Refuses PAYMENT_IN_PROGRESS, RETRY."""
        if not await self._uses.choose(payment_id, card_id, self._now()):
            message = "Another gift card pays a part of this booking: pay the rest another way."
            raise refuse("PAYMENT_IN_PROGRESS", message)

    async def cards(self, by: Principal, query: CardQuery) -> Page[GiftCard]:
        """Cards that a cinema has sold, the oldest first. Refuses FORBIDDEN."""
        require_own_cinema(by, query.cinema_id)
        position = granted(after(query.cursor, BY_TEXT))
        rows = await self._cards.of_cinema(
            query.cinema_id,
            query.last_four,
            None if position is None else position[1],
            query.limit + 1,
            self._now(),
        )
        return page(rows, query.limit, lambda card: ("", card.id))

    async def card(self, by: Principal, card_id: UUID) -> GiftCard:
        """One card. Refuses NOT_FOUND, also for those of other cinemas."""
        card = found(await self._cards.find(card_id, self._now()))
        if not serves(by, card.cinema_id):
            raise refuse("NOT_FOUND")
        return card

    async def entries(self, by: Principal, card_id: UUID) -> list[CardEntry]:
        """What has changed the balance of a card. Refuses NOT_FOUND."""
        await self.card(by, card_id)
        return await self._cards.entries(card_id)

    async def disable(self, by: Principal, card_id: UUID, reason: str, client: Client) -> GiftCard:
        """Take a card out of use; once that is done it is answered as it is. Refuses NOT_FOUND."""
        await self.card(by, card_id)
        disabled = await self._cards.disable(card_id, reason, self._act(by, client))
        return disabled or await self.card(by, card_id)

    async def replace(
        self,
        by: Principal,
        card_id: UUID,
        reason: str,
        client: Client,
        key: IdempotencyKey | None,
    ) -> CardSale:
        """A new card in the place of one that was lost. Refuses NOT_FOUND."""
        await self.card(by, card_id)
        sale = await self._cards.replace(
            card_id,
            self._new_id(),
            self._new_id(),
            reason,
            digest_key=await self._digest_key(),
            seed=secrets.token_bytes(SEED_BYTES),
            act=self._act(by, client),
            key=key,
        )
        return _shown(sale)

    async def give(self, goodwill: Goodwill) -> NewCard | None:
        """A new card with money of a booking; None if not so much is left. Refuses RETRY."""
        code, card_id = await self._code_of_refund(goodwill.id), self._new_id()
        digest = code_digest(await self._digest_key(), code)
        if not await self._uses.give(goodwill, card_id, digest, code[-GROUP_CHARS:]):
            return None
        return NewCard(card_id, shown_code(code), code[-GROUP_CHARS:])

    async def of_refund(self, refund_id: UUID) -> NewCard | None:
        """The card that a refund has made, for a repetition of its request."""
        card_id = await self._uses.of_refund(refund_id)
        if card_id is None:
            return None
        code = await self._code_of_refund(refund_id)
        return NewCard(card_id, shown_code(code), code[-GROUP_CHARS:])

    async def code_of_order(self, order_id: UUID) -> NewCode:
        """The code of the card that an order has made, or will make; the same each time."""
        key = await self._digest_key()
        return new_code(key, seed_of_order(key, order_id))

    async def code_of_deposit(self, card_id: UUID) -> NewCode:
        """The code of the card that has a deposit; the same each time."""
        key = await self._digest_key()
        return new_code(key, seed_of_deposit(key, card_id))

    async def _code_of_refund(self, refund_id: UUID) -> str:
        return code_of(seed_of_refund(await self._digest_key(), refund_id), 0)

    async def _find(self, code: str) -> FoundCard:
        tidy = tidy_code(code)
        known = None
        if tidy is not None:
            known = await self._cards.by_code(code_digest(await self._digest_key(), tidy))
        if known is None:
            raise refuse("UNKNOWN_GIFT_CARD")
        return known

    async def _digest_key(self) -> bytes:
        return await self._cards.key(self._new_id(), secrets.token_bytes(SEED_BYTES))

    def _act(self, by: Principal, client: Client) -> Act:
        return Act(
            by=UUID(bytes=by.user_id), at=self._now(), client=client, entry_id=self._new_id()
        )


def check_currency(card: Card, currency: str) -> None:
    """Refuses GIFT_CARD_UNUSABLE for a card in another currency than what is to be paid."""
    if card.currency != currency:
        message = f"This gift card is in {card.currency}: what you buy costs {currency}."
        raise refuse("GIFT_CARD_UNUSABLE", message, reason="currency")


def _shown(sale: CardSale) -> CardSale:
    cards = [NewCard(card.id, shown_code(card.code), card.last_four) for card in sale.cards]
    return CardSale(
        id=sale.id,
        cinema_id=sale.cinema_id,
        amount=sale.amount,
        total=sale.total,
        expires_at=sale.expires_at,
        cards=cards,
    )
