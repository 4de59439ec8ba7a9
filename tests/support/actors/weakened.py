"""The kernel with one safeguard taken out: what the auditor has to notice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from cinema.actors.activation import Activation
from cinema.actors.actor import ShowtimeActor
from cinema.actors.kernel import Kernel
from cinema.actors.lane import CommitLane
from cinema.actors.messages import OnOutcome, Outcome
from cinema.actors.output_gate import OutputGate, WaitingAnswer
from cinema.actors.restore import RestoredShowtime, replayed
from cinema.storage.journal.store import Append, CommitAborted, CommitUnknown, SnapshotSave
from tests.support.actors.scripted_store import RecordingJournal, RecordingLane


class PrimaryKeyJournal(RecordingJournal):
    """No head row is compared: only `(showtime, seq)` must not be there yet."""

    def lane(self) -> RecordingLane:
        return _PrimaryKeyLane(self)


class _PrimaryKeyLane(RecordingLane):
    def append_now(self, batch: Sequence[Append]) -> set[bytes]:
        for part in batch:
            there = {row.seq for row in self.recording.journal[part.showtime_id]}
            if there & set(range(part.prev_seq + 1, part.last_seq + 1)):
                raise CommitAborted("23505", "showtime_journal_pkey")
        for part in batch:
            self._apply(part)
            self.recording.journal[part.showtime_id].sort(key=lambda row: row.seq)
            self.recording.record(part)
        return {part.showtime_id for part in batch}


class TrustingSnapshots(RecordingJournal):
    """Snapshots and releases are taken from whoever sends them."""

    def lane(self) -> RecordingLane:
        return _TrustingLane(self)


class _TrustingLane(RecordingLane):
    async def save_snapshots(self, saves: Sequence[SnapshotSave]) -> set[bytes]:
        heads = self.recording.heads
        return await super().save_snapshots(
            [msgspec.structs.replace(save, epoch=heads[save.showtime_id].epoch) for save in saves]
        )


class _LoadsFirst(Activation):
    async def take_over(
        self, actor: ShowtimeActor, serving_epoch: int | None
    ) -> RestoredShowtime | None:
        showtime_id = actor.showtime_id
        loaded = await self._store.load(showtime_id)
        terms = await self.terms(showtime_id)
        sent_ns = self._clock.boot_ns()
        bump = await self._store.take_over(showtime_id)
        assert bump is not None
        assert terms is not None
        assert loaded is not None
        answered_ns = self._clock.boot_ns()
        restored = replayed(msgspec.structs.replace(loaded, epoch=bump.epoch), terms)
        if not bump.was_released and serving_epoch != bump.epoch - 1:
            await self._sleep_until(answered_ns + self._wait_ns)
        actor.resume(restored, sent_ns + self._lease_ns)
        return restored


class LoadsBeforeTheBump(Kernel):
    """What is appended between the load and the bump is missed."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._activation.__class__ = _LoadsFirst


class _Impatient(Activation):
    async def _sleep_until(self, boot_ns: int) -> None:
        return


class WaitsForNoLease(Kernel):
    """A new owner serves as soon as it has loaded."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._activation.__class__ = _Impatient


class _Knowing(OutputGate):
    """An outbox that knows its actor."""

    actor: ShowtimeActor


class _Changed(Kernel):
    """A kernel whose actors have another outbox."""

    outbox: type[_Knowing]

    def _activate(self, showtime_id: bytes) -> ShowtimeActor:
        actor = super()._activate(showtime_id)
        actor._outbox = outbox = self.outbox()
        outbox.actor = actor
        return actor


class _WithoutLease(_Knowing):
    def _leave(self, actor: ShowtimeActor, waiting: WaitingAnswer) -> None:
        self.send(actor, waiting.reply, waiting.outcome)


class RefusesWithoutLease(_Changed):
    """Refusals and reads leave without asking whether the epoch is current."""

    outbox = _WithoutLease


class _Hasty(_Knowing):
    def acknowledge(self, seq: int, reply: OnOutcome, outcome: Outcome, command_id: bytes) -> None:
        self.send(self.actor, reply, outcome)


class AcknowledgesBeforeDurable(_Changed):
    """A success leaves as soon as it is decided."""

    outbox = _Hasty


class _Careless(_Knowing):
    def _enter(self, actor: ShowtimeActor, waiting: WaitingAnswer) -> None:
        self._leave(actor, waiting)


class AnswersBeforeDurable(_Changed):
    """Refusals, reads and repetitions leave before what they rest on is durable."""

    outbox = _Careless


class TakesOverFromAnybodyAsFromItself(Kernel):
    """After a doubt no lease is waited out, even if somebody else was owner meanwhile."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._activation.__class__ = _AsFromItself


