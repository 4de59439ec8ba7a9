"""The journal on Postgres: one connection for each lane, a pool for everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import asyncpg
from asyncpg.pgproto.pgproto import UUID
from asyncpg.prepared_stmt import PreparedStatement

from cinema.domain.showtime.state import NEVER_US
from cinema.storage.database.address import DatabaseAddress, address_of
from cinema.storage.database.durability import COMMITS
from cinema.storage.database.immediate_pool import open_immediate_pool
from cinema.storage.database.standby import (
    WARNS,
    HasStandby,
    StandbyWait,
    Unconfirmed,
    never,
    unconfirmed_of,
)
from cinema.storage.journal import sql
from cinema.storage.journal.array_text import ids_text, integers_text, joined
from cinema.storage.journal.branches import NO_BRANCHES, RowBranches
from cinema.storage.journal.store import (
    LOCK_TIMEOUT,
    Append,
    ArchiveRow,
    CommitAborted,
    CommitUnknown,
    HeadsLocked,
    HeldBy,
    JournalRow,
    LeftBehind,
    Loaded,
    SnapshotSave,
    StoreUnavailable,
    Takeover,
)

LaneConnection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Statement: TypeAlias = "PreparedStatement[asyncpg.Record]"

# Only these say that a statement had no effect; everything else is unknown. 08001: the
# connection was never made, so nothing was sent. 57014 is not here: a cancelled wait for a
# synchronous standby has committed.
_ABORTS: Final = frozenset({"40001", "40P01", "55P03", "53100", "53200", "25006", "42P01"})
_ABORT_CLASSES: Final = ("22", "23")
_NOT_CONNECTED: Final = "08001"
_READ_ONLY: Final = "25006"

LANE_LOCK_TIMEOUT_S: Final = 0.1
"""How long a lane's statement waits for another session's row lock: all its showtimes wait with it.
Takeovers hold a head for one commit; a session that holds it longer is an operator's, or frozen.
"""

LANE_SETTINGS: Final = {
    "application_name": "cinema-lane",
    # The statements join a handful of ids to indexed tables; without statistics (a fresh
    # database) the planner would rather read whole tables.
    "enable_seqscan": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}

POOL_SETTINGS: Final = {
    "application_name": "cinema-kernel",
    # A month of the journal is empty when its plans are made, and full when they are used.
    "enable_seqscan": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}

_BEFORE_ALL_US: Final = -(2**63)

# InternalClientError: the driver has read the server's farewell, but not yet the end.
_LOST: Final = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_FAILURES: Final = (*_LOST, asyncpg.PostgresError)


class PostgresLane:
    """One lane's own connection, opened when needed and thrown away after any doubt.

    `timeout_s` bounds each statement; a statement that takes longer has an unknown outcome. One
    that waits for a row lock longer than `lock_timeout_s` has none, and the showtimes at fault are
    named.
    """

    def __init__(
        self,
        dsn: str | DatabaseAddress,
        branches: RowBranches,
        *,
        timeout_s: float,
        lock_timeout_s: float,
        synchronous_commit: str = COMMITS,
    ) -> None:
        self._address = address_of(dsn)
        self._branches = branches
        self._timeout_s = timeout_s
        self._lock_timeout_s = lock_timeout_s
        self._synchronous_commit = synchronous_commit
        self._connection: LaneConnection | None = None
        self._appends: dict[str, Statement] = {}
        # Only the first connection has the time for them. When all nodes come back to a Postgres
        # that was away, each statement is prepared when it is needed.
        self._usual = [branches.statement(present)[1] for present in branches.usual()]

    async def append(self, batch: Sequence[Append]) -> set[bytes]:
        """See `LaneStore.append`."""
        try:
            connection = await self._connected()
        except _FAILURES as error:
            raise CommitAborted(_NOT_CONNECTED) from error
        unconfirmed = unconfirmed_of(connection)
        query, arguments = append_call(batch, self._branches)
        statement = self._appends.get(query)
        if statement is None:
            statement = await self._prepared(connection, query)
        try:
            async with asyncio.timeout(self._timeout_s):
                rows = await statement.fetch(*arguments)
        except asyncpg.PostgresError as error:
            state = error.sqlstate or ""
            if state in _ABORTS or state.startswith(_ABORT_CLASSES):
                if state == _READ_ONLY:
                    # After a failover this connection leads to the wrong server.
                    self._discard(connection)
                locked: frozenset[bytes] = frozenset()
                if state == LOCK_TIMEOUT:
                    locked = await self._locked(connection, [part.showtime_id for part in batch])
                constraint = getattr(error, "constraint_name", None)
                raise CommitAborted(state, constraint, locked) from error
            self._discard(connection)
            raise CommitUnknown(state) from error
        except _LOST as error:
            self._discard(connection)
            raise CommitUnknown(type(error).__name__) from error
        except BaseException:
            self._discard(connection)
            raise
        if unconfirmed_of(connection) != unconfirmed:
            raise CommitUnknown("the standby has not confirmed it")
        matched = rows[0][0] if rows else ()
        return {batch[position - 1].showtime_id for position in matched}

    async def confirm(self, claims: Sequence[tuple[bytes, int]]) -> set[bytes]:
        """See `LaneStore.confirm`."""
        ids = [UUID(showtime_id) for showtime_id, _ in claims]
        rows = await self._read(sql.CONFIRM, ids, [epoch for _, epoch in claims])
        return {row[0].bytes for row in rows}

    async def save_snapshots(self, saves: Sequence[SnapshotSave]) -> set[bytes]:
        """See `LaneStore.save_snapshots`."""
        rows = await self._read(
            sql.SAVE_SNAPSHOTS,
            *_saved(saves),
            [_due(save.next_due_us) for save in saves],
            [save.release for save in saves],
            locks=[save.showtime_id for save in saves],
        )
        return {row[0].bytes for row in rows}

    async def truncate(self, showtime_id: bytes, epoch: int, limit: int) -> int | None:
        """See `LaneStore.truncate`."""
        rows = await self._read(sql.TRUNCATE, UUID(showtime_id), limit, epoch)
        matched, gone = rows[0]
        return int(gone) if matched else None

    async def close(self) -> None:
        """Close the connection; a statement in flight is lost."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.terminate()

    async def _read(
        self, query: str, *arguments: Any, locks: Sequence[bytes] = ()
    ) -> list[asyncpg.Record]:
        """One statement that may be repeated; `locks` are the showtimes whose heads it locks."""
        connection: LaneConnection | None = None
        try:
            connection = await self._connected()
            async with asyncio.timeout(self._timeout_s):
                return await connection.fetch(query, *arguments)
        except asyncpg.LockNotAvailableError as error:
            raise HeadsLocked(await self._locked(connection, locks)) from error
        except _FAILURES as error:
            self._discard(connection)
            raise StoreUnavailable(str(error) or type(error).__name__) from error
        except BaseException:
            self._discard(connection)
            raise

    async def _locked(
        self, connection: LaneConnection | None, showtime_ids: Sequence[bytes]
    ) -> frozenset[bytes]:
        """Those whose heads another session holds now; all of them if none can be locked."""
        if connection is None or len(showtime_ids) <= 1:
            # One that was alone needs no search.
            return frozenset()
        try:
            async with asyncio.timeout(self._timeout_s):
                ids = [UUID(one) for one in showtime_ids]
                rows = await connection.fetch(sql.UNLOCKED, ids)
        except _FAILURES:
            self._discard(connection)
            return frozenset(showtime_ids)
        except BaseException:
            self._discard(connection)
            raise
        return frozenset(showtime_ids) - {row[0].bytes for row in rows}

    async def _connected(self) -> LaneConnection:
        if self._connection is None or self._connection.is_closed():
            async with asyncio.timeout(self._timeout_s):
                connection: LaneConnection = await self._address.connect(
                    server_settings={
                        **LANE_SETTINGS,
                        **WARNS,
                        "synchronous_commit": self._synchronous_commit,
                        **_bounds(self._timeout_s, self._lock_timeout_s),
                    },
                )
            self._appends = {}
            try:
                for query in (*_APPENDS, *self._usual):
                    async with asyncio.timeout(self._timeout_s):
                        self._appends[query] = await connection.prepare(query)
                # The driver leaves the transaction of `prepare` open, with its locks.
                async with asyncio.timeout(self._timeout_s):
                    await connection.execute("select")
            except BaseException:
                connection.terminate()
                raise
            self._usual = []
            self._connection = connection
        return self._connection

    async def _prepared(self, connection: LaneConnection, query: str) -> Statement:
        """The statement of a set of branches that is new here; what fails has written nothing."""
        try:
            async with asyncio.timeout(self._timeout_s):
                statement = self._appends[query] = await connection.prepare(query)
        except asyncpg.PostgresError as error:
            raise CommitAborted(error.sqlstate or "") from error
        except _LOST as error:
            self._discard(connection)
            raise CommitAborted(_NOT_CONNECTED) from error
        except BaseException:
            self._discard(connection)
            raise
        return statement

    def _discard(self, connection: LaneConnection | None) -> None:
        if connection is not None:
            connection.terminate()
        self._connection = None


