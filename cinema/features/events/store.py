"""Public events in Postgres.

One node at a time writes them, in the transaction that takes what they are made from. So an event
is there once, whatever fails, and positions become visible in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

import msgspec

from cinema.features.events.rules import (
    KINDS,
    NewPublicEvent,
    OutboxEvent,
    RefundTold,
    Unclear,
    event_of,
    numbered,
    refund_event,
)
from cinema.features.events.shapes import PublicEvent
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    changing,
    connection,
    transaction,
)

PUBLISHING: Final = 0x65_76_65_6E_74_73
"""Names the right to write events, among the advisory locks of the database."""

KEPT: Final = timedelta(days=90)
"""How long events can be read, and delivered again."""

COUNTS_KEPT: Final = timedelta(days=730)
"""How long the events of a booking are counted on after the last: nobody books longer ahead."""

KINDS_TOLD: Final = list(KINDS)

_LOCK: Final = "select pg_try_advisory_xact_lock($1)"
# Refunds are read first: what led to one of them is in the outbox by then.
_UNTOLD: Final = """
select r.id, r.payment_id, r.booking_id, r.showtime_id, r.kind, r.amount_minor, r.currency,
    r.status, r.told, r.error_code, t.cinema_id
from refunds r left join showtimes t on t.id = r.showtime_id
where r.told is distinct from r.status
order by r.created_at, r.id limit $1
for update of r skip locked"""
_TELL: Final = "update refunds set told = status where id = any($1)"
# One node at a time does this, so no row has to be locked first.
_TAKE: Final = """
with taken as (
    delete from outbox where id = any(array(
        select id from outbox where kind = any($1) and died_at is null order by id limit $2
    ))
    returning id, showtime_id, seq, kind, payload::text as payload, written_at
)
select taken.*, t.cinema_id, c.currency
from taken left join showtimes t on t.id = taken.showtime_id
    left join cinemas c on c.id = t.cinema_id
order by taken.id"""
_GIVE_UP: Final = """
insert into outbox (id, showtime_id, seq, kind, payload, written_at, attempts, died_at, last_error)
overriding system value
values ($1, $2, $3, $4, $5, $6, 1, now(), left($7, 1000))"""
ADD_EVENTS: Final = """
with new as (
    select *, coalesce(booking_id, showtime_id) as subject
    from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::uuid[], $6::int[], $7::bigint[],
        $8::text[], $9::timestamptz[]) with ordinality
        as new(id, type, cinema_id, showtime_id, booking_id, before_last, journal_seq, data, at,
            place)
), counted as (
    insert into public_event_counts as c (subject, events, last_at)
    select subject, count(*), max(at) from new group by subject order by subject
    on conflict (subject) do update
    set events = c.events + excluded.events, last_at = greatest(c.last_at, excluded.last_at)
    returning subject, events
), added as (
    insert into public_events (id, type, cinema_id, showtime_id, booking_id, sequence, journal_seq,
        data, at)
    select id, type, cinema_id, showtime_id, booking_id, events - before_last, journal_seq,
        data::jsonb, at
    from new join counted using (subject)
    order by place
    returning position
)
select max(position) from added"""

EVENT_COLUMNS: Final = """e.id, e.type, e.at, e.position, e.sequence, e.cinema_id, e.showtime_id,
    e.booking_id, e.data::text"""
"""What `shown_event` reads."""

_PAGE: Final = f"""
select {EVENT_COLUMNS} from public_events e
where e.position > $1 and ($2::text is null or e.type = $2)
    and ($3::uuid is null or e.cinema_id = $3)
