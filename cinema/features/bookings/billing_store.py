"""To whom invoices of bookings are made out, in Postgres, until they are issued."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from cinema.features.bookings.shapes import Billing
from cinema.storage.database.locks import ISSUING_LOCK
from cinema.storage.database.transactions import Pool, changing, transaction

KEPT: Final = timedelta(hours=1)
"""What was named for a booking that is not made by then was named for none."""

_LOCK: Final = "select pg_advisory_xact_lock_shared($1)"
_PUT: Final = """
insert into booking_billing (booking_id, name, address, tax_id, changed_at)
select $1, $2, $3, $4, $5
where not exists (select from invoices where booking_id = $1 and kind = 'invoice')
on conflict (booking_id) do update set name = excluded.name, address = excluded.address,
    tax_id = excluded.tax_id, changed_at = excluded.changed_at
returning true"""
# Nodes that do this at the same time take different rows.
_FORGET: Final = """
with gone as (
    delete from booking_billing where booking_id in (
        select k.booking_id from booking_billing k
        where k.changed_at < $1 and not exists (
            select from bookings b
            where b.id = k.booking_id and b.status in ('pending', 'confirmed')
        )
        order by k.changed_at limit $2
        for update skip locked
    )
    returning 1
)
select count(*) from gone"""


class BillingRepository:
    """Keeps billing addresses."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def put(self, booking_id: UUID, billing: Billing, now: datetime) -> bool:
        """Name who the invoice is for; False if it is issued. Refuses RETRY, OUTCOME_UNKNOWN."""
        values = (booking_id, billing.name, billing.address, billing.tax_id, now)
        async with transaction(self._pool) as running:
            # The statement behind it sees what was issued until then.
            await running.execute(_LOCK, ISSUING_LOCK)
            return bool(await running.fetchval(_PUT, *values))

    async def forget(self, now: datetime, limit: int) -> int:
        """Delete a bounded number of those of bookings that ended or were not made; how many."""
        async with changing(self._pool) as writing:
            gone: int = await writing.fetchval(_FORGET, now - KEPT, limit)
        return gone