class PostgresJournal:
    """Takeovers, loads and the sweep for due holds, over a pool of their own."""

    def __init__(
        self,
        dsn: str | DatabaseAddress,
        pool: Pool,
        branches: RowBranches = NO_BRANCHES,
        *,
        statement_timeout_s: float,
        lane_lock_timeout_s: float = LANE_LOCK_TIMEOUT_S,
        synchronous_commit: str = COMMITS,
        has_standby: HasStandby = never,
    ) -> None:
        self._address = address_of(dsn)
        self._pool = pool
        self.has_standby = has_standby
        self._confirmation = StandbyWait(pool, has_standby, timeout_s=statement_timeout_s)
        self._branches = branches
        self._timeout_s = statement_timeout_s
        self._lane_lock_timeout_s = lane_lock_timeout_s
        self._synchronous_commit = synchronous_commit

    @classmethod
    async def open(
        cls,
        dsn: str | DatabaseAddress,
        branches: RowBranches = NO_BRANCHES,
        *,
        connections: int,
        statement_timeout_s: float,
        lock_timeout_s: float,
        lane_lock_timeout_s: float = LANE_LOCK_TIMEOUT_S,
        synchronous_commit: str = COMMITS,
        has_standby: HasStandby = never,
    ) -> PostgresJournal:
        """Connect; the caller closes.

        A takeover waits up to `lock_timeout_s` for a statement of the former owner, a lane's
        statement up to `lane_lock_timeout_s` for a session that has locked one of its rows. Appends
        and takeovers alike wait for the disk, whatever the server's default: an epoch that a crash
        takes back would belong to two owners.
        """
        address = address_of(dsn)
        pool = await open_immediate_pool(
            address,
            size=connections,
            timeout_s=statement_timeout_s,
            server_settings={
                **POOL_SETTINGS,
                **WARNS,
                "synchronous_commit": synchronous_commit,
                "lock_timeout": str(int(lock_timeout_s * 1000)),
            },
        )
        return cls(
            address,
            pool,
            branches,
            statement_timeout_s=statement_timeout_s,
            lane_lock_timeout_s=lane_lock_timeout_s,
            synchronous_commit=synchronous_commit,
            has_standby=has_standby,
        )

    @property
    def branches(self) -> RowBranches:
        """See `JournalStore.branches`."""
        return self._branches

    @property
    def pool(self) -> Pool:
        """The pool behind takeovers and loads, for clock comparisons and gauges."""
        return self._pool

    async def close(self) -> None:
        """Close the pool; lanes close theirs."""
        self._pool.terminate()

    def lane(self) -> PostgresLane:
        """See `JournalStore.lane`."""
        return PostgresLane(
            self._address,
            self._branches,
            timeout_s=self._timeout_s,
            lock_timeout_s=self._lane_lock_timeout_s,
            synchronous_commit=self._synchronous_commit,
        )

    async def take_over(
        self, showtime_id: bytes, owner: bytes | None = None, unless: Sequence[bytes] = ()
    ) -> Takeover | HeldBy | None:
        """See `JournalStore.take_over`; an epoch raised by an answer that was lost stays raised."""
        rows = await self._fetch(
            sql.TAKE_OVER,
            UUID(showtime_id),
            None if owner is None else UUID(owner),
            [UUID(one) for one in unless],
        )
        if not rows:
            return None
        epoch, was_released, held_by = rows[0]
        return HeldBy(held_by.bytes) if epoch is None else Takeover(epoch, was_released)

    async def left_behind(
        self, living: Sequence[bytes], after: bytes | None, heads: int
    ) -> LeftBehind:
        """See `JournalStore.left_behind`."""
        rows = await self._fetch(
            sql.LEFT_BEHIND, [UUID(one) for one in living], UUID(after or bytes(16)), heads
        )
        left, last, seen = rows[0]
        return LeftBehind([one.bytes for one in left], last.bytes if seen == heads else None)

    async def inherit(
        self, showtime_ids: Sequence[bytes], living: Sequence[bytes], heir: bytes
    ) -> dict[bytes, int]:
        """See `JournalStore.inherit`."""
        rows = await self._fetch(
            sql.INHERIT,
            [UUID(one) for one in showtime_ids],
            [UUID(one) for one in living],
            UUID(heir),
        )
        return {row[0].bytes: row[1] for row in rows}

    async def load(self, showtime_id: bytes) -> Loaded | None:
        """See `JournalStore.load`."""
        rows = await self._fetch(sql.LOAD, UUID(showtime_id))
        if not rows:
            return None
        epoch, seq, snapshot, snapshot_seq, seqs, epochs, moments, payloads = rows[0]
        tail = zip(seqs or (), epochs or (), moments or (), payloads or (), strict=True)
        return Loaded(epoch, seq, snapshot, snapshot_seq, tuple(JournalRow(*row) for row in tail))

    async def confirmed(self) -> None:
        """See `JournalStore.confirmed`."""
        try:
            await self._confirmation.wait()
        except Unconfirmed as error:
            raise StoreUnavailable(str(error)) from error

    async def recall(self, showtime_id: bytes, key: bytes) -> ArchiveRow | None:
        """See `JournalStore.recall`."""
        rows = await self._fetch(sql.RECALL, UUID(showtime_id), key)
        return ArchiveRow(*rows[0]) if rows else None

    async def due(
        self, before_us: int, after: tuple[int, bytes] | None, limit: int
    ) -> list[tuple[int, bytes]]:
        """See `JournalStore.due`."""
        due_us, last_id = (_BEFORE_ALL_US, bytes(16)) if after is None else after
        rows = await self._fetch(sql.DUE, before_us, due_us, UUID(last_id), limit)
        return [(row[0], row[1].bytes) for row in rows]

    async def history(
        self, showtime_id: bytes, after_seq: int, limit: int
    ) -> tuple[JournalRow, ...]:
        """See `JournalStore.history`."""
        rows = await self._fetch(sql.HISTORY, UUID(showtime_id), after_seq, limit)
        return tuple(JournalRow(*row) for row in rows)

    async def keep_snapshots(self, saves: Sequence[SnapshotSave]) -> set[bytes]:
        """See `JournalStore.keep_snapshots`."""
        rows = await self._fetch(sql.KEEP_SNAPSHOTS, *_saved(saves))
        return {row[0].bytes for row in rows}

    async def sweep_archive(self, kind: int, before_us: int, limit: int) -> int:
        """See `JournalStore.sweep_archive`."""
        rows = await self._fetch(sql.SWEEP_ARCHIVE, kind, before_us, limit)
        return int(rows[0][0])

    async def _fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        try:
            async with asyncio.timeout(self._timeout_s), self._pool.acquire() as connection:
                unconfirmed = unconfirmed_of(connection)
                rows: list[asyncpg.Record] = await connection.fetch(query, *arguments)
                cut_short = unconfirmed_of(connection) != unconfirmed
        except _FAILURES as error:
            raise StoreUnavailable(str(error) or type(error).__name__) from error
        if cut_short:
            raise StoreUnavailable("the standby has not confirmed it")
        return rows


