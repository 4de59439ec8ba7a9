"""The route of a booking's billing address."""

from __future__ import annotations

from typing import Final

from cinema.features.bookings import examples
from cinema.features.bookings.billing_service import BillingService
from cinema.features.bookings.shapes import Billing
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Bookings"


@Operation(
    method="PUT",
    path="/api/v1/bookings/{booking_id}/billing",
    operation_id="putBilling",
    summary="Name who the invoice of a booking is for",
    description="Possible until the invoice is issued, seconds after the booking is confirmed; "
    "`POST /bookings` takes the same as `billing`. Corrections of the invoice name the same.",
    tag=TAG,
    auth="bearer",
    guests=True,
    request=Billing,
    request_example=examples.BILLING,
    response=Billing,
    response_example=examples.BILLING,
    errors=("BOOKING_ENDED", "INVOICE_ISSUED", "RETRY", "OUTCOME_UNKNOWN"),
)
async def put_billing(billing: BillingService, context: RequestContext) -> Reply:
    """Who the invoice is for."""
    (booking_id,) = context.ids
    return success(await billing.name(context.principal, booking_id, context.body))


ROUTES: Final = (put_billing,)