order by e.position limit $4"""  # noqa: S608
_LAST: Final = """
select coalesce((select max(position) from public_events), (
    select position from public_event_horizon
))"""
# Asked for the first untold refund, Postgres uses their index; with `exists` it would read all
# refunds, for it guesses that nearly all of them are untold.
DUE: Final = f"""(
    exists (
        select from outbox where died_at is null and kind in ({", ".join(map(repr, KINDS))})
    )
    or (select min(created_at) from refunds where told is distinct from status) is not null
    or ({_LAST}) > {{0}}::bigint
)"""  # noqa: S608  (constants of this module)
"""Whether there is something to tell, or somebody has told of something behind a position."""

_HORIZON: Final = "select position from public_event_horizon"
_WAITING: Final = """
select count(*), min(written_at) from outbox where kind = any($1) and died_at is null"""
# Nodes that do this at the same time take different rows; the horizon never moves back.
_FORGET: Final = """
with gone as (
    delete from public_events where position = any(array(
        select position from public_events where at < $1 order by position limit $2
        for update skip locked
    ))
    returning position
), moved as (
    update public_event_horizon
    set position = greatest(position, (select max(position) from gone))
    where exists (select from gone)
)
select count(*) from gone"""
_FORGET_COUNTS: Final = """
with gone as (
    delete from public_event_counts where subject = any(array(
        select subject from public_event_counts where last_at < $1 order by last_at limit $2
        for update skip locked
    ))
    returning 1
)
select count(*) from gone"""


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """What one transaction has told; `unclear` are the rows of which nothing could be made.

    `last` is the position of the last event, `oldest_at` since when the oldest row had waited;
    None if there was none.
    """

    types: list[str]
    unclear: list[tuple[int, str, str]]
    is_full: bool
    last: int | None
    oldest_at: datetime | None


class OutboxBacklog(msgspec.Struct, frozen=True):
    """How many rows of the outbox wait, and since when the oldest does."""

    waiting: int
    oldest_at: datetime | None


class EventsRepository:
    """Writes public events, and reads them."""

    def __init__(self, pool: Pool, new_id: Callable[[], UUID] = uuid4) -> None:
        self._pool = pool
        self._new_id = new_id

    async def publish(self, now: datetime, limit: int, *, refunds: bool = True) -> Published | None:
        """Make events of up to `limit` rows, and as many refunds; None if another node does.

        Refunds come behind all rows: while there are many, they need not be looked for.
        """
        async with transaction(self._pool) as running:
            if not await running.fetchval(_LOCK, PUBLISHING):
                return None
            untold = []
            if refunds:
                untold = [_untold(row) for row in await running.fetch(_UNTOLD, limit)]
            taken = await running.fetch(_TAKE, KINDS_TOLD, limit)
            events, unclear = _clear([_told(row) for row in taken])
            for row_id, _, reason in unclear:
                (row,) = (one for one in taken if one["id"] == row_id)
                await running.execute(_GIVE_UP, *tuple(row)[:6], reason)
            is_full = len(taken) == limit
            if untold and not is_full:
                made = [refund_event(one, now) for one in untold]
                events += [one for one in made if one is not None]
                await running.execute(_TELL, [one.id for one in untold])
            last = await self._add(running, events) if events else None
        return Published(
            types=[one.type for one in events],
            unclear=unclear,
            is_full=is_full or len(untold) == limit,
            last=last,
            oldest_at=taken[0]["written_at"] if taken else None,
        )

    async def last(self) -> int:
        """The position of the newest event."""
        async with connection(self._pool) as reading:
            found: int = await reading.fetchval(_LAST)
        return found

    async def horizon(self) -> int:
        """The position up to which events were deleted."""
        async with connection(self._pool) as reading:
            found: int = await reading.fetchval(_HORIZON)
        return found

    async def page(
        self, after: int, type_: str | None, cinema_id: UUID | None, limit: int
    ) -> list[PublicEvent]:
        """Events behind a position, in their order."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_PAGE, after, type_, cinema_id, limit)
        return [shown_event(row) for row in rows]

    async def backlog(self) -> OutboxBacklog:
        """What waits to be told."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_WAITING, KINDS_TOLD)
        return OutboxBacklog(*row) if row else OutboxBacklog(0, None)

    async def forget(self, now: datetime, limit: int) -> int:
        """Delete a bounded number of old events; returns how many."""
        async with changing(self._pool) as writing:
            gone: int = await writing.fetchval(_FORGET, now - KEPT, limit)
        return gone

    async def forget_counts(self, now: datetime, limit: int) -> int:
        """Delete a bounded number of counts of what nothing happens to any longer; how many."""
        async with changing(self._pool) as writing:
            gone: int = await writing.fetchval(_FORGET_COUNTS, now - COUNTS_KEPT, limit)
        return gone

    async def _add(self, running: PooledConnection, events: Sequence[NewPublicEvent]) -> int:
        last: int = await running.fetchval(
            ADD_EVENTS,
            [self._new_id() for _ in events],
            [one.type for one in events],
            [one.cinema_id for one in events],
            [one.showtime_id for one in events],
            [one.booking_id for one in events],
            [of - nth for nth, of in numbered(events)],
            [one.journal_seq for one in events],
            [msgspec.json.encode(one.data).decode() for one in events],
            [one.at for one in events],
        )
        return last


def shown_event(row: Record) -> PublicEvent:
    """The event of a row with `EVENT_COLUMNS`."""
    return PublicEvent(
        id=UUID(bytes=row["id"].bytes),
        type=row["type"],
        timestamp=row["at"],
        position=row["position"],
        sequence=row["sequence"],
        cinema_id=_uuid(row["cinema_id"]),
        showtime_id=UUID(bytes=row["showtime_id"].bytes),
        booking_id=_uuid(row["booking_id"]),
        data=msgspec.json.decode(row["data"]),
    )


def _clear(rows: Sequence[OutboxEvent]) -> tuple[list[NewPublicEvent], list[tuple[int, str, str]]]:
    """The events of rows, and the rows that none can be made of: id, kind, and why."""
    events, unclear = [], []
    for row in rows:
        try:
            events.append(event_of(row))
        except Unclear as error:
            unclear.append((row.id, row.kind, str(error)))
    return events, unclear


def _told(row: Record) -> OutboxEvent:
    return OutboxEvent(
        id=row["id"],
        showtime_id=UUID(bytes=row["showtime_id"].bytes),
        seq=row["seq"],
        kind=row["kind"],
        payload=msgspec.json.decode(row["payload"], type=dict[str, object]),
        at=row["written_at"],
        cinema_id=_uuid(row["cinema_id"]),
        currency=row["currency"],
    )


def _untold(row: Record) -> RefundTold:
    return RefundTold(
        id=UUID(bytes=row["id"].bytes),
        payment_id=UUID(bytes=row["payment_id"].bytes),
        booking_id=UUID(bytes=row["booking_id"].bytes),
        showtime_id=UUID(bytes=row["showtime_id"].bytes),
        kind=row["kind"],
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        status=row["status"],
        told=row["told"],
        error_code=row["error_code"],
        cinema_id=_uuid(row["cinema_id"]),
    )


def _uuid(value: UUID | None) -> UUID | None:
    return None if value is None else UUID(bytes=value.bytes)
