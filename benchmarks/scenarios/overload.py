"""`overload`: three times what the server can do, and a disk that slows down."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from benchmarks.house import House, Screen
from benchmarks.load.specs import Crowd, Filling, HoldLoad, Latencies, Report, Window
from benchmarks.results import Figures, Measurement, Outcome, Target, measurement
from benchmarks.scenarios.holds import CONNECTIONS, CUSTOMERS
from benchmarks.server import HOST, Server
from benchmarks.session import Bench, Options, Scenario, checkpoint
from benchmarks.stage import BUDGET_PER_S, Stage, cinema_stage, showtimes_needed

OFFERED = 3.0
"""Times the highest rate."""

OVERLOAD_S = 30.0
QUICK_S = 5.0

GOODPUT = 0.8
ACCEPTED_P99_MS = 1000.0
REFUSED_P99_MS = 50.0

CUSTOMERS_AT_ONCE = 4_096
"""Connections of the crowd, each with one request at a time."""

ROWS, COLUMNS = 50, 100

TOUCHING_S = 120.0
"""The longest that bringing the showtimes of a crowd into memory may take."""

SLOW_COMMIT_S = 1.0
SLOW_RATE_PER_S = 1_000.0
SLOW_S = 10.0

SUMMARY = "three times the highest rate for 30 s, and commits that take a second each"

SLOW = f"""
create function slow_disk() returns trigger language plpgsql as
    $$ begin perform pg_sleep({SLOW_COMMIT_S}); return null; end $$;
create trigger slow_disk before insert on showtime_journal
    for each statement execute function slow_disk();
"""


@asynccontextmanager
async def slow_disk(dsn: str) -> AsyncIterator[None]:
    """Each append takes a second inside; nothing may append when it begins or ends."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(SLOW)
        yield
        await connection.execute("drop function slow_disk cascade")
    finally:
        await connection.close()


class OverloadRuns:
    """The parts of the scenario on one server."""

    def __init__(self, bench: Bench, server: Server, house: House, screen: Screen) -> None:
        self._bench = bench
        self._server = server
        self._house = house
        self._screen = screen
        self.figures = Figures()
        self.overload_s = QUICK_S if bench.options.quick else OVERLOAD_S

    async def stage(self) -> Stage:
        """As many showtimes for each part, so that only the rate differs."""
        self._bench.say("overload: making showtimes")
        seats = BUDGET_PER_S["cinema"] * (self._bench.options.warmup_s + self.overload_s)
        count = showtimes_needed(seats, len(self._screen.labels))
        stage = await cinema_stage(self._house, self._screen, count)
        await checkpoint(self._server.postgres.dsn)
        return stage

    async def highest(self) -> None:
        """A run of the closed loop."""
        stage = await self.stage()
        load = HoldLoad(
            host=HOST,
            port=self._server.port,
            window=self._bench.window(self._server.observed),
            connections=CONNECTIONS,
            showtimes=stage.showtimes,
            labels=stage.labels,
            tokens=self._house.tokens,
            order="spread",
        )
        report = await self._bench.load(load, "overload: the highest rate")
        self.figures.add("closed loop", "holds", "/s", measurement(report, ["201"]))

    async def touched(self, subject: str) -> Stage:
        """New showtimes with a hold on the last seat: a crowd comes to those that are in memory.

        A closed loop has them there within its warm-up. A crowd has not, as each activation takes
        several steps of a full loop: how long is another question, which `residents` asks.
        """
        stage = await self.stage()
        load = Filling(
            host=HOST,
            port=self._server.port,
            window=Window(warmup_s=0.0, seconds=TOUCHING_S),
            connections=CONNECTIONS,
            showtimes=stage.showtimes,
            labels=stage.labels[-1:],
            tokens=self._house.tokens,
            live_holds=1,
            requests=1,
            seats_each=1,
        )
        report = await self._bench.load(load, f"overload: {subject}, showtimes into memory")
        if report.dropped or not report.exhausted:
            self.figures.problem(f"{subject}: not all showtimes are in memory: {report.outcomes}")
        return stage

    async def crowd(self, stage: Stage, subject: str, rate_per_s: float, seconds: float) -> Report:
        """A run of the crowd."""
        load = Crowd(
            host=HOST,
            port=self._server.port,
            window=self._bench.window(self._server.observed, seconds),
            connections=CUSTOMERS_AT_ONCE,
            showtimes=stage.showtimes,
            labels=stage.labels[:-1],
            tokens=self._house.tokens,
            order="spread",
            rate_per_s=rate_per_s,
        )
        report = await self._bench.load(load, f"overload: {subject}")
        self.figures.add(subject, "holds", "/s", accepted(report, rate_per_s))
        unknown = set(report.outcomes) - {"201", "503"}
        if unknown or report.dropped:
            self.figures.problem(
                f"{subject}: {report.outcomes}, {report.dropped} connections dropped"
            )
        if report.exhausted:
            self.figures.problem(f"{subject}: seats used up after {report.seconds:.1f} s")
        return report


