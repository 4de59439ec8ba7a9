"""Cash sessions and business days in Postgres.

Whoever changes what a session comes to locks its row first; whoever opens a session or closes a
day locks its cinema's row. So a session is closed with all that belongs to it, and a day with all
its sessions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.money import Money
from cinema.domain.rejections import refuse
from cinema.features.accounts.audit_store import AuditEntry, note
from cinema.features.accounts.user_store import Act
from cinema.features.cashdesk.rules import (
    Drawer,
    MovedCash,
    Taking,
    business_date,
    day_to_open,
    day_totals,
    drawer,
)
from cinema.features.cashdesk.shapes import (
    BusinessDay,
    CashSession,
    CloseInput,
    DayReport,
    Movement,
    MovementInput,
    SessionInput,
    SessionTotal,
    SignedMoney,
)
from cinema.features.ledger.refund_store import pay_out
from cinema.features.ledger.shapes import Refund
from cinema.features.ledger.tills import Tendered
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    connection,
    run_once,
    transaction,
)

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

_SESSION: Final = """
    id, cinema_id, business_date, till, currency, opening_minor, opened_at, opened_by,
    counted_minor, expected_minor, note, closed_at, closed_by"""
_BY_ID: Final = f"select {_SESSION} from cash_sessions where id = $1"
_LOCK: Final = f"{_BY_ID} for update"
_OPEN_OF: Final = f"""
select {_SESSION} from cash_sessions
where opened_by = $1 and closed_at is null for share"""
_LIST: Final = f"""
select {_SESSION} from cash_sessions
where cinema_id = $1 and id < $2
    and ($3::uuid is null or opened_by = $3)
    and ($4::boolean is null or (closed_at is null) = $4)
    and ($5::date is null or business_date = $5)
order by id desc limit $6"""
_CINEMA: Final = """
select name, currency, time_zone, business_day_starts_at, tax_number
from cinemas where id = $1 and deleted_at is null"""
_CURRENCY: Final = "select currency from cinemas where id = $1"
# Sessions share the row of their cinema; the close of a day has it alone.
_CINEMA_TO_OPEN: Final = f"{_CINEMA} for share"
_CINEMA_TO_CLOSE: Final = f"{_CINEMA} for no key update"
_IN_THE_WAY: Final = """
select id, opened_by from cash_sessions
where closed_at is null and (opened_by = $1 or (cinema_id = $2 and lower(till) = lower($3)))
order by opened_by = $1 desc limit 1"""
_OPEN: Final = f"""
insert into cash_sessions (
    id, cinema_id, business_date, till, currency, opening_minor, opened_at, opened_by
) values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict do nothing
returning {_SESSION}"""
_CLOSE: Final = f"""
update cash_sessions
set counted_minor = $2, expected_minor = $3, note = $4, closed_at = $5, closed_by = $6
where id = $1 returning {_SESSION}"""

_MOVE: Final = """
insert into cash_movements (id, session_id, kind, amount_minor, reason, moved_at, moved_by)
values ($1, $2, $3, $4, $5, $6, $7)"""
_MOVEMENTS: Final = """
select id, session_id, kind, amount_minor, reason, moved_at, moved_by
from cash_movements where session_id = $1 order by id limit $2"""
_MOVED: Final = "select kind, amount_minor from cash_movements where session_id = $1"

_TAKE: Final = """
insert into cash_takings (payment_id, session_id, tender, reference, taken_at)
values ($1, $2, $3, $4, $5)
on conflict (payment_id) do update
set session_id = excluded.session_id, tender = excluded.tender, reference = excluded.reference,
    taken_at = excluded.taken_at
