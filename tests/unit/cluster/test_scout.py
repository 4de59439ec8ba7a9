"""One node searches for all others, and each for itself while that one does not answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest
import structlog

from cinema.actors import activation, timers
from cinema.cluster import placement, scout
from cinema.cluster.peers import PeerRefused
from cinema.cluster.ring import Ring, RingNode
from cinema.domain.limits import DUE_SWEEP_S
from cinema.storage.journal.store import StoreUnavailable
from tests.support.actors.virtual_time import in_virtual_time
from tests.support.actors.world import ANNA, HOLD_TTL_S, hold, true_time_us
from tests.unit.cluster.small_cluster import Place, SmallCluster, small_cluster

NODES = 100
LOOKED_S = 5


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """The log events of the test, instead of lines on the terminal."""
    with structlog.testing.capture_logs() as events:
        yield events


async def _sent(places: Sequence[Place], name: str, seconds: float = LOOKED_S) -> int:
    """How many statements of a name all nodes send in some seconds."""
    before = sum(one.store.count(name) for one in places)
    await asyncio.sleep(seconds)
    return sum(one.store.count(name) for one in places) - before


def _end_us(cluster: SmallCluster, showtime_id: bytes) -> int | None:
    """When the hold of a showtime has ended."""
    world = cluster.world
    if "HoldExpired" not in world.events(showtime_id):
        return None
    return world.journal.ledger[showtime_id][world.events(showtime_id).index("HoldExpired")].at_us


async def _idle_holds(cluster: SmallCluster, places: Sequence[Place]) -> dict[bytes, int]:
    """A hold on a showtime of each node, not in memory any more; when each comes due."""
    due_us = {}
    for place in places:
        showtime_id = cluster.showtime_of(place)
        held = await place.ask(showtime_id, hold(ANNA, "A1"))
        due_us[showtime_id] = held.event.expires_at_us
        await place.kernel.release(showtime_id)
        assert not place.kernel.is_resident(showtime_id)
    return due_us


async def _all_end_in_time(cluster: SmallCluster, due_us: dict[bytes, int]) -> None:
    await asyncio.sleep((max(due_us.values()) - true_time_us()) / 1e6 + 1.0)
    for showtime_id, due in due_us.items():
        end_us = _end_us(cluster, showtime_id)
        assert end_us is not None
        assert due <= end_us <= due + 1_000_000


# --- a hundred nodes


@in_virtual_time
async def test_a_hundred_nodes_search_as_often_as_one() -> None:
    async with small_cluster() as cluster:
        places = await cluster.many(NODES)
        await asyncio.sleep(2)
        searches = await _sent(places, "due")
        assert searches <= LOOKED_S / DUE_SWEEP_S + 1
        # One more counts them all, as they did before: each for itself.
        for one in places:
            one.kernel.search_with(timers.NO_NEWS)
        assert await _sent(places, "due") >= NODES * (LOOKED_S / DUE_SWEEP_S - 1)


@in_virtual_time
async def test_a_hundred_nodes_look_through_all_heads_once_when_one_dies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(activation, "LEFT_BEHIND_PAGE", 10)
    async with small_cluster() as cluster:
        places = await cluster.many(NODES)
        dead = places[7]
        heads = [cluster.showtime_of(dead) for _ in range(40)]
        for one in heads:
            await dead.ask(one, hold(ANNA, "A1"))
        cluster.kill(dead)
        living = [one for one in places if one is not dead]
        before = sum(one.store.count("left_behind") for one in living)
        view = cluster.views.view.without(frozenset({dead.node_id}))
        await cluster.show(view, living)
        await asyncio.sleep(3)
        looks = sum(one.store.count("left_behind") for one in living) - before
        assert looks <= len(cluster.world.journal.heads) / 10 + 1
        assert {cluster.world.journal.heads[one].epoch for one in heads} == {2}
        owners = {one: place.node_id for one in heads for place in living if place.owns(one)}
        assert {one: cluster.world.journal.heads[one].owner for one in heads} == owners


@in_virtual_time
async def test_the_scout_looks_owners_up_once_for_all_that_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(placement, "OWNERS_KEPT", 5)
    async with small_cluster() as cluster:
        places = await cluster.many(NODES)
        dead, first = places[7], places[0]
        heads = [cluster.showtime_of(dead) for _ in range(40)]
        for one in heads:
            await dead.ask(one, hold(ANNA, "A1"))
        cluster.kill(dead)
        asked: list[bytes] = []
        owner_of = Ring.owner_of

        def counted(ring: Ring, showtime_id: bytes) -> RingNode | None:
            if ring is first.node.placement.ring:
                asked.append(showtime_id)
            return owner_of(ring, showtime_id)

        monkeypatch.setattr(Ring, "owner_of", counted)
        living = [one for one in places if one is not dead]
        await cluster.show(cluster.views.view.without(frozenset({dead.node_id})), living)
        await asyncio.sleep(3)
        assert await _inherited(cluster, heads)
        # Once for itself, and once for all others.
        assert max(Counter(asked).values()) <= 2


# --- what comes due


@in_virtual_time
async def test_holds_of_all_nodes_end_in_time_though_one_searches() -> None:
    async with small_cluster() as cluster:
        places = await cluster.members(4)
        due_us = await _idle_holds(cluster, places)
        assert await _sent(places[1:], "due") == 0
        await _all_end_in_time(cluster, due_us)


@in_virtual_time
async def test_holds_end_in_time_when_the_scout_dies_just_before() -> None:
    async with small_cluster() as cluster:
        places = await cluster.members(4)
        due_us = await _idle_holds(cluster, places[1:])
        await asyncio.sleep(HOLD_TTL_S - 1.3)
        cluster.kill(places[0])
        await _all_end_in_time(cluster, due_us)


@in_virtual_time
async def test_holds_end_in_time_when_the_scouts_postgres_does_not_answer() -> None:
    async with small_cluster() as cluster:
        places = await cluster.members(4)
        due_us = await _idle_holds(cluster, places[1:])
        places[0].store.down["due"] = StoreUnavailable("gone")
        await asyncio.sleep(2)
        # The second searches for the others.
        assert await _sent(places[1:], "due") <= LOOKED_S / DUE_SWEEP_S + 1
        await _all_end_in_time(cluster, due_us)


@in_virtual_time
async def test_a_scout_whose_answers_are_old_is_not_relied_upon() -> None:
    async with small_cluster() as cluster:
        places = await cluster.members(3)
        for one in places[:2]:
            one.store.latency_s["due"] = 0.8
        due_us = {}
        for _ in range(12):
            due_us |= await _idle_holds(cluster, places[2:])
            await asyncio.sleep(0.1)
        await asyncio.sleep(HOLD_TTL_S)
        ends_us = {one: _end_us(cluster, one) for one in due_us}
        assert all(ends_us.values())
        # A look of the clock's later, and not when the next search has come.
        assert max(ends_us[one] - due_us[one] for one in due_us) <= 150_000


@in_virtual_time
async def test_holds_end_in_time_when_nobody_answers_questions() -> None:
    async with small_cluster() as cluster:
        places = await cluster.members(4)
        due_us = await _idle_holds(cluster, places)
        cluster.network.swallows_answers = True
        assert await _sent(places, "due") > 3 * LOOKED_S
        await _all_end_in_time(cluster, due_us)


@in_virtual_time
async def test_a_node_that_goes_by_another_view_searches_for_itself() -> None:
    async with small_cluster() as cluster:
        first, second = await cluster.members(2)
        await asyncio.sleep(2)
        question = msgspec.msgpack.encode([first.membership.view.version + 1])
        with pytest.raises(PeerRefused, match="another view"):
            await second.node.peers.peer(first.me).ask(scout.DUE_TOPIC, question, 1.0)


@in_virtual_time
async def test_an_answer_that_cannot_be_read_is_none() -> None:
    async with small_cluster() as cluster:
        places = await cluster.members(4)
        due_us = await _idle_holds(cluster, places)
        for one in places:
            one.node.peers.answer(scout.DUE_TOPIC, _nonsense)
        await _all_end_in_time(cluster, due_us)


async def _nonsense(_peer_id: bytes, _payload: bytes) -> bytes:
    return msgspec.msgpack.encode("of a later build")


@pytest.mark.parametrize(("page", "limit"), [(500, 3), (2, 1)])
@in_virtual_time
async def test_a_backlog_that_is_too_large_is_searched_by_each_node(
    monkeypatch: pytest.MonkeyPatch, page: int, limit: int
) -> None:
    monkeypatch.setattr(timers, "DUE_SWEEP_PAGE", page)
    monkeypatch.setattr(timers, "DUE_SHARED_LIMIT", limit)
    async with small_cluster() as cluster:
        places = await cluster.members(2)
        due_us = await _idle_holds(cluster, places * 4)
        await _all_end_in_time(cluster, due_us)


@in_virtual_time
async def test_a_node_wakes_a_bounded_number_of_what_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timers, "DUE_SWEEP_PAGE", 2)
    async with small_cluster() as cluster:
        places = await cluster.members(2)
        due_us = await _idle_holds(cluster, [places[1]] * 3)
        await _all_end_in_time(cluster, due_us)


# --- what dead nodes have left


async def _left(cluster: SmallCluster, dead: Place, count: int) -> list[bytes]:
    """Showtimes of a node that is killed."""
    showtimes = [cluster.showtime_of(dead) for _ in range(count)]
    for one in showtimes:
        await dead.ask(one, hold(ANNA, "A1"))
    cluster.kill(dead)
    return showtimes


async def _inherited(cluster: SmallCluster, showtimes: Sequence[bytes]) -> bool:
    living = {one.node_id for one in cluster.views.view.members}
    return all(cluster.world.journal.heads[one].owner in living for one in showtimes)


@pytest.mark.parametrize("statement", ["left_behind", "inherit"])
@in_virtual_time
async def test_each_looks_for_itself_when_the_scout_cannot(statement: str) -> None:
    async with small_cluster() as cluster:
        places = await cluster.members(4)
        places[0].store.down[statement] = StoreUnavailable("gone")
        showtimes = await _left(cluster, places[3], 12)
        await asyncio.sleep(10)
        of_others = [one for one in showtimes if not places[0].owns(one)]
        assert of_others
        assert await _inherited(cluster, of_others)


@in_virtual_time
async def test_nobody_waits_for_a_scout_that_has_missed_nobody() -> None:
    async with small_cluster() as cluster:
        first, second, _ = await cluster.members(3)
        question = msgspec.msgpack.encode([cluster.views.view.version, 0, 0])
        with pytest.raises(PeerRefused, match="not looked"):
            await second.node.peers.peer(first.me).ask(
                scout.ESTATE_TOPIC, question, scout.ESTATE_WAIT_S / 4
            )


@in_virtual_time
async def test_a_node_that_starts_again_hears_from_the_scout_what_its_former_self_has_left() -> (
    None
):
    async with small_cluster() as cluster:
        first, _, dead = await cluster.members(3)
        showtimes = [cluster.showtime_of(dead) for _ in range(12)]
        for one in showtimes:
            await dead.ask(one, hold(ANNA, "A1"))
        cluster.kill(dead)
        again = await cluster.place()
        cluster.network.listeners[dead.me.cluster_port] = again.node.accept
        await again.node.join(msgspec.structs.replace(dead.me, node_id=again.node_id))
        await first.membership.refresh()
        await asyncio.sleep(scout.ESTATE_WAIT_S / 2)
        assert again.store.count("left_behind") == 0
        assert await _inherited(cluster, [one for one in showtimes if again.owns(one)])


@in_virtual_time
async def test_an_estate_that_cannot_be_read_is_looked_for() -> None:
    async with small_cluster() as cluster:
        places = await cluster.members(3)
        places[0].node.peers.answer(scout.ESTATE_TOPIC, _nonsense)
        showtimes = await _left(cluster, places[2], 12)
        await asyncio.sleep(10)
        assert await _inherited(cluster, showtimes)


@in_virtual_time
async def test_each_looks_for_itself_when_the_scout_is_silent() -> None:
    async with small_cluster() as cluster:
        places = await cluster.members(3)
        places[0].store.held.add("left_behind")
        showtimes = await _left(cluster, places[2], 12)
        await asyncio.sleep(10)
        assert await _inherited(cluster, [one for one in showtimes if places[1].owns(one)])


@in_virtual_time
async def test_what_the_scout_has_found_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scout, "ESTATE_KEPT_S", 5.0)
    async with small_cluster() as cluster:
        places = await cluster.members(3)
        showtimes = await _left(cluster, places[2], 3)
        await asyncio.sleep(20)
        assert await _inherited(cluster, showtimes)
        question = msgspec.msgpack.encode([cluster.views.view.version, 0, 0])
        with pytest.raises(PeerRefused, match="not looked"):
            await places[1].node.peers.peer(places[0].me).ask(scout.ESTATE_TOPIC, question, 5.0)
