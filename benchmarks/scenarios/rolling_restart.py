"""`rolling-restart`: three nodes restarted one after the other under a steady load."""

import asyncio
import signal
import time
from collections import Counter

import msgspec

from benchmarks.house import House, Screen
from benchmarks.load.histogram import Histogram
from benchmarks.load.specs import Slot, Steadied, Steady
from benchmarks.processes import SteadyProcess, at_work
from benchmarks.results import Figures, Mark, Measurement, Outcome, Point, Target, Timeline
from benchmarks.server import HOST, Server
from benchmarks.session import Bench, Options, Scenario, checkpoint

NODES = 3
CLIENTS = 48
"""Every other one on a kept connection, the others on a new one for each request."""

RATE_PER_S = 240.0
WATCHERS = 60
SHOWTIMES = 24

RESTART_S = 180.0
"""How long a restart of all nodes may take."""

POLL_S = 0.02

SUMMARY = (
    f"{NODES} nodes behind one socket restarted in turn under {RATE_PER_S:.0f} requests a second "
    f"and {WATCHERS} watchers"
)


class _LogLine(msgspec.Struct):
    event: str = ""


class Restarts:
    """Follows the server's log from now on: when each node was told to stop, and served again."""

    def __init__(self, server: Server) -> None:
        self._log = server.log
        self._read = server.log.stat().st_size
        self._stopping_s = 0.0
        self.marks: list[Mark] = []
        self.finished = False
        self.trouble: list[str] = []

    def look(self) -> None:
        """Note what has been written since the last look."""
        with self._log.open("rb") as log:
            log.seek(self._read)
            new = log.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            if b'"event":"request_finished"' in line or not line.startswith(b"{"):
                continue
            self._note(msgspec.json.decode(line, type=_LogLine).event, line)

    def _note(self, event: str, line: bytes) -> None:
        now_s = time.monotonic()
        if event == "server_stopping":
            self._stopping_s = now_s
        elif event == "server_started":
            text = f"node {len(self.marks) + 1}"
            self.marks.append(Mark(at_s=self._stopping_s, text=text, until_s=now_s))
        elif event == "rolling_restart_finished":
            self.finished = True
        elif b'"level":"error"' in line:
            self.trouble.append(line.decode("utf-8", "replace")[:300])


async def restart_all(server: Server, load: SteadyProcess) -> Restarts:
    """Have every node replaced, one after the other, and say what became of it."""
    restarts = Restarts(server)
    server.send(signal.SIGUSR1)
    async with asyncio.timeout(RESTART_S):
        while not restarts.finished and load.running:
            await asyncio.sleep(POLL_S)
            restarts.look()
    return restarts


async def measure(
    bench: Bench, server: Server, house: House, screen: Screen, figures: Figures
) -> Timeline:
    """One restart of all nodes, on showtimes of its own."""
    load = Steady(
        host=HOST,
        port=server.port,
        showtimes=await house.showtimes(screen, SHOWTIMES),
        labels=screen.labels,
        tokens=house.tokens,
        clients=CLIENTS,
        rate_per_s=RATE_PER_S,
        watchers=WATCHERS,
    )
    await checkpoint(server.postgres.dsn)
    bench.say("rolling-restart: before")
    async with at_work(load) as clients:
        await asyncio.sleep(bench.options.seconds)
        begun_s = time.monotonic()
        bench.say("rolling-restart: restarting")
        restarts = await restart_all(server, clients)
        ended_s = time.monotonic()
        bench.say("rolling-restart: after")
        await asyncio.sleep(bench.options.seconds)
        told = await clients.finish()
    bench.step()
    _note(figures, told, begun_s, ended_s)
    for line in restarts.trouble:
        figures.problem(line)
    if len(restarts.marks) != NODES:
        figures.problem(f"{len(restarts.marks)} of {NODES} nodes were restarted")
    return timeline(told, restarts.marks)


