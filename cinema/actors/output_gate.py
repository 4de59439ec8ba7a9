"""The output gate: answers leave an actor only if what they tell is durable and still its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
import structlog

from cinema.actors.messages import IN_DOUBT, TRY_AGAIN, Accepted, OnOutcome, Outcome
from cinema.domain.rejections import Rejection
from cinema.domain.showtime.events import (
    AnyEvent,
    BookingCancelled,
    PaymentEnded,
    PaymentReturned,
)
from cinema.domain.showtime.terms import TERMS_EVENTS

if TYPE_CHECKING:
    from cinema.actors.actor import ShowtimeActor

REPLY_FAILED: Final = "reply_failed"

OF_EXCHANGES: Final = frozenset({"EXCHANGE_ENDED", "BOOKING_CHANGED"})
"""What the database refuses for exchanges."""

log = structlog.get_logger(__name__)


class WaitingAnswer(msgspec.Struct, frozen=True, gc=False):
    """An answer that may leave once the journal is durable up to `seq`.

    `event_seq` and `command_id` are those of the event it tells of, 0 and empty without one.
    `leased`: it describes the state itself (a refusal, a read), so it also needs a fresh lease when
    it leaves. The outcome of an event needs none: it is true whichever node owns the showtime by
    then.
    """

    seq: int
    reply: OnOutcome
    outcome: Outcome
    event_seq: int
    command_id: bytes
    leased: bool


class WaitingForPlan(WaitingAnswer, frozen=True, gc=False):
    """An answer that names seats of a plan which is not durable either, up to `seq`."""


class Doubt(msgspec.Struct, frozen=True):
    """A command whose event `seq` was sent to the journal and not answered."""

    seq: int
    command_id: bytes
    reply: OnOutcome
    deadline_ns: int


# 20,000 outboxes are empty most of the time: then they have no list either.
_Queue: TypeAlias = list[WaitingAnswer] | tuple[()]


class OutputGate:
    """Answers of one actor on their way out, in the order of their seqs.

    `durable_seq` is how far the journal is known to be durable, `lease_until_ns` how long the epoch
    may be taken for current (boot time of the kernel's clock). Methods that release answers receive
    the actor as an argument. An outbox with a reference to its actor would form a cycle, and
    showtimes that have left memory would stay as garbage.
    """

    __slots__ = (
        "_lease_asked",
        "_lease_waiting",
        "_waiting",
        "durable_seq",
        "lease_until_ns",
    )

    def __init__(self) -> None:
        self.durable_seq = 0
        self.lease_until_ns = 0
        self._waiting: _Queue = ()
        self._lease_waiting: _Queue = ()
        self._lease_asked: _Queue = ()

    @property
    def empty(self) -> bool:
        """Whether no answer waits for anything."""
        return not (self._waiting or self._lease_waiting or self._lease_asked)

    # --- in

    def acknowledge(self, seq: int, reply: OnOutcome, outcome: Outcome, command_id: bytes) -> None:
        """The answer that tells of the event `seq`, just decided."""
        waiting = WaitingAnswer(seq, reply, outcome, seq, command_id, False)
        if self._waiting:
            self._waiting.append(waiting)
        else:
            self._waiting = [waiting]

    def repeat(
        self,
        actor: ShowtimeActor,
        event_seq: int,
        plan_seq: int,
        reply: OnOutcome,
        outcome: Outcome,
        command_id: bytes,
    ) -> None:
        """The answer to a repeated command, which tells of an earlier event, durable or not.

        It names seats of the plan that the event `plan_seq` pinned.
        """
        if plan_seq > max(self.durable_seq, event_seq):
            waiting: WaitingAnswer = WaitingForPlan(
                plan_seq, reply, outcome, event_seq, command_id, False
            )
        else:
            waiting = WaitingAnswer(event_seq, reply, outcome, event_seq, command_id, False)
        self._enter(actor, waiting)

    def answer(self, actor: ShowtimeActor, seq: int, reply: OnOutcome, outcome: Outcome) -> None:
        """An answer about the state at `seq`."""
        self._enter(actor, WaitingAnswer(seq, reply, outcome, 0, b"", True))

    def _enter(self, actor: ShowtimeActor, waiting: WaitingAnswer) -> None:
        if waiting.seq <= self.durable_seq:
            self._leave(actor, waiting)
            return
        if self._waiting and self._waiting[-1].seq > waiting.seq:
            waiting = msgspec.structs.replace(waiting, seq=self._waiting[-1].seq)
        self._wait(waiting)

    def _wait(self, waiting: WaitingAnswer) -> None:
        if self._waiting:
            self._waiting.append(waiting)
        else:
            self._waiting = [waiting]

    # --- out

    def confirmed_to(self, durable_seq: int, lease_until_ns: int) -> None:
        """The journal is durable up to `durable_seq` under this epoch; `open_to` follows."""
        self.durable_seq = durable_seq
        self.lease_until_ns = max(self.lease_until_ns, lease_until_ns)

    def open_to(self, actor: ShowtimeActor, durable_seq: int) -> None:
        """The journal is durable up to `durable_seq`: release what waited for it."""
        self.durable_seq = max(self.durable_seq, durable_seq)
        waiting = self._waiting
        if not waiting:
            return
        if waiting[-1].seq <= durable_seq:
            self._waiting = ()
            leaving = waiting
        else:
            count = next(at for at, one in enumerate(waiting) if one.seq > durable_seq)
            leaving, self._waiting = waiting[:count], waiting[count:]
        load = actor.load
        for one in leaving:
            if one.leased:
                self._leave(actor, one)
                continue
            # As in `send`, without its call: each command passes here.
            actor.waiting -= 1
            load.waiting -= 1
            try:
                one.reply(one.outcome)
            except Exception:
                log.exception(REPLY_FAILED, showtime=actor.showtime_id.hex())

    def renew_lease(self, until_ns: int) -> None:
        """The epoch was confirmed; a lease never gets shorter."""
        self.lease_until_ns = max(self.lease_until_ns, until_ns)

    def lease_asked(self) -> None:
        """A statement that confirms the epoch is being sent.

        Its success proves all answers that wait by now, however long it takes: they were
        decided before it, and an epoch that is current later was current then.
        """
        self._lease_asked = [*self._lease_asked, *self._lease_waiting]
        self._lease_waiting = ()

    def lease_confirmed(self, actor: ShowtimeActor) -> None:
        """Release what the statement proved; later answers are judged by the clock."""
        asked, self._lease_asked = self._lease_asked, ()
        waiting, self._lease_waiting = self._lease_waiting, ()
        for one in asked:
            self.send(actor, one.reply, one.outcome)
        for one in waiting:
            self._leave(actor, one)

    def lease_unknown(self, actor: ShowtimeActor) -> None:
        """The store did not answer: what waited for the lease cannot leave, and had no effect."""
        waiting = [*self._lease_asked, *self._lease_waiting]
        self._lease_asked = self._lease_waiting = ()
        for one in waiting:
            self.send(actor, one.reply, TRY_AGAIN)

    def break_open(self, actor: ShowtimeActor, in_flight_seq: int, deadline_ns: int) -> list[Doubt]:
        """The state behind the gate is discarded.

        An answer about a durable event may still leave. An answer is in doubt, and returned, if its
        event was sent and not answered (up to `in_flight_seq`), or if it names seats of a plan that
        is not durable. All others had no effect, and their answers say so.
        """
        waiting, self._waiting = self._waiting, ()
        doubts = []
        for one in waiting:
            if self._may_tell(one):
                self.send(actor, one.reply, one.outcome)
            elif 0 < one.event_seq <= max(in_flight_seq, self.durable_seq):
                doubts.append(Doubt(one.event_seq, one.command_id, one.reply, deadline_ns))
            else:
                self.send(actor, one.reply, TRY_AGAIN)
        self.lease_unknown(actor)
        return doubts

    def refuse_asker(self, actor: ShowtimeActor, in_flight_seq: int, why: Rejection) -> None:
        """The database has refused the part up to `in_flight_seq` for what it decides itself.

        That is a change of terms, or an exchange that was decided; a part has one of these at
        most (`Backlog.take`). It had our epoch and seq before it, so that this needs no lease. One
        that is durable already may still wait to be told: it is not the one. Whatever else is in
        the part had no effect either, and is to come again: `break_open` follows.
        """
        asked = [
            one
            for one in self._waiting
            if self.durable_seq < one.event_seq <= in_flight_seq
            and isinstance(one.outcome, Accepted)
            and _may_be_refused(one.outcome.event, why)
            and not one.outcome.replayed
        ]
        for one in asked:
            self.send(actor, one.reply, why)
        told = {one.event_seq for one in asked}
        self._waiting = [one for one in self._waiting if one.event_seq not in told]

    def abandon(self, actor: ShowtimeActor) -> None:
        """The outcome stays unknown: answers about events not yet durable stay in doubt."""
        waiting, self._waiting = self._waiting, ()
        for one in waiting:
            if self._may_tell(one):
                self.send(actor, one.reply, one.outcome)
            else:
                self.send(actor, one.reply, IN_DOUBT if one.event_seq else TRY_AGAIN)
        self.lease_unknown(actor)

    def _may_tell(self, waiting: WaitingAnswer) -> bool:
        """Whether an answer may leave although the events before it are given up."""
        needed_seq = waiting.seq if isinstance(waiting, WaitingForPlan) else waiting.event_seq
        return bool(waiting.event_seq) and needed_seq <= self.durable_seq

    def _leave(self, actor: ShowtimeActor, waiting: WaitingAnswer) -> None:
        if waiting.leased and actor.clock.boot_ns() >= self.lease_until_ns:
            if self._lease_waiting:
                self._lease_waiting.append(waiting)
            else:
                self._lease_waiting = [waiting]
            actor.lane.check_lease(actor)
        else:
            self.send(actor, waiting.reply, waiting.outcome)

    def send(self, actor: ShowtimeActor, reply: OnOutcome, outcome: Outcome) -> None:
        """Answer a message that the actor took."""
        actor.waiting -= 1
        actor.load.waiting -= 1
        self.turn_away(actor, reply, outcome)

    def turn_away(self, actor: ShowtimeActor, reply: OnOutcome, outcome: Outcome) -> None:
        """Answer a message that was not taken; a reply that fails harms nobody else."""
        try:
            reply(outcome)
        except Exception:
            log.exception(REPLY_FAILED, showtime=actor.showtime_id.hex())


def _may_be_refused(event: AnyEvent | None, why: Rejection) -> bool:
    """Whether the database may have meant this event."""
    if why.code not in OF_EXCHANGES:
        return type(event) in TERMS_EVENTS
    if isinstance(event, BookingCancelled):
        return bool(event.exchange_id)
    return isinstance(event, PaymentEnded | PaymentReturned)
