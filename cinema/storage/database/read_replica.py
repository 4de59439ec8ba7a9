"""Reads on a replica, if it has replayed everything that was acknowledged to anybody.

Before each read the primary says how far its log is flushed: every acknowledged write, of any node
and any session, lies before that. The replica serves once it has replayed as far, on the same
timeline; else the primary does. Positions are asked for in batches, one question in flight. A
replica shows a commit before the synchronous standby has it, so its answer also waits for that one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

import asyncpg
import msgspec
import structlog

from cinema.storage.database.address import DatabaseAddress, address_of
from cinema.storage.database.failures import UNREACHABLE
from cinema.storage.database.pool import keep_session
from cinema.storage.database.reads import Query, Reads, T, confirm
from cinema.storage.database.shared_question import SharedQuestion
from cinema.storage.database.standby import StandbyWait, Unconfirmed
from cinema.storage.database.transactions import Pool, PooledConnection, connection

REPLICA_UNUSED: Final = "replica_unused"

CATCH_UP_S: Final = 0.05
"""How long a read waits until the replica has caught up; usually it is milliseconds behind."""

REST_S: Final = 1.0
"""How long all reads go to the primary after the replica was too far behind or away."""

CONNECT_TIMEOUT_S: Final = 1.0
"""A replica that takes longer to connect to counts as away, since a client waits for the answer."""

READ_TIMEOUT_S: Final = 5.0
"""Longer than any of our lists takes; after that the primary is asked."""

_POLL_S: Final = (0.001, 0.01)

OUTCOMES: Final = ("replica", "behind", "unreachable", "unfit", "unconfirmed", "resting")
"""Where a read went: to the replica, or to the primary because the replica was …"""

_PRIMARY: Final = """
select (pg_current_wal_flush_lsn() - '0/0')::bigint as position,
    substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8) as timeline,
    system_identifier::text, current_database() as database,
    current_setting('synchronous_commit') as synchronous_commit
from pg_control_system()
"""
# The control file has the timeline of the last checkpoint that was replayed. It is right, or too
# old for some minutes after a failover, but never that of an abandoned history.
_REPLICA: Final = """
select pg_is_in_recovery() as standby,
    (pg_last_wal_replay_lsn() - '0/0')::bigint as position,
    lpad(upper(to_hex(timeline_id)), 8, '0') as timeline,
    system_identifier::text, current_database() as database
from pg_control_system(), pg_control_checkpoint()
"""

log = structlog.get_logger()


class _Behind(Exception):
    """The replica has not replayed yet what the primary has flushed."""


class _Unfit(Exception):
    """This is not a replica of that primary, or the two cannot be compared."""


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """How far a primary's log is flushed, and the identity of that log."""

    flushed: int
    timeline: str
    system_identifier: str
    database: str


async def open_replica_pool(dsn: str | DatabaseAddress, *, size: int) -> Pool:
    """Connections to a replica; none is opened yet, because it may be away at the start."""
    address = address_of(dsn)
    pool: Pool = await asyncpg.create_pool(
        address.dsn,
        connect=address.connect,
        min_size=0,
        max_size=size,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=READ_TIMEOUT_S,
        reset=keep_session,
        server_settings={
            "application_name": "cinema reads",
            "timezone": "UTC",
            "jit": "off",
            "default_transaction_read_only": "on",
        },
    )
    return pool


