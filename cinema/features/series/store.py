"""Series in Postgres: the row that decides about all bookings of one, and what is left to do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec

from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    changing,
    connection,
    transaction,
)

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

State = Literal["pending", "committed", "aborted", "done"]

_FIELDS: Final = """id, state, customer_id, payment_method, total_minor, currency, request_key,
    fingerprint, started_at, commit_until"""
_KEPT: Final = f"{_FIELDS}, to_free, due_minor, reference, look_at"
_PARTS: Final = """showtime_id, hold_id, booking_id, code, payment_id"""
_PARTS_READ: Final = f"{_PARTS}, paid_by, paid_by_method"
_BEGIN: Final = f"""
insert into series ({_FIELDS})
values ($1, 'pending', $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (request_key) where state <> 'aborted' do nothing
returning true"""
_ADD_PARTS: Final = f"""
insert into series_bookings (series_id, place, {_PARTS})
select $1, part.place, part.showtime_id, part.hold_id, part.booking_id, part.code, part.payment_id
from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::uuid[]) with ordinality
    as part (showtime_id, hold_id, booking_id, code, payment_id, place)"""
_BY_KEY: Final = f"select {_KEPT} from series where request_key = $1 and state <> 'aborted'"
_BY_ID: Final = f"select {_KEPT} from series where id = $1"
_OF_CUSTOMER: Final = f"""
select {_KEPT} from series
where customer_id = $1 and state <> 'aborted'
    and ($2::timestamptz is null or (started_at, id) < ($2, $3))
order by started_at desc, id desc limit $4"""
_PARTS_OF: Final = f"""
select series_id, {_PARTS_READ} from series_bookings where series_id = any($1::uuid[])
order by series_id, place"""
# This row alone decides. If somebody aborts it in this moment, one waits for the other.
_COMMIT: Final = """
update series set state = 'committed', decided_at = $2
where id = $1 and state = 'pending' and commit_until > $2 and due_minor is null
returning true"""
# From here on it is decided by what the provider says, and by nobody else.
_ASK: Final = """
update series set due_minor = $2, commit_until = $3, look_at = $4
where id = $1 and state = 'pending' and commit_until > $5 and due_minor is null
returning true"""
_PAID_BY: Final = """
update series_bookings s set paid_by = given.paid_by, paid_by_method = given.method
from unnest($2::uuid[], $3::uuid[], $4::text[]) as given (booking_id, paid_by, method)
where s.series_id = $1 and s.booking_id = given.booking_id"""
_NAME: Final = """
update series set reference = $2 where id = $1 and reference is null and due_minor is not null"""
# The money is here: the series is committed, however late, unless somebody has aborted it.
_MONEY_CAME: Final = """
update series
set state = case state when 'pending' then 'committed' else state end,
    decided_at = case state when 'pending' then $3 else decided_at end,
    reference = $2
where id = $1 and due_minor is not null
returning state"""
# The provider has one payment for all, so the first booking that it pays bears its name, and
# refunds of the others are asked of that. One row at a time: commits of showtimes change them too.
_NAME_PART: Final = """
with lead as (
    select p.id from series_bookings part join payments p on p.id = part.payment_id
    where part.series_id = $1 and p.amount_minor > 0
    order by part.place limit 1
)
update payments p
set reference = case when p.id = lead.id then whole.reference end,
    series_id = case when p.id = lead.id then whole.id end,
    asked_minor = case when p.id = lead.id then whole.due_minor end,
    origin_id = case when p.id <> lead.id then lead.id end
from lead, series whole
where p.id = $2 and whole.id = $1 and whole.reference is not null
    and p.amount_minor > 0 and p.reference is null and p.origin_id is null"""
_CALL_OFF: Final = """
update series
set to_free = to_free or state = 'pending',
    decided_at = case state when 'pending' then $2 else decided_at end,
    state = case state when 'pending' then 'aborted' else state end,
    look_at = case when $3 then look_at end
