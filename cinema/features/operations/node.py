"""What a node reports about itself, and does, when an operator asks."""

from __future__ import annotations

import asyncio
import heapq
import os
from collections.abc import Callable
from datetime import datetime
from itertools import islice
from operator import itemgetter
from typing import Final
from uuid import UUID

import msgspec

from cinema.actors.dismissal import Dismissal, dismiss
from cinema.actors.inspection import (
    ActorSeen,
    actor_seen,
    actors_seen,
    is_draining,
    phases,
    ticked_s,
)
from cinema.actors.kernel import Kernel
from cinema.domain.rejections import refuse
from cinema.domain.seatmap import AVAILABLE, BLOCKED, BOOKED, HELD, SeatPlan
from cinema.domain.showtime.packed import expiry_of, unpack
from cinema.domain.showtime.state import NEVER_US, ShowtimeState
from cinema.domain.times import from_us, to_us
from cinema.features.operations.cluster import Cluster
from cinema.features.operations.shapes import (
    ActorOrder,
    ActorShown,
    AnyAsk,
    AskActors,
    AskDrain,
    AskLogLevel,
    AskPassivate,
    AskShowtime,
    AskStatus,
    Draining,
    HoldShown,
    LevelName,
    LogLevel,
    MemoryShown,
    NodeStatus,
    Passivated,
    SeatCounts,
    ShowtimeShown,
    StateShown,
)

LIVE_HOLDS_SHOWN: Final = 50
"""Live holds listed with a state: enough to see who holds what, on a screen or two."""

PASSIVATE_WAIT_S: Final = 3.0
"""How long a busy showtime may take to become idle before an operator is told to try again."""

ACTORS_AT_ONCE: Final = 1000
"""Actors that one step looks at, in about two milliseconds; then others get a turn."""

MOMENTS_DRIFT_US: Final = 2_000_000
"""How far the times of last use may be wrong. They are corrected rarely, so that pages of one list
have the same order."""


AnyAnswer = NodeStatus | list[ActorShown] | ShowtimeShown | Passivated | Draining | LogLevel | None


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """What goes on between a node and its clients; counts are from its start."""

    watchers: int = 0
    requests: int = 0
    errors: int = 0


class LogLevels(msgspec.Struct, frozen=True, kw_only=True):
    """Reads and sets the least severe log level that is written."""

    current: Callable[[], str]
    change: Callable[[LevelName], None]


class ControlNode:
    """Answers questions about this node, from itself and from peers, through `answer`.

    `drain` stops the node as a signal does; it returns at once.
    """

    def __init__(
        self,
        kernel: Kernel,
        cluster: Cluster,
        *,
        version: str,
        drain: Callable[[], None],
        log_levels: LogLevels,
    ) -> None:
        self._kernel = kernel
        self._cluster = cluster
        self._node_id = UUID(bytes=cluster.node_id)
        self._version = version
        self._drain = drain
        self._log_levels = log_levels
        self._lane_count = kernel.settings.commit_lanes
        self._started_us = kernel.clock.now_us()
        self._started_ns = kernel.clock.boot_ns()
        self._ticks_began_us = self._started_us
        self._draining = False
        self.traffic: Callable[[], Traffic] = Traffic
        """Set once there is a door for clients."""

    async def answer(self, ask: AnyAsk) -> AnyAnswer:
        """The answer to one question; raises `Refused`."""
        match ask:
            case AskStatus():
                return await self._status()
            case AskActors():
                return await self._actors(ask)
            case AskShowtime(showtime_id=showtime_id):
                return self._showtime(showtime_id)
            case AskPassivate(showtime_id=showtime_id):
                return await self._passivate(showtime_id)
            case AskDrain():
                self._draining = True
                self._drain()
                return Draining(node_id=self._node_id, draining=True)
            case AskLogLevel(level=level):
                if level is not None:
                    self._log_levels.change(level)
                return LogLevel(node_id=self._node_id, level=self._log_levels.current())

    async def _status(self) -> NodeStatus:
        kernel, traffic = self._kernel, self.traffic()
        return NodeStatus(
            version=self._version,
            view_version=self._cluster.view.version,
            frozen=self._cluster.frozen,
            pid=os.getpid(),
            started_at=moment(self._started_us),
            uptime_s=round((kernel.clock.boot_ns() - self._started_ns) / 1e9, 1),
            draining=self._draining or is_draining(kernel),
            residents=kernel.resident_count,
            phases=dict(await phases(kernel)),
            mailbox_depth=kernel.mailbox_depth,
            lanes=self._lane_count,
            log_level=self._log_levels.current(),
            watchers=traffic.watchers,
            requests=traffic.requests,
            errors=traffic.errors,
        )

    # --- actors

    async def _actors(self, ask: AskActors) -> list[ActorShown]:
        """The first entries of the order after a position."""
        began_us = self._kernel.clock.now_us() - int(ticked_s(self._kernel) * 1e6)
        if abs(began_us - self._ticks_began_us) > MOMENTS_DRIFT_US:
            self._ticks_began_us = began_us
        after = None if ask.after is None else (ask.after[0], ask.after[1].bytes)
        first: list[tuple[int, bytes, ActorSeen]] = []
        everybody = actors_seen(self._kernel)
        while some := list(islice(everybody, ACTORS_AT_ONCE)):
            placed = (
                (_number(ask.order, one.mailbox_depth, self._used_us(one)), one.showtime_id, one)
                for one in some
                if _matches(one, ask)
            )
            first += [one for one in placed if after is None or one[:2] > after]
            first = heapq.nsmallest(ask.limit, first, key=itemgetter(0, 1))
            await asyncio.sleep(0)
        return [self._shown(seen) for _, _, seen in first]

    def _used_us(self, seen: ActorSeen) -> int:
        return self._ticks_began_us + round(seen.used_s * 1e6)

    def _shown(self, seen: ActorSeen) -> ActorShown:
        state = seen.state
        return ActorShown(
            showtime_id=UUID(bytes=seen.showtime_id),
            node_id=self._node_id,
            phase=seen.phase,
            epoch=seen.epoch,
            seq=seen.seq,
            durable_seq=seen.durable_seq,
            mailbox_depth=seen.mailbox_depth,
            idle_s=seen.idle_s,
            last_used_at=moment(self._used_us(seen)),
            lane=seen.lane,
            watched=seen.watched,
            failures=seen.failures,
            holds=None if state is None else len(state.holds),
            bookings=None if state is None else len(state.bookings),
            next_due_at=None if state is None else due_moment(state),
        )

    def _showtime(self, showtime_id: bytes) -> ShowtimeShown | None:
        found = actor_seen(self._kernel, showtime_id)
        if found is None:
            return None
        seen, memory = found
        state = None
        if seen.state is not None and seen.terms is not None:
            state = state_shown(seen.state, seen.terms.plan)
        return ShowtimeShown(
            showtime_id=UUID(bytes=showtime_id),
            resident=True,
            epoch=seen.epoch,
            seq=seen.seq,
            snapshot_seq=memory.snapshot_seq,
            memory=MemoryShown(
                node_id=self._node_id,
                phase=seen.phase,
                durable_seq=seen.durable_seq,
                mailbox_depth=seen.mailbox_depth,
                mailbox=dict(memory.mailbox),
                answers_waiting=memory.answers_waiting,
                unwritten_events=memory.unwritten_events,
                in_flight_seq=memory.in_flight_seq,
                snapshot_pending=memory.snapshot_pending,
                lease_age_ms=memory.lease_age_ms,
                lease_fresh=memory.lease_fresh,
                doubts=memory.doubts,
                lane=seen.lane,
                idle_s=seen.idle_s,
                watched=seen.watched,
                failures=seen.failures,
            ),
            state=state,
        )

    async def _passivate(self, showtime_id: bytes) -> Passivated:
        outcome = await dismiss(self._kernel, showtime_id, patience_s=PASSIVATE_WAIT_S)
        if outcome is Dismissal.WATCHED:
            raise refuse("SHOWTIME_WATCHED")
        if outcome is Dismissal.BUSY:
            raise refuse("RETRY", "The showtime did not become idle in time; nothing was changed.")
        return Passivated(
            showtime_id=UUID(bytes=showtime_id),
            node_id=self._node_id,
            was_resident=outcome is Dismissal.DONE,
        )


