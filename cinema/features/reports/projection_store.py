"""Figures of showtimes, counted from bookings, the ledger and entries.

A showtime is counted as a whole, whatever has happened to it: once more is nothing, and nothing of
before matters. All who count hold the row of the projection meanwhile, so what is written last was
also read last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Final
from uuid import UUID

import msgspec

from cinema.features.reports.figure_rules import taken_together
from cinema.storage.database.transactions import Pool, PooledConnection, connection, transaction

NAME: Final = "reports"

EVENTS_AT_ONCE: Final = 2000
"""Events that are looked at together."""

SHOWTIMES_AT_ONCE: Final = 50
"""Showtimes that are counted in one statement."""

SHOWTIMES_TOGETHER: Final = 200
"""Showtimes that are counted in one transaction, as far as there is time. A look at many events of
few showtimes counts each of these once; with fewer at a time it would come back to all of them for
a few events each."""

TOGETHER_S: Final = 0.5
"""After so long a transaction begins no further statement: Postgres ends it after four seconds."""

SCANS_OVERLAP: Final = timedelta(minutes=1)
"""Scans are looked at again for so long: longer than a transaction that writes them may take."""

KINDS: Final = ("sale", "seat_change", "cancellation", "payment", "refund", "refund_failed")
"""The transactions of the ledger that reports are about."""

_LOCK: Final = "select position, scanned_at, rebuilt_to from projections where name = $1 for update"
_TRY_LOCK: Final = f"{_LOCK} skip locked"
_BOUNDS: Final = """
select h.position as forgotten, coalesce((select max(position) from public_events), h.position)
    as last
from public_event_horizon h"""
IS_BEHIND: Final = f"""exists (
    select from projections p, ({_BOUNDS}) bounds
    where p.name = '{NAME}' and (p.position <> bounds.last or p.rebuilt_to is not null)
)"""
_EVENTS: Final = """
select position, showtime_id from public_events where position > $1 order by position limit $2"""
REACH: Final = "update projections set position = $2 where name = $1"
_BEGIN_AGAIN: Final = """
update projections set position = $2, rebuilt_to = '00000000-0000-0000-0000-000000000000'
where name = $1"""
_SCANNED: Final = """
select distinct showtime_id from ticket_scans where recorded_at > $1 and recorded_at <= $2"""
_SCANS_SEEN: Final = "update projections set scanned_at = $2 where name = $1"
_NEXT: Final = "select id from showtimes where id > $1 order by id limit $2"
_REBUILT: Final = "update projections set rebuilt_to = $2 where name = $1"
_REBUILD: Final = """
update projections set rebuilt_to = '00000000-0000-0000-0000-000000000000' where name = $1"""
_BACKLOG: Final = """
select p.rebuilt_to is not null as rebuilding, waiting.count, waiting.oldest_at
from projections p cross join lateral (
    select count(*) as count, min(at) as oldest_at from (
        select at from public_events e where e.position > p.position order by position limit 100000
    ) unread
) waiting
where p.name = $1"""

# What was sold and given back again is no seat of a type any longer; what it cost beyond what went
# back is in the sums of the ledger.
_COUNT: Final = """
with wanted as (
    select distinct id from unnest($1::uuid[]) as given (id)
), booked as (
    select w.id as showtime_id, b.id, b.status
    from wanted w join bookings b on b.showtime_id = w.id
), confirmed as (
    select showtime_id, count(*)::int as bookings from booked where status = 'confirmed' group by 1
), of_type as (
    select b.showtime_id, s.type as name, count(*)::int as tickets,
        sum(s.price_minor)::bigint as price_minor, sum(s.tax_minor)::bigint as tax_minor
    from booked b join booking_seats s on s.booking_id = b.id and s.live
    where b.status = 'confirmed'
    group by 1, 2
), tickets as (
    select showtime_id, sum(tickets)::int as sold,
        jsonb_agg(to_jsonb(t) - 'showtime_id' order by name) as types
    from of_type t group by 1
), lines as (
    select b.showtime_id, l.kind, line.account, sum(line.amount)::bigint as amount
    from booked b
    join ledger l on l.booking_id = b.id and l.kind = any($2)
    cross join lateral unnest(l.accounts, l.amounts) as line (account, amount)
    group by 1, 2, 3
), money as (
    select showtime_id,
        sum(amount) filter (
            where account = 'customer' and kind in ('sale', 'seat_change')) as gross_minor,
        -sum(amount) filter (
            where account = 'customer' and kind = 'cancellation') as refunded_minor,
        -sum(amount) filter (where account = 'tax') as tax_minor,
        -sum(amount) filter (where account = 'fees') as fees_minor
    from lines group by 1
), of_method as (
    select showtime_id, account as name,
        coalesce(sum(amount) filter (where kind = 'payment'), 0)::bigint as taken_minor,
        coalesce(-sum(amount) filter (where kind <> 'payment'), 0)::bigint as returned_minor
    from lines
    where account <> 'customer' and kind in ('payment', 'refund', 'refund_failed')
    group by 1, 2
), ways as (
    select showtime_id, jsonb_agg(to_jsonb(m) - 'showtime_id' order by name) as methods
    from of_method m group by 1
), entered as (
    select e.showtime_id, count(*)::int as admitted
    from wanted w join ticket_entries e on e.showtime_id = w.id group by 1
)
insert into showtime_figures (showtime_id, bookings, sold, admitted, gross_minor, refunded_minor,
    tax_minor, fees_minor, types, methods)