where id = $1 and due_minor is not null and state in ('pending', 'aborted')"""
_LOOK_LATER: Final = """
update series set look_at = $2 where id = $1 and look_at is not null"""
_LOOKED: Final = "update series set look_at = null where id = $1"
_CLAIM: Final = f"""
update series set look_at = $2
where id = any(array(
    select id from series where look_at <= $1 order by look_at limit $3 for update skip locked
))
returning {_KEPT}"""
_OF_BOOKING: Final = f"""
select {_KEPT} from series
where id = (select series_id from series_bookings where booking_id = $1)"""
_ABORT: Final = """
update series set state = 'aborted', to_free = true, decided_at = $2
where id = $1 and state = 'pending' and due_minor is null"""
_ABORT_FOR: Final = """
with of_booking as (
    select series_id from series_bookings where booking_id = $1
), aborted as (
    update series set state = 'aborted', to_free = true, decided_at = $2
    where id = (select series_id from of_booking) and state = 'pending' and due_minor is null
    returning true
)
select coalesce((select 'aborted' from aborted), (
    select state from series where id = (select series_id from of_booking)
))"""
_FREED: Final = "update series set to_free = false where id = $1 and to_free"
# Nobody has paid for a booking whose showtime was cancelled in between.
_DONE: Final = """
update series set state = 'done', total_minor = total_minor - coalesce((
    select sum(total_minor) from bookings where id = any($2::uuid[])
), 0)
where id = $1 and state = 'committed'"""
_OPEN: Final = f"""
select {_KEPT} from series
where (
        state = 'committed'
        or (state = 'pending' and commit_until < $1 and due_minor is null) or to_free
    )
    and (commit_until, id) > ($3, $4)
