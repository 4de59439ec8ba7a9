"""The kernel of one node: which showtimes are in memory, and everything they share."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from cinema.actors.activation import Activation, NextPage, TermsLoader
from cinema.actors.actor import Phase, ShowtimeActor
from cinema.actors.archive import archived_today
from cinema.actors.books import SeenBooks
from cinema.actors.lane import CommitLane
from cinema.actors.load import NodeLoad
from cinema.actors.messages import (
    TOO_BUSY,
    TRY_AGAIN,
    Letter,
    Message,
    OnOutcome,
    Outcome,
    ReadHold,
    ReadSeats,
    SeatFeed,
    TruncateJournal,
)
from cinema.actors.neighbours import ALONE, Neighbours
from cinema.actors.publisher import Watched
from cinema.actors.reads import seats_seen
from cinema.actors.recency import Recency
from cinema.actors.restore import DamagedJournal
from cinema.actors.saver import SnapshotSaver
from cinema.actors.settings import KernelMetrics, KernelSettings
from cinema.actors.slices import Slices
from cinema.actors.tasks import Tasks
from cinema.actors.timers import DueNews, DueQueue, DueSweep
from cinema.actors.unpaid import UnpaidSeats
from cinema.domain.limits import (
    DUE_PER_STEP,
    FAILURES_BEFORE_QUARANTINE,
    LANES_END_S,
    LEASE_DRIFT_DIVISOR,
    LEAVING_POLL_LIMIT_S,
    LEAVING_POLL_S,
    PASSIVATING_AT_ONCE,
    PASSIVATIONS_PER_STEP,
    RELOAD_BACKOFF_FIRST_S,
    RELOAD_BACKOFF_LIMIT_S,
    ROOM_LOOK_S,
    SURPLUS_PAUSE_TICKS,
    TICK_S,
    TURNS_BUDGET_NS,
)
from cinema.domain.pricing.rules import ReadyBook
from cinema.domain.showtime.commands import ExpireDue
from cinema.domain.showtime.decisions import FindPlan
from cinema.storage.journal.clock import Clock
from cinema.storage.journal.store import JournalStore, StoreUnavailable
from cinema.telemetry.logging import LogLimit

SHOWTIME_RESTORED: Final = "showtime_restored"
SHOWTIME_QUARANTINED: Final = "showtime_quarantined"
RESTORE_FAILED: Final = "restore_failed"
TURN_FAILED: Final = "turn_failed"
TICK_FAILED: Final = "tick_failed"
PASSIVATION_FAILED: Final = "passivation_failed"

_EXPIRE: Final = ExpireDue(command_id=b"")
_UNRANKED: Final = -1

log = structlog.get_logger(__name__)


class Kernel:
    """Actors by showtime, spread over commit lanes; created on first use, passivated when idle.

    Use it from one event loop. `start` and `stop` frame its life; between them `tell` and `ask`
    reach any showtime of this node.
    """

    def __init__(
        self,
        store: JournalStore,
        terms: TermsLoader,
        clock: Clock,
        settings: KernelSettings,
    ) -> None:
        self.clock = clock
        self.settings = settings
        self.metrics = KernelMetrics()
        self.lease_ns = settings.lease_ms * 1_000_000 * (LEASE_DRIFT_DIVISOR - 1)
        self.lease_ns //= LEASE_DRIFT_DIVISOR
        self.deadline_ns = settings.command_deadline_ms * 1_000_000
        self._late_ns = settings.overloaded_after_ms * 1_000_000
        # Half of the deadline leaves time for a takeover and its lease, and some to answer in.
        self._close_after_ticks = max(1, int(settings.command_deadline_ms / 2000 / TICK_S))
        self._store = store
        self.branches = store.branches
        self._activation = Activation(
            store,
            terms,
            clock,
            lease_ns=self.lease_ns,
            wait_ns=settings.lease_ms * 1_000_000,
        )
        self.unpaid = UnpaidSeats()
        self.books = SeenBooks()
        self.load = NodeLoad(
            limit=settings.node_waiting_limit, showtime_limit=settings.mailbox_limit
        )
        self._neighbours: Neighbours = ALONE
        self._releases: dict[bytes, asyncio.Task[None]] = {}
        self._actors: dict[bytes, ShowtimeActor] = {}
        self._loop: asyncio.AbstractEventLoop
        self._runnable: list[ShowtimeActor] = []
        self._stalled: dict[ShowtimeActor, int] = {}
        self._not_restored = LogLimit()
        self._passivating: dict[ShowtimeActor, None] = {}
        self._quarantined: dict[ShowtimeActor, None] = {}
        self._recency = Recency()
        self.watched = Watched(settings.max_watched_showtimes, self._freed)
        self._surplus_at_tick = 0
        self._due = DueQueue()
        self._due_sweep = DueSweep(store, clock, self._wake_due)
        self._tasks = Tasks(self.metrics.task_failures)
        self._draining = False
        self._now_ns = clock.boot_ns()
        self._tick = 0
        self._lanes = [
            CommitLane(
                store.lane(), clock, self.metrics, batch_limit_events=settings.batch_limit_events
            )
            for _ in range(settings.commit_lanes)
        ]
        self._lane_tasks: list[asyncio.Task[None]] = []
        self.saver = SnapshotSaver(store)

    # --- life

    async def start(self) -> None:
        """Start lanes and timers."""
        # Asked for once: each look for the running loop costs a system call on Python 3.11.
        self._loop = asyncio.get_running_loop()
        for number, lane in enumerate(self._lanes):
            self._lane_tasks.append(self._tasks.keep(f"commit-lane-{number}", lane.run))
        self._tasks.keep("snapshots", self.saver.run)
        self._tasks.keep("kernel-tick", self._run_ticks)
        self._tasks.keep("passivation", self._run_passivation)
        self._tasks.keep("due-sweep", self._due_sweep.run)

    async def stop(self, grace_s: float) -> None:
        """Refuse new messages, finish what is under way, give every showtime back.

        What is not done within `grace_s` is left to the next owner, which waits until the lease has
        ended.
        """
        self._draining = True
        deadline_ns = self.clock.boot_ns() + int(grace_s * 1e9)
        while self._has_work() and self.clock.boot_ns() < deadline_ns:
            await self._give_back_the_idle(deadline_ns)
            await asyncio.sleep(ROOM_LOOK_S)
        for lane in self._lanes:
            lane.stop()
        if self._lane_tasks:
            left_s = (deadline_ns - self.clock.boot_ns()) / 1e9
            await asyncio.wait(self._lane_tasks, timeout=max(LANES_END_S, left_s))
        await self._tasks.cancel()
        slices = Slices(self.clock.boot_ns)
        for actor in list(self._actors.values()):
            actor.abandon()
            await slices.give_way()

    def _has_work(self) -> bool:
        return len(self._actors) > len(self._quarantined)

    async def _give_back_the_idle(self, deadline_ns: int) -> None:
        """Passivate the actors that can be, until so many are leaving that others must wait."""
        slices = Slices(self.clock.boot_ns, PASSIVATIONS_PER_STEP)
        for actor in list(self._actors.values()):
            if len(self._passivating) >= PASSIVATING_AT_ONCE:
                return
            if actor.idle_but_watched:
                self._passivate_one(actor)
                await slices.give_way()
                if self.clock.boot_ns() >= deadline_ns:
                    return

    def join(self, neighbours: Neighbours) -> None:
        """Be one node of several from now on."""
        self._neighbours = self._activation.neighbours = neighbours

    def search_with(self, news: DueNews) -> None:
        """Let one node search for what comes due in the name of all."""
        self._due_sweep.news = news

    # --- messages

    def tell(
        self, showtime_id: bytes, message: Message, reply: OnOutcome, deadline_ns: int | None = None
    ) -> None:
        """Queue a message for a showtime, bringing it into memory first if it is not there.

        It is refused at once if too much waits already, or for too long; see `ShowtimeActor.tell`.
        `reply` is called exactly once, on the event loop, maybe before this returns. The message
        may wait until `deadline_ns` (boot time; default: `command_deadline_ms` from now) while the
        showtime cannot serve.
        """
        if self._draining:
            reply(TRY_AGAIN)
            return
        actor = self._actors.get(showtime_id)
        if actor is None:
            if self._refuses_more(showtime_id):
                reply(TOO_BUSY)
                return
            actor = self._activate(showtime_id)
        actor.last_used = self._tick
        actor.tell(Letter(message, reply, deadline_ns or self._now_ns + self.deadline_ns))

    def _refuses_more(self, showtime_id: bytes) -> bool:
        """Whether not even an actor is to be made for what is new."""
        if self.lane_of(showtime_id).late:
            self.load.refused["age"] += 1
            return True
        return self.load.is_full()

    async def ask(self, showtime_id: bytes, message: Message) -> Outcome:
        """`tell`, and wait for the answer. Cancelling the wait does not cancel the command.

        A read of a hold that would wait for nothing is answered at once.
        """
        actor = self._actors.get(showtime_id)
        if actor is not None and isinstance(message, ReadHold) and not self._draining:
            seen = actor.seen_at_once(message)
            if seen is not None:
                actor.last_used = self._tick
                return seen
        answer: asyncio.Future[Outcome] = self._loop.create_future()

        def settle(outcome: Outcome) -> None:
            if not answer.done():
                answer.set_result(outcome)

        self.tell(showtime_id, message, settle)
        return await answer

    async def exists(self, showtime_id: bytes) -> bool:
        """Whether there is such a showtime; True if the store does not answer."""
        actor = self._actors.get(showtime_id)
        if actor is not None and actor.phase is not Phase.RESTORING:
            return True
        try:
            return await self._activation.terms(showtime_id) is not None
        except StoreUnavailable:
            return True

    async def read_seats(self, showtime_id: bytes, query: ReadSeats) -> Outcome:
        """The seat map; one that is not in memory is read in one statement and stays outside.

        A hold that has come due must be expired first, which takes an actor.
        """
        if showtime_id not in self._actors and not self._draining:
            if self.load.is_full():
                return TOO_BUSY
            self.load.waiting += 1
            try:
                restored = await self._activation.look(showtime_id)
            except StoreUnavailable:
                return TRY_AGAIN
            except DamagedJournal as error:
                self._not_restored.write(
                    log.warning, RESTORE_FAILED, showtime=showtime_id.hex(), reason=str(error)
                )
                restored = None
            finally:
                self.load.waiting -= 1
            if restored is not None and restored.state.next_due_us > self.clock.now_us():
                return seats_seen(
                    *(restored.state, self.books.newest(restored.terms), restored.epoch),
                    query.customer,
                    query.guests,
                    with_holders=query.with_holders,
                    with_channels=query.with_channels,
                    now_us=max(self.clock.now_us(), restored.state.at_us),
                )
        return await self.ask(showtime_id, query)

    async def truncate(self, showtime_id: bytes) -> None:
        """Drop the journal of a showtime that is over, keeping its snapshot.

        The actor's lane does it, behind the snapshot that replaces the events.
        """
        await self.ask(showtime_id, TruncateJournal())

    async def release(self, showtime_id: bytes) -> None:
        """Give a showtime back for another node, whatever is under way; returns once it is done.

        Messages that have not had their turn are sent to that node. Cancelling the wait
        does not cancel the release. If the kernel stops first, the release is over too.
        """
        releasing = self._releases.get(showtime_id)
        if releasing is None:
            if showtime_id not in self._actors:
                return
            releasing = self._tasks.start("release", self._release(showtime_id), showtime_id.hex())
            self._releases[showtime_id] = releasing
        await asyncio.wait((releasing,))
        if not releasing.cancelled():
            releasing.result()

    async def _release(self, showtime_id: bytes) -> None:
        actor = self._actors.get(showtime_id)
        pause_s = LEAVING_POLL_S
        try:
            while actor is not None and self._actors.get(showtime_id) is actor:
                actor.leave()
                if actor.phase is Phase.LEAVING and actor.settled:
                    actor.passivate()
                    pause_s = LEAVING_POLL_S
                elif actor.phase is Phase.QUARANTINED:
                    self._remove(actor)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LEAVING_POLL_LIMIT_S)
        finally:
            del self._releases[showtime_id]

    def left_behind(self) -> NextPage:
        """What dead nodes have left, whosever it is now; see `Activation.left_behind`."""
        return self._activation.left_behind()

    async def inherit(self, heir: bytes, next_page: NextPage | None = None) -> int:
        """Fence dead nodes off from what is now this node's; see `Activation.inherit`."""
        return await self._activation.inherit(heir, next_page or self.left_behind())

    async def showtimes_of_others(self) -> list[bytes]:
        """The showtimes in memory that are another node's; looks at all, slice by slice."""
        found = []
        slices = Slices(self.clock.boot_ns)
        for showtime_id in list(self._actors):
            if self.is_stranger(showtime_id):
                found.append(showtime_id)
            await slices.give_way()
        return found

    def is_stranger(self, showtime_id: bytes) -> bool:
        """Whether the showtime is in memory and another node's."""
        return showtime_id in self._actors and not self._neighbours.owns(showtime_id)

    def unwatch(self, showtime_id: bytes, feed: SeatFeed) -> None:
        """Stop telling a feed."""
        actor = self._actors.get(showtime_id)
        if actor is not None:
            actor.publisher.leave(feed)

    async def price_by(self, cinema_id: bytes, version: int, book: ReadyBook | None) -> int:
        """Price new holds at a cinema by another version of its book; how many showtimes that were.

        It looks at all showtimes in memory, slice by slice. Those that come meanwhile have it too.
        """
        self.books.note(cinema_id, version, book)
        changed, slices = 0, Slices(self.clock.boot_ns)
        for actor in list(self._actors.values()):
            changed += actor.price_by(cinema_id, version, book)
            await slices.give_way()
        return changed

    # --- gauges

    def is_resident(self, showtime_id: bytes) -> bool:
        """Whether the showtime is in memory or on its way there."""
        return showtime_id in self._actors

    @property
    def resident_count(self) -> int:
        """Showtimes in memory."""
        return len(self._actors)

    @property
    def mailbox_depth(self) -> int:
        """Messages waiting in all mailboxes."""
        return self.load.mail

    @property
    def oldest_event_s(self) -> float:
        """How long the oldest event that is not durable has waited, or a lane for its answer."""
        now_ns, now_us = self.clock.boot_ns(), self.clock.now_us()
        return max(lane.age_ns(now_ns, now_us) for lane in self._lanes) / 1e9

    @property
    def quarantined_count(self) -> int:
        """Showtimes that were stopped and have not been dismissed."""
        return len(self._quarantined)

    # --- for actors

    def lane_of(self, showtime_id: bytes) -> CommitLane:
        """The lane of a showtime, always the same one."""
        return self._lanes[int.from_bytes(showtime_id[-4:], "big") % len(self._lanes)]

    def schedule(self, actor: ShowtimeActor) -> None:
        """Give the actor a turn; all turns of one step of the loop share a reading of the clock."""
        if not self._runnable:
            self._loop.call_soon(self._run_turns)
        self._runnable.append(actor)

    def _run_turns(self) -> None:
        runnable, self._runnable = self._runnable, []
        now_us = self.clock.now_us()
        give_way_ns = self.clock.boot_ns() + TURNS_BUDGET_NS
        for position, actor in enumerate(runnable):
            try:
                actor.turn(now_us, give_way_ns)
            except Exception:
                log.exception(TURN_FAILED, showtime=actor.showtime_id.hex())
                actor.fail("turn_failed")
            if self.clock.boot_ns() > give_way_ns and position + 1 < len(runnable):
                self._loop.call_soon(self._run_turns)
                self._runnable = runnable[position + 1 :] + self._runnable
                return

    def arm(self, actor: ShowtimeActor) -> None:
        """Wake the actor when its earliest hold comes due."""
        due_us = actor.state.next_due_us
        if due_us < actor.armed_us:
            actor.armed_us = due_us
            self._due.add(due_us, actor.showtime_id)

    def restore(self, actor: ShowtimeActor, serving_epoch: int | None, reason: str) -> None:
        """Reload a broken actor, or stop it for good if it keeps breaking."""
        if actor in self._passivating:
            # It stays after all, and is to be looked at again.
            del self._passivating[actor]
            self._rank(actor, self._tick)
        if self._draining:
            self._forget(actor)
            return
        if actor.failures >= FAILURES_BEFORE_QUARANTINE:
            self._quarantine(actor, reason)
            return
        if reason == "fenced" and not actor.wanted:
            self._forget(actor)
            return
        self._stalled.setdefault(actor, self._tick)
        self._tasks.start(
            "restore", self._restore(actor, serving_epoch, reason), actor.showtime_id.hex()
        )

    def stalled(self, actor: ShowtimeActor) -> None:
        """The actor cannot look at its mailbox for now: its letters' deadlines count."""
        self._stalled.setdefault(actor, self._tick)

    def passivating(self, actor: ShowtimeActor) -> None:
        """The actor is giving its showtime back."""
        self._passivating[actor] = None
        self.stalled(actor)

    def passivated(self, actor: ShowtimeActor) -> None:
        """The actor has given its showtime back; messages that came meanwhile wake a new one."""
        self.metrics.passivations += 1
        self._remove(actor)
        self._send_after(actor)

    def _send_after(self, actor: ShowtimeActor) -> None:
        """What waited at an actor that is gone goes to its successor, on this node or another."""
        letters = actor.take_letters()
        if not letters:
            return
        if self._draining:
            for letter in letters:
                letter.reply(TRY_AGAIN)
            return
        if not self._neighbours.owns(actor.showtime_id):
            for letter in letters:
                self._neighbours.pass_on(actor.showtime_id, letter.forgetful())
            return
        successor = self._activate(actor.showtime_id)
        successor.last_used = self._tick
        for letter in letters:
            successor.take(letter.forgetful())

    def recall(
        self, actor: ShowtimeActor, letter: Letter, key: bytes, epoch: int, generation: int
    ) -> None:
        """Look a key up in the archive, then let the message take its turn again.

        `epoch` and `generation` are those of the state that asks.
        """
        self._tasks.start(
            "recall",
            self._recall(actor, letter, key, epoch, generation),
            actor.showtime_id.hex(),
        )

    async def _recall(
        self, actor: ShowtimeActor, letter: Letter, key: bytes, epoch: int, generation: int
    ) -> None:
        archived = None
        try:
            row = await self._store.recall(actor.showtime_id, key)
            if actor.epoch == epoch and actor.is_serving:
                archived = archived_today(row, actor.state)
        except StoreUnavailable:
            pass
        finally:
            actor.recalled(letter, epoch, generation, key, archived)

    def find_plan(self, actor: ShowtimeActor, letter: Letter, wanted: FindPlan) -> None:
        """Look a seat plan up, then let the message that needs it take its turn again."""
        self._tasks.start(
            "find-plan", self._find_plan(actor, letter, wanted), actor.showtime_id.hex()
        )

    async def _find_plan(self, actor: ShowtimeActor, letter: Letter, wanted: FindPlan) -> None:
        plan = None
        try:
            plan = await self._activation.plan(wanted.screen_id, wanted.layout_version)
        except StoreUnavailable:
            pass
        finally:
            actor.found(letter, plan, wanted.terms_version)

    # --- restoring

    def _activate(self, showtime_id: bytes) -> ShowtimeActor:
        actor = ShowtimeActor(showtime_id, self)
        self._actors[showtime_id] = actor
        self._rank(actor, self._tick)
        self.restore(actor, None, "first_use")
        return actor

    async def _restore(self, actor: ShowtimeActor, serving_epoch: int | None, reason: str) -> None:
        """Take the showtime over and load it, again and again until it serves.

        An actor that served `serving_epoch` itself need not wait its own lease out.
        """
        pause_s = RELOAD_BACKOFF_FIRST_S
        while True:
            try:
                restored = await self._activation.take_over(actor, serving_epoch)
            except DamagedJournal as error:
                self._quarantine(actor, str(error))
                return
            except StoreUnavailable as error:
                self._not_restored.write(
                    log.warning, RESTORE_FAILED, showtime=actor.showtime_id.hex(), reason=str(error)
                )
                restored = None
                serving_epoch = None
            except Exception:
                log.exception(RESTORE_FAILED, showtime=actor.showtime_id.hex())
                if actor.is_serving:
                    actor.fail("resume_failed")
                    return
                actor.failures += 1
                if actor.failures >= FAILURES_BEFORE_QUARANTINE:
                    self._quarantine(actor, "restore_failed")
                    return
                restored = None
                serving_epoch = None
            if restored is not None or actor.phase is Phase.GONE:
                break
            if self._draining or (serving_epoch is None and not actor.wanted):
                self._forget(actor)
                return
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RELOAD_BACKOFF_LIMIT_S)
        if restored is None:
            self._remove(actor)
            self._send_after(actor)
            return
        self._stalled.pop(actor, None)
        self.metrics.activations += 1
        log.debug(
            SHOWTIME_RESTORED,
            showtime=actor.showtime_id.hex(),
            epoch=actor.epoch,
            seq=actor.state.seq,
            reason=reason,
        )

    def _quarantine(self, actor: ShowtimeActor, reason: str) -> None:
        if not self._neighbours.owns(actor.showtime_id):
            # Only its owner may judge a showtime, and will see for itself.
            self._not_restored.write(
                log.warning, RESTORE_FAILED, showtime=actor.showtime_id.hex(), reason=reason
            )
            self._forget(actor)
            return
        self.metrics.quarantined += 1
        log.error(SHOWTIME_QUARANTINED, showtime=actor.showtime_id.hex(), reason=reason)
        self._stalled.pop(actor, None)
        self._quarantined[actor] = None
        actor.quarantine()

    def _forget(self, actor: ShowtimeActor) -> None:
        self._remove(actor)
        actor.abandon()

    def _remove(self, actor: ShowtimeActor) -> None:
        self._stalled.pop(actor, None)
        self._passivating.pop(actor, None)
        self._quarantined.pop(actor, None)
        actor.discard_state(is_ours=self._neighbours.owns(actor.showtime_id))
        if self._actors.get(actor.showtime_id) is actor:
            del self._actors[actor.showtime_id]

    # --- time

    async def _run_ticks(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                self.tick()
                await self._drop_late()
                await self._expire_all_due()
                self._activation.forget_inherited()
            except Exception:
                log.exception(TICK_FAILED)

    def tick(self) -> None:
        """Another `TICK_S` has passed."""
        self._tick += 1
        self._now_ns = self.clock.boot_ns()
        now_us = self.clock.now_us()
        for lane in self._lanes:
            lane.look_at_age(self._now_ns, now_us, self._late_ns)
        self.unpaid.sift(self._neighbours.owns, now_us)

    async def _expire_all_due(self) -> None:
        slices = Slices(self.clock.boot_ns, pieces=1)
        while not self.expire_due():
            await slices.give_way()

    async def _drop_late(self) -> None:
        """Check the deadlines of letters whose actors cannot take a turn for now.

        An actor that stays so for long refuses new messages.
        """
        close_from = self._tick - self._close_after_ticks
        slices = Slices(self.clock.boot_ns)
        for actor, since in list(self._stalled.items()):
            actor.drop_late(self._now_ns)
            if actor in self._stalled:
                actor.closed = since <= close_from
            await slices.give_way()

    def expire_due(self) -> bool:
        """Wake resident actors whose holds have come due; False if a step's share was not all."""
        before_us = self.clock.now_us() - self.clock.uncertainty_us()
        due = self._due.pop_due(before_us, DUE_PER_STEP)
        for showtime_id in due:
            actor = self._actors.get(showtime_id)
            if actor is not None and actor.phase is Phase.SERVING:
                actor.come_due(Letter(_EXPIRE, _ignore, self._now_ns + self.deadline_ns))
        return len(due) < DUE_PER_STEP

    def _wake_due(self, showtime_id: bytes) -> bool:
        wanted = (
            showtime_id not in self._actors
            and not self._draining
            and self._neighbours.owns(showtime_id)
        )
        if wanted:
            actor = self._activate(showtime_id)
            actor.last_used = self._tick
            actor.take(Letter(_EXPIRE, _ignore, self._now_ns + self.deadline_ns))
        return wanted

    async def _run_passivation(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            await self._passivate()

    async def _passivate(self) -> None:
        """Passivate actors that were idle for long, then the least recently used beyond the limit.

        Those that cannot leave now are treated as if they had just been used. The number
        that leave at once is bounded, and so is the work of one step.
        """
        now_tick = self._tick
        long_ago_tick = now_tick - int(self.settings.idle_passivation_s / TICK_S)
        slices = Slices(self.clock.boot_ns, PASSIVATIONS_PER_STEP)
        while True:
            if len(self._passivating) >= PASSIVATING_AT_ONCE:
                await asyncio.sleep(ROOM_LOOK_S)
                continue
            is_surplus = self._surplus > 0 and now_tick >= self._surplus_at_tick
            oldest = self._recency.take(now_tick if is_surplus else long_ago_tick)
            if oldest is None:
                if is_surplus:
                    self._surplus_at_tick = now_tick + SURPLUS_PAUSE_TICKS
                return
            self._put_out(*oldest)
            await slices.give_way()

    @property
    def _surplus(self) -> int:
        """Showtimes in memory beyond the limit that are not leaving."""
        staying = len(self._actors) - len(self._passivating)
        return staying - self.settings.max_resident_showtimes

    def _put_out(self, ranked_tick: int, showtime_id: bytes) -> None:
        """Passivate the showtime if it has not been used since `ranked_tick` and can leave."""
        actor = self._actors.get(showtime_id)
        if actor is None or actor.ranked_tick != ranked_tick:
            # An actor that is gone stood there.
            return
        if actor.last_used > ranked_tick:
            self._rank(actor, actor.last_used)
        elif actor.idle:
            self._passivate_one(actor)
        elif actor.publisher.feeds:
            # It stays until `_freed` says that nobody watches any more.
            actor.ranked_tick = _UNRANKED
        else:
            self._rank(actor, self._tick + 1)

    def _passivate_one(self, actor: ShowtimeActor) -> None:
        try:
            actor.passivate()
        except Exception:
            log.exception(PASSIVATION_FAILED, showtime=actor.showtime_id.hex())
            self._rank(actor, self._tick + 1)

    def _freed(self, showtime_id: bytes) -> None:
        """Nobody watches the showtime any more: its time in memory begins to run."""
        actor = self._actors.get(showtime_id)
        if actor is not None:
            self._rank(actor, self._tick)

    def _rank(self, actor: ShowtimeActor, tick: int) -> None:
        actor.ranked_tick = tick
        self._recency.add(tick, actor.showtime_id)


def _ignore(_outcome: Outcome) -> None:
    """Nobody waits for the clock's commands."""
