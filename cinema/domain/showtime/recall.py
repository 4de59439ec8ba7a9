"""What a state no longer holds in memory: asked of the archive, and taken from its answers."""

from __future__ import annotations

import msgspec

from cinema.domain.showtime.events import Recorded
from cinema.domain.showtime.outcomes import Recall
from cinema.domain.showtime.records import ReplyRecord
from cinema.domain.showtime.state import ShowtimeState


class Archived(msgspec.Struct, frozen=True):
    """What the archive said about one id; None: not there."""

    reply: tuple[ReplyRecord, Recorded] | None = None
    ended: bytes | None = None


class Recalled(msgspec.Struct, frozen=True):
    """What the archive said about some ids while the state had `generation`.

    An answer counts only while nothing more was archived. Generations start anew with each
    restore: whoever discards a state must discard these too.
    """

    generation: int
    found: dict[bytes, Archived]


def from_archive(recalled: Recalled | None, state: ShowtimeState, key: bytes) -> Archived | None:
    """The archive's answer about `key`, if it has been asked and nothing was archived since."""
    if recalled is None or recalled.generation != state.archive_generation:
        return None
    return recalled.found.get(key)


def ended_hold(
    state: ShowtimeState, hold_id: bytes, recalled: Recalled | None
) -> bytes | Recall | None:
    """Status byte and packed group of an ended hold; None if there was never such a hold."""
    ended = state.ended.get(hold_id)
    if ended is not None or hold_id not in state.archive_filter:
        return ended
    archived = from_archive(recalled, state, hold_id)
    return Recall(hold_id) if archived is None else archived.ended
