"""More of the server's safeguards taken out, beside those of the actors' own tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from cinema.actors.actor import Phase, ShowtimeActor
from cinema.actors.kernel import Kernel
from cinema.actors.messages import IN_DOUBT, TRY_AGAIN, Accepted, Letter, Outcome
from cinema.actors.output_gate import Doubt
from cinema.actors.restore import RestoredShowtime
from cinema.cluster.node import ClusterNode
from cinema.domain.showtime.commands import Command
from cinema.domain.showtime.decisions import Archived
from cinema.domain.showtime.events import AnyEvent, HoldExpired, PaymentReturned
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.storage.journal.memory import WrittenRow
from cinema.storage.journal.store import Append, HeldBy, SnapshotSave, Takeover
from tests.support.actors.scripted_store import RecordingJournal, RecordingLane
from tests.support.booking_tables import BookingTables


class CertainClock(Kernel):
    """The clock's reading is taken for exact."""

    def __init__(self, store: Any, terms: Any, clock: Any, settings: Any) -> None:
        super().__init__(store, terms, _Certain(clock), settings)


class _Certain:
    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._offset_us = clock._machine.wall_error_us
        self.boot_ns = clock.boot_ns

    def now_us(self) -> int:
        return self._clock.now_us()

    def uncertainty_us(self) -> int:
        return 0


class SellsByOldTerms(Kernel):
    """A change of terms is written, and its actor goes on by what it has loaded."""

    def _activate(self, showtime_id: bytes) -> ShowtimeActor:
        actor = super()._activate(showtime_id)
        actor.__class__ = _OfOldTerms
        return actor


class _OfOldTerms(ShowtimeActor):
    __slots__ = ()

    def _sell_by(self, terms: ShowtimeTerms) -> None:
        """As if its version were known, and nothing else of it."""
        if terms.plan is not self.terms.plan:
            super()._sell_by(terms)
        else:
            super()._sell_by(msgspec.structs.replace(self.terms, version=terms.version))


class ForgetsWhoWaits(Kernel):
    """Holds that expire are free for whoever comes first, whoever waits."""

    def _activate(self, showtime_id: bytes) -> ShowtimeActor:
        actor = super()._activate(showtime_id)
        actor.__class__ = _Forgetful
        return actor


class _Forgetful(ShowtimeActor):
    __slots__ = ()

    def _record(self, command_id: bytes, fingerprint: bytes, event: AnyEvent, now_us: int) -> None:
        if isinstance(event, HoldExpired):
            event = msgspec.structs.replace(event, offers=())
        super()._record(command_id, fingerprint, event, now_us)


class SellsWhatIsCancelled(Kernel):
    """A showtime that was cancelled is sold by the node that has it in memory."""

    def _activate(self, showtime_id: bytes) -> ShowtimeActor:
        actor = super()._activate(showtime_id)
        actor.__class__ = _Unmoved
        return actor


class _Unmoved(ShowtimeActor):
    __slots__ = ()

    def turn(self, now_us: int, give_way_ns: int) -> None:
        if self.is_serving:
            self.state.cancelled = False
        super().turn(now_us, give_way_ns)


class BooksWhatWentBack(Kernel):
    """Money that goes back is written down, and its booking can still be confirmed."""

    def _activate(self, showtime_id: bytes) -> ShowtimeActor:
        actor = super()._activate(showtime_id)
        actor.__class__ = _Forgiving
        return actor


class _Forgiving(ShowtimeActor):
    __slots__ = ()

    def _record(self, command_id: bytes, fingerprint: bytes, event: Any, now_us: int) -> None:
        before: Any = None
        if isinstance(event, PaymentReturned):
            before = self.state.ended.get(event.hold_id)
        super()._record(command_id, fingerprint, event, now_us)
        if before is not None:
            self.state.ended[event.hold_id] = before  # type: ignore[index]


class UnsafeSnapshots(Kernel):
    """A snapshot is written at once, whether or not its seq is durable."""

    def _activate(self, showtime_id: bytes) -> ShowtimeActor:
        actor = super()._activate(showtime_id)
        actor.__class__ = _Hurried
        return actor


class _Hurried(ShowtimeActor):
    __slots__ = ()

    def turn(self, now_us: int, give_way_ns: int) -> None:
        super().turn(now_us, give_way_ns)
        if self.is_serving and self.pending_snapshot is None and self.backlog.unwritten:
            self.pending_snapshot = self._prepared()
            self.lane.save(self, self.pending_snapshot)


class SnapshotsOfAnySeq(RecordingJournal):
    """A snapshot ahead of its head row is stored all the same."""

    def lane(self) -> RecordingLane:
        return _AnySeqLane(self)


class _AnySeqLane(RecordingLane):
    def _save(self, save: SnapshotSave) -> bool:
        head = self.recording.heads[save.showtime_id]
        if head.epoch == save.epoch and head.seq < save.seq and save.payload is not None:
            self.recording.snapshots[save.showtime_id] = (save.seq, save.payload)
            return True
        return super()._save(save)


