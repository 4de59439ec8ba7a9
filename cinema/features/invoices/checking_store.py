"""Looks for numbers without a document, and for bookings without an invoice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.ids import new_id
from cinema.domain.times import to_us
from cinema.storage.database.transactions import Pool, changing, connection

EVERY: Final = timedelta(hours=24)

NEWEST: Final = timedelta(minutes=10)
"""Bookings that are younger may still get their invoice in the usual way."""

OLDEST: Final = timedelta(days=40)
"""How far back bookings are looked at: long enough for an update that was in the way, and for a
check that did not run for weeks."""

PAGE: Final = 500
"""Bookings looked at in one statement."""

NAMED: Final = 20
"""So many gaps of a counter are named; more are counted."""

_COUNTERS: Final = """
select cinema_id, kind, year from invoice_counters
union
select cinema_id, kind, year from invoices
order by 1, 2, 3"""
# One statement sees the counter and its documents as they were at one moment.
_GIVEN: Final = """
select last, count(i.id) filter (where i.seq <= last) as given,
    count(i.id) filter (where i.seq > last) as beyond
from (
    select coalesce((
        select last from invoice_counters where cinema_id = $1 and kind = $2 and year = $3
    ), 0) as last
) counter
left join invoices i on i.cinema_id = $1 and i.kind = $2 and i.year = $3
group by last"""
_MISSING: Final = """
select place from generate_series(1, $4::bigint) place
where not exists (
    select from invoices i
    where i.cinema_id = $1 and i.kind = $2 and i.year = $3 and i.seq = place
)
order by place limit $5"""
# Confirmed, or cancelled after it was paid; whatever waits for its event's document is not missing.
_BOOKINGS: Final = """
select b.id, b.showtime_id,
    (
        b.status = 'confirmed' or exists (
            select from payments p where p.booking_id = b.id
                and p.status in ('succeeded', 'refunded', 'partially_refunded')
        )
    )
    and not exists (select from invoices i where i.booking_id = b.id)
    and not exists (select from invoices_due d where d.showtime_id = b.showtime_id
        and d.booking_id = b.id)
    as is_missing
from bookings b
where b.id > $1 and b.created_at between $2 and $3
order by b.id limit $4"""
_CLAIM: Final = """
insert into invoice_checks (checked_at, gaps, missing) values ($1, 0, 0)
on conflict (id) do update set checked_at = excluded.checked_at
    where invoice_checks.checked_at <= $2
returning true"""
_NOTE: Final = """
insert into invoice_checks (checked_at, gaps, missing) values ($1, $2, $3)
on conflict (id) do update set checked_at = excluded.checked_at, gaps = excluded.gaps,
    missing = excluded.missing"""
_LATEST: Final = "select checked_at, gaps, missing from invoice_checks"


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of a counter that no document has; `numbers` are the first of these.

    `beyond` counts documents with numbers that the counter has not given.
    """

    cinema_id: UUID
    kind: str
    year: int
    missing: int
    beyond: int
    numbers: Sequence[int]


class Unbilled(msgspec.Struct, frozen=True):
    """A booking without an invoice."""

    booking_id: UUID
    showtime_id: UUID


class Checked(msgspec.Struct, frozen=True):
    """When was checked last, and what was found."""

    at: datetime
    gaps: int
    missing: int


class ChecksRepository:
    """What the check reads, and what it found."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def claim(self, now: datetime) -> bool:
        """Whether a check is due, for the one node that asks first."""
        async with changing(self._pool) as writing:
            return bool(await writing.fetchval(_CLAIM, now, now - EVERY))

    async def gaps(self) -> list[Gap]:
        """All gaps, and documents whose numbers no counter has given."""
        async with connection(self._pool) as reading:
            counters = await reading.fetch(_COUNTERS)
        return [gap for row in counters if (gap := await self._gap(*row)) is not None]

    async def _gap(self, cinema_id: UUID, kind: str, year: int) -> Gap | None:
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_GIVEN, cinema_id, kind, year)
            last, given, beyond = row or (0, 0, 0)
            if given == last and not beyond:
                return None
            rows = await reading.fetch(_MISSING, cinema_id, kind, year, last, NAMED)
        return Gap(
            cinema_id=cinema_id,
            kind=kind,
            year=year,
            missing=last - given,
            beyond=beyond,
            numbers=[row["place"] for row in rows],
        )

    async def unbilled(self, now: datetime) -> list[Unbilled]:
        """Bookings of the last weeks that should have an invoice, in the order of their ids."""
        found: list[Unbilled] = []
        # Ids begin with the moment at which they were made: older bookings are not even read.
        last = UUID(bytes=new_id(to_us(now - OLDEST), 0))
        while True:
            async with connection(self._pool) as reading:
                rows = await reading.fetch(_BOOKINGS, last, now - OLDEST, now - NEWEST, PAGE)
            found += [Unbilled(row["id"], row["showtime_id"]) for row in rows if row["is_missing"]]
            if len(rows) < PAGE:
                return found
            last = rows[-1]["id"]

    async def note(self, checked: Checked) -> None:
        """Keep what a check has found."""
        async with changing(self._pool) as writing:
            await writing.execute(_NOTE, checked.at, checked.gaps, checked.missing)

    async def latest(self) -> Checked | None:
        """What the last check has found."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_LATEST)
        return None if row is None else Checked(*row)
