"""`holds-spread`, `holds-hot`, `bookings`: a second over HTTP, holds beside both baselines."""

from functools import partial

from benchmarks.house import House, Screen
from benchmarks.load.specs import HoldLoad, Order
from benchmarks.results import Figures, Outcome, Target, measurement
from benchmarks.server import HOST, Server
from benchmarks.session import Bench, Options, Scenario, Subject, checkpoint, wal_flushes
from benchmarks.side_by_side import SIDES, compared, outcome, turns
from benchmarks.stage import (
    BUDGET_PER_S,
    Stage,
    bare_stage,
    cinema_stage,
    rowlock_stage,
    showtimes_needed,
)

CONNECTIONS = 64
CUSTOMERS = 64

OF_BARE = 0.80
OF_ROWLOCK = 6.0

PLANS: dict[Order, tuple[int, int]] = {"spread": (20, 25), "hot": (200, 100)}
"""Rows and seats a row: a large screen for many showtimes, an arena for the one that is hot."""

SPREAD_SHOWTIMES = 200
"""At least so many showtimes share the load when it is spread."""

SUBJECTS = ("bare", "cinema", "rowlock")


class HoldRuns:
    """Runs of hold loads on the three subjects, collected into figures."""

    def __init__(self, bench: Bench, order: Order, figures: Figures, *, book: bool = False) -> None:
        self._bench = bench
        self._order = order
        self._book = book
        self._figures = figures
        self._rows, self._columns = PLANS[order]

    async def screen(self, house: House) -> Screen:
        return await house.screen(f"Screen {self._order}", self._rows, self._columns)

    async def stage(self, subject: str, server: Server, house: House, screen: Screen) -> Stage:
        """Enough free seats for one run."""
        options = self._bench.options
        self._bench.say(f"holds-{self._order}: seats for {subject}")
        seats = BUDGET_PER_S[subject] * (options.warmup_s + options.seconds)
        count = showtimes_needed(
            seats,
            len(screen.labels),
            at_least=SPREAD_SHOWTIMES if self._order == "spread" and subject != "rowlock" else 1,
        )
        if subject == "cinema":
            return await cinema_stage(house, screen, count)
        if subject == "rowlock":
            return await rowlock_stage(server.postgres, screen.labels, count)
        return bare_stage(screen.labels, count)

    async def measure(self, subject: Subject, stage: Stage, server: Server, house: House) -> None:
        """One run of one subject."""
        await checkpoint(server.postgres.dsn)
        flushes = await wal_flushes(server.postgres.dsn)
        load = HoldLoad(
            host=HOST,
            port=subject.port,
            window=self._bench.window(subject.observed),
            connections=CONNECTIONS,
            showtimes=stage.showtimes,
            labels=stage.labels,
            tokens=house.tokens,
            order=self._order,
            book=self._book,
        )
        report = await self._bench.load(load, f"holds-{self._order}: {subject.name}")
        flushes = await wal_flushes(server.postgres.dsn) - flushes
        held = report.outcomes.get("201", 0)
        share = report.seconds / (report.seconds + self._bench.options.warmup_s)
        notes = {"holds_per_flush": held / max(1.0, flushes * share)} if flushes else {}
        figures = self._figures
        figures.add(
            subject.name,
            "bookings" if self._book else "holds",
            "/s",
            measurement(report, ["201"], notes),
        )
        if set(report.outcomes) != {"201"}:
            figures.problem(f"{subject.name}: answers other than 201: {report.outcomes}")
        if report.dropped:
            figures.problem(f"{subject.name}: {report.dropped} connections were dropped")
        if report.exhausted:
            figures.problem(f"{subject.name}: the seats were used up after {report.seconds:.1f} s")


def interleaved(names: tuple[str, ...], run: int) -> tuple[str, ...]:
    """The subjects of one run; each is first in turn, so that none has the better moment."""
    first = run % len(names)
    return names[first:] + names[:first]


def flush_notes(figures: Figures) -> list[str]:
    """How many holds shared a flush of the write-ahead log: what durability is spread over."""
    return [
        f"{figure.subject}: {shared:.1f} holds a flush of the write-ahead log"
        for figure in figures.all()
        if (shared := figure.note("holds_per_flush")) is not None
    ]


