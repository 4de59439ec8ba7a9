"""A commit lane: one connection, one batch in flight, the next one filling meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Final

import structlog

from cinema.actors.settings import KernelMetrics
from cinema.actors.snapshots import PendingSnapshot
from cinema.domain.limits import SNAPSHOTS_PER_BATCH, TRUNCATED_AT_ONCE
from cinema.domain.rejections import Rejection
from cinema.storage.journal.clock import Clock
from cinema.storage.journal.store import (
    LOCK_TIMEOUT,
    CommitAborted,
    CommitUnknown,
    HeadsLocked,
    LaneStore,
    StoreUnavailable,
)
from cinema.telemetry.logging import LogLimit

if TYPE_CHECKING:
    from cinema.actors.actor import ShowtimeActor
    from cinema.actors.backlog import Part

LANE_FAILED: Final = "lane_failed"
COMMIT_UNKNOWN: Final = "commit_unknown"
COMMIT_ABORTED: Final = "commit_aborted"
APPEND_POISONED: Final = "append_poisoned"

REFUSALS: Final = {
    "exchanges_decided_once": Rejection(code="EXCHANGE_ENDED"),
    "exchanges_paid_in_full": Rejection(code="BOOKING_CHANGED"),
    "showtimes_screen_occupied": Rejection(code="SCREEN_OCCUPIED"),
    "showtimes_movie": Rejection(
        code="UNKNOWN_REFERENCE",
        message="There is no such movie.",
        details={"path": "$.movie_id"},
    ),
    "showtimes_screen": Rejection(
        code="UNKNOWN_REFERENCE",
        message="There is no such screen.",
        details={"path": "$.screen_id"},
    ),
}
"""What is told to whoever asked for terms that the database refuses, or came second."""

EXPECTED_CONSTRAINTS: Final = frozenset({"bookings_code", *REFUSALS})
"""A random booking code may very rarely exist already, and what a showtime needs may have been
taken or deleted while it was being moved: the command is refused, and nothing is wrong."""

SPLIT_FROM_EVENTS: Final = 16
"""Smaller batches are not worth a second statement."""

ATTEMPTS_AFTER_DEADLOCK: Final = 3
"""Attempts of one batch that Postgres rolled back whole; it had no effect, so it may go again."""

_by_id = attrgetter("showtime_id")

_TRANSIENT: Final = frozenset({"40001", "40P01"})

LOCK_WAITS_PER_BATCH: Final = 12
"""Waits for row locks with an unknown holder, in one batch: enough to find the row by halving. Each
wait delays all of the lane's showtimes; a part that would need more waits is refused.
"""

PAUSE_AFTER_BUG_S: Final = 0.05
"""Pause of a lane after a failed step: the next may fail at once too, and others must run."""

log = structlog.get_logger(__name__)


class CommitLane:
    """Writes the events of its actors in batches, in the order each actor made them.

    There is no timer: an idle lane commits at once, a busy one takes what has gathered. An actor
    is in at most one batch at a time, so that its parts cannot overtake each other.
    """

    def __init__(
        self,
        store: LaneStore,
        clock: Clock,
        metrics: KernelMetrics,
        *,
        batch_limit_events: int,
    ) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._batch_limit_events = batch_limit_events
        self._ready: dict[ShowtimeActor, None] = {}
        self._checks: dict[ShowtimeActor, None] = {}
        self._saves: dict[ShowtimeActor, PendingSnapshot] = {}
        self._truncations: dict[bytes, int] = {}
        self._wake: asyncio.Future[None] | None = None
        self._stopping = False
        self._was_idle = False
        self._lock_waits = 0
        self._in_flight: Sequence[Part] = ()
        self._since_ns = 0
        self._was_old = False
        self._aborts = LogLimit()
        self._unknowns = LogLimit()
        self.late = False
        self._loop: asyncio.AbstractEventLoop

    # --- what actors ask for

    def enlist(self, actor: ShowtimeActor) -> None:
        """The actor has events for the next batch."""
        self._ready[actor] = None
        if self._wake is not None:
            self._ring()

    def check_lease(self, actor: ShowtimeActor) -> None:
        """The actor has answers that need a fresh lease."""
        self._checks[actor] = None
        if self._wake is not None:
            self._ring()

    def save(self, actor: ShowtimeActor, pending: PendingSnapshot) -> None:
        """Store a snapshot whose seq is durable."""
        self._saves[actor] = pending
        if self._wake is not None:
            self._ring()

    def forget(self, actor: ShowtimeActor) -> None:
        """The actor discarded its memory: nothing of it may be written any more."""
        self._ready.pop(actor, None)
        self._checks.pop(actor, None)

    def age_ns(self, now_ns: int, now_us: int) -> int:
        """How long the oldest event has waited for its commit, and the statement for its answer."""
        age_ns = now_ns - self._since_ns if self._since_ns else 0
        oldest_us = now_us
        for part in self._in_flight:
            oldest_us = min(oldest_us, part.events[0].recorded_at_us)
        for actor in self._ready:
            for event in actor.backlog.unwritten[:1]:
                oldest_us = min(oldest_us, event.recorded_at_us)
        return max(age_ns, (now_us - oldest_us) * 1000)

    def look_at_age(self, now_ns: int, now_us: int, limit_ns: int) -> None:
        """Be `late` while something waits too long: then its showtimes refuse new messages.

        Called with each tick. Two ticks in a row must find it, since after a short pause of
        the loop the answer may be there and not yet read.
        """
        is_old = self.age_ns(now_ns, now_us) > limit_ns
        self.late = is_old and self._was_old
        self._was_old = is_old

    @property
    def busy(self) -> bool:
        """Whether anything waits to be written or checked."""
        return bool(self._ready or self._checks or self._saves or self._truncations)

    # --- the loop

    async def run(self) -> None:
        """Work until `stop`, then until nothing is left."""
        self._loop = asyncio.get_running_loop()
        try:
            while not (self._stopping and not self.busy):
                if not self.busy:
                    await self._sleep()
                    continue
                try:
                    await self._step()
                except Exception:
                    # A bug in one actor's bookkeeping must not stop the others' commits.
                    log.exception(LANE_FAILED)
                    await asyncio.sleep(PAUSE_AFTER_BUG_S)
        finally:
            await self._store.close()

    async def _step(self) -> None:
        try:
            if self._ready:
                batch = self._next_batch()
                if batch:
                    self._lock_waits = 0
                    self._in_flight = batch
                    await self._commit(batch)
                    self._in_flight = ()
            if self._checks:
                await self._confirm()
            if self._saves:
                await self._save()
            if self._truncations:
                await self._truncate()
        finally:
            self._in_flight = ()
            self._since_ns = 0

    def stop(self) -> None:
        """Let `run` end once everything is written; deletions that have not begun are dropped."""
        self._stopping = True
        self._truncations.clear()
        self._ring()

    def _ring(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _sleep(self) -> None:
        self._wake = self._loop.create_future()
        try:
            await self._wake
        finally:
            self._wake = None
            self._was_idle = True

    # --- batches

    def _next_batch(self) -> list[Part]:
        """Everything that waits, or fair shares of it, so that no showtime takes all the space.

        Small shares are taken whole; the larger ones divide the rest. A lane that was idle
        leaves half of a large batch for the next one. Otherwise all clients would wait for
        the same commit and come back at once, with nothing to do while it is in flight.
        """
        ready = self._ready
        room = self._batch_limit_events
        # Each actor has at least one event: more actors than these could not change the result.
        waiting = list(islice(ready, 2 * room))
        count = sum([len(actor.backlog.unwritten) for actor in waiting])
        if self._was_idle and count >= SPLIT_FROM_EVENTS:
            room = min(room, count // 2)
        self._was_idle = False
        crowded = count > room
        if crowded:
            # An actor that is left out keeps its place and comes first next time.
            waiting = sorted(waiting[:room], key=lambda actor: len(actor.backlog.unwritten))
        batch: list[Part] = []
        for position, actor in enumerate(waiting):
            share = max(1, room // (len(waiting) - position)) if crowded else room
            try:
                part = actor.backlog.take(actor, share)
            except Exception:
                # An actor that stayed here would break each of the next batches too.
                log.exception(LANE_FAILED, showtime=actor.showtime_id.hex())
                del ready[actor]
                actor.fail("batch_failed")
                continue
            room -= len(part.events)
            del ready[actor]
            if actor.backlog.unwritten:
                ready[actor] = None
            batch.append(part)
        return batch

    async def _commit(self, batch: list[Part]) -> None:
        sent_ns = self._since_ns = self._clock.boot_ns()
        try:
            matched = await self._append(batch)
        except CommitAborted as error:
            await self._aborted(batch, error)
            return
        except CommitUnknown as error:
            self._metrics.commits_unknown += 1
            self._unknowns.write(
                log.warning, COMMIT_UNKNOWN, reason=str(error), showtimes=len(batch)
            )
            for part in batch:
                if part.actor.owns(part):
                    part.actor.append_unknown()
            return
        except BaseException:
            # Cancelled, or a bug: as unknown as a lost connection.
            for part in batch:
                if part.actor.owns(part):
                    part.actor.append_unknown()
            raise
        self._count(batch, sent_ns)
        durable: list[Part] = []
        # Answers go out after the next batch: Postgres works on it while we write them.
        self._loop.call_soon(self._deliver, durable)
        for part in batch:
            actor = part.actor
            if not actor.owns(part):
                continue
            try:
                if part.showtime_id in matched:
                    actor.committed(part, sent_ns)
                    durable.append(part)
                else:
                    actor.fenced()
            except Exception:
                log.exception(LANE_FAILED, showtime=part.showtime_id.hex())
                actor.fail("commit_failed")

    def _deliver(self, durable: list[Part]) -> None:
        for part in durable:
            try:
                part.actor.deliver(part)
            except Exception:
                log.exception(LANE_FAILED, showtime=part.showtime_id.hex())
                part.actor.fail("delivery_failed")

    async def _append(self, batch: list[Part]) -> set[bytes]:
        appends = sorted(batch, key=_by_id)
        for _ in range(ATTEMPTS_AFTER_DEADLOCK - 1):
            try:
                return await self._store.append(appends)
            except CommitAborted as error:
                if error.sqlstate not in _TRANSIENT:
                    raise
        return await self._store.append(appends)

    async def _aborted(self, batch: list[Part], error: CommitAborted) -> None:
        """Nothing was written.

        The rest is sent again without the parts at fault. If these are not known, the batch
        is halved until the faulty part stands alone.
        """
        self._metrics.commits_aborted += 1
        if error.locked:
            refused = [part for part in batch if part.showtime_id in error.locked]
            others = [part for part in batch if part.showtime_id not in error.locked]
        elif len(batch) > 1 and self._may_halve(error):
            middle = len(batch) // 2
            await self._commit(batch[:middle])
            await self._commit(batch[middle:])
            return
        else:
            refused, others = batch, []
        for part in refused:
            if part.actor.owns(part):
                self._refuse(part, error)
        if others:
            await self._commit(others)

    def _may_halve(self, error: CommitAborted) -> bool:
        if error.sqlstate == LOCK_TIMEOUT:
            self._lock_waits += 1
            return self._lock_waits < LOCK_WAITS_PER_BATCH
        return error.poison

    def _refuse(self, part: Part, error: CommitAborted) -> None:
        if error.poison and error.constraint not in EXPECTED_CONSTRAINTS:
            part.actor.failures += 1
            log.error(
                APPEND_POISONED,
                showtime=part.showtime_id.hex(),
                sqlstate=error.sqlstate,
                constraint=error.constraint,
            )
        else:
            self._aborts.write(
                log.warning,
                COMMIT_ABORTED,
                showtime=part.showtime_id.hex(),
                sqlstate=error.sqlstate,
            )
        part.actor.append_refused(error.sqlstate, REFUSALS.get(error.constraint or ""))

    def _count(self, batch: list[Part], sent_ns: int) -> None:
        metrics = self._metrics
        metrics.batches += 1
        metrics.batch_events += sum(len(part.events) for part in batch)
        metrics.commit_ns[(self._clock.boot_ns() - sent_ns).bit_length()] += 1

    # --- leases and snapshots

    async def _confirm(self) -> None:
        checks, self._checks = list(self._checks), {}
        claims = [(actor.showtime_id, actor.epoch) for actor in checks]
        for actor in checks:
            actor.lease_asked()
        sent_ns = self._since_ns = self._clock.boot_ns()
        self._metrics.lease_checks += 1
        try:
            held = await self._store.confirm(claims)
        except BaseException as error:
            for actor in checks:
                actor.lease_unknown()
            if isinstance(error, StoreUnavailable):
                return
            raise
        for actor, (showtime_id, epoch) in zip(checks, claims, strict=True):
            if actor.epoch != epoch or not actor.is_serving:
                continue
            if showtime_id in held:
                actor.lease_confirmed(sent_ns)
            else:
                actor.fenced()

    async def _save(self) -> None:
        taken = list(islice(self._saves.items(), SNAPSHOTS_PER_BATCH))
        for actor, _ in taken:
            del self._saves[actor]
        current = {actor: pending for actor, pending in taken if actor.pending_snapshot is pending}
        if not current:
            return
        saves = sorted(
            (pending.save for pending in current.values()), key=lambda save: save.showtime_id
        )
        self._since_ns = self._clock.boot_ns()
        try:
            stored = await self._store.save_snapshots(saves)
        except HeadsLocked as error:
            for actor, pending in current.items():
                if not error.locked or actor.showtime_id in error.locked:
                    actor.snapshot_saved(pending, None)
                else:
                    self._saves.setdefault(actor, pending)
            return
        except BaseException as error:
            for actor, pending in current.items():
                actor.snapshot_saved(pending, None)
            if isinstance(error, StoreUnavailable):
                return
            raise
        for actor, pending in current.items():
            actor.snapshot_saved(pending, actor.showtime_id in stored)
            save = pending.save
            if save.truncate and save.showtime_id in stored and not self._stopping:
                self._truncations[save.showtime_id] = save.epoch

    async def _truncate(self) -> None:
        """One step of a truncation, which may take many: commits must not wait for all of it."""
        showtime_id, epoch = next(iter(self._truncations.items()))
        del self._truncations[showtime_id]
        self._since_ns = self._clock.boot_ns()
        try:
            gone = await self._store.truncate(showtime_id, epoch, TRUNCATED_AT_ONCE)
        except StoreUnavailable:
            # Housekeeping will ask again.
            return
        if gone == TRUNCATED_AT_ONCE and not self._stopping:
            self._truncations.setdefault(showtime_id, epoch)
