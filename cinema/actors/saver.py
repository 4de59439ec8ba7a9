"""Snapshots of showtimes that stay in memory, written beside the commits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cinema.actors.snapshots import PendingSnapshot
from cinema.domain.limits import ARCHIVED_PER_BATCH, SNAPSHOTS_PER_BATCH
from cinema.storage.journal.store import JournalStore, StoreUnavailable

if TYPE_CHECKING:
    from cinema.actors.actor import ShowtimeActor


class SnapshotSaver:
    """Stores what has become due to be stored, one statement at a time.

    A lane would let its commits wait for these: a snapshot may take hundreds of rows to the
    archive. What gives a showtime back, or truncates its journal, goes through the lane, in order
    with its appends.
    """

    def __init__(self, store: JournalStore) -> None:
        self._store = store
        self._saves: dict[ShowtimeActor, PendingSnapshot] = {}
        self._writing: dict[ShowtimeActor, PendingSnapshot] = {}
        self._wake = asyncio.Event()

    def save(self, actor: ShowtimeActor, pending: PendingSnapshot) -> None:
        """Store a snapshot whose seq is durable; once, however often it is asked for."""
        if self._writing.get(actor) is not pending:
            self._saves[actor] = pending
            self._wake.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._wake.wait()
            if not self._saves:
                self._wake.clear()
                continue
            await self._step()

    async def _step(self) -> None:
        current = self._writing = self._next()
        if not current:
            return
        saves = sorted(
            (pending.save for pending in current.values()), key=lambda save: save.showtime_id
        )
        try:
            stored = await self._store.keep_snapshots(saves)
        except BaseException as error:
            self._writing = {}
            for actor, pending in current.items():
                actor.snapshot_saved(pending, None)
            if isinstance(error, StoreUnavailable):
                return
            raise
        self._writing = {}
        for actor, pending in current.items():
            actor.snapshot_saved(pending, actor.showtime_id in stored)

    def _next(self) -> dict[ShowtimeActor, PendingSnapshot]:
        """The oldest of those that count still, as many as one statement may take."""
        current: dict[ShowtimeActor, PendingSnapshot] = {}
        rows = 0
        while self._saves and len(current) < SNAPSHOTS_PER_BATCH and rows < ARCHIVED_PER_BATCH:
            actor = next(iter(self._saves))
            pending = self._saves.pop(actor)
            if actor.pending_snapshot is pending:
                current[actor] = pending
                rows += len(pending.save.archive)
        return current
