"""Databases of many showtimes, filled by SQL as if they had been sold for a year."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg
import msgspec

from benchmarks.session import Bench
from cinema.storage.database.migrate import migrate
from cinema.storage.journal.months import Month, attached_months, bytes_of

EVENTS_EACH = 100
"""Events of each showtime; its snapshot replaces all of them."""

MONTHS = 12
"""Months over which the showtimes were made."""

IN_USE = 500
"""Showtimes that appends and activations are about, whatever the size: what grows is what lies
there, not what is sold at a time. They are few enough to be in Postgres' memory once touched."""

EVENTS_AT_ONCE = 5_000_000

_MADE = """
create table made as
select n, (lpad(to_hex({first_ms} + n * {span_ms}::bigint / {showtimes}), 12, '0')
    || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid as id
from generate_series(1, {showtimes}) n
"""

_HEADS = """
insert into showtime_heads (showtime_id, epoch, seq, next_due_at, released)
select id, 1, $1, case when n <= $2 then n end, true from made order by n
"""

_SNAPSHOTS = """
insert into showtime_snapshots (showtime_id, epoch, seq, payload)
select id, 1, $1, decode(repeat('ab', 400), 'hex') from made order by n
"""

# Made long after what a round of housekeeping deletes.
_ARCHIVE = """
insert into showtime_archive (showtime_id, key, kind, seq, epoch, layout_version, recorded_at,
    payload)
select id, decode(md5(n::text || k::text), 'hex'), 2, k, 1, 1, $1::bigint + n * 10 + k, 'x'
from (select * from made order by n) made cross join lateral generate_series(1, 5) k
"""

# Half of them are done with; of the others, one ends each millisecond.
_KEPT = """
insert into kept_journals (showtime_id, ends_at)
select id, $1::timestamptz + n * interval '1 millisecond' from made where n > $2 order by n
"""

# In the order of the key, and without a sort.
_EVENTS = """
insert into showtime_journal (showtime_id, seq, epoch, recorded_at, payload)
select id, seq, 1, 1, decode(repeat('cd', 90), 'hex')
from (select * from made where n between $2 and $3 order by n) made
cross join lateral generate_series(1, $1) seq
"""

_LAST_IDS = "select id from made where n > $1 order by random() limit $2"

_BYTES = """
select sum(pg_total_relation_size(c.oid))::float8 from pg_class c where c.relkind in ('r', 'p')
    and c.relname ~ $1
"""


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """A filled database: where it is, what is in it, and what of it no measure deletes."""

    dsn: str
    showtimes: int
    ids: list[bytes]
    first: Month
    journal_bytes: float
    all_bytes: float

    def ended_before(self, count: int) -> datetime:
        """A moment before which exactly so many have ended that keep their events."""
        return self.first.begins + timedelta(
            milliseconds=self.showtimes // 2 + count, microseconds=1
        )


@asynccontextmanager
async def filled(
    bench: Bench, dsn: str, name: str, showtimes: int, overdue: int
) -> AsyncIterator[Filled]:
    """A database of so many showtimes, of which the first `overdue` have a hold that is due."""
    admin = await asyncpg.connect(dsn)
    await admin.execute(f"create database {name}")
    await admin.close()
    address = urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))
    await migrate(address)
    connection = await asyncpg.connect(address)
    try:
        yield await _fill(bench, connection, address, showtimes, overdue)
    finally:
        await connection.close()


async def _fill(
    bench: Bench,
    connection: "asyncpg.Connection[asyncpg.Record]",
    address: str,
    showtimes: int,
    overdue: int,
) -> Filled:
    first = Month.of(datetime.now(UTC) - timedelta(days=30 * MONTHS))
    await _add_months(connection, first)
    first_ms = int.from_bytes(bytes_of(first.begins)[:6], "big")
    span_ms = int(datetime.now(UTC).timestamp() * 1000) - first_ms
    bench.say(f"making {showtimes:,} showtimes")
    await connection.execute(
        _MADE.format(first_ms=first_ms, span_ms=span_ms, showtimes=showtimes), timeout=600
    )
    last_us = int(datetime(2200, 1, 1, tzinfo=UTC).timestamp() * 1_000_000)
    await connection.execute(_HEADS, EVENTS_EACH, overdue, timeout=600)
    await connection.execute(_SNAPSHOTS, EVENTS_EACH, timeout=600)
    await connection.execute(_ARCHIVE, last_us, timeout=1200)
    await connection.execute(_KEPT, first.begins, showtimes // 2, timeout=600)
    step = EVENTS_AT_ONCE // EVENTS_EACH
    for start in range(1, showtimes + 1, step):
        bench.say(f"{start * EVENTS_EACH:,} of {showtimes * EVENTS_EACH:,} events")
        await connection.execute(_EVENTS, EVENTS_EACH, start, start + step - 1, timeout=1200)
    bench.say(f"looking over {showtimes * EVENTS_EACH:,} events")
    await connection.execute("vacuum analyze", timeout=1200)
    await connection.execute("checkpoint", timeout=600)
    ids = await connection.fetch(_LAST_IDS, showtimes * 3 // 4, IN_USE)
    return Filled(
        dsn=address,
        showtimes=showtimes,
        ids=[UUID(str(row[0])).bytes for row in ids],
        first=first,
        journal_bytes=await connection.fetchval(_BYTES, "^showtime_journal_"),
        all_bytes=await connection.fetchval("select pg_database_size(current_database())::float8"),
    )


async def _add_months(connection: "asyncpg.Connection[asyncpg.Record]", month: Month) -> None:
    there = await attached_months(connection)
    while month < there[0]:
        await connection.execute(
            f"create table {month.table} partition of showtime_journal "
            f"for values from ('{month.first_id}') to ('{month.end_id}')"
        )
        month = month.next
