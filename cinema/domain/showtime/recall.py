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
    """What the archive said about some ids while a memory of `epoch` had `generation`.

    An answer counts only for that memory, and only while nothing more was archived. Generations
    start again with each restore; no two memories of a showtime have the same epoch.
    """

    epoch: int
    generation: int
    found: dict[bytes, Archived]


def from_archive(recalled: Recalled | None, state: ShowtimeState, key: bytes) -> Archived | None:
    """The archive's answer about `key`, if it was asked for this state and still counts."""
    if recalled is None or recalled.epoch != state.epoch:
        return None
    return recalled.found.get(key) if recalled.generation == state.archive_generation else None


def with_answer(
    before: Recalled | None, epoch: int, generation: int, key: bytes, archived: Archived
) -> Recalled:
    """What the archive has said by now; answers to a former memory or generation are left out."""
    found = {}
    if before is not None and (before.epoch, before.generation) == (epoch, generation):
        found = before.found
    return Recalled(epoch, generation, {**found, key: archived})


def ended_hold(
    state: ShowtimeState, hold_id: bytes, recalled: Recalled | None
) -> bytes | Recall | None:
    """Status byte and packed group of an ended hold; None if there was never such a hold."""
    ended = state.ended.get(hold_id)
    if ended is not None or hold_id not in state.archive_filter:
        return ended
    archived = from_archive(recalled, state, hold_id)
    return Recall(hold_id) if archived is None else archived.ended