where not exists (
    select from payments p where p.id = cash_takings.payment_id
        and p.status in ('succeeded', 'partially_refunded', 'refunded')
)"""
_NOT_TAKEN: Final = """
delete from cash_takings t where payment_id = $1 and not exists (
    select from payments p where p.id = t.payment_id
        and p.status in ('succeeded', 'partially_refunded', 'refunded')
)"""
# What was sold beside bookings was paid when it was noted.
_TAKE_FOR: Final = """
insert into cash_takings (payment_id, session_id, tender, reference, taken_at, amount_minor)
values ($1, $2, $3, $4, $5, $6)"""
_TAKINGS: Final = """
select t.tender, coalesce(t.amount_minor, p.amount_minor) as amount_minor
from cash_takings t left join payments p on p.id = t.payment_id
where t.session_id = $1 and (
    t.amount_minor is not null or p.status in ('succeeded', 'partially_refunded', 'refunded')
)"""
_PAID_OUT: Final = """
select p.tender, p.amount_minor from cash_payouts p where p.session_id = $1"""
_NOTE_PAYOUT: Final = """
insert into cash_payouts (refund_id, session_id, tender, amount_minor, reference, paid_at)
values ($1, $2, $3, $4, $5, $6)"""
_OPEN_TO_PAY_OUT: Final = f"""
select {_SESSION} from cash_sessions
where opened_by = $1 and closed_at is null for update"""
_UNDECIDED: Final = """
select exists (
    select from cash_takings t left join payments p on p.id = t.payment_id
    where t.session_id = $1 and t.taken_at > $2 and t.amount_minor is null
        and (p.id is null or p.status not in ('succeeded', 'partially_refunded', 'refunded'))
)"""

_DAY: Final = "select report, digest, signature from business_days"
_DAY_OF: Final = f"{_DAY} where cinema_id = $1 and business_date = $2"
_DAYS: Final = f"{_DAY} where cinema_id = $1 and number < $2 order by number desc limit $3"
_LAST_DAY: Final = """
select business_date, number, digest from business_days
where cinema_id = $1 order by number desc limit 1"""
_OPEN_OF_DAY: Final = """
select id, till from cash_sessions
where cinema_id = $1 and business_date <= $2 and closed_at is null order by id limit 100"""
_EARLIER: Final = """
select min(business_date) from cash_sessions s
where cinema_id = $1 and business_date < $2 and not exists (
    select from business_days d
    where d.cinema_id = s.cinema_id and d.business_date = s.business_date
)"""
_OF_DAY: Final = f"""
select {_SESSION} from cash_sessions where cinema_id = $1 and business_date = $2 order by id"""
_STORE_DAY: Final = """
insert into business_days (
    cinema_id, business_date, number, report, digest, signature, closed_at, closed_by
) values ($1, $2, $3, $4, $5, $6, $7, $8)"""

LAST_ID: Final = UUID(int=2**128 - 1)

MOVEMENTS_LIMIT: Final = 1000
"""Most movements that a session shows; it may have more."""

UNDER_WAY_S: Final = 900
"""Longer than a sale can be under way (`bookings/store.py`)."""

Sign = Callable[[bytes], Awaitable[str | None]]


class CashDeskRepository:
    """Reads and writes cash sessions and business days."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    # --- sessions

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
            last = await running.fetchrow(_LAST_DAY, request.cinema_id)
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
            await _note(running, "cash_session_opened", session_id, act, made)
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
            return _session(row, (await _drawer(reading, row)).expected)

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
                expected = (await _drawer(running, row)).expected
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
                by=_by(act),
            )
            await _note(running, "cash_moved", session_id, act, made)
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
                (await _drawer(running, row)).expected,
                request.note,
                act.at,
                act.by,
            )
            made = _session(_some(closed))
            await _note(running, "cash_session_closed", session_id, act, made)
            return made

        return await run_once(self._pool, key, act.at, CashSession, close)

    # --- takings

    async def take(
        self,
        payment_id: UUID,
        cinema_id: UUID,
        person: UUID,
        how: Tendered,
        at: datetime,
    ) -> None:
        """Note that the open session of a person takes the money of a payment.

        Refuses CASH_SESSION_REQUIRED without a session at this cinema. Once the payment has
        succeeded, its till stays.
        """
        async with transaction(self._pool) as running:
            row = await running.fetchrow(_OPEN_OF, person)
            if row is None or row["cinema_id"] != cinema_id:
                raise refuse("CASH_SESSION_REQUIRED")
            _check_till(row, await running.fetchval(_CURRENCY, cinema_id))
            await running.execute(_TAKE, payment_id, row["id"], how.tender, how.reference, at)

    async def pay_out(
        self,
        refund_id: UUID,
        cinema_id: UUID,
        how: Tendered,
        act: Act,
        key: IdempotencyKey | None,
    ) -> Refund:
        """Hand out the money of a refund from the open drawer of whoever acts.

        Refuses CASH_SESSION_REQUIRED, NOT_ENOUGH_CASH, REFUND_NOT_AT_COUNTER.
        """

        async def hand_out(running: PooledConnection) -> Refund:
            row = await running.fetchrow(_OPEN_TO_PAY_OUT, act.by)
            if row is None or row["cinema_id"] != cinema_id:
                raise refuse("CASH_SESSION_REQUIRED")
            refund = await pay_out(running, refund_id, how.tender, how.reference, act.at)
            if refund is None:
                raise refuse("REFUND_NOT_AT_COUNTER")
            _check_till(row, refund.amount.currency)
            amount_minor = refund.amount.amount
            if how.tender == "cash" and amount_minor > (await _drawer(running, row)).expected:
                raise refuse("NOT_ENOUGH_CASH")
            await running.execute(
                *(_NOTE_PAYOUT, refund_id, row["id"], how.tender, amount_minor),
                *(how.reference, act.at),
            )
            await _note(running, "refund_paid_out", refund.booking_id, act, refund)
            return refund

        return await run_once(self._pool, key, act.at, Refund, hand_out)

    async def take_for(
        self,
        running: PooledConnection,
        sale_id: UUID,
        cinema_id: UUID,
        person: UUID,
        how: Tendered,
        amount_minor: int,
        at: datetime,
    ) -> None:
        """Put the money of a sale beside bookings into the open session of a person.

        Refuses CASH_SESSION_REQUIRED without a session at this cinema.
        """
        row = await running.fetchrow(_OPEN_OF, person)
        if row is None or row["cinema_id"] != cinema_id:
            raise refuse("CASH_SESSION_REQUIRED")
        _check_till(row, await running.fetchval(_CURRENCY, cinema_id))
        await running.execute(
            *(_TAKE_FOR, sale_id, row["id"], how.tender, how.reference, at, amount_minor)
        )

    async def not_taken(self, payment_id: UUID) -> None:
        """Forget a taking whose payment was refused."""
        async with connection(self._pool) as writing:
            await writing.execute(_NOT_TAKEN, payment_id)

    # --- business days

    async def day(self, cinema_id: UUID, day: date) -> BusinessDay | None:
        """The report of a closed day."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_DAY_OF, cinema_id, day)
        return None if row is None else _day(row)

    async def days(self, cinema_id: UUID, before: int, limit: int) -> list[BusinessDay]:
        """Reports with smaller numbers, newest first."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_DAYS, cinema_id, before, limit)
        return [_day(row) for row in rows]

    async def close_day(
        self, cinema_id: UUID, day: date, act: Act, key: IdempotencyKey | None, sign: Sign
    ) -> BusinessDay:
        """Close a day: its report gets the next number, and is stored for good.

        Refuses NOT_FOUND, IN_THE_FUTURE, BUSINESS_DAY_CLOSED, CASH_SESSION_OPEN, EARLIER_DAY_OPEN.
        """

        async def close(running: PooledConnection) -> BusinessDay:
            cinema = await running.fetchrow(_CINEMA_TO_CLOSE, cinema_id)
            if cinema is None:
                raise refuse("NOT_FOUND")
            await _check_day(running, cinema_id, day, cinema, act.at)
            last = await running.fetchrow(_LAST_DAY, cinema_id)
            report = await _report(running, cinema_id, day, cinema, last, act)
            text = msgspec.json.encode(report)
            digest = hashlib.sha256(text).hexdigest()
            signature = await sign(text)
            await running.execute(
                _STORE_DAY,
                cinema_id,
                day,
                report.number,
                text.decode(),
                digest,
                signature,
                act.at,
                act.by,
            )
            await _note(
                running,
                "business_day_closed",
                cinema_id,
                act,
                {"business_date": day, "number": report.number, "digest": digest},
            )
            return BusinessDay(report=report, digest=digest, signature=signature)

        return await run_once(self._pool, key, act.at, BusinessDay, close)


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


