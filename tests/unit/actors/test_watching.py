"""A feed has every change since its snapshot, once and in order, whatever happens to the actor."""

from __future__ import annotations

import asyncio

from cinema.actors.messages import SeatsSeen, Watch
from cinema.storage.journal.store import CommitUnknown, StoreUnavailable
from tests.support.actors.auditor import Feed
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import ANNA, BERT, accepted, audited_world, hold, release

LOST = CommitUnknown("connection lost")


@in_virtual_time
async def test_a_feed_begins_at_its_snapshot() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.node()
        await node.ask(showtime, hold(ANNA, "A1"))
        feed, seen = await node.watch(showtime)
        assert (seen.seq, sum(seen.seats)) == (1, 1)
        for label in ("A2", "A3"):
            await node.ask(showtime, hold(ANNA, label))
        assert feed.frames == [(1, 1, 2), (1, 2, 3)]


@in_virtual_time
async def test_joining_between_two_events_of_a_batch_loses_and_repeats_nothing() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        node.store.held.add("append")
        node.tell(showtime, hold(ANNA, "A1"))
        call = await node.store.next("append")
        node.tell(showtime, hold(ANNA, "A2"))
        feed = Feed(world.auditor, showtime)
        mail = node.tell(showtime, Watch(feed=feed))
        node.tell(showtime, hold(ANNA, "A3"))
        await settle()
        call.finish()
        call = await node.store.next("append")
        assert len(call.argument[0].events) == 2
        call.finish()
        await settle()
        assert isinstance(mail.outcome, SeatsSeen)
        assert (mail.outcome.seq, sum(mail.outcome.seats)) == (2, 2)
        assert feed.frames == [(1, 2, 3)]


@in_virtual_time
async def test_a_join_that_waits_for_its_lease_begins_with_what_was_published_by_then() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        await asyncio.sleep(1)
        node.store.held.update({"confirm", "append"})
        feed = Feed(world.auditor, showtime)
        mail = node.tell(showtime, Watch(feed=feed))
        check = await node.store.next("confirm")
        node.tell(showtime, hold(ANNA, "A1"))
        await settle()
        check.fail(StoreUnavailable("gone"))
        (await node.store.next("append")).finish()
        await settle()
        assert mail.code == "RETRY"
        await asyncio.sleep(1)
        again = node.tell(showtime, Watch(feed=feed))
        node.tell(showtime, hold(ANNA, "A2"))
        await settle()
        for name in ("append", "confirm", "confirm", "append"):
            for call in [one for one in node.store.calls if one.name == name]:
                node.store.calls.remove(call)
                call.finish()
            await settle()
        node.store.held.clear()
        await node.ask(showtime, hold(ANNA, "A3"))
        assert isinstance(again.outcome, SeatsSeen)
        feed.assert_continues(again.outcome.seq)
        assert feed.frames[-1][2] == 3


@in_virtual_time
async def test_a_feed_goes_on_over_a_reload() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        feed, seen = await node.watch(showtime)
        await node.ask(showtime, hold(ANNA, "A1"))
        for applied, label in [(True, "A2"), (False, "A3"), (True, "A4")]:
            node.store.held.add("append")
            node.tell(showtime, hold(ANNA, label))
            call = await node.store.next("append")
            node.store.held.clear()
            if applied:
                call.execute()
            call.fail(LOST)
            await settle()
        await node.ask(showtime, hold(ANNA, "A5"))
        feed.assert_continues(seen.seq)
        assert feed.frames == [(1, 0, 1), (1, 1, 2), (3, 2, 3), (4, 3, 4)]
        assert feed.times_lost == 0


@in_virtual_time
async def test_a_feed_gets_what_another_owner_wrote_in_between() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        feed, seen = await node.watch(showtime)
        wish = hold(ANNA, "A1")
        await node.ask(showtime, wish)
        other = await world.node()
        await other.ask(showtime, release(ANNA, wish.hold_id))
        await other.ask(showtime, hold(BERT, "A1"))
        node.tell(showtime, hold(ANNA, "A2"))
        await asyncio.sleep(1)
        assert feed.frames == [(1, 0, 1), (2, 1, 2), (2, 2, 3)]
        assert accepted(await node.ask(showtime, hold(ANNA, "A2"))).epoch == 3
        feed.assert_continues(seen.seq)
        assert feed.times_lost == 0


@in_virtual_time
async def test_a_feed_that_missed_events_behind_a_snapshot_is_told_so() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        feed, _ = await node.watch(showtime)
        other = await world.node(snapshot_every_events=1)
        await other.ask(showtime, hold(BERT, "A1"))
        await settle()
        assert world.journal.snapshots[showtime][0] == 1
        node.tell(showtime, hold(ANNA, "A2"))
        await asyncio.sleep(1)
        assert feed.times_lost == 1
        assert feed.frames == []
        # It is not told of anything more, and may begin again.
        await node.ask(showtime, hold(ANNA, "A2"))
        assert feed.frames == []
        fresh, seen = await node.watch(showtime)
        await node.ask(showtime, hold(ANNA, "A3"))
        fresh.assert_continues(seen.seq)
        assert fresh.frames == [(3, 2, 3)]


@in_virtual_time
async def test_a_later_feed_replaces_an_earlier_one() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        first, _ = await node.watch(showtime)
        second, _ = await node.watch(showtime)
        node.kernel.unwatch(showtime, first)
        await node.ask(showtime, hold(ANNA, "A1"))
        assert (first.frames, second.frames) == ([], [(1, 0, 1)])
        node.kernel.unwatch(showtime, second)
        await node.ask(showtime, hold(ANNA, "A2"))
        assert second.frames == [(1, 0, 1)]


@in_virtual_time
async def test_a_feed_that_asks_again_is_not_displaced_by_itself() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        feed, _ = await node.watch(showtime)
        await node.ask(showtime, hold(ANNA, "A1"))
        seen = await node.ask(showtime, Watch(feed=feed))
        assert isinstance(seen, SeatsSeen)
        await node.ask(showtime, hold(ANNA, "A2"))
        assert (seen.seq, feed.frames, feed.times_lost) == (1, [(1, 0, 1), (1, 1, 2)], 0)
