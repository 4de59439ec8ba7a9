"""A Postgres that keeps what it acknowledged, for tests that kill it."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

from cinema.local.embedded_postgres import EmbeddedPostgres
from cinema.local.postmaster import find_postmaster


class DurablePostgres:
    """A Postgres with fsync on that can be stopped, crashed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server = EmbeddedPostgres(folder)
        self.address = self._server.start()

    @property
    def socket_folder(self) -> Path:
        """Where its unix socket is."""
        return Path(parse_qs(urlsplit(self.address).query)["host"][0])

    def dsn(self, database: str) -> str:
        """The address of one of its databases."""
        return urlunsplit(urlsplit(self.address)._replace(path=f"/{database}"))

    async def crash(self, how: signal.Signals) -> None:
        """SIGQUIT is `pg_ctl stop -m immediate`, SIGINT `-m fast`; waits for its end."""
        postmaster = find_postmaster(self._folder / "postgres")
        assert postmaster is not None
        postmaster.send(how)
        assert await asyncio.to_thread(postmaster.wait_gone, 30.0)

    async def restart(self) -> None:
        """Bring it up again after `crash`."""
        await asyncio.to_thread(self._server.stop)
        await asyncio.to_thread(self._server.start)

    def stop(self) -> None:
        """Stop it for good."""
        self._server.stop()
