"""`retention`: whether what is done every second, and every ten minutes, stays as fast as it was.

A database of 10,000 showtimes and a large one lie in the same Postgres, both made by SQL with the
same number of events each; every statement is measured on one and the other in turn, over the real
store. The processor time is that of the connections' backends: other things that run make the
time longer, that hardly.
"""

import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from benchmarks.filled import EVENTS_EACH, MONTHS, Filled, filled
from benchmarks.query_plans import Plan, plan_of
from benchmarks.results import Figures, Measurement, Outcome, Target
from benchmarks.session import Bench, Options, Scenario
from cinema.actors.timers import DueSweep
from cinema.domain.limits import DUE_SWEEP_PAGE, DUE_SWEEP_PAGES, DUE_SWEEP_S
from cinema.domain.showtime.state import NEVER_US
from cinema.jobs.housekeeping import Housekeeping
from cinema.storage.database.pool import open_pool
from cinema.storage.journal import sql
from cinema.storage.journal.branches import NO_BRANCHES
from cinema.storage.journal.postgres import (
    LANE_SETTINGS,
    POOL_SETTINGS,
    PostgresJournal,
    append_call,
)
from cinema.storage.journal.store import STORED_REPLY, Append, NewEvent

SMALL_SHOWTIMES = 10_000
QUICK_ROWS = 2_000_000

BATCH = 30
"""Showtimes in one append, each with an event."""

PAGE = 1000
"""Showtimes that one round seals."""

OVERDUE = 2000
"""Showtimes with a hold that is due, whatever the size."""

FEW_OVERDUE, MANY_OVERDUE = 1000, 100_000
"""The same beside each other in the large database, or as many as that has."""

REPEATS = 40
"""Measured groups of each statement and database in one run."""

SLOWDOWN = 1.2
SWEEP_MS = 250.0
"""Half the time between two sweeps."""

RETENTION_DAYS = 90

SUMMARY = (
    f"appends, activations, sweeps and retention with {SMALL_SHOWTIMES:,} showtimes and with "
    f"many more, {EVENTS_EACH} events each"
)

_BACKENDS = "select pid from pg_stat_activity where datname = current_database() and pid <> $1"

_KEPT_AGAIN = """
insert into kept_journals (showtime_id, ends_at)
select id, $1::timestamptz + n * interval '1 millisecond' from made
where n > $2 and n <= $3 on conflict do nothing
"""


class Clock:
    """Stands where it is put."""

    def __init__(self, now_us: int) -> None:
        self._now_us = now_us

    def now_us(self) -> int:
        return self._now_us

    def boot_ns(self) -> int:
        """As it runs: turns of a sweep are as long as on a node."""
        return time.monotonic_ns()


