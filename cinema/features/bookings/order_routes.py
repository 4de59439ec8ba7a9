"""Routes of guests' bookings, with the link of a mail and without signing in."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.features.bookings import examples
from cinema.features.bookings.order_service import OrdersService
from cinema.features.bookings.shapes import Booking
from cinema.features.seats.hold_routes import COMMAND_ERRORS, NAMED_SEATS_ERRORS
from cinema.features.seats.shapes import PartQuery
from cinema.http.connections.proxies import TrustedProxies
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation
from cinema.http.steps import LINK_TOKEN

TAG: Final = "Orders"

_LINK: Final = (
    "The link in the mail is `…/orders/{booking_id}#token=…`. Send the part after `#token=` in the "
    "header `Link-Token`, so that no log of addresses contains it."
)


class OrderParts(msgspec.Struct, frozen=True):
    """What the handlers of this module work with."""

    orders: OrdersService
    proxies: TrustedProxies


@Operation(
    method="GET",
    path="/api/v1/orders/{booking_id}",
    operation_id="getOrder",
    summary="Get a guest's booking with its link",
    description=f"{_LINK} It is valid until 30 days after the showtime.",
    tag=TAG,
    auth="link",
    response=Booking,
    response_example=examples.BOOKING,
    errors=("INVALID_LINK", "RATE_LIMITED", "RETRY"),
)
async def get_order(parts: OrderParts, context: RequestContext) -> Reply:
    """The booking of a link."""
    (booking_id,) = context.ids
    address = parts.proxies.client_address(context.request)
    token = context.request.headers[LINK_TOKEN]
    return success(await parts.orders.order(booking_id, token, address))


@Operation(
    method="DELETE",
    path="/api/v1/orders/{booking_id}",
    operation_id="cancelOrder",
    summary="Cancel a guest's booking, or part of it, with its link",
    description=f"Possible before the start. {_LINK}",
    tag=TAG,
    auth="link",
    query=PartQuery,
    response=Booking,
    response_example=examples.CANCELLED,
    errors=(
        *COMMAND_ERRORS,
        *NAMED_SEATS_ERRORS,
        *("INVALID_LINK", "RATE_LIMITED", "BOOKING_ENDED", "SHOWTIME_STARTED"),
        *("PAYMENT_DISPUTED", "ALREADY_USED", "SEAT_NOT_INCLUDED"),
    ),
    idempotent=True,
)
async def cancel_order(parts: OrderParts, context: RequestContext) -> Reply:
    """Cancel seats of a booking; without `seats`, all of them."""
    (booking_id,) = context.ids
    address = parts.proxies.client_address(context.request)
    token = context.request.headers[LINK_TOKEN]
    labels = context.query.labels()
    return success(
        await parts.orders.cancel(booking_id, token, address, labels, context.request_key)
    )


ROUTES: Final = (get_order, cancel_order)
