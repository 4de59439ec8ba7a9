"""Whether a history is one that the real thing could have had: everything is replayed.

The truth is the ledger: every event in the order in which it became durable. Each is decided anew
on the state before it; each answer, frame and copy of the seats is compared with the state at the
seq it names, each refusal with the states of its time. A second model, which shares no code with
the server, replays the same journal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from cinema.actors.lane import REFUSALS
from cinema.actors.messages import (
    OVERLOADED,
    Accepted,
    HoldSeen,
    ReadHold,
    ReadSeats,
    SeatsSeen,
    Unavailable,
)
from cinema.actors.reads import hold_seen, seats_seen
from cinema.domain.rejections import Rejection
from cinema.domain.showtime.commands import (
    AbandonPayment,
    CancelBooking,
    ChangeTerms,
    Command,
    NeedsLayout,
    with_plan,
)
from cinema.domain.showtime.decisions import (
    Decision,
    FindPlan,
    Nothing,
    decide,
    with_offers,
)
from cinema.domain.showtime.events import (
    Event,
    HoldBooked,
    HoldExpired,
    PaymentEnded,
    PlanChanged,
    Recorded,
    decode_recorded,
)
from cinema.domain.showtime.packed import expiry_of
from cinema.domain.showtime.replan import moved_event
from cinema.domain.showtime.snapshot import decode_snapshot
from cinema.domain.showtime.state import ShowtimeState, evolve
from cinema.domain.showtime.waiting import seats_for, unpacked_entry, waitlist_ends_us
from tests.simulation.exchanging import check_exchanges
from tests.simulation.machine import START_US
from tests.simulation.paying import check_money
from tests.simulation.requests import NEVER_NS, Attempt
from tests.simulation.terms import as_shown, terms_behind
from tests.support.actors.scripted_store import Written
from tests.support.ledger import BookingRow, Entry, Ledger, Replay

if TYPE_CHECKING:
    from tests.simulation.world import World

OCCUPIED = REFUSALS["showtimes_screen_occupied"]
EXCHANGE_ENDED = REFUSALS["exchanges_decided_once"]
RELOAD_LIMIT_NS = 500_000_000
"""A reload takes a takeover and a few reads; nobody holds a lease to wait for."""

EXPIRY_LIMIT_US = 1_000_000
"""A hold ends within this time after its deadline, in a world that is well."""


def check(world: World) -> None:
    """Report everything that is wrong with a finished run."""
    by_showtime: dict[bytes, list[Attempt]] = defaultdict(list)
    for attempt in world.attempts:
        by_showtime[attempt.showtime_id].append(attempt)
    booked: dict[bytes, HoldBooked] = {}
    journals: dict[bytes, Sequence[Recorded]] = {}
    for showtime_id in world.showtimes:
        try:
            showtime = _ShowtimeCheck(world, showtime_id, by_showtime[showtime_id])
            journals[showtime_id] = showtime.recorded
            booked |= showtime.booked()
            showtime.run()
        except Exception as error:  # noqa: BLE001  # a journal that cannot even be replayed
            world.violate(f"{showtime_id.hex()[-4:]} cannot be replayed: {error!r}")
    check_money(world, booked)
    check_exchanges(world, booked, journals)
    _check_keepers(world)
    _check_health(world)


def _check_keepers(world: World) -> None:
    """Only owners write snapshots: one that is true all the same would show nowhere else."""
    for showtime_id, epoch, head_epoch in world.database.keepers:
        if epoch != head_epoch:
            name = showtime_id.hex()[-4:]
            world.violate(f"{name}: an owner of {epoch} keeps a snapshot of {head_epoch}")


def _check_health(world: World) -> None:
    """After recovery nobody is turned away for anything but a full mailbox.

    Or because the database refuses a move to a screen that is taken: its actor reloads, and who
    comes behind it has to try again.
    """
    well_ns = world.healed_ns + world.recovery_ns
    refused = [one for one in world.attempts if one.outcome in (OCCUPIED, EXCHANGE_ENDED)]
    for attempt in world.attempts:
        if attempt.sent_ns < well_ns:
            continue
        outcome = attempt.outcome
        if outcome is None or attempt.answered_ns == NEVER_NS:
            world.violate(f"no answer, though all is well: {attempt!r}")
        elif (
            isinstance(outcome, Unavailable)
            and outcome.code != OVERLOADED
            and not any(_is_behind(attempt, one) for one in refused)
        ):
            world.violate(f"turned away, though all is well: {attempt!r}")


def _is_behind(attempt: Attempt, refused: Attempt) -> bool:
    """Whether an attempt came while the actor was reloaded for a move that was refused."""
    return (
        attempt.showtime_id == refused.showtime_id
        and attempt.answered_ns >= refused.sent_ns
        and attempt.sent_ns <= refused.answered_ns + RELOAD_LIMIT_NS
    )


def _with_seats_that_were_gone(truth: Any, seen: Any) -> Any:
    """What memory says of an ended hold, as the archive may say it too.

    A seat that one plan lacked and a later one has again is back in what was archived before both.
    """
    if isinstance(truth, HoldSeen) and isinstance(seen, HoldSeen) and truth.status != "active":
        more = set(seen.group.seats) > set(truth.group.seats)
        if more and seen.group[:3] == truth.group[:3]:
            return msgspec.structs.replace(truth, group=seen.group)
    return truth


class _ShowtimeCheck:
    """One showtime from its first event to its last."""

    def __init__(self, world: World, showtime_id: bytes, attempts: Sequence[Attempt]) -> None:
        self._world = world
        self._name = showtime_id.hex()[-4:]
        self._showtime_id = showtime_id
        self._terms = world.first_terms[showtime_id]
        self._written: list[Written] = world.journal.ledger[showtime_id]
        self.recorded = [decode_recorded(one.row.payload) for one in self._written]
        self._attempts = attempts
        self._versions = self._versions_by_seq()
        self._by_command: dict[bytes, list[Attempt]] = defaultdict(list)
        for attempt in attempts:
            if attempt.command_id:
                self._by_command[attempt.command_id].append(attempt)
        self._well_us = START_US + (world.healed_ns + world.recovery_ns) // 1000

    def run(self) -> None:
        """Every check, in one pass over the journal."""
        self._check_traces()
        seen, refusals, mirrors = self._sorted_observations()
        state = ShowtimeState(self._terms.plan.seat_count, self._terms.plan.version)
        waiting: list[Attempt] = []
        for seq in range(len(self._written) + 1):
            if seq and not self._apply(state, seq):
                return
            for attempt in seen.pop(seq, ()):
                self._check_seen(state, attempt)
            for seats, watcher in mirrors.pop(seq, ()):
                if seats != bytes(state.seats):
                    self._fault(f"{watcher} was shown other seats than those of {seq}")
            waiting = [*waiting, *refusals.pop(seq, ())]
            waiting = [one for one in waiting if not self._explained(state, one, seq)]
        for attempts in seen.values():
            for attempt in attempts:
                self._fault(f"shows a seq that was never durable: {attempt!r}")
        self._check_end(state)
        self._check_by_other_model()

    def booked(self) -> dict[bytes, HoldBooked]:
        """Each booking's event; there is one for each."""
        booked: dict[bytes, HoldBooked] = {}
        for recorded in self.recorded:
            if isinstance(recorded.event, HoldBooked):
                if recorded.event.booking_id in booked:
                    self._fault(f"booked twice: {recorded.event}")
                booked[recorded.event.booking_id] = recorded.event
        return booked

    def _versions_by_seq(self) -> list[int]:
        """The version of the seat plan at each seq."""
        versions = [self._terms.plan.version]
        for recorded in self.recorded:
            event = recorded.event
            changed = isinstance(event, PlanChanged)
            versions.append(event.layout_version if changed else versions[-1])
        return versions

    def _fault(self, what: str) -> None:
        self._world.violate(f"{self._name}: {what}")

    def _sorted_observations(self) -> tuple[dict[int, Any], dict[int, Any], dict[int, Any]]:
        seen, refusals, mirrors = defaultdict(list), defaultdict(list), defaultdict(list)
        for attempt in self._attempts:
            outcome = attempt.outcome
            match outcome:
                case None:
                    pass
                case SeatsSeen() | HoldSeen() | Accepted(event=None):
                    if not attempt.from_seq <= outcome.seq <= attempt.to_seq:
                        self._fault(
                            f"read outside its time, {attempt.from_seq} to {attempt.to_seq}: "
                            f"{attempt!r}"
                        )
                    seen[outcome.seq].append(attempt)
                case Rejection():
                    refusals[attempt.from_seq].append(attempt)
                case Accepted():
                    self._check_accepted(attempt, outcome)
                case Unavailable(code="RETRY" | "OVERLOADED" | "OUTCOME_UNKNOWN"):
                    pass
                case _:
                    self._fault(f"no such answer was called for: {attempt!r}")
        for showtime_id, seq, seats, watcher in self._world.mirrors:
            if showtime_id == self._showtime_id:
                mirrors[seq].append((seats, watcher))
        return seen, refusals, mirrors

    # --- what the journal says

    def _check_traces(self) -> None:
        """Every event was asked for, by a client who was not told that it did not happen."""
        had: dict[bytes, int] = {}
        for one, recorded in zip(self._written, self.recorded, strict=True):
            command_id, seq = recorded.command_id, one.row.seq
            if not command_id:
                if not isinstance(recorded.event, HoldExpired | PaymentEnded):
                    self._fault(f"nobody asked for event {seq}")
                continue
            if command_id in had:
                self._fault(f"one command, two effects: {had[command_id]} and {seq}")
            had[command_id] = seq
            attempts = self._by_command.get(command_id)
            if not attempts:
                self._fault(f"nobody asked for event {seq}")
            elif all(attempt.denied for attempt in attempts):
                self._fault(f"denied, and yet it happened at {seq}: {attempts}")
            elif one.at_us < START_US + attempts[0].sent_ns // 1000:
                self._fault(f"event {seq} happened before it was asked for: {attempts}")
            else:
                self._check_refusals(one, attempts)

    def _check_refusals(self, one: Written, attempts: Sequence[Attempt]) -> None:
        """Nobody who repeated a command was refused before it happened.

        Unless the repetition overtook the command, or came again behind the refusal: a refusal had
        no effect, and what has its turn later is decided anew.
        """
        for refused in attempts:
            if not refused.is_refused or START_US + refused.sent_ns // 1000 >= one.at_us:
                continue
            if all(other.denied or other.over_ns < refused.sent_ns for other in attempts):
                self._fault(
                    f"refused on the repetition, and yet happened: {one.row.seq} {attempts}"
                )

    def _apply(self, state: ShowtimeState, seq: int) -> bool:
        """One event; False if nothing can follow it."""
        one, recorded = self._written[seq - 1], self.recorded[seq - 1]
        row = one.row
        if row.seq != seq:
            self._fault(f"event {seq} has seq {row.seq}")
            return False
        if seq > 1 and row.epoch < self._written[seq - 2].row.epoch:
            self._fault(f"a former owner wrote event {row.epoch}:{seq}")
        if row.recorded_at_us < state.at_us:
            self._fault(f"event {seq} is older than the one before it")
        if recorded.command_id:
            self._check_decision(state, row.recorded_at_us, recorded, seq)
        elif isinstance(recorded.event, HoldExpired | PaymentEnded):
            self._check_expiry(state, one, recorded.event)
            bare = msgspec.structs.replace(recorded.event, offers=())
            offered = with_offers(state, self._terms, None, bare, row.recorded_at_us)
            if offered != recorded.event:
                self._fault(f"event {seq} should offer {offered.offers}: {recorded.event}")
        try:
            evolve(
                state,
                seq,
                row.epoch,
                row.recorded_at_us,
                recorded.command_id,
                recorded.fingerprint,
                recorded.event,
                row.payload,
            )
        except LookupError:
            self._fault(f"event {seq} ends what is over: {recorded.event}")
            return False
        self._terms = terms_behind(self._terms, recorded.event, self._world.plans)
        self._check_who_waits(state, seq)
        return True

    def _check_who_waits(self, state: ShowtimeState, seq: int) -> None:
        """Nobody waits for seats that are free, as long as the list goes on.

        So nobody is shown a free seat either that somebody who waits could have.
        """
        terms = self._terms
        ends_us = waitlist_ends_us(terms.starts_at_us, terms.sales_closes_at_us)
        if state.paused or state.at_us >= ends_us:
            return
        for customer, packed in state.waitlist.items():
            wish = unpacked_entry(packed).wish
            if seats_for(terms.plan, state.seats, wish, protect_orphans=False) is not None:
                who = customer.hex()[-4:]
                self._fault(f"after event {seq} {who} waits for seats that are free: {wish}")

    def _check_decision(
        self, state: ShowtimeState, at_us: int, recorded: Recorded, seq: int
    ) -> None:
        """Some message under this id, decided on the state before it, gives this event."""
        decisions = [
            self._decided(state, attempt.message, at_us)
            for attempt in self._by_command.get(recorded.command_id, ())
            if isinstance(attempt.message, Command)
        ]
        if recorded.event not in [one for one in decisions if isinstance(one, Event)]:
            self._fault(f"event {seq} is {recorded.event}, and should be one of {decisions}")

    def _decided(self, state: ShowtimeState, command: Any, at_us: int) -> Decision:
        """What the showtime answers, with the plan that it would look up."""
        decision = decide(state, self._terms, command, at_us)
        if isinstance(decision, FindPlan) and isinstance(command, NeedsLayout):
            plan = self._world.plans[decision.layout_version - 1]
            decision = decide(
                state, self._terms, with_plan(command, plan, self._terms.version), at_us
            )
        return decision

    def _check_expiry(
        self, state: ShowtimeState, one: Written, event: HoldExpired | PaymentEnded
    ) -> None:
        packed = state.holds.get(event.hold_id)
        if packed is None:
            return  # `evolve` will complain.
        late_us = one.at_us - expiry_of(packed)
        if late_us < 0:
            self._fault(f"event {one.row.seq} ends a hold {-late_us} us before its deadline")
        elif one.at_us > max(expiry_of(packed), self._well_us) + EXPIRY_LIMIT_US:
            self._fault(f"event {one.row.seq} ends a hold {late_us} us after its deadline")

    def _check_end(self, state: ShowtimeState) -> None:
        """Rows, head and snapshot agree with the journal, and nothing is left to expire."""
        journal = self._world.journal
        head = journal.heads[self._showtime_id]
        if head.seq != state.seq:
            self._fault(f"head is at {head.seq}, the journal at {state.seq}")
        snapshot_seq, snapshot = journal.snapshots.get(self._showtime_id, (0, None))
        if snapshot_seq > state.seq:
            self._fault(f"snapshot at {snapshot_seq}, the journal at {state.seq}")
        if snapshot is not None and decode_snapshot(snapshot).seq != snapshot_seq:
            self._fault(f"snapshot at {snapshot_seq} has another seq in it")
        now_us = self._world.database.true_us()
        for hold_id, packed in state.holds.items():
            if expiry_of(packed) + EXPIRY_LIMIT_US < now_us:
                self._fault(f"hold {hold_id.hex()[-4:]} is overdue and lives on")

    def _check_by_other_model(self) -> None:
        """The naive model of the history check, which shares no code with the server."""
        journal, plans = self._world.journal, self._world.plans
        seats: dict[bytes, set[str]] = defaultdict(set)
        for (showtime_id, label), booking_id in journal.sold.live_seats.items():
            if showtime_id == self._showtime_id:
                seats[booking_id].add(label)
        rows = {}
        for booking_id, made in journal.sold.bookings.items():
            if self._was_booked(booking_id):
                live = frozenset(seats[booking_id])
                paid = sum(made.prices.values()) + journal.sold.paid_more.get(booking_id, 0)
                status = journal.sold.statuses[booking_id]
                rows[str(UUID(bytes=booking_id))] = BookingRow(
                    user_id=made.user_id,
                    status=status,
                    seats=live,
                    paid_minor=paid,
                    refunded_minor=journal.sold.back.get(booking_id, 0),
                )
        head = journal.heads[self._showtime_id]
        entries = [
            Entry(
                seq=one.row.seq,
                epoch=one.row.epoch,
                at_us=one.row.recorded_at_us,
                command_id=recorded.command_id,
                event=recorded.event,
            )
            for one, recorded in zip(self._written, self.recorded, strict=True)
        ]
        ledger = Ledger(
            showtime_id=self._name,
            labels=plans[0].labels,
            later_labels={plan.version: plan.labels for plan in plans[1:]},
            epoch=head.epoch,
            seq=head.seq,
            entries=tuple(entries),
            bookings=rows,
            told=tuple(
                (row.seq, row.row["kind"], row.row["payload"]["booking_id"])
                for row in journal.sold.rows.get("bookings_told", ())
                if row.showtime_id == self._showtime_id
            ),
        )
        for fault in Replay(ledger).faults:
            self._fault(f"the other model: {fault}")

    def _was_booked(self, booking_id: bytes) -> bool:
        return any(getattr(one.event, "booking_id", None) == booking_id for one in self.recorded)

    # --- what clients were told

    def _check_accepted(self, attempt: Attempt, outcome: Accepted) -> None:
        seq = outcome.seq
        if seq > len(self._written):
            self._fault(f"acknowledged, and lost: {attempt!r}")
            return
        row, recorded = self._written[seq - 1].row, self.recorded[seq - 1]
        told = (outcome.event, outcome.terms.plan.version)
        if (row.epoch, recorded.command_id) != (outcome.epoch, attempt.command_id) or (
            told not in self._tellings(seq, attempt.to_seq)
        ):
            self._fault(f"acknowledged otherwise than it happened: {attempt!r}, {recorded.event}")
        if seq > attempt.to_seq:
            self._fault(f"acknowledged before it was durable: {attempt!r}")

    def _tellings(self, seq: int, to_seq: int) -> list[tuple[Event, int]]:
        """An event and its plan's version, as it was and as changes of plan up to a seq have it."""
        event = self.recorded[seq - 1].event
        told = [(event, self._versions[seq - 1])]
        for later in range(seq, min(to_seq, len(self.recorded)) + 1):
            change = self.recorded[later - 1].event
            if isinstance(change, PlanChanged):
                # Its own seats are those of the new plan already.
                event = event if later == seq else moved_event(event, change.mapping)
                told.append((event, change.layout_version))
        return told

    def _check_seen(self, state: ShowtimeState, attempt: Attempt) -> None:
        """A read shows the state of its seq, and no hold that was over before it was asked."""
        outcome, message = attempt.outcome, attempt.message
        assert isinstance(outcome, SeatsSeen | HoldSeen | Accepted)
        self._check_epoch(attempt, outcome.epoch, outcome.seq)
        truth: Any
        if isinstance(message, Command):
            same = isinstance(self._decided(state, message, state.at_us), Nothing)
            truth = outcome if same else "something was to be done"
        elif isinstance(message, ReadHold):
            truth = hold_seen(state, self._terms, outcome.epoch, message, None)
            truth = _with_seats_that_were_gone(truth, outcome)
        else:
            customer = message.customer if isinstance(message, ReadSeats) else None
            # No price of the simulation depends on the time.
            truth = seats_seen(*(state, self._terms, outcome.epoch), customer, now_us=state.at_us)
        if as_shown(truth) != as_shown(outcome):
            self._fault(f"read is not the journal's: {attempt!r}, {truth}")
        fresh_us = attempt.arrived_us - 2 * attempt.clock_error_us - 1000
        overdue = [one for one in state.holds.values() if expiry_of(one) < fresh_us]
        if overdue:
            late_us = attempt.arrived_us - min(map(expiry_of, overdue))
            self._fault(f"shows a hold {late_us} us past its deadline: {attempt!r}")

    def _check_epoch(self, attempt: Attempt, epoch: int, seq: int) -> None:
        written = self._written
        before = written[seq - 1].row.epoch if seq else 0
        head = self._world.journal.heads[self._showtime_id]
        behind = written[seq].row.epoch if seq < len(written) else head.epoch
        if not before <= epoch <= behind:
            self._fault(f"epoch is not between {before} and {behind}: {attempt!r}")

    def _was_decided(self, attempt: Attempt) -> bool:
        """Whether an exchange was decided the other way when its statement was refused."""
        message, tables = attempt.message, self._world.journal.sold
        if isinstance(message, CancelBooking):
            decided = tables.exchanges[message.exchange_id] == "aborted"
        else:
            assert isinstance(message, AbandonPayment)
            decided = tables.exchanges[tables.exchanged_for[message.booking_id]] == "committed"
        if not decided:
            self._fault(f"nothing was decided, and yet refused: {attempt!r}")
        return True

    def _was_occupied(self, attempt: Attempt) -> bool:
        """Whether another showtime had the screen while the client waited."""
        message = attempt.message
        assert isinstance(message, ChangeTerms)
        for stay in self._world.stays:
            if (
                stay.screen_id == message.conditions.screen_id
                and stay.showtime_id != self._showtime_id
                and stay.from_ns <= attempt.answered_ns
                and stay.until_ns >= attempt.sent_ns
            ):
                return True
        self._fault(f"the screen was free, and yet refused: {attempt!r}")
        return True

    def _explained(self, state: ShowtimeState, attempt: Attempt, seq: int) -> bool:
        """Whether a refusal is settled: this state gives it, or its time is over without one."""
        message = attempt.message
        if attempt.outcome == OCCUPIED:
            return self._was_occupied(attempt)
        if attempt.outcome == EXCHANGE_ENDED:
            return self._was_decided(attempt)
        decision: Any
        if isinstance(message, ReadHold):
            decision = hold_seen(state, self._terms, 0, message, None)
        else:
            assert isinstance(message, Command)
            decision = self._decided(state, message, state.at_us)
        if decision == attempt.outcome:
            return True
        if seq >= attempt.to_seq:
            self._fault(
                f"refused for a reason that did not hold between {attempt.from_seq} and "
                f"{attempt.to_seq}: {attempt!r}, now {decision}"
            )
            return True
        return False
