"""A Postgres and its synchronous standby, for tests that fail over as the runbook says."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import asyncpg

from cinema.local.embedded_postgres import EmbeddedPostgres
from cinema.local.postgres_home import DATABASE, USER, PostgresHome, clean_environment
from cinema.local.postmaster import find_postmaster
from tests.support.server_process import POLL_S

NAME = "standby"
TIMEOUT_S = 60.0
CONNECTIONS = 100


class Pair:
    """A primary that acknowledges only what its standby has too."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._primary_folder, self._standby_folder = folder / "primary", folder / "standby"
        self._primary = EmbeddedPostgres(self._primary_folder, connections=CONNECTIONS)
        self._primary_socket = self._standby_socket = ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def dsn(self) -> str:
        """Names both, and asks for the one that can write."""
        return _dsn(f"{self._primary_socket},{self._standby_socket}", "read-write")

    @property
    def standby_dsn(self) -> str:
        """The standby alone, whatever it is by now."""
        return _dsn(self._standby_socket, "any")

    async def start(self) -> None:
        """Start both, and wait until commits wait for the standby."""
        address = await asyncio.to_thread(self._primary.start)
        self._primary_socket = parse_qs(urlsplit(address).query)["host"][0]
        await asyncio.to_thread(self._copy)
        self._launch()
        primary = await asyncpg.connect(_dsn(self._primary_socket, "any"))
        try:
            await primary.execute(f"alter system set synchronous_standby_names = '{NAME}'")
            await primary.execute("select pg_reload_conf()")
            state = f"select sync_state from pg_stat_replication where application_name = '{NAME}'"
            async with asyncio.timeout(TIMEOUT_S):
                while True:
                    if await primary.fetchval(state) == "sync":
                        return
                    await asyncio.sleep(POLL_S)
        finally:
            await primary.close()

    async def lose_primary(self) -> None:
        """Let the primary die without a word."""
        postmaster = find_postmaster(self._primary_folder / "postgres")
        assert postmaster is not None
        postmaster.send(signal.SIGQUIT)
        assert await asyncio.to_thread(postmaster.wait_gone, TIMEOUT_S)

    async def lose_standby(self) -> None:
        """Stop the standby: commits wait for it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        await asyncio.to_thread(self._process.wait, TIMEOUT_S)

    async def bring_standby_back(self) -> None:
        """Start it again, where it was."""
        await asyncio.to_thread(self._launch)

    async def promote(self) -> None:
        """Make the standby the primary."""
        standby = await asyncpg.connect(self.standby_dsn)
        try:
            assert await standby.fetchval("select pg_promote()")
        finally:
            await standby.close()

    def stop(self) -> None:
        """End both."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(TIMEOUT_S)
        self._primary.stop()

    def _copy(self) -> None:
        home = PostgresHome(self._primary_folder)
        self._standby_folder.mkdir()
        standby = PostgresHome(self._standby_folder)
        self._standby_socket = str(standby.socket_folder())
        # Postgres runs as somebody else when we are root, and makes the copy as itself.
        self._standby_folder.chmod(0o777)
        subprocess.run(
            [
                *home.identity.prefix, home.binaries / "pg_basebackup",
                "--pgdata", standby.data, "--host", self._primary_socket, "--username", USER,
                "--write-recovery-conf", "--checkpoint=fast", "--no-password",
            ],
            check=True, cwd="/", env=clean_environment(), timeout=TIMEOUT_S,
        )  # fmt: skip

    def _launch(self) -> None:
        home = PostgresHome(self._standby_folder)
        source = f"host={self._primary_socket} user={USER} application_name={NAME}"
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": self._standby_socket,
            "max_connections": str(CONNECTIONS),
            "primary_conninfo": source,
            "wal_retrieve_retry_interval": "100ms",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self._standby_folder / "postgres.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*home.identity.prefix, home.binaries / "postgres", "-D", home.data, *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env=clean_environment(),
                start_new_session=True,
            )  # fmt: skip


def _dsn(hosts: str, session: str) -> str:
    places = quote(hosts, safe="/,")
    return f"postgresql://{USER}@/{DATABASE}?host={places}&target_session_attrs={session}"


@asynccontextmanager
async def replicated(folder: Path) -> AsyncIterator[Pair]:
    """Such a pair, ended at the end."""
    pair = Pair(folder)
    try:
        await pair.start()
        yield pair
    finally:
        await asyncio.to_thread(pair.stop)