class PrimaryPosition:
    """Asks the primary for its position, once for all callers at a time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._shared = SharedQuestion(self._ask)

    async def now(self) -> Position:
        """A position for which the primary was asked after this call began."""
        return await self._shared.answer()

    async def _ask(self) -> Position:
        async with self._pool.acquire(timeout=READ_TIMEOUT_S) as asking:
            row = await asking.fetchrow(_PRIMARY)
        assert row is not None, "the control file has one row"
        if row["synchronous_commit"] == "off":
            raise _Unfit("the primary acknowledges what it has not flushed (synchronous_commit)")
        return Position(
            flushed=row["position"],
            timeline=row["timeline"],
            system_identifier=row["system_identifier"],
            database=row["database"],
        )


class ReplicaReads:
    """See `Reads`; `outcomes` counts where they went."""

    def __init__(
        self,
        primary: Pool,
        replica: Pool,
        confirmation: StandbyWait | None = None,
        *,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._primary = primary
        self._confirmation = confirmation
        self._replica = replica
        self._clock_s = clock_s
        self._position = PrimaryPosition(primary)
        self._rests_until_s = clock_s()
        self._reason = ""
        self.outcomes = dict.fromkeys(OUTCOMES, 0)

    async def fetch(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """See `Reads.fetch`."""
        return await self._read(lambda reading: reading.fetch(statement, *values))

    async def fetchrow(self, statement: str, *values: object) -> asyncpg.Record | None:
        """See `Reads.fetchrow`."""
        return await self._read(lambda reading: reading.fetchrow(statement, *values))

    def confirmed(self, confirmation: StandbyWait) -> Reads:
        """The same reads, of which no failover takes anything back; each is confirmed once."""
        return _ReplicaConfirmedReads(self, confirmation)

    async def read_confirmed(self, query: Query[T], confirmation: StandbyWait) -> T:
        """What a query finds; the replica's answer is confirmed. Refuses RETRY."""
        found, is_confirmed = await self._find(query)
        if not is_confirmed:
            await confirm(confirmation)
        return found

    async def _read(self, query: Query[T]) -> T:
        found, _ = await self._find(query)
        return found

    async def _find(self, query: Query[T]) -> tuple[T, bool]:
        """What a query finds, and whether the standby has it."""
        if self._clock_s() < self._rests_until_s:
            self.outcomes["resting"] += 1
        else:
            try:
                found = await self._read_on_replica(query)
            except _Behind as error:
                self._rest("behind", error)
            except _Unfit as error:
                self._rest("unfit", error)
            except Unconfirmed as error:
                self._rest("unconfirmed", error)
            # Whatever the error was, only the primary may refuse.
            except (asyncpg.PostgresError, *UNREACHABLE) as error:
                self._rest("unreachable", error)
            else:
                self.outcomes["replica"] += 1
                self._reason = ""
                return found, self._confirmation is not None
        async with connection(self._primary) as reading:
            return await query(reading), False

    async def _read_on_replica(self, query: Query[T]) -> T:
        position = await self._position.now()
        async with self._replica.acquire(timeout=CONNECT_TIMEOUT_S) as reading:
            await self._catch_up(reading, position)
            found = await query(reading)
        if self._confirmation is not None:
            await self._confirmation.wait()
        return found

    async def _catch_up(self, reading: PooledConnection, position: Position) -> None:
        """Wait a little until this connection's server has replayed up to a position."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + CATCH_UP_S
        pause_s, longest_s = _POLL_S
        while True:
            row = await reading.fetchrow(_REPLICA)
            assert row is not None, "the control file has one row"
            if not row["standby"] or row["position"] is None:
                raise _Unfit("DATABASE_READ_URL is not a replica")
            if (row["system_identifier"], row["database"]) != (
                position.system_identifier,
                position.database,
            ):
                raise _Unfit("DATABASE_READ_URL is a replica of another database")
            if row["timeline"] == position.timeline and row["position"] >= position.flushed:
                return
            if loop.time() + pause_s > deadline_s:
                raise _Behind(f"{position.flushed - row['position']} bytes behind")
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, longest_s)

    def _rest(self, outcome: str, error: Exception) -> None:
        self.outcomes[outcome] += 1
        self._rests_until_s = self._clock_s() + REST_S
        if outcome != self._reason:
            self._reason = outcome
            log.warning(REPLICA_UNUSED, outcome=outcome, reason=str(error) or repr(error))


class _ReplicaConfirmedReads:
    """See `ReplicaReads.confirmed`."""

    def __init__(self, reads: ReplicaReads, confirmation: StandbyWait) -> None:
        self._reads = reads
        self._confirmation = confirmation

    async def fetch(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """See `Reads.fetch`."""
        return await self._reads.read_confirmed(
            lambda reading: reading.fetch(statement, *values), self._confirmation
        )

    async def fetchrow(self, statement: str, *values: object) -> asyncpg.Record | None:
        """See `Reads.fetchrow`."""
        return await self._reads.read_confirmed(
            lambda reading: reading.fetchrow(statement, *values), self._confirmation
        )