def _bounds(timeout_s: float, lock_timeout_s: float) -> dict[str, str]:
    """Limits that Postgres enforces, so that an abandoned statement releases its locks."""
    timeout_ms = max(1, int(timeout_s * 1000))
    return {
        "lock_timeout": str(max(1, int(lock_timeout_s * 1000))),
        "transaction_timeout": str(timeout_ms),
        "idle_in_transaction_session_timeout": str(timeout_ms),
        "client_connection_check_interval": "1000",
    }


_APPENDS: Final = (
    sql.APPEND_TO_ONE,
    sql.APPEND_ONE_EACH,
    sql.APPEND,
)


def append_call(batch: Sequence[Append], branches: RowBranches) -> tuple[str, list[Any]]:
    """The statement for a batch, with its arguments."""
    one_each, present = True, 0
    for part in batch:
        if len(part.events) > 1:
            one_each = False
        for event in part.events:
            if event.rows is not None:
                present |= event.rows.branches
    if present:
        present, query = branches.statement(present)
        return query, [*_append_arguments(batch), *branches.arguments(present, batch)]
    if len(batch) == 1:
        return sql.APPEND_TO_ONE, _arguments_of_one(batch[0])
    if not one_each:
        return sql.APPEND, _append_arguments(batch)
    events = [part.events[0] for part in batch]
    return sql.APPEND_ONE_EACH, [
        ids_text([part.showtime_id for part in batch]),
        integers_text([part.epoch for part in batch]),
        integers_text([part.prev_seq for part in batch]),
        integers_text([_due(event.next_due_us) for event in events]),
        integers_text([event.recorded_at_us for event in events]),
        *joined([event.payload for event in events]),
    ]


