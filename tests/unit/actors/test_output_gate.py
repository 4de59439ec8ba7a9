"""Nothing leaves an actor that rests on what is not durable yet."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from cinema.actors.asking import NOT_FOUND
from cinema.actors.messages import HoldSeen, Outcome, ReadHold, ReadSeats, SeatsSeen, Watch
from cinema.domain.seatmap import AVAILABLE, HELD
from cinema.storage.journal.store import CommitAborted, StoreUnavailable
from tests.support.actors.auditor import Feed
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import (
    ANNA,
    BERT,
    PLAN,
    accepted,
    audited_world,
    book,
    cancel,
    hold,
    release,
    some_id,
)

A1 = PLAN.index["A1"]


@in_virtual_time
async def test_no_reply_refusal_read_or_frame_leaves_before_its_event_is_durable() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        feed, seen = await node.watch(showtime)
        node.store.held.add("append")
        wish = hold(ANNA, "A1")
        taken = node.tell(showtime, wish)
        refused = node.tell(showtime, hold(BERT, "A1"))
        read = node.tell(showtime, ReadSeats(customer=ANNA))
        read_hold = node.tell(showtime, ReadHold(hold_id=wish.hold_id, customer=ANNA))
        late_feed = Feed(world.auditor, showtime)
        joined = node.tell(showtime, Watch(feed=late_feed))
        call = await node.store.next("append")
        mails = [taken, refused, read, read_hold, joined]
        await asyncio.sleep(3)
        assert [mail.outcome for mail in mails] == [None] * 5
        assert feed.frames == []
        call.execute()
        await settle()
        assert [mail.outcome for mail in mails] == [None] * 5
        call.reply()
        await settle()
        assert taken.outcome.seq == seen.seq + 1
        assert refused.code == "SEAT_UNAVAILABLE"
        assert isinstance(read.outcome, SeatsSeen)
        assert (read.outcome.seats[A1], read.outcome.mine) == (HELD, {A1})
        assert isinstance(read_hold.outcome, HoldSeen)
        assert isinstance(joined.outcome, SeatsSeen)
        feed.assert_continues(seen.seq)
        assert node.order[-5:] == mails


@in_virtual_time
async def test_the_actor_goes_on_while_a_batch_is_in_flight() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        node.store.held.add("append")
        first = node.tell(showtime, hold(ANNA, "A1"))
        one = await node.store.next("append")
        behind = [node.tell(showtime, hold(BERT, label)) for label in ("A2", "A3")]
        await settle()
        assert node.store.calls == []
        one.finish()
        two = await node.store.next("append")
        assert first.code == "OK"
        assert [mail.outcome for mail in behind] == [None, None]
        assert [part.prev_seq for part in two.argument] == [1]
        assert len(two.argument[0].events) == 2
        two.finish()
        await settle()
        assert [mail.code for mail in behind] == ["OK", "OK"]


@in_virtual_time
async def test_a_read_before_a_command_does_not_wait_for_it() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        node.store.held.add("append")
        read = node.tell(showtime, ReadSeats())
        taken = node.tell(showtime, hold(ANNA, "A1"))
        await settle()
        assert read.outcome.seats[A1] == AVAILABLE
        assert taken.outcome is None
        (await node.store.next("append")).finish()
        await settle()


@in_virtual_time
async def test_an_aborted_batch_has_no_effect_and_everything_behind_it_is_told_to_retry() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        feed, seen = await node.watch(showtime)
        node.store.held.add("append")
        first = node.tell(showtime, hold(ANNA, "A1"))
        call = await node.store.next("append")
        second = node.tell(showtime, hold(ANNA, "A2"))
        refused = node.tell(showtime, hold(BERT, "A1"))
        read = node.tell(showtime, ReadSeats())
        await settle()
        node.store.held.clear()
        call.fail(CommitAborted("53200"))
        await settle()
        assert [mail.code for mail in (first, second, refused, read)] == ["RETRY"] * 4
        assert world.events(showtime) == []
        again = await node.ask(showtime, hold(BERT, "A1", "A2"))
        assert accepted(again).seq == seen.seq + 1
        feed.assert_continues(seen.seq)
        assert node.kernel.metrics.commits_aborted == 1


@in_virtual_time
async def test_a_deadlock_is_tried_again_and_nobody_notices() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        node.store.fail_next("append", CommitAborted("40P01"), CommitAborted("40001"))
        assert accepted(await node.ask(showtime, hold(ANNA, "A1"))).seq == 1
        node.store.fail_next("append", *[CommitAborted("40P01")] * 3)
        assert (await node.ask(showtime, hold(ANNA, "A2"))).code == "RETRY"
        assert accepted(await node.ask(showtime, hold(ANNA, "A2"))).seq == 2


@in_virtual_time
async def test_a_refusal_or_read_waits_for_a_fresh_lease() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        checks = node.store.count("confirm")
        assert (await node.ask(showtime, release(ANNA, some_id()))).code == "NOT_FOUND"
        assert node.store.count("confirm") == checks
        await asyncio.sleep(0.46)
        node.store.held.add("confirm")
        refused = node.tell(showtime, release(ANNA, some_id()))
        read = node.tell(showtime, ReadSeats())
        call = await node.store.next("confirm")
        await settle()
        assert (refused.outcome, read.outcome) == (None, None)
        call.finish()
        await settle()
        assert refused.code == "NOT_FOUND"
        assert isinstance(read.outcome, SeatsSeen)


@in_virtual_time
async def test_a_check_proves_what_was_decided_before_it_was_sent_and_lasts_from_then() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        await asyncio.sleep(1)
        node.store.held.add("confirm")
        before = node.tell(showtime, ReadSeats())
        call = await node.store.next("confirm")
        call.execute()
        await asyncio.sleep(0.6)
        after = node.tell(showtime, ReadSeats())
        await settle()
        call.reply()
        again = await node.store.next("confirm")
        # The lease of the first check was over when its answer came.
        assert isinstance(before.outcome, SeatsSeen)
        assert after.outcome is None
        again.finish()
        await settle()
        assert isinstance(after.outcome, SeatsSeen)


@in_virtual_time
async def test_a_commit_renews_the_lease() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        await asyncio.sleep(1)
        await node.ask(showtime, hold(ANNA, "A1"))
        checks = node.store.count("confirm")
        assert (await node.ask(showtime, hold(BERT, "A1"))).code == "SEAT_UNAVAILABLE"
        assert node.store.count("confirm") == checks


@in_virtual_time
async def test_an_owner_that_was_replaced_answers_nothing_from_its_old_state() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        old = await world.warm_node(showtime)
        wish = hold(ANNA, "A1")
        await old.ask(showtime, wish)
        new = await world.node()
        await new.ask(showtime, release(ANNA, wish.hold_id))
        assert (await old.ask(showtime, hold(BERT, "A1"))).code == "RETRY"
        assert accepted(await old.ask(showtime, hold(BERT, "A1"))).epoch == 3
        assert old.kernel.metrics.fenced == 1


@in_virtual_time
async def test_an_answer_whose_lease_cannot_be_checked_is_to_be_retried() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        await asyncio.sleep(1)
        node.store.fail_next("confirm", StoreUnavailable("gone"))
        assert (await node.ask(showtime, ReadSeats())).code == "RETRY"
        assert isinstance(await node.ask(showtime, ReadSeats()), SeatsSeen)


@in_virtual_time
async def test_a_repetition_under_the_same_key_waits_for_the_first_and_repeats_its_answer() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        node.store.held.add("append")
        wish = hold(ANNA, "A1", key=some_id())
        first = node.tell(showtime, wish)
        second = node.tell(showtime, wish)
        call = await node.store.next("append")
        await settle()
        assert (first.outcome, second.outcome) == (None, None)
        call.finish()
        await settle()
        assert (first.outcome.event, first.outcome.replayed) == (second.outcome.event, False)
        assert second.outcome.replayed
        await asyncio.sleep(2)
        third = await node.ask(showtime, wish)
        assert (third.seq, third.replayed) == (first.outcome.seq, True)
        assert world.events(showtime) == ["SeatsHeld"]


@in_virtual_time
async def test_a_reply_that_raises_harms_nobody_else() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)

        def raising(_outcome: object) -> None:
            raise RuntimeError("the client's connection is in pieces")

        node.kernel.tell(showtime, hold(ANNA, "A1"), raising)
        node.kernel.tell(showtime, hold(BERT, "A1"), raising)
        node.kernel.tell(showtime, ReadSeats(), raising)
        after = await node.ask(showtime, hold(ANNA, "A2"))
        assert accepted(after).seq == 2
        assert node.actor(showtime).waiting == 0


@in_virtual_time
async def test_bookings_of_one_hold_go_in_batches_that_one_statement_can_write() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        holds = [hold(ANNA, "A1"), hold(ANNA, "A2")]
        for one in holds:
            await node.ask(showtime, one)
        node.store.held.add("append")
        plug = node.tell(showtime, hold(BERT, "B1"))
        first = await node.store.next("append")
        books = [book(ANNA, one.hold_id) for one in holds]
        mails = [node.tell(showtime, one) for one in books]
        mails.append(node.tell(showtime, cancel(ANNA, books[0].booking_id)))
        await settle()
        first.finish()
        sizes = []
        for _ in range(2):
            call = await node.store.next("append")
            sizes.append(len(call.argument[0].events))
            call.finish()
        await settle()
        # Two bookings share a statement; a cancellation has to see their rows.
        assert sizes == [2, 1]
        assert [mail.code for mail in (plug, *mails)] == ["OK"] * 4


def at_once(asked: Coroutine[Any, Any, Outcome]) -> Outcome | None:
    """The answer, if the loop need not go on for it."""
    try:
        asked.send(None)
    except StopIteration as answered:
        outcome: Outcome = answered.value
        return outcome
    asked.close()
    return None


@in_virtual_time
async def test_a_hold_is_read_at_once_if_nothing_has_to_be_waited_for() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        wish = hold(ANNA, "A1")
        read = ReadHold(hold_id=wish.hold_id, customer=ANNA)
        taken = accepted(await node.ask(showtime, wish))
        seen = at_once(node.kernel.ask(showtime, read))
        assert isinstance(seen, HoldSeen)
        assert (seen.status, seen.seq) == ("active", taken.seq)
        stranger = at_once(node.kernel.ask(showtime, ReadHold(hold_id=wish.hold_id, customer=BERT)))
        assert stranger == NOT_FOUND
        # Another question takes its turn, and so does this one behind another message.
        assert at_once(node.kernel.ask(showtime, ReadSeats())) is None
        assert at_once(node.kernel.ask(showtime, read)) is None
        await settle()
        assert at_once(node.kernel.ask(showtime, read)) == seen


@in_virtual_time
async def test_a_hold_is_not_read_at_once_beside_what_is_not_durable() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        wish = hold(ANNA, "A1")
        read = ReadHold(hold_id=wish.hold_id, customer=ANNA)
        node.store.held.add("append")
        taken = node.tell(showtime, wish)
        call = await node.store.next("append")
        assert at_once(node.kernel.ask(showtime, read)) is None
        call.execute()
        await settle()
        assert taken.outcome is None
        assert at_once(node.kernel.ask(showtime, read)) is None
        call.reply()
        await settle()
        assert isinstance(at_once(node.kernel.ask(showtime, read)), HoldSeen)


@in_virtual_time
async def test_a_hold_is_not_read_at_once_without_a_lease_or_behind_its_end() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        wish = hold(ANNA, "A1")
        read = ReadHold(hold_id=wish.hold_id, customer=ANNA)
        accepted(await node.ask(showtime, wish))
        await asyncio.sleep(2)
        checks = node.store.count("confirm")
        assert at_once(node.kernel.ask(showtime, read)) is None
        await settle()
        assert node.store.count("confirm") == checks + 1
        assert isinstance(at_once(node.kernel.ask(showtime, read)), HoldSeen)
        state = node.actor(showtime).state
        state.next_due_us = 0
        assert at_once(node.kernel.ask(showtime, read)) is None
        await settle()
        # What is due was looked at in that turn: nothing was.
        assert state.next_due_us > 0
        assert isinstance(at_once(node.kernel.ask(showtime, read)), HoldSeen)


@in_virtual_time
async def test_an_actor_that_does_not_serve_answers_nothing_at_once() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        wish = hold(ANNA, "A1")
        read = ReadHold(hold_id=wish.hold_id, customer=ANNA)
        accepted(await node.ask(showtime, wish))
        node.actor(showtime).fail("a test")
        assert at_once(node.kernel.ask(showtime, read)) is None
        await settle()
        assert isinstance(await node.ask(showtime, read), HoldSeen)
