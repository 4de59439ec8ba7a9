"""One watched showtime: its durable changes, gathered, encoded once, sent to all its watchers."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from cinema.actors.dispatch import Dispatch
from cinema.actors.messages import Outcome, SeatsSeen, Watch
from cinema.domain.epochs import same_era
from cinema.domain.seatmap import STATUS_NAMES, SeatPlan, SeatStatus
from cinema.domain.showtime.changes import seat_changes
from cinema.domain.showtime.events import AnyEvent, PlanChanged
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.features.watching.frames import (
    RESYNC,
    delta_message,
    snapshot_message,
    taken_seats,
    text_frame,
)
from cinema.features.watching.socket import SLOW_BUFFER_BYTES, Socket

RECENT_FRAMES: Final = 256
"""Delta frames kept for clients that reconnect with `since`: about 13 s of a busy showtime."""

SLOW_SECONDS: Final = 10.0
"""How long a watcher may be behind before its socket is closed."""


SLOW_CHECK_S: Final = 0.5
"""Time between two checks whether a slow watcher has caught up."""


RESTART_PAUSE_S: Final = 0.5
"""Time until a showtime that could not be watched is asked again."""


class _Watcher:
    """A socket, and whether it is behind: a slow one gets no deltas, and a resync later."""

    __slots__ = ("behind_since_s", "socket")

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self.behind_since_s: float | None = None


class WatchedShowtime:
    """Mirrors the durable seats of a showtime from the events that its actor publishes.

    The mirror serves snapshots, so that the actor is asked once, however many watchers come.
    """

    def __init__(self, showtime_id: bytes, dispatch: Dispatch, coalesce_s: float) -> None:
        self._showtime_id = showtime_id
        self._dispatch = dispatch
        self._coalesce_s = coalesce_s
        self._watchers: dict[Socket, _Watcher] = {}
        self._plan: SeatPlan | None = None
        self._seats = bytearray()
        self._epoch = 0
        self._seq = 0
        self._sent_seq = 0
        self._changed: dict[int, int] = {}
        self._recent: deque[tuple[int, int, bytes]] = deque(maxlen=RECENT_FRAMES)
        self._timer: asyncio.TimerHandle | None = None
        self._slow_timer: asyncio.TimerHandle | None = None
        self._restart_timer: asyncio.TimerHandle | None = None
        self._joining = 0
        self._fresh = False
        self._must_start = False
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[Outcome] | None = None

    @property
    def empty(self) -> bool:
        """Whether no client watches or is about to."""
        return not self._watchers and not self._joining

    # --- watchers

    async def join(self, socket: Socket, since: tuple[int, int] | None) -> Outcome | None:
        """Bring a socket up to date and keep it so; returns a refusal if there is no showtime."""
        if self._fresh and since is not None and self._is_behind(since):
            # Another node has shown it more, because it heard of the changes earlier.
            self.lost()
        if not self._fresh:
            self._joining += 1
            try:
                outcome = await self._begin()
            finally:
                self._joining -= 1
            if not isinstance(outcome, SeatsSeen):
                return outcome
        # Pending changes are for the present watchers; the new one starts after them.
        self._flush()
        self._watchers[socket] = _Watcher(socket)
        self.catch_up(socket, since)
        return None

    def _is_behind(self, since: tuple[int, int]) -> bool:
        epoch, seq = since
        if epoch < self._epoch and not same_era(epoch, self._epoch):
            # It has seen a later state, which a restore from a backup has undone.
            return False
        return seq > self._seq or epoch > self._epoch

    def leave(self, socket: Socket) -> None:
        """Forget a socket; without any, the actor need not publish."""
        self._watchers.pop(socket, None)
        if self.empty:
            self._rest()

    def catch_up(self, socket: Socket, since: tuple[int, int] | None) -> None:
        """Send what a socket has missed: the deltas after `since` (epoch, seq), or a snapshot."""
        if not self._fresh:
            # The new snapshot goes to everybody as soon as there is one.
            self._must_start = True
            socket.send(RESYNC)
            return
        self._flush()
        if since is None or not self._replay(socket, since):
            socket.send(self._snapshot())

    def _replay(self, socket: Socket, since: tuple[int, int]) -> bool:
        epoch, seq = since
        if not same_era(epoch, self._epoch):
            return False
        if seq == self._seq and epoch <= self._epoch:
            socket.send(delta_message(self._epoch, seq, seq, {}))
            return True
        frames = [frame for prev_seq, _, frame in self._recent if prev_seq >= seq]
        starts = any(prev_seq == seq for prev_seq, _, _ in self._recent)
        if not starts or epoch > self._epoch:
            return False
        for frame in frames:
            socket.send_frame(frame)
        return True

    async def _begin(self) -> Outcome:
        """Ask the actor for a snapshot, once for all watchers that join meanwhile."""
        return await asyncio.shield(self._ready or self._ask())

    def _ask(self) -> asyncio.Future[Outcome]:
        """Ask the actor, which may answer before this returns."""
        self._stop_timers()
        ready = self._ready = self._loop.create_future()
        self._dispatch.tell(self._showtime_id, Watch(feed=self), self._begun)
        return ready

    def _begun(self, outcome: Outcome) -> None:
        if self.empty:
            self._rest()
        elif isinstance(outcome, SeatsSeen):
            self._fresh = True
            if self._continues(outcome):
                self._go_on(outcome)
            else:
                self._start(outcome)
        elif self._watchers:
            self._restart_timer = self._loop.call_later(RESTART_PAUSE_S, self._ask)
        ready, self._ready = self._ready, None
        if ready is not None and not ready.done():
            ready.set_result(outcome)

    def _continues(self, seen: SeatsSeen) -> bool:
        """Whether what the watchers have seen leads to this snapshot by a change of seats."""
        plan = self._plan
        return (
            plan is not None
            and not self._must_start
            and plan.version == seen.terms.plan.version
            and len(self._seats) == len(seen.seats)
            and seen.seq >= self._seq
        )

    def _go_on(self, seen: SeatsSeen) -> None:
        """What was missed, in one frame, so that no watcher has to start again."""
        for seat, status in enumerate(seen.seats):
            if self._seats[seat] != status:
                self._seats[seat] = status
                self._changed[seat] = status
        self._plan = seen.terms.plan
        self._epoch, self._seq = max(self._epoch, seen.epoch), seen.seq
        self._flush()

    def _start(self, seen: SeatsSeen) -> None:
        """Make all watchers start from this snapshot."""
        restarts = self._plan is not None
        self._must_start = False
        self._plan = seen.terms.plan
        self._seats = bytearray(seen.seats)
        self._epoch, self._seq = seen.epoch, seen.seq
        self._sent_seq = seen.seq
        self._changed.clear()
        self._recent.clear()
        if restarts:
            self._broadcast(text_frame(RESYNC))
        self._broadcast(text_frame(self._snapshot()))

    # --- what the actor publishes

    def changed(
        self, epoch: int, _prev_seq: int, seq: int, event: AnyEvent, _terms: ShowtimeTerms
    ) -> None:
        """See `SeatFeed.changed`; until a new snapshot is there, changes say nothing."""
        if not self._fresh:
            return
        if isinstance(event, PlanChanged):
            self.lost()
            self._must_start = True
            return
        self._epoch, self._seq = epoch, seq
        for seat, status in seat_changes(event):
            self._seats[seat] = status
            self._changed[seat] = status
        if self._timer is None:
            self._timer = self._loop.call_later(self._coalesce_s, self._flush)

    def lost(self) -> None:
        """See `SeatFeed.lost`: a new snapshot tells what was missed."""
        self._flush()
        self._fresh = False
        if self._ready is None and not self.empty:
            self._ask()

    # --- frames

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._seq == self._sent_seq or self._plan is None or not self._fresh:
            return
        labels = self._plan.labels
        changes: dict[str, SeatStatus] = {
            labels[seat]: STATUS_NAMES[status] for seat, status in self._changed.items()
        }
        frame = text_frame(delta_message(self._epoch, self._sent_seq, self._seq, changes))
        self._recent.append((self._sent_seq, self._seq, frame))
        self._sent_seq = self._seq
        self._changed.clear()
        self._broadcast(frame)

    def _snapshot(self) -> bytes:
        plan = self._plan
        if plan is None:
            return RESYNC
        taken = taken_seats(plan, self._seats)
        return snapshot_message(self._epoch, self._seq, plan.version, taken)

    def _broadcast(self, frame: bytes) -> None:
        """Send to all that keep up; the others catch up later or are closed, and delay nobody."""
        now_s = self._loop.time()
        for watcher in self._watchers.values():
            socket = watcher.socket
            if socket.unsent_bytes > SLOW_BUFFER_BYTES:
                self._note_behind(watcher, now_s)
            elif watcher.behind_since_s is None:
                socket.write_now(frame)
        self._look_again_at_slow()

    def _look_again_at_slow(self) -> None:
        """Check slow watchers again, so that they need not wait for the next change of a seat."""
        if self._slow_timer is None and any(
            watcher.behind_since_s is not None for watcher in self._watchers.values()
        ):
            self._slow_timer = self._loop.call_later(SLOW_CHECK_S, self._check_slow)

    def _check_slow(self) -> None:
        self._slow_timer = None
        self._flush()
        now_s = self._loop.time()
        for watcher in list(self._watchers.values()):
            if watcher.behind_since_s is None:
                continue
            if watcher.socket.unsent_bytes > SLOW_BUFFER_BYTES:
                self._note_behind(watcher, now_s)
            else:
                watcher.behind_since_s = None
                watcher.socket.send(RESYNC)
                if self._fresh:
                    watcher.socket.send(self._snapshot())
                else:
                    self._must_start = True
        self._look_again_at_slow()

    def _note_behind(self, watcher: _Watcher, now_s: float) -> None:
        if watcher.behind_since_s is None:
            watcher.behind_since_s = now_s
        elif now_s - watcher.behind_since_s > SLOW_SECONDS:
            watcher.socket.abort()

    def _rest(self) -> None:
        """Stop following, because no client watches."""
        self._dispatch.unwatch(self._showtime_id, self)
        self._fresh = False
        self._stop_timers()

    def _stop_timers(self) -> None:
        for timer in (self._timer, self._restart_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._restart_timer = None
