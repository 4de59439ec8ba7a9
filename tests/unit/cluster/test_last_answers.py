"""What a node still owes when it leaves in order."""

from __future__ import annotations

import asyncio

import msgspec
import structlog

from cinema.actors.messages import IN_DOUBT
from cinema.cluster.node import PARTING_LATE
from tests.support import inspection
from tests.support.actors.virtual_time import in_virtual_time
from tests.support.actors.world import ANNA, BERT, Mail, accepted, hold, release, some_id
from tests.unit.cluster.small_cluster import Place, SmallCluster, blindfold, small_cluster

SLOW_S = 0.3


async def _under_way(cluster: SmallCluster) -> tuple[Place, Place, Mail]:
    """Two nodes, and a command without a key that the second one takes long to commit."""
    one, other = await cluster.members(2)
    showtime_id = cluster.showtime_of(other)
    await one.ask(showtime_id, hold(BERT, "D1"))
    other.store.latency_s["append"] = SLOW_S
    mail = one.tell(showtime_id, hold(ANNA, "A1"))
    await asyncio.sleep(SLOW_S / 10)
    return one, other, mail


async def _leave(place: Place) -> None:
    """As the server's own stop."""
    await place.node.drain(5)
    await place.node.leave(10)
    await place.kernel.stop(10)
    await place.node.stop()


@in_virtual_time
async def test_a_node_that_drains_leaves_only_when_all_peers_have_their_answers() -> None:
    async with small_cluster() as cluster:
        _, other, mail = await _under_way(cluster)
        await other.node.drain(5)
        await other.node.leave(5)
        assert mail.answered.is_set()
        assert accepted(mail.outcome).seq == 2


@in_virtual_time
async def test_the_last_answer_of_a_node_that_drained_may_come_after_the_view_without_it() -> None:
    async with small_cluster() as cluster:
        one, other, mail = await _under_way(cluster)
        draining = msgspec.structs.replace(other.me, draining=True)
        inspection.follow(one.node, one.membership.view.with_member(draining))
        inspection.follow(
            one.node, one.forwarder.placement.view.without(frozenset({other.node_id}))
        )
        assert not mail.answered.is_set()
        await mail.answered.wait()
        assert accepted(mail.outcome).seq == 2
        # Nothing is on its way there any more: the connection goes, too.
        await asyncio.sleep(1)
        assert inspection.leaving_peers(one.node.peers) == []


@in_virtual_time
async def test_a_node_that_leaves_puts_nothing_in_doubt_that_others_send_it_too_late() -> None:
    """The other node learns of the views late: it sends to the node that leaves until the end."""
    async with small_cluster() as cluster:
        cluster.network.delay_s = 0.01
        one, other = await cluster.members(2)
        showtime_id = cluster.showtime_of(other)
        await one.ask(showtime_id, hold(BERT, "D1"))
        see_again = blindfold(one)
        leaving = asyncio.ensure_future(_leave(other))
        mails = []
        while not leaving.done():
            mails.append(one.tell(showtime_id, release(ANNA, some_id())))
            await asyncio.sleep(0.001)
        see_again()
        for mail in mails:
            await mail.answered.wait()
        assert {mail.code for mail in mails} == {"NOT_FOUND"}
        assert one.owns(showtime_id)


@in_virtual_time
async def test_a_node_does_not_wait_for_ever_for_peers_to_hang_up() -> None:
    """A build from before the farewell takes no notice of it."""
    async with small_cluster() as cluster:
        one, other = await cluster.members(2)
        await one.ask(cluster.showtime_of(other), hold(BERT, "D1"))
        inspection.ignore_farewells(one.node)
        with structlog.testing.capture_logs() as events:
            await _leave(other)
        [late] = [event for event in events if event["event"] == PARTING_LATE]
        assert late["links"] == 1
        assert cluster.views.view.member(other.node_id) is None


@in_virtual_time
async def test_a_node_that_died_owes_nothing() -> None:
    async with small_cluster() as cluster:
        one, other, mail = await _under_way(cluster)
        inspection.follow(one.node, one.membership.view.without(frozenset({other.node_id})))
        await asyncio.sleep(0)
        assert mail.outcome == IN_DOUBT
