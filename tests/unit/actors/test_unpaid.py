"""Seats that a customer holds and has not paid, counted over the showtimes of a node."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from cinema.actors.messages import Outcome
from cinema.domain.rejections import Rejection
from cinema.domain.showtime.commands import HoldBestAvailable
from tests.support import inspection
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import (
    ANNA,
    BERT,
    HOLD_TTL_S,
    Node,
    accepted,
    audited_world,
    book,
    cancel,
    extend,
    hold,
    release,
    some_id,
)

IDLE = {"idle_passivation_s": 1.0}


def bounded(customer: bytes, *labels: str, limit: int = 4, key: bytes | None = None) -> Any:
    return msgspec.structs.replace(hold(customer, *labels, key=key), unpaid_limit=limit)


def refused(outcome: Outcome) -> Any:
    assert isinstance(outcome, Rejection), outcome
    assert outcome.code == "HOLD_LIMIT"
    return outcome.details


async def counted(node: Node) -> dict[bytes, int]:
    await settle()
    return dict(node.kernel.unpaid.here)


@in_virtual_time
async def test_bound_is_over_all_showtimes_and_by_customer() -> None:
    """One customer held a thousand seats in twenty-five showtimes."""
    async with audited_world() as world:
        showtimes = [world.showtime() for _ in range(25)]
        node = await world.node()
        outcomes = [await node.ask(one, bounded(ANNA, "A1", "A2")) for one in showtimes]
        assert [isinstance(one, Rejection) for one in outcomes] == [False] * 2 + [True] * 23
        assert refused(outcomes[2]) == {"limit": "unpaid_seats", "value": 4, "unpaid": 4}
        assert (node.kernel.unpaid.of(ANNA), node.kernel.unpaid.of(BERT)) == (4, 0)
        accepted(await node.ask(showtimes[0], bounded(BERT, "B1", "B2")))


@in_virtual_time
async def test_holds_sent_at_once_are_counted_before_any_is_durable() -> None:
    async with audited_world() as world:
        showtimes = [world.showtime() for _ in range(6)]
        node = await world.node()
        mails = [node.tell(one, bounded(ANNA, "A1")) for one in showtimes]
        await settle()
        assert [mail.code for mail in mails].count("OK") == 4


@in_virtual_time
async def test_best_available_is_bounded_too_and_nothing_without_a_limit() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.node()
        best = HoldBestAvailable(
            command_id=some_id(), hold_id=some_id(), customer=ANNA, quantity=5, unpaid_limit=4
        )
        assert refused(await node.ask(showtime, best))["value"] == 4
        accepted(await node.ask(showtime, msgspec.structs.replace(best, unpaid_limit=0)))
        accepted(await node.ask(showtime, hold(ANNA, "D1", "D2")))


@in_virtual_time
async def test_whatever_ends_a_hold_ends_its_count() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.node()
        ids = []
        for label in ("A", "B", "C"):
            command = hold(ANNA, f"{label}1", f"{label}2", f"{label}3")
            accepted(await node.ask(showtime, command))
            ids.append(command.hold_id)
        assert await counted(node) == {ANNA: 9}
        accepted(await node.ask(showtime, extend(ANNA, ids[0])))
        assert await counted(node) == {ANNA: 9}
        accepted(await node.ask(showtime, release(ANNA, ids[0], "A1")))
        assert await counted(node) == {ANNA: 8}
        accepted(await node.ask(showtime, release(ANNA, ids[0])))
        assert await counted(node) == {ANNA: 6}
        booked = accepted(await node.ask(showtime, book(ANNA, ids[1]))).event
        assert await counted(node) == {ANNA: 3}
        await asyncio.sleep(HOLD_TTL_S + 1)
        assert await counted(node) == {}
        assert booked is not None
        accepted(await node.ask(showtime, cancel(ANNA, booked.booking_id)))  # type: ignore[union-attr]
        assert await counted(node) == {}


@in_virtual_time
async def test_repeated_hold_is_told_again_though_the_bound_is_reached() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.node()
        command = bounded(ANNA, "A1", "A2", "A3", "A4", key=some_id())
        first = accepted(await node.ask(showtime, command))
        again = accepted(await node.ask(showtime, command))
        assert (again.seq, again.replayed) == (first.seq, True)
        assert await counted(node) == {ANNA: 4}


@in_virtual_time
async def test_holds_of_a_showtime_outside_of_memory_count_until_they_end() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.node(**IDLE)
        accepted(await node.ask(showtime, hold(ANNA, "A1", "A2")))
        await asyncio.sleep(3)
        assert not node.kernel.is_resident(showtime)
        assert await counted(node) == {ANNA: 2}
        other = world.showtime()
        assert refused(await node.ask(other, bounded(ANNA, "A1", "A2", "A3")))["unpaid"] == 2
        accepted(await node.ask(showtime, hold(ANNA, "A3")))
        assert await counted(node) == {ANNA: 3}
        await asyncio.sleep(HOLD_TTL_S + 5)
        assert await counted(node) == {}


@in_virtual_time
async def test_actor_that_reloads_counts_what_the_journal_says() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.node()
        accepted(await node.ask(showtime, hold(ANNA, "A1", "A2")))
        inspection.actors_of(node.kernel)[showtime].fail("test")
        await settle()
        accepted(await node.ask(showtime, hold(ANNA, "A3")))
        assert await counted(node) == {ANNA: 3}


@in_virtual_time
async def test_next_owner_counts_what_it_takes_over_and_the_former_one_no_more() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        former = await world.node()
        accepted(await former.ask(showtime, hold(ANNA, "A1", "A2")))
        heir = await world.node()
        accepted(await heir.ask(showtime, hold(ANNA, "A3")))
        assert await counted(heir) == {ANNA: 3}
        await former.ask(showtime, release(ANNA, some_id()))
        await asyncio.sleep(1)
        former.kernel.unpaid.sift(lambda _: False, 0)


@in_virtual_time
async def test_what_is_another_nodes_or_ended_long_ago_is_sifted_out() -> None:
    async with audited_world() as world:
        node = await world.node(**IDLE)
        for _ in range(3):
            accepted(await node.ask(world.showtime(), hold(ANNA, "A1")))
        await asyncio.sleep(3)
        unpaid = node.kernel.unpaid
        unpaid.sift(lambda _: True, node.kernel.clock.now_us())
        assert await counted(node) == {ANNA: 3}
        moved = next(iter(inspection.asleep_of(unpaid)))
        unpaid.sift(lambda one: one != moved, node.kernel.clock.now_us())
        assert await counted(node) == {ANNA: 2}
        unpaid.sift(lambda _: True, node.kernel.clock.now_us() + 10**10)
        assert await counted(node) == {}
        assert len(inspection.asleep_of(unpaid)) == 0


@in_virtual_time
async def test_seats_at_other_nodes_count_as_those_say() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.node()
        node.kernel.unpaid.on_other_nodes = {ANNA: 3}
        assert refused(await node.ask(showtime, bounded(ANNA, "A1", "A2")))["unpaid"] == 3
        accepted(await node.ask(showtime, bounded(ANNA, "A1")))


@in_virtual_time
async def test_staff_have_the_bound_of_a_till_at_their_own_cinemas_only() -> None:
    async with audited_world() as world:
        cinema_id = b"here"
        showtime = world.showtime(cinema_id=cinema_id)
        node = await world.node()
        many = msgspec.structs.replace(bounded(ANNA, "A1", "A2", limit=1), staff_unpaid_limit=3)
        for cinemas in (frozenset[bytes](), frozenset({b"elsewhere"})):
            elsewhere = msgspec.structs.replace(many, staff_cinemas=cinemas)
            assert refused(await node.ask(showtime, elsewhere))["value"] == 1
        home = frozenset({b"elsewhere", cinema_id})
        accepted(await node.ask(showtime, msgspec.structs.replace(many, staff_cinemas=home)))
        more = msgspec.structs.replace(bounded(ANNA, "B1", "B2", limit=1), staff_unpaid_limit=3)
        outcome = await node.ask(showtime, msgspec.structs.replace(more, staff_cinemas=home))
        assert refused(outcome) == {"limit": "unpaid_seats", "value": 3, "unpaid": 2}
