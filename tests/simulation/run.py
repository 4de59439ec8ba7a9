"""One seed, from its beginning to its verdict."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import structlog

from cinema.actors.kernel import Kernel
from cinema.cluster import handover
from cinema.cluster.node import ClusterNode
from cinema.domain.showtime import expiry, offers
from cinema.domain.showtime import state as showtime_state
from tests.simulation.chance import nothing_left_to_chance
from tests.simulation.checker import check
from tests.simulation.trace import Trace
from tests.simulation.world import World
from tests.support.actors.scripted_store import RecordingJournal

BUGS = frozenset({"error", "critical", "exception"})
"""Levels of log events that no run may cause."""

EXPECTED = frozenset({"declared_dead"})
"""Errors that are part of the game."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one seed; `chaos_digest` is of the part in which there are faults."""

    seed: int
    digest: str
    chaos_digest: str
    violations: tuple[tuple[int, str], ...]
    attempts: int
    events: int
    steps: int
    took_s: float
    lines: tuple[tuple[int, str], ...] = ()


def simulate(
    seed: int,
    *,
    nodes: int = 0,
    keep_trace: bool = False,
    chaos_only: bool = False,
    journal_type: type[RecordingJournal] = RecordingJournal,
    kernel_type: type[Kernel] = Kernel,
    cluster_type: type[ClusterNode] = ClusterNode,
) -> Verdict:
    """Run a seed; the same seed gives the same digests in every process.

    With `nodes` it is one of a cluster of so many. With `chaos_only` it ends when the faults do, in
    a fourth of the time, and nothing is checked.
    """
    began_s = time.perf_counter()
    gc.disable()  # A collection ends forgotten coroutines, at moments that nobody can replay.
    world = World(
        seed,
        nodes=nodes,
        keep_trace=keep_trace,
        journal_type=journal_type,
        kernel_type=kernel_type,
        cluster_type=cluster_type,
    )
    try:
        with _logging_to(world), _keeping_little(world), nothing_left_to_chance(world.violate):
            try:
                world.run(chaos_only=chaos_only)
            except Exception as error:  # noqa: BLE001  # the run itself is under test
                world.violate(f"the run broke off: {error!r}")
            if not chaos_only:
                check(world)
        return _verdict(world, time.perf_counter() - began_s)
    finally:
        with structlog.testing.capture_logs():
            world.bury()
        del world
        gc.enable()


def _verdict(world: World, took_s: float) -> Verdict:
    trace: Trace = world.trace
    events = sum(len(written) for written in world.journal.ledger.values())
    trace.add(
        f"end: {world.scheduler.steps} steps, {len(world.attempts)} requests, {events} events"
    )
    return Verdict(
        seed=world.seed,
        digest=trace.hexdigest(),
        chaos_digest=world.chaos_digest,
        violations=tuple(world.violations),
        attempts=len(world.attempts),
        events=events,
        steps=world.scheduler.steps,
        took_s=took_s,
        lines=tuple(trace.lines or ()),
    )


@contextmanager
def _logging_to(world: World) -> Iterator[None]:
    """What the server logs goes into the trace; an error in it is a violation."""

    def note(_logger: Any, level: str, event: dict[str, Any]) -> Any:
        name = event.pop("event", "")
        error = event.pop("exc_info", None)
        if error is True:
            error = sys.exc_info()[1]
        told = " ".join(f"{key}={value}" for key, value in event.items())
        if level in BUGS and name not in EXPECTED:
            world.violate(f"logged {name} {told} {error!r}")
        else:
            world.trace.add(f"log: {name} {told}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[note], cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)


@contextmanager
def _keeping_little(world: World) -> Iterator[None]:
    """Tiny bounds, so that the archive and the handover have something to do."""
    bounds: list[tuple[Any, str, int]] = [
        (showtime_state, "ENDED_HOLDS_KEPT", world.profile.ended_kept),
        (showtime_state, "REPLY_RECORDS_KEPT", world.profile.replies_kept),
        (offers, "OFFER_TTL_S", world.profile.offer_ttl_s),
        (expiry, "EXPIRIES_WITH_WAITLIST", 1),
        (handover, "HANDOVERS_AT_ONCE", 1),
    ]
    before = [getattr(module, name) for module, name, _ in bounds]
    for module, name, value in bounds:
        setattr(module, name, value)
    try:
        yield
    finally:
        for (module, name, _), value in zip(bounds, before, strict=True):
            setattr(module, name, value)
