"""Cash sessions in Postgres.

Whoever changes what a session comes to locks its row first; whoever opens a session or closes a
day locks its cinema's row. So a session is closed with all that belongs to it, and a day with all
its sessions.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.money import Money
from cinema.domain.rejections import refuse
from cinema.features.accounts.user_store import Act, note_act
from cinema.features.cashdesk.rules import (
    Drawer,
    MovedCash,
    Taking,
    business_date,
    day_to_open,
    drawer,
)
from cinema.features.cashdesk.shapes import (
    CashSession,
    CloseInput,
    Movement,
    MovementInput,
    SessionInput,
    SignedMoney,
)
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    connection,
    run_once,
)

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

SESSION_COLUMNS: Final = """
    id, cinema_id, business_date, till, currency, opening_minor, opened_at, opened_by,
    counted_minor, expected_minor, note, closed_at, closed_by"""
_BY_ID: Final = f"select {SESSION_COLUMNS} from cash_sessions where id = $1"
_LOCK: Final = f"{_BY_ID} for update"
_LIST: Final = f"""
select {SESSION_COLUMNS} from cash_sessions
where cinema_id = $1 and id < $2
    and ($3::uuid is null or opened_by = $3)
    and ($4::boolean is null or (closed_at is null) = $4)
    and ($5::date is null or business_date = $5)
