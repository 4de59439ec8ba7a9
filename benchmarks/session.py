"""What the scenarios of one session share: its options, its folder, its progress bar."""

import asyncio
import shlex
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import msgspec
from rich.progress import Progress, TaskID

from benchmarks.cluster import Cluster, clustered
from benchmarks.load.specs import Report, Spec, Window
from benchmarks.postgres import WAL_FLUSHES
from benchmarks.processes import accepting, free_port, run_load, running
from benchmarks.results import Outcome
from benchmarks.server import Server, serving

SETTLE_S = 0.3
"""Pause before each window, so that the last one's closing connections are gone."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How much to measure."""

    runs: int
    seconds: float
    quick: bool
    command: str

    against: str | None = None
    """The command of an earlier version to compare with."""

    rows: int = 20_000_000
    """Events of the large database of `retention`."""

    bookings: int = 10_000_000
    """Bookings of the chain whose reports are read."""

    warmup_s: float = 1.0
    """Long enough to activate the showtimes of a run, which is a scenario of its own."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """Something to measure: where it listens and whose CPU it uses."""

    name: str
    port: int
    observed: dict[str, int]


class Bench:
    """One session."""

    def __init__(self, options: Options, folder: Path, progress: Progress, task: TaskID) -> None:
        self.options = options
        self.postgres: dict[str, str] = {}
        self.task = task
        self._folder = folder
        self._progress = progress
        self._servers = 0

    def one_run_of(self, command: str, name: str) -> "Bench":
        """A session of one run of another command, in a folder of its own."""
        folder = self._folder / name
        folder.mkdir()
        options = msgspec.structs.replace(self.options, command=command, runs=1)
        return Bench(options, folder, self._progress, self.task)

    def say(self, text: str) -> None:
        """Show what is being done."""
        self._progress.update(self.task, description=text)

    def step(self) -> None:
        """One measured window is done."""
        self._progress.advance(self.task)

    def window(self, observe: Mapping[str, int], seconds: float | None = None) -> Window:
        """A window of the session's length."""
        return Window(
            warmup_s=self.options.warmup_s,
            seconds=seconds or self.options.seconds,
            observe=dict(observe),
        )

    async def load(self, spec: Spec, text: str) -> Report:
        """Run one load, after a short pause, and count it as a step."""
        self.say(text)
        await asyncio.sleep(SETTLE_S)
        report = await run_load(spec)
        self.step()
        return report

    async def loads(self, specs: Sequence[Spec], text: str) -> list[Report]:
        """Run several loads side by side, and count them as one step."""
        self.say(text)
        await asyncio.sleep(SETTLE_S)
        reports = await asyncio.gather(*(run_load(spec) for spec in specs))
        self.step()
        return reports

    @asynccontextmanager
    async def cinema(
        self, settings: Mapping[str, str] | None = None, *, command: str | None = None
    ) -> AsyncIterator[Server]:
        """The server under test, or another version of it, on a new data folder."""
        self.say("starting cinema")
        self._servers += 1
        folder = self._folder / f"cinema-{self._servers}"
        command = command or self.options.command
        async with serving(shlex.split(command), folder, settings) as server:
            self.postgres = server.durability
            yield server

    @asynccontextmanager
    async def cluster(
        self, nodes: int, settings: Mapping[str, str] | None = None, spares: int = 0
    ) -> AsyncIterator[Cluster]:
        """A cluster of the server under test on a new data folder; spares are not started."""
        self.say(f"starting {nodes} nodes of cinema")
        self._servers += 1
        folder = self._folder / f"cluster-{self._servers}"
        command = shlex.split(self.options.command)
        async with clustered(command, folder, nodes, settings, spares) as cluster:
            self.postgres = cluster.durability
            yield cluster

    @asynccontextmanager
    async def baseline(self, name: str, server: Server | None = None) -> AsyncIterator[Subject]:
        """One of `benchmarks.baselines`; with a server, on the same Postgres."""
        port = free_port()
        arguments = [sys.executable, "-m", f"benchmarks.baselines.{name}", str(port)]
        if server is not None:
            arguments.append(server.postgres.dsn)
        log = self._folder / f"{name}-{port}.log"
        async with running(arguments, log) as process:
            await accepting(port, process, log)
            observed = {"server": process.pid}
            if server is not None:
                observed["postgres"] = server.postgres.pid
            yield Subject(name=name, port=port, observed=observed)


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to find out; `steps` says how many windows `run` will measure."""

    name: str
    summary: str
    steps: Callable[[Options], int]
    run: Callable[[Bench], Awaitable[Outcome]]

    compare: Callable[[Bench, str], Awaitable[Outcome]] | None = None
    """Both versions at once, measured in short windows by turns; without it, whole runs in turn."""


async def wal_flushes(dsn: str) -> int:
    """How often Postgres has flushed its write-ahead log so far."""
    connection = await asyncpg.connect(dsn)
    try:
        flushes: int = await connection.fetchval(WAL_FLUSHES)
        return flushes
    finally:
        await connection.close()


async def checkpoint(dsn: str) -> None:
    """Write out what earlier runs left, so that no run pays for another."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()