def accepted(report: Report, rate_per_s: float) -> Measurement:
    """The rate and the latency of the holds that were taken, and what became of the others."""
    whole = measurement(report, ["201"])
    return Measurement(
        value=whole.value,
        latency=latencies(report.accepted).histogram().tail(),
        cpu_us=whole.cpu_us,
        generator_share=whole.generator_share,
        elsewhere_cores=whole.elsewhere_cores,
        outcomes=whole.outcomes,
        notes={
            "offered": rate_per_s,
            "refused": report.outcomes.get("503", 0) / report.seconds,
            "unsent": report.unsent / report.seconds,
            "refused_p99_ms": p99_ms(report.refused),
        },
    )


def latencies(some: Latencies | None) -> Latencies:
    """What only a crowd reports."""
    assert some is not None, "a crowd tells accepted and refused apart"
    return some


def p99_ms(some: Latencies | None) -> float:
    return latencies(some).histogram().quantile(0.99) / 1e6


async def run_overload(bench: Bench) -> Outcome:
    """The highest rate first, then the crowd, then the slow disk."""
    async with bench.cinema() as server:
        house = await House.open(server, CUSTOMERS)
        runs = OverloadRuns(bench, server, house, await house.screen("Arena", ROWS, COLUMNS))
        for _ in range(bench.options.runs):
            await runs.highest()
        highest = runs.figures.of("closed loop", "holds").median
        stage = await runs.touched("3 × the rate")
        crowd = await runs.crowd(stage, "3 × the rate", OFFERED * highest, runs.overload_s)
        # Before the disk is slow: it would refuse these as well.
        stage = await runs.touched("slow disk")
        async with slow_disk(server.postgres.dsn):
            slow = await runs.crowd(stage, "slow disk", SLOW_RATE_PER_S, SLOW_S)
    goodput = runs.figures.of("3 × the rate", "holds").median / highest
    return Outcome(
        scenario="overload",
        summary=SUMMARY,
        figures=runs.figures.all(),
        targets=[
            Target(
                text="of the highest rate is carried out at three times of it",
                unit="×",
                wanted=GOODPUT,
                measured=goodput,
                at_least=True,
            ),
            Target(
                text="p99 of what is carried out then",
                unit="ms",
                wanted=ACCEPTED_P99_MS,
                measured=p99_ms(crowd.accepted),
                at_least=False,
            ),
            Target(
                text="p99 of refusals while commits take a second",
                unit="ms",
                wanted=REFUSED_P99_MS,
                measured=p99_ms(slow.refused),
                at_least=False,
            ),
        ],
        notes=[_shares("3 × the rate", crowd), _shares("slow disk", slow)],
        problems=runs.figures.problems,
    )


def _shares(subject: str, report: Report) -> str:
    """What became of each request that was due."""
    held, refused = report.outcomes.get("201", 0), report.outcomes.get("503", 0)
    due = max(1, held + refused + report.unsent)
    return (
        f"{subject}: {held / due:.0%} carried out, {refused / due:.0%} refused at once, "
        f"{report.unsent / due:.0%} found all {CUSTOMERS_AT_ONCE:,} connections waiting"
    )


def steps(options: Options) -> int:
    return options.runs + 4


OVERLOAD = Scenario(name="overload", summary=SUMMARY, steps=steps, run=run_overload)
