"""Seats held unpaid at other nodes count too, a moment later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from cinema.cluster import unpaid_counts
from cinema.cluster.unpaid_counts import EVERY_S, UnpaidCounts
from cinema.domain.rejections import Rejection
from tests.support.actors.virtual_time import in_virtual_time
from tests.support.actors.world import ANNA, BERT, accepted, hold, release
from tests.unit.cluster.small_cluster import Place, SmallCluster, small_cluster

LIMIT = 4
LATE_S = 2 * EVERY_S
"""A pause, then an answer: by then everybody knows."""


def bounded(customer: bytes, *labels: str) -> Any:
    return msgspec.structs.replace(hold(customer, *labels), unpaid_limit=LIMIT)


@asynccontextmanager
async def counting(cluster: SmallCluster, count: int) -> AsyncIterator[list[Place]]:
    """Nodes that tell each other what they count."""
    places = await cluster.members(count)
    counts = [
        UnpaidCounts(place.kernel.unpaid, place.node.placement, place.node.peers)
        for place in places
    ]
    for one in counts:
        one.start()
    try:
        yield places
    finally:
        for one in counts:
            await one.stop()


@in_virtual_time
async def test_bound_is_over_the_showtimes_of_all_nodes_a_second_later() -> None:
    async with small_cluster() as cluster, counting(cluster, 3) as places:
        there, here, third = (cluster.showtime_of(place) for place in places)
        held = accepted(await places[0].ask(there, bounded(ANNA, "A1", "A2", "A3", "A4")))
        await asyncio.sleep(LATE_S)
        for place, showtime in zip(places[1:], (here, third), strict=True):
            refused = await place.ask(showtime, bounded(ANNA, "B1"))
            assert isinstance(refused, Rejection)
            assert refused.details == {"limit": "unpaid_seats", "value": LIMIT, "unpaid": LIMIT}
            accepted(await place.ask(showtime, bounded(BERT, "C1")))
        accepted(await places[0].ask(there, release(ANNA, held.event.hold_id)))
        await asyncio.sleep(LATE_S)
        accepted(await places[1].ask(here, bounded(ANNA, "B1")))


@in_virtual_time
async def test_a_dead_nodes_counts_vanish_with_it() -> None:
    async with small_cluster() as cluster, counting(cluster, 3) as places:
        accepted(
            await places[0].ask(cluster.showtime_of(places[0]), bounded(ANNA, "A1", "A2", "A3"))
        )
        await asyncio.sleep(LATE_S)
        assert places[1].kernel.unpaid.on_other_nodes == {ANNA: 3}
        cluster.kill(places[0])
        await asyncio.sleep(10 * EVERY_S)
        assert places[1].kernel.unpaid.on_other_nodes == {}


@in_virtual_time
async def test_answers_hold_what_changed_a_page_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unpaid_counts, "CHANGES_MAX", 3)
    monkeypatch.setattr(unpaid_counts, "SLICE", 2)
    async with small_cluster() as cluster:
        telling, asking = await cluster.members(2)
        here = telling.kernel.unpaid.here
        told = UnpaidCounts(telling.kernel.unpaid, telling.node.placement, telling.node.peers)
        counts = UnpaidCounts(asking.kernel.unpaid, asking.node.placement, asking.node.peers)
        sizes = []

        async def answer(peer_id: bytes, question: bytes) -> bytes:
            reply = await told.answer(peer_id, question)
            sizes.append((len(reply) - 9) // 20)
            return reply

        telling.node.peers.answer(unpaid_counts.TOPIC, answer)
        customers = [bytes([n]) * 16 for n in range(1, 9)]
        here.update(dict.fromkeys(customers, 2))
        for _ in range(3):
            await counts.look()
        assert asking.kernel.unpaid.on_other_nodes == here
        assert sizes == [3, 3, 2]
        del here[customers[0]]
        here[customers[1]] = 7
        await counts.look()
        assert asking.kernel.unpaid.on_other_nodes == here
        # An answer that got lost: the next one is whole again.
        here[customers[2]] = 9
        await told.answer(asking.node_id, (10**6).to_bytes(8, "big"))
        for _ in range(3):
            await counts.look()
        assert asking.kernel.unpaid.on_other_nodes == here
        here.clear()


@in_virtual_time
async def test_a_node_that_does_not_answer_counts_as_it_last_said() -> None:
    async with small_cluster() as cluster:
        telling, asking = await cluster.members(2)
        UnpaidCounts(telling.kernel.unpaid, telling.node.placement, telling.node.peers)
        counts = UnpaidCounts(asking.kernel.unpaid, asking.node.placement, asking.node.peers)
        telling.kernel.unpaid.here[ANNA] = 2
        await counts.look()
        cluster.network.swallows_answers = True
        await counts.look()
        assert asking.kernel.unpaid.on_other_nodes == {ANNA: 2}
        cluster.network.swallows_answers = False
        telling.kernel.unpaid.here.clear()
        await counts.look()
        assert asking.kernel.unpaid.on_other_nodes == {}