async def run_holds(bench: Bench, order: Order) -> Outcome:
    """Each run measures the three subjects one after the other."""
    figures = Figures()
    runs = HoldRuns(bench, order, figures)
    async with bench.cinema() as server, bench.baseline("bare") as bare:
        house = await House.open(server, CUSTOMERS)
        screen = await runs.screen(house)
        async with bench.baseline("rowlock", server) as rowlock:
            subjects = {
                "bare": bare,
                "cinema": Subject(name="cinema", port=server.port, observed=server.observed),
                "rowlock": rowlock,
            }
            for run in range(bench.options.runs):
                for name in interleaved(SUBJECTS, run):
                    stage = await runs.stage(name, server, house, screen)
                    await runs.measure(subjects[name], stage, server, house)
    rate = figures.of("cinema", "holds").median
    return Outcome(
        scenario=f"holds-{order}",
        summary=SUMMARIES[order],
        figures=figures.all(),
        targets=[
            Target(
                text="of the bare handler's rate",
                unit="×",
                wanted=OF_BARE,
                measured=rate / figures.of("bare", "holds").median,
                at_least=True,
            ),
            Target(
                text="of the row-lock server's rate",
                unit="×",
                wanted=OF_ROWLOCK,
                measured=rate / figures.of("rowlock", "holds").median,
                at_least=True,
            ),
        ],
        notes=flush_notes(figures),
        problems=figures.problems,
    )


async def run_bookings(bench: Bench) -> Outcome:
    """Bookings of one seat each over HTTP; there is no baseline that does as much."""
    figures = Figures()
    runs = HoldRuns(bench, "spread", figures, book=True)
    async with bench.cinema() as server:
        house = await House.open(server, CUSTOMERS)
        screen = await runs.screen(house)
        for _ in range(bench.options.runs):
            stage = await runs.stage("cinema", server, house, screen)
            subject = Subject(name="cinema", port=server.port, observed=server.observed)
            await runs.measure(subject, stage, server, house)
    return outcome("bookings", BOOKINGS_SUMMARY, figures)


async def compare_holds(bench: Bench, before: str, order: Order, *, book: bool = False) -> Outcome:
    """Both versions serve all the time and are measured by turns, so that both have one weather."""
    sides = {side: Figures() for side in SIDES}
    async with bench.cinema() as now, bench.cinema(command=before) as then:
        servers = dict(zip(SIDES, (now, then), strict=True))
        houses = {side: await House.open(servers[side], CUSTOMERS) for side in SIDES}
        runs = {side: HoldRuns(bench, order, sides[side], book=book) for side in SIDES}
        screens = {side: await runs[side].screen(houses[side]) for side in SIDES}
        for run in range(bench.options.runs):
            for side in turns(run):
                server, house = servers[side], houses[side]
                stage = await runs[side].stage("cinema", server, house, screens[side])
                subject = Subject(name="cinema", port=server.port, observed=server.observed)
                await runs[side].measure(subject, stage, server, house)
    name, summary = f"holds-{order}", SUMMARIES[order]
    if book:
        name, summary = "bookings", BOOKINGS_SUMMARY
    return compared(*(outcome(name, summary, sides[side]) for side in SIDES))


SUMMARIES: dict[Order, str] = {
    "spread": "durable holds over HTTP, 64 connections, over hundreds of showtimes",
    "hot": "durable holds over HTTP, 64 connections, all on one showtime at a time",
}


BOOKINGS_SUMMARY = "bookings over HTTP, a hold before each, 64 connections, hundreds of showtimes"


def steps(options: Options) -> int:
    return options.runs * len(SUBJECTS)


HOLDS_SPREAD = Scenario(
    name="holds-spread",
    summary=SUMMARIES["spread"],
    steps=steps,
    run=partial(run_holds, order="spread"),
    compare=partial(compare_holds, order="spread"),
)
HOLDS_HOT = Scenario(
    name="holds-hot",
    summary=SUMMARIES["hot"],
    steps=steps,
    run=partial(run_holds, order="hot"),
    compare=partial(compare_holds, order="hot"),
)
BOOKINGS = Scenario(
    name="bookings",
    summary=BOOKINGS_SUMMARY,
    steps=lambda options: options.runs,
    run=run_bookings,
    compare=partial(compare_holds, order="spread", book=True),
)
