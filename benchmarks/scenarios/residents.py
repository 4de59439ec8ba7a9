"""`residents`: memory of a resident showtime, and how fast a cold one answers."""

import asyncio

import asyncpg
import msgspec

from benchmarks.house import House, Screen
from benchmarks.load.specs import Filling, HoldLoad, Window
from benchmarks.results import Figures, Measurement, Outcome, Target
from benchmarks.scenarios.holds import CONNECTIONS, CUSTOMERS
from benchmarks.scenarios.latency import from_quantile
from benchmarks.scenarios.short_steps import STEP_MS, Stage, on_nodes, on_one_node, watched
from benchmarks.server import HOST, Server
from benchmarks.session import Bench, Options, Scenario, Subject, checkpoint

RESIDENTS = 20_000
RESIDENTS_QUICK = 2_000
ROWS, COLUMNS = 10, 20
LIVE_HOLDS = 20
SEATS_EACH = 2
RECORDS = 40

KIB_EACH = 12.0

TAIL_EVENTS = 100
ACTIVATIONS_PER_S = 200.0
P99_MS = 20.0

WARM_SHOWTIMES = 500
"""Filled before the first reading of memory, so that code, pools and buffers are not counted."""

FILLING_S = 1800.0
"""The longest that filling may take."""

REST_S = 3.0
"""Pause before memory is read: buffers that were in use are given back by then."""

SETTINGS = {
    "MAX_RESIDENT_SHOWTIMES": "50000",
    "IDLE_PASSIVATION_SECONDS": "86400",
    # No snapshot may cut the tail that a cold activation is to replay.
    "SNAPSHOT_EVERY_EVENTS": "1000",
}

FORGET_SNAPSHOTS = "DELETE FROM showtime_snapshots WHERE showtime_id = ANY($1::uuid[])"

TAILS = """
SELECT count(*) FROM (
    SELECT showtime_id FROM showtime_journal WHERE showtime_id = ANY($1::uuid[])
    GROUP BY showtime_id HAVING count(*) = $2
) AS ready
"""

RESIDENT_GAUGE = "cinema_resident_showtimes"

