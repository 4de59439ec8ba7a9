"""A showtime on its way to another node: what was decided is finished, what waits goes after it."""

from __future__ import annotations

import asyncio

import pytest

from cinema.actors.actor import Phase
from cinema.actors.kernel import Kernel
from cinema.actors.messages import Letter, ReadHold, ReadSeats, SeatsSeen, Watch
from cinema.actors.neighbours import ALONE
from cinema.domain.limits import ENDED_HOLDS_KEPT
from cinema.storage.journal.store import CommitUnknown, StoreUnavailable
from tests.support import inspection
from tests.support.actors.auditor import Feed
from tests.support.actors.bugs import break_down_once
from tests.support.actors.neighbourhood import Neighbour, Neighbourhood, pair
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import (
    ANNA,
    BERT,
    SETTINGS,
    Node,
    accepted,
    audited_world,
    hold,
    release,
    some_id,
)

LEASE_S = SETTINGS.lease_ms / 1000


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _leave(old: Neighbour, showtime: bytes) -> asyncio.Future[None]:
    """Begin to release a showtime."""
    return asyncio.ensure_future(old.node.kernel.release(showtime))


async def _left(old: Neighbour, showtime: bytes) -> None:
    async with asyncio.timeout(5):
        await old.node.kernel.release(showtime)
    assert not old.node.kernel.is_resident(showtime)


# --- release


@in_virtual_time
async def test_a_released_showtime_is_given_back_so_that_the_next_owner_need_not_wait() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        wish = hold(ANNA, "A1", key=some_id())
        first = accepted(await old.node.ask(showtime, wish))
        assert world.journal.heads[showtime].owner == old.node_id
        old.hood.owner[showtime] = new
        await _left(old, showtime)
        assert world.journal.heads[showtime].released
        # What the next owner needs is stored with it.
        assert world.journal.snapshots[showtime][0] == 1
        started_s = _now_s()
        again = accepted(await new.node.ask(showtime, wish))
        assert (again.replayed, again.seq, again.epoch) == (True, 1, first.epoch)
        assert accepted(await new.node.ask(showtime, hold(BERT, "A2"))).epoch == first.epoch + 1
        assert _now_s() - started_s < LEASE_S / 2
        assert world.journal.heads[showtime].owner == new.node_id
        assert new.asked == []


@in_virtual_time
async def test_a_release_finishes_what_was_decided_and_sends_on_what_was_not() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        feed, seen = await old.node.watch(showtime)
        old.node.store.held.add("append")
        first = old.node.tell(showtime, hold(ANNA, "A1"))
        call = await old.node.store.next("append")
        behind = old.node.tell(showtime, hold(ANNA, "A2"))
        refused = old.node.tell(showtime, hold(BERT, "A1"))
        await settle()
        old.hood.owner[showtime] = new
        leaving = _leave(old, showtime)
        await settle()
        assert old.node.actor(showtime).phase is Phase.LEAVING
        late = [old.node.tell(showtime, hold(BERT, label)) for label in ("A2", "A3")]
        await settle()
        assert [mail.outcome for mail in (first, behind, refused, *late)] == [None] * 5
        old.node.store.held.clear()
        call.finish()
        await leaving
        await late[1].answered.wait()
        assert [mail.code for mail in (first, behind, refused)] == ["OK", "OK", "SEAT_UNAVAILABLE"]
        assert [mail.code for mail in late] == ["SEAT_UNAVAILABLE", "OK"]
        assert (accepted(behind.outcome).epoch, accepted(late[1].outcome).epoch) == (1, 2)
        assert [letter.message.labels for letter in old.passed_on] == [["A2"], ["A3"]]
        # Its watchers saw all of it, and are told to look elsewhere.
        feed.assert_continues(seen.seq)
        assert [frame[2] for frame in feed.frames] == [1, 2]
        assert feed.times_lost == 1


