"""Mailboxes, passivation and drain: nothing is lost on the way out, and nothing waits for ever."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cinema.actors import lane
from cinema.actors.kernel import Kernel
from cinema.actors.messages import ReadSeats, SeatsSeen
from cinema.domain.limits import TURN_COMMANDS
from cinema.storage.journal.store import StoreUnavailable
from tests.support import inspection
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import (
    ANNA,
    BERT,
    PLAN,
    SETTINGS,
    Node,
    World,
    accepted,
    audited_world,
    hold,
    release,
    some_id,
)

IDLE = {"idle_passivation_s": 1.0}

# --- the mailbox


@in_virtual_time
async def test_a_full_mailbox_is_overloaded_and_takes_messages_again_later() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime, mailbox_limit=2)
        mails = [node.tell(showtime, hold(ANNA, label)) for label in ("A1", "A2", "A3")]
        assert [mail.code for mail in mails] == [None, None, "OVERLOADED"]
        await settle()
        assert [mail.code for mail in mails] == ["OK", "OK", "OVERLOADED"]
        assert accepted(await node.ask(showtime, hold(ANNA, "A3"))).seq == 3


@in_virtual_time
async def test_the_mailbox_of_a_showtime_on_its_way_into_memory_is_bounded_too() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.node(mailbox_limit=2)
        node.store.held.add("load")
        mails = [node.tell(showtime, hold(ANNA, label)) for label in ("A1", "A2", "A3")]
        assert mails[2].code == "OVERLOADED"
        assert node.kernel.mailbox_depth == 2
        (await node.store.next("load")).finish()
        await settle()
        assert [mail.code for mail in mails] == ["OK", "OK", "OVERLOADED"]


@in_virtual_time
async def test_a_hot_showtime_takes_turns_with_the_others() -> None:
    async with audited_world() as world:
        hot, cool = world.showtime(), world.showtime()
        node = await world.node()
        for showtime in (hot, cool):
            await node.ask(showtime, release(ANNA, some_id()))
        mails = [node.tell(hot, release(ANNA, some_id())) for _ in range(3 * TURN_COMMANDS)]
        other = node.tell(cool, release(ANNA, some_id()))
        await settle()
        assert all(mail.code == "NOT_FOUND" for mail in mails)
        # Each takes a turn of bounded length; the cool one does not wait for all of the hot one.
        assert node.order.index(other) - 2 == TURN_COMMANDS
        hot_order = [mail for mail in node.order if mail in mails]
        assert hot_order == mails


# --- passivation


async def _gone(node: Node, showtime: bytes) -> None:
    for _ in range(100):
        if not node.kernel.is_resident(showtime):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it stays in memory")


@in_virtual_time
async def test_an_idle_showtime_leaves_memory_and_comes_back_as_it_was() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime, **IDLE)
        wish = hold(ANNA, "A1", key=some_id())
        first = accepted(await node.ask(showtime, wish))
        await _gone(node, showtime)
        head = world.journal.heads[showtime]
        assert head.released
        assert head.next_due_us == first.event.expires_at_us
        again = accepted(await node.ask(showtime, wish))
        assert (again.replayed, again.seq, again.epoch) == (True, 1, 1)
        assert (await node.ask(showtime, hold(BERT, "A1"))).code == "SEAT_UNAVAILABLE"
        assert node.kernel.metrics.passivations == 1
        assert node.kernel.metrics.activations == 2


@in_virtual_time
async def test_a_showtime_that_is_used_stays() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime, **IDLE)
        for _ in range(10):
            await asyncio.sleep(0.5)
            await node.ask(showtime, release(ANNA, some_id()))
        assert node.kernel.metrics.passivations == 0


@in_virtual_time
async def test_a_showtime_that_is_watched_stays() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.node(**IDLE)
        feed, _ = await node.watch(showtime)
        await asyncio.sleep(5)
        assert node.kernel.is_resident(showtime)
        stranger, _ = await node.watch(world.showtime())
        node.kernel.unwatch(showtime, stranger)
        await asyncio.sleep(3)
        assert node.kernel.is_resident(showtime)
        node.kernel.unwatch(showtime, feed)
        await _gone(node, showtime)
        node.kernel.unwatch(showtime, feed)


@in_virtual_time
async def test_the_least_recently_used_leave_first_when_there_are_too_many() -> None:
    async with audited_world() as world:
        showtimes = [world.showtime() for _ in range(5)]
        node = await world.node(max_resident_showtimes=2)
        for showtime in showtimes:
            await node.ask(showtime, hold(ANNA, "A1"))
            await asyncio.sleep(0.01)
            if showtime is showtimes[2]:
                await asyncio.sleep(0.2)
                await node.ask(showtimes[0], hold(ANNA, "A2"))
        await asyncio.sleep(0.5)
        assert node.kernel.resident_count == 2
        assert not node.kernel.is_resident(showtimes[1])
        assert accepted(await node.ask(showtimes[1], hold(ANNA, "A2"))).seq == 2


async def _passivating(world: World, **settings: Any) -> tuple[Node, bytes, Any]:
    """A node in the midst of handing a showtime back."""
    showtime = world.showtime()
    node = await world.warm_node(showtime, **IDLE, **settings)
    await node.ask(showtime, hold(ANNA, "A1"))
    node.store.held.add("save")
    call = await node.store.next("save")
    node.store.held.clear()
    return node, showtime, call


@in_virtual_time
async def test_messages_that_arrive_during_passivation_wake_a_successor() -> None:
    async with audited_world() as world:
        node, showtime, save = await _passivating(world)
        mails = [node.tell(showtime, hold(BERT, label)) for label in ("A1", "A2")]
        late = node.tell(showtime, ReadSeats())
        await settle()
        assert [mail.outcome for mail in mails] == [None, None]
        save.finish()
        await settle()
        assert [mail.code for mail in mails] == ["SEAT_UNAVAILABLE", "OK"]
        assert accepted(mails[1].outcome).epoch == 2
        assert isinstance(late.outcome, SeatsSeen)


@in_virtual_time
async def test_a_release_nobody_knows_of_is_settled_by_a_takeover() -> None:
    async with audited_world() as world:
        for applied in (False, True):
            node, showtime, save = await _passivating(world)
            mail = node.tell(showtime, hold(BERT, "A2"))
            if applied:
                save.execute()
            save.fail(StoreUnavailable("gone"))
            await settle()
            assert accepted(mail.outcome).epoch == 2
            assert not world.journal.heads[showtime].released


@in_virtual_time
async def test_a_release_by_an_owner_that_was_replaced_does_not_happen() -> None:
    async with audited_world() as world:
        node, showtime, save = await _passivating(world)
        other = await world.node()
        await other.ask(showtime, hold(BERT, "A2"))
        save.finish()
        await settle()
        assert not node.kernel.is_resident(showtime)
        assert not world.journal.heads[showtime].released
        assert node.kernel.metrics.fenced == 1
        assert accepted(await node.ask(showtime, hold(BERT, "A3"))).epoch == 3


@in_virtual_time
async def test_snapshots_are_taken_as_the_journal_grows_and_shorten_the_reload() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime, snapshot_every_events=3)
        for _ in range(5):
            wish = hold(ANNA, "A1")
            await node.ask(showtime, wish)
            await node.ask(showtime, release(ANNA, wish.hold_id))
        await node.ask(showtime, hold(ANNA, "A1", "A2"))
        await settle()
        assert node.kernel.metrics.snapshots == 3
        assert world.journal.snapshots[showtime][0] == 9
        other = await world.node()
        seen = await other.ask(showtime, ReadSeats())
        assert (seen.seq, sum(seen.seats)) == (11, 2)
        # Snapshots are for speed: the journal stays whole.
        assert [row.seq for row in world.journal.journal[showtime]] == list(range(1, 12))


@in_virtual_time
async def test_a_snapshot_waits_for_its_events_and_is_dropped_if_they_abort() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime, snapshot_every_events=2)
        await node.ask(showtime, hold(ANNA, "A1"))
        node.store.held.add("append")
        first = node.tell(showtime, hold(ANNA, "A2"))
        one = await node.store.next("append")
        second = node.tell(showtime, hold(ANNA, "A3"))
        await settle()
        one.finish()
        two = await node.store.next("append")
        await settle()
        # The state held A3 already when the snapshot was due.
        assert node.store.count("keep") == 0
        two.fail(StoreUnavailable("never sent"))
        node.store.held.clear()
        await settle()
        assert (first.code, second.code) == ("OK", "RETRY")
        assert node.store.count("keep") == 0
        assert accepted(await node.ask(showtime, hold(BERT, "A3"))).seq == 3
        await settle()
        assert world.journal.snapshots[showtime][0] == 3


@in_virtual_time
async def test_a_snapshot_that_could_not_be_saved_is_tried_again_later() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime, snapshot_every_events=1)
        node.store.fail_next("keep", StoreUnavailable("gone"))
        await node.ask(showtime, hold(ANNA, "A1"))
        await settle()
        assert showtime not in world.journal.snapshots
        await node.ask(showtime, hold(ANNA, "A2"))
        await settle()
        assert world.journal.snapshots[showtime][0] == 2


@in_virtual_time
async def test_a_snapshot_by_an_owner_that_was_replaced_is_not_stored() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime, snapshot_every_events=1)
        node.store.held.add("keep")
        await node.ask(showtime, hold(ANNA, "A1"))
        save = await node.store.next("keep")
        await world.journal.take_over(showtime)
        save.finish()
        await settle()
        assert showtime not in world.journal.snapshots
        assert not node.kernel.is_resident(showtime)


@in_virtual_time
async def test_a_journal_is_truncated_behind_its_snapshot() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        await node.ask(showtime, hold(ANNA, "A1"))
        await node.kernel.truncate(showtime)
        await settle()
        assert world.journal.journal[showtime] == []
        assert accepted(await node.ask(showtime, hold(ANNA, "A2"))).seq == 2
        # A busy showtime is left for another time.
        node.store.held.add("append")
        busy = node.tell(showtime, hold(ANNA, "A3"))
        truncation = asyncio.ensure_future(node.kernel.truncate(showtime))
        (await node.store.next("append")).finish()
        await truncation
        assert busy.code == "OK"
        assert len(world.journal.journal[showtime]) == 2
        other = await world.node()
        assert (await other.ask(showtime, ReadSeats())).seq == 3


@in_virtual_time
async def test_a_long_journal_is_truncated_in_steps_and_commits_go_in_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lane, "TRUNCATED_AT_ONCE", 2)
    async with audited_world() as world:
        showtime, other = world.showtime(), world.showtime()
        node = await world.warm_node(showtime)
        for seat in range(1, 6):
            await node.ask(showtime, hold(some_id(), f"A{seat}"))
        node.store.held.add("truncate")
        await node.kernel.truncate(showtime)
        left = []
        for step in range(3):
            call = await node.store.next("truncate")
            mail = node.tell(other, hold(some_id(), f"B{3 * step + 1}"))
            await settle()
            call.finish()
            await settle()
            # Whoever shares the lane commits between two steps.
            assert mail.code == "OK"
            left.append(len(world.journal.journal[showtime]))
        await settle()
        assert (left, node.store.count("truncate")) == ([3, 1, 0], 3)


@pytest.mark.parametrize("end", ["fenced", "unavailable", "stopped"])
@in_virtual_time
async def test_a_truncation_ends_when_it_is_not_its_owners_any_more(
    monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(lane, "TRUNCATED_AT_ONCE", 2)
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        for seat in range(1, 6):
            await node.ask(showtime, hold(some_id(), f"A{seat}"))
        node.store.held.add("truncate")
        await node.kernel.truncate(showtime)
        step = await node.store.next("truncate")
        if end == "fenced":
            await world.journal.take_over(showtime)
            step.finish()
        elif end == "unavailable":
            step.fail(StoreUnavailable("gone"))
        else:
            stopping = asyncio.ensure_future(node.kernel.stop(1.0))
            await settle()
            node.kernel.lane_of(showtime).stop()
            step.finish()
            await stopping
        await settle()
        assert node.store.count("truncate") == 1
        assert len(world.journal.journal[showtime]) == (3 if end == "stopped" else 5)


# --- cold reads


@in_virtual_time
async def test_a_read_of_a_cold_showtime_does_not_bring_it_into_memory() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime, **IDLE)
        wish = hold(ANNA, "A1")
        await node.ask(showtime, wish)
        await _gone(node, showtime)
        seen = await node.kernel.read_seats(showtime, ReadSeats(customer=ANNA))
        assert isinstance(seen, SeatsSeen)
        assert (seen.epoch, seen.seq, seen.mine) == (1, 1, {PLAN.index["A1"]})
        claimed = ReadSeats(customer=BERT, guests=(ANNA,))
        seen = await node.kernel.read_seats(showtime, claimed)
        assert isinstance(seen, SeatsSeen)
        assert seen.mine == {PLAN.index["A1"]}
        assert not node.kernel.is_resident(showtime)
        assert await node.kernel.exists(showtime)
        node.store.fail_next("load", StoreUnavailable("gone"))
        assert (await node.kernel.read_seats(showtime, ReadSeats())).code == "RETRY"


@in_virtual_time
async def test_a_read_of_a_cold_showtime_with_a_due_hold_frees_it_first() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        wish = hold(ANNA, "A1")
        await node.ask(showtime, wish)
        await node.kernel.stop(1)
        fresh = await world.node()
        fresh.store.down["due"] = StoreUnavailable("the sweep must not help")
        await asyncio.sleep(61)
        seen = await fresh.kernel.read_seats(showtime, ReadSeats())
        assert (seen.seq, sum(seen.seats)) == (2, 0)
        # Resident now, and read from memory.
        loads = fresh.store.count("load")
        await fresh.kernel.read_seats(showtime, ReadSeats())
        assert fresh.store.count("load") == loads


# --- drain


@in_virtual_time
async def test_a_drain_finishes_what_is_under_way_and_gives_everything_back() -> None:
    async with audited_world() as world:
        showtimes = [world.showtime() for _ in range(3)]
        node = await world.node(commit_lanes=2)
        mails = [node.tell(showtime, hold(ANNA, "A1")) for showtime in showtimes]
        await node.watch(showtimes[0])
        node.store.latency_s["append"] = 0.2
        mails += [node.tell(showtime, hold(ANNA, "A2")) for showtime in showtimes]
        draining = asyncio.ensure_future(node.kernel.stop(5))
        await settle()
        assert node.tell(showtimes[0], hold(ANNA, "A3")).code == "RETRY"
        started = asyncio.get_running_loop().time()
        await draining
        assert asyncio.get_running_loop().time() - started < 1
        assert [mail.code for mail in mails] == ["OK"] * 6
        assert all(world.journal.heads[showtime].released for showtime in showtimes)
        assert node.kernel.resident_count == 0
        assert (await node.kernel.read_seats(showtimes[0], ReadSeats())).code == "RETRY"


@in_virtual_time
async def test_what_a_drain_cannot_finish_is_answered_all_the_same() -> None:
    async with audited_world() as world:
        showtime, cold = world.showtime(), world.showtime()
        node = await world.warm_node(showtime)
        node.store.held.update({"append", "load"})
        in_flight = node.tell(showtime, hold(ANNA, "A1"))
        call = await node.store.next("append")
        behind = node.tell(showtime, hold(BERT, "A1"))
        read = node.tell(showtime, ReadSeats())
        unborn = node.tell(cold, hold(ANNA, "A1"))
        await settle()
        await node.kernel.stop(0.5)
        assert [mail.code for mail in (in_flight, behind, read, unborn)] == [
            "OUTCOME_UNKNOWN",
            "RETRY",
            "RETRY",
            "RETRY",
        ]
        assert call.execute() == {showtime}
        assert not world.journal.heads[showtime].released


@in_virtual_time
async def test_a_repetition_that_waits_behind_other_events_when_a_drain_ends_is_told() -> None:
    async with audited_world() as world:
        other, showtime = world.showtime(), world.showtime()
        node = await world.node(batch_limit_events=1)
        for one in (other, showtime):
            await node.ask(one, release(ANNA, some_id()))
        wish = hold(ANNA, "A1", key=some_id())
        node.store.held.add("append")
        first = node.tell(showtime, wish)
        call = await node.store.next("append")
        node.tell(other, hold(ANNA, "A1"))
        behind = node.tell(showtime, hold(ANNA, "A2"))
        again = node.tell(showtime, wish)
        await settle()
        call.finish()
        in_flight = await node.store.next("append")
        assert [part.showtime_id for part in in_flight.argument] == [other]
        assert (first.code, behind.outcome, again.outcome) == ("OK", None, None)
        await node.kernel.stop(0.3)
        # It tells of what is durable; what it waited behind is not, for all anybody knows.
        assert accepted(again.outcome).replayed
        assert behind.code == "OUTCOME_UNKNOWN"


@in_virtual_time
async def test_a_kernel_that_never_started_can_be_stopped() -> None:
    async with audited_world() as world:
        node = Node(world, Kernel, SETTINGS)
        await node.kernel.stop(1)
        assert node.tell(world.showtime(), hold(ANNA, "A1")).code == "RETRY"


@in_virtual_time
async def test_letters_for_a_showtime_that_leaves_in_a_drain_are_to_be_retried() -> None:
    async with audited_world() as world:
        node, showtime, save = await _passivating(world)
        mail = node.tell(showtime, hold(BERT, "A2"))
        draining = asyncio.ensure_future(node.kernel.stop(5))
        await settle()
        save.finish()
        await draining
        assert mail.code == "RETRY"
        assert world.journal.heads[showtime].released


@in_virtual_time
async def test_commands_in_doubt_when_a_drain_ends_stay_unknown() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        node.store.down["take_over"] = StoreUnavailable("gone")
        node.store.held.add("append")
        mail = node.tell(showtime, hold(ANNA, "A1"))
        call = await node.store.next("append")
        call.execute()
        call.fail(StoreUnavailable("lost"))
        await settle()
        await node.kernel.stop(0.3)
        assert mail.code == "OUTCOME_UNKNOWN"


@in_virtual_time
async def test_a_lane_that_was_stopped_gives_its_connection_back() -> None:
    async with audited_world() as world:
        node = await world.node(commit_lanes=3)
        lanes = inspection.lane_stores_of(node.kernel)
        await node.kernel.stop(1)
        assert all(lane.closed for lane in lanes)
