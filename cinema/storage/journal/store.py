"""The journal as the actors see it: heads, events, snapshots, archive; and how it can fail.

Two stores implement it, one on Postgres and one in memory, and pass one contract suite. The rules
of the fence are in the statements behind these methods: an append, a snapshot, a release or a
truncation touches only showtimes whose head row has the caller's epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from cinema.storage.journal.branches import EventRows, RowBranches

ENDED_HOLD = 1
STORED_REPLY = 2


LOCK_TIMEOUT: Final = "55P03"
"""SQLSTATE of a statement that waited too long for another session's lock."""


class CommitAborted(Exception):
    """The statement certainly had no effect.

    `poison`: its content is at fault (22, 23).

    After `LOCK_TIMEOUT`, `locked` are the showtimes whose heads another session holds, as far as is
    known. If there are none, the lock was on another row, or is gone by now.
    """

    def __init__(
        self,
        sqlstate: str,
        constraint: str | None = None,
        locked: frozenset[bytes] = frozenset(),
    ) -> None:
        super().__init__(f"{sqlstate} {constraint or ''}".strip())
        self.sqlstate = sqlstate
        self.constraint = constraint
        self.locked = locked

    @property
    def poison(self) -> bool:
        """Whether repeating the same statement would fail again."""
        return self.sqlstate.startswith(("22", "23"))


class CommitUnknown(Exception):
    """It is not yet known whether the statement had its effect."""


class StoreUnavailable(Exception):
    """The store cannot be reached or did not answer in time; a read, so nothing is in doubt."""


class HeadsLocked(StoreUnavailable):
    """Nothing was written: another session holds heads of `locked`, or a row that goes with one.

    `locked` as for `CommitAborted`.
    """

    def __init__(self, locked: frozenset[bytes]) -> None:
        super().__init__(f"lock timeout, {len(locked)} heads locked")
        self.locked = locked


class NewEvent(msgspec.Struct, frozen=True, gc=False):
    """An event for the journal; `next_due_us` bounds the holds' deadlines after it from below.

    `NEVER_US` is the bound without holds; `rows` are what else the event writes.
    """

    payload: bytes
    recorded_at_us: int
    next_due_us: int
    rows: EventRows | None


class Append(msgspec.Struct, frozen=True, gc=False):
    """The events of one showtime in one batch, at least one, of the seqs up to `last_seq`."""

    showtime_id: bytes
    epoch: int
    prev_seq: int
    last_seq: int
    events: Sequence[NewEvent]

    @property
    def next_due_us(self) -> int:
        """The bound of deadlines after the last event."""
        return self.events[-1].next_due_us


class ArchiveRow(msgspec.Struct, frozen=True, gc=False):
    """An ended hold or stored reply outside memory."""

    key: bytes
    kind: int
    seq: int
    epoch: int
    layout_version: int
    recorded_at_us: int
    payload: bytes


class SnapshotSave(msgspec.Struct, frozen=True, gc=False):
    """A snapshot at a durable seq; without `payload` only the head row is touched.

    `release` hands the showtime back and needs the head to be at `seq` still. `truncate` asks
    for the events that `payload` replaces to be deleted afterwards, see `LaneStore.truncate`.
    """

    showtime_id: bytes
    epoch: int
    seq: int
    next_due_us: int
    payload: bytes | None
    archive: tuple[ArchiveRow, ...] = ()
    release: bool = False
    truncate: bool = False


class Takeover(msgspec.Struct, frozen=True, gc=False):
    """The new epoch, and whether the owner before had given the showtime back."""

    epoch: int
    was_released: bool


class HeldBy(msgspec.Struct, frozen=True, gc=False):
    """Nothing was changed: the showtime has an owner that is to be asked first."""

    owner: bytes


class LeftBehind(msgspec.Struct, frozen=True):
    """One page of what dead nodes left, in order; `after` begins the next one, None ends it."""

    left: list[bytes]
    after: bytes | None


class JournalRow(msgspec.Struct, frozen=True, gc=False):
    """One stored event."""

    seq: int
    epoch: int
    recorded_at_us: int
    payload: bytes


