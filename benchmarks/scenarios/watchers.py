"""`watchers`: two thousand sockets on one showtime, a hundred changes a second."""

import asyncio

from benchmarks.house import House, Screen
from benchmarks.load.histogram import Histogram
from benchmarks.load.specs import HoldLoad, Watched, Watching, Window
from benchmarks.load.usage import find_trees, read_usage
from benchmarks.processes import watching
from benchmarks.results import Figures, Measurement, Outcome, Target, measurement
from benchmarks.scenarios.holds import CUSTOMERS, interleaved
from benchmarks.server import HOST
from benchmarks.session import Bench, Options, Scenario, Subject, checkpoint
from benchmarks.stage import bare_stage, cinema_stage

WATCHERS = 2_000
CHANGES_PER_S = 100.0
P99_MS = 150.0

PROCESSES = 1
"""One process has the headroom, and the machine this was written on has two cores."""

WRITER_CONNECTIONS = 16

DRAIN_S = 1.0
"""How long watchers may take to see the last change; one not seen by then is reported."""

SUBJECTS = ("bare socket", "cinema")

SUMMARY = f"{WATCHERS:,} watchers on one showtime, {CHANGES_PER_S:.0f} changes a second"


async def watch(
    bench: Bench, subject: Subject, showtime: str, labels: list[str], tokens: list[str]
) -> tuple[Measurement, list[Watched]]:
    """One run: watchers first, then a writer."""
    seconds = max(bench.options.seconds, 2.0)
    before = rss_of(subject)
    specs = [
        Watching(host=HOST, port=subject.port, showtime=showtime, sockets=WATCHERS // PROCESSES)
        for _ in range(PROCESSES)
    ]
    bench.say(f"watchers: {subject.name}, connecting {WATCHERS:,}")
    async with watching(specs) as watchers:
        per_watcher = (rss_of(subject) - before) / WATCHERS
        writer = HoldLoad(
            host=HOST,
            port=subject.port,
            window=Window(
                warmup_s=bench.options.warmup_s, seconds=seconds, observe=subject.observed
            ),
            connections=WRITER_CONNECTIONS,
            showtimes=[showtime],
            labels=labels,
            tokens=tokens,
            order="hot",
            rate_per_s=CHANGES_PER_S,
        )
        report = await bench.load(writer, f"watchers: {subject.name}")
        await asyncio.sleep(DRAIN_S)
        watched = await watchers.finish(report.acknowledged)
    answers = measurement(report, ["201"])
    share = max(each.generator_cpu_s / each.seconds for each in watched)
    tail = merged(watched).tail()
    run = Measurement(
        value=tail.p99_ms,
        latency=tail,
        cpu_us=answers.cpu_us,
        generator_share=share,
        elsewhere_cores=max(
            0.0,
            answers.elsewhere_cores - sum(each.generator_cpu_s / each.seconds for each in watched),
        ),
        outcomes=report.outcomes,
        notes={
            "frames_per_s": sum(each.frames / each.seconds for each in watched),
            "from_answer_p99_ms": _from_answer(watched).tail().p99_ms,
            "bytes_per_watcher": per_watcher,
        },
    )
    return run, watched


def merged(watched: list[Watched]) -> Histogram:
    """Latencies from the request's departure, of all processes: never less than from commit."""
    histogram = Histogram()
    for each in watched:
        histogram.merge(each.from_request.histogram())
    return histogram


def _from_answer(watched: list[Watched]) -> Histogram:
    histogram = Histogram()
    for each in watched:
        histogram.merge(each.from_answer.histogram())
    return histogram


def rss_of(subject: Subject) -> int:
    """Resident bytes of the server, without its Postgres."""
    return read_usage(find_trees(subject.observed))["server"].rss_bytes


async def run_watchers(bench: Bench) -> Outcome:
    """Each run connects afresh, on a showtime nobody has watched."""
    figures = Figures()
    async with bench.cinema() as server, bench.baseline("bare_socket") as bare:
        house = await House.open(server, CUSTOMERS)
        screen: Screen = await house.screen("Screen watched", 40, 100)
        subjects = {
            "bare socket": bare,
            "cinema": Subject(name="cinema", port=server.port, observed=server.observed),
        }
        for run in range(bench.options.runs):
            for name in interleaved(SUBJECTS, run):
                await checkpoint(server.postgres.dsn)
                if name == "cinema":
                    stage = await cinema_stage(house, screen, 1)
                else:
                    stage = bare_stage(screen.labels, 1)
                measured, watched = await watch(
                    bench, subjects[name], stage.showtimes[0], stage.labels, house.tokens
                )
                figures.add(name, "p99 to frame", "ms", measured)
                for each in watched:
                    if each.gaps or each.resyncs or each.closed or each.unseen:
                        figures.problem(
                            f"{name}: {each.gaps} gaps, {each.resyncs} resyncs, {each.closed} "
                            f"closed, {each.unseen} changes not seen by a watcher"
                        )
    cinema = figures.of("cinema", "p99 to frame")
    memory = max(run.notes["bytes_per_watcher"] for run in cinema.runs)
    bare_memory = max(
        run.notes["bytes_per_watcher"] for run in figures.of("bare socket", "p99 to frame").runs
    )
    return Outcome(
        scenario="watchers",
        summary=SUMMARY,
        figures=figures.all(),
        targets=[
            Target(
                text="p99 from a change to its frame",
                unit="ms",
                wanted=P99_MS,
                measured=cinema.median,
                at_least=False,
            )
        ],
        notes=[
            (
                f"memory per watcher: {memory / 1024:.1f} KiB of the server's resident memory "
                f"(bare aiohttp: {bare_memory / 1024:.1f} KiB); the largest of the runs: a later "
                "run uses what an earlier one gave back"
            ),
            (
                "the latency counts from the departure of the change's request, which is before "
                "its commit; `from_answer_p99_ms` counts from its answer, which is after"
            ),
        ],
        problems=figures.problems,
    )


def steps(options: Options) -> int:
    return options.runs * len(SUBJECTS)


WATCHERS_SCENARIO = Scenario(name="watchers", summary=SUMMARY, steps=steps, run=run_watchers)
