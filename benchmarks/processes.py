"""Starts what is measured and what measures, and sees to it that nothing is left behind."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from benchmarks.load.specs import Acknowledged, Report, Spec, Steadied, Steady, Watched, Watching

ROOT = Path(__file__).resolve().parents[1]

STOP_S = 30.0
"""How long a process may take to end after SIGTERM before it is killed."""

LISTEN_S = 60.0
"""How long a process may take until it accepts connections."""


class LoadError(Exception):
    """A load process ended without a report."""


def free_port() -> int:
    """A TCP port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def running(
    arguments: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A child process, its output in a file; SIGTERM at the end, SIGKILL if that is not enough."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *arguments,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        await stop(process)


async def stop(process: asyncio.subprocess.Process) -> None:
    """End a child in an orderly way, or by force after STOP_S."""
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def accepting(port: int, process: asyncio.subprocess.Process, log: Path) -> None:
    """Wait until the process accepts connections; raises LoadError if it ends or is too slow."""
    loop = asyncio.get_running_loop()
    give_up_s = loop.time() + LISTEN_S
    while loop.time() < give_up_s:
        if process.returncode is not None:
            raise LoadError(f"ended with {process.returncode}; see {log}")
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
            continue
        writer.close()
        return
    raise LoadError(f"did not listen within {LISTEN_S:.0f} s; see {log}")


async def _start_load(spec: Spec) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.load",
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 28,
    )
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(spec) + b"\n")
    await process.stdin.drain()
    return process


async def _line(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise LoadError(f"a load process ended with {await process.wait()}; its error is above")
    return line


async def run_load(spec: Spec) -> Report:
    """Run a load in a process of its own and return its report."""
    process = await _start_load(spec)
    try:
        report = msgspec.json.decode(await _line(process), type=Report)
        await process.wait()
    finally:
        await stop(process)
    return report


class WatcherProcesses:
    """Watchers of one showtime, shared out over some processes."""

    def __init__(self, processes: list[asyncio.subprocess.Process]) -> None:
        self._processes = processes

    async def finish(self, commits: list[Acknowledged]) -> list[Watched]:
        """Tell the watchers which commits there were, and have their summaries."""
        line = msgspec.json.encode(commits) + b"\n"
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(line)
            await process.stdin.drain()
        return [
            msgspec.json.decode(await _line(process), type=Watched) for process in self._processes
        ]


@asynccontextmanager
async def watching(specs: Sequence[Watching]) -> AsyncIterator[WatcherProcesses]:
    """Watchers, all connected and each with its first snapshot."""
    processes: list[asyncio.subprocess.Process] = []
    try:
        for spec in specs:
            processes.append(await _start_load(spec))  # noqa: PERF401 - each must be stopped
        for process in processes:
            await _line(process)
        yield WatcherProcesses(processes)
    finally:
        for process in processes:
            await stop(process)


class SteadyProcess:
    """Steady clients at work in a process of their own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def running(self) -> bool:
        """Whether they are still at it."""
        return self._process.returncode is None

    async def finish(self) -> Steadied:
        """Have them stop, and tell."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        await self._process.stdin.drain()
        return msgspec.json.decode(await _line(self._process), type=Steadied)


@asynccontextmanager
async def at_work(spec: Steady) -> AsyncIterator[SteadyProcess]:
    """Steady clients, under way."""
    process = await _start_load(spec)
    try:
        await _line(process)
        yield SteadyProcess(process)
    finally:
        await stop(process)