@in_virtual_time
async def test_a_letter_that_waits_at_a_showtime_that_cannot_leave_keeps_its_deadline() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world, command_deadline_ms=1000)
        old.node.store.held.add("append")
        decided = old.node.tell(showtime, hold(ANNA, "A1"))
        call = await old.node.store.next("append")
        old.hood.owner[showtime] = new
        leaving = _leave(old, showtime)
        await settle()
        late = old.node.tell(showtime, hold(BERT, "A2"))
        await asyncio.sleep(0.8)
        assert late.outcome is None
        await asyncio.sleep(0.4)
        assert late.code == "RETRY"
        call.finish()
        await leaving
        assert decided.code == "OK"
        assert old.passed_on == []


@in_virtual_time
async def test_a_letter_takes_its_deadline_along() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world, command_deadline_ms=1000)
        old.node.store.held.add("save")
        old.hood.owner[showtime] = new
        leaving = _leave(old, showtime)
        save = await old.node.store.next("save")
        mail = old.node.tell(showtime, hold(BERT, "A2"))
        await asyncio.sleep(0.7)
        new.node.store.held.add("load")
        save.finish()
        await leaving
        await asyncio.sleep(0.2)
        assert mail.outcome is None
        await asyncio.sleep(0.3)
        assert mail.code == "RETRY"


@in_virtual_time
async def test_a_release_waits_for_answers_that_need_a_lease() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        await asyncio.sleep(LEASE_S * 2)
        old.node.store.held.add("confirm")
        read = old.node.tell(showtime, ReadSeats())
        confirm = await old.node.store.next("confirm")
        old.hood.owner[showtime] = new
        leaving = _leave(old, showtime)
        await asyncio.sleep(0.1)
        assert old.node.store.count("save") == 0
        confirm.finish()
        await leaving
        assert isinstance(read.outcome, SeatsSeen)
        assert world.journal.heads[showtime].released


@in_virtual_time
async def test_a_release_waits_for_the_archive_and_forgets_what_it_said() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world, snapshot_every_events=10)
        first = hold(ANNA, "A1")
        await old.node.ask(showtime, first)
        await old.node.ask(showtime, release(ANNA, first.hold_id))
        for _ in range(ENDED_HOLDS_KEPT + 6):
            wish = hold(ANNA, "A2")
            await old.node.ask(showtime, wish)
            await old.node.ask(showtime, release(ANNA, wish.hold_id))
        assert (showtime, first.hold_id) in world.journal.archive
        old.node.store.held.add("recall")
        mail = old.node.tell(showtime, ReadHold(hold_id=first.hold_id, customer=ANNA))
        recall = await old.node.store.next("recall")
        old.hood.owner[showtime] = new
        leaving = _leave(old, showtime)
        await asyncio.sleep(0.1)
        assert old.node.store.count("save") == 0
        recall.finish()
        await leaving
        await mail.answered.wait()
        assert mail.outcome.status == "released"
        # Generations mean nothing elsewhere: the next owner asked the archive itself.
        assert [letter.recalled for letter in old.passed_on] == [None]
        assert new.node.store.count("recall") == 1


@in_virtual_time
async def test_a_release_waits_for_a_snapshot_under_way() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world, snapshot_every_events=1)
        old.node.store.held.update({"keep", "save"})
        await old.node.ask(showtime, hold(ANNA, "A1"))
        save = await old.node.store.next("keep")
        old.hood.owner[showtime] = new
        leaving = _leave(old, showtime)
        await asyncio.sleep(0.1)
        save.finish()
        back = await old.node.store.next("save")
        (sent,) = back.argument
        assert (sent.release, sent.payload) == (True, None)
        back.finish()
        await leaving
        assert world.journal.heads[showtime].released


@in_virtual_time
async def test_an_event_decided_before_a_showtime_leaves_may_still_need_a_snapshot() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world, snapshot_every_events=1)
        old.node.store.held.add("append")
        mail = old.node.tell(showtime, hold(ANNA, "A1"))
        call = await old.node.store.next("append")
        old.hood.owner[showtime] = new
        leaving = _leave(old, showtime)
        await settle()
        call.finish()
        await leaving
        assert mail.code == "OK"
        assert old.node.kernel.metrics.snapshots == 1
        assert accepted(await new.node.ask(showtime, hold(ANNA, "A2"))).seq == 2


