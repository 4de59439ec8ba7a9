"""A pool whose connections change hands without a step of the loop.

asyncpg gives each connection back in a task of its own, and the caller waits for that task: three
steps of the loop for each statement. When thousands of clients wait in line, a step takes tens of
milliseconds, and an activation needs three statements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg

from cinema.storage.database.address import DatabaseAddress, address_of
from cinema.storage.database.pool import keep_session
from cinema.storage.database.transactions import Pool

if TYPE_CHECKING:
    Base = asyncpg.Pool[asyncpg.Record]
else:
    Base = asyncpg.Pool

QUERIES_PER_CONNECTION = 50_000
IDLE_LIFETIME_S = 300.0
"""As in asyncpg: when a connection is replaced or closed."""


class _ImmediatePool(Base):
    release_s: float

    async def release(self, connection: Any, *, timeout: float | None = None) -> None:  # noqa: ASYNC109  (asyncpg's name)
        """Give a connection back in the caller's own step.

        asyncpg uses a task so that no cancellation comes in between. Without a query that resets
        the session, nothing here waits. The exception is the end of an unfinished statement or
        transaction, for `release_s` at most. A cancellation then closes the connection, which gives
        its place back as well.
        """
        if connection._con is None:
            return
        connection._con._on_release()
        await connection._holder.release(self.release_s if timeout is None else timeout)


async def open_immediate_pool(
    dsn: str | DatabaseAddress, *, size: int, timeout_s: float, server_settings: dict[str, str]
) -> Pool:
    """A pool of at most `size` connections, for statements that leave nothing in their session.

    Connecting takes `timeout_s` at most, and so does giving a connection back.
    """
    address = address_of(dsn)
    pool = _ImmediatePool(
        address.dsn,
        connect=address.connect,
        connection_class=asyncpg.Connection,
        record_class=asyncpg.Record,
        min_size=1,
        max_size=size,
        max_queries=QUERIES_PER_CONNECTION,
        max_inactive_connection_lifetime=IDLE_LIFETIME_S,
        loop=None,
        timeout=timeout_s,
        reset=keep_session,
        server_settings=server_settings,
    )
    pool.release_s = timeout_s
    return await pool