class _AsFromItself(Activation):
    async def take_over(
        self, actor: ShowtimeActor, serving_epoch: int | None
    ) -> RestoredShowtime | None:
        self._impatient = serving_epoch is not None
        return await super().take_over(actor, serving_epoch)

    async def _sleep_until(self, boot_ns: int) -> None:
        if not self._impatient:
            await super()._sleep_until(boot_ns)


class _RenewedByTheAnswer(_Knowing):
    def confirmed_to(self, durable_seq: int, lease_until_ns: int) -> None:
        super().confirmed_to(durable_seq, self._from_now())

    def renew_lease(self, until_ns: int) -> None:
        super().renew_lease(self._from_now())

    def _from_now(self) -> int:
        actor = self.actor
        return actor.clock.boot_ns() + actor._kernel.lease_ns


class LeaseFromTheAnswer(_Changed):
    """The lease counts from the answer of the statement that confirmed it, not from its sending."""

    outbox = _RenewedByTheAnswer


class LeaseOnAClockThatStops(Kernel):
    """Leases are measured by the monotonic clock, which stands still while the machine sleeps."""

    def __init__(self, store: Any, terms: Any, clock: Any, settings: Any) -> None:
        super().__init__(store, terms, _MonotonicClock(clock), settings)


class _MonotonicClock:
    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self.boot_ns = clock.awake_ns

    def now_us(self) -> int:
        now_us: int = self._clock.now_us()
        return now_us

    def uncertainty_us(self) -> int:
        uncertainty_us: int = self._clock.uncertainty_us()
        return uncertainty_us


class _AppendingAgain(CommitLane):
    async def _append(self, batch: list[Any]) -> set[bytes]:
        try:
            return await super()._append(batch)
        except CommitUnknown:
            return await super()._append(batch)


class AppendsAgainAfterDoubt(Kernel):
    """An unknown commit is simply sent once more."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._lanes = [_like(_AppendingAgain, lane) for lane in self._lanes]


class _Pipelined(CommitLane):
    """Sends the next batch before the last one is answered."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._sending: set[asyncio.Task[None]] = set()

    async def _commit(self, batch: list[Any]) -> None:
        for part in batch:
            part.actor.backlog.in_flight_seq = 0
        self._sending.add(self._loop.create_task(self._send(batch)))
        await asyncio.sleep(0)

    async def _send(self, batch: list[Any]) -> None:
        try:
            matched = await self._store.append(batch)
        except CommitAborted as error:
            for part in batch:
                part.actor.append_refused(error.sqlstate)
            return
        for part in batch:
            if part.showtime_id not in matched:
                part.actor.fenced()
            elif part.epoch == part.actor.epoch:
                part.actor.committed(part, self._clock.boot_ns())
                part.actor.deliver(part)


class Pipelines(Kernel):
    """Several batches of one owner are on their way at once."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._lanes = [_like(_Pipelined, lane) for lane in self._lanes]


class CallsDoubtsFailures(Kernel):
    """An unknown commit is taken for one that did not happen."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._lanes = [_like(_Denying, lane) for lane in self._lanes]


class _Denying(CommitLane):
    async def _append(self, batch: list[Any]) -> set[bytes]:
        try:
            return await super()._append(batch)
        except CommitUnknown as error:
            raise CommitAborted("53000") from error


def _like(lane_type: type[CommitLane], lane: CommitLane) -> CommitLane:
    return lane_type(
        lane._store,
        lane._clock,
        lane._metrics,
        batch_limit_events=lane._batch_limit_events,
    )