async def _drawer(running: PooledConnection, row: Record) -> Drawer:
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


async def _check_day(
    running: PooledConnection, cinema_id: UUID, day: date, cinema: Record, at: datetime
) -> None:
    if await running.fetchrow(_DAY_OF, cinema_id, day) is not None:
        raise refuse("BUSINESS_DAY_CLOSED")
    today = business_date(at, cinema["time_zone"], cinema["business_day_starts_at"])
    if day > today:
        raise refuse("IN_THE_FUTURE", "This day has not begun.", today=today.isoformat())
    still_open = await running.fetch(_OPEN_OF_DAY, cinema_id, day)
    if still_open:
        text = "Close the cash sessions of this day first."
        sessions = [{"id": str(one["id"]), "till": one["till"]} for one in still_open]
        raise refuse("CASH_SESSION_OPEN", text, sessions=sessions)
    earlier = await running.fetchval(_EARLIER, cinema_id, day)
    if earlier is not None:
        raise refuse("EARLIER_DAY_OPEN", business_date=earlier.isoformat())
    last = await running.fetchrow(_LAST_DAY, cinema_id)
    if last is not None and last["business_date"] > day:
        raise refuse("BUSINESS_DAY_CLOSED", "A later day was closed: reports stay in order.")


async def _report(
    running: PooledConnection,
    cinema_id: UUID,
    day: date,
    cinema: Record,
    last: Record | None,
    act: Act,
) -> DayReport:
    rows = await running.fetch(_OF_DAY, cinema_id, day)
    sessions = [_total(row, await _drawer(running, row)) for row in rows]
    return DayReport(
        cinema_id=cinema_id,
        cinema=cinema["name"],
        tax_number=cinema["tax_number"],
        business_date=day,
        number=1 if last is None else last["number"] + 1,
        currency=cinema["currency"],
        closed_at=act.at,
        closed_by=_by(act),
        sessions=sessions,
        tenders=day_totals(sessions),
        expected=sum(one.expected for one in sessions),
        counted=sum(one.counted for one in sessions),
        variance=sum(one.variance for one in sessions),
        previous="" if last is None else last["digest"],
    )