order by id desc limit $6"""
CINEMA: Final = """
select name, currency, time_zone, business_day_starts_at, tax_number
from cinemas where id = $1 and deleted_at is null"""
# Sessions share the row of their cinema; the close of a day has it alone.
_CINEMA_TO_OPEN: Final = f"{CINEMA} for share"
_IN_THE_WAY: Final = """
select id, opened_by from cash_sessions
where closed_at is null and (opened_by = $1 or (cinema_id = $2 and lower(till) = lower($3)))
order by opened_by = $1 desc limit 1"""
_OPEN: Final = f"""
insert into cash_sessions (
    id, cinema_id, business_date, till, currency, opening_minor, opened_at, opened_by
) values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict do nothing
returning {SESSION_COLUMNS}"""
_CLOSE: Final = f"""
update cash_sessions
set counted_minor = $2, expected_minor = $3, note = $4, closed_at = $5, closed_by = $6
where id = $1 returning {SESSION_COLUMNS}"""

_MOVE: Final = """
insert into cash_movements (id, session_id, kind, amount_minor, reason, moved_at, moved_by)
values ($1, $2, $3, $4, $5, $6, $7)"""
_MOVEMENTS: Final = """
select id, session_id, kind, amount_minor, reason, moved_at, moved_by
from cash_movements where session_id = $1 order by id limit $2"""
_MOVED: Final = "select kind, amount_minor from cash_movements where session_id = $1"

_TAKINGS: Final = """
select t.tender, coalesce(t.amount_minor, p.amount_minor) as amount_minor
from cash_takings t left join payments p on p.id = t.payment_id
where t.session_id = $1 and (
    t.amount_minor is not null or p.status in ('succeeded', 'partially_refunded', 'refunded')
)"""
_PAID_OUT: Final = """
select p.tender, p.amount_minor from cash_payouts p where p.session_id = $1"""
_UNDECIDED: Final = """
select exists (
    select from cash_takings t left join payments p on p.id = t.payment_id
    where t.session_id = $1 and t.taken_at > $2 and t.amount_minor is null
        and (p.id is null or p.status not in ('succeeded', 'partially_refunded', 'refunded'))
)"""

LAST_DAY: Final = """
select business_date, number, digest from business_days
where cinema_id = $1 order by number desc limit 1"""

LAST_ID: Final = UUID(int=2**128 - 1)

MOVEMENTS_LIMIT: Final = 1000
"""Most movements that a session shows; it may have more."""

UNDER_WAY_S: Final = 900
"""Longer than a sale can be under way (`bookings/store.py`)."""


class CashSessionsRepository:
    """Reads and writes cash sessions, and what is moved in them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def open(
        self, session_id: UUID, request: SessionInput, act: Act, key: IdempotencyKey | None
    ) -> CashSession:
        """A new session. Refuses UNKNOWN_REFERENCE, VALIDATION_ERROR for another currency,
        CASH_SESSION_OPEN if its person or its till has one.
        """

        async def insert(running: PooledConnection) -> CashSession:
            cinema = await running.fetchrow(_CINEMA_TO_OPEN, request.cinema_id)
            if cinema is None:
                text = "There is no such cinema."
                raise refuse("UNKNOWN_REFERENCE", text, path="$.cinema_id")
            _check_currency(request.opening, cinema["currency"], "$.opening.currency")
            today = business_date(act.at, cinema["time_zone"], cinema["business_day_starts_at"])
            last = await running.fetchrow(LAST_DAY, request.cinema_id)
            row = await running.fetchrow(
                _OPEN,
                session_id,
                request.cinema_id,
                day_to_open(today, None if last is None else last["business_date"]),
                request.till,
                cinema["currency"],
                request.opening.amount,
                act.at,
                act.by,
            )
            if row is None:
                raise await _in_the_way(running, request, act)
            made = _session(row)
            await noted(running, "cash_session_opened", session_id, act, made)
            return made

        return await run_once(self._pool, key, act.at, CashSession, insert)

    async def find(self, session_id: UUID, *, with_expected: bool) -> CashSession | None:
        """A session; `with_expected` tells what should be in the drawer of an open one."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_BY_ID, session_id)
            if row is None:
                return None
            if not with_expected or row["closed_at"] is not None:
                return _session(row)
            return _session(row, (await drawer_of(reading, row)).expected)

    async def of_cinema(
        self,
        cinema_id: UUID,
        person: UUID | None,
        *,
        is_open: bool | None,
        day: date | None,
        before: UUID | None,
        limit: int,
    ) -> list[CashSession]:
        """Sessions of a cinema, newest first; of one person, if given."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(
                _LIST, cinema_id, before or LAST_ID, person, is_open, day, limit
            )
        return [_session(row) for row in rows]

    async def movements(self, session_id: UUID) -> list[Movement]:
        """What was moved in a session, the oldest first."""
        async with connection(self._pool) as reading:
            currency = await reading.fetchval(
                "select currency from cash_sessions where id = $1", session_id
            )
            rows = await reading.fetch(_MOVEMENTS, session_id, MOVEMENTS_LIMIT)
        return [
            Movement(
                id=row["id"],
                session_id=row["session_id"],
                kind=row["kind"],
                amount=Money(row["amount_minor"], currency),
                reason=row["reason"],
                at=row["moved_at"],
                by=row["moved_by"],
            )
            for row in rows
        ]

    async def move(
        self,
        movement_id: UUID,
        session_id: UUID,
        request: MovementInput,
        act: Act,
        key: IdempotencyKey | None,
    ) -> Movement:
        """Move cash. Refuses CASH_SESSION_CLOSED, VALIDATION_ERROR, NOT_ENOUGH_CASH."""

        async def insert(running: PooledConnection) -> Movement:
            row = await _locked(running, session_id)
            _check_currency(request.amount, row["currency"], "$.amount.currency")
            if request.amount.amount == 0:
                raise refuse("VALIDATION_ERROR", "Nothing would move.", path="$.amount.amount")
            if request.kind != "pay_in":
                expected = (await drawer_of(running, row)).expected
                if request.amount.amount > expected:
                    raise refuse("NOT_ENOUGH_CASH")
            await running.execute(
                _MOVE,
                movement_id,
                session_id,
                request.kind,
                request.amount.amount,
                request.reason,
                act.at,
                act.by,
            )
            made = Movement(
                id=movement_id,
                session_id=session_id,
                kind=request.kind,
                amount=request.amount,
                reason=request.reason,
                at=act.at,
                by=person_of(act),
            )
            await noted(running, "cash_moved", session_id, act, made)
            return made

        return await run_once(self._pool, key, act.at, Movement, insert)

    async def close(
        self, session_id: UUID, request: CloseInput, act: Act, key: IdempotencyKey | None
    ) -> CashSession:
        """End a session with what was counted.

        Refuses CASH_SESSION_CLOSED, VALIDATION_ERROR, and RETRY while a sale is being decided.
        """

        async def close(running: PooledConnection) -> CashSession:
            row = await _locked(running, session_id)
            _check_currency(request.counted, row["currency"], "$.counted.currency")
            since = act.at - timedelta(seconds=UNDER_WAY_S)
            if await running.fetchval(_UNDECIDED, session_id, since):
                raise refuse("RETRY", "A sale at this till is still being decided.")
            closed = await running.fetchrow(
                _CLOSE,
                session_id,
                request.counted.amount,
                (await drawer_of(running, row)).expected,
                request.note,
                act.at,
                act.by,
            )
            made = _session(_some(closed))
            await noted(running, "cash_session_closed", session_id, act, made)
            return made

        return await run_once(self._pool, key, act.at, CashSession, close)