select w.id, coalesce(c.bookings, 0), coalesce(t.sold, 0), coalesce(e.admitted, 0),
    coalesce(m.gross_minor, 0), coalesce(m.refunded_minor, 0), coalesce(m.tax_minor, 0),
    coalesce(m.fees_minor, 0), coalesce(t.types, '[]'), coalesce(y.methods, '[]')
from wanted w
left join confirmed c on c.showtime_id = w.id
left join tickets t on t.showtime_id = w.id
left join money m on m.showtime_id = w.id
left join ways y on y.showtime_id = w.id
left join entered e on e.showtime_id = w.id
order by w.id
on conflict (showtime_id) do update
set bookings = excluded.bookings, sold = excluded.sold, admitted = excluded.admitted,
    gross_minor = excluded.gross_minor, refunded_minor = excluded.refunded_minor,
    tax_minor = excluded.tax_minor, fees_minor = excluded.fees_minor, types = excluded.types,
    methods = excluded.methods"""


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """What one transaction has counted; `was_lost` if events that it needed are gone."""

    showtimes: int
    is_full: bool = False
    was_lost: bool = False


class ProjectionBacklog(msgspec.Struct, frozen=True, kw_only=True):
    """How many events are not counted yet, and since when the oldest has waited."""

    waiting: int
    oldest_at: datetime | None
    rebuilding: bool


class ProjectionRepository:
    """Counts the figures of showtimes."""

    def __init__(self, pool: Pool, clock: Callable[[], float] = monotonic) -> None:
        self._pool = pool
        self._clock = clock

    async def follow(self) -> Followed | None:
        """Count the showtimes of the next events; None if another node does. Refuses RETRY."""
        async with transaction(self._pool) as running:
            mark = await running.fetchrow(_TRY_LOCK, NAME)
            if mark is None:
                return None
            bounds = await running.fetchrow(_BOUNDS)
            assert bounds is not None, "it has one row"
            if not bounds["forgotten"] <= mark["position"] <= bounds["last"]:
                # Nobody has counted for months, or the database was set back.
                await running.execute(_BEGIN_AGAIN, NAME, bounds["last"])
                return Followed(showtimes=0, is_full=True, was_lost=True)
            events = [
                tuple(row) for row in await running.fetch(_EVENTS, mark["position"], EVENTS_AT_ONCE)
            ]
            if not events:
                return Followed(showtimes=0)
            showtimes, reached = taken_together(events, SHOWTIMES_TOGETHER)
            count = await self._count_in_time(running, showtimes)
            if count < len(showtimes):
                showtimes, reached = taken_together(events, count)
            await running.execute(REACH, NAME, reached)
        is_full = len(events) == EVENTS_AT_ONCE or reached < events[-1][0]
        return Followed(showtimes=len(showtimes), is_full=is_full)

    async def _count_in_time(self, running: PooledConnection, showtimes: Sequence[UUID]) -> int:
        """Count showtimes as long as there is time, one statement at least; how many."""
        until_s, count = self._clock() + TOGETHER_S, 0
        while count < len(showtimes):
            some = showtimes[count : count + SHOWTIMES_AT_ONCE]
            await running.execute(_COUNT, some, KINDS)
            count += len(some)
            if self._clock() >= until_s:
                break
        return count

    async def follow_scans(self, now: datetime) -> Followed | None:
        """Count the showtimes at whose doors something happened. None if another node does."""
        async with transaction(self._pool) as running:
            mark = await running.fetchrow(_TRY_LOCK, NAME)
            if mark is None:
                return None
            since = mark["scanned_at"] - SCANS_OVERLAP
            rows = await running.fetch(_SCANNED, since, now)
            await _count(running, [row["showtime_id"] for row in rows])
            await running.execute(_SCANS_SEEN, NAME, max(now, mark["scanned_at"]))
        return Followed(showtimes=len(rows))

    async def begin_rebuild(self) -> None:
        """Let all figures be counted anew, from the first showtime. Refuses RETRY."""
        async with transaction(self._pool) as running:
            await running.execute(_REBUILD, NAME)

    async def rebuild(self, *, wait: bool = False) -> Followed | None:
        """Count the next showtimes anew, if that is under way; `wait` for a node that counts.

        None if another node counts. Refuses RETRY.
        """
        async with transaction(self._pool) as running:
            mark = await running.fetchrow(_LOCK if wait else _TRY_LOCK, NAME)
            if mark is None:
                return None
            if mark["rebuilt_to"] is None:
                return Followed(showtimes=0)
            rows = await running.fetch(_NEXT, mark["rebuilt_to"], SHOWTIMES_AT_ONCE)
            showtimes = [row["id"] for row in rows]
            await _count(running, showtimes)
            is_full = len(showtimes) == SHOWTIMES_AT_ONCE
            await running.execute(_REBUILT, NAME, showtimes[-1] if is_full else None)
        return Followed(showtimes=len(showtimes), is_full=is_full)

    async def backlog(self) -> ProjectionBacklog:
        """What is not counted yet."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_BACKLOG, NAME)
        assert row is not None, "the projection has a row"
        return ProjectionBacklog(
            waiting=row["count"], oldest_at=row["oldest_at"], rebuilding=row["rebuilding"]
        )


async def _count(running: PooledConnection, showtimes: Sequence[UUID]) -> None:
    for start in range(0, len(showtimes), SHOWTIMES_AT_ONCE):
        await running.execute(_COUNT, showtimes[start : start + SHOWTIMES_AT_ONCE], KINDS)
