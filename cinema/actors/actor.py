"""The actor of one showtime: a mailbox, a state, and a gate in front of every answer."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, assert_never

import msgspec
import structlog

from cinema.actors.effects import effect_of, may_share_batch
from cinema.actors.gate import OutputGate, Waiting
from cinema.actors.messages import (
    BROKEN,
    IN_DOUBT,
    NO_SHOWTIME,
    TOO_BUSY,
    TRY_AGAIN,
    Accepted,
    HoldSeen,
    Message,
    Outcome,
    ReadHold,
    ReadSeats,
    Reply,
    SeatFeed,
    SeatsSeen,
    TruncateJournal,
    Watch,
)
from cinema.actors.reads import seats_seen
from cinema.actors.restore import Restored
from cinema.actors.snapshots import PendingSnapshot, prepare_snapshot
from cinema.domain.limits import TURN_COMMANDS
from cinema.domain.rejections import Rejection
from cinema.domain.showtime.commands import AnyCommand, ChangePlan, Command
from cinema.domain.showtime.decisions import (
    NOT_FOUND,
    Nothing,
    Recall,
    Recalled,
    Replay,
    decide,
    due_expiries,
    ended_hold,
)
from cinema.domain.showtime.events import AnyEvent, Event, encode_recorded
from cinema.domain.showtime.packed import customer_of, unpack
from cinema.domain.showtime.state import (
    ENDED_NAMES,
    NEVER_US,
    HoldStatus,
    ShowtimeState,
    evolve,
)
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.storage.journal import Append, Effect

if TYPE_CHECKING:
    from cinema.actors.kernel import Kernel

COMMAND_FAILED = "command_failed"
REPLY_FAILED = "reply_failed"

log = structlog.get_logger(__name__)


class Phase(Enum):
    """Whether the actor may look at its mailbox."""

    RESTORING = "restoring"
    SERVING = "serving"
    PASSIVATING = "passivating"
    QUARANTINED = "quarantined"
    GONE = "gone"


class Letter(NamedTuple):
    """One message in the mailbox; `deadline_ns` on the clock's boot time."""

    message: Message
    reply: Reply
    deadline_ns: int
    recalled: Recalled | None = None


class Unwritten(NamedTuple):
    """An event that is in memory but in no batch yet, with what its append needs."""

    payload: bytes
    at_us: int
    next_due_us: int
    effect: Effect | None
    event: AnyEvent
    terms: ShowtimeTerms


class Doubt(NamedTuple):
    """A command whose commit was sent and not answered."""

    command_id: bytes
    reply: Reply
    deadline_ns: int


class Part:
    """One actor's share of a batch: the rows for the store, the events for the watchers."""

    __slots__ = ("actor", "append", "events")

    def __init__(self, actor: ShowtimeActor, append: Append) -> None:
        self.actor = actor
        self.append = append
        self.events: list[Unwritten] = []