def _total(row: Record, comes_to: Drawer) -> SessionTotal:
    return SessionTotal(
        session_id=row["id"],
        till=row["till"],
        opened_by=row["opened_by"],
        opened_at=row["opened_at"],
        closed_at=row["closed_at"],
        opening=row["opening_minor"],
        paid_in=comes_to.paid_in,
        paid_out=comes_to.paid_out,
        banked=comes_to.banked,
        tenders=comes_to.tenders,
        expected=row["expected_minor"],
        counted=row["counted_minor"],
        variance=row["counted_minor"] - row["expected_minor"],
        note=row["note"],
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


def _day(row: Record) -> BusinessDay:
    report = msgspec.json.decode(row["report"], type=DayReport)
    return BusinessDay(report=report, digest=row["digest"], signature=row["signature"])


def _check_currency(amount: Money, currency: str, path: str) -> None:
    if amount.currency != currency:
        raise refuse("VALIDATION_ERROR", f"This cinema's currency is {currency}.", path=path)


def _check_till(session: Record, currency: str) -> None:
    """A till has one currency, and its cinema may have another one by now."""
    if session["currency"] != currency:
        text = f"Your cash session is in {session['currency']}, and this is in {currency}."
        raise refuse("CASH_SESSION_REQUIRED", text)


async def _note(
    running: PooledConnection, action: str, target_id: UUID, act: Act, after: object
) -> None:
    entry = AuditEntry(
        id=act.entry_id,
        at=act.at,
        action=action,
        actor_id=act.by,
        target_id=target_id,
        after=_plain(after),
    )
    await note(running, entry, act.client)


def _plain(after: object) -> dict[str, Any]:
    """For the audit log, which holds no text that a person wrote."""
    fields: dict[str, Any] = msgspec.to_builtins(after)
    return {name: value for name, value in fields.items() if name not in {"note", "reason"}}


def _by(act: Act) -> UUID:
    if act.by is None:
        raise LookupError("a person works at a till")
    return act.by


def _some(row: Record | None) -> Record:
    if row is None:
        raise LookupError("the statement returned no row")
    return row
