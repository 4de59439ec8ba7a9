"""A journal whose statements a test can hold, lose, refuse or let land late."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple

from cinema.features.bookings.rows import BOOKING_BRANCHES
from cinema.features.invoices.rows import INVOICE_BRANCHES
from cinema.features.ledger.rows import LEDGER_BRANCHES
from cinema.features.pricing.rows import PRICING_BRANCHES
from cinema.features.showtimes.rows import SHOWTIME_BRANCHES
from cinema.storage.journal.branches import RowBranch, RowBranches
from cinema.storage.journal.memory import MemoryJournal, MemoryLane
from cinema.storage.journal.store import (
    Append,
    ArchiveRow,
    CommitAborted,
    HeldBy,
    JournalRow,
    LeftBehind,
    Loaded,
    SnapshotSave,
    Takeover,
)
from tests.support.booking_tables import BookingTables

_PATIENCE_S = 30.0


class Written(NamedTuple):
    """A row of the journal and the true moment at which it was written."""

    row: JournalRow
    at_us: int


class RecordingJournal(MemoryJournal):
    """Remembers every event that was ever durable, truncated ones too, in the order of writing."""

    branches_beside: tuple[RowBranch, ...] = ()
    tables: type[BookingTables] = BookingTables

    def __init__(self, now_us: Callable[[], int]) -> None:
        self.sold = self.tables()
        branches = [
            *PRICING_BRANCHES,
            *LEDGER_BRANCHES,
            *BOOKING_BRANCHES,
            *SHOWTIME_BRANCHES,
            *INVOICE_BRANCHES,
            *self.branches_beside,
        ]
        super().__init__(RowBranches(branches), self.sold)
        self.now_us = now_us
        self.ledger: dict[bytes, list[Written]] = {}

    def add_showtime(self, showtime_id: bytes) -> None:
        super().add_showtime(showtime_id)
        self.ledger[showtime_id] = []

    def lane(self) -> RecordingLane:
        return RecordingLane(self)

    def record(self, part: Append) -> None:
        """These events are durable now."""
        for seq, event in enumerate(part.events, part.prev_seq + 1):
            row = JournalRow(seq, part.epoch, event.recorded_at_us, event.payload)
            self.ledger[part.showtime_id].append(Written(row, self.now_us()))


class RecordingLane(MemoryLane):
    """The lane of a `RecordingJournal`."""

    def __init__(self, store: RecordingJournal) -> None:
        super().__init__(store)
        self.recording = store

    def append_now(self, batch: Sequence[Append]) -> set[bytes]:
        matched = super().append_now(batch)
        for part in batch:
            if part.showtime_id in matched:
                self.recording.record(part)
        return matched


class Call:
    """One statement on its way: executed and answered when the test says so."""

    def __init__(self, name: str, argument: Any, execute: Callable[[], Any]) -> None:
        self.name = name
        self.argument = argument
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._execute = execute
        self._result: Any = None

    def execute(self) -> Any:
        """It has its effect; nobody knows yet."""
        self._result = self._execute()
        return self._result

    def reply(self) -> None:
        """Its answer arrives."""
        self.answer.set_result(self._result)

    def finish(self) -> None:
        """It has its effect and is answered."""
        try:
            self.execute()
        except CommitAborted as aborted:
            self.answer.set_exception(aborted)
        else:
            self.reply()

    def fail(self, error: Exception) -> None:
        """Its answer is an error; whether it has its effect is up to `execute`."""
        self.answer.set_exception(error)


class ScriptedStore:
    """One node's way to the journal: passes everything on, unless told otherwise.

    Names of statements: append, confirm, save, take_over, left_behind, inherit, load, confirmed,
    recall, truncate, due, history, sweep.
    """

    def __init__(self, journal: RecordingJournal) -> None:
        self.journal = journal
        self.held: set[str] = set()
        self.calls: list[Call] = []
        self.seen: list[tuple[str, Any]] = []
        self.latency_s: dict[str, float] = {}
        self.down: dict[str, Exception] = {}
        self._failures: dict[str, deque[Exception]] = defaultdict(deque)

    def fail_next(self, name: str, *errors: Exception) -> None:
        """The next statements of this name fail so, without effect."""
        self._failures[name].extend(errors)

    def count(self, name: str) -> int:
        """How many statements of this name were sent."""
        return sum(one == name for one, _ in self.seen)

    async def next(self, name: str) -> Call:
        """The next statement of this name that is held; waits for it."""
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                for call in self.calls:
                    if call.name == name:
                        self.calls.remove(call)
                        return call
                await asyncio.sleep(0.0005)

    async def run(self, name: str, argument: Any, execute: Callable[[], Any]) -> Any:
        """One statement."""
        self.seen.append((name, argument))
        if self._failures[name]:
            error = self._failures[name].popleft()
            await asyncio.sleep(0)
            raise error
        if name in self.down:
            await asyncio.sleep(0)
            raise self.down[name]
        if name in self.held:
            call = Call(name, argument, execute)
            self.calls.append(call)
            return await call.answer
        await asyncio.sleep(self.latency_s.get(name, 0))
        return execute()

    @property
    def branches(self) -> RowBranches:
        return self.journal.branches

    def lane(self) -> ScriptedLane:
        return ScriptedLane(self, self.journal.lane())

    async def take_over(
        self, showtime_id: bytes, owner: bytes | None = None, unless: Sequence[bytes] = ()
    ) -> Takeover | HeldBy | None:
        return await self._pass(
            "take_over", showtime_id, self.journal.take_over, showtime_id, owner, unless
        )

    async def left_behind(
        self, living: Sequence[bytes], after: bytes | None, heads: int
    ) -> LeftBehind:
        return await self._pass(
            "left_behind", after, self.journal.left_behind, living, after, heads
        )

    async def inherit(
        self, showtime_ids: Sequence[bytes], living: Sequence[bytes], heir: bytes
    ) -> dict[bytes, int]:
        return await self._pass(
            "inherit", showtime_ids, self.journal.inherit, showtime_ids, living, heir
        )

    async def load(self, showtime_id: bytes) -> Loaded | None:
        return await self._pass("load", showtime_id, self.journal.load, showtime_id)

    async def confirmed(self) -> None:
        await self._pass("confirmed", None, self.journal.confirmed)

    async def recall(self, showtime_id: bytes, key: bytes) -> ArchiveRow | None:
        return await self._pass("recall", key, self.journal.recall, showtime_id, key)

    async def due(
        self, before_us: int, after: tuple[int, bytes] | None, limit: int
    ) -> list[tuple[int, bytes]]:
        return await self._pass("due", before_us, self.journal.due, before_us, after, limit)

    async def history(
        self, showtime_id: bytes, after_seq: int, limit: int
    ) -> tuple[JournalRow, ...]:
        return await self._pass(
            "history", showtime_id, self.journal.history, showtime_id, after_seq, limit
        )

    async def keep_snapshots(self, saves: Sequence[SnapshotSave]) -> set[bytes]:
        return await self._pass("keep", saves, self.journal.keep_snapshots, saves)

    async def sweep_archive(self, kind: int, before_us: int, limit: int) -> int:
        return await self._pass("sweep", kind, self.journal.sweep_archive, kind, before_us, limit)

    async def _pass(
        self, name: str, argument: Any, method: Callable[..., Any], *arguments: Any
    ) -> Any:
        return await self.run(name, argument, lambda: at_once(method(*arguments)))


class ScriptedLane:
    """One lane of a `ScriptedStore`."""

    def __init__(self, script: ScriptedStore, lane: RecordingLane) -> None:
        self.script = script
        self.inner = lane
        self.closed = False

    async def append(self, batch: Sequence[Append]) -> set[bytes]:
        return await self.script.run("append", batch, lambda: self.inner.append_now(batch))

    async def confirm(self, claims: Sequence[tuple[bytes, int]]) -> set[bytes]:
        return await self.script.run("confirm", claims, lambda: at_once(self.inner.confirm(claims)))

    async def save_snapshots(self, saves: Sequence[SnapshotSave]) -> set[bytes]:
        return await self.script.run(
            "save", saves, lambda: at_once(self.inner.save_snapshots(saves))
        )

    async def truncate(self, showtime_id: bytes, epoch: int, limit: int) -> int | None:
        return await self.script.run(
            "truncate",
            showtime_id,
            lambda: at_once(self.inner.truncate(showtime_id, epoch, limit)),
        )

    async def close(self) -> None:
        self.closed = True


def at_once(work: Coroutine[Any, Any, Any]) -> Any:
    """What a statement of the in-memory journal does, in one step."""
    try:
        while True:
            work.send(None)
    except StopIteration as done:
        return done.value