order by commit_until, id limit $2"""
_FORGET: Final = """
delete from series where id in (
    select id from series where state in ('done', 'aborted') and look_at is null and started_at < $1
    order by started_at limit $2
)"""

FIRST: Final = (datetime.min.replace(tzinfo=UTC), UUID(int=0))
"""Before all series, by `commit_until` and id."""

KEPT: Final = timedelta(days=400)
"""For so long it is known which bookings were made together."""


class SeriesPart(msgspec.Struct, frozen=True, kw_only=True):
    """One booking of a series; `paid_by` is the attempt that has put the last of it aside."""

    showtime_id: UUID
    hold_id: UUID
    booking_id: UUID
    code: str
    payment_id: UUID
    paid_by: UUID | None = None
    paid_by_method: str | None = None


class KeptSeries(msgspec.Struct, frozen=True, kw_only=True):
    """A series; see the table. `to_free`: it was aborted, and seats may still be held for it.

    `due_minor` is what a provider was asked for, which calls it `reference`.
    """

    id: UUID
    state: State = "pending"
    customer_id: UUID
    payment_method: str
    total_minor: int
    currency: str
    request_key: bytes | None
    fingerprint: bytes | None
    started_at: datetime
    commit_until: datetime
    parts: Sequence[SeriesPart]
    to_free: bool = False
    due_minor: int | None = None
    reference: str | None = None
    look_at: datetime | None = None

    @property
    def waits_for_money(self) -> bool:
        """Whether what a provider says decides about it."""
        return self.state == "pending" and self.due_minor is not None


class SeriesRepository:
    """Reads and writes series, always on the primary."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def begin(self, series: KeptSeries) -> bool:
        """A new series; False if its key has one. Refuses RETRY, OUTCOME_UNKNOWN."""
        parts = series.parts
        async with transaction(self._pool) as writing:
            begun = await writing.fetchval(
                *(_BEGIN, series.id, series.customer_id, series.payment_method),
                *(series.total_minor, series.currency, series.request_key, series.fingerprint),
                *(series.started_at, series.commit_until),
            )
            if not begun:
                return False
            await writing.execute(
                _ADD_PARTS,
                series.id,
                [part.showtime_id for part in parts],
                [part.hold_id for part in parts],
                [part.booking_id for part in parts],
                [part.code for part in parts],
                [part.payment_id for part in parts],
            )
        return True

    async def by_key(self, request_key: bytes) -> KeptSeries | None:
        """The series that a request has begun, unless it was aborted. Refuses RETRY."""
        return await self._one(_BY_KEY, request_key)

    async def find(self, series_id: UUID) -> KeptSeries | None:
        """The series of an id. Refuses RETRY."""
        return await self._one(_BY_ID, series_id)

    async def of_customer(
        self, customer_id: UUID, after: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[KeptSeries]:
        """Series of a customer that were not aborted, newest first. Refuses RETRY."""
        moment, last_id = after or (None, None)
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_OF_CUSTOMER, customer_id, moment, last_id, limit)
            return await _whole(reading, rows)

    async def commit(self, series_id: UUID, now: datetime) -> bool:
        """Decide that all of it is booked; False if somebody has aborted it, or it is too late.

        Refuses RETRY, OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as writing:
            return bool(await writing.fetchval(_COMMIT, series_id, now))

    async def of_booking(self, booking_id: UUID) -> KeptSeries | None:
        """The series that a booking is one of. Refuses RETRY."""
        return await self._one(_OF_BOOKING, booking_id)

    # --- its money

    async def paid_by(self, series_id: UUID, paid: Sequence[tuple[UUID, UUID, str]]) -> None:
        """For which bookings nothing is left to be paid: each with its attempt, and the method."""
        values = [one[0] for one in paid], [one[1] for one in paid], [one[2] for one in paid]
        async with changing(self._pool) as writing:
            await writing.execute(_PAID_BY, series_id, *values)

    async def ask(
        self, series_id: UUID, due_minor: int, until: datetime, look_at: datetime, now: datetime
    ) -> bool:
        """Let it wait for a provider; False if somebody has aborted it, or it is too late.

        Written before the provider is asked, so that nothing it has is ever forgotten.
        """
        values = (due_minor, until, look_at, now)
        async with changing(self._pool) as writing:
            return bool(await writing.fetchval(_ASK, series_id, *values))

    async def name(self, series_id: UUID, reference: str) -> None:
        """How the provider calls the payment of a series."""
        async with changing(self._pool) as writing:
            await writing.execute(_NAME, series_id, reference)

    async def money_came(self, series_id: UUID, reference: str, now: datetime) -> str | None:
        """A provider has the money: what the series is from here on. May be repeated."""
        async with changing(self._pool) as writing:
            state: str | None = await writing.fetchval(_MONEY_CAME, series_id, reference, now)
        return state

    async def name_parts(self, series: KeptSeries) -> None:
        """Have the payments of its bookings say where their money is. May be repeated."""
        for part in series.parts:
            async with changing(self._pool) as writing:
                await writing.execute(_NAME_PART, series.id, part.payment_id)

    async def call_off(self, series_id: UUID, now: datetime, *, may_come: bool) -> None:
        """Abort a series that waits for money; `may_come`: its provider is asked again.

        One whose money has come is committed, and stays so.
        """
        async with changing(self._pool) as writing:
            await writing.execute(_CALL_OFF, series_id, now, may_come)

    async def claim(self, now: datetime, until: datetime, limit: int) -> Sequence[KeptSeries]:
        """Series whose provider is to be asked now; no other node gets them for a while."""
        async with changing(self._pool) as writing:
            return await _whole(writing, await writing.fetch(_CLAIM, now, until, limit))

    async def look_later(self, series_id: UUID, at: datetime) -> None:
        """Ask the provider again later, if anything can still come."""
        async with changing(self._pool) as writing:
            await writing.execute(_LOOK_LATER, series_id, at)

    async def looked(self, series_id: UUID) -> None:
        """Nothing more can come of it, and what came is where it belongs."""
        async with changing(self._pool) as writing:
            await writing.execute(_LOOKED, series_id)

    # --- its end

    async def abort(self, series_id: UUID, now: datetime) -> None:
        """Nobody can commit it from here on, unless it is committed. Refuses RETRY."""
        async with changing(self._pool) as writing:
            await writing.execute(_ABORT, series_id, now)

    async def abort_for(self, booking_id: UUID, now: datetime) -> str | None:
        """The same for the series that a booking waits for; its state from here on."""
        async with changing(self._pool) as writing:
            state: str | None = await writing.fetchval(_ABORT_FOR, booking_id, now)
        return state

    async def freed(self, series_id: UUID) -> None:
        """No seat is held any more for a series that was aborted. Refuses RETRY."""
        async with changing(self._pool) as writing:
            await writing.execute(_FREED, series_id)

    async def done(self, series_id: UUID, unpaid: Sequence[UUID]) -> None:
        """All of it is booked but the bookings that are `unpaid`, which it does not cost.

        Refuses RETRY.
        """
        async with changing(self._pool) as writing:
            await writing.execute(_DONE, series_id, unpaid)

    async def open(
        self, now: datetime, limit: int, after: tuple[datetime, UUID] = FIRST
    ) -> Sequence[KeptSeries]:
        """What is committed and not done, was to be committed by now, or has seats to free.

        Refuses RETRY.
        """
        async with connection(self._pool) as reading:
            return await _whole(reading, await reading.fetch(_OPEN, now, limit, *after))

    async def forget(self, now: datetime, limit: int) -> int:
        """Delete series of long ago; their bookings stay. Refuses RETRY."""
        async with transaction(self._pool) as writing:
            done = await writing.execute(_FORGET, now - KEPT, limit)
        return int(done.split()[-1])

    async def _one(self, statement: str, value: object) -> KeptSeries | None:
        async with connection(self._pool) as reading:
            found = await _whole(reading, await reading.fetch(statement, value))
        return found[0] if found else None


async def _whole(reading: PooledConnection, rows: Sequence[Record]) -> list[KeptSeries]:
    """Series of these rows, with their bookings."""
    parts: dict[UUID, list[SeriesPart]] = {row["id"]: [] for row in rows}
    for row in await reading.fetch(_PARTS_OF, list(parts)):
        fields = dict(row)
        parts[fields.pop("series_id")].append(SeriesPart(**fields))
    return [KeptSeries(**dict(row), parts=parts[row["id"]]) for row in rows]