def _matches(seen: ActorSeen, ask: AskActors) -> bool:
    return (
        seen.mailbox_depth >= ask.min_mailbox
        and ask.phase in {None, seen.phase}
        and ask.lane in {None, seen.lane}
        and ask.watched in {None, seen.watched}
    )


def place(order: ActorOrder, one: ActorShown) -> tuple[int, UUID]:
    """The position of an actor in an order, the same on every node."""
    return _number(order, one.mailbox_depth, to_us(one.last_used_at)), one.showtime_id


def _number(order: ActorOrder, mailbox_depth: int, used_us: int) -> int:
    """The sort key of an order; ids decide between equal keys."""
    match order:
        case "mailbox":
            return -mailbox_depth
        case "last_used":
            return -used_us
        case "idle":
            return used_us
        case "id":
            return 0


def state_shown(state: ShowtimeState, plan: SeatPlan) -> StateShown:
    """A state in numbers, with the holds that end first."""
    seats = bytes(state.seats)
    first = heapq.nsmallest(
        LIVE_HOLDS_SHOWN, state.holds.items(), key=lambda item: expiry_of(item[1])
    )
    return StateShown(
        at=moment(state.at_us) if state.seq else None,
        layout_version=state.layout_version,
        paused=state.paused,
        seats=seat_counts(seats),
        holds=len(state.holds),
        ended_holds=len(state.ended),
        bookings=len(state.bookings),
        stored_replies=len(state.records),
        next_due_at=due_moment(state),
        live_holds=[_hold(hold_id, packed, plan) for hold_id, packed in first],
    )


def seat_counts(seats: bytes) -> SeatCounts:
    """How many seats are in each status."""
    return SeatCounts(
        available=seats.count(AVAILABLE),
        held=seats.count(HELD),
        booked=seats.count(BOOKED),
        blocked=seats.count(BLOCKED),
    )


def _hold(hold_id: bytes, packed: bytes, plan: SeatPlan) -> HoldShown:
    group = unpack(packed)
    return HoldShown(
        hold_id=UUID(bytes=hold_id),
        customer_id=UUID(bytes=group.customer),
        seats=[plan.labels[seat] for seat in group.seats],
        placed_at=moment(group.placed_at_us),
        expires_at=moment(group.expires_at_us),
    )


def due_moment(state: ShowtimeState) -> datetime | None:
    """When the next hold is due: a lower bound, None if there are no holds."""
    return None if state.next_due_us >= NEVER_US else moment(state.next_due_us)


def moment(at_us: int) -> datetime:
    """Microseconds since 1970 as a time."""
    return from_us(at_us)
