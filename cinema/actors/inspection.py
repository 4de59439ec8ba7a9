"""What an operator may see of the actors of a node; it reads, and changes nothing.

What it tells of a state is what memory holds, which may be ahead of the journal: `seq` against
`durable_seq`. That is for operators, never for clients. This module uses private names of its
neighbours in this folder, so that no other module has to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import msgspec

from cinema.actors.actor import Phase, ShowtimeActor
from cinema.actors.kernel import Kernel
from cinema.actors.slices import Slices
from cinema.domain.limits import TICK_S
from cinema.domain.showtime.state import ShowtimeState
from cinema.domain.showtime.terms import ShowtimeTerms

_WITH_STATE = frozenset({Phase.SERVING, Phase.LEAVING, Phase.PASSIVATING})


class ActorSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One actor in a list.

    Without a `state` it is loading or stopped. `idle_s` is the time since its last use;
    `used_s` is the moment of that use in the kernel's own time (`ticked_s`). Both are exact to
    a tenth of a second.
    """

    showtime_id: bytes
    phase: str
    epoch: int
    seq: int
    durable_seq: int
    mailbox_depth: int
    idle_s: float
    used_s: float
    lane: int
    watched: bool
    failures: int
    state: ShowtimeState | None
    terms: ShowtimeTerms | None


class MemorySeen(msgspec.Struct, frozen=True, kw_only=True):
    """What only the actor itself knows, besides its state.

    `mailbox` counts the waiting messages by the name of their kind.
    `answers_waiting` wait at the output gate, `unwritten_events` for their batch; `in_flight_seq`
    is the last seq of the batch under way, 0 without one. `lease_age_ms` counts from when the
    epoch was last confirmed, None if it never was.
    """

    mailbox: Mapping[str, int]
    answers_waiting: int
    unwritten_events: int
    in_flight_seq: int
    snapshot_seq: int
    snapshot_pending: bool
    lease_age_ms: int | None
    lease_fresh: bool
    doubts: int


def actors_seen(kernel: Kernel) -> Iterator[ActorSeen]:
    """Every actor that is in memory at the beginning, in no order; their states go on changing."""
    for actor in list(kernel._actors.values()):
        yield _seen(kernel, actor)


def actor_seen(kernel: Kernel, showtime_id: bytes) -> tuple[ActorSeen, MemorySeen] | None:
    """One actor with what it keeps to itself; None if it is not in memory."""
    actor = kernel._actors.get(showtime_id)
    return None if actor is None else (_seen(kernel, actor), _memory(kernel, actor))


async def phases(kernel: Kernel) -> Mapping[str, int]:
    """How many actors are in each phase; looks at all, slice by slice."""
    counts: Counter[str] = Counter()
    slices = Slices(kernel.clock.boot_ns)
    for actor in list(kernel._actors.values()):
        counts[actor.phase.value] += 1
        await slices.give_way()
    return counts


def ticked_s(kernel: Kernel) -> float:
    """The kernel's own time: since it started, in steps."""
    return kernel._tick * TICK_S


def is_draining(kernel: Kernel) -> bool:
    """Whether the kernel refuses new messages."""
    return kernel._draining


def _seen(kernel: Kernel, actor: ShowtimeActor) -> ActorSeen:
    has_state = actor.phase in _WITH_STATE
    return ActorSeen(
        showtime_id=actor.showtime_id,
        phase=actor.phase.value,
        epoch=actor.epoch,
        seq=actor.state.seq if has_state else 0,
        durable_seq=actor._outbox.durable_seq,
        mailbox_depth=actor.mailbox_depth,
        idle_s=round((kernel._tick - actor.last_used) * TICK_S, 1),
        used_s=round(actor.last_used * TICK_S, 1),
        lane=kernel._lanes.index(actor.lane),
        watched=bool(actor.publisher.feeds),
        failures=actor.failures,
        state=actor.state if has_state else None,
        terms=actor.terms if has_state else None,
    )


def _memory(kernel: Kernel, actor: ShowtimeActor) -> MemorySeen:
    outbox, backlog = actor._outbox, actor.backlog
    now_ns = actor.clock.boot_ns()
    confirmed_ns = outbox.lease_until_ns - kernel.lease_ns
    answers = (outbox._waiting, outbox._lease_waiting, outbox._lease_asked)
    return MemorySeen(
        mailbox=Counter(type(letter.message).__name__ for letter in actor._mailbox),
        answers_waiting=sum(map(len, answers)),
        unwritten_events=len(backlog.unwritten),
        in_flight_seq=backlog.in_flight_seq,
        snapshot_seq=actor.snapshot_seq,
        snapshot_pending=actor.pending_snapshot is not None,
        lease_age_ms=(now_ns - confirmed_ns) // 1_000_000 if outbox.lease_until_ns else None,
        lease_fresh=now_ns < outbox.lease_until_ns,
        doubts=len(actor.doubts),
    )
