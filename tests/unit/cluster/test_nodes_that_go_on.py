"""Nodes that must not be stopped by one error."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import structlog

from cinema.cluster.node import SecretWrong
from tests.support.actors.virtual_time import in_virtual_time
from tests.support.actors.world import ANNA, accepted, hold, release, some_id
from tests.unit.cluster.small_cluster import small_cluster


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """The log events of the test, instead of lines and tracebacks on the terminal."""
    with structlog.testing.capture_logs() as events:
        yield events


@in_virtual_time
async def test_node_is_not_taken_for_another_one_at_its_own_address() -> None:
    async with small_cluster() as cluster:
        one = await cluster.place()
        cluster.views.lose_next = 1
        await one.node.join(one.me)
        assert one.membership.view.member(one.node_id) is not None


@in_virtual_time
async def test_heart_goes_on_beating_after_an_unforeseen_error() -> None:
    async with small_cluster() as cluster:
        one = await cluster.member()
        one.beats.errors.append(RuntimeError("a bug in a driver"))
        await asyncio.sleep(2.0)
        before = cluster.beats[one.node_id].count
        await asyncio.sleep(2.0)
        assert cluster.beats[one.node_id].count > before


@in_virtual_time
async def test_handover_goes_on_after_a_showtime_that_cannot_be_released() -> None:
    async with small_cluster() as cluster:
        one = await cluster.member()
        showtimes = [cluster.world.showtime() for _ in range(40)]
        for showtime_id in showtimes:
            await one.ask(showtime_id, hold(ANNA, "A1"))
        release, broken = one.kernel.release, []

        async def release_or_fail(showtime_id: bytes) -> None:
            if not broken:
                broken.append(showtime_id)
                raise RuntimeError("a bug")
            await release(showtime_id)

        one.kernel.release = release_or_fail  # type: ignore[method-assign]
        await cluster.member()
        await asyncio.sleep(3.0)
        assert broken
        assert await one.kernel.showtimes_of_others() == []


@in_virtual_time
async def test_node_with_another_secret_does_not_become_a_member() -> None:
    async with small_cluster() as cluster:
        one, other = await cluster.members(2)
        stranger = await cluster.place(secret=b"known to the nodes of another cluster")
        with pytest.raises(SecretWrong):
            await stranger.node.join(stranger.me)
        assert {one.node_id for one in cluster.views.view.members} == {one.node_id, other.node_id}


@in_virtual_time
async def test_node_joins_though_one_member_has_another_secret_and_one_is_dead() -> None:
    async with small_cluster() as cluster:
        one = await cluster.member()
        wrong = await cluster.place(secret=b"known to the nodes of another cluster")
        dead = msgspec.structs.replace(one.me, node_id=some_id(), port=9000, cluster_port=9001)
        for member in (wrong.me, dead):
            assert await cluster.views.propose(cluster.views.view.with_member(member), b"")
        joined = await cluster.member()
        assert joined.membership.joined


@in_virtual_time
async def test_first_nodes_join_while_all_former_members_are_dead() -> None:
    async with small_cluster() as cluster:
        one = await cluster.place()
        dead = msgspec.structs.replace(one.me, node_id=some_id(), port=9000, cluster_port=9001)
        assert await cluster.views.propose(cluster.views.view.with_member(dead), b"")
        await one.node.join(one.me)
        assert one.membership.joined


@in_virtual_time
async def test_showtimes_asked_for_all_at_once_are_all_given_back() -> None:
    """None is taken by force, which would cost its clients a lease and their last commands."""
    async with small_cluster() as cluster:
        one = await cluster.member()
        one.store.latency_s = {"append": 0.003, "save": 0.004}
        cluster.network.delay_s = 0.001
        showtimes = [cluster.world.showtime() for _ in range(900)]
        for showtime_id in showtimes:
            one.tell(showtime_id, release(ANNA, some_id()))
        await asyncio.sleep(1.0)
        other = await cluster.member()
        moved = [showtime_id for showtime_id in showtimes if other.owns(showtime_id)]
        assert len(moved) > 300
        mails = [other.tell(showtime_id, hold(ANNA, "A1")) for showtime_id in moved]
        for mail in mails:
            await mail.answered.wait()
            accepted(mail.outcome)
        assert one.kernel.metrics.fenced == 0
