"""`latency`: at half of the highest rate, and of one lone client beside one Postgres commit."""

from benchmarks.house import House, Screen
from benchmarks.load.specs import CommitProbe, HoldLoad, Report
from benchmarks.results import Figures, Measurement, Outcome, Target, measurement
from benchmarks.scenarios.holds import CONNECTIONS, CUSTOMERS, interleaved
from benchmarks.server import HOST, Server
from benchmarks.session import Bench, Options, Scenario, Subject, checkpoint
from benchmarks.stage import (
    BUDGET_PER_S,
    Stage,
    bare_stage,
    cinema_stage,
    rowlock_stage,
    showtimes_needed,
)

HALF_RATE_P99_MS = 15.0
COMMITS = 3.0

ROWS, COLUMNS = 20, 25
SHOWTIMES = 200

ALONE_PER_S = {"cinema": 6_000, "bare": 20_000, "rowlock": 3_000}

PEAK_SUBJECTS = ("bare", "cinema")
HALF_SUBJECTS = ("bare", "cinema")
ALONE_SUBJECTS = ("bare", "cinema", "rowlock", "one commit")

SUMMARY = "latency of a hold at half of the highest rate, and unloaded beside one commit"


def from_quantile(report: Report, fraction: float) -> Measurement:
    """A measurement whose value is a quantile of the latency, in milliseconds."""
    rate = measurement(report, report.outcomes)
    notes = {"rate": rate.value}
    if report.send_delay is not None:
        notes["send_delay_p99_ms"] = report.send_delay.histogram().quantile(0.99) / 1e6
    return Measurement(
        value=report.latency.histogram().quantile(fraction) / 1e6,
        latency=rate.latency,
        cpu_us=rate.cpu_us,
        generator_share=rate.generator_share,
        elsewhere_cores=rate.elsewhere_cores,
        outcomes=rate.outcomes,
        notes=notes,
    )


class LatencyRuns:
    """Windows of the three parts, on the subjects of each."""

    def __init__(
        self,
        bench: Bench,
        figures: Figures,
        server: Server,
        house: House,
        screen: Screen,
        subjects: dict[str, Subject],
    ) -> None:
        self._bench = bench
        self._figures = figures
        self._server = server
        self._house = house
        self._screen = screen
        self._subjects = subjects

    async def stage(self, name: str, rate_per_s: float) -> Stage:
        options = self._bench.options
        seats = rate_per_s * (options.warmup_s + options.seconds)
        labels = self._screen.labels
        at_least = 1 if name == "rowlock" else SHOWTIMES
        count = showtimes_needed(seats, len(labels), at_least=at_least)
        if name == "cinema":
            return await cinema_stage(self._house, self._screen, count)
        if name == "rowlock":
            return await rowlock_stage(self._server.postgres, labels, count)
        return bare_stage(labels, count)

    async def load(
        self, name: str, connections: int, stage: Stage, rate_per_s: float | None, what: str
    ) -> Report:
        subject = self._subjects[name]
        await checkpoint(self._server.postgres.dsn)
        report = await self._bench.load(
            HoldLoad(
                host=HOST,
                port=subject.port,
                window=self._bench.window(subject.observed),
                connections=connections,
                showtimes=stage.showtimes,
                labels=stage.labels,
                tokens=self._house.tokens,
                order="spread",
                rate_per_s=rate_per_s,
            ),
            f"latency: {name} {what}",
        )
        if set(report.outcomes) != {"201"} or report.dropped:
            self._figures.problem(f"{name} {what}: {report.outcomes}, {report.dropped} dropped")
        return report

    async def peak(self, name: str) -> None:
        """The highest rate, closed loop."""
        stage = await self.stage(name, BUDGET_PER_S[name])
        report = await self.load(name, CONNECTIONS, stage, None, "at full speed")
        self._figures.add(name, "highest rate", "/s", measurement(report, ["201"]))

    async def half(self, name: str, rate_per_s: float) -> None:
        """Latencies at a fixed rate, from when each request was due."""
        stage = await self.stage(name, rate_per_s * 1.1)
        report = await self.load(name, CONNECTIONS, stage, rate_per_s, f"at {rate_per_s:,.0f}/s")
        self._figures.add(name, "p99 at half rate", "ms", from_quantile(report, 0.99))

    async def alone(self, name: str) -> None:
        """Latencies of one client, or of one connection that only commits."""
        if name == "one commit":
            dsn = self._server.postgres.dsn
            window = self._bench.window({"postgres": self._server.postgres.pid})
            report = await self._bench.load(
                CommitProbe(dsn=dsn, window=window), "latency: one commit"
            )
        else:
            stage = await self.stage(name, ALONE_PER_S[name])
            report = await self.load(name, 1, stage, None, "alone")
        self._figures.add(name, "p50 alone", "ms", from_quantile(report, 0.50))


async def run_latency(bench: Bench) -> Outcome:
    """First the highest rates, then half of the best, then one client at a time."""
    figures = Figures()
    runs = bench.options.runs
    async with (
        bench.cinema() as server,
        bench.baseline("bare") as bare,
        bench.baseline("rowlock", server) as rowlock,
    ):
        house = await House.open(server, CUSTOMERS)
        screen = await house.screen("Screen latency", ROWS, COLUMNS)
        cinema = Subject(name="cinema", port=server.port, observed=server.observed)
        subjects = {"bare": bare, "cinema": cinema, "rowlock": rowlock}
        windows = LatencyRuns(bench, figures, server, house, screen, subjects)
        for run in range(runs):
            for name in interleaved(PEAK_SUBJECTS, run):
                await windows.peak(name)
        half = figures.of("cinema", "highest rate").highest / 2
        for run in range(runs):
            for name in interleaved(HALF_SUBJECTS, run):
                await windows.half(name, half)
        for run in range(runs):
            for name in interleaved(ALONE_SUBJECTS, run):
                await windows.alone(name)
    commit_ms = figures.of("one commit", "p50 alone").median
    return Outcome(
        scenario="latency",
        summary=SUMMARY,
        figures=figures.all(),
        targets=[
            Target(
                text=f"p99 at half of the highest rate ({half:,.0f}/s)",
                unit="ms",
                wanted=HALF_RATE_P99_MS,
                measured=figures.of("cinema", "p99 at half rate").median,
                at_least=False,
            ),
            Target(
                text=f"unloaded p50, in commits of one row ({commit_ms:.2f} ms)",
                unit="×",
                wanted=COMMITS,
                measured=figures.of("cinema", "p50 alone").median / commit_ms,
                at_least=False,
            ),
        ],
        notes=["at the fixed rate a latency counts from the time its request was due"],
        problems=figures.problems,
    )


def steps(options: Options) -> int:
    parts = len(PEAK_SUBJECTS) + len(HALF_SUBJECTS) + len(ALONE_SUBJECTS)
    return options.runs * parts


LATENCY = Scenario(name="latency", summary=SUMMARY, steps=steps, run=run_latency)
