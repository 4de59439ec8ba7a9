"""To whom the invoice of a booking is made out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from cinema.domain.principal import Principal
from cinema.domain.rejections import refuse
from cinema.features.accounts.authority import serves
from cinema.features.bookings.billing_store import BillingRepository
from cinema.features.bookings.shapes import Billing
from cinema.features.bookings.store import BookingsRepository
from cinema.features.refusals import found


class BillingService:
    """Use cases of billing addresses; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        bookings: BookingsRepository,
        billing: BillingRepository,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._bookings = bookings
        self._billing = billing
        self._now = now

    async def name(self, principal: Principal, booking_id: UUID, billing: Billing) -> Billing:
        """Name who the invoice of a booking is for, until it is issued; its staff may too.

        Refuses NOT_FOUND, BOOKING_ENDED, INVOICE_ISSUED, RETRY, OUTCOME_UNKNOWN.
        """
        sale = found(await self._bookings.sale_of(booking_id))
        is_theirs = UUID(bytes=principal.user_id) in {sale.user_id, sale.claimed_by}
        if not is_theirs and not serves(principal, sale.cinema_id):
            raise refuse("NOT_FOUND")
        if sale.status not in {"pending", "confirmed"}:
            raise refuse("BOOKING_ENDED")
        if not await self._billing.put(booking_id, billing, self._now()):
            raise refuse("INVOICE_ISSUED")
        return billing
