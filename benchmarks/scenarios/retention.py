"""`retention`: whether what is done every second, and every ten minutes, stays as fast as it was.

A database of 10,000 showtimes and a large one lie in the same Postgres, both made by SQL with the
same number of events each; every statement is measured on one and the other in turn, over the real
store.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg

from benchmarks.results import Figures, Measurement, Outcome, Target
from benchmarks.session import Bench, Options, Scenario
from cinema.domain.showtime.state import NEVER_US
from cinema.storage.journal import STORED_REPLY, Append, NewEvent
from cinema.storage.journal_months import JournalMonths, Month, attached_months, bytes_of
from cinema.storage.journal_postgres import PostgresJournal
from cinema.storage.migrate import migrate
from cinema.storage.pool import open_pool
from cinema.storage.retention import BEGINNING, Retention

SMALL_SHOWTIMES = 10_000
EVENTS_EACH = 100
QUICK_ROWS = 2_000_000

MONTHS = 12
"""Months over which the showtimes were made."""

BATCH = 30
"""Showtimes in one append, each with an event."""

PAGE = 1000
"""Rows of one sweep, and showtimes of one round."""

OVERDUE = 2000
"""Holds that are due, whatever the size."""

REPEATS = 40
"""Measured groups of each statement and database in one run."""

SLOWDOWN = 1.2

SUMMARY = (
    f"appends, activations, sweeps and retention with {SMALL_SHOWTIMES:,} showtimes and with "
    f"many more, {EVENTS_EACH} events each"
)

MADE = """
create table made as
select n, (lpad(to_hex($1::bigint + (n * $2::bigint / $3::bigint)), 12, '0')
    || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid as id
from generate_series(1, $3::bigint) n
"""

HEADS = """
insert into showtime_heads (showtime_id, epoch, seq, next_due_at, released)
select id, 1, $1, case when n <= $2 then n end, true from made
"""

SNAPSHOTS = """
insert into showtime_snapshots (showtime_id, epoch, seq, payload)
select id, 1, $1, decode(repeat('ab', 400), 'hex') from made
"""

EVENTS = """
insert into showtime_journal (showtime_id, seq, epoch, recorded_at, payload)
select id, seq, 1, 1, decode(repeat('cd', 90), 'hex')
from made cross join generate_series(1, $1) seq where n between $2 and $3 order by n, seq
"""

ARCHIVE = """
insert into showtime_archive (showtime_id, key, kind, seq, epoch, layout_version, recorded_at,
    payload)
select id, decode(md5(n::text || k::text), 'hex'), 2, k, 1, 1, n * 10 + k, 'x'
from made cross join generate_series(1, 5) k
"""

# Half of them ended long ago and are done; the others ended lately, or are still to come.
KEPT = """
insert into kept_journals (showtime_id, ends_at)
select id, '2030-01-01'::timestamptz + n * interval '1 second' from made where n > $1
"""

EVENTS_AT_ONCE = 5_000_000


class Made:
    """A filled database, and the parts of a server that work on it."""

    def __init__(
        self, journal: PostgresJournal, pool: asyncpg.Pool, showtimes: int, ids: list[bytes]
    ) -> None:
        self.journal = journal
        self.lane = journal.lane()
        self.retention = Retention(pool)
        self.months = JournalMonths(pool)
        self.showtimes = showtimes
        self.ids = ids
        self._seqs = dict.fromkeys(ids, EVENTS_EACH)

    async def append(self) -> None:
        """One event for each of some showtimes."""
        chosen = sorted(random.sample(self.ids, BATCH))
        event = NewEvent(b"e" * 90, 1, NEVER_US, None)
        seqs = self._seqs
        batch = [Append(one, 1, seqs[one], seqs[one] + 1, [event]) for one in chosen]
        if len(await self.lane.append(batch)) != BATCH:
            raise RuntimeError("an append did not match")
        for one in chosen:
            seqs[one] += 1

    async def activate(self) -> None:
        """Load a cold showtime."""
        loaded = await self.journal.load(random.choice(self.ids))
        if loaded is None or loaded.snapshot is None:
            raise RuntimeError("a showtime could not be loaded")

    async def due(self) -> None:
        """Page through all holds that are due."""
        after, found = None, 0
        while page := await self.journal.due(OVERDUE, after, 500):
            after, found = page[-1], found + len(page)
        if found != OVERDUE:
            raise RuntimeError(f"{found} holds are due")

    async def sweep(self) -> None:
        """Delete a page of the archive."""
        if await self.journal.sweep_archive(STORED_REPLY, 2**62, 200) != 200:
            raise RuntimeError("the archive is empty")

    async def round(self) -> None:
        """Look for what ended, seal a page that is not ready (and so stays), look at the months."""
        before = datetime(2999, 1, 1, tzinfo=UTC)
        page = await self.retention.ended(before, BEGINNING, PAGE)
        if len(page) != PAGE:
            raise RuntimeError("nothing has ended")
        await self.retention.seal([showtime_id for _, showtime_id in page], BEGINNING[0])
        await self.months.let_go(BEGINNING[0] + timedelta(days=1))


@asynccontextmanager
async def made(bench: Bench, dsn: str, name: str, showtimes: int) -> AsyncIterator[Made]:
    """A database of so many showtimes, filled by SQL and analysed."""
    admin = await asyncpg.connect(dsn)
    await admin.execute(f"create database {name}")
    await admin.close()
    address = urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))
    await migrate(address)
    connection = await asyncpg.connect(address)
    first = Month.of(datetime.now(UTC) - timedelta(days=30 * MONTHS))
    begins, month = first.begins, first
    there = await attached_months(connection)
    while month < there[0]:
        bounds = f"from ('{month.first_id}') to ('{month.end_id}')"
        await connection.execute(
            f"create table {month.table} partition of showtime_journal for values {bounds}"
        )
        month = month.next
    first_ms = int.from_bytes(bytes_of(begins)[:6], "big")
    span_ms = int(datetime.now(UTC).timestamp() * 1000) - first_ms
    bench.say(f"retention: making {showtimes:,} showtimes")
    await connection.execute(MADE.replace("$1", str(first_ms)).replace("$2", str(span_ms))
                             .replace("$3", str(showtimes)))  # fmt: skip
    await connection.execute(HEADS, EVENTS_EACH, OVERDUE)
    await connection.execute(SNAPSHOTS, EVENTS_EACH)
    await connection.execute(ARCHIVE)
    await connection.execute(KEPT, showtimes // 2)
    step = EVENTS_AT_ONCE // EVENTS_EACH
    for start in range(1, showtimes + 1, step):
        bench.say(f"retention: {start * EVENTS_EACH:,} of {showtimes * EVENTS_EACH:,} events")
        await connection.execute(EVENTS, EVENTS_EACH, start, start + step - 1, timeout=3600)
    await connection.execute("vacuum analyze", timeout=3600)
    rows = await connection.fetch(
        "select id from made where n > $1 order by random() limit 5000", showtimes // 2
    )
    await connection.close()
    ids = [UUID(str(row[0])).bytes for row in rows]
    journal = await PostgresJournal.open(
        address, connections=2, statement_timeout_s=60.0, lock_timeout_s=5.0
    )
    pool = await open_pool(address, size=2, transaction_timeout_ms=60_000)
    try:
        yield Made(journal, pool, showtimes, ids)
    finally:
        await journal.close()
        pool.terminate()


async def timed_ms(work: Callable[[], Awaitable[None]]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    await work()
    return (time.perf_counter() - start) * 1000


async def run_retention(bench: Bench) -> Outcome:
    """Fill both, then measure each statement on one and the other in turn."""
    figures = Figures()
    options = bench.options
    rows = QUICK_ROWS if options.quick else options.rows
    targets = []
    async with bench.cinema() as server:
        dsn = server.postgres.dsn
        async with (
            made(bench, dsn, "retention_small", SMALL_SHOWTIMES) as small,
            made(bench, dsn, "retention_large", rows // EVENTS_EACH) as large,
        ):
            for name in ("append", "activate", "due", "sweep", "round"):
                bench.say(f"retention: {name}")
                for one in (small, large):
                    for _ in range(5):
                        await getattr(one, name)()
                for _ in range(options.runs):
                    taken: dict[str, list[float]] = {"small": [], "large": []}
                    for _ in range(REPEATS):
                        subjects = [("small", small), ("large", large)]
                        random.shuffle(subjects)
                        for subject, one in subjects:
                            taken[subject].append(await timed_ms(partial(_call, one, name)))
                    for subject, values in taken.items():
                        middle = sorted(values)[len(values) // 2]
                        figures.add(subject, name, "ms", Measurement(value=middle))
                    bench.step()
                ratio = figures.of("large", name).median / figures.of("small", name).median
                targets.append(
                    Target(
                        text=f"{name} with {rows:,} events, against {SMALL_SHOWTIMES:,} showtimes",
                        unit="x",
                        wanted=SLOWDOWN,
                        measured=ratio,
                        at_least=False,
                    )
                )
    return Outcome(
        scenario="retention",
        summary=SUMMARY,
        figures=figures.all(),
        targets=targets,
        notes=[f"large: {rows:,} events of {rows // EVENTS_EACH:,} showtimes over {MONTHS} months"],
        problems=figures.problems,
    )


async def _call(one: Made, name: str) -> None:
    await getattr(one, name)()
    await asyncio.sleep(0)


def steps(options: Options) -> int:
    return 5 * options.runs


RETENTION = Scenario(name="retention", summary=SUMMARY, steps=steps, run=run_retention)
