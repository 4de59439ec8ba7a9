"""What a lane puts into a batch: each its share, in order, and never two of one showtime."""

from __future__ import annotations

import asyncio

from cinema.actors.backlog import Backlog
from cinema.actors.messages import TruncateJournal
from cinema.domain.limits import ARCHIVED_PER_BATCH, ENDED_HOLDS_KEPT, SNAPSHOTS_PER_BATCH
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import (
    ANNA,
    PLAN,
    Node,
    World,
    accepted,
    audited_world,
    book,
    hold,
    release,
    some_id,
)


async def _behind_a_plug(world: World, wanted: dict[bytes, int], **settings: int) -> list[dict]:
    """The events of each showtime in each batch, when all of `wanted` gathered behind one."""
    plugged = world.showtime()
    node: Node = await world.node(**settings)
    for showtime in (plugged, *wanted):
        await node.ask(showtime, hold(ANNA, "D25"))
    node.store.held.add("append")
    mails = [node.tell(plugged, hold(ANNA, "D24"))]
    call = await node.store.next("append")
    for showtime, count in wanted.items():
        mails += [node.tell(showtime, hold(ANNA, label)) for label in PLAN.labels[:count]]
    await settle()
    call.finish()
    batches = []
    await settle()
    while node.store.calls:
        call = await node.store.next("append")
        ids = [part.showtime_id for part in call.argument]
        assert ids == sorted(set(ids))
        batches.append({part.showtime_id: len(part.events) for part in call.argument})
        call.finish()
        await settle()
    assert all(accepted(mail.outcome) for mail in mails)
    return batches


@in_virtual_time
async def test_what_gathers_behind_a_batch_goes_together() -> None:
    async with audited_world() as world:
        wanted = {world.showtime(): 3, world.showtime(): 1, world.showtime(): 2}
        assert await _behind_a_plug(world, wanted) == [wanted]


@in_virtual_time
async def test_a_hot_showtime_gets_its_share_and_the_others_go_first() -> None:
    async with audited_world() as world:
        hot, one, two = world.showtime(), world.showtime(), world.showtime()
        batches = await _behind_a_plug(world, {hot: 60, one: 2, two: 3}, batch_limit_events=12)
        assert batches[0] == {one: 2, two: 3, hot: 7}
        assert batches[1:] == [{hot: 12}] * 4 + [{hot: 5}]


@in_virtual_time
async def test_two_hot_showtimes_share_each_batch() -> None:
    async with audited_world() as world:
        left, right = world.showtime(), world.showtime()
        batches = await _behind_a_plug(world, {left: 20, right: 20}, batch_limit_events=10)
        assert batches == [{left: 5, right: 5}] * 4


@in_virtual_time
async def test_more_showtimes_than_a_batch_holds_take_turns() -> None:
    async with audited_world() as world:
        wanted = {world.showtime(): 2 for _ in range(5)}
        batches = await _behind_a_plug(world, wanted, batch_limit_events=2)
        assert [sum(batch.values()) for batch in batches] == [2] * 5
        # The third batch reaches the last of them: nobody is left out for long.
        assert {showtime for batch in batches[:3] for showtime in batch} == set(wanted)


@in_virtual_time
async def test_a_batch_of_one_event_is_possible() -> None:
    async with audited_world() as world:
        wanted = {world.showtime(): 2, world.showtime(): 2}
        batches = await _behind_a_plug(world, wanted, batch_limit_events=1)
        assert [sum(batch.values()) for batch in batches] == [1, 1, 1, 1]


@in_virtual_time
async def test_a_showtime_stays_on_its_lane_and_lanes_do_not_wait_for_each_other() -> None:
    async with audited_world() as world:
        node = await world.node(commit_lanes=4)
        showtimes = [world.showtime() for _ in range(12)]
        for showtime in showtimes:
            await node.ask(showtime, hold(ANNA, "A1"))
            assert node.kernel.lane_of(showtime) is node.kernel.lane_of(showtime)
        node.store.held.add("append")
        mails = [node.tell(showtime, hold(ANNA, "A2")) for showtime in showtimes]
        await settle()
        lanes = {id(node.kernel.lane_of(showtime)) for showtime in showtimes}
        in_flight = [part.showtime_id for call in node.store.calls for part in call.argument]
        assert len(node.store.calls) == len(lanes) > 1
        assert len(in_flight) == len(set(in_flight))
        node.store.held.clear()
        for call in list(node.store.calls):
            call.finish()
        await settle()
        assert [mail.code for mail in mails] == ["OK"] * 12


@in_virtual_time
async def test_many_snapshots_leave_room_for_commits() -> None:
    async with audited_world() as world:
        count = 2 * SNAPSHOTS_PER_BATCH + 3
        showtimes = [world.showtime() for _ in range(count)]
        node = await world.node(idle_passivation_s=1.0)
        for showtime in showtimes:
            await node.ask(showtime, hold(ANNA, "A1"))
        node.store.held.add("save")
        first = await node.store.next("save")
        assert len(first.argument) == SNAPSHOTS_PER_BATCH
        mail = node.tell(world.showtime(), hold(ANNA, "A1"))
        await settle()
        first.finish()
        second = await node.store.next("save")
        assert mail.code == "OK"
        node.store.held.clear()
        second.finish()
        await settle()
        assert node.kernel.resident_count == 1