def _arguments_of_one(part: Append) -> list[Any]:
    return [
        UUID(part.showtime_id),
        part.epoch,
        part.prev_seq,
        part.last_seq,
        _due(part.next_due_us),
        integers_text([event.recorded_at_us for event in part.events]),
        *joined([event.payload for event in part.events]),
    ]


def _append_arguments(batch: Sequence[Append]) -> list[Any]:
    positions: list[int] = []
    seqs: list[int] = []
    for position, part in enumerate(batch, 1):
        positions.extend([position] * len(part.events))
        seqs.extend(range(part.prev_seq + 1, part.last_seq + 1))
    events = [event for part in batch for event in part.events]
    return [
        ids_text([part.showtime_id for part in batch]),
        integers_text([part.epoch for part in batch]),
        integers_text([part.prev_seq for part in batch]),
        integers_text([part.last_seq for part in batch]),
        integers_text([_due(part.next_due_us) for part in batch]),
        integers_text(positions),
        integers_text(seqs),
        integers_text([event.recorded_at_us for event in events]),
        *joined([event.payload for event in events]),
    ]


def _saved(saves: Sequence[SnapshotSave]) -> list[Any]:
    """What both statements that save take first."""
    archive = [(position, row) for position, save in enumerate(saves, 1) for row in save.archive]
    return [
        [position for position, _ in archive],
        [row.key for _, row in archive],
        [row.kind for _, row in archive],
        [row.seq for _, row in archive],
        [row.epoch for _, row in archive],
        [row.layout_version for _, row in archive],
        [row.recorded_at_us for _, row in archive],
        [row.payload for _, row in archive],
        [UUID(save.showtime_id) for save in saves],
        [save.epoch for save in saves],
        [save.seq for save in saves],
        [save.payload for save in saves],
    ]


def _due(next_due_us: int) -> int | None:
    return None if next_due_us >= NEVER_US else next_due_us
