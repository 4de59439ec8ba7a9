"""The journal's in-memory twin: same answers as Postgres, for tests and simulation.

Every method yields to the loop where Postgres would, then acts in one step, as one statement does.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from cinema.domain.showtime.state import NEVER_US
from cinema.storage.journal.branches import NO_BRANCHES, RowBranches
from cinema.storage.journal.store import (
    ENDED_HOLD,
    Append,
    ArchiveRow,
    HeldBy,
    JournalRow,
    LeftBehind,
    Loaded,
    SnapshotSave,
    Takeover,
)


class WrittenRow(NamedTuple):
    """A row that a branch writes with the event of `seq`; bytes are as Postgres spells them."""

    showtime_id: bytes
    seq: int
    branch: str
    row: dict[str, Any]


class Tables:
    """What branches write into: any row is taken, and kept by its branch.

    A subclass says what the tables of a feature would refuse.
    """

    def __init__(self) -> None:
        self.rows: dict[str, list[WrittenRow]] = {}

    def check(self, rows: Sequence[WrittenRow]) -> None:
        """Raise `CommitAborted` if Postgres would refuse one of a statement's rows."""

    def write(self, row: WrittenRow) -> None:
        """Take one of the rows that `check` has let pass."""
        self.rows.setdefault(row.branch, []).append(row)


class Head(msgspec.Struct):
    """One head row."""

    epoch: int = 0
    seq: int = 0
    next_due_us: int = NEVER_US
    released: bool = True
    owner: bytes | None = None


class MemoryJournal:
    """All tables of the kernel as dictionaries; `lane` hands out views of the same data."""

    def __init__(self, branches: RowBranches = NO_BRANCHES, tables: Tables | None = None) -> None:
        self.branches = branches
        self.tables = tables or Tables()
        self.heads: dict[bytes, Head] = {}
        self.journal: dict[bytes, list[JournalRow]] = {}
        self.snapshots: dict[bytes, tuple[int, bytes]] = {}
        self.archive: dict[tuple[bytes, bytes], ArchiveRow] = {}

    def add_showtime(self, showtime_id: bytes) -> None:
        """The head row that creating a showtime writes."""
        self.heads[showtime_id] = Head()
        self.journal[showtime_id] = []

    def lane(self) -> MemoryLane:
        """See `JournalStore.lane`."""
        return MemoryLane(self)

    async def take_over(
        self, showtime_id: bytes, owner: bytes | None = None, unless: Sequence[bytes] = ()
    ) -> Takeover | HeldBy | None:
        """See `JournalStore.take_over`."""
        await asyncio.sleep(0)
        head = self.heads.get(showtime_id)
        if head is None:
            return None
        if not head.released and head.owner is not None and head.owner in unless:
            return HeldBy(head.owner)
        was_released, head.released, head.owner = head.released, False, owner
        head.epoch += 1
        return Takeover(head.epoch, was_released)

    async def left_behind(
        self, living: Sequence[bytes], after: bytes | None, heads: int
    ) -> LeftBehind:
        """See `JournalStore.left_behind`."""
        await asyncio.sleep(0)
        page = sorted(one for one in self.heads if after is None or one > after)[:heads]
        nobodys = {None, *living}
        left = [
            one
            for one in page
            if self.heads[one].owner not in nobodys and not self.heads[one].released
        ]
        return LeftBehind(left, page[-1] if len(page) == heads else None)

    async def inherit(
        self, showtime_ids: Sequence[bytes], living: Sequence[bytes], heir: bytes
    ) -> dict[bytes, int]:
        """See `JournalStore.inherit`."""
        await asyncio.sleep(0)
        inherited = {}
        for showtime_id in showtime_ids:
            head = self.heads.get(showtime_id)
            if head is None or head.released:
                continue
            if head.owner not in {None, *living}:
                head.epoch, head.owner = head.epoch + 1, heir
                inherited[showtime_id] = head.epoch
        return inherited

    async def load(self, showtime_id: bytes) -> Loaded | None:
        """See `JournalStore.load`."""
        await asyncio.sleep(0)
        head = self.heads.get(showtime_id)
        if head is None:
            return None
        snapshot_seq, snapshot = self.snapshots.get(showtime_id, (0, None))
        rows = self.journal[showtime_id]
        tail = rows[bisect_right(rows, snapshot_seq, key=lambda row: row.seq) :]
        return Loaded(head.epoch, head.seq, snapshot, snapshot_seq, tuple(tail))

    async def confirmed(self) -> None:
        """See `JournalStore.confirmed`: there is no standby."""

    async def recall(self, showtime_id: bytes, key: bytes) -> ArchiveRow | None:
        """See `JournalStore.recall`."""
        await asyncio.sleep(0)
        return self.archive.get((showtime_id, key))

    async def due(
        self, before_us: int, after: tuple[int, bytes] | None, limit: int
    ) -> list[tuple[int, bytes]]:
        """See `JournalStore.due`."""
        await asyncio.sleep(0)
        due = sorted(
            (head.next_due_us, showtime_id)
            for showtime_id, head in self.heads.items()
            if head.next_due_us <= before_us
        )
        return [one for one in due if after is None or one > after][:limit]

    async def history(
        self, showtime_id: bytes, after_seq: int, limit: int
    ) -> tuple[JournalRow, ...]:
        """See `JournalStore.history`."""
        await asyncio.sleep(0)
        rows = [row for row in self.journal.get(showtime_id, ()) if row.seq > after_seq]
        return tuple(rows[:limit])

    async def keep_snapshots(self, saves: Sequence[SnapshotSave]) -> set[bytes]:
        """See `JournalStore.keep_snapshots`."""
        await asyncio.sleep(0)
        kept = set()
        for save in saves:
            head = self.heads.get(save.showtime_id)
            if head is not None and head.epoch == save.epoch and head.seq >= save.seq:
                self.write(save)
                kept.add(save.showtime_id)
        return kept

    def write(self, save: SnapshotSave) -> None:
        """Snapshot and archive of a save whose head matches."""
        stored_seq, _ = self.snapshots.get(save.showtime_id, (0, b""))
        if save.payload is not None and stored_seq <= save.seq:
            self.snapshots[save.showtime_id] = (save.seq, save.payload)
        for row in save.archive:
            before = self.archive.setdefault((save.showtime_id, row.key), row)
            if row.kind == before.kind == ENDED_HOLD and row.seq > before.seq:
                self.archive[save.showtime_id, row.key] = row

    async def sweep_archive(self, kind: int, before_us: int, limit: int) -> int:
        """See `JournalStore.sweep_archive`."""
        await asyncio.sleep(0)
        old = sorted(
            (row.recorded_at_us, key)
            for key, row in self.archive.items()
            if row.kind == kind and row.recorded_at_us < before_us
        )
        for _, key in old[:limit]:
            del self.archive[key]
        return len(old[:limit])


