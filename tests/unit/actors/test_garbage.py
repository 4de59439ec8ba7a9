"""A showtime that leaves memory takes its actor with it: nothing is left for a collector to find.

Tens of thousands leave together, and a collection that has to find them holds the loop up.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator

import pytest

from cinema.actors.actor import ShowtimeActor
from cinema.actors.dismissal import Dismissal, dismiss
from cinema.actors.messages import NO_SHOWTIME, ReadSeats
from cinema.domain.limits import PASSIVATIONS_PER_STEP, REPLY_RECORDS_KEPT
from cinema.storage.journal.store import StoreUnavailable
from tests.support import inspection
from tests.support.actors.neighbourhood import pair
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import (
    ANNA,
    BERT,
    HOLD_TTL_S,
    PLAN,
    Node,
    World,
    audited_world,
    hold,
    some_id,
)

IDLE = {"idle_passivation_s": 1.0}


@pytest.fixture(autouse=True)
def _uncollected() -> Iterator[None]:
    """What is garbage in cycles stays, so that it can be seen."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def _actors_of(node: Node) -> int:
    """How many actors of a node there are, in use or not."""
    # Statements are kept with their arguments, which name the actors they are for.
    node.store.seen.clear()
    kernel = node.kernel
    return sum(
        type(one) is ShowtimeActor and inspection.is_of(kernel, one) for one in gc.get_objects()
    )


async def _falls_idle(world: World) -> Node:
    node = await world.node(**IDLE)
    for _ in range(2 * PASSIVATIONS_PER_STEP):
        await node.ask(world.showtime(), hold(ANNA, "A1"))
    await asyncio.sleep(5)
    return node


async def _leaves_while_messages_come(world: World) -> Node:
    showtime = world.showtime()
    node = await world.warm_node(showtime, **IDLE)
    node.store.held.add("save")
    save = await node.store.next("save")
    node.store.held.clear()
    mail = node.tell(showtime, hold(BERT, "A2"))
    save.finish()
    await mail.answered.wait()
    await asyncio.sleep(5)
    return node


async def _is_released_with_an_unknown_end(world: World) -> Node:
    showtime = world.showtime()
    node = await world.warm_node(showtime, **IDLE)
    node.store.down["save"] = StoreUnavailable("gone")
    await asyncio.sleep(5)
    assert node.store.count("save") > 1
    # The error knows the statements that it was raised in.
    node.store.down.clear()
    await asyncio.sleep(5)
    return node


async def _is_another_owners_when_the_commit_comes(world: World) -> Node:
    showtime = world.showtime()
    node = await world.warm_node(showtime, **IDLE)
    node.store.held.add("append")
    mail = node.tell(showtime, hold(ANNA, "A1"))
    late = await node.store.next("append")
    other = await world.node()
    await other.ask(showtime, hold(BERT, "A1"))
    late.finish()
    await mail.answered.wait()
    await asyncio.sleep(5)
    return node


async def _does_not_exist(world: World) -> Node:
    node = await world.node()
    assert await node.ask(some_id(), ReadSeats()) is NO_SHOWTIME
    await settle()
    return node


async def _is_dismissed_from_quarantine(world: World) -> Node:
    damaged = world.showtime()
    world.journal.snapshots[damaged] = (0, b"not a snapshot")
    node = await world.node()
    assert (await node.ask(damaged, hold(ANNA, "A1"))).code == "RETRY"
    assert await dismiss(node.kernel, damaged, patience_s=1) is Dismissal.DONE
    return node


async def _moves_to_another_node(world: World) -> Node:
    showtime, old, new = await pair(world)
    old.hood.owner[showtime] = new
    await new.node.ask(showtime, hold(ANNA, "A1"))
    await old.node.kernel.release(showtime)
    return old.node


async def _is_asked_for_by_a_node_that_owns_it_no_more(world: World) -> Node:
    showtime, old, new = await pair(world)
    await old.node.kernel.release(showtime)
    old.hood.owner[showtime] = new
    mail = old.node.tell(showtime, hold(ANNA, "A1"))
    await mail.answered.wait()
    return old.node


async def _ends_with_its_node(world: World) -> Node:
    node = await world.node()
    for _ in range(2 * PASSIVATIONS_PER_STEP):
        await node.ask(world.showtime(), hold(ANNA, "A1"))
    await node.kernel.stop(5)
    return node


async def _is_given_up_before_the_archive_answers(world: World) -> Node:
    showtime = world.showtime()
    node = await world.node(snapshot_every_events=10)
    oldest = hold(ANNA, PLAN.labels[-1], key=some_id())
    await node.ask(showtime, oldest)
    for label in PLAN.labels[: REPLY_RECORDS_KEPT + 10]:
        await node.ask(showtime, hold(ANNA, label, key=some_id()))
    await asyncio.sleep(HOLD_TTL_S + 1)
    await node.ask(showtime, hold(BERT, "A1"))
    await asyncio.sleep(1)
    node.store.held.add("recall")
    mail = node.tell(showtime, oldest)
    late = await node.store.next("recall")
    inspection.forget(node.kernel, node.actor(showtime))
    late.finish()
    await mail.answered.wait()
    assert mail.code == "RETRY"
    await settle()
    return node


@pytest.mark.parametrize(
    "leaves",
    [
        _falls_idle,
        _leaves_while_messages_come,
        _is_released_with_an_unknown_end,
        _is_another_owners_when_the_commit_comes,
        _does_not_exist,
        _is_dismissed_from_quarantine,
        _moves_to_another_node,
        _is_asked_for_by_a_node_that_owns_it_no_more,
        _ends_with_its_node,
        _is_given_up_before_the_archive_answers,
    ],
)
@in_virtual_time
async def test_nothing_is_left_of_an_actor_whose_showtime(
    leaves: Callable[[World], Awaitable[Node]],
) -> None:
    async with audited_world() as world:
        node = await leaves(world)
        assert node.kernel.resident_count == 0
        assert _actors_of(node) == 0


@in_virtual_time
async def test_an_actor_in_use_is_seen() -> None:
    async with audited_world() as world:
        node = await world.warm_node(world.showtime())
        assert _actors_of(node) == 1