class KeepsForFormerOwners(RecordingJournal):
    """A snapshot beside the commits is kept for whoever sends it."""

    async def keep_snapshots(self, saves: Sequence[SnapshotSave]) -> set[bytes]:
        return await super().keep_snapshots(
            [
                msgspec.structs.replace(save, epoch=self.heads[save.showtime_id].epoch)
                for save in saves
            ]
        )


class UnfencedTruncation(RecordingJournal):
    """Events are deleted and replaced by whoever's snapshot, whatever the head row says."""

    def lane(self) -> RecordingLane:
        return _UnfencedLane(self)


class _UnfencedLane(RecordingLane):
    def _save(self, save: SnapshotSave) -> bool:
        recording = self.recording
        if save.truncate and save.payload is not None:
            recording.snapshots[save.showtime_id] = (save.seq, save.payload)
            kept = [row for row in recording.journal[save.showtime_id] if row.seq > save.seq]
            recording.journal[save.showtime_id] = kept
            return True
        return super()._save(save)


class EpochsNotCompared(RecordingJournal):
    """An append only has to follow the last seq."""

    def lane(self) -> RecordingLane:
        return _AnyEpochLane(self)


class _AnyEpochLane(RecordingLane):
    def append_now(self, batch: Sequence[Append]) -> set[bytes]:
        heads = self.recording.heads
        return super().append_now(
            [msgspec.structs.replace(part, epoch=heads[part.showtime_id].epoch) for part in batch]
        )


class ReleaseOutlivesTheTakeover(RecordingJournal):
    """The mark of a release stays when somebody takes over."""

    async def take_over(
        self, showtime_id: bytes, owner: bytes | None = None, unless: Sequence[bytes] = ()
    ) -> Takeover | HeldBy | None:
        taken = await super().take_over(showtime_id, owner, unless)
        if isinstance(taken, Takeover):
            self.heads[showtime_id].released = taken.was_released
        return taken


class TriesAgainBehindTheClientsBack(Kernel):
    """What had no effect is called unknown, and decided once more when nobody waits for it."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.under_way: dict[bytes, Command] = {}

    def _activate(self, showtime_id: bytes) -> ShowtimeActor:
        actor = super()._activate(showtime_id)
        actor.__class__ = _Stubborn
        return actor


class _Stubborn(ShowtimeActor):
    __slots__ = ()

    def _execute(self, letter: Letter, command: Any, now_us: int) -> None:
        self._kernel.under_way[command.command_id] = command  # type: ignore[attr-defined]
        super()._execute(letter, command, now_us)

    def _outcome(self, restored: RestoredShowtime, doubt: Doubt) -> Outcome:
        outcome = super()._outcome(restored, doubt)
        if outcome is not TRY_AGAIN:
            return outcome
        kernel: Any = self._kernel
        again, left = kernel.under_way[doubt.command_id], STUBBORN_TIMES

        def insist(outcome: Outcome) -> None:
            nonlocal left
            left -= 1
            if left and not isinstance(outcome, Accepted):
                kernel._loop.call_later(STUBBORN_S, tell)

        def tell() -> None:
            if self.phase is Phase.SERVING:
                kernel.tell(self.showtime_id, again, insist)

        insist(TRY_AGAIN)
        return IN_DOUBT


STUBBORN_S = 0.05
STUBBORN_TIMES = 40


class ForgetsTheArchive(Kernel):
    """What left memory with a snapshot is taken for never having been."""

    async def _recall(self, actor: Any, letter: Any, key: bytes, generation: int) -> None:
        actor.recalled(letter, generation, key, Archived())


class PrimaryKeyFence(RecordingJournal):
    """Whoever is first to write a seq has it; the head row is not asked."""

    def lane(self) -> RecordingLane:
        return _PrimaryKeyFenceLane(self)


class _PrimaryKeyFenceLane(RecordingLane):
    def append_now(self, batch: Sequence[Append]) -> set[bytes]:
        journal, matched = self.recording.journal, set()
        for part in batch:
            there = {row.seq for row in journal[part.showtime_id]}
            if not there & set(range(part.prev_seq + 1, part.last_seq + 1)):
                matched.add(part.showtime_id)
                self._apply(part)
                journal[part.showtime_id].sort(key=lambda row: row.seq)
                self.recording.record(part)
        return matched


class _AnyScreen(BookingTables):
    def check(self, rows: Sequence[WrittenRow]) -> None:
        self.is_taken = lambda _row, _before: False
        super().check(rows)


class ScreensAreShared(RecordingJournal):
    """The database lets several showtimes have one screen at a time."""

    tables = _AnyScreen


class GapsStay(ClusterNode):
    """Changes that a node missed stay missing."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fanout._heal = _ignore


def _ignore(*_arguments: Any) -> None:
    """Nothing is done about it."""


class DeniesAfterLoss(ClusterNode):
    """What is said of a command's repetition is taken for the truth about the first sending."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        park = self.forwarder.park

        def forget(errand: Any) -> None:
            errand.in_doubt = False
            park(errand)

        self.forwarder.park = forget