class MemoryLane:
    """One lane's view."""

    def __init__(self, store: MemoryJournal) -> None:
        self._store = store

    async def append(self, batch: Sequence[Append]) -> set[bytes]:
        """See `LaneStore.append`."""
        await asyncio.sleep(0)
        return self.append_now(batch)

    def append_now(self, batch: Sequence[Append]) -> set[bytes]:
        """The statement itself, in one step."""
        store = self._store
        matched = [
            part
            for part in batch
            if (head := store.heads.get(part.showtime_id)) is not None
            and (head.epoch, head.seq) == (part.epoch, part.prev_seq)
        ]
        store.tables.check([row for part in matched for row in self._rows(part)])
        for part in matched:
            self._apply(part)
        return {part.showtime_id for part in matched}

    async def confirm(self, claims: Sequence[tuple[bytes, int]]) -> set[bytes]:
        """See `LaneStore.confirm`."""
        await asyncio.sleep(0)
        heads = self._store.heads
        return {
            showtime_id
            for showtime_id, epoch in claims
            if showtime_id in heads and heads[showtime_id].epoch == epoch
        }

    async def save_snapshots(self, saves: Sequence[SnapshotSave]) -> set[bytes]:
        """See `LaneStore.save_snapshots`."""
        await asyncio.sleep(0)
        return {save.showtime_id for save in saves if self._save(save)}

    async def truncate(self, showtime_id: bytes, epoch: int, limit: int) -> int | None:
        """See `LaneStore.truncate`."""
        await asyncio.sleep(0)
        store = self._store
        head, snapshot = store.heads.get(showtime_id), store.snapshots.get(showtime_id)
        if head is None or head.epoch != epoch or snapshot is None:
            return None
        rows = store.journal[showtime_id]
        gone = min(bisect_right(rows, snapshot[0], key=lambda row: row.seq), limit)
        store.journal[showtime_id] = rows[gone:]
        return gone

    async def close(self) -> None:
        """See `LaneStore.close`."""

    def _save(self, save: SnapshotSave) -> bool:
        store = self._store
        head = store.heads.get(save.showtime_id)
        if head is None or head.epoch != save.epoch or head.seq < save.seq:
            return False
        if save.release and head.seq != save.seq:
            return False
        if head.seq == save.seq:
            head.next_due_us = save.next_due_us
        head.released = save.release
        store.write(save)
        return True

    def _rows(self, part: Append) -> Iterator[WrittenRow]:
        """What the events write besides themselves, branch by branch as in Postgres' statement."""
        branches = self._store.branches.branches
        numbered = [
            (number, _written(part.showtime_id, branches[number].name, row))
            for event in part.events
            if event.rows is not None
            for number, row in event.rows.rows
        ]
        for _, row in sorted(numbered, key=itemgetter(0)):
            yield row

    def _apply(self, part: Append) -> None:
        store = self._store
        head = store.heads[part.showtime_id]
        rows = store.journal[part.showtime_id]
        for seq, event in enumerate(part.events, part.prev_seq + 1):
            rows.append(JournalRow(seq, part.epoch, event.recorded_at_us, event.payload))
        head.seq = part.last_seq
        head.next_due_us = part.next_due_us
        for row in self._rows(part):
            store.tables.write(row)


def _written(showtime_id: bytes, branch: str, encoded: bytes) -> WrittenRow:
    """A row as Postgres reads it, with the seq that is in it."""
    row: dict[str, Any] = msgspec.json.decode(b"{" + encoded)
    return WrittenRow(showtime_id, row.pop("seq"), branch, row)
