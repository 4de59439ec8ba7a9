"""Exchanges in Postgres: the row that decides, and what is left to be done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec

from cinema.features.ledger.refund_store import ACCOUNT, AT_ONCE, FIRST_STATUS
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import Pool, changing, connection

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

State = Literal["pending", "committed", "aborted", "done", "given_back"]

_FIELDS: Final = """id, state, user_id, from_booking_id, from_showtime_id, to_booking_id,
    to_showtime_id, to_hold_id, code, carried_minor, more_minor, currency, payment_id,
    payment_method, request_key, fingerprint, started_at, commit_until"""
_BEGIN: Final = f"""
insert into exchanges ({_FIELDS})
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
on conflict (request_key) where state <> 'aborted' do nothing
returning true"""
_BY_KEY: Final = f"""
select {_FIELDS} from exchanges where request_key = $1 and state <> 'aborted'"""
_BY_ID: Final = f"select {_FIELDS} from exchanges where id = $1"
# If somebody decides it in this moment, this waits for them.
_ABORT: Final = """
update exchanges set state = 'aborted', decided_at = $2 where id = $1 and state = 'pending'"""
_ABORT_FOR: Final = """
with aborted as (
    update exchanges set state = 'aborted', decided_at = $2
    where to_booking_id = $1 and state = 'pending'
    returning true
)
select coalesce((select 'aborted' from aborted), (
    select state from exchanges where to_booking_id = $1
))"""
_DONE: Final = "update exchanges set state = 'done' where id = $1 and state = 'committed'"
_OPEN: Final = f"""
select {_FIELDS} from exchanges
where state = 'committed' or (state = 'pending' and commit_until < $1)
order by commit_until limit $2"""
# Its new showtime does not take place: all that was paid for the new seats goes back.
_GIVE_BACK: Final = f"""
with decided as (
    update exchanges set state = 'given_back' where id = $1 and state = 'committed'
    returning to_booking_id, to_showtime_id
), w as (
    update payments p
    set status = 'refunded', refunded_minor = p.amount_minor, last_refund_minor = p.amount_minor
    from decided
    where p.booking_id = decided.to_booking_id and p.status = 'succeeded' and p.amount_minor > 0
    returning p.id, p.booking_id, p.method, p.currency, p.amount_minor, p.origin_id,
        decided.to_showtime_id as showtime_id
), written as (
    insert into ledger (kind, source, booking_id, showtime_id, currency, at, accounts, amounts)
    select 'refund', md5(w.id::text || ':back')::uuid, w.booking_id, w.showtime_id, w.currency, $2,
        array['customer', {ACCOUNT}], array[w.amount_minor, -w.amount_minor]
    from w where w.method in ({AT_ONCE})
    on conflict (kind, source) do nothing
)
insert into refunds (id, payment_id, booking_id, showtime_id, kind, amount_minor, currency, status,
    next_try_at, created_at, settled_at)
select md5(w.id::text || ':back')::uuid, coalesce(w.origin_id, w.id), w.booking_id, w.showtime_id,
    'cancellation', w.amount_minor, w.currency, {FIRST_STATUS}, $2, $2,
    case when w.method in ({AT_ONCE}) then $2 end
from w
on conflict (id) do nothing"""


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """A booking that is given up for seats of another showtime; see the table."""

    id: UUID
    state: State = "pending"
    user_id: UUID
    from_booking_id: UUID
    from_showtime_id: UUID
    to_booking_id: UUID
    to_showtime_id: UUID
    to_hold_id: UUID
    code: str
    carried_minor: int
    more_minor: int
    currency: str
    payment_id: UUID
    payment_method: str
    request_key: bytes | None
    fingerprint: bytes | None
    started_at: datetime
    commit_until: datetime


class ExchangesRepository:
    """Reads and writes exchanges, always on the primary."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def begin(self, exchange: Exchange) -> bool:
        """A new exchange; False if its key has one."""
        async with changing(self._pool) as writing:
            return bool(await writing.fetchval(_BEGIN, *msgspec.structs.astuple(exchange)))

    async def by_key(self, request_key: bytes) -> Exchange | None:
        """The exchange that a request has begun, unless it was aborted."""
        return await self._one(_BY_KEY, request_key)

    async def find(self, exchange_id: UUID) -> Exchange | None:
        """The exchange of an id."""
        return await self._one(_BY_ID, exchange_id)

    async def abort(self, exchange_id: UUID, now: datetime) -> None:
        """Nobody can commit it from here on, unless it is committed."""
        async with changing(self._pool) as writing:
            await writing.execute(_ABORT, exchange_id, now)

    async def abort_for(self, to_booking_id: UUID, now: datetime) -> str | None:
        """The same for the exchange that a new booking waits for; its state from here on."""
        async with changing(self._pool) as writing:
            state: str | None = await writing.fetchval(_ABORT_FOR, to_booking_id, now)
        return state

    async def done(self, exchange_id: UUID) -> None:
        """The new seats are booked."""
        async with changing(self._pool) as writing:
            await writing.execute(_DONE, exchange_id)

    async def give_back(self, exchange_id: UUID, now: datetime) -> None:
        """There are no new seats: all that was paid for them goes back, once."""
        async with changing(self._pool) as writing:
            await writing.execute(_GIVE_BACK, exchange_id, now)

    async def open(self, now: datetime, limit: int) -> Sequence[Exchange]:
        """What is committed and not done, or was to be committed by now."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_OPEN, now, limit)
        return [_exchange(row) for row in rows]

    async def _one(self, statement: str, value: object) -> Exchange | None:
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(statement, value)
        return None if row is None else _exchange(row)


def _exchange(row: Record) -> Exchange:
    return Exchange(**dict(row))