@in_virtual_time
async def test_two_who_ask_for_a_release_get_the_same_one_and_neither_can_cancel_it() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        old.node.store.held.add("save")
        old.hood.owner[showtime] = new
        impatient, patient = _leave(old, showtime), _leave(old, showtime)
        save = await old.node.store.next("save")
        impatient.cancel()
        await settle()
        assert impatient.cancelled()
        assert not patient.done()
        save.finish()
        await patient
        assert old.node.store.count("save") == 1
        assert world.journal.heads[showtime].released


@in_virtual_time
async def test_whoever_waits_for_a_release_is_not_cancelled_when_the_kernel_stops() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        old.node.store.held.add("append")
        old.node.tell(showtime, hold(ANNA, "A1"))
        await old.node.store.next("append")
        old.hood.owner[showtime] = new
        waiting = _leave(old, showtime)
        await settle()
        await inspection.kill(old.node.kernel)
        await waiting
        assert not waiting.cancelled()


@in_virtual_time
async def test_a_showtime_that_is_not_in_memory_is_released_already() -> None:
    async with audited_world() as world:
        _, old, _ = await pair(world)
        statements = len(old.node.store.seen)
        cold = world.showtime()
        await old.node.kernel.release(cold)
        assert len(old.node.store.seen) == statements
        assert world.journal.heads[cold].epoch == 0


@in_virtual_time
async def test_a_showtime_released_by_its_owner_comes_back_with_what_waited() -> None:
    async with audited_world() as world:
        showtime, old, _ = await pair(world)
        old.node.store.held.add("save")
        leaving = _leave(old, showtime)
        save = await old.node.store.next("save")
        mail = old.node.tell(showtime, hold(ANNA, "A1"))
        save.finish()
        await leaving
        await settle()
        assert accepted(mail.outcome).epoch == 2
        assert old.passed_on == []


@in_virtual_time
async def test_a_watcher_that_joins_a_showtime_that_leaves_is_sent_after_it() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        old.node.store.held.add("save")
        old.hood.owner[showtime] = new
        leaving = _leave(old, showtime)
        save = await old.node.store.next("save")
        feed = Feed(world.auditor, showtime)
        mail = old.node.tell(showtime, Watch(feed=feed))
        save.finish()
        await leaving
        await mail.answered.wait()
        assert isinstance(mail.outcome, SeatsSeen)
        await new.node.ask(showtime, hold(ANNA, "A1"))
        assert [frame[2] for frame in feed.frames] == [1]


@in_virtual_time
async def test_a_hold_that_comes_due_while_its_showtime_leaves_is_expired_by_the_next_owner() -> (
    None
):
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        await old.node.ask(showtime, hold(ANNA, "A1"))
        await asyncio.sleep(59.9)
        old.node.store.held.add("save")
        old.hood.owner[showtime] = new
        leaving = _leave(old, showtime)
        save = await old.node.store.next("save")
        await asyncio.sleep(1)
        assert world.events(showtime) == ["SeatsHeld"]
        save.finish()
        await leaving
        await asyncio.sleep(1)
        assert world.events(showtime) == ["SeatsHeld", "HoldExpired"]
        assert new.node.kernel.is_resident(showtime)
        assert not old.node.kernel.is_resident(showtime)


@in_virtual_time
async def test_expiries_under_way_are_all_written_before_the_showtime_leaves() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world, batch_limit_events=1)
        await asyncio.gather(*(old.node.ask(showtime, hold(ANNA, seat)) for seat in ("A1", "A2")))
        await asyncio.sleep(59)
        old.node.store.held.add("append")
        first = await old.node.store.next("append")
        old.hood.owner[showtime] = new
        leaving = _leave(old, showtime)
        await asyncio.sleep(0.1)
        first.finish()
        second = await old.node.store.next("append")
        second.finish()
        await leaving
        assert world.events(showtime) == ["SeatsHeld"] * 2 + ["HoldExpired"] * 2
        assert world.journal.heads[showtime].released
        assert old.node.kernel.metrics.fenced == 0


