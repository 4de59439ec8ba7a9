"""A watcher at any node sees every change of a showtime, each once and in order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import structlog

from cinema.actors.messages import SeatsSeen, Watch
from cinema.cluster import fanout as fanout_module
from cinema.cluster.fanout import INTEREST_EVERY_S, INTEREST_S, JOURNAL_EVERY_S
from cinema.cluster.inbound import InboundFeed
from cinema.cluster.outbound import Change
from cinema.domain.seatmap import grid_layout, parse_layout
from cinema.domain.showtime.commands import ChangePlan
from cinema.domain.showtime.events import SalesPaused
from tests.support import inspection
from tests.support.actors.auditor import Feed
from tests.support.actors.bugs import break_down_once
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import ANNA, PLAN, accepted, hold, some_id
from tests.unit.cluster.small_cluster import Place, SmallCluster, small_cluster

A_LOOK_S = INTEREST_EVERY_S + 0.2


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """The log events of the test, instead of lines and tracebacks on the terminal."""
    with structlog.testing.capture_logs() as events:
        yield events


async def _change(place: Place, showtime: bytes, count: int = 1) -> None:
    """Some more seats are held."""
    for _ in range(count):
        taken = (await _seats(place, showtime)).count(1)
        accepted(await place.ask(showtime, hold(some_id(), PLAN.labels[taken])))


async def _seats(place: Place, showtime: bytes) -> bytes:
    from cinema.actors.messages import ReadSeats

    seats: bytes = (await place.ask(showtime, ReadSeats())).seats
    return seats


async def _watched(cluster: SmallCluster) -> tuple[bytes, Place, Place, Feed]:
    """A showtime, its owner, another node that watches it, and the feed there."""
    owner, watching = await cluster.members(2)
    showtime = cluster.showtime_of(owner)
    await _change(owner, showtime)
    feed, seen = await watching.watch(showtime)
    assert seen.seq == 1
    await settle()
    return showtime, owner, watching, feed


def _seqs(feed: Feed) -> list[int]:
    feed.assert_continues(1)
    return [frame[2] for frame in feed.frames]


# --- hearing


@in_virtual_time
async def test_changes_are_heard_at_other_nodes_at_once_and_in_order() -> None:
    async with small_cluster() as cluster:
        showtime, owner, watching, feed = await _watched(cluster)
        for number in range(2, 8):
            await _change(owner, showtime)
            await settle()
            assert _seqs(feed) == list(range(2, number + 1))
        assert watching.node.fanout.metrics.gaps == 0
        assert not watching.kernel.is_resident(showtime)


@in_virtual_time
async def test_nothing_is_published_that_nobody_watches() -> None:
    async with small_cluster() as cluster:
        owner, _ = await cluster.members(2)
        await _change(owner, cluster.showtime_of(owner), 3)
        await settle()
        assert cluster.bus.heard == []


@in_virtual_time
async def test_watchers_of_several_nodes_see_the_same_and_the_owners_own_too() -> None:
    async with small_cluster() as cluster:
        showtime, owner, _, feed = await _watched(cluster)
        third = await cluster.member()
        await owner.membership.refresh()
        there, _ = await third.watch(showtime)
        here, _ = await owner.watch(showtime)
        await settle()
        await _change(owner, showtime, 3)
        await settle()
        assert _seqs(feed) == _seqs(there) == _seqs(here) == [2, 3, 4]


@in_virtual_time
async def test_changes_between_snapshot_and_first_message_are_not_missed() -> None:
    async with small_cluster() as cluster:
        showtime, owner, watching, feed = await _watched(cluster)
        watching.forwarder.unwatch(showtime, feed)
        late = Feed(cluster.world.auditor, showtime)
        mail = watching.tell(showtime, Watch(feed=late))
        # The interest is still said: these are heard before the snapshot is there, or after it.
        await asyncio.gather(*(owner.ask(showtime, hold(ANNA, label)) for label in ("B1", "B2")))
        await mail.answered.wait()
        await settle()
        late.assert_continues(mail.outcome.seq)
        assert mail.outcome.seq + len(late.frames) == 3
        assert feed.frames == []


class _Told:
    """A feed that keeps the seqs it was told."""

    def __init__(self) -> None:
        self.seqs: list[int] = []

    def changed(self, _epoch: int, _prev_seq: int, seq: int, *_: Any) -> None:
        self.seqs.append(seq)

    def lost(self) -> None:
        self.seqs.append(-1)


@pytest.mark.parametrize(
    ("heard", "is_whole", "told"),
    [([], True, []), ([1, 2], True, []), ([2, 3, 4], True, [3, 4]), ([4], False, [])],
)
def test_what_was_heard_before_the_snapshot_came_is_told_behind_it(
    heard: list[int], is_whole: bool, told: list[int]
) -> None:
    feed = _Told()
    inbound = InboundFeed(b"s" * 16, feed)
    assert inbound.take([Change(1, seq, SalesPaused()) for seq in heard])
    assert feed.seqs == []
    nothing: Any = None
    inbound.begin(SeatsSeen(1, 2, b"", frozenset(), False, nothing))
    assert inbound.take_early() == is_whole
    assert feed.seqs == told
    assert inbound.take_early()


@in_virtual_time
async def test_messages_told_twice_count_once() -> None:
    async with small_cluster() as cluster:
        showtime, owner, watching, feed = await _watched(cluster)
        cluster.bus.times_told = 3
        await _change(owner, showtime, 3)
        await settle()
        assert _seqs(feed) == [2, 3, 4]
        assert watching.node.fanout.metrics.gaps == 0


# --- what was not heard


@in_virtual_time
async def test_a_gap_is_healed_by_the_owner_as_soon_as_it_shows() -> None:
    async with small_cluster() as cluster:
        showtime, owner, watching, feed = await _watched(cluster)
        cluster.bus.lose = 2
        await _change(owner, showtime, 2)
        await settle()
        assert feed.frames == []
        await _change(owner, showtime)
        await settle()
        assert _seqs(feed) == [2, 3, 4]
        assert watching.node.fanout.metrics.gaps == 1
        assert watching.store.count("history") == 0


@in_virtual_time
async def test_a_last_change_that_was_not_heard_shows_at_the_next_look() -> None:
    async with small_cluster() as cluster:
        showtime, owner, _, feed = await _watched(cluster)
        cluster.bus.lose = 1
        await _change(owner, showtime)
        await asyncio.sleep(A_LOOK_S)
        assert _seqs(feed) == [2]


@in_virtual_time
async def test_what_the_owner_no_longer_knows_is_read_in_the_journal() -> None:
    async with small_cluster(recent_changes=2) as cluster:
        showtime, owner, watching, feed = await _watched(cluster)
        cluster.bus.lose = 5
        await _change(owner, showtime, 5)
        await asyncio.sleep(A_LOOK_S)
        assert _seqs(feed) == [2, 3, 4, 5, 6]
        assert watching.store.count("history") == 1


@in_virtual_time
async def test_what_is_in_no_journal_any_more_makes_watchers_start_again() -> None:
    async with small_cluster() as cluster:
        showtime, owner, watching, feed = await _watched(cluster)
        cluster.bus.lose = 3
        await _change(owner, showtime, 3)
        inspection.forget_recent(owner.node.fanout, showtime)
        cluster.world.journal.journal[showtime].clear()
        await _change(owner, showtime)
        await settle()
        assert feed.frames == []
        assert feed.times_lost == 1
        # A new snapshot, and on from there.
        again, seen = await watching.watch(showtime)
        assert seen.seq == 5
        await _change(owner, showtime)
        await settle()
        again.assert_continues(5)
        assert len(again.frames) == 1


@in_virtual_time
async def test_rubbish_on_a_channel_is_a_gap_like_any_other() -> None:
    async with small_cluster() as cluster:
        showtime, owner, _, feed = await _watched(cluster)
        for number, rubbish in enumerate((b"\xc1", msgspec.msgpack.encode([[1, 2, [99]]])), 2):
            cluster.bus.lose = 1
            await _change(owner, showtime)
            await settle()
            cluster.bus.spread(b"cinema:seats:" + showtime, rubbish)
            await settle()
            assert _seqs(feed)[-1] == number
        cluster.bus.spread(b"cinema:seats:" + b"?" * 16, b"?")
        await settle()


@in_virtual_time
async def test_a_changed_plan_makes_watchers_start_again() -> None:
    async with small_cluster() as cluster:
        showtime, owner, watching, feed = await _watched(cluster)
        shifted = parse_layout(grid_layout(4, 25), 2)
        prices = (1000,) * len(PLAN.categories)
        change = ChangePlan(command_id=some_id(), plan=shifted, prices_minor=prices)
        owner.tell(showtime, change)
        await settle()
        await _change(owner, showtime)
        await settle()
        assert (feed.times_lost, feed.frames) == (1, [])
        mail = watching.tell(showtime, Watch(feed=feed))
        await mail.answered.wait()
        terms = cluster.world.terms.of[showtime]
        cluster.world.terms.of[showtime] = msgspec.structs.replace(terms, plan=shifted)
        cluster.world.auditor.violations.clear()
        cluster.world.journal.ledger.clear()


# --- Redis away


@in_virtual_time
async def test_while_redis_is_away_the_journal_tells() -> None:
    async with small_cluster() as cluster:
        showtime, owner, watching, feed = await _watched(cluster)
        cluster.bus.go_away()
        await settle()
        for number in range(2, 6):
            await _change(owner, showtime)
            await asyncio.sleep(JOURNAL_EVERY_S + 0.05)
            assert _seqs(feed) == list(range(2, number + 1))
        assert owner.node.fanout.metrics.unpublished == 4
        reads = watching.store.count("history")
        cluster.bus.come_back()
        await asyncio.sleep(2 * JOURNAL_EVERY_S)
        await _change(owner, showtime)
        await settle()
        assert _seqs(feed) == [2, 3, 4, 5, 6]
        assert watching.store.count("history") <= reads + 1


@in_virtual_time
async def test_a_change_that_the_standby_lacks_is_not_told_from_the_journal() -> None:
    async with small_cluster() as cluster:
        showtime, owner, watching, feed = await _watched(cluster)
        cluster.bus.go_away()
        watching.store.down["confirmed"] = cluster.unreachable()
        await settle()
        await _change(owner, showtime)
        await asyncio.sleep(4 * JOURNAL_EVERY_S)
        assert watching.store.count("confirmed")
        assert _seqs(feed) == []
        del watching.store.down["confirmed"]
        await asyncio.sleep(2 * JOURNAL_EVERY_S)
        assert _seqs(feed) == [2]


@in_virtual_time
async def test_an_owner_without_room_for_another_watched_showtime_leaves_it_to_the_journal() -> (
    None
):
    async with small_cluster() as cluster:
        owner = await cluster.member(max_watched_showtimes=0)
        watching = await cluster.member()
        await settle()
        showtime = cluster.showtime_of(owner)
        await _change(owner, showtime)
        feed, _ = await watching.watch(showtime)
        for number in range(2, 5):
            await _change(owner, showtime)
            await asyncio.sleep(2 * INTEREST_EVERY_S + 0.1)
            assert _seqs(feed) == list(range(2, number + 1))
        assert owner.kernel.watched.count == 0


@in_virtual_time
async def test_what_was_said_while_a_connection_was_lost_is_asked_for_when_it_is_back() -> None:
    async with small_cluster() as cluster:
        showtime, owner, watching, feed = await _watched(cluster)
        watching.store.down["history"] = cluster.unreachable()
        cluster.bus.go_away()
        await settle()
        await _change(owner, showtime, 2)
        await asyncio.sleep(2.5 * JOURNAL_EVERY_S)
        assert feed.frames == []
        cluster.bus.come_back()
        await settle()
        assert _seqs(feed) == [2, 3]


@in_virtual_time
async def test_with_neither_redis_nor_journal_the_owner_is_still_asked() -> None:
    async with small_cluster() as cluster:
        showtime, owner, watching, feed = await _watched(cluster)
        watching.store.down["history"] = cluster.unreachable()
        cluster.bus.go_away()
        await _change(owner, showtime, 2)
        await asyncio.sleep(A_LOOK_S)
        assert _seqs(feed) == [2, 3]


@in_virtual_time
async def test_more_changes_than_may_wait_for_redis_are_dropped_and_healed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fanout_module, "CHANGES_WAITING", 2)
    monkeypatch.setattr(fanout_module, "PUBLISHED_AT_ONCE", 1)
    async with small_cluster() as cluster:
        showtime, owner, watching, feed = await _watched(cluster)
        other = cluster.showtime_of(owner)
        await owner.ask(other, hold(ANNA, "A1"))
        also, _ = await watching.watch(other)
        await settle()
        labels = PLAN.labels[40:50]
        wishes = [
            owner.tell(one, hold(ANNA, label)) for label in labels for one in (showtime, other)
        ]
        await asyncio.gather(*(mail.answered.wait() for mail in wishes))
        await asyncio.sleep(A_LOOK_S)
        assert _seqs(feed) == _seqs(also) == list(range(2, 12))
        assert owner.node.fanout.metrics.unpublished > 0


# --- owners that change


@in_virtual_time
async def test_watchers_go_on_when_another_node_becomes_the_owner() -> None:
    async with small_cluster() as cluster:
        owner, watching = await cluster.members(2)
        showtimes = [cluster.showtime_of(owner) for _ in range(20)]
        feeds = {}
        for showtime in showtimes:
            await _change(owner, showtime)
            feeds[showtime], _ = await watching.watch(showtime)
        third = await cluster.member()
        moved = next(one for one in showtimes if third.owns(one))
        await _change(third, moved, 2)
        await asyncio.sleep(A_LOOK_S)
        assert _seqs(feeds[moved]) == [2, 3]
        await _change(third, moved)
        await settle()
        assert _seqs(feeds[moved]) == [2, 3, 4]
        assert feeds[moved].times_lost == 0
        # The former owner tells nobody any more.
        assert moved not in inspection.outbound_of(owner.node.fanout)


@in_virtual_time
async def test_watchers_go_on_when_their_own_node_becomes_the_owner() -> None:
    async with small_cluster() as cluster:
        showtime, owner, watching, feed = await _watched(cluster)
        await _change(owner, showtime)
        await settle()
        await owner.node.drain(10.0)
        assert feed.times_lost == 1
        again, seen = await watching.watch(showtime)
        assert seen.seq == 2
        await _change(owner, showtime, 2)
        await settle()
        again.assert_continues(2)
        assert len(again.frames) == 2
        assert _seqs(feed) == [2]


@in_virtual_time
async def test_what_is_healed_too_late_is_told_to_nobody() -> None:
    """A feed that its own kernel tells by then must not hear old changes once more."""
    async with small_cluster() as cluster:
        showtime, owner, watching, feed = await _watched(cluster)
        watching.store.held.add("history")
        cluster.bus.go_away()
        await _change(owner, showtime, 2)
        read = await watching.store.next("history")
        await owner.node.drain(10.0)
        mail = watching.tell(showtime, Watch(feed=feed))
        await mail.answered.wait()
        assert mail.outcome.seq == 3
        read.finish()
        await settle()
        assert feed.frames == []
        await _change(watching, showtime)
        await settle()
        feed.assert_continues(3)


@in_virtual_time
async def test_a_showtime_that_moves_while_it_is_asked_for_its_changes_is_left_alone() -> None:
    async with small_cluster() as cluster:
        owner, _ = await cluster.members(2)
        showtimes = [cluster.showtime_of(owner) for _ in range(20)]
        owner.store.down["take_over"] = cluster.unreachable()
        # Others are interested in showtimes that are still on their way into memory.
        for showtime in showtimes:
            await _noted(owner, showtime)
        await asyncio.sleep(0.1)
        third = await cluster.member()
        await asyncio.sleep(A_LOOK_S)
        moved = [one for one in showtimes if third.owns(one)]
        assert moved
        assert not any(owner.kernel.is_resident(one) for one in moved)
        # What was to tell others does not listen to them now.
        assert inspection.inbound_of(owner.node.fanout) == {}
        assert not set(moved) & set(inspection.outbound_of(owner.node.fanout))


async def _noted(place: Place, showtime: bytes) -> None:
    await inspection.note_interest(place.node.fanout, msgspec.msgpack.encode([showtime]))


# --- the end of interest


@in_virtual_time
async def test_whoever_does_not_watch_any_more_hears_nothing_that_was_still_asked_for() -> None:
    async with small_cluster() as cluster:
        showtime, owner, watching, feed = await _watched(cluster)
        watching.store.held.add("history")
        cluster.bus.go_away()
        await _change(owner, showtime)
        read = await watching.store.next("history")
        watching.forwarder.unwatch(showtime, feed)
        read.finish()
        await settle()
        assert feed.frames == []


@in_virtual_time
async def test_a_showtime_nobody_watches_any_more_is_told_of_no_more_and_may_leave() -> None:
    async with small_cluster() as cluster:
        showtime, owner, watching, feed = await _watched(cluster)
        await asyncio.sleep(2 * INTEREST_S)
        await _change(owner, showtime)
        await settle()
        assert _seqs(feed) == [2]
        assert not owner.world_node.actor(showtime).idle
        watching.forwarder.unwatch(showtime, feed)
        await asyncio.sleep(INTEREST_S + 2 * INTEREST_EVERY_S)
        heard = len(cluster.bus.heard)
        await _change(owner, showtime)
        await settle()
        assert len(cluster.bus.heard) == heard
        assert _seqs(feed) == [2]
        assert owner.world_node.actor(showtime).idle
        assert inspection.outbound_of(owner.node.fanout) == {}


@in_virtual_time
async def test_a_node_that_died_is_interested_in_nothing_for_long() -> None:
    async with small_cluster() as cluster:
        showtime, owner, watching, _ = await _watched(cluster)
        await watching.node.stop()
        await asyncio.sleep(INTEREST_S + 2 * INTEREST_EVERY_S)
        assert inspection.outbound_of(owner.node.fanout) == {}
        assert owner.world_node.actor(showtime).idle


@in_virtual_time
async def test_interest_that_ends_while_the_showtime_is_asked_leaves_nothing_behind() -> None:
    async with small_cluster() as cluster:
        owner, _ = await cluster.members(2)
        showtime = cluster.showtime_of(owner)
        owner.store.held.add("take_over")
        await _noted(owner, showtime)
        outbound = inspection.outbound_of(owner.node.fanout).pop(showtime)
        outbound.end()
        call = await owner.store.next("take_over")
        call.finish()
        await settle()
        assert owner.world_node.actor(showtime).idle
        assert outbound.position is None


@in_virtual_time
async def test_a_watcher_whose_owner_cannot_be_asked_is_told_to_try_again() -> None:
    async with small_cluster() as cluster:
        owner, watching = await cluster.members(2)
        showtime = cluster.showtime_of(owner)
        cluster.network.dial_error = ConnectionRefusedError()
        cluster.network.cut()
        await settle()
        feed = Feed(cluster.world.auditor, showtime)
        mail = watching.tell(showtime, Watch(feed=feed))
        await mail.answered.wait()
        assert mail.code == "RETRY"
        assert inspection.inbound_of(watching.node.fanout) == {}
        cluster.network.dial_error = None
        _, seen = await watching.watch(showtime)
        assert seen.seq == 0


@in_virtual_time
async def test_a_feed_that_fails_harms_no_other(logged: list[Any]) -> None:
    async with small_cluster() as cluster:
        showtime, owner, watching, feed = await _watched(cluster)
        other = cluster.showtime_of(owner)
        await _change(owner, other)
        healthy, _ = await watching.watch(other)
        await settle()

        def fail(*_arguments: Any) -> None:
            raise RuntimeError("a bug")

        feed.changed = fail  # type: ignore[method-assign]
        await _change(owner, showtime)
        await settle()
        await _change(owner, other, 2)
        await settle()
        assert _seqs(healthy) == [2, 3]
        assert feed.times_lost == 1


@in_virtual_time
async def test_a_bug_on_the_way_to_redis_does_not_end_the_publishing(
    monkeypatch: pytest.MonkeyPatch, logged: list[Any]
) -> None:
    async with small_cluster() as cluster:
        showtime, owner, _, feed = await _watched(cluster)
        break_down_once(monkeypatch, cluster.bus, "spread")
        await _change(owner, showtime)
        await settle()
        await _change(owner, showtime)
        await settle()
        assert _seqs(feed) == [2, 3]
        assert "fanout_failed" in [event["event"] for event in logged]


@in_virtual_time
async def test_a_journal_that_cannot_be_read_keeps_nobody_from_the_others() -> None:
    async with small_cluster() as cluster:
        showtime, owner, watching, _ = await _watched(cluster)
        other = cluster.showtime_of(owner)
        await _change(owner, other)
        healthy, _ = await watching.watch(other)
        cluster.bus.go_away()
        await _change(owner, showtime)
        row = cluster.world.journal.journal[showtime][-1]
        cluster.world.journal.journal[showtime][-1] = msgspec.structs.replace(row, payload=b"?")
        await _change(owner, other)
        await asyncio.sleep(2 * JOURNAL_EVERY_S + 0.1)
        assert _seqs(healthy) == [2]
