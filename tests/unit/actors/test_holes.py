"""Each hole the fence closes is opened again, and the auditor must find it.

Every scenario runs twice: with the safeguard taken out it has to violate something, with the real
kernel nothing. So neither the scenarios nor the auditor can go blind unnoticed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cinema.actors.kernel import Kernel
from cinema.actors.messages import ReadSeats, SeatsSeen
from cinema.storage.journal.store import CommitUnknown
from tests.support.actors import weakened
from tests.support.actors.scripted_store import RecordingJournal
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import ANNA, BERT, World, accepted, hold, release, some_id, stop

LOST = CommitUnknown("connection lost")
Scenario = Callable[[World, type[Kernel]], Awaitable[None]]


async def _replaced_owner_writes_after_truncation(world: World, kernel: type[Kernel]) -> None:
    """The rows it would collide with are gone; only the head row remembers them."""
    showtime = world.showtime()
    old = await world.node(kernel)
    await old.ask(showtime, hold(ANNA, "A1"))
    new = await world.node(kernel)
    await new.ask(showtime, hold(BERT, "A2"))
    await new.kernel.truncate(showtime)
    await settle()
    await old.ask(showtime, hold(ANNA, "A2"))


async def _replaced_owner_writes_a_later_number(world: World, kernel: type[Kernel]) -> None:
    """Its first batch collides, the second, already on its way, would slip in behind."""
    showtime = world.showtime()
    old = await world.node(kernel)
    await old.ask(showtime, release(ANNA, some_id()))
    old.store.held.add("append")
    old.tell(showtime, hold(ANNA, "A1"))
    first = await old.store.next("append")
    old.tell(showtime, hold(ANNA, "A2"))
    await settle()
    new = await world.node(kernel)
    await new.ask(showtime, hold(BERT, "A1"))
    old.store.held.clear()
    first.finish()
    for call in old.store.calls:
        call.finish()
    await asyncio.sleep(2)


async def _append_lands_between_load_and_bump(world: World, kernel: type[Kernel]) -> None:
    """The new owner must not serve a state that lacks what the old one was told is durable."""
    showtime = world.showtime()
    old = await world.node(kernel)
    await old.ask(showtime, release(ANNA, some_id()))
    new = await world.node(kernel)
    new.store.held.update({"take_over", "load"})
    read = new.tell(showtime, ReadSeats())
    first = await _next_of_any(new, "take_over", "load")
    first.finish()
    await settle()
    await old.ask(showtime, hold(ANNA, "A1"))
    new.store.held.clear()
    for call in list(new.store.calls):
        call.finish()
    await read.answered.wait()
    await new.ask(showtime, ReadSeats())


async def _next_of_any(node: Any, *names: str) -> Any:
    while True:
        for call in node.store.calls:
            if call.name in names:
                node.store.calls.remove(call)
                return call
        await asyncio.sleep(0.001)


async def _old_owner_reads_under_a_lease(world: World, kernel: type[Kernel]) -> None:
    """It may answer from memory until its lease is over, so the new one must not write before."""
    showtime = world.showtime()
    old = await world.node(kernel)
    await old.ask(showtime, release(ANNA, some_id()))
    new = await world.node(kernel)
    taken = new.tell(showtime, hold(BERT, "A1"))
    await _read_until_fenced(old, showtime)
    await taken.answered.wait()
    assert accepted(taken.outcome)


async def _read_until_fenced(node: Any, showtime: bytes) -> None:
    """One more reader every 20 ms, until the node finds that it was replaced."""
    for _ in range(30):
        await asyncio.sleep(0.02)
        if not isinstance(await node.ask(showtime, ReadSeats()), SeatsSeen):
            return
    raise AssertionError("it still believes to be the owner")


async def _old_owner_refuses_long_after(world: World, kernel: type[Kernel]) -> None:
    """A seat that was given back elsewhere is not taken any more."""
    showtime = world.showtime()
    old = await world.node(kernel)
    wish = hold(ANNA, "A1")
    await old.ask(showtime, wish)
    new = await world.node(kernel)
    await new.ask(showtime, release(ANNA, wish.hold_id))
    await old.ask(showtime, hold(BERT, "A1"))


async def _commands_while_a_batch_is_lost(world: World, kernel: type[Kernel]) -> None:
    """Whatever is said while the batch is in flight must still be so when it never lands."""
    showtime = world.showtime()
    node = await world.node(kernel)
    await node.ask(showtime, release(ANNA, some_id()))
    node.store.held.add("append")
    wish = hold(ANNA, "A1", key=some_id())
    node.tell(showtime, wish)
    call = await node.store.next("append")
    node.tell(showtime, hold(BERT, "A1"))
    node.tell(showtime, ReadSeats())
    node.tell(showtime, wish)
    await settle()
    node.store.held.clear()
    call.fail(LOST)
    await asyncio.sleep(1)


async def _answer_to_a_commit_is_lost(world: World, kernel: type[Kernel]) -> None:
    """It happened: the client must not hear that it did not."""
    showtime = world.showtime()
    node = await world.node(kernel)
    await node.ask(showtime, release(ANNA, some_id()))
    node.store.held.add("append")
    node.tell(showtime, hold(ANNA, "A1"))
    call = await node.store.next("append")
    node.store.held.clear()
    call.execute()
    call.fail(LOST)
    await asyncio.sleep(1)


async def _old_owner_releases_for_the_new_one(world: World, kernel: type[Kernel]) -> None:
    """A third owner would believe that nobody serves, and not wait for the second's lease."""
    showtime = world.showtime()
    old = await world.node(kernel)
    await old.ask(showtime, hold(ANNA, "A1"))
    new = await world.node(kernel)
    await new.ask(showtime, ReadSeats())
    await old.kernel.stop(1)
    await new.ask(showtime, ReadSeats())
    third = await world.node(kernel)
    taken = third.tell(showtime, hold(BERT, "A2"))
    await _read_until_fenced(new, showtime)
    await taken.answered.wait()
    assert accepted(taken.outcome)


