"""Reads payments from Postgres; only the kernel's appends write them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from cinema.domain.money import Money
from cinema.features.payments.shapes import PaymentOfBooking
from cinema.storage.database.reads import Reads

_BY_ID: Final = """
select p.id, p.booking_id, p.method, p.status, p.amount_minor, p.refunded_minor, p.currency,
    p.created_at, coalesce((
        select sum(r.amount_minor) from refunds r
        where r.booking_id = p.booking_id and r.payment_id = p.id
            and r.status <> 'succeeded'
    ), 0)::bigint as waiting_minor,
    case when b.status = 'pending' and p.status in ('created', 'pending')
        then b.pay_until end as pay_until
from payments p
join bookings b on b.id = p.booking_id
where p.id = $1 and (
    $2::uuid is null or b.user_id = $2
    or exists (select from guests g where g.id = b.user_id and g.claimed_by = $2)
    or exists (select from showtimes t where t.id = b.showtime_id and t.cinema_id = any($3))
)"""


class PaymentsRepository:
    """Reads payments."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def find(
        self, payment_id: UUID, user_id: UUID | None, cinema_ids: Iterable[UUID] = ()
    ) -> PaymentOfBooking | None:
        """A payment; if a user is given, only of that user's bookings, or at one of the cinemas."""
        row = await self._reads.fetchrow(_BY_ID, payment_id, user_id, list(cinema_ids))
        if row is None:
            return None
        return PaymentOfBooking(
            id=row["id"],
            booking_id=row["booking_id"],
            method=row["method"],
            status=row["status"],
            amount=Money(row["amount_minor"], row["currency"]),
            refunded=Money(row["refunded_minor"], row["currency"]),
            refund_pending=Money(row["waiting_minor"], row["currency"]),
            created_at=row["created_at"],
            pay_until=row["pay_until"],
        )
