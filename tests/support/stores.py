"""The two journals as the contract suite meets them, and the values it writes."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple
from uuid import UUID

from cinema.domain.showtime.state import NEVER_US
from cinema.storage.journal.memory import MemoryJournal
from cinema.storage.journal.postgres import PostgresJournal
from cinema.storage.journal.store import (
    Append,
    ArchiveRow,
    BookedSeat,
    BookingMade,
    BookingReduced,
    Effect,
    JournalStore,
    LaneStore,
    NewEvent,
    SnapshotSave,
)

STATEMENT_TIMEOUT_S = 5.0
LOCK_TIMEOUT_S = 2.0

_serials = itertools.count(1)


class Stage(NamedTuple):
    """A journal, one of its lanes, and how a showtime's head comes to be."""

    journal: JournalStore
    lane: LaneStore
    create: Callable[[bytes], Awaitable[None]]

    async def showtime(self) -> bytes:
        """A new showtime that nobody has owned yet."""
        showtime_id = some_id()
        await self.create(showtime_id)
        return showtime_id

    async def owned(self) -> tuple[bytes, int]:
        """A new showtime and the epoch of its first owner."""
        showtime_id = await self.showtime()
        taken = await self.journal.take_over(showtime_id)
        assert taken is not None
        return showtime_id, taken.epoch

    async def write(
        self, showtime_id: bytes, epoch: int, prev_seq: int, *effects: Effect, events: int = 1
    ) -> bool:
        """Append some events of one showtime alone; whether its head matched."""
        part = append(showtime_id, epoch, prev_seq, *effects, events=events)
        return showtime_id in await self.lane.append([part])

    async def where(self, showtime_id: bytes) -> tuple[int, int]:
        """The head's epoch and seq."""
        loaded = await self.journal.load(showtime_id)
        assert loaded is not None
        return loaded.epoch, loaded.seq


@asynccontextmanager
async def memory_stage() -> AsyncIterator[Stage]:
    """The in-memory twin."""
    journal = MemoryJournal()

    async def create(showtime_id: bytes) -> None:
        journal.add_showtime(showtime_id)

    lane = journal.lane()
    yield Stage(journal, lane, create)
    await lane.close()


@asynccontextmanager
async def postgres_stage(database: str) -> AsyncIterator[Stage]:
    """The journal of a migrated database."""
    journal = await PostgresJournal.open(
        database,
        connections=3,
        statement_timeout_s=STATEMENT_TIMEOUT_S,
        lock_timeout_s=LOCK_TIMEOUT_S,
        lane_lock_timeout_s=LOCK_TIMEOUT_S,
    )

    async def create(showtime_id: bytes) -> None:
        await journal.pool.execute(
            "insert into showtime_heads (showtime_id) values ($1)", UUID(bytes=showtime_id)
        )

    lane = journal.lane()
    yield Stage(journal, lane, create)
    await lane.close()
    await journal.close()


def some_id() -> bytes:
    """An id nobody else has; later ones sort later."""
    return next(_serials).to_bytes(16, "big")


def append(
    showtime_id: bytes,
    epoch: int,
    prev_seq: int,
    *effects: Effect,
    events: int = 1,
    next_due_us: int = NEVER_US,
) -> Append:
    """One showtime's share of a batch, with payloads that say who wrote them."""
    last_seq = prev_seq + events
    rows = [
        NewEvent(f"{epoch}:{seq}".encode(), seq * 1000, next_due_us, effect)
        for seq, effect in itertools.zip_longest(range(prev_seq + 1, last_seq + 1), effects)
    ]
    return Append(showtime_id, epoch, prev_seq, last_seq, rows)


def batch(*parts: Append) -> list[Append]:
    """The parts in the order a lane sends them."""
    return sorted(parts, key=lambda part: part.showtime_id)


def booking(*labels: str, code: str | None = None, request_key: bytes | None = None) -> BookingMade:
    """A booking of some seats for 1000 minor units each."""
    booking_id = some_id()
    return BookingMade(
        booking_id=booking_id,
        code=code or booking_id.hex(),
        user_id=some_id(),
        hold_id=some_id(),
        currency="EUR",
        seats=tuple(BookedSeat(label, "regular", 1000) for label in labels),
        created_at_us=1_700_000_000_000_000,
        payment_id=some_id(),
        payment_method="demo",
        request_key=request_key,
    )


def cancellation(made: BookingMade, *labels: str) -> BookingReduced:
    """Some seats leave a booking, or all if none is named."""
    gone = labels or tuple(seat.label for seat in made.seats)
    return BookingReduced(
        booking_id=made.booking_id,
        labels=gone,
        refund_minor=1000 * len(gone),
        whole=len(gone) == len(made.seats),
        at_us=1_700_000_001_000_000,
    )


def snapshot(
    showtime_id: bytes,
    epoch: int,
    seq: int,
    *,
    next_due_us: int = NEVER_US,
    payload: bytes | None = b"snapshot",
    archive: Sequence[ArchiveRow] = (),
    release: bool = False,
    truncate: bool = False,
) -> SnapshotSave:
    """A snapshot to save."""
    return SnapshotSave(
        showtime_id=showtime_id,
        epoch=epoch,
        seq=seq,
        next_due_us=next_due_us,
        payload=payload,
        archive=tuple(archive),
        release=release,
        truncate=truncate,
    )


def archive_row(key: bytes, kind: int, *, at_us: int = 1000, payload: bytes = b"row") -> ArchiveRow:
    """A row for the archive."""
    return ArchiveRow(key, kind, 1, 1, 1, at_us, payload)