# --- a release that meets trouble


@in_virtual_time
async def test_a_showtime_on_its_way_into_memory_is_released_once_it_is_there() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        await _left(old, showtime)
        old.node.store.held.add("load")
        mail = old.node.tell(showtime, hold(ANNA, "A1"))
        load = await old.node.store.next("load")
        old.hood.owner[showtime] = new
        leaving = _leave(old, showtime)
        await asyncio.sleep(0.1)
        assert not leaving.done()
        load.finish()
        await leaving
        # It was the owner's by then, who serves what waited for it.
        assert accepted(mail.outcome).epoch == 2
        assert world.journal.heads[showtime].released
        assert accepted(await new.node.ask(showtime, hold(ANNA, "A2"))).epoch == 3


@in_virtual_time
async def test_a_showtime_in_quarantine_leaves_without_being_given_back() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        old.node.actor(showtime).quarantine()
        assert old.node.tell(showtime, hold(ANNA, "A1")).code == "RETRY"
        old.hood.owner[showtime] = new
        await _left(old, showtime)
        assert not world.journal.heads[showtime].released
        started_s = _now_s()
        assert accepted(await new.node.ask(showtime, hold(ANNA, "A1"))).epoch == 2
        assert _now_s() - started_s >= LEASE_S


@pytest.mark.parametrize("happened", [True, False])
@in_virtual_time
async def test_a_commit_unknown_while_the_showtime_leaves_is_settled_before_it_goes(
    happened: bool,
) -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        old.node.store.held.add("append")
        mail = old.node.tell(showtime, hold(ANNA, "A1"))
        call = await old.node.store.next("append")
        old.hood.owner[showtime] = new
        leaving = _leave(old, showtime)
        await settle()
        late = old.node.tell(showtime, hold(BERT, "A1"))
        old.node.store.held.clear()
        if happened:
            call.execute()
        call.fail(CommitUnknown("lost"))
        await leaving
        # Only a takeover can tell, whoever is to own the showtime next.
        assert mail.code == ("OK" if happened else "RETRY")
        assert late.code == ("SEAT_UNAVAILABLE" if happened else "OK")
        head = world.journal.heads[showtime]
        assert (head.epoch, head.owner, head.released) == (2, old.node_id, True)
        assert accepted(await new.node.ask(showtime, hold(ANNA, "A2"))).epoch == 3


@pytest.mark.parametrize("applied", [True, False])
@in_virtual_time
async def test_a_release_nobody_knows_of_is_left_to_the_next_owner(applied: bool) -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        old.node.store.held.add("save")
        old.hood.owner[showtime] = new
        leaving = _leave(old, showtime)
        save = await old.node.store.next("save")
        mail = old.node.tell(showtime, hold(ANNA, "A1"))
        if applied:
            save.execute()
        save.fail(StoreUnavailable("lost"))
        await leaving
        await mail.answered.wait()
        # It was not taken over again only to be given back.
        assert accepted(mail.outcome).epoch == 2
        assert world.journal.heads[showtime].owner == new.node_id
        assert new.asked == ([] if applied else [(old.node_id, showtime)])


@in_virtual_time
async def test_a_showtime_taken_from_a_node_that_is_releasing_it_goes_all_the_same() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        old.node.store.held.add("append")
        mail = old.node.tell(showtime, hold(ANNA, "A1"))
        call = await old.node.store.next("append")
        old.hood.owner[showtime] = new
        leaving = _leave(old, showtime)
        await settle()
        late = old.node.tell(showtime, hold(BERT, "A2"))
        await world.journal.take_over(showtime, new.node_id)
        call.finish()
        await leaving
        assert mail.code == "RETRY"
        assert old.node.kernel.metrics.fenced == 1
        await late.answered.wait()
        assert accepted(late.outcome).epoch == 3


