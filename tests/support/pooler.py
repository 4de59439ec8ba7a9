"""pgbouncer before a Postgres of its own, pooling transactions as docs/scale.md says."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from cinema.local.embedded_postgres import EmbeddedPostgres
from cinema.local.postgres_home import DATABASE, USER, PostgresHome, clean_environment
from tests.support.server_process import POLL_S, free_port

OLDEST = (1, 21)
"""The first that keeps prepared statements."""

POOL_SIZE = 3
"""Sessions of the pooler: fewer than a node's pool."""

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0

CONNECT_QUERY = (
    "set synchronous_commit = 'on'; set jit = 'off'; set transaction_timeout = '4s'; "
    "set idle_in_transaction_session_timeout = '4s'"
)


def _is_there() -> bool:
    """Whether this machine has a pgbouncer that is new enough; Debian 12 has not."""
    if shutil.which("pgbouncer") is None:
        return False
    told = subprocess.run(["pgbouncer", "--version"], check=True, capture_output=True, text=True)
    version = re.search(r"(\d+)\.(\d+)", told.stdout)
    return version is not None and tuple(map(int, version.groups())) >= OLDEST


needs_pgbouncer = pytest.mark.skipif(not _is_there(), reason="needs pgbouncer 1.21 or newer")


class Pooled:
    """A Postgres, and the pooler before it; `start` again after `stop` listens at the same port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._postgres = EmbeddedPostgres(folder)
        self.dsn = self._postgres.start()
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pooler_dsn(self) -> str:
        """The database by way of the pooler."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{DATABASE}"

    async def start(
        self,
        *,
        connect_query: str = CONNECT_QUERY,
        prepared_statements: int = 200,
        database: str = DATABASE,
    ) -> None:
        """Run the pooler and wait until it answers."""
        await asyncio.to_thread(self._launch, connect_query, prepared_statements, database)
        async with asyncio.timeout(START_TIMEOUT_S):
            while not await self._answers():
                assert self._process is not None
                assert self._process.poll() is None, (self._folder / "pgbouncer.log").read_text()
                await asyncio.sleep(POLL_S)

    def _launch(self, connect_query: str, prepared_statements: int, database: str) -> None:
        home = PostgresHome(self._folder)
        socket = parse_qs(urlsplit(self.dsn).query)["host"][0]
        query = connect_query.replace("'", "''")
        configuration = self._folder / "pgbouncer.ini"
        configuration.write_text(
            f"[databases]\n"
            f"{DATABASE} = host={socket} dbname={database} user={USER} connect_query='{query}'\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = any\npool_mode = transaction\ndefault_pool_size = {POOL_SIZE}\n"
            f"max_prepared_statements = {prepared_statements}\n"
        )
        program = shutil.which("pgbouncer")
        assert program is not None
        with (self._folder / "pgbouncer.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*home.identity.prefix, program, str(configuration)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env=clean_environment(),
            )  # fmt: skip

    def stop(self) -> None:
        """Let the pooler die without a word."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_TIMEOUT_S)
            self._process = None

    def close(self) -> None:
        """End both."""
        self.stop()
        self._postgres.stop()

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.pooler_dsn)
            await connection.close()
        except (OSError, asyncpg.PostgresError):
            return False
        return True
