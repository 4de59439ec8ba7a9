"""What the archive says about a key, in seats of the present plan."""

from __future__ import annotations

from cinema.domain.showtime.decisions import Archived
from cinema.domain.showtime.events import Recorded, decode_recorded
from cinema.domain.showtime.records import ReplyRecord
from cinema.domain.showtime.replan import moved_event
from cinema.domain.showtime.state import ShowtimeState, moved_ended
from cinema.storage.journal.store import STORED_REPLY, ArchiveRow


def archived_today(row: ArchiveRow | None, state: ShowtimeState) -> Archived:
    """An archive row under the seat plan that `state` has now; None stands for no row."""
    if row is None:
        return Archived()
    mapping = None
    if row.layout_version != state.layout_version:
        mapping = state.old_plans.get(row.layout_version)
    if row.kind != STORED_REPLY:
        packed = row.payload
        if mapping is not None:
            packed = moved_ended(packed, mapping)
        return Archived(ended=packed)
    recorded = decode_recorded(row.payload)
    if mapping is not None:
        event = moved_event(recorded.event, mapping)
        recorded = Recorded(recorded.command_id, recorded.fingerprint, event)
    record = ReplyRecord(row.seq, row.epoch, row.recorded_at_us, row.payload)
    return Archived(reply=(record, recorded))
