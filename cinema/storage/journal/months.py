"""The months of the journal: tables made ahead, and dropped whole when their events are not needed.

A month holds the events of the showtimes whose ids were made in it. It is dropped when each of
these has ended, is past its retention and is replaced by its snapshot (`kept_journals` names the
others). A few late showtimes do not keep a month: their events are copied into a smaller table,
which then takes its place. Everything is one transaction or can be started again, and one node at a
time does it. Every commit needs the lock on the journal. So it is asked for with a short timeout
and held for moments; a node that cannot get it tries again.
"""

from __future__ import annotations

import asyncio
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg
import msgspec
import structlog
from asyncpg.pgproto.pgproto import UUID

from cinema.storage.database.pool import AnyConnection
from cinema.storage.database.transactions import Pool, whole_session
from cinema.storage.database.transactions import connection as borrowed

# ruff: noqa: S608  (names of tables are made here, of numbers alone)

JOURNAL_MONTH_ADDED: Final = "journal_month_added"
JOURNAL_MONTH_DROPPED: Final = "journal_month_dropped"
JOURNAL_MONTH_SLIMMED: Final = "journal_month_slimmed"
JOURNAL_MONTH_POSTPONED: Final = "journal_month_postponed"

MONTHS_AHEAD: Final = 3
"""Months that are there before they begin: longer than any server is away."""

LATE_AFTER: Final = timedelta(days=62)
"""What a month is given beyond its retention until late showtimes are moved out of its way: most
showtimes are scheduled less than two months ahead."""

LATE_SHOWTIMES_LIMIT: Final = 500
"""More late ones than this are waited for: all commits wait while their last events are copied."""

COPIED_AT_ONCE: Final = 5000
"""Events one statement copies out of a month, so that none runs long."""

STRAY_BYTES_LIMIT: Final = 64 << 20
"""How much may lie outside of all months when one is attached: Postgres reads it, commits wait."""

QUIET_LOCK: Final = "3s"
"""Wait for a lock that no commit needs; autovacuum lets go of it after a second."""

SHORT_LOCK: Final = "50ms"
"""Wait for a lock that every commit needs: they wait behind us as long."""

ATTEMPTS: Final = 10
PAUSE_S: Final = 0.5
"""Tries at such a lock in one round; the next round continues."""

_LOCK_KEY: Final = 0x6A6F75726E616C
"""Any constant will do that nothing else in the database locks on."""

_NAME: Final = re.compile(r"showtime_journal_(\d{4})_(\d{2})(_late)?")

_KIND: Final = "select relkind::text from pg_class where oid = to_regclass('showtime_journal')"

_NAMES: Final = """
select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = 'showtime_journal'::regclass order by c.relname"""

_LATE: Final = """
select showtime_id from kept_journals where showtime_id >= $1 and showtime_id < $2
order by showtime_id limit $3"""

_STRAYS: Final = "select pg_relation_size('showtime_journal_default')"

log = structlog.get_logger(__name__)


class NotPartitioned(Exception):
    """The journal is a table of a build before the first release."""


