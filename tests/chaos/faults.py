"""What is done to a cluster: a schedule drawn from a seed, and how each of it is carried out."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import cycle, islice

import msgspec

from tests.chaos.rig import DECLARED_DEAD, HEARTBEAT_TIMEOUT_S, NODES, POLL_S, Rig

FROZEN_TIMEOUTS = 3
"""How many heartbeat time-outs a node is frozen for, at least."""

FROZEN_ON_S = 1.5
"""How long it stays frozen after the others have removed it."""

LONGEST_FROZEN_S = 12 * HEARTBEAT_TIMEOUT_S
ZOMBIE_END_S = 10.0
"""How long a node that was removed may take to end once it thaws."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happens: to `node` if it is about one, for `seconds` if it lasts."""

    kind: str
    node: int
    seconds: float
    delay_s: float = 0.0

    def __str__(self) -> str:
        what = f"{self.kind} node {self.node + 1}" if self.kind in OF_NODES else self.kind
        after = f" after {self.delay_s:.2f} s" if self.delay_s else ""
        return f"{what} ({self.seconds:.2f} s{after})"


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """Faults that happen together, alone on the stage until all is healed."""

    kind: str
    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        return " + ".join(map(str, self.faults)) or self.kind


async def _kill(rig: Rig, fault: Fault) -> list[str]:
    before = rig.ends_of(fault.node)
    if rig.kill(fault.node):
        await rig.ended(fault.node, before)
    return []


async def _freeze(rig: Rig, fault: Fault) -> list[str]:
    """A node that the others go on without must end by itself once it thaws."""
    server = rig.servers[fault.node]
    if not server.running:
        return []
    before = rig.ends_of(fault.node)
    began_s = time.monotonic()
    await server.freeze()
    removed = False
    while (spent_s := time.monotonic() - began_s) < LONGEST_FROZEN_S and not removed:
        await asyncio.sleep(POLL_S)
        removed = not await rig.is_member(fault.node)
    # Its successors have time to change what it remembers, and clients to ask it in vain.
    await asyncio.sleep(max(FROZEN_ON_S, fault.seconds - spent_s))
    server.send(signal.SIGCONT)
    if not removed:
        return [f"frozen for {spent_s:.1f} s, node {fault.node + 1} was never removed"]
    try:
        async with asyncio.timeout(ZOMBIE_END_S):
            code = await rig.ended(fault.node, before)
    except TimeoutError:
        return [f"node {fault.node + 1} was removed, and lives {ZOMBIE_END_S:.0f} s later"]
    return [] if code == DECLARED_DEAD else [f"a zombie ended with {code}"]


async def _redis_killed(rig: Rig, fault: Fault) -> list[str]:
    await asyncio.to_thread(rig.redis.kill)
    await asyncio.sleep(fault.seconds)
    await asyncio.to_thread(rig.redis.start)
    return []


async def _redis_wiped(rig: Rig, fault: Fault) -> list[str]:
    """Again and again for a while."""
    ends_s = time.monotonic() + fault.seconds
    while time.monotonic() < ends_s:
        await asyncio.to_thread(rig.redis.wipe)
        await asyncio.sleep(HEARTBEAT_TIMEOUT_S / 4)
    return []


async def _postgres_killed(rig: Rig, fault: Fault) -> list[str]:
    return await _postgres_away(rig, fault, signal.SIGKILL)


async def _postgres_restarted(rig: Rig, fault: Fault) -> list[str]:
    return await _postgres_away(rig, fault, signal.SIGINT)


async def _postgres_away(rig: Rig, fault: Fault, how: signal.Signals) -> list[str]:
    await rig.end_postgres(how)
    await asyncio.sleep(fault.seconds)
    await rig.begin_postgres()
    return []


async def _postgres_slow(rig: Rig, fault: Fault) -> list[str]:
    rig.proxy.slow_down(fault.seconds / 20)
    await asyncio.sleep(fault.seconds)
    rig.proxy.slow_down(0)
    return []


KINDS: dict[str, Callable[[Rig, Fault], Awaitable[list[str]]]] = {
    "kill -9": _kill,
    "freeze": _freeze,
    "Redis killed": _redis_killed,
    "Redis wiped": _redis_wiped,
    "Postgres killed": _postgres_killed,
    "Postgres restarted": _postgres_restarted,
    "Postgres slow": _postgres_slow,
}
"""Each returns what should not have come of it."""

OF_NODES = frozenset({"kill -9", "freeze"})

SECONDS = {
    "kill -9": (0.0, 0.0),
    "freeze": (FROZEN_TIMEOUTS * HEARTBEAT_TIMEOUT_S, FROZEN_TIMEOUTS * HEARTBEAT_TIMEOUT_S),
    "Redis killed": (1.0, 3.0),
    "Redis wiped": (1.0, 2.0),
    "Postgres killed": (0.2, 1.5),
    "Postgres restarted": (0.2, 1.5),
    "Postgres slow": (3.0, 5.0),
}

CALM = Slot(kind="calm", faults=())

PAIRS = (
    ("kill -9", "kill -9"),
    ("kill -9", "Redis killed"),
    ("kill -9", "Redis wiped"),
    ("kill -9", "Postgres killed"),
    ("kill -9", "Postgres slow"),
    ("freeze", "kill -9"),
    ("freeze", "Postgres slow"),
    ("Redis killed", "Postgres killed"),
)
TOGETHER = "two at once"


def schedule(seed: int, only: Sequence[str] = ()) -> Iterator[list[Slot]]:
    """Rounds without end: in each all kinds in some order, and then two at once.

    With `only` some kinds, as many as there are of all, and nothing at once.
    """
    draw = random.Random(seed)
    while True:
        kinds = list(islice(cycle(only), len(KINDS))) or list(KINDS)
        draw.shuffle(kinds)
        slots = [CALM]
        slots.extend(
            Slot(kind=kind, faults=(_drawn(draw, kind, draw.randrange(NODES)),)) for kind in kinds
        )
        if only:
            yield slots
            continue
        one, other = draw.choice(PAIRS)
        node = draw.randrange(NODES)
        elsewhere = (node + draw.randrange(1, NODES)) % NODES
        second = _drawn(draw, other, elsewhere)
        later = msgspec.structs.replace(second, delay_s=draw.uniform(0, 1.5))
        slots.append(Slot(kind=TOGETHER, faults=(_drawn(draw, one, node), later)))
        yield slots


def _drawn(draw: random.Random, kind: str, node: int) -> Fault:
    return Fault(kind=kind, node=node, seconds=draw.uniform(*SECONDS[kind]))


async def carry_out(rig: Rig, slot: Slot) -> list[str]:
    """Do it; what should not have come of it."""
    found = await asyncio.gather(*(_carry_out_one(rig, fault) for fault in slot.faults))
    return [what for one in found for what in one]


async def _carry_out_one(rig: Rig, fault: Fault) -> list[str]:
    await asyncio.sleep(fault.delay_s)
    return await KINDS[fault.kind](rig, fault)