SUMMARY = (
    f"{RESIDENTS:,} resident showtimes of {ROWS * COLUMNS} seats, and {ACTIVATIONS_PER_S:.0f} "
    f"cold activations a second with a tail of {TAIL_EVENTS} events"
)


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Resident memory of the server around the filling of some showtimes."""

    showtimes: int
    before_bytes: int
    after_bytes: int
    gauge: float | None

    @property
    def kib_each(self) -> float:
        return (self.after_bytes - self.before_bytes) / self.showtimes / 1024


class Residents:
    """The parts of the scenario, on one house."""

    def __init__(self, bench: Bench, server: Server, house: House, screen: Screen) -> None:
        self._bench = bench
        self._server = server
        self._house = house
        self._screen = screen

    async def fill(self, showtimes: list[str], requests: int, text: str) -> None:
        """Give showtimes their live holds and their records."""
        report = await self._bench.load(
            Filling(
                host=HOST,
                port=self._server.port,
                window=Window(warmup_s=0.0, seconds=FILLING_S),
                connections=CONNECTIONS,
                showtimes=showtimes,
                labels=self._screen.labels,
                tokens=self._house.tokens,
                live_holds=LIVE_HOLDS,
                requests=requests,
                seats_each=SEATS_EACH,
            ),
            text,
        )
        if report.dropped or not report.exhausted:
            raise RuntimeError(f"filling ended early: {report.outcomes}, {report.dropped} dropped")

    async def memory(self, count: int) -> tuple[list[str], Memory]:
        """Make that many showtimes resident and see what it costs."""
        self._bench.say(f"residents: creating {count:,} showtimes")
        warm = await self._house.showtimes(self._screen, min(WARM_SHOWTIMES, count))
        showtimes = await self._house.showtimes(self._screen, count)
        await self.fill(warm, RECORDS, "residents: warming up")
        await asyncio.sleep(REST_S)
        before = self._server.rss_bytes
        await self.fill(showtimes, RECORDS, f"residents: filling {count:,} showtimes")
        await asyncio.sleep(REST_S)
        return showtimes, Memory(
            showtimes=count,
            before_bytes=before,
            after_bytes=self._server.rss_bytes,
            gauge=await self._server.metric(RESIDENT_GAUGE),
        )

    async def cold_showtimes(self, count: int) -> list[str]:
        """Showtimes with a journal and no snapshot, that no running server has in memory.

        The server is stopped in an orderly way and started again, so that each head is released;
        the snapshots it writes on the way out are deleted, which leaves the whole tail to replay.
        """
        self._bench.say(f"residents: creating {count:,} showtimes")
        showtimes = await self._house.showtimes(self._screen, count)
        await self.fill(showtimes, TAIL_EVENTS, f"residents: {count:,} tails")
        self._bench.say("residents: restarting cinema")
        await self._server.stop()
        await self._server.start()
        connection = await asyncpg.connect(self._server.postgres.dsn)
        try:
            await connection.execute(FORGET_SNAPSHOTS, showtimes)
            ready = await connection.fetchval(TAILS, showtimes, TAIL_EVENTS)
        finally:
            await connection.close()
        if ready != count:
            raise RuntimeError(f"{ready} of {count} showtimes have a tail of {TAIL_EVENTS} events")
        return showtimes

    async def activate(self, showtimes: list[str], label: str, text: str) -> Measurement:
        """One hold on each showtime at the fixed rate; the value is the p99, in milliseconds."""
        await checkpoint(self._server.postgres.dsn)
        subject = Subject(name="cinema", port=self._server.port, observed=self._server.observed)
        report = await self._bench.load(
            HoldLoad(
                host=HOST,
                port=subject.port,
                window=self._bench.window(subject.observed),
                connections=CONNECTIONS,
                showtimes=showtimes,
                labels=[label],
                tokens=self._house.tokens,
                order="spread",
                rate_per_s=ACTIVATIONS_PER_S,
            ),
            text,
        )
        return from_quantile(report, 0.99)


async def run_residents(bench: Bench) -> Outcome:
    """Memory once, since it takes the longest; activations in several runs, cold and warm."""
    figures = Figures()
    options = bench.options
    count = RESIDENTS_QUICK if options.quick else RESIDENTS
    async with bench.cinema(SETTINGS) as server:
        house = await House.open(server, CUSTOMERS)
        screen = await house.screen("Screen resident", ROWS, COLUMNS)
        residents = Residents(bench, server, house, screen)
        stage = Stage(bench, house, screen, figures)
        async with watched(stage, [server], "filling"):
            showtimes, memory = await residents.memory(count)
        figures.add("cinema", "memory of a resident", "KiB", Measurement(value=memory.kib_each))
        await on_one_node(stage, server, showtimes)
    async with bench.cluster(2, SETTINGS, spares=1) as cluster:
        house = await House.open(cluster, CUSTOMERS)
        screen = await house.screen("Screen moving", ROWS, COLUMNS)
        stage = Stage(bench, house, screen, figures)
        await on_nodes(stage, cluster, count, LIVE_HOLDS, SEATS_EACH)
    async with bench.cinema(SETTINGS) as server:
        house = await House.open(server, CUSTOMERS)
        screen = await house.screen("Screen cold", ROWS, COLUMNS)
        residents = Residents(bench, server, house, screen)
        # A twentieth more than is due: the window opens a little after its warm-up.
        each = round(ACTIVATIONS_PER_S * (options.warmup_s + options.seconds) * 1.05) + 20
        cold = await residents.cold_showtimes(each * options.runs)
        for run in range(options.runs):
            chosen = cold[run * each : (run + 1) * each]
            for state, label in (("cold", screen.labels[-1]), ("warm", screen.labels[-2])):
                measured = await residents.activate(chosen, label, f"residents: {state} showtimes")
                figures.add("cinema", f"p99 {state}, 200/s", "ms", measured)
                if set(measured.outcomes) != {"201"}:
                    figures.problem(f"{state}: answers other than 201: {measured.outcomes}")
    return Outcome(
        scenario="residents",
        summary=SUMMARY,
        figures=figures.all(),
        targets=[
            Target(
                text=f"memory of one of {count:,} residents",
                unit="KiB",
                wanted=KIB_EACH,
                measured=memory.kib_each,
                at_least=False,
            ),
            Target(
                text=f"p99 of a cold activation with a tail of {TAIL_EVENTS} events",
                unit="ms",
                wanted=P99_MS,
                measured=figures.of("cinema", "p99 cold, 200/s").median,
                at_least=False,
            ),
            Target(
                text=f"longest step with {count:,} residents, by its CPU",
                unit="ms",
                wanted=STEP_MS,
                measured=max(one.highest for one in figures.all() if one.subject == "longest step"),
                at_least=False,
            ),
        ],
        notes=[
            (
                f"each with {LIVE_HOLDS} live holds of {SEATS_EACH} seats and {RECORDS} "
                "idempotency records: growth of the server's resident memory while they were filled"
            ),
            f"resident showtimes by the server's own gauge: {memory.gauge}",
        ],
        problems=figures.problems,
    )


def steps(options: Options) -> int:
    return 6 + 2 * options.runs


RESIDENTS_SCENARIO = Scenario(name="residents", summary=SUMMARY, steps=steps, run=run_residents)