@in_virtual_time
async def test_a_lease_that_is_gone_while_the_showtime_leaves_is_noticed() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        await asyncio.sleep(LEASE_S * 2)
        old.node.store.held.add("confirm")
        read = old.node.tell(showtime, ReadSeats())
        confirm = await old.node.store.next("confirm")
        old.hood.owner[showtime] = new
        leaving = _leave(old, showtime)
        await settle()
        await world.journal.take_over(showtime, new.node_id)
        confirm.finish()
        await leaving
        assert read.code == "RETRY"
        assert old.node.kernel.metrics.fenced == 1


@in_virtual_time
async def test_a_bug_while_the_showtime_leaves_does_not_keep_it_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        old.node.store.held.add("append")
        mail = old.node.tell(showtime, hold(ANNA, "A1"))
        call = await old.node.store.next("append")
        old.node.store.held.clear()
        old.hood.owner[showtime] = new
        leaving = _leave(old, showtime)
        await settle()
        break_down_once(monkeypatch, type(old.node.actor(showtime)), "deliver")
        call.finish()
        await leaving
        assert mail.code == "OK"
        assert accepted(await new.node.ask(showtime, hold(ANNA, "A2"))).seq == 2


@in_virtual_time
async def test_a_drain_sends_nobody_elsewhere() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        old.node.store.held.add("save")
        old.hood.owner[showtime] = new
        leaving = _leave(old, showtime)
        save = await old.node.store.next("save")
        mail = old.node.tell(showtime, hold(ANNA, "A1"))
        draining = asyncio.ensure_future(old.node.kernel.stop(5))
        await settle()
        save.finish()
        await draining
        await asyncio.wait([leaving])
        assert mail.code == "RETRY"
        assert old.passed_on == []
        assert world.journal.heads[showtime].released


# --- whose it is


@in_virtual_time
async def test_strangers_are_the_showtimes_in_memory_that_are_another_nodes() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        mine = world.showtime()
        old.hood.owner[mine] = old
        await old.node.ask(mine, hold(ANNA, "A1"))
        assert await old.node.kernel.showtimes_of_others() == []
        old.hood.owner[showtime] = new
        assert await old.node.kernel.showtimes_of_others() == [showtime]
        assert old.node.kernel.is_stranger(showtime)
        assert not old.node.kernel.is_stranger(mine)
        await _left(old, showtime)
        assert await old.node.kernel.showtimes_of_others() == []
        assert not old.node.kernel.is_stranger(showtime)
        assert old.node.kernel.is_resident(mine)


@in_virtual_time
async def test_a_node_without_a_cluster_owns_everything_and_asks_nobody() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = Node(world, Kernel, SETTINGS)
        world.nodes.append(node)
        await node.kernel.start()
        await node.ask(showtime, hold(ANNA, "A1"))
        assert await node.kernel.showtimes_of_others() == []
        assert world.journal.heads[showtime].owner is None
        with pytest.raises(AssertionError):
            await ALONE.ask_back(some_id(), showtime)
        with pytest.raises(AssertionError):
            ALONE.pass_on(showtime, Letter(ReadSeats(), print, 0))
        # Another one that takes over has nobody to ask, and waits the lease out.
        other = await world.node()
        started_s = _now_s()
        assert accepted(await other.ask(showtime, hold(ANNA, "A2"))).epoch == 2
        assert _now_s() - started_s >= LEASE_S


@in_virtual_time
async def test_holds_of_another_nodes_showtimes_are_left_to_it() -> None:
    async with audited_world() as world:
        hood = Neighbourhood(world)
        one, other = await hood.moves_in(), await hood.moves_in()
        showtime = world.showtime()
        hood.owner[showtime] = other
        await other.node.ask(showtime, hold(ANNA, "A1"))
        await _left(other, showtime)
        other.node.store.down["due"] = StoreUnavailable("it must not help")
        await asyncio.sleep(63)
        assert one.node.store.count("due") > 60
        assert world.events(showtime) == ["SeatsHeld"]
        hood.owner[showtime] = one
        await asyncio.sleep(1)
        assert world.events(showtime) == ["SeatsHeld", "HoldExpired"]