async def _in_the_way(running: PooledConnection, request: SessionInput, act: Act) -> Exception:
    row = await running.fetchrow(_IN_THE_WAY, act.by, request.cinema_id, request.till)
    if row is None:
        return refuse("RETRY")  # It was closed in this moment.
    if row["opened_by"] == act.by:
        return refuse("CASH_SESSION_OPEN", session_id=str(row["id"]))
    text = "Somebody else has this till open: take another one, or let a manager close it."
    return refuse("CASH_SESSION_OPEN", text, session_id=str(row["id"]))


async def _locked(running: PooledConnection, session_id: UUID) -> Record:
    row = await running.fetchrow(_LOCK, session_id)
    if row is None:
        raise refuse("NOT_FOUND")
    if row["closed_at"] is not None:
        raise refuse("CASH_SESSION_CLOSED")
    return row


async def drawer_of(running: PooledConnection, row: Record) -> Drawer:
    """What a session comes to, from all that belongs to it."""
    moved = await running.fetch(_MOVED, row["id"])
    takings = await running.fetch(_TAKINGS, row["id"])
    paid_out = await running.fetch(_PAID_OUT, row["id"])
    return drawer(
        row["opening_minor"],
        [MovedCash(one["kind"], one["amount_minor"]) for one in moved],
        [
            *[Taking(one["tender"], one["amount_minor"], 0) for one in takings],
            *[Taking(one["tender"], 0, one["amount_minor"]) for one in paid_out],
        ],
    )


def _session(row: Record, expected_minor: int | None = None) -> CashSession:
    currency, counted = row["currency"], row["counted_minor"]
    expected = row["expected_minor"] if expected_minor is None else expected_minor
    return CashSession(
        id=row["id"],
        cinema_id=row["cinema_id"],
        till=row["till"],
        business_date=row["business_date"],
        status="open" if row["closed_at"] is None else "closed",
        opening=Money(row["opening_minor"], currency),
        opened_at=row["opened_at"],
        opened_by=row["opened_by"],
        expected=None if expected is None else SignedMoney(expected, currency),
        counted=None if counted is None else Money(counted, currency),
        variance=None if counted is None else SignedMoney(counted - expected, currency),
        note=row["note"],
        closed_at=row["closed_at"],
        closed_by=row["closed_by"],
    )


def _check_currency(amount: Money, currency: str, path: str) -> None:
    if amount.currency != currency:
        raise refuse("VALIDATION_ERROR", f"This cinema's currency is {currency}.", path=path)


async def noted(
    running: PooledConnection, action: str, target_id: UUID, act: Act, after: object
) -> None:
    """Write an act at the cash desk into the audit log."""
    await note_act(running, act, action, target_id, after=_plain(after))


def _plain(after: object) -> dict[str, Any]:
    """For the audit log, which holds no text that a person wrote."""
    fields: dict[str, Any] = msgspec.to_builtins(after)
    return {name: value for name, value in fields.items() if name not in {"note", "reason"}}


def person_of(act: Act) -> UUID:
    """Who works at a till."""
    if act.by is None:
        raise LookupError("a person works at a till")
    return act.by


def _some(row: Record | None) -> Record:
    if row is None:
        raise LookupError("the statement returned no row")
    return row
