"""All that waits is bounded: at a showtime, on a node, and by the age of the oldest."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cinema.actors.messages import ReadHold, ReadSeats, SeatsSeen, TruncateJournal
from cinema.storage.journal.store import CommitUnknown, StoreUnavailable
from tests.support import inspection
from tests.support.actors.neighbourhood import pair
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import (
    ANNA,
    BERT,
    HOLD_TTL_S,
    PLAN,
    Node,
    accepted,
    audited_world,
    hold,
    release,
    some_id,
)

TICK_S = 0.1


def _held_up(node: Node, *names: str) -> None:
    node.store.held.update(names)


# --- by count


@in_virtual_time
async def test_what_waits_for_its_commit_counts_as_much_as_what_waits_for_its_turn() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime, mailbox_limit=2)
        _held_up(node, "append")
        mails = []
        for label in PLAN.labels[:40]:
            mails.append(node.tell(showtime, hold(ANNA, label)))
            await settle()
        assert [mail.code for mail in mails] == [None, None] + ["OVERLOADED"] * 38
        # The refused had no effect, and there is room again once the others are answered.
        call = await node.store.next("append")
        node.store.held.clear()
        call.finish()
        await settle()
        assert [mail.code for mail in mails[:3]] == ["OK", "OK", "OVERLOADED"]
        assert accepted(await node.ask(showtime, hold(BERT, PLAN.labels[2]))).seq == 3
        assert node.kernel.load.refused == {"showtime": 38}


@in_virtual_time
async def test_refusals_and_reads_that_wait_at_the_gate_count_too() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime, mailbox_limit=3)
        _held_up(node, "append")
        first = node.tell(showtime, hold(ANNA, "A1"))
        refused = node.tell(showtime, hold(BERT, "A1"))
        await settle()
        read = node.tell(showtime, ReadSeats())
        await settle()
        assert node.tell(showtime, ReadSeats()).code == "OVERLOADED"
        (await node.store.next("append")).finish()
        await settle()
        assert [mail.code for mail in (first, refused)] == ["OK", "SEAT_UNAVAILABLE"]
        assert isinstance(read.outcome, SeatsSeen)


@in_virtual_time
async def test_what_the_archive_is_asked_about_counts_too_and_is_not_refused_afterwards() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime, mailbox_limit=1)
        nowhere = some_id()
        node.actor(showtime).state.archive_filter.add(nowhere)
        _held_up(node, "recall")
        read = node.tell(showtime, ReadHold(hold_id=nowhere, customer=ANNA))
        recall = await node.store.next("recall")
        assert node.tell(showtime, hold(ANNA, "A1")).code == "OVERLOADED"
        recall.finish()
        await settle()
        assert read.code == "NOT_FOUND"


@in_virtual_time
async def test_what_is_in_doubt_counts_until_it_is_settled() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime, mailbox_limit=1)
        _held_up(node, "append", "take_over")
        first = node.tell(showtime, hold(ANNA, "A1"))
        call = await node.store.next("append")
        call.execute()
        call.fail(CommitUnknown("lost"))
        bump = await node.store.next("take_over")
        assert node.tell(showtime, hold(BERT, "A2")).code == "OVERLOADED"
        node.store.held.clear()
        bump.finish()
        await settle()
        assert first.code == "OK"
        assert (await node.ask(showtime, hold(BERT, "A2"))).seq == 2


@in_virtual_time
async def test_a_node_bounds_what_waits_at_all_its_showtimes_together() -> None:
    async with audited_world() as world:
        showtimes = [world.showtime() for _ in range(5)]
        cold = world.showtime()
        node = await world.node(node_waiting_limit=3)
        for showtime in showtimes:
            await node.ask(showtime, release(ANNA, some_id()))
        _held_up(node, "append")
        mails = []
        for showtime in showtimes:
            mails.append(node.tell(showtime, hold(ANNA, "A1")))
            await settle()
        assert [mail.code for mail in mails] == [None] * 3 + ["OVERLOADED"] * 2
        # Nor does a showtime that is not in memory take any more, or a read of one.
        assert node.tell(cold, hold(ANNA, "A1")).code == "OVERLOADED"
        assert not node.kernel.is_resident(cold)
        read: Any = await node.kernel.read_seats(world.showtime(), ReadSeats())
        assert read.code == "OVERLOADED"
        node.store.held.clear()
        for call in list(node.store.calls):
            call.finish()
        await settle()
        assert [mail.code for mail in mails[:3]] == ["OK"] * 3
        assert accepted(await node.ask(cold, hold(ANNA, "A1")))
        assert node.kernel.load.waiting == 0


@in_virtual_time
async def test_reads_of_showtimes_that_are_not_in_memory_are_bounded() -> None:
    async with audited_world() as world:
        showtimes = [world.showtime() for _ in range(3)]
        node = await world.node(node_waiting_limit=2)
        _held_up(node, "load")
        reads = [
            asyncio.ensure_future(node.kernel.read_seats(showtime, ReadSeats()))
            for showtime in showtimes
        ]
        await settle()
        third: Any = reads[2].result()
        assert third.code == "OVERLOADED"
        for _ in range(2):
            (await node.store.next("load")).finish()
        assert [type(await read) for read in reads[:2]] == [SeatsSeen] * 2
        assert node.kernel.load.waiting == 0


@in_virtual_time
async def test_letters_of_a_showtime_that_moves_away_count_no_longer_here() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        _held_up(old.node, "append")
        first = old.node.tell(showtime, hold(ANNA, "A1"))
        call = await old.node.store.next("append")
        old.hood.owner[showtime] = new
        leaving = asyncio.ensure_future(old.node.kernel.release(showtime))
        await settle()
        late = old.node.tell(showtime, hold(BERT, "A2"))
        assert old.node.kernel.load.waiting == 2
        old.node.store.held.clear()
        call.finish()
        await leaving
        await late.answered.wait()
        assert [first.code, late.code] == ["OK", "OK"]
        assert old.node.kernel.load.waiting == new.node.kernel.load.waiting == 0


@in_virtual_time
async def test_a_hold_comes_due_though_nothing_new_is_taken() -> None:
    async with audited_world() as world:
        showtime, cold = world.showtime(), world.showtime()
        node = await world.warm_node(showtime, node_waiting_limit=1)
        for one in (showtime, cold):
            await node.ask(one, hold(ANNA, "A1"))
        inspection.forget(node.kernel, node.actor(cold))
        _held_up(node, "recall")
        nowhere = some_id()
        node.actor(showtime).state.archive_filter.add(nowhere)
        node.tell(showtime, ReadHold(hold_id=nowhere, customer=ANNA))
        await node.store.next("recall")
        await asyncio.sleep(HOLD_TTL_S + 2)
        assert node.tell(showtime, ReadSeats()).code == "OVERLOADED"
        assert [world.events(one) for one in (showtime, cold)] == [["SeatsHeld", "HoldExpired"]] * 2


# --- by age


@in_virtual_time
async def test_a_commit_that_takes_too_long_refuses_what_is_new_at_once() -> None:
    async with audited_world() as world:
        showtime, other = world.showtime(), world.showtime()
        node = await world.node(overloaded_after_ms=500)
        for one in (showtime, other):
            await node.ask(one, release(ANNA, some_id()))
        _held_up(node, "append")
        first = node.tell(showtime, hold(ANNA, "A1"))
        call = await node.store.next("append")
        await asyncio.sleep(0.4)
        behind = node.tell(other, hold(ANNA, "A1"))
        await asyncio.sleep(0.1 + 2 * TICK_S)
        late = [node.tell(one, hold(BERT, "A2")) for one in (showtime, other)]
        # Without any wait, and long before the deadline of those that do wait.
        assert [mail.code for mail in late] == ["OVERLOADED"] * 2
        cold = world.showtime()
        assert node.tell(cold, hold(BERT, "A2")).code == "OVERLOADED"
        assert not node.kernel.is_resident(cold)
        assert node.kernel.oldest_event_s > 0.5
        node.store.held.clear()
        call.finish()
        await asyncio.sleep(2 * TICK_S)
        assert [first.code, behind.code] == ["OK", "OK"]
        assert accepted(await node.ask(other, hold(BERT, "A2")))
        assert node.kernel.oldest_event_s == 0
        assert node.kernel.load.refused == {"age": 3}


@pytest.mark.parametrize("name", ["confirm", "save"])
@in_virtual_time
async def test_any_statement_of_a_lane_that_takes_too_long_is_as_bad(name: str) -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        await node.ask(showtime, hold(BERT, "B1"))
        await asyncio.sleep(1)
        _held_up(node, name)
        waiting = node.tell(showtime, ReadSeats() if name == "confirm" else TruncateJournal())
        call = await node.store.next(name)
        await asyncio.sleep(0.5 + 2 * TICK_S)
        assert node.tell(showtime, hold(ANNA, "A2")).code == "OVERLOADED"
        node.store.held.clear()
        call.finish()
        await asyncio.sleep(2 * TICK_S)
        assert waiting.code == "OK"
        assert accepted(await node.ask(showtime, hold(ANNA, "A2")))


@in_virtual_time
async def test_an_event_that_is_left_out_of_the_batches_for_too_long_counts() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime, batch_limit_events=1)
        node.store.latency_s["append"] = 0.3
        mails = [node.tell(showtime, hold(ANNA, label)) for label in PLAN.labels[:5]]
        await asyncio.sleep(0.5 + 3 * TICK_S)
        # No statement takes too long, but what waits for the fourth one has waited for three.
        assert node.tell(showtime, hold(BERT, "D1")).code == "OVERLOADED"
        await asyncio.sleep(2)
        assert [mail.code for mail in mails] == ["OK"] * 5


@in_virtual_time
async def test_one_slow_lane_does_not_refuse_for_the_others() -> None:
    async with audited_world() as world:
        node = await world.node(commit_lanes=2)
        showtimes = [world.showtime() for _ in range(8)]
        for showtime in showtimes:
            await node.ask(showtime, release(ANNA, some_id()))
        slow = node.kernel.lane_of(showtimes[0])
        _held_up(node, "append")
        first = node.tell(showtimes[0], hold(ANNA, "A1"))
        call = await node.store.next("append")
        node.store.held.clear()
        await asyncio.sleep(0.5 + 2 * TICK_S)
        mails = {showtime: node.tell(showtime, hold(BERT, "A2")) for showtime in showtimes}
        await settle()
        codes = {
            mail.code for showtime, mail in mails.items() if node.kernel.lane_of(showtime) is slow
        }
        others = {mail.code for mail in mails.values()} - codes
        assert (codes, others) == ({"OVERLOADED"}, {"OK"})
        call.finish()
        await settle()
        assert first.code == "OK"


@in_virtual_time
async def test_a_loop_that_was_held_up_for_a_moment_refuses_nothing() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        _held_up(node, "append")
        first = node.tell(showtime, hold(ANNA, "A1"))
        call = await node.store.next("append")
        node.store.held.clear()
        # One tick has found the statement too old; the answer is there before the next one.
        await asyncio.sleep(0.5 + TICK_S)
        assert node.kernel.oldest_event_s > 0.5
        assert accepted(await _asked_while(node, showtime, call))
        assert first.code == "OK"


async def _asked_while(node: Node, showtime: bytes, call: Any) -> Any:
    mail = node.tell(showtime, hold(BERT, "A2"))
    call.finish()
    await mail.answered.wait()
    return mail.outcome


@in_virtual_time
async def test_a_showtime_that_does_not_come_into_memory_refuses_after_half_a_deadline() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.node(command_deadline_ms=5000)
        node.store.down["take_over"] = StoreUnavailable("gone")
        first = node.tell(showtime, hold(ANNA, "A1"))
        await asyncio.sleep(2.4)
        second = node.tell(showtime, hold(ANNA, "A2"))
        await asyncio.sleep(0.2)
        third = node.tell(showtime, hold(ANNA, "A3"))
        assert [mail.code for mail in (first, second, third)] == [None, None, "OVERLOADED"]
        node.store.down.clear()
        await asyncio.sleep(1.5)
        assert [mail.code for mail in (first, second)] == ["OK", "OK"]
        assert accepted(await node.ask(showtime, hold(ANNA, "A3")))


@in_virtual_time
async def test_a_showtime_that_is_stopped_while_late_letters_are_answered_stays_closed() -> None:
    async with audited_world() as world:
        showtime, other = world.showtime(), world.showtime()
        node = await world.node(command_deadline_ms=2000)
        _held_up(node, "take_over")
        kernel = node.kernel

        def stop_the_other(_outcome: object) -> None:
            inspection.quarantine(kernel, node.actor(other), "a test")

        kernel.tell(showtime, hold(ANNA, "A1"), stop_the_other)
        await asyncio.sleep(1.9)
        first = node.tell(other, hold(ANNA, "A1"))
        await asyncio.sleep(0.4)
        assert first.code == "RETRY"
        assert node.tell(other, hold(ANNA, "A2")).code == "RETRY"
