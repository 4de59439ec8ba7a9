"""`holds-churn`: seats that are held and released again and again, beside bare handlers."""

from benchmarks.house import House, Screen
from benchmarks.load.churn import HELD, RELEASED
from benchmarks.load.specs import Churn
from benchmarks.results import Figures, Outcome, Target, measurement
from benchmarks.scenarios.holds import interleaved
from benchmarks.scenarios.latency import from_quantile
from benchmarks.server import HOST, Server
from benchmarks.session import Bench, Scenario, Subject
from benchmarks.side_by_side import SIDES, compared, outcome, turns
from benchmarks.stage import Stage, bare_stage

NAME = "holds-churn"
SUMMARY = "64 customers hold a seat and release it, again and again, on 16 showtimes"
CUSTOMERS = 64
SHOWTIMES = 16
ROWS, COLUMNS = 20, 25

OF_BARE = 0.80
P99_MS = 15.0

SUBJECTS = ("bare", "cinema")


async def screen_of(house: House) -> Screen:
    """Where all of it happens."""
    return await house.screen("Screen churn", ROWS, COLUMNS)


async def new_stage(house: House, screen: Screen) -> Stage:
    """New showtimes, since some seats stay held at the end of a run, under the rules by default.

    Those keep single seats from being left over, so what is held begins a row.
    """
    showtimes = await house.showtimes(screen, SHOWTIMES, rules={})
    return Stage(showtimes=showtimes, labels=screen.labels[::COLUMNS])


async def measure(
    bench: Bench, figures: Figures, subject: Subject, stage: Stage, tokens: list[str]
) -> None:
    """One run of one subject; both kinds of answers count."""
    churn = Churn(
        host=HOST,
        port=subject.port,
        window=bench.window(subject.observed),
        connections=CUSTOMERS,
        showtimes=stage.showtimes,
        labels=stage.labels,
        tokens=tokens,
    )
    report = await bench.load(churn, f"{NAME}: {subject.name}")
    figures.add(subject.name, "answers", "/s", measurement(report, [str(HELD), str(RELEASED)]))
    figures.add(subject.name, "p99", "ms", from_quantile(report, 0.99))
    if set(report.outcomes) != {str(HELD), str(RELEASED)}:
        figures.problem(f"{subject.name}: answers other than 201 and 200: {report.outcomes}")
    if report.dropped:
        figures.problem(f"{subject.name}: {report.dropped} connections were dropped")


def of(server: Server) -> Subject:
    """A server as a subject."""
    return Subject(name="cinema", port=server.port, observed=server.observed)


async def run(bench: Bench) -> Outcome:
    """Each run measures both subjects, one after the other."""
    figures = Figures()
    async with bench.cinema() as server, bench.baseline("bare") as bare:
        house = await House.open(server, CUSTOMERS)
        screen = await screen_of(house)
        subjects = {"bare": bare, "cinema": of(server)}
        for number in range(bench.options.runs):
            stages = {"cinema": await new_stage(house, screen)}
            stages["bare"] = bare_stage(stages["cinema"].labels, SHOWTIMES)
            for name in interleaved(SUBJECTS, number):
                await measure(bench, figures, subjects[name], stages[name], house.tokens)
    cinema, bare_rate = figures.of("cinema", "answers"), figures.of("bare", "answers").median
    return Outcome(
        scenario=NAME,
        summary=SUMMARY,
        figures=figures.all(),
        targets=[
            Target(
                text="of the bare handlers' rate",
                unit="×",
                wanted=OF_BARE,
                measured=cinema.median / bare_rate,
                at_least=True,
            ),
            Target(
                text="p99",
                unit="ms",
                wanted=P99_MS,
                measured=figures.of("cinema", "p99").median,
                at_least=False,
            ),
        ],
        problems=figures.problems,
    )


async def compare(bench: Bench, before: str) -> Outcome:
    """Both versions serve all the time and are measured by turns."""
    sides = {side: Figures() for side in SIDES}
    async with bench.cinema() as now, bench.cinema(command=before) as then:
        servers = dict(zip(SIDES, (now, then), strict=True))
        houses = {side: await House.open(servers[side], CUSTOMERS) for side in SIDES}
        screens = {side: await screen_of(houses[side]) for side in SIDES}
        for number in range(bench.options.runs):
            for side in turns(number):
                stage = await new_stage(houses[side], screens[side])
                subject, tokens = of(servers[side]), houses[side].tokens
                await measure(bench, sides[side], subject, stage, tokens)
    return compared(*(outcome(NAME, SUMMARY, sides[side]) for side in SIDES))


HOLDS_CHURN = Scenario(
    name=NAME,
    summary=SUMMARY,
    steps=lambda options: options.runs * len(SUBJECTS),
    run=run,
    compare=compare,
)