class ShowtimeActor:
    """Takes the messages of one showtime in order; never waits for the store while it does.

    Only the kernel creates actors. Everything runs on the event loop's thread: `tell` queues a
    message and schedules a turn, a turn decides and evolves, the lane reports what became of it.
    """

    __slots__ = (
        "_gate",
        "_in_flight_seq",
        "_joining",
        "_kernel",
        "_lease_until_ns",
        "_lease_waiting",
        "_mailbox",
        "_published_seq",
        "_recalls",
        "_scheduled",
        "_unwritten",
        "_written_seq",
        "armed_us",
        "doubts",
        "durable_seq",
        "epoch",
        "failures",
        "feed",
        "lane",
        "last_used",
        "pending_snapshot",
        "phase",
        "showtime_id",
        "snapshot_seq",
        "state",
        "terms",
    )

    def __init__(self, showtime_id: bytes, kernel: Kernel) -> None:
        self.showtime_id = showtime_id
        self._kernel = kernel
        self.lane = kernel.lane_of(showtime_id)
        self.phase = Phase.RESTORING
        # Unset until restored: whoever reads them too early fails at once.
        self.state: ShowtimeState
        self.terms: ShowtimeTerms
        self.epoch = 0
        self.durable_seq = 0
        self.snapshot_seq = 0
        self.pending_snapshot: PendingSnapshot | None = None
        self.armed_us = NEVER_US
        self.last_used = 0
        self.failures = 0
        self.feed: SeatFeed | None = None
        self.doubts: list[Doubt] = []
        self._mailbox: list[Letter] = []
        self._gate = OutputGate()
        self._unwritten: list[Unwritten] = []
        self._written_seq = 0
        self._in_flight_seq = 0
        self._joining = 0
        self._published_seq = 0
        self._lease_until_ns = 0
        self._lease_waiting: list[Waiting] = []
        self._recalls = 0
        self._scheduled = False

    # --- the mailbox

    def tell(self, letter: Letter) -> None:
        """Queue a message; a full mailbox, or an actor in quarantine, refuses it at once."""
        if self.phase is Phase.QUARANTINED:
            self._send(letter.reply, TRY_AGAIN)
            return
        if len(self._mailbox) >= self._kernel.settings.mailbox_limit:
            self._send(letter.reply, TOO_BUSY)
            return
        self._mailbox.append(letter)
        if not self._scheduled and self.phase is Phase.SERVING:
            self._schedule()

    @property
    def mailbox_depth(self) -> int:
        """Messages that wait for their turn."""
        return len(self._mailbox)

    @property
    def has_unwritten(self) -> bool:
        """Whether there are events for the next batch."""
        return bool(self._unwritten)

    @property
    def unwritten_count(self) -> int:
        """Events for the next batches."""
        return len(self._unwritten)

    @property
    def _broken(self) -> bool:
        return self.phase is not Phase.SERVING

    @property
    def wanted(self) -> bool:
        """Whether anybody waits for the actor to serve."""
        return bool(self._mailbox or self.doubts) or self.feed is not None

    @property
    def idle(self) -> bool:
        """Whether nothing is under way and nobody watches: the actor may leave memory."""
        return self.feed is None and not self._joining and self.idle_but_watched

    @property
    def idle_but_watched(self) -> bool:
        """Whether nothing is under way, watchers aside."""
        return (
            self.phase is Phase.SERVING
            and not self._mailbox
            and not self._gate
            and not self._unwritten
            and not self._lease_waiting
            and not self._recalls
            and self.pending_snapshot is None
            and self.durable_seq == self.state.seq
        )

    def drop_late(self, now_ns: int) -> None:
        """Answer what waited past its deadline while the actor could not serve."""
        late = [letter for letter in self._mailbox if letter.deadline_ns <= now_ns]
        if late:
            self._mailbox = [letter for letter in self._mailbox if letter.deadline_ns > now_ns]
        for letter in late:
            self._send(letter.reply, TRY_AGAIN)
        lost = [doubt for doubt in self.doubts if doubt.deadline_ns <= now_ns]
        if lost:
            self.doubts = [doubt for doubt in self.doubts if doubt.deadline_ns > now_ns]
        for doubt in lost:
            self._send(doubt.reply, IN_DOUBT)

    def refuse_all(self, outcome: Outcome = TRY_AGAIN) -> None:
        """Empty the mailbox with one answer."""
        letters, self._mailbox = self._mailbox, []
        for letter in letters:
            self._send(letter.reply, outcome)

    def take_letters(self) -> list[Letter]:
        """Hand the waiting messages to the actor's successor."""
        letters, self._mailbox = self._mailbox, []
        return letters

    # --- turns

    def _schedule(self) -> None:
        self._scheduled = True
        self._kernel.schedule(self)

    def turn(self, now_us: int) -> None:
        """Expire what is due, then take a bounded number of messages."""
        self._scheduled = False
        if self.phase is not Phase.SERVING:
            return
        now_us = max(now_us, self.state.at_us)
        try:
            all_expired = self.state.next_due_us > now_us or self._expire(now_us)
        except Exception:
            log.exception(COMMAND_FAILED, showtime=self.showtime_id.hex())
            self._break(self.epoch, "expiry_failed")
            return
        if not all_expired:
            self._schedule()
            return
        letters = self._mailbox
        if len(letters) > TURN_COMMANDS:
            self._mailbox = letters[TURN_COMMANDS:]
            del letters[TURN_COMMANDS:]
            self._schedule()
        else:
            self._mailbox = []
        for position, letter in enumerate(letters):
            try:
                self._handle(letter, now_us)
            except Exception:
                log.exception(COMMAND_FAILED, showtime=self.showtime_id.hex())
                self._send(letter.reply, BROKEN)
                if self._broken:
                    self._mailbox = letters[position + 1 :] + self._mailbox
                    return
        if self.state.next_due_us < self.armed_us:
            self._kernel.arm(self)

    def _expire(self, now_us: int) -> bool:
        """Expire due holds; False if a bounded share was not all of them.

        A hold is due only once its deadline has passed by Postgres' clock for certain.
        """
        due_us = now_us - self._kernel.clock.uncertainty_us()
        state = self.state
        if state.next_due_us > due_us:
            return True
        expiries = due_expiries(state, due_us)
        for event in expiries:
            self._record(b"", b"", event, now_us)
        self._kernel.metrics.decisions["expire", "expired"] += len(expiries)
        return state.earliest_due_us() > due_us

    def _handle(self, letter: Letter, now_us: int) -> None:
        message, reply = letter.message, letter.reply
        if isinstance(message, Command):
            self._execute(letter, message, now_us)
            return
        match message:
            case ReadSeats(customer=customer):
                self._answer(reply, self._seats_seen(customer))
            case ReadHold():
                self._read_hold(letter, message)
            case Watch(feed=feed):
                self._watch(reply, feed)
            case TruncateJournal():
                self._truncate(reply)
            case _:
                assert_never(message)

    def _execute(self, letter: Letter, command: AnyCommand, now_us: int) -> None:
        decision = decide(self.state, self.terms, command, now_us, letter.recalled)
        reply = letter.reply
        metrics = self._kernel.metrics
        if isinstance(decision, Event):
            metrics.decisions[type(command).__name__, "accepted"] += 1
            self._record(command.command_id, command.fingerprint, decision, now_us)
            terms, state = self.terms, self.state
            if isinstance(command, ChangePlan):
                self._pin(command)
            outcome = Accepted(decision, state.seq, self.epoch, now_us, terms)
            waiting = Waiting(state.seq, reply, outcome, command.command_id, leased=False)
            self._gate.add(waiting)
            return
        match decision:
            case Rejection():
                metrics.decisions[type(command).__name__, decision.code] += 1
                self._answer(reply, decision)
            case Nothing():
                state = self.state
                seen = Accepted(None, state.seq, self.epoch, state.at_us, self.terms)
                self._answer(reply, seen)
            case Replay(record, recorded):
                metrics.decisions[type(command).__name__, "replayed"] += 1
                outcome = Accepted(
                    recorded.event,
                    record.seq,
                    record.epoch,
                    record.recorded_at_us,
                    self.terms,
                    replayed=True,
                )
                self._release_when_durable(Waiting(record.seq, reply, outcome, None, leased=False))
            case Recall(key):
                self._recall(letter, key)
            case _:
                assert_never(decision)

    def _record(self, command_id: bytes, fingerprint: bytes, event: AnyEvent, now_us: int) -> None:
        """Apply an event in memory and queue it for the next batch."""
        state = self.state
        payload = encode_recorded(command_id, fingerprint, event)
        try:
            effect = effect_of(event, self.terms, now_us, command_id if fingerprint else None)
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
            self._break(self.epoch, "evolve_failed")
            raise
        self._unwritten.append(
            Unwritten(payload, now_us, state.next_due_us, effect, event, self.terms)
        )
        self.lane.enlist(self)

    def _pin(self, command: ChangePlan) -> None:
        self.terms = msgspec.structs.replace(
            self.terms, plan=command.plan, prices_minor=command.prices_minor
        )

    # --- reads

    def _seats_seen(self, customer: bytes | None) -> SeatsSeen:
        return seats_seen(self.state, self.terms, self.epoch, customer)

    def _read_hold(self, letter: Letter, query: ReadHold) -> None:
        state = self.state
        packed = state.holds.get(query.hold_id)
        status: HoldStatus = "active"
        if packed is None:
            ended = ended_hold(state, query.hold_id, letter.recalled)
            if isinstance(ended, Recall):
                self._recall(letter, ended.key)
                return
            if ended is not None:
                packed, status = ended[1:], ENDED_NAMES[ended[0]]
        if packed is None or customer_of(packed) != query.customer:
            self._answer(letter.reply, NOT_FOUND)
            return
        seen = HoldSeen(query.hold_id, status, unpack(packed), self.epoch, state.seq, self.terms)
        self._answer(letter.reply, seen)

    def _watch(self, reply: Reply, feed: SeatFeed) -> None:
        self._joining += 1

        def begin(outcome: Outcome) -> None:
            # The feed starts when the snapshot leaves, and only if all up to its seq, and
            # nothing after it, has been published by then; else a newer snapshot is needed.
            self._joining -= 1
            if isinstance(outcome, SeatsSeen):
                if outcome.seq != self._published_seq:
                    self._watch(reply, feed)
                    return
                self.feed = feed
            reply(outcome)

        self._answer(begin, self._seats_seen(None))

    def unwatch(self, feed: SeatFeed) -> None:
        """Stop telling `feed`; a later feed is left alone."""
        if self.feed is feed:
            self.feed = None

    def _recall(self, letter: Letter, key: bytes) -> None:
        self._recalls += 1
        self._kernel.recall(self, letter, key, self.state.archive_generation)

    def recalled(self, letter: Letter, recalled: Recalled | None) -> None:
        """The archive has answered (None: it could not): the message takes its turn again."""
        self._recalls -= 1
        if recalled is None:
            self._send(letter.reply, TRY_AGAIN)
        else:
            self.tell(letter._replace(recalled=recalled))

    # --- the gate

    def _answer(self, reply: Reply, outcome: Outcome) -> None:
        """Let an answer about the state as it is now leave as soon as that is durable."""
        self._release_when_durable(Waiting(self.state.seq, reply, outcome, None, leased=True))

    def _release_when_durable(self, waiting: Waiting) -> None:
        if waiting.seq > self.durable_seq:
            self._gate.add(waiting)
        else:
            self._leave(waiting)

    def _leave(self, waiting: Waiting) -> None:
        if waiting.leased and self._kernel.clock.boot_ns() >= self._lease_until_ns:
            self._lease_waiting.append(waiting)
            self.lane.check_lease(self)
        else:
            self._send(waiting.reply, waiting.outcome)

    def _send(self, reply: Reply, outcome: Outcome) -> None:
        try:
            reply(outcome)
        except Exception:
            log.exception(REPLY_FAILED, showtime=self.showtime_id.hex())

    # --- what the lane reports

    def take_part(self, quota: int) -> Part:
        """The next events for a batch, at most `quota`, as many as one statement can write."""
        append = Append(self.showtime_id, self.epoch, self._written_seq)
        part = Part(self, append)
        for unwritten in self._unwritten[:quota]:
            if unwritten.effect is not None:
                if not may_share_batch(append.effects, unwritten.effect):
                    break
                append.effects.append(unwritten.effect)
            append.payloads.append(unwritten.payload)
            append.recorded_at_us.append(unwritten.at_us)
            append.next_due_us = unwritten.next_due_us
            part.events.append(unwritten)
        del self._unwritten[: len(part.events)]
        self._written_seq = self._in_flight_seq = append.last_seq
        return part

    def owns(self, part: Part) -> bool:
        """Whether the part is of the state in memory, not of one discarded since."""
        return self._in_flight_seq == part.append.last_seq and part.append.epoch == self.epoch

    def committed(self, part: Part, sent_ns: int) -> None:
        """A part is durable: tell the watchers, then let go what waited for it."""
        append = part.append
        self.durable_seq = append.last_seq
        self._in_flight_seq = 0
        self.failures = 0
        self._renew(sent_ns)
        if self.feed is not None or self._joining:
            for seq, unwritten in enumerate(part.events, append.prev_seq + 1):
                for waiting in self._gate.open_to(seq - 1):
                    self._leave(waiting)
                self._publish(append.epoch, seq, unwritten.event, unwritten.terms)
        self._published_seq = self.durable_seq
        for waiting in self._gate.open_to(self.durable_seq):
            self._leave(waiting)
        self.consider_snapshot()

    def lease_confirmed(self, sent_ns: int) -> None:
        """The head still carried this epoch when asked at `sent_ns`."""
        self._renew(sent_ns)
        waiting, self._lease_waiting = self._lease_waiting, []
        for one in waiting:
            self._leave(one)

    def lease_unknown(self) -> None:
        """The store did not answer: what waited for the lease cannot leave, and had no effect."""
        waiting, self._lease_waiting = self._lease_waiting, []
        for one in waiting:
            self._send(one.reply, TRY_AGAIN)

    def fenced(self) -> None:
        """The head carries another epoch: somebody else owns the showtime."""
        self._kernel.metrics.fenced += 1
        self._in_flight_seq = 0
        self._break(None, "fenced")

    def append_refused(self, reason: str) -> None:
        """A part certainly had no effect: so neither has anything behind it."""
        self._in_flight_seq = 0
        self._break(self.epoch, reason)

    def append_unknown(self) -> None:
        """Nobody knows whether the part in flight is durable; only a takeover can tell."""
        self._break(self.epoch, "commit_unknown")

    def _break(self, serving_epoch: int | None, reason: str) -> None:
        """Discard memory and reload.

        What was sent and not answered is in doubt until then; all else had no effect.
        """
        self.phase = Phase.RESTORING
        deadline_ns = self._kernel.clock.boot_ns() + self._kernel.deadline_ns
        for waiting in self._gate.break_open():
            if waiting.command_id and waiting.seq <= self._in_flight_seq:
                self.doubts.append(Doubt(waiting.command_id, waiting.reply, deadline_ns))
            else:
                self._send(waiting.reply, TRY_AGAIN)
        self.lease_unknown()
        self._in_flight_seq = 0
        self._unwritten = []
        self.pending_snapshot = None
        self.lane.forget(self)
        self._kernel.restore(self, serving_epoch, reason)

    # --- restoring and leaving

    def resume(self, restored: Restored, lease_until_ns: int) -> None:
        """Serve from what was restored: settle doubts, catch the watchers up, open the mailbox."""
        self.state = restored.state
        self.terms = restored.terms
        self.epoch = restored.epoch
        self.durable_seq = self._written_seq = restored.state.seq
        self.snapshot_seq = restored.snapshot_seq
        self._lease_until_ns = lease_until_ns
        self.armed_us = NEVER_US
        self.phase = Phase.SERVING
        self._catch_up_feed(restored)
        doubts, self.doubts = self.doubts, []
        for doubt in doubts:
            self._send(doubt.reply, restored.settled(doubt.command_id))
        if self.state.next_due_us < NEVER_US:
            self._kernel.arm(self)
        if self._mailbox and not self._scheduled:
            self._schedule()

    def _catch_up_feed(self, restored: Restored) -> None:
        if self.feed is not None:
            if restored.snapshot_seq > self._published_seq:
                self.feed.lost()
            for row, recorded in restored.tail:
                if row.seq > self._published_seq:
                    self._publish(row.epoch, row.seq, recorded.event, self.terms)
        self._published_seq = self.durable_seq

    def consider_snapshot(self) -> None:
        """Prepare a snapshot when it pays, and write it once its seq is durable.

        The interval grows with the state, so that snapshots cost a fixed share of the events.
        """
        pending = self.pending_snapshot
        if pending is None:
            state = self.state
            interval = max(
                self._kernel.settings.snapshot_every_events,
                len(state.holds) + len(state.bookings),
            )
            if state.seq - self.snapshot_seq < interval:
                return
            pending = self.pending_snapshot = self._snapshot(release=False)
        if pending.save.seq <= self.durable_seq:
            self.lane.save(self, pending)

    def passivate(self) -> None:
        """Leave memory: an idle actor stores what changed and gives the showtime back."""
        self.phase = Phase.PASSIVATING
        self.pending_snapshot = self._snapshot(release=True)
        self.lane.save(self, self.pending_snapshot)

    def tighten_due(self) -> None:
        """Correct the head's deadline where it is only a lower bound that has passed."""
        if self.idle:
            self.pending_snapshot = self._snapshot(release=False, only_head=True)
            self.lane.save(self, self.pending_snapshot)

    def _truncate(self, reply: Reply) -> None:
        """Replace the journal by a snapshot, unless there is something else to do right now."""
        if self.idle:
            self.pending_snapshot = self._snapshot(release=False, truncate=True)
            self.lane.save(self, self.pending_snapshot)
        state = self.state
        self._answer(reply, Accepted(None, state.seq, self.epoch, state.at_us, self.terms))

    def _snapshot(
        self, *, release: bool, only_head: bool = False, truncate: bool = False
    ) -> PendingSnapshot:
        unchanged = only_head or (release and self.state.seq == self.snapshot_seq)
        return prepare_snapshot(
            self.showtime_id,
            self.epoch,
            self.state,
            self._kernel.clock.now_us(),
            release=release,
            truncate=truncate,
            with_payload=not unchanged,
        )

    def snapshot_saved(self, pending: PendingSnapshot, stored: bool | None) -> None:
        """The lane tried; None: nobody knows whether it succeeded."""
        if self.pending_snapshot is not pending:
            return
        self.pending_snapshot = None
        if stored is None:
            if pending.save.release:
                # It may have been given back: only a takeover makes it ours again.
                self._break(self.epoch, "release_unknown")
            return
        if not stored:
            self.fenced()
            return
        if pending.save.payload is not None:
            pending.surplus.remove_from(self.state)
            self.snapshot_seq = pending.save.seq
            self._kernel.metrics.snapshots += 1
        if pending.save.release:
            self.phase = Phase.GONE
            self._kernel.passivated(self)

    def quarantine(self) -> None:
        """Stop serving for good: neither memory nor journal can be trusted."""
        self.phase = Phase.QUARANTINED
        self.refuse_all()
        doubts, self.doubts = self.doubts, []
        for doubt in doubts:
            self._send(doubt.reply, IN_DOUBT)

    def come_due(self, expire: Letter) -> None:
        """The armed moment has come: expire, or correct a deadline that no longer stands."""
        self.armed_us = NEVER_US
        if self.state.earliest_due_us() <= self._kernel.clock.now_us():
            self.tell(expire)
            return
        self._kernel.arm(self)
        self.tighten_due()

    def abandon(self) -> None:
        """Leave without giving the showtime back: the next owner waits the lease out."""
        self.phase = Phase.GONE
        self.refuse_all()
        doubts, self.doubts = self.doubts, []
        for doubt in doubts:
            self._send(doubt.reply, IN_DOUBT)
        for waiting in self._gate.break_open():
            self._send(waiting.reply, IN_DOUBT if waiting.command_id else TRY_AGAIN)
        self.lease_unknown()

    def vanish(self) -> None:
        """There is no such showtime."""
        self.phase = Phase.GONE
        self.refuse_all(NO_SHOWTIME)

    def _renew(self, sent_ns: int) -> None:
        self._lease_until_ns = max(self._lease_until_ns, sent_ns + self._kernel.lease_ns)

    def _publish(self, epoch: int, seq: int, event: AnyEvent, terms: ShowtimeTerms) -> None:
        if self.feed is not None:
            self.feed.changed(epoch, seq - 1, seq, event, terms)
        self._published_seq = seq