async def _successor_has_a_lease_when_a_doubt_ends(world: World, kernel: type[Kernel]) -> None:
    """Who takes a showtime back after a doubt is not the only one who served it meanwhile."""
    showtime = world.showtime()
    old = await world.node(kernel)
    await old.ask(showtime, release(ANNA, some_id()))
    old.store.held.add("append")
    old.tell(showtime, hold(ANNA, "A1"))
    call = await old.store.next("append")
    new = await world.node(kernel)
    await new.ask(showtime, ReadSeats())
    old.store.held.clear()
    call.fail(LOST)
    taken = old.tell(showtime, hold(ANNA, "A2"))
    await _read_until_fenced(new, showtime)
    await taken.answered.wait()
    assert accepted(taken.outcome)


async def _answer_to_a_lease_check_is_late(world: World, kernel: type[Kernel]) -> None:
    """It says what was so when it was asked: meanwhile somebody else has written."""
    showtime = world.showtime()
    old = await world.node(kernel)
    await old.ask(showtime, release(ANNA, some_id()))
    await asyncio.sleep(1)
    old.store.held.add("confirm")
    asked = old.tell(showtime, ReadSeats())
    call = await old.store.next("confirm")
    call.execute()
    new = await world.node(kernel)
    assert accepted(await new.ask(showtime, hold(BERT, "A1")))
    old.store.held.clear()
    call.reply()
    await asked.answered.wait()
    await old.ask(showtime, ReadSeats())


async def _machine_sleeps_under_a_lease(world: World, kernel: type[Kernel]) -> None:
    """It wakes up when somebody else has written, and has not noticed that time went by."""
    showtime = world.showtime()
    old = await world.node(kernel)
    await old.ask(showtime, release(ANNA, some_id()))
    new = await world.node(kernel)
    fell_asleep_ns = old.clock.boot_ns()
    assert accepted(await new.ask(showtime, hold(BERT, "A1")))
    old.clock.asleep_ns = old.clock.boot_ns() - fell_asleep_ns
    await old.ask(showtime, ReadSeats())


HOLES: dict[str, tuple[Scenario, type[RecordingJournal], type[Kernel]]] = {
    "truncation deletes the fence": (
        _replaced_owner_writes_after_truncation,
        weakened.PrimaryKeyJournal,
        Kernel,
    ),
    "a pipelined stale owner": (
        _replaced_owner_writes_a_later_number,
        weakened.PrimaryKeyJournal,
        weakened.Pipelines,
    ),
    "a late append after the successor's read": (
        _append_lands_between_load_and_bump,
        RecordingJournal,
        weakened.LoadsBeforeTheBump,
    ),
    "no wait for the former owner's lease": (
        _old_owner_reads_under_a_lease,
        RecordingJournal,
        weakened.WaitsForNoLease,
    ),
    "a refusal without lease": (
        _old_owner_refuses_long_after,
        RecordingJournal,
        weakened.RefusesWithoutLease,
    ),
    "a success before it is durable": (
        _commands_while_a_batch_is_lost,
        RecordingJournal,
        weakened.AcknowledgesBeforeDurable,
    ),
    "an answer before what it rests on is durable": (
        _commands_while_a_batch_is_lost,
        RecordingJournal,
        weakened.AnswersBeforeDurable,
    ),
    "a snapshot from a former owner": (
        _old_owner_releases_for_the_new_one,
        weakened.TrustingSnapshots,
        Kernel,
    ),
    "another's lease not waited for after doubt": (
        _successor_has_a_lease_when_a_doubt_ends,
        RecordingJournal,
        weakened.TakesOverFromAnybodyAsFromItself,
    ),
    "a lease that counts from the answer": (
        _answer_to_a_lease_check_is_late,
        RecordingJournal,
        weakened.LeaseFromTheAnswer,
    ),
    "a lease on a clock that stops": (
        _machine_sleeps_under_a_lease,
        RecordingJournal,
        weakened.LeaseOnAClockThatStops,
    ),
    "the same seq appended again after doubt": (
        _answer_to_a_commit_is_lost,
        RecordingJournal,
        weakened.AppendsAgainAfterDoubt,
    ),
    "doubt taken for failure": (
        _answer_to_a_commit_is_lost,
        RecordingJournal,
        weakened.CallsDoubtsFailures,
    ),
}


async def _violations(
    scenario: Scenario, journal: type[RecordingJournal], kernel: type[Kernel]
) -> list[str]:
    world = World(journal)
    await scenario(world, kernel)
    await stop(world)
    return world.auditor.finish()


@pytest.mark.parametrize("hole", HOLES)
@in_virtual_time
async def test_the_hole_is_found(hole: str) -> None:
    scenario, journal, kernel = HOLES[hole]
    assert await _violations(scenario, journal, kernel) != []


@pytest.mark.parametrize("scenario", sorted({one for one, _, _ in HOLES.values()}, key=str))
@in_virtual_time
async def test_the_real_kernel_closes_it(scenario: Scenario) -> None:
    assert await _violations(scenario, RecordingJournal, Kernel) == []


@in_virtual_time
async def test_the_fence_stops_even_an_owner_that_pipelines() -> None:
    violations = await _violations(
        _replaced_owner_writes_a_later_number, RecordingJournal, weakened.Pipelines
    )
    assert violations == []
