"""What an operator sees of actors, and putting one out of memory."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cinema.actors.dismissal import Dismissal, dismiss
from cinema.actors.inspection import actor_seen, actors_seen, is_draining, phases, ticked_s
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import ANNA, BERT, Node, accepted, audited_world, book, hold

PATIENCE_S = 2.0


def seen(node: Node, showtime_id: bytes) -> Any:
    found = actor_seen(node.kernel, showtime_id)
    assert found is not None
    return found


@in_virtual_time
async def test_a_serving_actor_shows_its_state_and_where_it_stands() -> None:
    async with audited_world() as world:
        showtime_id, other = world.showtime(), world.showtime()
        node = await world.node(commit_lanes=2)
        assert actor_seen(node.kernel, showtime_id) is None
        placed = hold(ANNA, "A1", "A2")
        await node.ask(showtime_id, placed)
        await node.ask(showtime_id, book(ANNA, placed.hold_id))
        await node.ask(other, hold(ANNA, "B1"))
        await asyncio.sleep(1.0)
        actor, memory = seen(node, showtime_id)
        assert (actor.phase, actor.epoch, actor.seq, actor.durable_seq) == ("serving", 1, 2, 2)
        assert (actor.mailbox_depth, actor.watched, actor.failures) == (0, False, 0)
        assert 0.8 <= actor.idle_s <= 1.2
        assert actor.used_s + actor.idle_s == pytest.approx(ticked_s(node.kernel))
        assert actor.lane in {0, 1}
        assert len(actor.state.bookings) == 1
        assert actor.terms.showtime_id == showtime_id
        assert (memory.answers_waiting, memory.unwritten_events, memory.in_flight_seq) == (0, 0, 0)
        assert (memory.snapshot_seq, memory.snapshot_pending, memory.doubts) == (0, False, 0)
        # Nothing was confirmed since the last commit, a second ago.
        assert memory.lease_age_ms is not None
        assert 900 <= memory.lease_age_ms <= 1100
        assert not memory.lease_fresh
        assert {one.showtime_id for one in actors_seen(node.kernel)} == {showtime_id, other}
        assert await phases(node.kernel) == {"serving": 2}
        assert not is_draining(node.kernel)


@in_virtual_time
async def test_what_waits_for_the_disk_is_counted() -> None:
    async with audited_world() as world:
        showtime_id = world.showtime()
        node = await world.warm_node(showtime_id)
        node.store.held.add("append")
        mail = node.tell(showtime_id, hold(ANNA, "A1"))
        await settle()
        node.tell(showtime_id, hold(ANNA, "A2"))
        await settle()
        actor, memory = seen(node, showtime_id)
        assert (actor.seq, actor.durable_seq) == (2, 0)
        assert memory.answers_waiting == 2
        assert (memory.in_flight_seq, memory.unwritten_events) == (1, 1)
        assert memory.lease_fresh
        node.store.held.clear()
        (await node.store.next("append")).finish()
        await mail.answered.wait()


@in_virtual_time
async def test_an_actor_that_loads_shows_no_state() -> None:
    async with audited_world() as world:
        showtime_id = world.showtime()
        node = await world.node()
        node.store.held.add("load")
        mail = node.tell(showtime_id, hold(ANNA, "A1"))
        await settle()
        actor, memory = seen(node, showtime_id)
        assert (actor.phase, actor.mailbox_depth, actor.seq) == ("restoring", 1, 0)
        assert memory.mailbox == {"HoldSeats": 1}
        assert actor.state is None
        assert actor.terms is None
        assert memory.lease_age_ms is None
        (await node.store.next("load")).finish()
        await mail.answered.wait()


# --- out of memory


async def dismissed(node: Node, showtime_id: bytes) -> Dismissal:
    return await dismiss(node.kernel, showtime_id, patience_s=PATIENCE_S)


@in_virtual_time
async def test_a_showtime_nobody_has_in_memory_needs_no_dismissal() -> None:
    async with audited_world() as world:
        node = await world.node()
        assert await dismissed(node, world.showtime()) is Dismissal.NOT_RESIDENT


@in_virtual_time
async def test_a_dismissed_showtime_is_given_back_and_served_again_when_asked() -> None:
    async with audited_world() as world:
        showtime_id = world.showtime()
        node = await world.warm_node(showtime_id)
        placed = hold(ANNA, "A1")
        await node.ask(showtime_id, placed)
        assert await dismissed(node, showtime_id) is Dismissal.DONE
        assert not node.kernel.is_resident(showtime_id)
        assert world.journal.heads[showtime_id].released
        refused = await node.ask(showtime_id, hold(BERT, "A1"))
        assert refused.code == "SEAT_UNAVAILABLE"


@in_virtual_time
async def test_a_busy_showtime_leaves_once_it_is_idle() -> None:
    async with audited_world() as world:
        showtime_id = world.showtime()
        node = await world.warm_node(showtime_id)
        node.store.latency_s["append"] = 0.5
        mail = node.tell(showtime_id, hold(ANNA, "A1"))
        assert await dismissed(node, showtime_id) is Dismissal.DONE
        assert mail.code == "OK"


@in_virtual_time
async def test_a_showtime_that_stays_busy_stays_in_memory() -> None:
    async with audited_world() as world:
        showtime_id = world.showtime()
        node = await world.warm_node(showtime_id)
        node.store.held.add("append")
        mail = node.tell(showtime_id, hold(ANNA, "A1"))
        assert await dismissed(node, showtime_id) is Dismissal.BUSY
        node.store.held.clear()
        (await node.store.next("append")).finish()
        await mail.answered.wait()
        assert node.kernel.is_resident(showtime_id)


@in_virtual_time
async def test_a_watched_showtime_stays() -> None:
    async with audited_world() as world:
        showtime_id = world.showtime()
        node = await world.warm_node(showtime_id)
        feed, _ = await node.watch(showtime_id)
        assert seen(node, showtime_id)[0].watched
        assert await dismissed(node, showtime_id) is Dismissal.WATCHED
        node.kernel.unwatch(showtime_id, feed)
        assert await dismissed(node, showtime_id) is Dismissal.DONE


@in_virtual_time
async def test_a_showtime_in_quarantine_is_forgotten_and_loaded_anew() -> None:
    async with audited_world() as world:
        showtime_id = world.showtime()
        node = await world.node()
        whole, world.journal.heads[showtime_id].seq = 0, 7
        assert (await node.ask(showtime_id, hold(ANNA, "A1"))).code == "RETRY"
        assert seen(node, showtime_id)[0].phase == "quarantined"
        world.journal.heads[showtime_id].seq = whole
        assert (await node.ask(showtime_id, hold(ANNA, "A1"))).code == "RETRY"
        assert await dismissed(node, showtime_id) is Dismissal.DONE
        assert accepted(await node.ask(showtime_id, hold(ANNA, "A1"))).seq == 1
