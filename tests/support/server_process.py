"""`cinema serve` as a process of its own, for tests that stop, freeze and kill it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import aiohttp
import psutil

from cinema.local.cluster.plan import longest_stop_s
from cinema.settings import Settings

ROOT = Path(__file__).parents[2]
SECRET = "layer-five-secret-of-32-characters!"

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = longest_stop_s(Settings())
"""As long as a supervisor waits that knows the documented bound: before it, nothing hangs."""

POLL_S = 0.02

SETTINGS = {
    "JWT_SECRET_KEY": SECRET,
    "BCRYPT_COST": "10",
    # What tests find is what they have made.
    "DEMO_PAST": "false",
    "LIVE_HOLDS_PER_CUSTOMER": "8",
    # The clients are few accounts at one address.
    "WRITES_PER_MINUTE_PER_USER": "1000000",
    "HOLDS_PER_SECOND_PER_USER": "1000000",
    "HOLDS_PER_SECOND_PER_ADDRESS": "1000000",
    "WATCHERS_PER_ADDRESS": "1000000",
    "WATCHERS_PER_USER": "1000000",
    "UNPAID_SEATS_PER_CUSTOMER": "1000000",
    "UNPAID_SEATS_PER_UNVERIFIED": "1000000",
    # A machine that is busy with other tests commits slowly at times: that is no overload.
    "OVERLOADED_AFTER_MS": "900",
    # Small, so that snapshots, archived replies and takeovers from them are part of every run.
    "SNAPSHOT_EVERY_EVENTS": "40",
    "LEASE_MS": "200",
    "LOG_LEVEL": "warning",
}


class ServerProcess:
    """One server; `start` again after a kill works on the same data and port."""

    module: ClassVar[str] = "cinema"

    def __init__(self, folder: Path, port: int = 0, **settings: str) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._settings: Mapping[str, str] = {**SETTINGS, **settings}
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder.with_name(f"{folder.name}.log")

    @property
    def dsn(self) -> str:
        """Its database, the embedded one unless a setting names another."""
        return self._settings.get("DATABASE_URL") or embedded_dsn(self.folder)

    async def start(self) -> None:
        """Start, and wait until it is ready."""
        self.launch()
        await self.await_ready()

    def launch(self) -> None:
        """Start without waiting."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", self.module, "serve", "--port", str(self.port)],
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": str(ROOT),
                    "DATA_DIR": str(self.folder),
                    **self._settings,
                },
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def await_ready(self) -> None:
        """Wait for the first 200 of /readyz."""
        async with asyncio.timeout(START_TIMEOUT_S), aiohttp.ClientSession() as session:
            while not await self._is_ready(session):
                assert self.running, f"the server ended:\n{self.log()[-4000:]}"
                await asyncio.sleep(POLL_S)

    async def _is_ready(self, session: aiohttp.ClientSession) -> bool:
        try:
            timeout = aiohttp.ClientTimeout(total=5)
            async with session.get(f"{self.url}/readyz", timeout=timeout) as reply:
                return reply.status == 200
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process is not None and self._process.poll() is None

    async def outlived(self, poll_s: float) -> int:
        """Wait for its end without keeping a thread; the exit code."""
        assert self._process is not None
        while True:
            code = self._process.poll()
            if code is not None:
                return code
            await asyncio.sleep(poll_s)

    def send(self, how: signal.Signals) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(how)

    async def freeze(self) -> None:
        """Stop it in its tracks; `send(SIGCONT)` lets it go on."""
        assert self._process is not None
        self.send(signal.SIGSTOP)
        process = psutil.Process(self._process.pid)
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await asyncio.to_thread(_await_stopped, process)

    async def ended(self) -> int:
        """Wait for its end; the exit code."""
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, STOP_TIMEOUT_S)

    async def stop(self) -> None:
        """Whatever became of it, leave nothing behind."""
        if self.running:
            self.send(signal.SIGCONT)
            self.send(signal.SIGTERM)
            try:
                await self.ended()
            except subprocess.TimeoutExpired:
                self.send(signal.SIGKILL)
                await self.ended()
                raise

    def log(self) -> str:
        """What it has written so far, in all its lives."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def left_behind(self) -> list[str]:
        """Processes that work in its data folder."""
        found = []
        for process in psutil.process_iter():
            try:
                alive = process.status() != psutil.STATUS_ZOMBIE
                if alive and Path(process.cwd()).is_relative_to(self.folder):
                    found.append(f"{process.pid} {process.name()}")
            except psutil.Error:
                continue
        return found


@asynccontextmanager
async def serving_together(nodes: Sequence[ServerProcess]) -> AsyncIterator[None]:
    """Nodes that start at once, and that are told to stop at once."""
    try:
        for node in nodes:
            node.launch()
        for node in nodes:
            await node.await_ready()
        yield
    finally:
        for node in nodes:
            if node.running:
                node.send(signal.SIGTERM)
        for node in nodes:
            await node.stop()


def embedded_dsn(folder: Path) -> str:
    """The embedded Postgres of a data folder."""
    return f"postgresql://cinema@/cinema?host={folder / 'socket'}"


def _await_stopped(process: psutil.Process) -> None:
    deadline_s = time.monotonic() + STOP_TIMEOUT_S
    while process.status() != psutil.STATUS_STOPPED and time.monotonic() < deadline_s:
        time.sleep(POLL_S)


@asynccontextmanager
async def running(server: ServerProcess) -> AsyncIterator[ServerProcess]:
    """The server, from its start to its stop."""
    try:
        await server.start()
        yield server
    finally:
        await server.stop()


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
