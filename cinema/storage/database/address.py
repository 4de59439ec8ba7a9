"""Where Postgres is, and as whom we sign in: the latter may change while the server runs."""

from __future__ import annotations

import asyncio
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import asyncpg

from cinema.storage.database.standby import WatchedConnection

CONNECTING_AT_ONCE: Final = 4
"""Connections that one process opens at the same time. After a restart of Postgres all connections
of all nodes are missing. If all of them were asked for at once, a busy machine would finish none in
its time, all would be asked for again, and nothing would ever be served."""

_WHO: Final = frozenset({"user", "password"})


class DatabaseAddress:
    """The address for each new connection; those that are open go on."""

    def __init__(self, dsn: str, *, at_once: int = CONNECTING_AT_ONCE) -> None:
        self.dsn = dsn
        self._connecting = asyncio.Semaphore(at_once)

    def replace(self, dsn: str) -> None:
        """Sign in with the user and password of `dsn` from now on.

        Raises `ValueError`, and changes nothing, if it leads anywhere else: on two databases at a
        time a showtime would have two owners.
        """
        if _place(dsn) != _place(self.dsn):
            raise ValueError("only user and password may change while the server runs")
        self.dsn = dsn

    async def connect(
        self,
        dsn: str | None = None,  # noqa: ARG002  (pools pass what they were made with)
        **options: Any,
    ) -> asyncpg.Connection[asyncpg.Record]:
        """A new connection for a pool, whatever `dsn` that was made with.

        `timeout` among the options begins when it is this one's turn.
        """
        async with self._connecting:
            # Pools name the class that they were made with.
            options["connection_class"] = WatchedConnection
            made: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(self.dsn, **options)
        return made


def address_of(dsn: str | DatabaseAddress) -> DatabaseAddress:
    """The address itself, or one that does not change."""
    return dsn if isinstance(dsn, DatabaseAddress) else DatabaseAddress(dsn)


def _place(dsn: str) -> tuple[object, ...]:
    """All of an address but who we are."""
    parts = urlsplit(dsn)
    options = sorted(pair for pair in parse_qsl(parts.query) if pair[0] not in _WHO)
    return parts.scheme, parts.netloc.rpartition("@")[2], parts.path, options