class Loaded(msgspec.Struct, frozen=True, gc=False):
    """Head, snapshot and the events after it, of one moment."""

    epoch: int
    seq: int
    snapshot: bytes | None
    snapshot_seq: int
    tail: tuple[JournalRow, ...]


class LaneStore(Protocol):
    """The store of one commit lane; it runs one statement at a time."""

    async def append(self, batch: Sequence[Append]) -> set[bytes]:
        """Append to every showtime whose head matches; returns those. Each occurs at most once.

        Raises `CommitAborted` (nothing happened) or `CommitUnknown`.
        """

    async def confirm(self, claims: Sequence[tuple[bytes, int]]) -> set[bytes]:
        """The showtimes whose head still carries the claimed epoch. Raises `StoreUnavailable`."""

    async def save_snapshots(self, saves: Sequence[SnapshotSave]) -> set[bytes]:
        """Store snapshots of the showtimes whose head matches; returns those.

        Raises `StoreUnavailable`; then any of them may have been stored, which harms nothing.
        None was if that is `HeadsLocked`.
        """

    async def truncate(self, showtime_id: bytes, epoch: int, limit: int) -> int | None:
        """Delete up to `limit` events, the oldest first, that the stored snapshot replaces.

        Returns how many; None if the head carries another epoch or there is no snapshot. Raises
        `StoreUnavailable`; then it may have happened, which harms nothing.
        """

    async def close(self) -> None:
        """Give the connection back."""


class JournalStore(Protocol):
    """What a node needs besides its lanes. Every method raises `StoreUnavailable`."""

    @property
    def branches(self) -> RowBranches:
        """The rows that events write."""

    def lane(self) -> LaneStore:
        """A store for one more lane."""

    async def take_over(
        self, showtime_id: bytes, owner: bytes | None = None, unless: Sequence[bytes] = ()
    ) -> Takeover | HeldBy | None:
        """Raise the epoch for `owner`, so that no earlier owner can write; None without a head.

        Not if one of the nodes `unless` owns the showtime and has not given it back.
        """

    async def left_behind(
        self, living: Sequence[bytes], after: bytes | None, heads: int
    ) -> LeftBehind:
        """The showtimes whose owners are no longer alive and have not given them back.

        Looks at so many heads behind `after`, in the order of their ids.
        """

    async def inherit(
        self, showtime_ids: Sequence[bytes], living: Sequence[bytes], heir: bytes
    ) -> dict[bytes, int]:
        """Raise the epochs of those that no living node owns, for `heir`; returns the new epochs.

        Waits for no lock: those that another session has locked are left out.
        """

    async def load(self, showtime_id: bytes) -> Loaded | None:
        """Head, snapshot and tail in one statement; also the strong read of a cold showtime."""

    async def confirmed(self) -> None:
        """Wait until a synchronous standby, if there is one, has all that could be read before.

        What `load` and `history` show may lack its word, and be lost in a failover. What was read
        behind a takeover has it: that has waited for the standby itself.
        """

    async def recall(self, showtime_id: bytes, key: bytes) -> ArchiveRow | None:
        """The archive's rows for an id."""

    async def due(
        self, before_us: int, after: tuple[int, bytes] | None, limit: int
    ) -> list[tuple[int, bytes]]:
        """Deadlines up to a time and their showtimes, earliest first, one page after `after`."""

    async def history(
        self, showtime_id: bytes, after_seq: int, limit: int
    ) -> tuple[JournalRow, ...]:
        """Stored events in order, one page."""

    async def keep_snapshots(self, saves: Sequence[SnapshotSave]) -> set[bytes]:
        """Store snapshots of showtimes that stay with their owner; returns those whose head
        matches.

        Each has a payload, and neither gives the showtime back nor truncates its journal. The
        head rows stay as they are, so that no append waits, only a takeover does. After
        `StoreUnavailable` any of them may have been stored, which harms nothing.
        """

    async def sweep_archive(self, kind: int, before_us: int, limit: int) -> int:
        """Delete archive rows of a kind that are older than a time; returns how many."""
