"""The actor of one showtime: a mailbox, a state, and what may leave it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Final, assert_never

import msgspec
import structlog

from cinema.actors.backlog import Backlog, Part, Unwritten
from cinema.actors.messages import (
    BROKEN,
    IN_DOUBT,
    NO_SHOWTIME,
    TOO_BUSY,
    TRY_AGAIN,
    Accepted,
    Letter,
    OnOutcome,
    Outcome,
    Query,
    ReadHold,
    ReadSeats,
    ReadWaitlist,
    SeatFeed,
    SeatsSeen,
    TruncateJournal,
    Watch,
)
from cinema.actors.output_gate import Doubt, OutputGate
from cinema.actors.publisher import Publisher
from cinema.actors.reads import hold_seen, seats_seen, waitlist_seen
from cinema.actors.restore import RestoredShowtime
from cinema.actors.snapshots import PendingSnapshot, prepare_snapshot
from cinema.actors.unpaid import HOLDS
from cinema.domain.limits import TURN_COMMANDS
from cinema.domain.pricing.rules import ReadyBook
from cinema.domain.rejections import Rejection
from cinema.domain.seatmap import SeatPlan
from cinema.domain.showtime.commands import (
    AnyCommand,
    Command,
    HoldSeats,
    JoinWaitlist,
    NeedsLayout,
    with_plan,
)
from cinema.domain.showtime.decisions import (
    Archived,
    FindPlan,
    Nothing,
    Recall,
    Replay,
    decide,
    due_expiries,
    with_answer,
    with_offers,
)
from cinema.domain.showtime.events import (
    AnyEvent,
    Event,
    SeatsHeld,
    WaitlistJoined,
    encode_recorded,
)
from cinema.domain.showtime.state import NEVER_US, ShowtimeState, evolve
from cinema.domain.showtime.terms import TERMS_EVENTS, ShowtimeTerms, terms_after
from cinema.domain.showtime.waiting import waitlist_ends_us
from cinema.storage.journal.branches import Happened

if TYPE_CHECKING:
    from cinema.actors.kernel import Kernel

COMMAND_FAILED: Final = "command_failed"

HOLDS_A_LOOK: Final = 8
"""A turn looks at the clock after so many holds of named seats, which take microseconds each."""

log = structlog.get_logger(__name__)


class Phase(Enum):
    """Whether the actor may look at its mailbox."""

    RESTORING = "restoring"
    SERVING = "serving"
    LEAVING = "leaving"
    PASSIVATING = "passivating"
    QUARANTINED = "quarantined"
    GONE = "gone"


class ShowtimeActor:
    """Takes the messages of one showtime in order; never waits for the store while it does.

    Only the kernel creates actors. Everything runs on the event loop's thread: `tell` queues a
    message and asks for a turn, `turn` decides and evolves, the lane reports what became of it.
    `state` and `terms` are unset until `resume`. `waiting` counts the messages that were taken and
    not answered yet; an actor that is `closed` takes no new ones for now.
    """

    __slots__ = (
        "_kernel",
        "_mailbox",
        "_outbox",
        "_plan_seq",
        "_recalls",
        "_scheduled",
        "_snapshot_at_seq",
        "armed_us",
        "backlog",
        "clock",
        "closed",
        "doubts",
        "epoch",
        "failures",
        "lane",
        "last_used",
        "load",
        "pending_snapshot",
        "phase",
        "publisher",
        "ranked_tick",
        "showtime_id",
        "snapshot_seq",
        "state",
        "terms",
        "waiting",
    )

    def __init__(self, showtime_id: bytes, kernel: Kernel) -> None:
        self.showtime_id = showtime_id
        self.clock = kernel.clock
        self.lane = kernel.lane_of(showtime_id)
        self.phase = Phase.RESTORING
        self.state: ShowtimeState
        self.terms: ShowtimeTerms
        self.epoch = 0
        self.snapshot_seq = 0
        self.pending_snapshot: PendingSnapshot | None = None
        self.armed_us = NEVER_US
        self.last_used = 0
        self.ranked_tick = 0
        self.failures = 0
        self.publisher = Publisher(showtime_id, kernel.watched)
        self.doubts: Sequence[Doubt] = ()
        self.waiting = 0
        self.closed = False
        self._kernel = kernel
        self.load = kernel.load
        self._mailbox: list[Letter] | tuple[()] = ()
        self._outbox = OutputGate()
        self.backlog = Backlog()
        self._snapshot_at_seq = 0
        self._plan_seq = 0
        self._recalls = 0
        self._scheduled = False

    # --- the mailbox

    def tell(self, letter: Letter) -> None:
        """Queue a new message, or refuse it at once, without any effect.

        A message is refused while too much waits here or on the node, or waits for too long. An
        actor in quarantine refuses all messages.
        """
        load = self.load
        if (
            self.waiting >= load.showtime_limit
            or load.waiting >= load.limit
            or self.lane.late
            or self.closed
        ):
            self._outbox.turn_away(self, letter.reply, self._refusal())
            return
        # As in `take`, without its calls.
        self.waiting += 1
        load.waiting += 1
        load.mail += 1
        if self._mailbox:
            self._mailbox.append(letter)
        else:
            self._mailbox = [letter]
        if not self._scheduled and self.phase is Phase.SERVING:
            self._schedule()

    def _refusal(self) -> Outcome:
        if self.phase is Phase.QUARANTINED:
            return TRY_AGAIN
        load = self.load
        if self.waiting >= load.showtime_limit:
            load.refused["showtime"] += 1
        elif not load.is_full():
            load.refused["age"] += 1
        return TOO_BUSY

    def take(self, letter: Letter) -> None:
        """Queue a message that must not be refused: the kernel's own, or one taken before."""
        self.waiting += 1
        self.load.waiting += 1
        self._put(letter)

    def _put(self, letter: Letter) -> None:
        self.load.mail += 1
        if self._mailbox:
            self._mailbox.append(letter)
        else:
            self._mailbox = [letter]
        if not self._scheduled and self.phase is Phase.SERVING:
            self._schedule()

    @property
    def mailbox_depth(self) -> int:
        """Messages that wait for their turn."""
        return len(self._mailbox)

    @property
    def wanted(self) -> bool:
        """Whether anybody waits for the actor to serve."""
        return bool(self._mailbox or self.doubts or self.publisher.feeds)

    @property
    def idle(self) -> bool:
        """Whether nothing is under way and nobody watches: the actor may leave memory."""
        publisher = self.publisher
        return not publisher.feeds and not publisher.joining and self.idle_but_watched

    @property
    def idle_but_watched(self) -> bool:
        """Whether nothing is under way, watchers aside."""
        return self.phase is Phase.SERVING and not self._mailbox and self.settled

    @property
    def settled(self) -> bool:
        """Whether all that was decided is durable and answered."""
        return (
            not self.backlog.unwritten
            and not self._recalls
            and self._outbox.empty
            and self.pending_snapshot is None
            and self._outbox.durable_seq == self.state.seq
        )

    def take_letters(self) -> Sequence[Letter]:
        """Hand the waiting messages to the actor's successor."""
        letters, self._mailbox = self._mailbox, ()
        self.waiting -= len(letters)
        self.load.waiting -= len(letters)
        self.load.mail -= len(letters)
        return letters

    def drop_late(self, now_ns: int) -> None:
        """Answer what waited past its deadline while the actor could not serve."""
        late = [letter for letter in self._mailbox if letter.deadline_ns <= now_ns]
        if late:
            self._mailbox = [letter for letter in self._mailbox if letter.deadline_ns > now_ns]
            self.load.mail -= len(late)
        for letter in late:
            self._outbox.send(self, letter.reply, TRY_AGAIN)
        lost = [doubt for doubt in self.doubts if doubt.deadline_ns <= now_ns]
        if lost:
            self.doubts = [doubt for doubt in self.doubts if doubt.deadline_ns > now_ns]
        for doubt in lost:
            self._outbox.send(self, doubt.reply, IN_DOUBT)

    # --- turns

    def _schedule(self) -> None:
        self._scheduled = True
        self._kernel.schedule(self)

    def turn(self, now_us: int, give_way_ns: int) -> None:
        """Expire what is due, then take messages: a bounded number, the last one at `give_way_ns`.

        One message may take long (the best seats of an almost full screen); it is never
        interrupted.
        """
        self._scheduled = False
        if self.phase is not Phase.SERVING:
            return
        try:
            all_expired = self.state.next_due_us > now_us or self._expire(now_us)
        except Exception:
            log.exception(COMMAND_FAILED, showtime=self.showtime_id.hex())
            self.fail("expiry_failed")
            return
        # Journal time never goes back; seq orders.
        now_us = max(now_us, self.state.at_us)
        if not all_expired:
            self._schedule()
            return
        letters: Sequence[Letter] = self._mailbox
        if len(letters) > TURN_COMMANDS:
            letters, self._mailbox = letters[:TURN_COMMANDS], list(letters[TURN_COMMANDS:])
            self._schedule()
        else:
            self._mailbox = ()
        self.load.mail -= len(letters)
        self._take_turn(letters, now_us, give_way_ns)

    def _take_turn(self, letters: Sequence[Letter], now_us: int, give_way_ns: int) -> None:
        last, boot_ns = len(letters) - 1, self.clock.boot_ns
        for position, letter in enumerate(letters):
            message = letter.message
            try:
                if isinstance(message, Command):
                    self._execute(letter, message, now_us)
                else:
                    self._query(letter, message, now_us)
            except Exception:
                log.exception(COMMAND_FAILED, showtime=self.showtime_id.hex())
                self._outbox.send(self, letter.reply, BROKEN)
                if not self.is_serving:
                    self._put_back(letters[position + 1 :])
                    return
            if (
                position < last
                and (position % HOLDS_A_LOOK == 0 or type(message) is not HoldSeats)
                and boot_ns() >= give_way_ns
            ):
                self._mailbox = [*letters[position + 1 :], *self._mailbox]
                self.load.mail += last - position
                if not self._scheduled:
                    self._schedule()
                break
        if self.state.next_due_us < self.armed_us:
            self._kernel.arm(self)

    @property
    def is_serving(self) -> bool:
        """Whether the actor answers from its memory."""
        return self.phase is Phase.SERVING or self.phase is Phase.LEAVING

    def _put_back(self, letters: Sequence[Letter]) -> None:
        """The rest of a turn that broke the actor; what the archive said no longer counts."""
        if self.phase is Phase.RESTORING:
            self._mailbox = [*[letter.forgetful() for letter in letters], *self._mailbox]
            self.load.mail += len(letters)
            return
        for letter in letters:
            self._outbox.send(self, letter.reply, TRY_AGAIN)

    def _expire(self, now_us: int) -> bool:
        """Expire due holds; False if a bounded share was not all of them.

        A hold is due only when its deadline has certainly passed by Postgres' clock. So the reading
        of the clock counts here, not journal time, which may be ahead.
        """
        due_us = now_us - self.clock.uncertainty_us()
        state = self.state
        if state.next_due_us > due_us:
            return True
        expiries, at_us = due_expiries(state, due_us), max(now_us, state.at_us)
        for expired in expiries:
            event = expired
            if state.waitlist:
                event = with_offers(state, self.terms, None, expired, at_us)
            self._record(b"", b"", event, at_us)
        self._kernel.metrics.decisions["expire", "expired"] += len(expiries)
        next_due_us = state.earliest_due_us()
        if expiries:
            self.backlog.tighten_due(next_due_us)
        return next_due_us > due_us

    def _execute(self, letter: Letter, command: AnyCommand, now_us: int) -> None:
        decision = decide(self.state, self.terms, command, now_us, letter.recalled)
        if isinstance(decision, SeatsHeld) and isinstance(command, HOLDS):
            cinema_id = self.terms.cinema_id
            decision = self._kernel.unpaid.refusal(command, decision, cinema_id) or decision
        elif isinstance(decision, WaitlistJoined) and isinstance(command, JoinWaitlist):
            decision = self._kernel.unpaid.refusal_of_wish(command, now_us) or decision
        reply, outbox = letter.reply, self._outbox
        decisions = self._kernel.metrics.decisions
        if isinstance(decision, Event):
            decisions[type(command).__name__, "accepted"] += 1
            terms = after = self.terms
            if type(decision) in TERMS_EVENTS:
                # Before the event counts: one whose terms cannot be made must not be written.
                after = terms_after(terms, command, decision)
            self._record(command.command_id, command.fingerprint, decision, now_us)
            seq = self.state.seq
            if after is not terms:
                self._sell_by(after)
            accepted = Accepted(decision, seq, self.epoch, now_us, terms)
            outbox.acknowledge(seq, reply, accepted, command.command_id)
            return
        match decision:
            case Rejection():
                decisions[type(command).__name__, decision.code] += 1
                outbox.answer(self, self.state.seq, reply, decision)
            case Nothing():
                state = self.state
                same = Accepted(None, state.seq, self.epoch, state.at_us, self.terms)
                outbox.answer(self, state.seq, reply, same)
            case Replay(record, recorded):
                decisions[type(command).__name__, "replayed"] += 1
                seq, epoch, at_us, _ = record
                earlier = Accepted(recorded.event, seq, epoch, at_us, self.terms, replayed=True)
                outbox.repeat(self, seq, self._plan_seq, reply, earlier, command.command_id)
            case Recall(key):
                self._recall(letter, key)
            case FindPlan():
                self._recalls += 1
                self._kernel.find_plan(self, letter, decision)
            case _:
                assert_never(decision)

    def _record(self, command_id: bytes, fingerprint: bytes, event: AnyEvent, now_us: int) -> None:
        """Apply an event in memory and queue it for the next batch."""
        state = self.state
        waitlist = state.waitlist
        payload = encode_recorded(command_id, fingerprint, event)
        branches, rows = self._kernel.branches, None
        if type(event) in branches.events:
            request_key = command_id if fingerprint else None
            happened = Happened(event, self.terms, now_us, request_key)
            rows = branches.rows_of(state.seq + 1, happened)
        try:
            evolve(
                state,
                state.seq + 1,
                self.epoch,
                now_us,
                command_id,
                fingerprint,
                event,
                payload,
            )
        except Exception:
            # Memory may be half changed: only the journal knows the state now.
            self.fail("evolve_failed")
            raise
        if state.waitlist is not waitlist:
            self._list_who_waits()
        unwritten = Unwritten(payload, now_us, state.next_due_us, rows, event, self.terms)
        if self.backlog.add(unwritten):
            self.lane.enlist(self)

    def _sell_by(self, terms: ShowtimeTerms) -> None:
        """Decide by other terms from here on; no answer tells of them before they are durable."""
        self._plan_seq = self.state.seq
        self.terms = terms
        if self.state.waitlist:
            self._list_who_waits()

    def _list_who_waits(self) -> None:
        ends_us = waitlist_ends_us(self.terms.starts_at_us, self.terms.sales_closes_at_us)
        self._kernel.unpaid.listed(self.showtime_id, self.state.waitlist, ends_us)

    def price_by(self, cinema_id: bytes, version: int, book: ReadyBook | None) -> bool:
        """Price new holds by another version of the cinema's book; whether it is of that cinema.

        An actor that is being restored takes the newest version when it resumes.
        """
        terms: ShowtimeTerms | None = getattr(self, "terms", None)
        if terms is None or terms.cinema_id != cinema_id:
            return False
        self.terms = msgspec.structs.replace(terms, book=book, book_version=version)
        return True

    # --- queries

    def _query(self, letter: Letter, query: Query, now_us: int) -> None:
        state, reply = self.state, letter.reply
        match query:
            case ReadSeats(customer=customer, guests=guests):
                seen = seats_seen(
                    *(state, self.terms, self.epoch, customer, guests),
                    with_holders=query.with_holders,
                    with_channels=query.with_channels,
                    now_us=now_us,
                )
                self._outbox.answer(self, state.seq, reply, seen)
            case ReadHold():
                hold = hold_seen(state, self.terms, self.epoch, query, letter.recalled)
                if isinstance(hold, Recall):
                    self._recall(letter, hold.key)
                else:
                    self._outbox.answer(self, state.seq, reply, hold)
            case ReadWaitlist():
                listed = waitlist_seen(state, self.terms, self.epoch, query, now_us)
                self._outbox.answer(self, state.seq, reply, listed)
            case Watch(feed=feed):
                self._watch(reply, feed, now_us)
            case TruncateJournal():
                self._truncate(reply)
            case _:
                assert_never(query)

    def seen_at_once(self, query: ReadHold) -> Outcome | None:
        """The answer to a read that would wait for nothing; None if it has to take its turn.

        It is as in a turn at this moment: no hold has come due, all that was decided is durable,
        and the lease is fresh, so that it would leave the gate at once.
        """
        if self.phase is not Phase.SERVING or self._mailbox:
            return None
        state, outbox, clock = self.state, self._outbox, self.clock
        if (
            state.seq > outbox.durable_seq
            or state.next_due_us <= clock.now_us()
            or clock.boot_ns() >= outbox.lease_until_ns
        ):
            return None
        hold = hold_seen(state, self.terms, self.epoch, query, None)
        return None if isinstance(hold, Recall) else hold

    def _watch(self, reply: OnOutcome, feed: SeatFeed, now_us: int) -> None:
        publisher = self.publisher
        publisher.joining += 1

        def begin(outcome: Outcome) -> None:
            # The snapshot leaves the gate now: the feed starts here, or needs a newer one.
            publisher.joining -= 1
            if not publisher.takes_feeds:
                outcome = TOO_BUSY
            elif isinstance(outcome, SeatsSeen) and not publisher.begin(feed, outcome.seq):
                deadline_ns = self.clock.boot_ns() + self._kernel.deadline_ns
                self.take(Letter(Watch(feed=feed), reply, deadline_ns))
                return
            reply(outcome)

        seen = seats_seen(self.state, self.terms, self.epoch, None, now_us=now_us)
        self._outbox.answer(self, self.state.seq, begin, seen)

    def _recall(self, letter: Letter, key: bytes) -> None:
        self._recalls += 1
        state = self.state
        self._kernel.recall(self, letter, key, state.epoch, state.archive_generation)

    def recalled(
        self, letter: Letter, epoch: int, generation: int, key: bytes, archived: Archived | None
    ) -> None:
        """The archive has answered (None: it could not): the message takes its turn again.

        `epoch` and `generation` are those of the state that asked.
        """
        self._recalls -= 1
        if archived is None or letter.deadline_ns <= self.clock.boot_ns():
            self._outbox.send(self, letter.reply, TRY_AGAIN)
            return
        recalled = with_answer(letter.recalled, epoch, generation, key, archived)
        # It was taken before, and counts already.
        self._put(msgspec.structs.replace(letter, recalled=recalled))

    def found(self, letter: Letter, plan: SeatPlan | None, version: int) -> None:
        """The plan that a message needs was looked up (None: in vain): it takes its turn again.

        `version` is that of the terms under which it was needed.
        """
        self._recalls -= 1
        command = letter.message
        is_late = letter.deadline_ns <= self.clock.boot_ns()
        if plan is None or is_late or not self.is_serving or not isinstance(command, NeedsLayout):
            self._outbox.send(self, letter.reply, TRY_AGAIN)
            return
        # It was taken before, and counts already.
        self._put(msgspec.structs.replace(letter, message=with_plan(command, plan, version)))

    # --- what the lane asks and reports

    def owns(self, part: Part) -> bool:
        """Whether the part is of the state in memory, not of one discarded since."""
        return self.backlog.in_flight_seq == part.last_seq and part.epoch == self.epoch

    def committed(self, part: Part, sent_ns: int) -> None:
        """A part is durable; `deliver` follows once the lane has sent its next batch."""
        self._outbox.confirmed_to(part.last_seq, sent_ns + self._kernel.lease_ns)
        self.backlog.in_flight_seq = 0
        self.failures = 0

    def deliver(self, part: Part) -> None:
        """Tell the watchers of a durable part, then release the answers that waited for it."""
        outbox, publisher, durable_seq = self._outbox, self.publisher, part.last_seq
        if publisher.feeds or publisher.joining:
            for seq, unwritten in enumerate(part.events, part.prev_seq + 1):
                outbox.open_to(self, seq - 1)
                publisher.publish(part.epoch, seq, unwritten.event, unwritten.terms)
        publisher.published_seq = durable_seq
        outbox.open_to(self, durable_seq)
        if (
            self.pending_snapshot is not None or self.state.seq >= self._snapshot_at_seq
        ) and self.is_serving:
            self._consider_snapshot()

    def lease_asked(self) -> None:
        """The lane is about to ask whether the epoch is current."""
        self._outbox.lease_asked()

    def lease_confirmed(self, sent_ns: int) -> None:
        """The head still carried this epoch when asked at `sent_ns`."""
        self._outbox.renew_lease(sent_ns + self._kernel.lease_ns)
        self._outbox.lease_confirmed(self)

    def lease_unknown(self) -> None:
        """The store did not answer whether the epoch is current."""
        self._outbox.lease_unknown(self)

    def fenced(self, *, beside: bool = False) -> None:
        """The head carries another epoch: somebody else owns the showtime.

        What is in flight had no effect then; if this was learned `beside` the lane, it may have
        been written before.
        """
        if not self.is_serving and self.phase is not Phase.PASSIVATING:
            return
        self._kernel.metrics.fenced += 1
        if not beside:
            self.backlog.in_flight_seq = 0
        self._break(None, "fenced")

    def append_refused(self, reason: str, why: Rejection | None = None) -> None:
        """A part certainly had no effect, and so nothing behind it had one.

        `why` is what the database has against the change of terms or the exchange in it.
        """
        if why is not None:
            self._outbox.refuse_asker(self, self.backlog.in_flight_seq, why)
        self.backlog.in_flight_seq = 0
        self._break(self.epoch, reason)

    def fail(self, reason: str) -> None:
        """A bug: memory cannot be trusted. Too many in a row end in quarantine."""
        if self.is_serving:
            self.failures += 1
            self._break(self.epoch, reason)

    def append_unknown(self) -> None:
        """It is unknown whether the part in flight is durable; only a takeover can tell."""
        self._break(self.epoch, "commit_unknown")

    # --- failure and return

    def _break(self, serving_epoch: int | None, reason: str) -> None:
        """Discard memory and reload.

        What was sent and not answered is in doubt until then; everything else had no
        effect.
        """
        self.phase = Phase.RESTORING
        self._mailbox = [letter.forgetful() for letter in self._mailbox]
        deadline_ns = self.clock.boot_ns() + self._kernel.deadline_ns
        in_flight_seq = self.backlog.in_flight_seq
        self.backlog.restart(0)
        self.pending_snapshot = None
        self.lane.forget(self)
        doubts = self._outbox.break_open(self, in_flight_seq, deadline_ns)
        self.doubts = [*self.doubts, *doubts]
        self._kernel.restore(self, serving_epoch, reason)

    def resume(self, restored: RestoredShowtime, lease_until_ns: int) -> None:
        """Serve from what was restored: settle doubts, catch the watchers up, open the mailbox."""
        if self.phase is not Phase.RESTORING:
            raise RuntimeError(f"an actor that is {self.phase.value} cannot resume")
        self.discard_state(is_ours=False)
        state = self.state = restored.state
        self._kernel.unpaid.woken(self.showtime_id, state)
        self.terms = self._kernel.books.newest(restored.terms)
        self._list_who_waits()
        self.epoch = restored.epoch
        self.backlog.restart(state.seq)
        self._outbox.open_to(self, state.seq)
        self._outbox.lease_until_ns = lease_until_ns
        self._plan_seq = 0
        self._note_snapshot(restored.snapshot_seq)
        # Showtimes that fill alike would all come to their snapshots in the same moment.
        self._snapshot_at_seq += self._snapshot_interval() // 128 * (self.showtime_id[-1] // 8)
        self.armed_us = NEVER_US
        self.phase = Phase.SERVING
        self.closed = False
        self.publisher.catch_up(restored)
        self.settle(restored)
        if state.next_due_us < NEVER_US:
            self._kernel.arm(self)
        if self._mailbox and not self._scheduled:
            self._schedule()

    def discard_state(self, *, is_ours: bool) -> None:
        """Discard the state, if there is one; its holds still count while the showtime is ours."""
        state: ShowtimeState | None = getattr(self, "state", None)
        if state is not None:
            self._kernel.unpaid.left(self.showtime_id, state, is_ours=is_ours)

    def settle(self, restored: RestoredShowtime) -> None:
        """Answer what was in doubt from a state that no other node can still change."""
        doubts, self.doubts = self.doubts, ()
        for doubt in doubts:
            self._outbox.send(self, doubt.reply, self._outcome(restored, doubt))

    def _outcome(self, restored: RestoredShowtime, doubt: Doubt) -> Outcome:
        try:
            return restored.settled(doubt.seq, doubt.command_id)
        except Exception:
            log.exception(COMMAND_FAILED, showtime=self.showtime_id.hex())
            return IN_DOUBT

    # --- timers, snapshots and leaving memory

    def come_due(self, expire: Letter) -> None:
        """The armed moment has come: expire, or correct a deadline that no longer stands."""
        self.armed_us = NEVER_US
        if self.state.earliest_due_us() <= self.clock.now_us():
            self.take(expire)
            return
        self._kernel.arm(self)
        if self.idle_but_watched:
            self._save(only_head=True)

    def _consider_snapshot(self) -> None:
        """Prepare a snapshot when enough has changed, and write it once its seq is durable."""
        if self.pending_snapshot is None:
            self.pending_snapshot = self._prepared()
        save = self.pending_snapshot.save
        if save.payload is None or save.truncate:
            # It is the lane's, which has it already.
            return
        if save.seq <= self._outbox.durable_seq:
            self._kernel.saver.save(self, self.pending_snapshot)

    def leave(self) -> None:
        """Take no more messages: those that wait are for another node.

        `passivate` follows when all is settled.
        """
        if self.phase is Phase.SERVING:
            self.phase = Phase.LEAVING
            self._kernel.stalled(self)

    def passivate(self) -> None:
        """Leave memory: an idle actor stores what changed and gives the showtime back."""
        pending = self._prepared(release=True, only_head=self.state.seq == self.snapshot_seq)
        self.phase = Phase.PASSIVATING
        self._kernel.passivating(self)
        self.pending_snapshot = pending
        self.lane.save(self, pending)

    def _truncate(self, reply: OnOutcome) -> None:
        """Replace the journal by a snapshot, unless there is something else to do right now."""
        if self.idle:
            self._save(truncate=True)
        state = self.state
        done = Accepted(None, state.seq, self.epoch, state.at_us, self.terms)
        self._outbox.answer(self, state.seq, reply, done)

    def _save(self, *, only_head: bool = False, truncate: bool = False) -> None:
        self.pending_snapshot = self._prepared(only_head=only_head, truncate=truncate)
        self.lane.save(self, self.pending_snapshot)

    def _prepared(
        self, *, release: bool = False, only_head: bool = False, truncate: bool = False
    ) -> PendingSnapshot:
        return prepare_snapshot(
            self.showtime_id,
            self.epoch,
            self.state,
            self.clock.now_us(),
            release=release,
            truncate=truncate,
            with_payload=not only_head,
        )

    def snapshot_saved(self, pending: PendingSnapshot, stored: bool | None) -> None:
        """It was tried; None: nobody knows whether it succeeded."""
        if self.pending_snapshot is not pending:
            return
        self.pending_snapshot = None
        save = pending.save
        if stored is None:
            if save.release:
                # It may have been given back: only a takeover makes it ours again.
                self._break(self.epoch, "release_unknown")
            return
        if not stored:
            self.fenced(beside=True)
            return
        if save.payload is not None:
            pending.surplus.remove_from(self.state)
            self._note_snapshot(save.seq)
            self._kernel.metrics.snapshots += 1
        if save.release:
            self.phase = Phase.GONE
            self.publisher.lose()
            self._kernel.passivated(self)

    def _note_snapshot(self, seq: int) -> None:
        self.snapshot_seq = seq
        self._snapshot_at_seq = seq + self._snapshot_interval()

    def _snapshot_interval(self) -> int:
        """It grows with the state, so that snapshots cost a fixed share of the events."""
        state = self.state
        every = self._kernel.settings.snapshot_every_events
        return max(every, len(state.holds) + len(state.bookings))

    def quarantine(self) -> None:
        """Stop serving for good: neither memory nor journal can be trusted."""
        self._stop(Phase.QUARANTINED, TRY_AGAIN)
        self.closed = True

    def vanish(self) -> None:
        """There is no such showtime."""
        self._stop(Phase.GONE, NO_SHOWTIME)

    def move_away(self) -> None:
        """The showtime is another node's: the kernel sends the waiting messages there."""
        self.phase = Phase.GONE
        self.publisher.lose()

    def abandon(self) -> None:
        """Leave without giving the showtime back: the next owner waits for the lease to end."""
        self._stop(Phase.GONE, TRY_AGAIN)

    def _stop(self, phase: Phase, outcome: Outcome) -> None:
        self.phase = phase
        self.publisher.lose()
        letters, self._mailbox = self._mailbox, ()
        self.load.mail -= len(letters)
        for letter in letters:
            self._outbox.send(self, letter.reply, outcome)
        doubts, self.doubts = self.doubts, ()
        for doubt in doubts:
            self._outbox.send(self, doubt.reply, IN_DOUBT)
        self._outbox.abandon(self)