@in_virtual_time
async def test_commits_do_not_wait_for_the_snapshot_of_a_showtime_that_stays() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime, snapshot_every_events=2)
        node.store.held.add("keep")
        for label in ("A1", "A2"):
            await node.ask(showtime, hold(ANNA, label))
        keep = await node.store.next("keep")
        for label in ("A3", "B1", "B2", "B3"):
            assert accepted(await node.ask(showtime, hold(ANNA, label)))
        # What was asked for again by each of these commits is written once.
        assert node.store.count("keep") == 1
        node.store.held.clear()
        keep.finish()
        await settle()
        assert node.kernel.metrics.snapshots == 1
        assert world.journal.snapshots[showtime][0] == 2
        for label in ("B4", "B5"):
            assert accepted(await node.ask(showtime, hold(ANNA, label)))
        await settle()
        assert world.journal.snapshots[showtime][0] == 8


@in_virtual_time
async def test_what_a_lane_saves_is_not_saved_beside_it_too() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        # One turn: the snapshot for the truncation waits in the lane while the hold is committed.
        truncated = node.tell(showtime, TruncateJournal())
        held = node.tell(showtime, hold(ANNA, "A1"))
        await settle()
        assert [truncated.code, held.code] == ["OK", "OK"]
        assert (node.store.count("keep"), node.store.count("save")) == (0, 1)


@in_virtual_time
async def test_showtimes_that_fill_alike_come_to_their_snapshots_one_after_the_other() -> None:
    async with audited_world() as world:
        ids = [some_id()[:-1] + bytes((last,)) for last in (0, 64, 255)]
        showtimes = [world.showtime(showtime_id=showtime_id) for showtime_id in ids]
        node = await world.node(snapshot_every_events=512)
        saved: dict[bytes, int] = {}
        for event in range(1, 641):
            if event % 2:
                wishes = [hold(ANNA, "A1") for _ in showtimes]
                asked = [*wishes]
            else:
                asked = [release(ANNA, wish.hold_id) for wish in wishes]
            for showtime, message in zip(showtimes, asked, strict=True):
                node.tell(showtime, message)
            await asyncio.sleep(0.001)
            for showtime in showtimes:
                if showtime in world.journal.snapshots:
                    saved.setdefault(showtime, event)
        assert [saved[showtime] for showtime in showtimes] == [512, 544, 636]


@in_virtual_time
async def test_a_statement_takes_few_snapshots_if_each_has_much_for_the_archive() -> None:
    async with audited_world() as world:
        events = 2 * (ARCHIVED_PER_BATCH + ENDED_HOLDS_KEPT)
        showtimes = [world.showtime(showtime_id=some_id()[:-1] + b"\0") for _ in range(2)]
        node = await world.node(snapshot_every_events=events, batch_limit_events=events)
        node.store.held.add("keep")
        for showtime in showtimes:
            for _ in range(events // 2):
                wish = hold(ANNA, "A1")
                node.tell(showtime, wish)
                node.tell(showtime, release(ANNA, wish.hold_id))
            await settle()
        for showtime in showtimes:
            keep = await node.store.next("keep")
            assert [save.showtime_id for save in keep.argument] == [showtime]
            keep.finish()
        await settle()
        assert node.kernel.metrics.snapshots == 2


@in_virtual_time
async def test_batches_and_their_times_are_counted() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        node.store.latency_s["append"] = 0.001
        await node.ask(showtime, hold(ANNA, "A1"))
        metrics = node.kernel.metrics
        assert (metrics.batches, metrics.batch_events) == (1, 1)
        # A millisecond has 20 bits of nanoseconds.
        assert metrics.commit_ns[20] == 1
        assert metrics.decisions["HoldSeats", "accepted"] == 1


@in_virtual_time
async def test_holds_and_bookings_of_one_showtime_share_a_batch() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        wish, other = hold(ANNA, "A1"), hold(ANNA, "A2")
        for command in (wish, other):
            await node.ask(showtime, command)
        node.store.held.add("append")
        mails = [node.tell(showtime, hold(ANNA, "A3"))]
        call = await node.store.next("append")
        behind = [book(ANNA, wish.hold_id), hold(ANNA, "A4"), book(ANNA, other.hold_id)]
        mails += [node.tell(showtime, command) for command in behind]
        await settle()
        call.finish()
        call = await node.store.next("append")
        with_rows = [event.rows is not None for event in call.argument[0].events]
        assert with_rows == [True, False, True]
        call.finish()
        await settle()
        assert [accepted(mail.outcome).seq for mail in mails] == [3, 4, 5, 6]


def test_without_an_event_that_waits_there_is_no_bound_to_correct() -> None:
    backlog = Backlog()
    backlog.tighten_due(1)
    assert list(backlog.unwritten) == []
