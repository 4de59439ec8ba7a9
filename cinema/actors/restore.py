"""Bringing a showtime into memory: raise the epoch, then load, replay and check."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from cinema.actors.messages import TRY_AGAIN, Accepted, Outcome
from cinema.domain.showtime.events import PlanChanged, Recorded, decode_recorded
from cinema.domain.showtime.snapshot import SnapshotFormatError, decode_snapshot
from cinema.domain.showtime.state import ShowtimeState, evolve
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.storage.journal import JournalRow, Loaded


class DamagedJournal(Exception):
    """Snapshot and journal do not add up to the head; nothing may be served from them."""


class Restored(NamedTuple):
    """A showtime as its head, snapshot and journal say it is, and the events after the snapshot."""

    state: ShowtimeState
    terms: ShowtimeTerms
    epoch: int
    snapshot_seq: int
    tail: list[tuple[JournalRow, Recorded]]

    def settled(self, command_id: bytes) -> Outcome:
        """What became of a command in doubt: the journal has it, or it never will."""
        for row, recorded in reversed(self.tail):
            if recorded.command_id == command_id:
                return Accepted(recorded.event, row.seq, row.epoch, row.recorded_at_us, self.terms)
        return TRY_AGAIN


def replayed(loaded: Loaded, terms: ShowtimeTerms) -> Restored:
    """The state at the head's seq; raises `DamagedJournal` unless the replay ends exactly there."""
    tail: list[tuple[JournalRow, Recorded]] = []
    try:
        state = _start(loaded, terms)
        for row in loaded.tail:
            recorded = decode_recorded(row.payload)
            evolve(
                state,
                row.seq,
                row.epoch,
                row.recorded_at_us,
                recorded.command_id,
                recorded.fingerprint,
                recorded.event,
                row.payload,
            )
            tail.append((row, recorded))
    except (msgspec.MsgspecError, SnapshotFormatError, ValueError, LookupError) as error:
        raise DamagedJournal(str(error)) from error
    if state.seq != loaded.seq:
        raise DamagedJournal(f"replay ends at {state.seq}, head is at {loaded.seq}")
    if state.layout_version != terms.plan.version or len(state.seats) != terms.plan.seat_count:
        raise DamagedJournal(
            f"journal has plan {state.layout_version}, showtime has {terms.plan.version}"
        )
    return Restored(state, terms, loaded.epoch, loaded.snapshot_seq, tail)


def _start(loaded: Loaded, terms: ShowtimeTerms) -> ShowtimeState:
    if loaded.snapshot is not None:
        return decode_snapshot(loaded.snapshot)
    # Without a snapshot the journal begins under the plan it was created with; a change of plan
    # among the events leads from there to today's.
    for row in loaded.tail:
        event = decode_recorded(row.payload).event
        if isinstance(event, PlanChanged):
            return ShowtimeState(len(event.mapping), event.old_layout_version)
    return ShowtimeState(terms.plan.seat_count, terms.plan.version)
