"""Routes of gift cards that customers buy by themselves."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.features.accounts.front_door import FrontDoor
from cinema.features.giftcards import examples
from cinema.features.giftcards.order_service import CardOrdersService
from cinema.features.giftcards.shapes import CardOrder, CardOrderInput, CardOrderQuery
from cinema.http.context import RequestContext
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Gift cards"


class CardOrderParts(msgspec.Struct, frozen=True):
    """What the handlers of this module work with."""

    orders: CardOrdersService
    door: FrontDoor


@Operation(
    method="POST",
    path="/api/v1/gift-cards/orders",
    operation_id="orderGiftCard",
    summary="Buy a gift card and have it sent",
    description="`stripe` answers with `payment.client_secret`; the card is made as soon as the "
    "money is here, once, and sent by mail at once or on `deliver_on`. Its buyer sees the code in "
    "`card.code`. No tax is due: a gift card is a voucher for several purposes, and what it pays "
    "is taxed. An order that nobody pays is given up after an hour.",
    tag=TAG,
    auth="bearer",
    request=CardOrderInput,
    request_example=examples.ORDER_INPUT,
    response=CardOrder,
    response_example=examples.ORDER,
    status=201,
    errors=(
        "UNKNOWN_REFERENCE",
        "UNKNOWN_PAYMENT_METHOD",
        "PAYMENT_FAILED",
        "RATE_LIMITED",
        "RETRY",
        "OUTCOME_UNKNOWN",
    ),
    idempotent=True,
)
async def order_card(parts: CardOrderParts, context: RequestContext) -> Reply:
    """Order a card."""
    client = parts.door.client(context)
    order = await parts.orders.place(context.principal, context.body, client, context.request_key)
    return success(order, status=201)


@Operation(
    method="GET",
    path="/api/v1/gift-cards/orders",
    operation_id="listGiftCardOrders",
    summary="List orders of gift cards, newest first",
    description="Your own; with `cinema_id`, for managers, those at a cinema. Refunds that failed "
    "are those with the `status` `refund_failed`.",
    tag=TAG,
    auth="bearer",
    query=CardOrderQuery,
    response=list[CardOrder],
    response_example=[examples.ORDER],
    meta=PageMeta,
    errors=("FORBIDDEN", "RETRY"),
)
async def list_orders(parts: CardOrderParts, context: RequestContext) -> Reply:
    """A page of orders."""
    return listed(await parts.orders.orders(context.principal, context.query))


@Operation(
    method="GET",
    path="/api/v1/gift-cards/orders/{order_id}",
    operation_id="getGiftCardOrder",
    summary="Get an order of a gift card",
    description="For its buyer, and for managers of the cinema, who do not see the code.",
    tag=TAG,
    auth="bearer",
    response=CardOrder,
    response_example=examples.PAID_ORDER,
    errors=("RETRY",),
)
async def get_order(parts: CardOrderParts, context: RequestContext) -> Reply:
    """One order."""
    (order_id,) = context.ids
    return success(await parts.orders.order(context.principal, order_id))


@Operation(
    method="POST",
    path="/api/v1/gift-cards/orders/{order_id}/pay",
    operation_id="payGiftCardOrder",
    summary="Go on with the payment of an order",
    description="Answers with the `payment.client_secret` again, or with the card if the money is "
    "here. One that has ended is answered as it is.",
    tag=TAG,
    auth="bearer",
    response=CardOrder,
    response_example=examples.ORDER,
    errors=("UNKNOWN_PAYMENT_METHOD", "PAYMENT_FAILED", "RETRY", "OUTCOME_UNKNOWN"),
)
async def pay_order(parts: CardOrderParts, context: RequestContext) -> Reply:
    """Go on with a payment."""
    (order_id,) = context.ids
    return success(await parts.orders.pay(context.principal, order_id))


@Operation(
    method="DELETE",
    path="/api/v1/gift-cards/orders/{order_id}",
    operation_id="returnGiftCardOrder",
    summary="Give a gift card back that was not used, or give up an order",
    description="All of its money goes back the way it came. Buyers can do so for 14 days, "
    "managers of the cinema as long as nothing of the card is used; they have a refund that "
    "failed asked for again by the same call. One that was given back is answered as it is.",
    tag=TAG,
    auth="bearer",
    response=CardOrder,
    response_example=examples.RETURNED_ORDER,
    errors=(
        "UNKNOWN_PAYMENT_METHOD",
        "PAYMENT_IN_PROGRESS",
        "GIFT_CARD_NOT_RETURNABLE",
        "RETRY",
        "OUTCOME_UNKNOWN",
    ),
)
async def return_order(parts: CardOrderParts, context: RequestContext) -> Reply:
    """Give a card back."""
    (order_id,) = context.ids
    client = parts.door.client(context)
    return success(await parts.orders.give_back(context.principal, order_id, client))


ROUTES: Final = (order_card, list_orders, get_order, pay_order, return_order)
