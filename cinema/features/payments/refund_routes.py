"""Routes of refunds."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.features.accounts.authority import COUNTER_ROLES
from cinema.features.accounts.front_door import FrontDoor
from cinema.features.bookings import examples as booking_examples
from cinema.features.bookings.order_service import OrdersService
from cinema.features.ledger.shapes import Refund
from cinema.features.payments import examples
from cinema.features.payments.refund_service import RefundsService
from cinema.features.payments.shapes import (
    GivenBack,
    PayOutInput,
    RefundInput,
    RefundQuery,
    RefundQuote,
)
from cinema.features.seats.hold_routes import COMMAND_ERRORS, NAMED_SEATS_ERRORS
from cinema.features.seats.shapes import PartQuery
from cinema.http.connections.proxies import TrustedProxies
from cinema.http.context import RequestContext
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation
from cinema.http.steps import LINK_TOKEN

TAG: Final = "Payments"


class RefundParts(msgspec.Struct, frozen=True):
    """What the routes of refunds work with."""

    refunds: RefundsService
    door: FrontDoor
    orders: OrdersService
    proxies: TrustedProxies


@Operation(
    method="GET",
    path="/api/v1/bookings/{booking_id}/refund-quote",
    operation_id="quoteRefund",
    summary="Ask what would go back for a booking, or part of it",
    description="By the refund policy that the cinema had when the seats were booked, and by the "
    "present time.",
    tag=TAG,
    auth="bearer",
    guests=True,
    query=PartQuery,
    response=RefundQuote,
    response_example=examples.REFUND_QUOTE,
    errors=("DUPLICATE_SEAT", "BOOKING_ENDED", "SEAT_NOT_INCLUDED", "RETRY"),
)
async def quote_refund(parts: RefundParts, context: RequestContext) -> Reply:
    """What would go back."""
    (booking_id,) = context.ids
    labels = context.query.labels()
    return success(await parts.refunds.quote(context.principal, booking_id, labels))


@Operation(
    method="GET",
    path="/api/v1/orders/{booking_id}/refund-quote",
    operation_id="quoteRefundOfOrder",
    summary="Ask what would go back for a guest's booking, or part of it, with its link",
    description="As `GET /bookings/{booking_id}/refund-quote`, with the token of the link in the "
    "header `Link-Token`, as for `GET /orders/{booking_id}`.",
    tag=TAG,
    auth="link",
    query=PartQuery,
    response=RefundQuote,
    response_example=examples.REFUND_QUOTE,
    errors=(
        *("DUPLICATE_SEAT", "BOOKING_ENDED", "SEAT_NOT_INCLUDED"),
        *("INVALID_LINK", "RATE_LIMITED", "RETRY"),
    ),
)
async def quote_refund_of_order(parts: RefundParts, context: RequestContext) -> Reply:
    """What would go back for the booking of a link."""
    (booking_id,) = context.ids
    token = context.request.headers[LINK_TOKEN]
    await parts.orders.check(booking_id, token, parts.proxies.client_address(context.request))
    return success(await parts.refunds.quote_of_order(booking_id, context.query.labels()))


@Operation(
    method="POST",
    path="/api/v1/payments/refund",
    operation_id="refundPayment",
    summary="Give seats or money of a booking back",
    description="With `seats`, or without `amount`, seats are given back: staff pay back what "
    "the refund policy says, managers all of their price; `amount` says otherwise. With `amount` "
    "alone the seats stay. More than the policy says is for managers. Never more goes back than "
    "was paid. `to` `gift_card` puts the money on a new card, whose code only this answer shows.",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    request=RefundInput,
    request_example=examples.REFUND_INPUT,
    response=GivenBack,
    response_example=booking_examples.CANCELLED,
    errors=(
        *COMMAND_ERRORS,
        *NAMED_SEATS_ERRORS,
        "NOT_FOUND",
        "FORBIDDEN",
        "BOOKING_ENDED",
        "SEAT_NOT_INCLUDED",
        "PAYMENT_DISPUTED",
        "REFUND_TOO_HIGH",
        "OUTCOME_UNKNOWN",
    ),
    idempotent=True,
)
async def refund_payment(parts: RefundParts, context: RequestContext) -> Reply:
    """Give something back."""
    client = parts.door.client(context)
    return success(
        await parts.refunds.refund(context.principal, context.body, client, context.request_key)
    )


@Operation(
    method="GET",
    path="/api/v1/payments/refunds",
    operation_id="listRefunds",
    summary="List refunds of your cinemas, oldest first",
    description="Without a `status`, those that have failed: somebody has to look at them.",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    query=RefundQuery,
    response=list[Refund],
    response_example=[examples.REFUND],
    meta=PageMeta,
    errors=("RETRY",),
)
async def list_refunds(parts: RefundParts, context: RequestContext) -> Reply:
    """A page of refunds."""
    return listed(await parts.refunds.refunds(context.principal, context.query))


@Operation(
    method="POST",
    path="/api/v1/payments/refunds/{refund_id}/retry",
    operation_id="retryRefund",
    summary="Ask the provider for a failed refund again",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    response=Refund,
    response_example=examples.REFUND,
    errors=("REFUND_NOT_FAILED", "RETRY", "OUTCOME_UNKNOWN"),
)
async def retry_refund(parts: RefundParts, context: RequestContext) -> Reply:
    """Ask again."""
    (refund_id,) = context.ids
    client = parts.door.client(context)
    return success(await parts.refunds.try_again(context.principal, refund_id, client))


@Operation(
    method="POST",
    path="/api/v1/payments/refunds/{refund_id}/pay-out",
    operation_id="payOutRefund",
    summary="Hand out a refund at the counter",
    description="For refunds that are `at_counter`: what was paid there goes back there. It comes "
    "from the open cash session of whoever hands it out.",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    request=PayOutInput,
    request_example=examples.PAY_OUT_INPUT,
    response=Refund,
    response_example=examples.PAID_OUT,
    errors=(
        "CASH_SESSION_REQUIRED",
        "NOT_ENOUGH_CASH",
        "REFUND_NOT_AT_COUNTER",
        "RETRY",
        "OUTCOME_UNKNOWN",
    ),
    body_optional=True,
    idempotent=True,
)
async def pay_out_refund(parts: RefundParts, context: RequestContext) -> Reply:
    """Hand money out."""
    (refund_id,) = context.ids
    client = parts.door.client(context)
    refund = await parts.refunds.pay_out(
        context.principal, refund_id, context.body, client, context.request_key
    )
    return success(refund)


ROUTES: Final = (
    quote_refund,
    quote_refund_of_order,
    refund_payment,
    list_refunds,
    retry_refund,
    pay_out_refund,
)
