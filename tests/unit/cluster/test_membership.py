"""Who is a member: joining, falling silent, being taken for dead, leaving; and what freezes it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import structlog

from cinema.cluster import membership as membership_module
from cinema.cluster.membership import (
    DECLARED_DEAD,
    JOIN_PAUSE_S,
    MEMBER_SILENT,
    MEMBERSHIP_FAILED,
    MEMBERSHIP_FROZEN,
    MEMBERSHIP_THAWED,
    VIEW_POLL_S,
    VIEWS_UNREACHABLE,
    AddressTaken,
)
from cinema.domain.membership import NO_VIEW, View
from cinema.storage.membership.views import Beat
from tests.support import inspection
from tests.support.actors.virtual_time import in_virtual_time
from tests.unit.cluster.circle import TIMEOUT_S, Somebody, circle
from tests.unit.cluster.members import node_id

SOON_S = 2 * TIMEOUT_S


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """The log events of the test."""
    with structlog.testing.capture_logs() as events:
        yield events


def _said(logged: list[Any], event: str) -> int:
    return sum(one["event"] == event for one in logged)


async def _until_gone(watcher: Somebody, gone: Somebody) -> float:
    """Wait until a node is no member any more; how long that took."""
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    for _ in range(1000):
        if gone.me.node_id not in watcher.members:
            return loop.time() - started_s
        await asyncio.sleep(0.05)
    raise AssertionError("it is still a member")


# --- joining


@in_virtual_time
async def test_whoever_joins_is_a_member_and_everybody_learns_of_it() -> None:
    async with circle() as around:
        one = around.somebody(1)
        assert not one.membership.joined
        await one.join()
        assert one.membership.joined
        assert one.view == NO_VIEW.with_member(one.me)
        other = await around.somebody(2).join()
        await asyncio.sleep(0)
        assert other.followed[-1].version == 2
        await asyncio.sleep(0.1)
        # It was told, and need not wait for a heartbeat.
        assert one.view == other.view
        assert [view.version for view in one.followed] == [1, 2]
        assert (one.announced, other.announced) == ([1], [2])


@in_virtual_time
async def test_news_that_got_lost_come_with_the_next_heartbeats(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(membership_module, "VIEW_POLL_S", 1000.0)
    async with circle() as around:
        around.hears_news = False
        one = await around.somebody(1).join()
        await asyncio.sleep(0.5)
        await around.somebody(2).join()
        await asyncio.sleep(2 * TIMEOUT_S / 5 + 0.1)
        assert one.view.version == 2


@in_virtual_time
async def test_without_news_and_heartbeats_the_views_are_looked_at_all_the_same() -> None:
    async with circle() as around:
        around.hears_news = False
        one = await around.somebody(1).join()
        one.beats.is_away = True
        await around.somebody(2).join()
        await asyncio.sleep(VIEW_POLL_S + TIMEOUT_S / 5 + 0.1)
        assert one.view.version == 2


@in_virtual_time
async def test_all_may_join_at_once() -> None:
    async with circle() as around:
        everybody = [around.somebody(number) for number in range(1, 9)]
        await asyncio.gather(*(one.join() for one in everybody))
        await asyncio.sleep(1)
        assert {one.view for one in everybody} == {around.views.newest}
        assert around.views.newest.version == 8
        assert len(around.views.newest.members) == 8


@in_virtual_time
async def test_joining_waits_for_the_views_and_not_for_heartbeats(logged: list[Any]) -> None:
    async with circle() as around:
        one = around.somebody(1)
        one.views.is_away = one.beats.is_away = True
        joining = asyncio.ensure_future(one.join())
        await asyncio.sleep(30)
        assert not joining.done()
        assert _said(logged, VIEWS_UNREACHABLE) > 1
        one.views.is_away = False
        await asyncio.sleep(0.5)
        assert joining.done()
        assert one.membership.joined
        assert one.membership.frozen


@in_virtual_time
async def test_an_address_at_which_somebody_answers_is_taken() -> None:
    async with circle() as around:
        (one,) = await around.joined(1)
        again = around.somebody(2, at=1)
        with pytest.raises(AddressTaken, match=one.me.address):
            await again.join()
        assert again.asked == [one.me.node_id]
        assert around.views.newest.version == 1


@in_virtual_time
async def test_a_node_that_starts_anew_replaces_what_it_was_before() -> None:
    async with circle() as around:
        one, other = await around.joined(1, 2)
        await one.die()
        again = await around.somebody(3, at=1).join()
        await asyncio.sleep(1)
        assert other.view == again.view
        assert other.members == {node_id(2), node_id(3)}
        # Nobody had to find out that it was dead.
        assert other.asked == []


@in_virtual_time
async def test_a_proposal_whose_answer_was_lost_is_not_taken_for_somebody_else() -> None:
    async with circle() as around:
        one = around.somebody(1)
        one.views.lose_answers = 1
        await one.join()
        assert one.members == {node_id(1)}
        assert one.asked == []


@in_virtual_time
async def test_a_join_that_is_given_up_after_it_was_taken_is_taken_back() -> None:
    async with circle() as around:
        (one,) = await around.joined(1)
        other = around.somebody(2)
        other.views.lose_answers = 1
        joining = asyncio.ensure_future(other.join())
        await asyncio.sleep(JOIN_PAUSE_S / 2)
        joining.cancel()
        await asyncio.wait({joining})
        await one.membership.refresh()
        assert one.members == {node_id(1), node_id(2)}
        await other.membership.drain()
        await other.membership.leave()
        await one.membership.refresh()
        assert one.members == {node_id(1)}
        assert not other.membership.declared_dead.is_set()


# --- falling silent


@in_virtual_time
async def test_a_dead_node_is_removed_after_the_timeout_and_not_before(logged: list[Any]) -> None:
    async with circle() as around:
        one, other, third = await around.joined(1, 2, 3)
        await third.die()
        took_s = await _until_gone(one, third)
        assert TIMEOUT_S - 1 <= took_s <= TIMEOUT_S + 2
        await asyncio.sleep(1)
        assert one.members == other.members == {node_id(1), node_id(2)}
        assert one.view.version == 4
        assert third.me.node_id in [*one.asked, *other.asked]
        assert not one.membership.declared_dead.is_set()
        assert _said(logged, MEMBER_SILENT) >= 1


@in_virtual_time
async def test_a_silence_is_noticed_when_it_is_due_and_not_at_the_next_look() -> None:
    async with circle() as around:
        one, other = await around.joined(1, 2)
        await asyncio.sleep(TIMEOUT_S)
        await other.die()
        await asyncio.sleep(TIMEOUT_S / 2)
        now_s = asyncio.get_running_loop().time()
        due_s = inspection.next_silence_s(one.membership, [other.me], now_s)
        # News have it look out of turn: from here on its looks fall between the beats.
        await asyncio.sleep(due_s - now_s - 0.3)
        one.membership.heard_of(one.view.version + 1)
        await _until_gone(one, other)
        assert asyncio.get_running_loop().time() <= due_s + 0.1


@in_virtual_time
async def test_several_dead_nodes_are_removed_and_one_is_left_to_do_it() -> None:
    async with circle() as around:
        one, *others = await around.joined(1, 2, 3, 4)
        for other in others[1:]:
            await other.die()
        await others[0].die()
        await asyncio.sleep(TIMEOUT_S + 2)
        assert one.members == {node_id(1)}


@in_virtual_time
async def test_a_node_that_is_only_silent_in_redis_stays_as_long_as_it_answers() -> None:
    async with circle() as around:
        one, other = await around.joined(1, 2)
        other.beats.is_away = True
        await asyncio.sleep(6 * TIMEOUT_S)
        assert one.members == {node_id(1), node_id(2)}
        # It is asked once in a timeout, not all the time.
        assert 4 <= len(one.asked) <= 6
        around.reachable.discard(node_id(2))
        assert await _until_gone(one, other) <= TIMEOUT_S + 2


@in_virtual_time
async def test_a_node_that_nobody_reaches_stays_as_long_as_it_beats() -> None:
    async with circle() as around:
        one, _ = await around.joined(1, 2)
        around.reachable.discard(node_id(2))
        await asyncio.sleep(6 * TIMEOUT_S)
        assert one.members == {node_id(1), node_id(2)}
        assert one.asked == []


@in_virtual_time
async def test_a_node_that_dies_before_its_first_heartbeat_is_removed_too() -> None:
    async with circle() as around:
        (one,) = await around.joined(1)
        other = around.somebody(2)
        other.beats.is_away = True
        await other.join()
        await other.die()
        await asyncio.sleep(0.5)
        assert node_id(2) in one.members
        assert await _until_gone(one, other) <= TIMEOUT_S + 2


@in_virtual_time
async def test_two_that_remove_the_same_node_remove_it_once() -> None:
    async with circle() as around:
        one, other, third = await around.joined(1, 2, 3)
        around.hears_news = False
        before = around.views.newest.version
        await third.die()
        await _until_gone(one, third)
        await _until_gone(other, third)
        await asyncio.sleep(SOON_S)
        assert around.views.newest.version == before + 1
        assert one.view == other.view == around.views.newest


@in_virtual_time
async def test_two_that_propose_the_same_version_both_get_what_they_want() -> None:
    async with circle() as around:
        one, other, third = await around.joined(1, 2, 3)
        await asyncio.gather(one.membership.drain(), other.membership.leave())
        await asyncio.sleep(1)
        newest = around.views.newest
        assert {one.node_id for one in newest.members} == {node_id(1), node_id(3)}
        assert [one.draining for one in newest.members] == [True, False]
        assert newest.version == 5
        assert third.view == newest


@in_virtual_time
async def test_what_a_dead_node_left_is_cleared_away_in_the_end() -> None:
    async with circle() as around:
        one, other = await around.joined(1, 2)
        await other.die()
        await _until_gone(one, other)
        assert node_id(2) in around.beats.beats
        await asyncio.sleep(11 * TIMEOUT_S)
        assert around.beats.beats.keys() == {node_id(1)}
        assert one.beats.forgotten == [frozenset({node_id(2)})]


# --- Redis and Postgres away


@in_virtual_time
async def test_while_redis_is_away_nobody_is_removed_not_even_the_dead(logged: list[Any]) -> None:
    async with circle() as around:
        one, other, third = await around.joined(1, 2, 3)
        await third.die()
        for each in (one, other):
            each.beats.is_away = True
        await asyncio.sleep(20 * TIMEOUT_S)
        assert one.membership.frozen
        assert one.members == {node_id(1), node_id(2), node_id(3)}
        assert (one.asked, other.asked) == ([], [])
        # Said once by each, not with every beat.
        assert _said(logged, MEMBERSHIP_FROZEN) == 2
        for each in (one, other):
            each.beats.is_away = False
        # From here on its silence counts, and the living are heard in time.
        assert TIMEOUT_S - 1 <= await _until_gone(one, third) <= TIMEOUT_S + 2
        assert one.members == {node_id(1), node_id(2)}
        assert not one.membership.frozen
        assert _said(logged, MEMBERSHIP_THAWED) == 2


@in_virtual_time
async def test_a_redis_that_does_not_answer_is_as_good_as_none() -> None:
    async with circle() as around:
        one, other = await around.joined(1, 2)
        one.beats.hangs = other.beats.hangs = True
        await asyncio.sleep(10 * TIMEOUT_S)
        assert one.membership.frozen
        assert one.members == {node_id(1), node_id(2)}
        assert one.asked == []
        one.beats.hangs = other.beats.hangs = False
        await asyncio.sleep(SOON_S)
        assert not one.membership.frozen
        assert one.members == {node_id(1), node_id(2)}


@in_virtual_time
async def test_nodes_may_still_join_and_leave_while_redis_is_away() -> None:
    async with circle() as around:
        one, other = await around.joined(1, 2)
        one.beats.is_away = other.beats.is_away = True
        third = around.somebody(3)
        third.beats.is_away = True
        await third.join()
        await other.membership.leave()
        await asyncio.sleep(0.1)
        assert one.members == third.members == {node_id(1), node_id(3)}


@in_virtual_time
async def test_a_wiped_redis_is_filled_again_and_nobody_is_suspected() -> None:
    async with circle() as around:
        everybody = await around.joined(1, 2, 3)
        for _ in range(5):
            around.beats.beats.clear()
            await asyncio.sleep(TIMEOUT_S * 0.7)
        assert around.beats.beats.keys() == {node_id(1), node_id(2), node_id(3)}
        assert around.views.newest.version == 3
        assert [one.asked for one in everybody] == [[], [], []]


@in_virtual_time
async def test_a_node_that_was_frozen_itself_suspects_nobody_when_it_thaws() -> None:
    async with circle() as around:
        one, other = await around.joined(1, 2)
        one.beats.hangs = True
        await asyncio.sleep(0.01)
        # Everything of this process stands still: it neither beats nor watches.
        await one.membership.stop()
        await asyncio.sleep(TIMEOUT_S * 0.8)
        one.beats.hangs = False
        inspection.go_on(one.membership)
        await asyncio.sleep(0.5)
        assert one.asked == []
        assert one.members == {node_id(1), node_id(2)}
        assert other.members == one.members


@in_virtual_time
async def test_without_views_a_dead_node_is_removed_once_they_are_back(logged: list[Any]) -> None:
    async with circle() as around:
        one, other = await around.joined(1, 2)
        one.views.is_away = True
        await other.die()
        await asyncio.sleep(4 * TIMEOUT_S)
        assert one.members == {node_id(1), node_id(2)}
        assert not one.membership.declared_dead.is_set()
        assert _said(logged, VIEWS_UNREACHABLE) > 1
        one.views.is_away = False
        assert await _until_gone(one, other) <= 2


@in_virtual_time
async def test_a_bug_in_whoever_follows_does_not_end_the_watch(logged: list[Any]) -> None:
    async with circle() as around:
        one, other, third = await around.joined(1, 2, 3)

        def fail(_view: View) -> None:
            raise RuntimeError("a bug")

        one.on_view = fail
        await other.die()
        await _until_gone(one, other)
        await asyncio.sleep(1)
        assert _said(logged, MEMBERSHIP_FAILED) >= 1
        one.on_view = one.followed.append
        await third.die()
        await _until_gone(one, third)
        assert one.followed[-1].version == 5


@in_virtual_time
async def test_beats_of_versions_that_never_were_are_not_looked_for_all_the_time() -> None:
    async with circle() as around:
        (one,) = await around.joined(1)
        around.beats.beats[node_id(9)] = Beat(1, 1000)
        looks = 0
        latest = one.views.latest

        async def counted() -> View:
            nonlocal looks
            looks += 1
            return await latest()

        one.views.latest = counted  # type: ignore[method-assign]
        await asyncio.sleep(10 * TIMEOUT_S)
        assert looks <= 10 * 5 + 2


# --- being taken for dead


@in_virtual_time
async def test_a_node_that_was_removed_knows_that_it_must_stop(logged: list[Any]) -> None:
    async with circle() as around:
        one, zombie = await around.joined(1, 2)
        # Frozen: it neither beats nor answers, and then goes on as if nothing had been.
        zombie.beats.hangs = True
        zombie.views.is_away = True
        around.reachable.discard(node_id(2))
        await _until_gone(one, zombie)
        assert not zombie.membership.declared_dead.is_set()
        zombie.beats.hangs = zombie.views.is_away = False
        async with asyncio.timeout(VIEW_POLL_S + 1):
            await zombie.membership.declared_dead.wait()
        assert _said(logged, DECLARED_DEAD) == 1
        # It does not join again by itself, whatever it finds there.
        await asyncio.sleep(SOON_S)
        assert around.views.newest.version == 3
        await zombie.membership.drain()
        await zombie.membership.leave()
        assert around.views.newest.version == 3


@in_virtual_time
async def test_a_node_that_drains_while_it_is_removed_gives_up_draining() -> None:
    async with circle() as around:
        one, other = await around.joined(1, 2)
        around.hears_news = False
        assert await one.views.propose(one.view.without(frozenset({node_id(2)})), node_id(1))
        await other.membership.drain()
        assert other.membership.declared_dead.is_set()
        assert around.views.newest.version == 3
        assert other.views.proposals[-1].version == 3


@in_virtual_time
async def test_a_node_replaced_at_its_address_must_stop() -> None:
    async with circle() as around:
        (one,) = await around.joined(1)
        around.reachable.discard(node_id(1))
        await around.somebody(2, at=1).join()
        await asyncio.sleep(0.1)
        assert one.membership.declared_dead.is_set()


# --- draining and leaving


@in_virtual_time
async def test_a_node_that_drains_owns_nothing_more_and_is_still_a_member() -> None:
    async with circle() as around:
        one, other = await around.joined(1, 2)
        await other.membership.drain()
        await asyncio.sleep(0.1)
        assert one.view == other.view
        assert one.view.owners() == (one.me,)
        assert one.members == {node_id(1), node_id(2)}
        await other.membership.drain()
        assert around.views.newest.version == 3
        # It is watched as before.
        await other.die()
        assert await _until_gone(one, other) <= TIMEOUT_S + 2


@in_virtual_time
async def test_a_node_that_leaves_is_gone_at_once_and_was_not_declared_dead() -> None:
    async with circle() as around:
        one, other = await around.joined(1, 2)
        await other.membership.drain()
        await other.membership.leave()
        await asyncio.sleep(0.1)
        assert one.members == {node_id(1)}
        assert not other.membership.declared_dead.is_set()
        await other.membership.leave()
        assert around.views.newest.version == 4
        await one.membership.leave()
        assert around.views.newest.members == ()


@in_virtual_time
async def test_draining_and_leaving_wait_for_the_views(logged: list[Any]) -> None:
    async with circle() as around:
        (one,) = await around.joined(1)
        for step in (one.membership.drain, one.membership.leave):
            one.views.is_away = True
            asked = asyncio.ensure_future(step())
            await asyncio.sleep(3)
            assert not asked.done()
            one.views.is_away = False
            await asyncio.sleep(0.5)
            assert asked.done()
        assert around.views.newest.version == 3
        assert _said(logged, VIEWS_UNREACHABLE) > 2


@in_virtual_time
async def test_a_drain_whose_answer_was_lost_is_not_proposed_for_ever() -> None:
    async with circle() as around:
        (one,) = await around.joined(1)
        one.views.lose_answers = 1
        await one.membership.drain()
        assert around.views.newest.members == (msgspec.structs.replace(one.me, draining=True),)
        assert around.views.newest.version <= 3


@in_virtual_time
async def test_a_node_that_stopped_beats_no_more() -> None:
    async with circle() as around:
        (one,) = await around.joined(1)
        await one.membership.stop()
        count = around.beats.beats[node_id(1)].count
        await asyncio.sleep(SOON_S)
        assert around.beats.beats[node_id(1)].count == count


@in_virtual_time
async def test_a_cluster_in_peace_proposes_nothing() -> None:
    async with circle() as around:
        everybody = await around.joined(1, 2, 3, 4, 5)
        proposed = [len(one.views.proposals) for one in everybody]
        await asyncio.sleep(600)
        assert around.views.newest.version == 5
        assert [len(one.views.proposals) for one in everybody] == proposed
        assert all(one.asked == [] for one in everybody)
