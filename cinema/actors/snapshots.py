"""A snapshot on its way to the store."""

from __future__ import annotations

from typing import NamedTuple

from cinema.domain.showtime.snapshot import encode_snapshot
from cinema.domain.showtime.state import ShowtimeState, Surplus
from cinema.storage.journal.store import ENDED_HOLD, STORED_REPLY, ArchiveRow, SnapshotSave


class PendingSnapshot(NamedTuple):
    """What the lane writes, and what may leave memory once it has."""

    save: SnapshotSave
    surplus: Surplus


def prepare_snapshot(
    showtime_id: bytes,
    epoch: int,
    state: ShowtimeState,
    now_us: int,
    *,
    release: bool,
    truncate: bool,
    with_payload: bool,
) -> PendingSnapshot:
    """The snapshot of a state at its seq; it must be written only once that seq is durable."""
    surplus = Surplus(state, now_us)
    payload = encode_snapshot(state, surplus) if with_payload else None
    archive = tuple(_archive_rows(epoch, state, surplus, now_us)) if with_payload else ()
    save = SnapshotSave(
        showtime_id=showtime_id,
        epoch=epoch,
        seq=state.seq,
        next_due_us=state.earliest_due_us(),
        payload=payload,
        archive=archive,
        release=release,
        truncate=truncate,
    )
    return PendingSnapshot(save, surplus)


def _archive_rows(
    epoch: int, state: ShowtimeState, surplus: Surplus, now_us: int
) -> list[ArchiveRow]:
    layout_version = state.layout_version
    rows = [
        ArchiveRow(hold_id, ENDED_HOLD, state.seq, epoch, layout_version, now_us, packed)
        for hold_id, packed in surplus.ended
    ]
    rows.extend(
        ArchiveRow(
            command_id,
            STORED_REPLY,
            record.seq,
            record.epoch,
            layout_version,
            record.recorded_at_us,
            record.payload,
        )
        for command_id, record in surplus.replies
    )
    return rows
