"""A showtime comes from a neighbour: asked for, or taken; and what a former owner still owes."""

from __future__ import annotations

import asyncio

import pytest

from cinema.actors.messages import ReadSeats, SeatsSeen
from cinema.storage.journal.store import CommitUnknown, HeldBy, StoreUnavailable
from tests.support.actors.neighbourhood import pair
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import (
    ANNA,
    BERT,
    SETTINGS,
    accepted,
    audited_world,
    hold,
    release,
    some_id,
)

LEASE_S = SETTINGS.lease_ms / 1000
LOST = CommitUnknown("connection lost")


def _now_s() -> float:
    return asyncio.get_running_loop().time()


# --- asking for it


@in_virtual_time
async def test_a_living_owner_is_asked_and_its_lease_is_not_waited_for() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        await old.node.ask(showtime, hold(ANNA, "A1"))
        old.hood.owner[showtime] = new
        started_s = _now_s()
        assert accepted(await new.node.ask(showtime, hold(BERT, "A2"))).epoch == 2
        assert _now_s() - started_s < LEASE_S / 10
        assert new.asked == [(old.node_id, showtime)]
        assert not old.node.kernel.is_resident(showtime)


@in_virtual_time
async def test_an_owner_that_does_not_give_back_loses_the_showtime_after_its_lease() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        await old.node.ask(showtime, hold(ANNA, "A1"))

        async def in_vain() -> None:
            await asyncio.sleep(0.2)

        new.instead = in_vain
        old.hood.owner[showtime] = new
        started_s = _now_s()
        mail = new.node.tell(showtime, hold(BERT, "A1"))
        seen = await old.node.ask(showtime, ReadSeats())
        assert isinstance(seen, SeatsSeen)
        await mail.answered.wait()
        assert mail.code == "SEAT_UNAVAILABLE"
        assert _now_s() - started_s >= 0.2 + LEASE_S
        # The former owner has to learn it from the head row.
        await asyncio.sleep(LEASE_S)
        assert (await old.node.ask(showtime, hold(ANNA, "A3"))).code == "RETRY"
        assert old.node.kernel.metrics.fenced == 1


@in_virtual_time
async def test_an_owner_that_no_longer_lives_is_not_asked() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        old.hood.living.remove(old)
        old.hood.owner[showtime] = new
        started_s = _now_s()
        await new.node.ask(showtime, hold(ANNA, "A1"))
        assert _now_s() - started_s >= LEASE_S
        assert new.asked == []
        assert new.node.store.count("take_over") == 1


@in_virtual_time
async def test_a_showtime_that_was_given_back_is_taken_without_asking() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        await old.node.kernel.release(showtime)
        old.hood.owner[showtime] = new
        await new.node.ask(showtime, hold(ANNA, "A1"))
        assert new.asked == []
        assert new.node.store.count("take_over") == 1


@in_virtual_time
async def test_whoever_waits_for_a_neighbour_does_not_hold_up_other_showtimes() -> None:
    async with audited_world() as world:
        _, old, new = await pair(world)
        others = [world.showtime() for _ in range(20)]
        for one in others:
            old.hood.owner[one] = old
            await old.node.ask(one, hold(ANNA, "A1"))
            old.hood.owner[one] = new
        answer = asyncio.Event()

        async def wait() -> None:
            await answer.wait()

        new.instead = wait
        waiting = [new.node.tell(one, hold(BERT, "A2")) for one in others]
        await asyncio.sleep(1)
        # More than may be activated at once are waiting.
        assert len(new.asked) == len(others)
        cold = world.showtime()
        old.hood.owner[cold] = new
        assert accepted(await new.node.ask(cold, hold(ANNA, "A1"))).epoch == 1
        answer.set()
        await asyncio.gather(*(mail.answered.wait() for mail in waiting))
        assert {accepted(mail.outcome).epoch for mail in waiting} == {2}


@in_virtual_time
async def test_a_takeover_that_would_ask_a_neighbour_changes_nothing() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        held = await new.node.store.take_over(showtime, new.node_id, [old.node_id])
        assert held == HeldBy(old.node_id)
        assert accepted(await old.node.ask(showtime, hold(ANNA, "A1"))).epoch == 1


# --- it is another node's after all


@in_virtual_time
async def test_a_showtime_that_is_not_this_nodes_moves_away_with_all_that_waits() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        mails = [new.node.tell(showtime, hold(ANNA, label)) for label in ("A1", "A2")]
        await asyncio.gather(*(mail.answered.wait() for mail in mails))
        assert [accepted(mail.outcome).epoch for mail in mails] == [1, 1]
        assert [letter.message.labels for letter in new.passed_on] == [["A1"], ["A2"]]
        # Nobody was fenced for it.
        assert new.node.store.count("take_over") == 0
        assert new.node.kernel.resident_count == 0
        assert old.node.kernel.metrics.fenced == 0


@in_virtual_time
async def test_an_owner_that_learns_while_asking_that_it_is_none_moves_away() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        old.hood.owner[showtime] = new

        async def refused() -> None:
            new.hood.owner[showtime] = old

        new.instead = refused
        mail = new.node.tell(showtime, hold(ANNA, "A1"))
        await mail.answered.wait()
        assert accepted(mail.outcome).epoch == 1
        assert not new.node.kernel.is_resident(showtime)
        assert world.journal.heads[showtime].owner == old.node_id


@in_virtual_time
async def test_a_drain_answers_what_waits_at_a_showtime_that_moves_away() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        old.hood.owner[showtime] = new
        asked = asyncio.Event()

        async def refused() -> None:
            await asked.wait()
            new.hood.owner[showtime] = old

        new.instead = refused
        mail = new.node.tell(showtime, hold(ANNA, "A1"))
        await settle()
        stopping = asyncio.ensure_future(new.node.kernel.stop(5))
        await settle()
        asked.set()
        await stopping
        assert mail.code == "RETRY"
        assert new.passed_on == []


