"""Holds everything that leaves a node to what must always be true."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from cinema.actors.messages import Accepted, HoldSeen, Outcome, SeatsSeen, Unavailable
from cinema.domain.rejections import Rejection
from cinema.domain.seatmap import AVAILABLE, SeatPlan
from cinema.domain.showtime.commands import Command
from cinema.domain.showtime.events import (
    AnyEvent,
    HoldExpired,
    PaymentEnded,
    PlanChanged,
    Recorded,
    SeatsHeld,
    decode_recorded,
)
from cinema.domain.showtime.packed import expiry_of
from cinema.domain.showtime.replan import moved_event
from cinema.domain.showtime.state import ShowtimeState, evolve
from cinema.domain.showtime.terms import ShowtimeTerms
from tests.support.actors.scripted_store import RecordingJournal


class Auditor:
    """Collects violations; the truth is the ledger, the events in the order they were written."""

    def __init__(self, journal: RecordingJournal, plan: SeatPlan) -> None:
        self.violations: list[str] = []
        self._journal = journal
        self.plan = plan
        self.outcomes: dict[tuple[bytes, bytes], list[Outcome]] = defaultdict(list)

    def durable_seq(self, showtime_id: bytes) -> int:
        """How many events are durable now."""
        return len(self._journal.ledger.get(showtime_id, ()))

    def answered(
        self, showtime_id: bytes, message: Any, asked_at_seq: int, outcome: Outcome
    ) -> None:
        """A reply leaves; `asked_at_seq` was durable when its message came."""
        if isinstance(message, Command):
            self.outcomes[showtime_id, message.command_id].append(outcome)
        now_seq = self.durable_seq(showtime_id)
        match outcome:
            case Accepted(event=None):
                pass
            case Accepted():
                self._check_accepted(showtime_id, message, outcome)
            case SeatsSeen():
                self._check_span("seat map", asked_at_seq, outcome.seq, now_seq)
                if outcome.seq <= now_seq:
                    truth = bytes(self._states(showtime_id)[outcome.seq].seats)
                    self._expect(outcome.seats == truth, f"seat map is not that of {outcome.seq}")
            case HoldSeen():
                self._check_span("hold", asked_at_seq, outcome.seq, now_seq)
            case Rejection(code="SEAT_UNAVAILABLE", details=dict(details)):
                states = self._states(showtime_id)[asked_at_seq : now_seq + 1]
                taken = [self.plan.index[label] for label in details["seats"]]
                self._expect(
                    any(all(state.seats[seat] for seat in taken) for state in states),
                    f"refused {details['seats']}, which were free all the time",
                )

    def published(
        self, showtime_id: bytes, epoch: int, prev_seq: int, seq: int, event: AnyEvent
    ) -> None:
        """A frame leaves for the watchers."""
        written = self._journal.ledger[showtime_id]
        self._expect(prev_seq == seq - 1, f"frame {seq} follows {prev_seq}")
        if seq > len(written):
            self._expect(False, f"frame {seq} was published before it was durable")
            return
        row = written[seq - 1].row
        same = (row.epoch, decode_recorded(row.payload).event) == (epoch, event)
        self._expect(same, f"frame {seq} is not what the journal has there")

    def finish(self) -> list[str]:
        """All that is wrong with the whole history."""
        for showtime_id, written in self._journal.ledger.items():
            seqs = [one.row.seq for one in written]
            self._expect(seqs == list(range(1, len(seqs) + 1)), f"journal has seqs {seqs}")
            epochs = [one.row.epoch for one in written]
            self._expect(epochs == sorted(epochs), f"a former owner wrote: epochs {epochs}")
            recorded = [decode_recorded(one.row.payload) for one in written]
            self._check_effects(showtime_id, recorded)
            self._check_story(written, recorded)
        return self.violations

    def _check_accepted(self, showtime_id: bytes, message: Any, outcome: Accepted) -> None:
        """It names a durable event, as it was or as a later plan has it."""
        told: list[AnyEvent] = []
        for written in self._journal.ledger[showtime_id]:
            row = written.row
            recorded = decode_recorded(row.payload)
            if isinstance(recorded.event, PlanChanged) and told:
                told.append(moved_event(told[-1], recorded.event.mapping))
            named = (row.seq, row.epoch) == (outcome.seq, outcome.epoch)
            if named and recorded.command_id == message.command_id:
                told.append(recorded.event)
        self._expect(outcome.event in told, f"acknowledged {outcome.seq}, which is not durable")

    def _check_span(self, what: str, asked_at_seq: int, seq: int, now_seq: int) -> None:
        self._expect(seq >= asked_at_seq, f"{what} of {seq} was stale: {asked_at_seq} was durable")
        self._expect(seq <= now_seq, f"{what} of {seq} was not durable yet")

    def _check_effects(self, showtime_id: bytes, recorded: list[Recorded]) -> None:
        commands = [one.command_id for one in recorded if one.command_id]
        self._expect(len(commands) == len(set(commands)), "a command had two effects")
        for command_id in set(commands):
            outcomes = self.outcomes[showtime_id, command_id]
            denied = bool(outcomes) and all(_denies_effect(one) for one in outcomes)
            self._expect(not denied, "a command whose client was told of no effect had one")

    def _check_story(self, written: list[Any], recorded: list[Recorded]) -> None:
        state = ShowtimeState(self.plan.seat_count, self.plan.version)
        for seq, (one, what) in enumerate(zip(written, recorded, strict=True), 1):
            row, event = one.row, what.event
            if isinstance(event, SeatsHeld):
                free = all(state.seats[seat] == AVAILABLE for seat in event.seats)
                self._expect(free, f"event {row.seq} holds a seat that was taken")
            by_clock = isinstance(event, HoldExpired | PaymentEnded) and not what.command_id
            if by_clock and event.hold_id in state.holds:
                due_us = expiry_of(state.holds[event.hold_id])
                self._expect(one.at_us >= due_us, f"a hold ended {due_us - one.at_us} us early")
            try:
                evolve(
                    state,
                    seq,
                    row.epoch,
                    row.recorded_at_us,
                    what.command_id,
                    what.fingerprint,
                    event,
                    row.payload,
                )
            except LookupError:
                self._expect(False, f"event {row.seq} ends a hold that is over")
                return

    def _states(self, showtime_id: bytes) -> list[ShowtimeState]:
        """The showtime after each event, from none at all to now."""
        states = []
        written = self._journal.ledger[showtime_id]
        for seq in range(len(written) + 1):
            state = ShowtimeState(self.plan.seat_count, self.plan.version)
            for position, one in enumerate(written[:seq], 1):
                what = decode_recorded(one.row.payload)
                evolve(
                    state,
                    position,
                    one.row.epoch,
                    one.row.recorded_at_us,
                    what.command_id,
                    what.fingerprint,
                    what.event,
                    one.row.payload,
                )
            states.append(state)
        return states

    def _expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.violations.append(otherwise)


def _denies_effect(outcome: Outcome) -> bool:
    """RETRY, OVERLOADED and refusals promise that nothing happened."""
    if isinstance(outcome, Unavailable):
        return outcome.code in {"RETRY", "OVERLOADED"}
    return isinstance(outcome, Rejection)


class Feed:
    """A watcher that keeps every frame and counts what it lost."""

    def __init__(self, auditor: Auditor, showtime_id: bytes) -> None:
        self.frames: list[tuple[int, int, int]] = []
        self.times_lost = 0
        self._auditor = auditor
        self._showtime_id = showtime_id

    def changed(
        self, epoch: int, prev_seq: int, seq: int, event: AnyEvent, terms: ShowtimeTerms
    ) -> None:
        self._auditor.published(self._showtime_id, epoch, prev_seq, seq, event)
        self.frames.append((epoch, prev_seq, seq))

    def lost(self) -> None:
        self.times_lost += 1

    def assert_continues(self, seq: int) -> None:
        """Every frame since `seq` is there, once and in order."""
        for _, prev_seq, next_seq in self.frames:
            assert prev_seq == seq
            seq = next_seq
