"""A showtime with what its actor keeps around it: journal, snapshots, archive, crashes.

All of it in memory and by hand, so that each step can be compared with a replay.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from cinema.domain.limits import IDEMPOTENCY_TTL_S
from cinema.domain.showtime.changes import seat_changes
from cinema.domain.showtime.commands import AnyCommand
from cinema.domain.showtime.decisions import (
    Archived,
    Decision,
    Recall,
    Recalled,
    decide,
    due_expiries,
    ended_hold,
    with_offers,
)
from cinema.domain.showtime.events import (
    AnyEvent,
    HoldBooked,
    HoldExpired,
    HoldReleased,
    Offering,
    PaymentEnded,
    PaymentReturned,
    PlanChanged,
    SeatsChanged,
    SeatsHeld,
    decode_recorded,
    encode_recorded,
)
from cinema.domain.showtime.records import ReplyRecord
from cinema.domain.showtime.replan import moved_event
from cinema.domain.showtime.snapshot import decode_snapshot, encode_snapshot
from cinema.domain.showtime.state import ShowtimeState, Surplus, evolve, moved_ended
from cinema.domain.showtime.terms import TERMS_EVENTS, ShowtimeTerms, terms_after


def contents(state: ShowtimeState) -> dict[str, Any]:
    """All that must be equal in two copies of a showtime, order included.

    `next_due_us` is only a bound and may differ; what counts holders is derived, and so are prices.
    """
    return {
        "seq": state.seq,
        "at_us": state.at_us,
        "layout_version": state.layout_version,
        "old_plans": state.old_plans,
        "paused": state.paused,
        "cancelled": state.cancelled,
        "terms_version": state.terms_version,
        "told_starts_us": state.told_starts_us,
        "seats": bytes(state.seats),
        "taken": state.taken,
        "sold_by": state.sold_by,
        "waitlist": list(state.waitlist.items()),
        "offered": list(state.offered.items()),
        "channels": bytes(state.channels),
        "late_channels": dict(state.late_channels),
        "holds": list(state.holds.items()),
        "bookings": list(state.bookings.items()),
        "paying": list(state.paying.items()),
        "ended": list(state.ended.items()),
        "records": list(state.records),
        "filter": [bytes(layer) for layer in state.archive_filter.layers],
        "filter_count": state.archive_filter.count,
    }


class JournalRow(NamedTuple):
    seq: int
    epoch: int
    at_us: int
    payload: bytes


class ArchiveRow(NamedTuple):
    """Either an ended hold or a stored reply, as the plan of its time has it."""

    layout_version: int
    ended: bytes | None
    reply: ReplyRecord | None


class Snapshot(NamedTuple):
    payload: bytes
    surplus: Surplus
    rows: dict[bytes, ArchiveRow]


class World:
    """One showtime and its storage."""

    def __init__(self, terms: ShowtimeTerms) -> None:
        self.terms = terms
        self._first_plan = terms.plan
        self.epoch = 1
        self.state = self._blank()
        self.journal: list[JournalRow] = []
        self.archive: dict[bytes, ArchiveRow] = {}
        self.pending: Snapshot | None = None
        self._stored: tuple[int, bytes] | None = None
        self._begun: set[bytes] = set()
        self._over: set[bytes] = set()
        self._paid: set[bytes] = set()
        self._returned: set[bytes] = set()

    def _blank(self) -> ShowtimeState:
        return ShowtimeState(self._first_plan.seat_count, self._first_plan.version)

    # --- commands and events

    def expire(self, now_us: int) -> list[HoldExpired | PaymentEnded]:
        """Expire what is due in turns, as the actor does."""
        expired: list[HoldExpired | PaymentEnded] = []
        while self.state.next_due_us <= now_us:
            turn = due_expiries(self.state, now_us)
            assert turn or self.state.earliest_due_us() > now_us, "what is due does not expire"
            for due in turn:
                event = due
                if self.state.waitlist:
                    event = with_offers(self.state, self.terms, None, due, now_us)
                self.record(event, now_us)
                expired.append(event)
            self.state.earliest_due_us()
        return expired

    def decide(self, command: AnyCommand, now_us: int) -> Decision:
        recalled = None
        found: dict[bytes, Archived] = {}
        while True:
            before = contents(self.state)
            decision = decide(self.state, self.terms, command, now_us, recalled)
            assert contents(self.state) == before, "decide changed the state"
            if not isinstance(decision, Recall):
                return decision
            assert decision.key not in found, "asked the archive twice for the same"
            found[decision.key] = self._look_up(decision.key)
            recalled = Recalled(self.state.epoch, self.state.archive_generation, dict(found))

    def record(self, event: AnyEvent, now_us: int, command: AnyCommand | None = None) -> None:
        command_id = command.command_id if command else b""
        fingerprint = command.fingerprint if command else b""
        payload = encode_recorded(command_id, fingerprint, event)
        row = JournalRow(self.state.seq + 1, self.epoch, now_us, payload)
        before = bytes(self.state.seats)
        _apply(self.state, row)
        self.journal.append(row)
        self._check_seat_changes(event, before)
        self._check_a_hold_ends_once(event)
        if command is not None and type(event) in TERMS_EVENTS:
            self.terms = terms_after(self.terms, command, event)

    def _check_seat_changes(self, event: AnyEvent, before: bytes) -> None:
        if isinstance(event, PlanChanged):
            assert seat_changes(event) == []
            return
        after = self.state.seats
        differ = [(at, after[at]) for at in range(len(after)) if after[at] != before[at]]
        assert sorted(seat_changes(event)) == differ

    def _check_a_hold_ends_once(self, event: AnyEvent) -> None:
        for offer in event.offers if isinstance(event, Offering) else ():
            assert offer.hold_id not in self._begun
            self._begun.add(offer.hold_id)
        match event:
            case SeatsHeld():
                assert event.hold_id not in self._begun
                self._begun.add(event.hold_id)
            case HoldBooked(pending=True) if event.hold_id in self._over:
                # Paid late: whoever pays gets no seats a second time, or for money that went back.
                assert event.hold_id not in self._paid | self._returned
                self._paid.add(event.hold_id)
            case PaymentReturned():
                assert event.hold_id not in self._paid | self._returned
                assert (event.hold_id in self._over) is not event.waited
                self._returned.add(event.hold_id)
                self._over.add(event.hold_id)
            case SeatsChanged():
                for hold in event.holds:
                    assert hold.hold_id in self._begun - self._over
                    if not hold.seats:
                        self._over.add(hold.hold_id)
            case HoldReleased(seats=()) | HoldExpired() | HoldBooked() | PaymentEnded():
                if isinstance(event, HoldBooked):
                    self._paid.add(event.hold_id)
                assert event.hold_id in self._begun - self._over
                self._over.add(event.hold_id)

    # --- the archive

    def ended(self, hold_id: bytes) -> bytes | None:
        """Status byte and packed group of an ended hold, from wherever it is."""
        ended = ended_hold(self.state, hold_id, None)
        if isinstance(ended, Recall):
            found = {ended.key: self._look_up(ended.key)}
            recalled = Recalled(self.state.epoch, self.state.archive_generation, found)
            ended = ended_hold(self.state, hold_id, recalled)
        assert not isinstance(ended, Recall)
        return ended

    def _look_up(self, key: bytes) -> Archived:
        row = self.archive.get(key)
        if row is None:
            return Archived()
        mapping = self.state.old_plans.get(row.layout_version)
        if row.ended is not None:
            ended = row.ended
            if mapping is not None:
                ended = moved_ended(ended, mapping)
            return Archived(ended=ended)
        assert row.reply is not None
        recorded = decode_recorded(row.reply.payload)
        if mapping is not None:
            event = moved_event(recorded.event, mapping)
            recorded = msgspec.structs.replace(recorded, event=event)
        return Archived(reply=(row.reply, recorded))

    def sweep_archive(self, now_us: int) -> None:
        oldest_us = now_us - IDEMPOTENCY_TTL_S * 1_000_000
        for key, row in list(self.archive.items()):
            if row.reply is not None and row.reply.recorded_at_us < oldest_us:
                del self.archive[key]

    # --- snapshots and crashes

    def begin_snapshot(self, now_us: int) -> None:
        surplus = Surplus(self.state, now_us)
        version = self.state.layout_version
        rows = {key: ArchiveRow(version, packed, None) for key, packed in surplus.ended}
        rows |= {key: ArchiveRow(version, None, record) for key, record in surplus.replies}
        payload = encode_snapshot(self.state, surplus)
        self.pending = Snapshot(payload, surplus, rows)
        self._pending_seq = self.state.seq

    def finish_snapshot(self, *, stored: bool, told: bool) -> None:
        """The store wrote the snapshot or not; untold, the actor must start anew."""
        assert self.pending is not None
        if stored:
            self._stored = (self._pending_seq, self.pending.payload)
            self.archive |= self.pending.rows
        if told and stored:
            self.pending.surplus.remove_from(self.state)
        self.pending = None
        if not told:
            self.crash()

    def crash(self) -> None:
        self.pending = None
        self.state = self.restored()
        self.epoch += 1

    def restored(self) -> ShowtimeState:
        """The state as the snapshot and the journal after it say it is."""
        seq, payload = self._stored or (0, b"")
        state = decode_snapshot(payload) if payload else self._blank()
        return _replay(state, self.journal[seq:])

    def replayed(self) -> ShowtimeState:
        """The state as the whole journal says it is."""
        return _replay(self._blank(), self.journal)


def _replay(state: ShowtimeState, rows: list[JournalRow]) -> ShowtimeState:
    for row in rows:
        _apply(state, row)
    return state


def _apply(state: ShowtimeState, row: JournalRow) -> None:
    recorded = decode_recorded(row.payload)
    evolve(
        state,
        row.seq,
        row.epoch,
        row.at_us,
        recorded.command_id,
        recorded.fingerprint,
        recorded.event,
        row.payload,
    )