# --- what a former owner owes


@pytest.mark.parametrize("happened", [True, False])
@in_virtual_time
async def test_a_doubt_is_settled_from_the_journal_once_another_node_has_taken_over(
    happened: bool,
) -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        feed, _ = await old.node.watch(showtime)
        old.node.store.held.add("append")
        mail = old.node.tell(showtime, hold(ANNA, "A1"))
        call = await old.node.store.next("append")
        behind = old.node.tell(showtime, hold(ANNA, "A2"))
        if happened:
            call.execute()
        old.hood.owner[showtime] = new
        await world.journal.take_over(showtime, new.node_id)
        call.fail(LOST)
        await mail.answered.wait()
        assert mail.code == ("OK" if happened else "RETRY")
        assert behind.code == "RETRY"
        # It took nothing back, and its watchers have to look elsewhere.
        assert world.journal.heads[showtime].epoch == 2
        await settle()
        assert not old.node.kernel.is_resident(showtime)
        assert feed.times_lost == 1
        assert call.execute() == set()
        assert accepted(await new.node.ask(showtime, hold(BERT, "B1"))).epoch == 3


@in_virtual_time
async def test_a_doubt_under_the_current_epoch_is_settled_only_by_a_takeover() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        old.node.store.held.update({"append", "take_over"})
        mail = old.node.tell(showtime, hold(ANNA, "A1"))
        call = await old.node.store.next("append")
        old.hood.owner[showtime] = new
        call.fail(LOST)
        bump = await old.node.store.next("take_over")
        # Loading has shown nothing there; but the statement may land yet, and it does.
        assert mail.outcome is None
        assert call.execute() == {showtime}
        bump.finish()
        await mail.answered.wait()
        assert (accepted(mail.outcome).seq, accepted(mail.outcome).epoch) == (1, 1)
        # It serves until its handover releases it.
        assert await old.node.kernel.showtimes_of_others() == [showtime]


@pytest.mark.parametrize("happened", [True, False])
@in_virtual_time
async def test_a_doubt_whose_showtime_was_taken_meanwhile_is_settled_without_taking_it_back(
    happened: bool,
) -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        old.node.store.held.add("append")
        mail = old.node.tell(showtime, hold(ANNA, "A1"))
        call = await old.node.store.next("append")
        if happened:
            call.execute()
        # Another node has it, by a view that this one has not seen yet.
        await world.journal.take_over(showtime, new.node_id)

        async def refused() -> None:
            old.hood.owner[showtime] = new

        old.instead = refused
        call.fail(LOST)
        await mail.answered.wait()
        assert mail.code == ("OK" if happened else "RETRY")
        assert old.asked == [(new.node_id, showtime)]
        assert world.journal.heads[showtime].epoch == 2


@in_virtual_time
async def test_a_doubt_that_can_be_neither_settled_nor_taken_over_keeps_its_deadline() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world, command_deadline_ms=1000)
        old.node.store.held.add("append")
        mail = old.node.tell(showtime, hold(ANNA, "A1"))
        call = await old.node.store.next("append")
        old.hood.owner[showtime] = new
        old.node.store.down["load"] = StoreUnavailable("gone")
        call.execute()
        call.fail(LOST)
        await asyncio.sleep(0.5)
        assert mail.outcome is None
        await mail.answered.wait()
        assert mail.code == "OUTCOME_UNKNOWN"
        # Nobody waits any more: it is left to its owner.
        await asyncio.sleep(2)
        assert not old.node.kernel.is_resident(showtime)


@in_virtual_time
async def test_a_doubt_about_a_showtime_that_vanished_stays_in_doubt() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        old.node.store.held.add("append")
        mail = old.node.tell(showtime, hold(ANNA, "A1"))
        call = await old.node.store.next("append")
        await world.journal.take_over(showtime, new.node_id)
        old.hood.owner[showtime] = new
        del world.terms.of[showtime]
        call.fail(LOST)
        await mail.answered.wait()
        assert mail.code == "OUTCOME_UNKNOWN"
        assert not old.node.kernel.is_resident(showtime)
        assert old.node.kernel.metrics.quarantined == 0


@in_virtual_time
async def test_an_event_in_doubt_that_a_snapshot_replaced_elsewhere_is_still_found() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world, snapshot_every_events=2)
        old.node.store.held.add("append")
        mail = old.node.tell(showtime, hold(ANNA, "A1"))
        call = await old.node.store.next("append")
        old.node.store.held.add("load")
        call.execute()
        old.hood.owner[showtime] = new
        call.fail(LOST)
        load = await old.node.store.next("load")
        new.instead = _in_vain
        await new.node.ask(showtime, hold(BERT, "A2"))
        await settle()
        assert world.journal.snapshots[showtime][0] == 2
        load.finish()
        await mail.answered.wait()
        assert accepted(mail.outcome).seq == 1


async def _in_vain() -> None:
    await asyncio.sleep(0)


@in_virtual_time
async def test_a_former_owner_that_is_fenced_sends_what_waits_to_the_next() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        old.node.store.held.add("append")
        mail = old.node.tell(showtime, hold(ANNA, "A1"))
        call = await old.node.store.next("append")
        old.node.store.held.clear()
        old.hood.owner[showtime] = new
        new.instead = _in_vain
        await new.node.ask(showtime, release(BERT, some_id()))
        call.finish()
        late = old.node.tell(showtime, hold(ANNA, "A2"))
        await late.answered.wait()
        assert (mail.code, late.code) == ("RETRY", "OK")
        assert accepted(late.outcome).epoch == 2
        assert not old.node.kernel.is_resident(showtime)
