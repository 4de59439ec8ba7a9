"""`holds-socket`: durable holds a second over pipelined WebSocket command channels."""

from benchmarks.house import House
from benchmarks.load.specs import HoldLoad, SocketLoad
from benchmarks.results import Figures, Outcome, Target, measurement
from benchmarks.scenarios.holds import CONNECTIONS, CUSTOMERS, flush_notes, interleaved
from benchmarks.server import HOST
from benchmarks.session import Bench, Options, Scenario, Subject, checkpoint, wal_flushes
from benchmarks.side_by_side import SIDES, compared, outcome, turns
from benchmarks.stage import BUDGET_PER_S, Stage, bare_stage, cinema_stage, showtimes_needed

SOCKETS = 64
IN_FLIGHT = 16

HOLDS_PER_S = 40_000.0
OF_HTTP = 2.5

SOCKET_BUDGET_PER_S = 75_000
ROW_SEATS = 100

SUBJECTS = ("bare socket", "cinema socket", "cinema HTTP")

SUMMARY = f"durable holds over WebSocket, {SOCKETS} sockets, {IN_FLIGHT} commands in flight on each"


def socket_load(bench: Bench, subject: Subject, stage: Stage, tokens: list[str]) -> SocketLoad:
    """One socket on each showtime."""
    return SocketLoad(
        host=HOST,
        port=subject.port,
        window=bench.window(subject.observed),
        in_flight=IN_FLIGHT,
        showtimes=stage.showtimes,
        labels=stage.labels,
        tokens=tokens,
    )


async def run_sockets(bench: Bench) -> Outcome:
    """Each run measures a bare socket server, cinema's sockets and cinema's HTTP."""
    figures = Figures()
    options = bench.options
    duration_s = options.warmup_s + options.seconds
    async with bench.cinema() as server, bench.baseline("bare_socket") as bare:
        house = await House.open(server, CUSTOMERS)
        screen = await house.screen("Screen sockets", rows_for(options), ROW_SEATS)
        cinema = Subject(name="cinema socket", port=server.port, observed=server.observed)
        over_http = showtimes_needed(BUDGET_PER_S["cinema"] * duration_s, len(screen.labels))
        for run in range(options.runs):
            for name in interleaved(SUBJECTS, run):
                bench.say("holds-socket: making showtimes")
                await checkpoint(server.postgres.dsn)
                flushes = await wal_flushes(server.postgres.dsn)
                if name == "cinema HTTP":
                    stage = await cinema_stage(house, screen, over_http)
                    report = await bench.load(
                        HoldLoad(
                            host=HOST,
                            port=server.port,
                            window=bench.window(server.observed),
                            connections=CONNECTIONS,
                            showtimes=stage.showtimes,
                            labels=stage.labels,
                            tokens=house.tokens,
                            order="spread",
                        ),
                        "holds-socket: cinema HTTP",
                    )
                elif name == "cinema socket":
                    stage = await cinema_stage(house, screen, SOCKETS)
                    load = socket_load(bench, cinema, stage, house.tokens)
                    report = await bench.load(load, "holds-socket: cinema")
                else:
                    load = socket_load(bench, bare, bare_stage(screen.labels * 2, SOCKETS), [])
                    report = await bench.load(load, "holds-socket: bare")
                flushes = await wal_flushes(server.postgres.dsn) - flushes
                held = report.outcomes.get("201", 0) * duration_s / options.seconds
                notes = {"holds_per_flush": held / flushes} if flushes else {}
                figures.add(name, "holds", "/s", measurement(report, ["201"], notes))
                if set(report.outcomes) != {"201"} or report.dropped:
                    figures.problem(
                        f"{name}: {report.outcomes}, {report.dropped} connections dropped"
                    )
                if report.exhausted and not report.dropped:
                    figures.problem(f"{name}: seats used up after {report.seconds:.1f} s")
    http_rate = figures.of("cinema HTTP", "holds").median
    by_http = OF_HTTP * http_rate
    wanted = min(HOLDS_PER_S, by_http)
    return Outcome(
        scenario="holds-socket",
        summary=SUMMARY,
        figures=figures.all(),
        targets=[
            Target(
                text=f"holds a second: 40,000 or {OF_HTTP} × HTTP ({by_http:,.0f}), the lower",
                unit="/s",
                wanted=wanted,
                measured=figures.of("cinema socket", "holds").median,
                at_least=True,
            )
        ],
        notes=flush_notes(figures),
        problems=figures.problems,
    )


async def compare_sockets(bench: Bench, before: str) -> Outcome:
    """Both versions serve all the time and their sockets are measured by turns."""
    sides = {side: Figures() for side in SIDES}
    options = bench.options
    rows = rows_for(options)
    async with bench.cinema() as now, bench.cinema(command=before) as then:
        servers = dict(zip(SIDES, (now, then), strict=True))
        houses = {side: await House.open(servers[side], CUSTOMERS) for side in SIDES}
        screens = {
            side: await houses[side].screen("Screen sockets", rows, ROW_SEATS) for side in SIDES
        }
        for run in range(options.runs):
            for side in turns(run):
                server, house = servers[side], houses[side]
                subject = Subject(name="cinema", port=server.port, observed=server.observed)
                await checkpoint(server.postgres.dsn)
                stage = await cinema_stage(house, screens[side], SOCKETS)
                load = socket_load(bench, subject, stage, house.tokens)
                report = await bench.load(load, f"holds-socket: {side}")
                sides[side].add("cinema", "holds", "/s", measurement(report, ["201"]))
                if set(report.outcomes) != {"201"} or report.dropped:
                    sides[side].problem(f"{report.outcomes}, {report.dropped} connections dropped")
    return compared(*(outcome("holds-socket", SUMMARY, sides[side]) for side in SIDES))


def rows_for(options: Options) -> int:
    """Rows of a screen that has seats enough for a run of its socket."""
    seats = round(SOCKET_BUDGET_PER_S * (options.warmup_s + options.seconds))
    return -(-seats // (SOCKETS * ROW_SEATS))


def steps(options: Options) -> int:
    return options.runs * len(SUBJECTS)


HOLDS_SOCKET = Scenario(
    name="holds-socket", summary=SUMMARY, steps=steps, run=run_sockets, compare=compare_sockets
)