class NoKernel:
    """Stands for the node of a housekeeping whose showtimes nobody has in memory."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    async def truncate(self, _showtime_id: bytes) -> None:
        raise RuntimeError("a showtime was not sealed")


class Subject:
    """A filled database, and the parts of a server that work on it."""

    def __init__(
        self,
        name: str,
        data: Filled,
        journal: PostgresJournal,
        pool: "asyncpg.Pool[asyncpg.Record]",
    ) -> None:
        self.name = name
        self.data = data
        self.journal = journal
        self.lane = journal.lane()
        self._pool = pool
        self._seqs = dict.fromkeys(data.ids, EVENTS_EACH)
        self._before = data.ended_before(PAGE)
        now = self._before + timedelta(days=RETENTION_DAYS)
        dispatch: Any = NoKernel(Clock(int(now.timestamp() * 1_000_000)))
        self._housekeeping = Housekeeping(journal, pool, dispatch, RETENTION_DAYS, {})
        self.pids: list[int] = []

    async def find_backends(self) -> None:
        """Learn which processes of Postgres work for this."""
        connection = await asyncpg.connect(self.data.dsn)
        rows = await connection.fetch(_BACKENDS, connection.get_server_pid())
        await connection.close()
        self.pids = [row[0] for row in rows]

    def batch(self) -> list[Append]:
        """One event for each of some showtimes."""
        chosen = sorted(random.sample(self.data.ids, BATCH))
        event = NewEvent(b"e" * 90, 1, NEVER_US, None)
        seqs = self._seqs
        return [Append(one, 1, seqs[one], seqs[one] + 1, [event]) for one in chosen]

    async def append(self) -> None:
        batch = self.batch()
        if len(await self.lane.append(batch)) != BATCH:
            raise RuntimeError("an append did not match")
        for part in batch:
            self._seqs[part.showtime_id] += 1

    async def touch(self) -> None:
        """Bring the showtimes in use into Postgres' memory."""
        for showtime_id in self.data.ids:
            await self.journal.load(showtime_id)

    async def activate(self) -> None:
        """Load a cold showtime."""
        loaded = await self.journal.load(random.choice(self.data.ids))
        if loaded is None or loaded.snapshot is None:
            raise RuntimeError("a showtime could not be loaded")

    async def due(self) -> None:
        """Look through all holds that are due, whose showtimes are in memory."""
        await self.sweeping(OVERDUE, resident=True).sweep()

    def sweeping(self, overdue: int, *, resident: bool) -> DueSweep:
        """A look for holds that sees so many of them due."""
        clock: Any = Clock(overdue - int(2 * DUE_SWEEP_S * 1_000_000))
        return DueSweep(self.journal, clock, lambda _: not resident)

    async def archive(self) -> None:
        """Delete a page of the archive."""
        if await self.journal.sweep_archive(STORED_REPLY, 2**62, 200) != 200:
            raise RuntimeError("the archive is empty")

    async def round(self) -> None:
        """A round of housekeeping in which the journals of a thousand showtimes are sealed."""
        await self._housekeeping.round()

    async def restore(self) -> None:
        """Take back what a round did."""
        done = self.data.showtimes // 2
        status = await self._pool.execute(
            _KEPT_AGAIN, self.data.first.begins, done, done + PAGE, timeout=60
        )
        if status not in {"INSERT 0 0", f"INSERT 0 {PAGE}"}:
            raise RuntimeError(f"a round did not seal {PAGE}: {status}")

    async def plans(self) -> dict[str, Plan]:
        """What Postgres does for each statement, as the connections that send it get it."""
        dsn = self.data.dsn
        append, values = append_call(self.batch(), NO_BRANCHES)
        some = random.choice(self.data.ids)
        first = (-(2**63), UUID(int=0))
        kept = await self._pool.fetch(
            "select showtime_id from kept_journals order by ends_at limit $1", PAGE
        )
        sealing = [[row[0] for row in kept], self._before]
        begin = self.data.first.begins
        return {
            "append": await plan_of(dsn, LANE_SETTINGS, append, values),
            "activate": await plan_of(dsn, POOL_SETTINGS, sql.LOAD, [UUID(bytes=some)]),
            "due": await plan_of(dsn, POOL_SETTINGS, sql.DUE, [OVERDUE, *first, DUE_SWEEP_PAGE]),
            "archive": await plan_of(
                dsn, POOL_SETTINGS, sql.SWEEP_ARCHIVE, [STORED_REPLY, 2**62, 200]
            ),
            "round: ended": await plan_of(
                dsn, POOL_SETTINGS, sql.ENDED, [self._before, begin, UUID(int=0), PAGE]
            ),
            "round: seal": await plan_of(dsn, POOL_SETTINGS, sql.SEAL, sealing),
        }


class Taken(msgspec.Struct, frozen=True):
    """How long something took, and how long the backends were busy with it."""

    ms: float
    cpu_us: float


@asynccontextmanager
async def subject(name: str, data: Filled) -> AsyncIterator[Subject]:
    """What works on a filled database."""
    journal = await PostgresJournal.open(
        data.dsn, connections=1, statement_timeout_s=60.0, lock_timeout_s=5.0
    )
    pool = await open_pool(data.dsn, size=2, transaction_timeout_ms=60_000)
    opened = Subject(name, data, journal, pool)
    try:
        yield opened
    finally:
        await opened.lane.close()
        await journal.close()
        pool.terminate()


async def taken_by(one: Subject, work: Callable[[], Awaitable[None]]) -> Taken:
    """Carry something out and look at the clocks."""
    before_ns = sum(map(_cpu_ns, one.pids))
    start = time.perf_counter()
    await work()
    ms = (time.perf_counter() - start) * 1000
    return Taken(ms, (sum(map(_cpu_ns, one.pids)) - before_ns) / 1000)


def _cpu_ns(pid: int) -> int:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


MEASURES = ("append", "activate", "due", "archive", "round")


