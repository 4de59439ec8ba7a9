"""The server under test, started as a user would start it, on data of its own."""

import asyncio
import os
import shlex
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import psutil

from benchmarks.load.batch import UnexpectedAnswerError, send_one
from benchmarks.load.http import format_request
from benchmarks.postgres import Postgres, describe_postgres, find_postgres
from benchmarks.processes import LISTEN_S, ROOT, accepting, free_port, stop

HOST = "127.0.0.1"

DEFAULT_COMMAND = f"{shlex.quote(sys.executable)} -m cinema serve"

SECRET = "signs the tokens of a benchmark, and nothing else"

SETTINGS = {
    # Everything a deployment has on stays on: authentication, metrics, the line a request logs.
    "ENVIRONMENT": "development",
    "LOG_LEVEL": "info",
    "JWT_SECRET_KEY": SECRET,
    "DEMO_DATA": "false",
    # A load comes from one address and a few customers: throttles count, and never refuse.
    "REGISTRATIONS_PER_HOUR_PER_ADDRESS": "1000000",
    "HASHING_PER_ADDRESS": "64",
    "WRITES_PER_MINUTE_PER_USER": "1000000",
    "HOLDS_PER_SECOND_PER_USER": "1000000",
    "HOLDS_PER_SECOND_PER_STAFF": "1000000",
    "HOLDS_PER_SECOND_PER_ADDRESS": "1000000",
    "WATCHERS_PER_ADDRESS": "1000000",
    "WATCHERS_PER_USER": "1000000",
    "UNPAID_SEATS_PER_CUSTOMER": "1000000",
    "UNPAID_SEATS_PER_UNVERIFIED": "1000000",
}


class Server:
    """A running server: its port, its pid and its Postgres."""

    def __init__(self, command: Sequence[str], folder: Path, settings: Mapping[str, str]) -> None:
        self._command = command
        self.folder = folder
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None
        self._postgres: Postgres | None = None
        self.port = 0
        self.durability: dict[str, str] = {}
        self.log = folder / "server.log"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def postgres(self) -> Postgres:
        assert self._postgres is not None
        return self._postgres

    @property
    def jwt_secret(self) -> str:
        """What it signs tokens with, unless a setting says otherwise."""
        return self._settings.get("JWT_SECRET_KEY", SECRET)

    @property
    def observed(self) -> dict[str, int]:
        """Whose CPU a window reads."""
        return {"server": self.pid, "postgres": self.postgres.pid}

    @property
    def rss_bytes(self) -> int:
        rss: int = psutil.Process(self.pid).memory_info().rss
        return rss

    async def start(self, settings: Mapping[str, str] | None = None) -> None:
        """Start and wait until it is ready; raises NotDurableError if its Postgres is not.

        `settings` go before those it was made with, this once.
        """
        data_dir = self.folder / "data"
        data_dir.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        with self.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                "--port",
                str(self.port),
                cwd=ROOT,
                env={
                    **os.environ,
                    **SETTINGS,
                    "DATA_DIR": str(data_dir),
                    **self._settings,
                    **(settings or {}),
                },
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        await accepting(self.port, self._process, self.log)
        await self._ready()
        self._postgres = find_postgres(data_dir)
        self.durability = await describe_postgres(self._postgres.dsn)

    async def _ready(self) -> None:
        request = format_request("GET", "/readyz", host=f"{HOST}:{self.port}")
        give_up_s = time.monotonic() + LISTEN_S
        while True:
            try:
                await send_one(HOST, self.port, request)
            except UnexpectedAnswerError:
                if time.monotonic() > give_up_s:
                    raise
                await asyncio.sleep(0.05)
            else:
                return

    async def metric(self, name: str) -> float | None:
        """The sum of a metric's samples, or None if the server does not have it."""
        request = format_request("GET", "/metrics", host=f"{HOST}:{self.port}")
        values = samples_of(name, await send_one(HOST, self.port, request))
        return sum(values) if values else None

    def send(self, how: signal.Signals) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(how)

    async def said(self, words: str) -> None:
        """Wait until it has written these words."""
        give_up_s = time.monotonic() + LISTEN_S
        while words.encode() not in await asyncio.to_thread(self.log.read_bytes):
            if time.monotonic() > give_up_s:
                raise TimeoutError(f"it never wrote {words!r}; see {self.log}")
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Stop the server, and its Postgres if the server left it running."""
        if self._process is not None:
            await stop(self._process)
        if self._postgres is not None:
            await _end_postgres(self._postgres.pid)
        self._process = self._postgres = None


def last_logged(log: Path, event: str) -> dict[str, Any]:
    """The last line of a server's log with this event; raises ValueError if there is none."""
    for line in reversed(log.read_bytes().splitlines()):
        if f'"event":"{event}"'.encode() in line:
            found: dict[str, Any] = msgspec.json.decode(line)
            return found
    raise ValueError(f"no {event} in {log}")


def samples_of(name: str, exposition: bytes) -> list[float]:
    """The values of a metric's samples in what `/metrics` says."""
    return [
        float(line.rsplit(" ", 1)[1])
        for line in exposition.decode().splitlines()
        if line.startswith((f"{name} ", f"{name}{{"))
    ]


async def _end_postgres(pid: int) -> None:
    """A fast shutdown, as `pg_ctl stop` does it."""
    with suppress(psutil.NoSuchProcess, ProcessLookupError):
        postmaster = psutil.Process(pid)
        if "postgres" in postmaster.name():
            os.kill(pid, signal.SIGINT)
            await asyncio.to_thread(postmaster.wait, 30)


@asynccontextmanager
async def serving(
    command: Sequence[str], folder: Path, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Server]:
    """A ready server on a new data folder, stopped at the end."""
    server = Server(command, folder, settings or {})
    try:
        await server.start()
        yield server
    finally:
        await server.stop()
