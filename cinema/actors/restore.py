"""Bringing a showtime into memory: raise the epoch, then load, replay and check."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cinema.actors.messages import IN_DOUBT, TRY_AGAIN, Accepted, Outcome
from cinema.domain.showtime.events import PlanChanged, Recorded, decode_recorded
from cinema.domain.showtime.replan import moved_event
from cinema.domain.showtime.snapshot import decode_snapshot
from cinema.domain.showtime.state import ShowtimeState, evolve
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.storage.journal.store import JournalRow, Loaded


class DamagedJournal(Exception):
    """Snapshot and journal do not add up to the head; nothing may be served from them."""


class RestoredShowtime(msgspec.Struct, frozen=True):
    """A showtime as its head, snapshot and journal say it is.

    `tail` are the events behind the snapshot; `older` those before it that somebody waits for.
    """

    state: ShowtimeState
    terms: ShowtimeTerms
    epoch: int
    snapshot_seq: int
    tail: list[tuple[JournalRow, Recorded]]
    older: dict[int, tuple[JournalRow, Recorded]]

    def settled(self, seq: int, command_id: bytes) -> Outcome:
        """The outcome of a command whose event was sent as `seq`: it is there, or never will be.

        This is unknown only if the journal no longer has `seq`.
        """
        if seq > self.snapshot_seq:
            at = seq - self.snapshot_seq - 1
            found = self.tail[at] if at < len(self.tail) else None
        elif seq in self.older and not self.state.old_plans:
            found = self.older[seq]
        else:
            return IN_DOUBT
        if found is None or found[1].command_id != command_id:
            return TRY_AGAIN
        row, recorded = found
        event = recorded.event
        for later, change in self.tail:
            if later.seq > seq and isinstance(change.event, PlanChanged):
                event = moved_event(event, change.event.mapping)
        return Accepted(event, row.seq, row.epoch, row.recorded_at_us, self.terms)


def replayed(
    loaded: Loaded, terms: ShowtimeTerms, older: Sequence[JournalRow] = ()
) -> RestoredShowtime:
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
        before = {row.seq: (row, decode_recorded(row.payload)) for row in older}
    except Exception as error:
        # Whatever the error is, these bytes do not make a state.
        raise DamagedJournal(f"{type(error).__name__}: {error}") from error
    if state.seq != loaded.seq:
        raise DamagedJournal(f"replay ends at {state.seq}, head is at {loaded.seq}")
    if state.layout_version != terms.plan.version or len(state.seats) != terms.plan.seat_count:
        raise DamagedJournal(
            f"journal has plan {state.layout_version}, showtime has {terms.plan.version}"
        )
    if terms.version < state.terms_version:
        raise DamagedJournal(
            f"journal has terms {state.terms_version}, showtime has {terms.version}"
        )
    state.epoch = loaded.epoch
    return RestoredShowtime(state, terms, loaded.epoch, loaded.snapshot_seq, tail, before)


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