def _note(figures: Figures, told: Steadied, begun_s: float, ended_s: float) -> None:
    share = told.generator_cpu_s / told.seconds
    failed = Measurement(value=len(told.failed), outcomes=told.requests)
    figures.add("cinema", "failed requests", "", failed)
    figures.add(
        "watchers",
        "missed changes",
        "",
        Measurement(
            value=len(told.missed),
            outcomes=told.close_codes,
            notes={"resumed": told.resumed, "snapshots": told.snapshots, "frames": told.frames},
        ),
    )
    before = [slot for slot in told.slots if slot.at_ns < begun_s * 1e9]
    during = [slot for slot in told.slots if begun_s * 1e9 <= slot.at_ns < ended_s * 1e9]
    for subject, slots in (("before", before), ("restarting", during)):
        tail = merged(slots).tail()
        run = Measurement(value=tail.p99_ms, latency=tail, generator_share=share)
        figures.add(subject, "p99", "ms", run)
    for why, times in Counter(f"{one.what}: {one.why}" for one in told.failed).most_common(10):
        figures.problem(f"{times} × {why}")
    for what in told.missed[:10]:
        figures.problem(f"watchers: {what}")


def merged(slots: list[Slot]) -> Histogram:
    """The latencies of several slots."""
    histogram = Histogram()
    for slot in slots:
        histogram.merge(slot.latency.histogram())
    return histogram


def timeline(told: Steadied, marks: list[Mark]) -> Timeline:
    """The last run, counted from its first request."""
    start_s = told.slots[0].at_ns / 1e9 if told.slots else 0.0
    points = []
    for slot in told.slots:
        tail = slot.latency.histogram().tail()
        points.append(
            Point(
                at_s=slot.at_ns / 1e9 - start_s,
                count=tail.count,
                p50_ms=tail.p50_ms,
                p90_ms=tail.p90_ms,
                max_ms=tail.max_ms,
            )
        )
    return Timeline(
        title=f"Latency while {NODES} nodes are restarted in turn (last run)",
        points=points,
        marks=[
            Mark(at_s=one.at_s - start_s, text=one.text, until_s=(one.until_s or 0.0) - start_s)
            for one in marks
        ],
        failed_s=[one.at_ns / 1e9 - start_s for one in told.failed],
    )


async def run_rolling_restart(bench: Bench) -> Outcome:
    """All runs restart the nodes of the same cluster."""
    figures = Figures()
    last: Timeline | None = None
    async with bench.cinema({"NODES": str(NODES)}) as server:
        await server.said(f"({NODES} nodes;")
        house = await House.open(server, CLIENTS)
        screen = await house.screen("Screen", 8, 12)
        for _ in range(bench.options.runs):
            last = await measure(bench, server, house, screen, figures)
    failed, missed = (
        figures.of("cinema", "failed requests"),
        figures.of("watchers", "missed changes"),
    )
    requests = sum(sum(run.outcomes.values()) for run in failed.runs)
    codes: Counter[str] = Counter()
    for run in missed.runs:
        codes.update(run.outcomes)
    return Outcome(
        scenario="rolling-restart",
        summary=SUMMARY,
        figures=figures.all(),
        targets=[
            Target(
                text=f"failed requests of {requests:,} in all runs",
                unit="",
                wanted=0,
                measured=sum(run.value for run in failed.runs),
                at_least=False,
            ),
            Target(
                text="changes that watchers missed in all runs",
                unit="",
                wanted=0,
                measured=sum(run.value for run in missed.runs),
                at_least=False,
            ),
        ],
        notes=[
            (
                "no request was tried twice; half of the clients keep their connection, the others "
                "open one for each request; each of them sees its own hold in the seat map"
            ),
            (
                f"watchers came back {sum(run.notes['resumed'] for run in missed.runs):.0f} times "
                f"(close codes {dict(codes)}), "
                f"{sum(run.notes['snapshots'] for run in missed.runs):.0f} times to a snapshot and "
                "else to the deltas since"
            ),
        ],
        problems=figures.problems,
        timeline=last,
    )


def steps(options: Options) -> int:
    return options.runs


ROLLING_RESTART = Scenario(
    name="rolling-restart", summary=SUMMARY, steps=steps, run=run_rolling_restart
)
