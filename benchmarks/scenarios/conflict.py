"""`hot-conflict`: two hundred clients for fifty seats, and a look into the database afterwards."""

import asyncpg

from benchmarks.house import House, Screen
from benchmarks.load.specs import AfterHold, Contest, HoldLoad, Report
from benchmarks.results import Figures, Outcome, Target, measurement
from benchmarks.scenarios.holds import interleaved
from benchmarks.server import HOST, Server
from benchmarks.session import Bench, Options, Scenario, Subject, checkpoint
from benchmarks.stage import (
    BUDGET_PER_S,
    Stage,
    cinema_stage,
    rowlock_stage,
    showtimes_needed,
)

CLIENTS = 200
ROWS, COLUMNS = 5, 10

MEASURES = ("rush", "churn", "free", "rowlock")
"""`rush`: winners book, the rest is refused. `churn`: winners let go at once, so that the seats
stay contested. `free`: the same clients with seats for all, the rate to compare with. `rowlock`:
the rush on the row-lock server, whose winners keep their holds."""

SUMMARY = f"{CLIENTS} clients for {ROWS * COLUMNS} seats: refusals a second, and nothing sold twice"

SOLD_TWICE = """
SELECT seat, count(*) FROM booking_seats
WHERE showtime_id = $1 AND live GROUP BY seat HAVING count(*) > 1
"""

SOLD = """
SELECT b.id::text AS booking_id, count(s.seat) AS seats
FROM bookings b JOIN booking_seats s ON s.booking_id = b.id AND s.live
WHERE b.showtime_id = $1 AND b.status = 'confirmed' GROUP BY b.id
"""


async def check_sales(server: Server, showtime: str, report: Report, figures: Figures) -> int:
    """Compare what clients were told with what Postgres has; returns the seats sold."""
    connection = await asyncpg.connect(server.postgres.dsn)
    try:
        twice = await connection.fetch(SOLD_TWICE, showtime)
        sold = {row["booking_id"]: row["seats"] for row in await connection.fetch(SOLD, showtime)}
    finally:
        await connection.close()
    for row in twice:
        figures.problem(f"seat {row['seat']} of {showtime} is sold {row['count']} times")
    for sale in report.sales:
        if sold.get(sale.booking_id) != 1:
            figures.problem(f"{sale.label} was acknowledged, the database has no such booking")
    seats: int = sum(sold.values())
    if seats != ROWS * COLUMNS:
        figures.problem(f"{seats} of {ROWS * COLUMNS} seats were sold in the end")
    return seats


class Conflict:
    """The four measures of one session."""

    def __init__(
        self,
        bench: Bench,
        figures: Figures,
        server: Server,
        house: House,
        screens: tuple[Screen, Screen],
    ) -> None:
        self._bench = bench
        self._figures = figures
        self._server = server
        self._house = house
        self._small, self._large = screens
        self.sold = 0

    async def contest(self, subject: Subject, showtime: str, after_hold: AfterHold) -> Report:
        load = Contest(
            host=HOST,
            port=subject.port,
            window=self._bench.window(subject.observed),
            showtime=showtime,
            labels=self._small.labels,
            tokens=self._house.tokens,
            after_hold=after_hold,
            seed=1,
        )
        report = await self._bench.load(load, f"hot-conflict: {subject.name}, then {after_hold}")
        for violation in report.violations:
            self._figures.problem(violation)
        return report

    async def rush(self, cinema: Subject) -> None:
        """Winners book their seats: nearly all answers are refusals."""
        (showtime,) = await self._house.showtimes(self._small, 1)
        report = await self.contest(cinema, showtime, "book")
        self._figures.add("cinema", "refusals, sold out", "/s", measurement(report, ["409"]))
        self.sold += await check_sales(self._server, showtime, report, self._figures)

    async def churn(self, cinema: Subject) -> None:
        """Winners release at once: seats change hands all the time."""
        (showtime,) = await self._house.showtimes(self._small, 1)
        report = await self.contest(cinema, showtime, "release")
        wanted = ["200", "201", "409"]
        self._figures.add("cinema", "answers, contested", "/s", measurement(report, wanted))
        if set(report.outcomes) - set(wanted):
            self._figures.problem(f"churn: {report.outcomes}")

    async def free(self, cinema: Subject) -> None:
        """The rate of holds with as many clients and seats for all of them."""
        duration_s = self._bench.options.warmup_s + self._bench.options.seconds
        count = showtimes_needed(BUDGET_PER_S["cinema"] * duration_s, len(self._large.labels))
        stage: Stage = await cinema_stage(self._house, self._large, count)
        load = HoldLoad(
            host=HOST,
            port=cinema.port,
            window=self._bench.window(cinema.observed),
            connections=CLIENTS,
            showtimes=stage.showtimes,
            labels=stage.labels,
            tokens=self._house.tokens,
            order="hot",
        )
        report = await self._bench.load(load, "hot-conflict: seats for all")
        self._figures.add("cinema", "holds, seats for all", "/s", measurement(report, ["201"]))

    async def rowlock(self, rowlock: Subject) -> None:
        """The rush on the row-lock server."""
        stage = await rowlock_stage(self._server.postgres, self._small.labels, 1)
        report = await self.contest(rowlock, stage.showtimes[0], "keep")
        self._figures.add("rowlock", "refusals, sold out", "/s", measurement(report, ["409"]))


async def run_conflict(bench: Bench) -> Outcome:
    """Each run measures the four, each on fresh showtimes."""
    figures = Figures()
    async with bench.cinema() as server, bench.baseline("rowlock", server) as rowlock:
        house = await House.open(server, CLIENTS)
        screens = (
            await house.screen("Screen contested", ROWS, COLUMNS),
            await house.screen("Screen arena", 200, 100),
        )
        conflict = Conflict(bench, figures, server, house, screens)
        cinema = Subject(name="cinema", port=server.port, observed=server.observed)
        for run in range(bench.options.runs):
            for name in interleaved(MEASURES, run):
                await checkpoint(server.postgres.dsn)
                match name:
                    case "rush":
                        await conflict.rush(cinema)
                    case "churn":
                        await conflict.churn(cinema)
                    case "free":
                        await conflict.free(cinema)
                    case _:
                        await conflict.rowlock(rowlock)
    refusals = figures.of("cinema", "refusals, sold out").median
    holds = figures.of("cinema", "holds, seats for all").median
    return Outcome(
        scenario="hot-conflict",
        summary=SUMMARY,
        figures=figures.all(),
        targets=[
            Target(
                text="refusals for each hold of the same clients",
                unit="×",
                wanted=1.0,
                measured=refusals / holds,
                at_least=True,
            ),
            Target(
                text="seats held or sold twice",
                unit="",
                wanted=0,
                measured=sum("twice" in text or " while " in text for text in figures.problems),
                at_least=False,
            ),
        ],
        notes=[
            f"{conflict.sold} seats sold in {bench.options.runs} rushes, compared with the database"
        ],
        problems=figures.problems,
    )


def steps(options: Options) -> int:
    return options.runs * len(MEASURES)


HOT_CONFLICT = Scenario(name="hot-conflict", summary=SUMMARY, steps=steps, run=run_conflict)
