"""Business days in Postgres: their reports are numbered, chained and never changed.

Whoever closes a day has the row of its cinema alone, and so the day with all its sessions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from datetime import date, datetime
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.rejections import refuse
from cinema.features.accounts.user_store import Act
from cinema.features.cashdesk.rules import (
    Drawer,
    business_date,
    day_totals,
)
from cinema.features.cashdesk.shapes import (
    BusinessDay,
    DayReport,
    SessionTotal,
)
from cinema.features.cashdesk.store import (
    CINEMA,
    LAST_DAY,
    SESSION_COLUMNS,
    drawer_of,
    noted,
    person_of,
)
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    connection,
    run_once,
)

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

_CINEMA_TO_CLOSE: Final = f"{CINEMA} for no key update"

_DAY: Final = "select report, digest, signature from business_days"
_DAY_OF: Final = f"{_DAY} where cinema_id = $1 and business_date = $2"
_DAYS: Final = f"{_DAY} where cinema_id = $1 and number < $2 order by number desc limit $3"
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
select {SESSION_COLUMNS} from cash_sessions
where cinema_id = $1 and business_date = $2 order by id"""
_STORE_DAY: Final = """
insert into business_days (
    cinema_id, business_date, number, report, digest, signature, closed_at, closed_by
) values ($1, $2, $3, $4, $5, $6, $7, $8)"""

Sign = Callable[[bytes], Awaitable[str | None]]


class BusinessDaysRepository:
    """Closes business days, and reads their reports."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

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
            last = await running.fetchrow(LAST_DAY, cinema_id)
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
            await noted(
                running,
                "business_day_closed",
                cinema_id,
                act,
                {"business_date": day, "number": report.number, "digest": digest},
            )
            return BusinessDay(report=report, digest=digest, signature=signature)

        return await run_once(self._pool, key, act.at, BusinessDay, close)


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
    last = await running.fetchrow(LAST_DAY, cinema_id)
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
    sessions = [_total(row, await drawer_of(running, row)) for row in rows]
    return DayReport(
        cinema_id=cinema_id,
        cinema=cinema["name"],
        tax_number=cinema["tax_number"],
        business_date=day,
        number=1 if last is None else last["number"] + 1,
        currency=cinema["currency"],
        closed_at=act.at,
        closed_by=person_of(act),
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


def _day(row: Record) -> BusinessDay:
    report = msgspec.json.decode(row["report"], type=DayReport)
    return BusinessDay(report=report, digest=row["digest"], signature=row["signature"])
