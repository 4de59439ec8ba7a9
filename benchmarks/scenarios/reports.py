"""`reports`: how fast reports over a month are, and whether they are felt where seats are held.

Bookings of a chain are written by SQL with their seats, payments and transactions, what passed the
tills, how holds went on and which films were recommended to whom. Their figures are counted
by the job's own code. Then each report is asked for over the last month, one request after the
other; and seats are held while somebody reads a report each two seconds.
"""

import asyncio
import shutil
import time
from datetime import UTC, datetime, timedelta

import asyncpg

from benchmarks.filled_bookings import BOOKINGS_EACH, BYTES_EACH, fill_bookings
from benchmarks.filled_catalogue import Catalogue, fill_catalogue
from benchmarks.house import House
from benchmarks.load.steady import Line
from benchmarks.results import Figures, Measurement, Outcome, Target
from benchmarks.scenarios.holds import CUSTOMERS, HoldRuns
from benchmarks.server import HOST, Server
from benchmarks.session import Bench, Options, Scenario, Subject, checkpoint
from cinema.features.reports.projection_store import ProjectionRepository
from cinema.storage.database.pool import open_pool

QUICK_BOOKINGS = 60_000
FILMS = 2000
FREE_SHARE = 0.5
"""At most so much of the free disk is filled."""

DAYS = 30
ROUNDS = 5
REPORT_MS = 1000.0
OF_HOLDS = 0.9
EVERY_S = 2.0
"""Between two reports: more often than all managers of a chain ask for some."""

BESIDE = "beside reports"

SUMMARY = "reports over a month of a chain's bookings, and holds beside somebody who reads them"


def asked(there: Catalogue) -> dict[str, str]:
    """Each report over the last month, of the whole chain where nothing else is said."""
    today = there.today.date()
    days = f"from={today - timedelta(days=DAYS - 1)}&to={today}"
    return {
        "capacity by date": f"/admin/reports/capacity?{days}",
        "capacity by showtime, one cinema": (
            f"/admin/reports/capacity?{days}&group_by=showtime&cinema_id={there.cinema_ids[0]}"
        ),
        "revenue by date": f"/admin/reports/revenue?{days}",
        "revenue by film": f"/admin/reports/revenue?{days}&group_by=movie",
        "revenue by ticket type": f"/admin/reports/revenue?{days}&group_by=ticket_type",
        "revenue by method": f"/admin/reports/revenue?{days}&group_by=method",
        "popular films": f"/admin/reports/popular-movies?{days}",
        "occupancy by screen": f"/admin/reports/occupancy?{days}",
        "occupancy by hour": f"/admin/reports/occupancy?{days}&group_by=hour",
        "funnel": f"/admin/reports/funnel?{days}",
        "cash by date": f"/admin/reports/cash?{days}",
        "cash by till": f"/admin/reports/cash?{days}&group_by=till",
        "distributor": f"/admin/reports/distributor?{days}",
        "recommendations": f"/admin/reports/recommendations?{days}",
        "dashboard": "/admin/dashboard",
    }


async def count_figures(dsn: str, figures: Figures) -> None:
    """Count the figures of all showtimes, by what the server's job does."""
    async with await open_pool(dsn, size=1) as pool:
        projection = ProjectionRepository(pool)
        await projection.begin_rebuild()
        showtimes, begun_s, is_full = 0, time.monotonic(), True
        while is_full:
            followed = await projection.rebuild(wait=True)
            assert followed is not None, "it waits for the server's job"
            showtimes, is_full = showtimes + followed.showtimes, followed.is_full
        rate = showtimes / (time.monotonic() - begun_s)
    figures.add("figures", "showtimes counted", "/s", Measurement(value=rate))


async def measure_reports(
    house: House, server: Server, reports: dict[str, str], figures: Figures
) -> None:
    """The slowest of some answers of each report."""
    line = Line(HOST, server.port, kept=True)
    for name, path in reports.items():
        request = house.reading(path)
        taken_ms = []
        for _ in range(ROUNDS):
            started_s = time.perf_counter()
            status, body = await line.ask(request)
            taken_ms.append((time.perf_counter() - started_s) * 1000)
            # A report without rows says nothing about how long one with some takes.
            if status != 200 or b'"data":[]' in body:
                figures.problem(f"{name}: {status} {body[:200]!r}")
        figures.add("reports", name, "ms", Measurement(value=max(taken_ms)))
    line.close()


