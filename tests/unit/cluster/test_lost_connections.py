"""What becomes of a message whose way breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from cinema.actors.messages import IN_DOUBT, TRY_AGAIN
from cinema.cluster.forwarder import LATE_ANSWER_NS
from tests.support import inspection
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import ANNA, BERT, accepted, hold, release, some_id
from tests.unit.cluster.small_cluster import HEARTBEAT_TIMEOUT_S, small_cluster


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """The log events of the test, instead of lines and tracebacks on the terminal."""
    with structlog.testing.capture_logs() as events:
        yield events


@in_virtual_time
async def test_command_whose_effect_is_in_doubt_is_never_answered_with_retry() -> None:
    async with small_cluster() as cluster:
        one, other = await cluster.members(2)
        showtime_id = cluster.showtime_of(other)
        await one.ask(showtime_id, hold(BERT, "D1"))
        # Carried out and durable, but the answer is lost with the connection for good.
        cluster.network.swallows_answers = True
        mail = one.tell(showtime_id, hold(ANNA, "A1", key=some_id()))
        await asyncio.sleep(0.2)
        assert len(cluster.world.events(showtime_id)) == 2
        del cluster.network.listeners[other.me.cluster_port]
        cluster.network.cut()
        await mail.answered.wait()
        assert mail.outcome == IN_DOUBT
        assert one.forwarder.metrics.in_doubt == 1


@in_virtual_time
async def test_owner_that_cannot_serve_a_repeated_command_does_not_deny_its_effect() -> None:
    async with small_cluster() as cluster:
        one, other = await cluster.members(2)
        showtime_id = cluster.showtime_of(other)
        await one.ask(showtime_id, hold(BERT, "D1"))
        cluster.network.swallows_answers = True
        mail = one.tell(showtime_id, hold(ANNA, "A1", key=some_id()))
        await asyncio.sleep(0.2)
        inspection.drain(other.kernel)
        cluster.network.swallows_answers = False
        cluster.network.cut()
        await mail.answered.wait()
        assert mail.outcome == IN_DOUBT


@in_virtual_time
async def test_command_with_a_key_is_repeated_until_an_owner_can_say_what_became_of_it() -> None:
    """Also if the owner that is asked again cannot serve at first."""
    async with small_cluster() as cluster:
        one, other = await cluster.members(2)
        showtime_id = cluster.showtime_of(other)
        await one.ask(showtime_id, hold(BERT, "D1"))
        cluster.network.swallows_answers = True
        mail = one.tell(showtime_id, hold(ANNA, "A1", key=some_id()))
        await asyncio.sleep(0.2)
        cluster.kill(other)
        one.kernel.load.limit = 0  # Every new message is refused.
        await asyncio.sleep(HEARTBEAT_TIMEOUT_S + 2)
        assert one.owns(showtime_id)
        assert not mail.answered.is_set()
        one.kernel.load.limit = 100
        await mail.answered.wait()
        assert accepted(mail.outcome).replayed


@in_virtual_time
async def test_command_with_a_key_is_repeated_when_its_owner_cannot_say_what_became_of_it() -> None:
    """As when a node stops before its commit was answered."""
    async with small_cluster() as cluster:
        one, other = await cluster.members(2)
        showtime_id = cluster.showtime_of(other)
        await one.ask(showtime_id, hold(BERT, "D1"))
        other.store.held.add("append")
        with_key = one.tell(showtime_id, hold(ANNA, "A1", key=some_id()))
        without = one.tell(showtime_id, hold(ANNA, "A2"))
        await other.store.next("append")
        await other.node.drain(0.1)
        await other.kernel.stop(0.1)
        other.store.held.clear()
        await other.node.leave(5)
        await asyncio.gather(with_key.answered.wait(), without.answered.wait())
        assert accepted(with_key.outcome).event is not None
        assert without.outcome == IN_DOUBT


@in_virtual_time
async def test_owner_after_next_does_not_deny_what_the_one_before_did() -> None:
    """As before, and the command ends at this node, which owns the showtime by then."""
    async with small_cluster() as cluster:
        one, other = await cluster.members(2)
        showtime_id = cluster.showtime_of(other)
        await one.ask(showtime_id, hold(BERT, "D1"))
        cluster.network.swallows_answers = True
        mail = one.tell(showtime_id, hold(ANNA, "A1", key=some_id()))
        await asyncio.sleep(0.2)
        one.store.down["take_over"] = one.store.down["load"] = cluster.unreachable()
        cluster.kill(other)
        await mail.answered.wait()
        assert one.owns(showtime_id)
        assert mail.outcome == IN_DOUBT


@in_virtual_time
async def test_repeated_command_gets_its_first_success() -> None:
    async with small_cluster() as cluster:
        one, other = await cluster.members(2)
        showtime_id = cluster.showtime_of(other)
        await one.ask(showtime_id, hold(BERT, "D1"))
        cluster.network.swallows_answers = True
        mail = one.tell(showtime_id, hold(ANNA, "A1", key=some_id()))
        await asyncio.sleep(0.2)
        cluster.kill(other)
        await mail.answered.wait()
        assert accepted(mail.outcome).replayed


@in_virtual_time
async def test_what_waits_at_a_dead_node_is_not_done_after_its_sender_was_refused() -> None:
    async with small_cluster() as cluster:
        one, dead = await cluster.members(2)
        showtime_id = cluster.showtime_of(dead)
        wish = hold(BERT, "A1")
        await one.ask(showtime_id, wish)
        await dead.kernel.release(showtime_id)
        dead.store.held.add("take_over")
        mail = one.tell(showtime_id, hold(ANNA, "A1", key=some_id()))
        waking = await dead.store.next("take_over")
        await inspection.propose(
            one.membership, one.membership.view.without(frozenset({dead.node_id}))
        )
        await mail.answered.wait()
        assert mail.code == "SEAT_UNAVAILABLE"
        await one.ask(showtime_id, release(BERT, wish.hold_id))
        # It wakes up, learns that it is dead, and has the command still.
        waking.fail(cluster.unreachable())
        await dead.membership.refresh()
        await asyncio.sleep(2.0)
        assert not dead.kernel.is_resident(showtime_id)
        assert cluster.world.events(showtime_id) == ["SeatsHeld", "HoldReleased"]


@in_virtual_time
async def test_a_new_connection_of_a_peer_replaces_the_one_before() -> None:
    """What the old one still brings was sent again meanwhile: it must not be heard after that."""
    async with small_cluster() as cluster:
        one, other = await cluster.members(2)
        showtime_id = cluster.showtime_of(other)
        await one.ask(showtime_id, hold(BERT, "D1"))
        [old] = [
            cable
            for cable in cluster.network.cables
            if cable.accepted.protocol.peer_id == one.node_id
        ]
        # The one who dialled has given up; the other end has not heard of it.
        old.dialled.end()
        assert old.accepted.protocol.is_open
        accepted(await one.ask(showtime_id, hold(ANNA, "A1")))
        assert old.accepted.closing


@in_virtual_time
async def test_router_that_stops_answers_what_its_connections_lose() -> None:
    async with small_cluster() as cluster:
        one, other = await cluster.members(2)
        showtime_id = cluster.showtime_of(other)
        other.store.held.add("append")
        mails = [
            one.tell(showtime_id, hold(ANNA, "A1", key=some_id())),
            one.tell(showtime_id, hold(ANNA, "A2")),
        ]
        await settle()
        await asyncio.sleep(0.1)
        await one.node.stop()
        await settle()
        assert [mail.outcome for mail in mails] == [IN_DOUBT, IN_DOUBT]
        late = one.tell(showtime_id, hold(ANNA, "A3"))
        await asyncio.sleep(0.2)
        assert late.outcome == TRY_AGAIN


@in_virtual_time
async def test_late_errands_are_given_up_though_an_answer_opens_a_way_to_another_peer() -> None:
    async with small_cluster() as cluster:
        one, other, third = await cluster.members(3)
        showtime_id, elsewhere = cluster.showtime_of(other), cluster.showtime_of(third)
        other.store.held.add("append")
        inspection.lose_peer(one.node, third.node_id)
        again: list[Any] = []

        def reply(_outcome: object) -> None:
            again.append(one.tell(elsewhere, hold(ANNA, "A1")))

        deadline_ns = one.forwarder.clock.boot_ns() + 100_000_000
        one.forwarder.tell(showtime_id, hold(ANNA, "A1"), reply, deadline_ns)
        later = one.tell(showtime_id, hold(ANNA, "A2"))
        await asyncio.sleep(1.0)
        accepted(again[0].outcome)
        await asyncio.sleep(5.5 + LATE_ANSWER_NS / 1e9)
        assert later.outcome == IN_DOUBT


@in_virtual_time
@pytest.mark.parametrize("error", [UnicodeError("label too long"), ValueError("no such port")])
async def test_peer_that_could_not_be_dialled_is_dialled_again(error: Exception) -> None:
    async with small_cluster() as cluster:
        one, other = await cluster.members(2)
        showtime_id = cluster.showtime_of(other)
        cluster.network.dial_error = error
        cluster.network.cut()
        await settle()
        mail = one.tell(showtime_id, hold(ANNA, "A1"))
        await asyncio.sleep(0.5)
        cluster.network.dial_error = None
        await mail.answered.wait()
        accepted(mail.outcome)
