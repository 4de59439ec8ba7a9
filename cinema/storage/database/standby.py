"""Whether what can be read would survive a failover to the synchronous standby.

A commit waits for its standby, and nobody sees it before. But a wait that is cut short leaves the
commit visible, though the standby may not have it: the driver cancels a statement that takes too
long, an operator cancels one, Postgres starts again. The statement then even succeeds, with no more
than a warning. So nothing is acknowledged that came with such a warning, and what was read counts
once a later commit of our own is on the standby: the log has one order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import asyncpg

from cinema.storage.database.failures import UNREACHABLE
from cinema.storage.database.shared_question import SharedQuestion

HasStandby: TypeAlias = Callable[[], bool]
"""Whether this Postgres has commits wait for a standby."""

_WAIT_CUT_SHORT: Final = "SyncRepWaitForLSN"
"""The function of Postgres that warns; its texts are in the language of the server."""

WARNS: Final = {"client_min_messages": "notice"}
"""What our sessions set, whatever the server's default: else the warning may not come."""

# It writes to the log, so that its commit waits as any other; and to nothing else.
_COMMIT: Final = "select pg_logical_emit_message(true, 'cinema', '')"


class Unconfirmed(Exception):
    """The standby has not confirmed what was read or written; it may be lost in a failover."""


if TYPE_CHECKING:

    class _DriversConnection(asyncpg.Connection[asyncpg.Record]):
        def _process_log_message(self, fields: dict[str, str], last_query: str) -> None: ...

else:
    _DriversConnection = asyncpg.Connection


class WatchedConnection(_DriversConnection):
    """Counts its commits whose wait for a standby was cut short."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.unconfirmed = 0

    def _process_log_message(self, fields: dict[str, str], last_query: str) -> None:
        # Listeners would be called in a later step, and pools refuse them.
        if fields.get("R") == _WAIT_CUT_SHORT:
            self.unconfirmed += 1
        super()._process_log_message(fields, last_query)


def unconfirmed_of(connection: object) -> int:
    """How many commits of a connection came back without the standby's word."""
    count: int = getattr(connection, "unconfirmed", 0)
    return count


def never() -> bool:
    """There is no standby."""
    return False


class StandbyWait:
    """Waits until the standby has everything that could be read before.

    Without a standby there is nothing to wait for. With one it costs a commit, which all that ask
    at the same time share.
    """

    def __init__(
        self, pool: asyncpg.Pool[asyncpg.Record], has_standby: HasStandby, *, timeout_s: float
    ) -> None:
        self._pool = pool
        self._has_standby = has_standby
        self._timeout_s = timeout_s
        self._shared = SharedQuestion(self._commit)

    async def wait(self) -> None:
        """Raises `Unconfirmed`."""
        if self._has_standby():
            await self._shared.answer()

    async def _commit(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_s), self._pool.acquire() as connection:
                before = unconfirmed_of(connection)
                await connection.execute(_COMMIT)
                cut_short = unconfirmed_of(connection) != before
        except (asyncpg.PostgresError, *UNREACHABLE) as error:
            raise Unconfirmed(str(error) or type(error).__name__) from error
        if cut_short:
            raise Unconfirmed("the wait for the standby was cut short")