class Reader:
    """Somebody who reads one report after the other, one each two seconds."""

    def __init__(self, house: House, server: Server, reports: dict[str, str]) -> None:
        self._requests = [house.reading(path) for path in reports.values()]
        self._port = server.port
        self.read = 0

    async def run(self) -> None:
        """Read until cancelled."""
        line = Line(HOST, self._port, kept=True)
        try:
            while True:
                await line.ask(self._requests[self.read % len(self._requests)])
                self.read += 1
                await asyncio.sleep(EVERY_S)
        finally:
            line.close()


async def run_reports(bench: Bench) -> Outcome:
    """Fill a database, ask it, and hold seats on it with and without a reader."""
    figures = Figures()
    runs = HoldRuns(bench, "spread", figures)
    async with bench.cinema() as server:
        wanted = QUICK_BOOKINGS if bench.options.quick else bench.options.bookings
        free = shutil.disk_usage(server.folder).free
        bookings = min(wanted, int(free * FREE_SHARE) // BYTES_EACH)
        bench.say(f"reports: showtimes for {bookings:,} bookings")
        there = await fill_catalogue(server.postgres.dsn, FILMS, bookings // BOOKINGS_EACH + 1)
        written = await fill_bookings(server.postgres.dsn, bookings, bench.say)
        bench.say("reports: counting figures")
        await count_figures(server.postgres.dsn, figures)
        await checkpoint(server.postgres.dsn)
        house = await House.open(server, CUSTOMERS)
        reports = asked(there)
        read = 0
        for run in range(bench.options.runs):
            await measure_reports(house, server, reports, figures)
            bench.step()
            screen = await runs.screen(house)
            for with_reader in (False, True) if run % 2 else (True, False):
                stage = await runs.stage("cinema", server, house, screen)
                reader = Reader(house, server, reports)
                reading = asyncio.create_task(reader.run()) if with_reader else None
                name = BESIDE if with_reader else "cinema"
                subject = Subject(name=name, port=server.port, observed=server.observed)
                try:
                    await runs.measure(subject, stage, server, house)
                finally:
                    if reading is not None:
                        if reading.done():
                            figures.problem("the reader stopped")
                        reading.cancel()
                        await asyncio.gather(reading, return_exceptions=True)
                        read += reader.read
        in_month = await _bookings_of_month(server.postgres.dsn)
    slowest = max(
        (one for one in figures.all() if one.subject == "reports"), key=lambda one: one.median
    )
    ratio = figures.of(BESIDE, "holds").median / figures.of("cinema", "holds").median
    return Outcome(
        scenario="reports",
        summary=SUMMARY,
        figures=figures.all(),
        targets=[
            Target(
                text=f"slowest answer of the slowest report: {slowest.measure}",
                unit="ms",
                wanted=REPORT_MS,
                measured=slowest.median,
                at_least=False,
            ),
            Target(
                text="of the rate of holds, beside reports",
                unit="×",
                wanted=OF_HOLDS,
                measured=ratio,
                at_least=True,
            ),
        ],
        notes=[
            f"{written:,} bookings of {there.showtimes:,} showtimes, {in_month:,} in the month",
            *([f"not {wanted:,}, for want of disk"] if bookings < wanted else []),
            f"{read} reports were read beside holds",
        ],
        problems=figures.problems,
    )


async def _bookings_of_month(dsn: str) -> int:
    connection = await asyncpg.connect(dsn, command_timeout=600)
    try:
        since = datetime.now(UTC) - timedelta(days=DAYS)
        found: int = await connection.fetchval(
            "select count(*) from bookings b join showtimes t on t.id = b.showtime_id"
            " where t.starts_at between $1 and now()",
            since,
        )
        return found
    finally:
        await connection.close()


def steps(options: Options) -> int:
    return 3 * options.runs


REPORTS = Scenario(name="reports", summary=SUMMARY, steps=steps, run=run_reports)
