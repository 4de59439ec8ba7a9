"""A plan that changes between two statements: only a showtime's owner may judge its journal."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cinema.actors.messages import ReadSeats, SeatsSeen
from cinema.domain.limits import FAILURES_BEFORE_QUARANTINE
from cinema.storage.journal.store import CommitUnknown
from tests.support.actors.in_between import (
    WIDER,
    LateTerms,
    begin_to_change_plan,
    change_plan,
    pin,
)
from tests.support.actors.neighbourhood import pair
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import ANNA, BERT, accepted, audited_world, hold, some_id

LOST = CommitUnknown("connection lost")


async def _in_vain() -> None:
    """An owner that is asked back and gives nothing back."""
    await asyncio.sleep(0)


def _labels(seen: Any) -> list[str]:
    """The seats of a map that are taken."""
    return [seen.terms.plan.labels[seat] for seat, status in enumerate(seen.seats) if status]


@in_virtual_time
async def test_a_plan_changed_elsewhere_between_two_statements_is_no_damage() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        old.node.store.held.add("append")
        mail = old.node.tell(showtime, hold(ANNA, "A1"))
        call = await old.node.store.next("append")
        call.execute()
        old.hood.owner[showtime] = new
        new.instead = _in_vain
        accepted(await new.node.ask(showtime, hold(BERT, "B1")))
        # The former owner has read the terms when its successor pins another plan.
        old.node.store.held.add("load")
        call.fail(LOST)
        load = await old.node.store.next("load")
        await change_plan(world, new.node, showtime)
        old.node.store.held.clear()
        load.finish()
        await mail.answered.wait()
        settled = accepted(mail.outcome)
        assert (settled.seq, settled.terms.plan) == (1, WIDER)
        assert old.node.kernel.metrics.quarantined == 0
        await settle()
        assert not old.node.kernel.is_resident(showtime)
        assert world.journal.heads[showtime].owner == new.node_id


@in_virtual_time
async def test_a_doubt_is_told_in_the_seats_of_the_plan_that_the_journal_had() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        old.node.store.held.add("append")
        mail = old.node.tell(showtime, hold(ANNA, "B1"))
        call = await old.node.store.next("append")
        call.execute()
        old.hood.owner[showtime] = new
        new.instead = _in_vain
        accepted(await new.node.ask(showtime, hold(BERT, "A1")))
        # Whatever of it is read first: the journal was before the change, the terms are late.
        late = LateTerms(world, old.node)
        call.fail(LOST)
        await late.answer_first()
        await change_plan(world, new.node, showtime)
        late.let_go()
        await mail.answered.wait()
        settled: Any = accepted(mail.outcome)
        assert [settled.terms.plan.labels[seat] for seat in settled.event.seats] == ["B1"]


@in_virtual_time
async def test_a_damaged_journal_seen_by_a_former_owner_is_left_to_its_owner() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world, command_deadline_ms=1000)
        old.node.store.held.add("append")
        mail = old.node.tell(showtime, hold(ANNA, "A1"))
        call = await old.node.store.next("append")
        call.execute()
        old.hood.owner[showtime] = new
        await world.journal.take_over(showtime, new.node_id)
        sound, world.journal.journal[showtime] = world.journal.journal[showtime], []
        call.fail(LOST)
        await mail.answered.wait()
        assert mail.code == "OUTCOME_UNKNOWN"
        await asyncio.sleep(2)
        assert not old.node.kernel.is_resident(showtime)
        assert (await new.node.ask(showtime, hold(BERT, "A2"))).code == "RETRY"
        assert [one.node.kernel.metrics.quarantined for one in (old, new)] == [0, 1]
        world.journal.journal[showtime] = sound


@in_virtual_time
async def test_a_showtime_that_breaks_too_often_is_forgotten_where_it_does_not_belong() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        for _ in range(FAILURES_BEFORE_QUARANTINE - 1):
            old.node.actor(showtime).fail("a bug")
            await settle()
        old.hood.owner[showtime] = new
        old.node.actor(showtime).fail("a bug")
        assert not old.node.kernel.is_resident(showtime)
        assert old.node.kernel.metrics.quarantined == 0
        new.instead = _in_vain
        accepted(await new.node.ask(showtime, hold(BERT, "A2")))


@in_virtual_time
async def test_a_look_during_a_change_of_plan_neither_activates_nor_tells_other_seats() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        owner = await world.warm_node(showtime)
        accepted(await owner.ask(showtime, hold(ANNA, "B1")))
        other = await world.node()
        other.store.held.add("load")
        reading = asyncio.ensure_future(other.kernel.read_seats(showtime, ReadSeats()))
        load = await other.store.next("load")
        await change_plan(world, owner, showtime)
        other.store.held.clear()
        load.finish()
        seen = await reading
        assert isinstance(seen, SeatsSeen)
        assert (seen.seq, _labels(seen)) == (2, ["B1"])
        assert not other.kernel.is_resident(showtime)
        assert world.journal.heads[showtime].epoch == 1


@in_virtual_time
async def test_a_look_whose_terms_are_late_shows_the_seats_of_its_seq() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        owner = await world.warm_node(showtime)
        accepted(await owner.ask(showtime, hold(ANNA, "B1")))
        other = await world.node()
        late = LateTerms(world, other)
        reading = asyncio.ensure_future(other.kernel.read_seats(showtime, ReadSeats()))
        await late.answer_first()
        await change_plan(world, owner, showtime)
        late.let_go()
        seen = await reading
        assert isinstance(seen, SeatsSeen)
        assert _labels(seen) == ["B1"]


@in_virtual_time
@pytest.mark.parametrize("happened", [True, False])
async def test_a_repetition_is_not_told_in_seats_of_a_plan_that_is_not_durable(
    happened: bool,
) -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        wish = hold(ANNA, "B1", key=some_id())
        accepted(await node.ask(showtime, wish))
        call, changed = await begin_to_change_plan(node, showtime)
        again = node.tell(showtime, wish)
        await settle()
        assert again.outcome is None
        if happened:
            pin(world, showtime)
            call.execute()
        node.store.held.clear()
        call.fail(LOST)
        await changed.answered.wait()
        await again.answered.wait()
        assert changed.code == ("OK" if happened else "RETRY")
        told: Any = accepted(again.outcome)
        assert told.terms.plan.version == (2 if happened else 1)
        assert [told.terms.plan.labels[seat] for seat in told.event.seats] == ["B1"]


@in_virtual_time
@pytest.mark.parametrize("durable", [True, False])
async def test_a_repetition_that_waits_for_a_plan_when_its_actor_ends_is_told_what_is_durable(
    durable: bool,
) -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        wish = hold(ANNA, "B1", key=some_id())
        accepted(await node.ask(showtime, wish))
        call, changed = await begin_to_change_plan(node, showtime)
        again = node.tell(showtime, wish)
        await settle()
        if durable:
            pin(world, showtime)
            call.finish()
            await settle()
        else:
            node.actor(showtime).abandon()
        assert again.code == changed.code == ("OK" if durable else "OUTCOME_UNKNOWN")


@in_virtual_time
async def test_terms_that_take_longer_than_a_lease_are_read_with_the_journal_behind_them() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        owner = await world.warm_node(showtime)
        accepted(await owner.ask(showtime, hold(ANNA, "B1")))
        slow = await world.node()
        late = LateTerms(world, slow)
        mail = slow.tell(showtime, ReadSeats())
        # Its terms are on their way; meanwhile somebody else takes over and serves.
        await late.answer_first()
        other = await world.node()
        accepted(await other.ask(showtime, hold(BERT, "A1")))
        await change_plan(world, other, showtime)
        late.let_go()
        await mail.answered.wait()
        assert isinstance(mail.outcome, SeatsSeen)
        assert (mail.outcome.epoch, _labels(mail.outcome)) == (4, ["A1", "B1"])
        assert slow.kernel.metrics.quarantined == 0
        assert slow.store.count("load") == 2
