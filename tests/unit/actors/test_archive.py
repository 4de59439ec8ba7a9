"""Ended holds and stored replies that left memory are looked up, and answer as before."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from cinema.actors.messages import HoldSeen, ReadHold, ReadSeats
from cinema.domain.limits import ENDED_HOLDS_KEPT, REPLY_RECORDS_KEPT
from cinema.domain.seatmap import LayoutRow, grid_layout, parse_layout
from cinema.domain.showtime.commands import (
    BlockSeats,
    ChangePlan,
    HoldSeats,
    PauseSales,
    ResumeSales,
)
from cinema.storage.journal.store import StoreUnavailable
from tests.support.actors.neighbourhood import pair
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import (
    ANNA,
    BERT,
    PLAN,
    Node,
    World,
    accepted,
    audited_world,
    extend,
    hold,
    some_id,
)

ENOUGH = max(REPLY_RECORDS_KEPT, ENDED_HOLDS_KEPT) + 6


async def _archived(world: World) -> tuple[Node, bytes, Any]:
    """A hold that ended so long ago that it and its stored reply left memory."""
    showtime = world.showtime()
    node = await world.node(snapshot_every_events=10)
    oldest = hold(ANNA, "B7", key=some_id())
    first = accepted(await node.ask(showtime, oldest))
    await _bury(node, showtime, oldest)
    return node, showtime, (oldest, first)


async def _bury(node: Node, showtime: bytes, oldest: HoldSeats) -> None:
    """So much happens that a hold ends and leaves memory with its stored reply."""
    for number in range(ENOUGH):
        key = some_id()
        await node.ask(showtime, hold(ANNA, PLAN.labels[number], key=key))
    await asyncio.sleep(61)
    await node.ask(showtime, hold(BERT, "D1"))
    await settle()
    await asyncio.sleep(0.5)
    archive = node.world.journal.archive
    assert (showtime, oldest.command_id) in archive
    assert (showtime, oldest.hold_id) in archive


@in_virtual_time
async def test_an_archived_success_answers_its_key_again() -> None:
    async with audited_world() as world:
        node, showtime, (oldest, first) = await _archived(world)
        again = accepted(await node.ask(showtime, oldest))
        assert (again.replayed, again.seq, again.event) == (True, first.seq, first.event)
        assert node.store.count("recall") == 1
        other = hold(BERT, "B8", key=oldest.command_id)
        changed = type(other)(
            command_id=oldest.command_id,
            fingerprint=b"another!",
            hold_id=some_id(),
            customer=ANNA,
            labels=["B9"],
        )
        assert (await node.ask(showtime, changed)).code == "IDEMPOTENCY_MISMATCH"


@in_virtual_time
async def test_an_archived_hold_can_still_be_read_by_its_owner_alone() -> None:
    async with audited_world() as world:
        node, showtime, (oldest, _) = await _archived(world)
        seen = await node.ask(showtime, ReadHold(hold_id=oldest.hold_id, customer=ANNA))
        assert isinstance(seen, HoldSeen)
        assert (seen.status, seen.group.seats) == ("expired", (PLAN.index["B7"],))
        # The archive has to be asked for it, also by who could be answered at once otherwise.
        asked = ReadHold(hold_id=oldest.hold_id, customer=ANNA)
        assert await node.kernel.ask(showtime, asked) == seen
        stranger = await node.ask(showtime, ReadHold(hold_id=oldest.hold_id, customer=BERT))
        assert stranger.code == "NOT_FOUND"
        late = await node.ask(showtime, extend(ANNA, oldest.hold_id))
        assert (late.code, late.details) == ("HOLD_ENDED", {"status": "expired"})


@in_virtual_time
async def test_a_hold_that_never_was_is_not_found() -> None:
    async with audited_world() as world:
        node, showtime, _ = await _archived(world)
        asked = 0
        # The filter says "maybe" to a few of them; those are looked up in vain.
        while node.store.count("recall") < 3:
            nowhere = ReadHold(hold_id=random.randbytes(16), customer=ANNA)
            assert (await node.ask(showtime, nowhere)).code == "NOT_FOUND"
            asked += 1
        assert asked > 20


@in_virtual_time
async def test_an_archive_that_does_not_answer_is_to_be_retried() -> None:
    async with audited_world() as world:
        node, showtime, (oldest, _) = await _archived(world)
        node.store.fail_next("recall", StoreUnavailable("gone"))
        assert (await node.ask(showtime, oldest)).code == "RETRY"
        assert accepted(await node.ask(showtime, oldest)).replayed


@in_virtual_time
async def test_an_archived_answer_that_arrives_while_the_actor_reloads_is_to_be_retried() -> None:
    async with audited_world() as world:
        node, showtime, (oldest, _) = await _archived(world)
        node.store.held.update({"recall", "take_over"})
        mail = node.tell(showtime, oldest)
        recall = await node.store.next("recall")
        node.store.fail_next("append", StoreUnavailable("lost"))
        node.tell(showtime, hold(BERT, "D2"))
        bump = await node.store.next("take_over")
        recall.finish()
        await settle()
        assert mail.code == "RETRY"
        node.store.held.clear()
        bump.finish()
        await settle()
        assert accepted(await node.ask(showtime, oldest)).replayed


@in_virtual_time
async def test_other_commands_go_on_while_the_archive_is_asked_and_the_actor_stays() -> None:
    async with audited_world() as world:
        node, showtime, (oldest, _) = await _archived(world)
        node.store.held.add("recall")
        mail = node.tell(showtime, oldest)
        recall = await node.store.next("recall")
        assert accepted(await node.ask(showtime, hold(BERT, "D3"))).replayed is False
        assert not node.actor(showtime).idle
        recall.finish()
        await settle()
        assert accepted(mail.outcome).replayed


@in_virtual_time
async def test_an_answer_of_the_archive_is_asked_again_if_more_was_archived_meanwhile() -> None:
    async with audited_world() as world:
        node, showtime, (oldest, _) = await _archived(world)
        node.store.held.add("recall")
        mail = node.tell(showtime, oldest)
        recall = await node.store.next("recall")
        state = node.actor(showtime).state
        generation = state.archive_generation
        surely_new = (key for key in iter(some_id, b"") if key not in state.archive_filter)
        for number in range(ENOUGH):
            await node.ask(showtime, hold(BERT, PLAN.labels[number], key=next(surely_new)))
        await settle()
        assert state.archive_generation > generation
        recall.finish()
        (await node.store.next("recall")).finish()
        await settle()
        assert accepted(mail.outcome).replayed


@in_virtual_time
async def test_what_the_archive_told_another_memory_does_not_count_for_its_successor() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(
            world, snapshot_every_events=10, command_deadline_ms=600_000
        )
        oldest = hold(ANNA, "B7", key=some_id())
        await old.node.ask(showtime, oldest)
        await _bury(old.node, showtime, oldest)
        # Brought into memory again, this node's has archived nothing yet, as all that follow.
        await old.node.kernel.release(showtime)
        await old.node.ask(showtime, hold(BERT, "D2"))
        state = old.node.actor(showtime).state
        assert state.archive_generation == 0
        maybe = next(key for key in iter(some_id, b"") if key in state.archive_filter)
        command = hold(ANNA, "B8", key=maybe)
        script = old.node.store
        script.held.update({"recall", "save", "take_over"})
        mail = old.node.tell(showtime, command)
        recall = await script.next("recall")
        # The archive has never heard of the key, and says so while the showtime leaves.
        old.hood.owner[showtime] = new
        leaving = asyncio.ensure_future(old.node.kernel.release(showtime))
        await settle()
        recall.finish()
        save = await script.next("save")
        # It comes back before it has left: the letter waits for the successor on the same node.
        old.hood.owner[showtime] = old
        save.finish()
        await leaving
        takeover = await script.next("take_over")
        # By then the same key has had its effect elsewhere, long enough ago to be archived.
        old.hood.owner[showtime] = new
        assert not accepted(await new.node.ask(showtime, command)).replayed
        await _bury(new.node, showtime, command)
        old.hood.owner[showtime] = old
        await new.node.kernel.release(showtime)
        script.held.clear()
        takeover.finish()
        await mail.answered.wait()
        assert accepted(mail.outcome).replayed


@in_virtual_time
async def test_what_the_archive_told_before_a_change_of_plan_does_not_count_after_it() -> None:
    async with audited_world() as world:
        node, showtime, (oldest, _) = await _archived(world)
        change = _with_a_row_in_front()
        node.store.held.add("recall")
        mail = node.tell(showtime, oldest)
        recall = await node.store.next("recall")
        # Both come in one turn: the change first, then the repeated hold with its answer.
        recall.finish()
        changed = node.tell(showtime, change)
        node.store.held.clear()
        await settle()
        assert accepted(changed.outcome).event.layout_version == 2
        assert [change.plan.labels[seat] for seat in accepted(mail.outcome).event.seats] == ["B7"]
        world.auditor.violations.clear()
        world.journal.ledger.clear()


def _with_a_row_in_front() -> ChangePlan:
    rows = grid_layout(4, 25).rows
    first = LayoutRow(label="Z", seats=rows[0].seats)
    layout = type(grid_layout(1, 1))(rows=[first, *rows])
    shifted = parse_layout(layout, 2)
    return ChangePlan(
        command_id=some_id(), plan=shifted, prices_minor=(1000,) * len(shifted.categories)
    )


@in_virtual_time
async def test_what_was_archived_under_another_plan_is_told_in_todays_seats() -> None:
    async with audited_world() as world:
        node, showtime, (oldest, _) = await _archived(world)
        change = _with_a_row_in_front()
        shifted = change.plan
        assert accepted(await node.ask(showtime, change)).event.layout_version == 2
        again = accepted(await node.ask(showtime, oldest))
        assert [shifted.labels[seat] for seat in again.event.seats] == ["B7"]
        seen = await node.ask(showtime, ReadHold(hold_id=oldest.hold_id, customer=ANNA))
        assert [shifted.labels[seat] for seat in seen.group.seats] == ["B7"]
        seats = await node.ask(showtime, ReadSeats())
        assert len(seats.seats) == 125
        world.auditor.violations.clear()
        world.journal.ledger.clear()


@in_virtual_time
async def test_commands_that_change_nothing_are_accepted_without_an_event() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        await node.ask(showtime, BlockSeats(command_id=some_id(), labels=["A1"]))
        await node.ask(showtime, PauseSales(command_id=some_id()))
        for command in (
            BlockSeats(command_id=some_id(), labels=["A1"]),
            PauseSales(command_id=some_id()),
        ):
            nothing = accepted(await node.ask(showtime, command))
            assert (nothing.event, nothing.seq) == (None, 2)
        assert (await node.ask(showtime, hold(ANNA, "A2"))).code == "SALES_PAUSED"
        assert accepted(await node.ask(showtime, ResumeSales(command_id=some_id()))).seq == 3
        assert world.events(showtime) == ["SeatsBlocked", "SalesPaused", "SalesResumed"]


@in_virtual_time
async def test_letters_forget_what_the_archive_said_when_the_actor_breaks() -> None:
    async with audited_world() as world:
        node, showtime, (oldest, _) = await _archived(world)
        node.store.held.update({"append", "recall"})
        node.tell(showtime, hold(BERT, "D2"))
        call = await node.store.next("append")
        mail = node.tell(showtime, oldest)
        recall = await node.store.next("recall")
        recall.finish()
        call.fail(StoreUnavailable("lost"))
        node.store.held.clear()
        await mail.answered.wait()
        assert accepted(mail.outcome).replayed
        assert node.store.count("recall") == 2
