"""Routes of the ledger."""

from __future__ import annotations

from typing import Final

from cinema.features.accounts.authority import COUNTER_ROLES
from cinema.features.ledger import examples
from cinema.features.ledger.service import LedgerService
from cinema.features.ledger.shapes import LedgerTransaction
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Payments"


@Operation(
    method="GET",
    path="/api/v1/bookings/{booking_id}/ledger",
    operation_id="listLedgerOfBooking",
    summary="List what was written down about the money of a booking",
    description="For staff of the cinema. Each transaction sums to 0; the oldest is first.",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    response=list[LedgerTransaction],
    response_example=[examples.TRANSACTION],
    errors=("RETRY",),
)
async def list_ledger(ledger: LedgerService, context: RequestContext) -> Reply:
    """The transactions of a booking."""
    (booking_id,) = context.ids
    return success(await ledger.of_booking(context.principal, booking_id))


ROUTES: Final = (list_ledger,)