async def run_retention(bench: Bench) -> Outcome:
    """Fill both, then measure each statement on one and the other in turn."""
    figures = Figures()
    rows = QUICK_ROWS if bench.options.quick else bench.options.rows
    many = min(MANY_OVERDUE, rows // EVENTS_EACH)
    targets: list[Target] = []
    notes: list[str] = []
    async with bench.cinema() as server:
        dsn = server.postgres.dsn
        async with (
            filled(bench, dsn, "retention_small", SMALL_SHOWTIMES, OVERDUE) as small_data,
            filled(bench, dsn, "retention_large", rows // EVENTS_EACH, many) as large_data,
            subject("small", small_data) as small,
            subject("large", large_data) as large,
        ):
            notes.append(_sizes(large_data))
            targets.append(await compare_plans(small, large, notes))
            for name in MEASURES:
                await measure(bench, figures, name, [small, large])
                targets += _targets(figures, name, rows)
            targets += await measure_sweeps(bench, figures, large, many)
    return Outcome(
        scenario="retention",
        summary=SUMMARY,
        figures=figures.all(),
        targets=targets,
        notes=notes,
        problems=figures.problems,
    )


async def measure(bench: Bench, figures: Figures, name: str, subjects: list[Subject]) -> None:
    """Some runs of one measure, the databases in turn."""
    bench.say(f"retention: {name}")
    for one in subjects:
        await one.touch()
        for _ in range(8):
            await getattr(one, name)()
            await one.restore()
        await one.find_backends()
    for _ in range(bench.options.runs):
        taken: dict[str, list[Taken]] = {one.name: [] for one in subjects}
        for _ in range(REPEATS):
            random.shuffle(subjects)
            for one in subjects:
                taken[one.name].append(await taken_by(one, getattr(one, name)))
                await one.restore()
        for subject_name in sorted(taken, reverse=True):
            figures.add(subject_name, name, "ms", _middle(taken[subject_name]))
        bench.step()


async def measure_sweeps(bench: Bench, figures: Figures, large: Subject, many: int) -> list[Target]:
    """Sweeps with few and with many overdue: each is bounded, and a pass reads each row once."""
    bench.say("retention: sweeps of many that are overdue")
    targets = []
    for resident in (False, True):
        where = "in memory" if resident else "to be woken"
        for _ in range(bench.options.runs):
            for overdue in (FEW_OVERDUE, many):
                sweep = large.sweeping(overdue, resident=resident)
                rows = DUE_SWEEP_PAGE * (DUE_SWEEP_PAGES if resident else 1)
                taken = [await taken_by(large, sweep.sweep) for _ in range(max(1, overdue // rows))]
                figures.add(f"{overdue:,} overdue", f"sweep, {where}", "ms", _middle(taken))
                longest = Measurement(value=max(one.ms for one in taken))
                figures.add(f"{overdue:,} overdue", f"longest, {where}", "ms", longest)
            bench.step()
        figure = figures.of(f"{many:,} overdue", f"sweep, {where}")
        targets.append(
            _at_most(f"a sweep, {many:,} overdue {where}", "ms", SWEEP_MS, figure.median)
        )
    return targets


async def compare_plans(small: Subject, large: Subject, notes: list[str]) -> Target:
    """Whether Postgres does the same for both; says what, and how many pages it touches."""
    of_small, of_large = await small.plans(), await large.plans()
    different = 0
    for name, plan in of_small.items():
        other = of_large[name]
        pages = f"{plan.pages:,} and {other.pages:,} pages"
        if plan.steps == other.steps:
            notes.append(f"plan of {name}: {plan}; {pages}")
        else:
            different += 1
            notes.append(f"plan of {name} differs: {plan}; large: {other}; {pages}")
    return _at_most("plans that differ between the databases", "", 0, different)


def _sizes(data: Filled) -> str:
    rows = data.showtimes * EVENTS_EACH
    each_mb = data.journal_bytes / rows
    return (
        f"large: {rows:,} events of {data.showtimes:,} showtimes over {MONTHS} months; "
        f"{each_mb:.0f} MB a million events, {data.all_bytes / 1e9:.1f} GB in all"
    )


def _targets(figures: Figures, name: str, rows: int) -> list[Target]:
    small, large = figures.of("small", name), figures.of("large", name)
    against = f"{name} with {rows:,} events, against {SMALL_SHOWTIMES:,} showtimes"
    cpu = [one.cpu_us("postgres") or 1.0 for one in (large, small)]
    return [
        _at_most(f"{against}: time", "x", SLOWDOWN, large.median / small.median),
        _at_most(f"{against}: processor time of Postgres", "x", SLOWDOWN, cpu[0] / cpu[1]),
    ]


def _at_most(text: str, unit: str, wanted: float, measured: float) -> Target:
    return Target(text=text, unit=unit, wanted=wanted, measured=measured, at_least=False)


def _middle(taken: list[Taken]) -> Measurement:
    return Measurement(
        value=median(one.ms for one in taken),
        cpu_us={"postgres": median(one.cpu_us for one in taken)},
    )


def steps(options: Options) -> int:
    return (len(MEASURES) + 2) * options.runs


RETENTION = Scenario(name="retention", summary=SUMMARY, steps=steps, run=run_retention)