class Month(msgspec.Struct, frozen=True, order=True):
    """A month of ids, in UTC; `slim` if its table holds only what was late."""

    year: int
    number: int
    slim: bool = False

    @classmethod
    def of(cls, moment: datetime) -> Month:
        """The month of a moment."""
        moment = moment.astimezone(UTC)
        return cls(moment.year, moment.month)

    @property
    def next(self) -> Month:
        """The one after it."""
        return Month(self.year + self.number // 12, self.number % 12 + 1)

    @property
    def begins(self) -> datetime:
        """Its first moment."""
        return datetime(self.year, self.number, 1, tzinfo=UTC)

    @property
    def ends(self) -> datetime:
        """The first moment after it."""
        return self.next.begins

    @property
    def first_id(self) -> UUID:
        """No id of the month is smaller: a UUIDv7 begins with its moment, in milliseconds."""
        return UUID(bytes_of(self.begins))

    @property
    def end_id(self) -> UUID:
        """All ids of the month are smaller."""
        return UUID(bytes_of(self.ends))

    @property
    def table(self) -> str:
        """The name of its table."""
        late = "_late" if self.slim else ""
        return f"showtime_journal_{self.year:04}_{self.number:02}{late}"


def bytes_of(moment: datetime) -> bytes:
    """The smallest id made at a moment."""
    return int(moment.timestamp() * 1000).to_bytes(6, "big") + bytes(10)


def outside(months: Sequence[Month], showtime_ids: Iterable[bytes]) -> list[bytes]:
    """The ids that are of none of these months, which come in order."""
    firsts = [month.first_id.bytes for month in months]
    ends = [month.end_id.bytes for month in months]
    found = []
    for one in showtime_ids:
        place = bisect_right(firsts, one) - 1
        if place < 0 or one >= ends[place]:
            found.append(one)
    return found


async def attached_months(connection: AnyConnection) -> list[Month]:
    """The months that have a table, in order."""
    names = [_NAME.fullmatch(row[0]) for row in await connection.fetch(_NAMES)]
    return sorted(Month(int(one[1]), int(one[2]), one[3] is not None) for one in names if one)


async def make_months(connection: AnyConnection) -> None:
    """Make the tables of this month and the next ones; does nothing where there is no journal.

    A month that cannot be made now is made next time: until then its events are outside of all
    months. Raises `NotPartitioned`.
    """
    kind = await connection.fetchval(_KIND)
    if kind is None:
        return
    if kind != "p":
        raise NotPartitioned("the database was made by a build before the first release")
    month = Month.of(await connection.fetchval("select now()"))
    there = {(one.year, one.number) for one in await attached_months(connection)}
    for _ in range(MONTHS_AHEAD + 1):
        if (month.year, month.number) not in there:
            await _patiently(month, _Adding(connection, month))
        month = month.next


class _Adding:
    """Makes a month's table, with what has strayed of it."""

    def __init__(self, connection: AnyConnection, month: Month) -> None:
        self._connection = connection
        self._month = month

    async def __call__(self) -> bool:
        connection, month = self._connection, self._month
        async with connection.transaction():
            await _begin(connection)
            await connection.execute(
                "lock table showtime_journal_default in share row exclusive mode"
            )
            if month.table in {row[0] for row in await connection.fetch(_NAMES)}:
                return True  # somebody else was faster
            if await connection.fetchval(_STRAYS) > STRAY_BYTES_LIMIT:
                return False
            await _create(connection, month)
            await connection.execute(
                f"with strayed as (delete from showtime_journal_default where {_bounds(month)} "
                f"returning *) insert into {month.table} select * from strayed"
            )
            await connection.execute(f"set local lock_timeout = '{SHORT_LOCK}'")
            await connection.execute(attach(month))
        log.debug(JOURNAL_MONTH_ADDED, month=month.table)
        return True


class JournalMonths:
    """Keeps the journal's months for a node; see `make_months` and `let_go`.

    `sessions` are connections that keep their session: a lock is in it.
    """

    def __init__(self, sessions: Pool) -> None:
        self._sessions = sessions

    async def make(self) -> None:
        """See `make_months`; leaves it to another node that is at it."""
        async with whole_session(self._sessions) as connection:
            if await self._alone(connection):
                await make_months(connection)

    async def attached(self) -> list[Month]:
        """The months that have a table, in order."""
        async with borrowed(self._sessions) as connection:
            return await attached_months(connection)

    async def let_go(self, ended_before: datetime) -> None:
        """Drop the months nobody needs, and move late showtimes out of those few need.

        `ended_before` is where retention ends: showtimes that ended before it need no events.
        """
        async with whole_session(self._sessions) as connection:
            if not await self._alone(connection):
                return
            for month in await attached_months(connection):
                if month.ends > ended_before:
                    return
                late = await _late(connection, month)
                if not late:
                    await _patiently(month, _Dropping(connection, month))
                elif (
                    not month.slim
                    and month.ends <= ended_before - LATE_AFTER
                    and len(late) <= LATE_SHOWTIMES_LIMIT
                ):
                    await copy_rows(connection, month, late)
                    await _patiently(month, _Exchanging(connection, month))

    async def _alone(self, connection: AnyConnection) -> bool:
        """Whether no other node is at it; the lock ends with the session."""
        return bool(await connection.fetchval("select pg_try_advisory_lock($1)", _LOCK_KEY))


class _Dropping:
    """Drops a month, unless another showtime has become late meanwhile."""

    def __init__(self, connection: AnyConnection, month: Month) -> None:
        self._connection = connection
        self._month = month

    async def __call__(self) -> bool:
        connection, month = self._connection, self._month
        async with connection.transaction():
            await _lock(connection, month)
            # Whoever is taken over from now on appends behind our lock, outside of all months.
            if await _late(connection, month):
                return True
            await connection.execute(f"drop table {month.table}")
        log.info(JOURNAL_MONTH_DROPPED, month=month.table)
        return True


class _Exchanging:
    """Puts the copy of what is late into the place of a month."""

    def __init__(self, connection: AnyConnection, month: Month) -> None:
        self._connection = connection
        self._month = month

    async def __call__(self) -> bool:
        connection, month = self._connection, self._month
        slim = msgspec.structs.replace(month, slim=True)
        async with connection.transaction():
            await _lock(connection, month)
            if await connection.fetchval(_STRAYS) > STRAY_BYTES_LIMIT:
                return False
            late = await _late(connection, month)
            if len(late) > LATE_SHOWTIMES_LIMIT:
                return True
            # What was appended since, and all of who became late since.
            await connection.execute(_copying(month, slim, "", "order by j.seq"), late)
            await connection.execute(f"drop table {month.table}")
            await connection.execute(attach(slim))
        log.info(JOURNAL_MONTH_SLIMMED, month=month.table, showtimes=len(late))
        return True


async def copy_rows(connection: AnyConnection, month: Month, late: Iterable[UUID]) -> None:
    """Copy what is late into a table of its own, in steps; an unfinished copy is started again."""
    slim = msgspec.structs.replace(month, slim=True)
    async with connection.transaction():
        await connection.execute(f"drop table if exists {slim.table}")
        await _create(connection, slim)
    step = _copying(month, slim, "returning 1", f"order by j.seq limit {COPIED_AT_ONCE}")
    for showtime_id in late:
        while len(await connection.fetch(step, [showtime_id])) == COPIED_AT_ONCE:
            pass


def _copying(month: Month, slim: Month, returning: str, how: str) -> str:
    """Copies events of showtimes ($1) that are not in the copy yet; they never change."""
    return f"""
insert into {slim.table}
select missing.* from unnest($1::uuid[]) as late (showtime_id)
cross join lateral (
    select coalesce(max(c.seq), 0) as seq from {slim.table} c
    where c.showtime_id = late.showtime_id
) as copied
cross join lateral (
    select j.* from {month.table} j
    where j.showtime_id = late.showtime_id and j.seq > copied.seq {how}
) as missing
{returning}"""


async def _late(connection: AnyConnection, month: Month) -> list[UUID]:
    """The month's showtimes that still need their events, one more than are moved at most."""
    rows = await connection.fetch(_LATE, month.first_id, month.end_id, LATE_SHOWTIMES_LIMIT + 1)
    return [row[0] for row in rows]


async def _begin(connection: AnyConnection) -> None:
    await connection.execute(f"set local lock_timeout = '{QUIET_LOCK}'")


async def _lock(connection: AnyConnection, month: Month) -> None:
    """Get ready to take a month away: first what no commit needs, then the journal itself."""
    await _begin(connection)
    await connection.execute(f"lock table {month.table} in share row exclusive mode")
    await connection.execute(f"set local lock_timeout = '{SHORT_LOCK}'")
    await connection.execute("lock table only showtime_journal in access exclusive mode")


async def _create(connection: AnyConnection, month: Month) -> None:
    """Make a table that can become the month without being read: its check says what is in it."""
    await connection.execute(
        f"create table {month.table} (like showtime_journal including all, "
        f"constraint {month.table}_ids check ({_bounds(month)}))"
    )


def attach(month: Month) -> str:
    return (
        f"alter table showtime_journal attach partition {month.table} "
        f"for values from ('{month.first_id}') to ('{month.end_id}')"
    )


def _bounds(month: Month) -> str:
    return f"showtime_id >= '{month.first_id}' and showtime_id < '{month.end_id}'"


async def _patiently(month: Month, work: _Adding | _Dropping | _Exchanging) -> None:
    """Try a bounded number of times to get the locks; the next round tries again."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            done = await work()
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            if attempt < ATTEMPTS:
                await asyncio.sleep(PAUSE_S)
            continue
        if done:
            return
        break
    log.warning(JOURNAL_MONTH_POSTPONED, month=month.table)
