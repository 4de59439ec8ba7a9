"""Bugs and odd moments: a fault in one actor, reply or feed stops nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from cinema.actors import actor as actor_module
from cinema.actors import timers
from cinema.actors.actor import Phase
from cinema.actors.backlog import Backlog
from cinema.actors.messages import ReadSeats, SeatsSeen, Watch
from cinema.actors.output_gate import OutputGate
from cinema.actors.timers import DueQueue
from cinema.domain.seatmap import Layout, LayoutRow, grid_layout, parse_layout
from cinema.domain.showtime.commands import ChangePlan
from cinema.storage.journal.store import CommitAborted, CommitUnknown
from tests.support import inspection
from tests.support.actors.bugs import break_down_once
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import (
    ANNA,
    BERT,
    HOLD_TTL_S,
    Node,
    accepted,
    audited_world,
    extend,
    hold,
    release,
    some_id,
)

LOST = CommitUnknown("connection lost")


def _break_down(*_arguments: object, **_options: object) -> None:
    raise RuntimeError("a bug")


# --- the journal's answers and the actor's turns in every order


@in_virtual_time
async def test_a_turn_that_comes_after_the_actor_broke_waits_for_the_reload() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        node.store.held.add("append")
        first = node.tell(showtime, hold(ANNA, "A1"))
        call = await node.store.next("append")
        node.store.held.clear()
        call.fail(CommitAborted("53200"))
        second = node.tell(showtime, hold(ANNA, "A2"))
        await settle()
        assert first.code == "RETRY"
        assert accepted(second.outcome).epoch == 2


@pytest.mark.parametrize("answer", ["unknown", "aborted", "a bug", "fine"])
@in_virtual_time
async def test_an_answer_for_a_state_that_was_discarded_does_not_touch_the_new_one(
    answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        node.store.held.add("append")
        first = node.tell(showtime, hold(ANNA, "A1"))
        call = await node.store.next("append")
        with monkeypatch.context() as patch:
            patch.setattr(actor_module, "evolve", _break_down)
            node.tell(showtime, hold(ANNA, "A2"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await settle()
        assert first.code == "RETRY"
        node.store.held.clear()
        if answer == "fine":
            call.finish()
        else:
            errors = {
                "unknown": LOST,
                "aborted": CommitAborted("53200"),
                "a bug": ZeroDivisionError(),
            }
            call.fail(errors[answer])
        await settle()
        assert node.actor(showtime).epoch == 2
        assert accepted(await node.ask(showtime, hold(BERT, "A1"))).epoch == 2


@in_virtual_time
async def test_a_snapshot_of_a_state_that_was_discarded_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime, snapshot_every_events=1)
        node.store.held.add("keep")
        await node.ask(showtime, hold(ANNA, "A1"))
        save = await node.store.next("keep")
        with monkeypatch.context() as patch:
            patch.setattr(actor_module, "evolve", _break_down)
            node.tell(showtime, hold(ANNA, "A2"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await settle()
        save.finish()
        await settle()
        assert node.kernel.metrics.snapshots == 0
        assert node.actor(showtime).phase is Phase.SERVING
        node.store.held.clear()
        assert accepted(await node.ask(showtime, hold(ANNA, "A2"))).epoch == 2


@in_virtual_time
async def test_a_snapshot_that_waits_its_turn_is_dropped_with_its_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        first, second = world.showtime(), world.showtime()
        node = await world.node(snapshot_every_events=1)
        node.store.held.add("keep")
        await node.ask(first, hold(ANNA, "A1"))
        save = await node.store.next("keep")
        await node.ask(second, hold(ANNA, "A1"))
        assert node.actor(second).pending_snapshot is not None
        with monkeypatch.context() as patch:
            patch.setattr(actor_module, "evolve", _break_down)
            node.tell(second, hold(ANNA, "A2"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        node.store.held.clear()
        save.finish()
        await settle()
        assert node.store.count("keep") == 1
        assert second not in world.journal.snapshots


@pytest.mark.parametrize("happened", [True, False])
@in_virtual_time
async def test_an_event_on_its_way_is_in_doubt_if_a_snapshot_is_the_first_to_be_fenced(
    happened: bool,
) -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime, snapshot_every_events=1)
        node.store.held.add("keep")
        await node.ask(showtime, hold(ANNA, "A1"))
        save = await node.store.next("keep")
        node.store.held.add("append")
        second = node.tell(showtime, hold(ANNA, "A2"))
        call = await node.store.next("append")
        node.store.held.clear()
        if happened:
            call.execute()
        await world.journal.take_over(showtime)
        if not happened:
            call.execute()
        save.finish()
        await settle()
        call.reply()
        # The lease of the other owner is waited for.
        await second.answered.wait()
        assert second.code == ("OK" if happened else "RETRY")


@in_virtual_time
async def test_a_snapshot_waits_for_the_batch_that_holds_its_last_event() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime, snapshot_every_events=2)
        await node.ask(showtime, hold(ANNA, "A1"))
        node.store.held.add("append")
        node.tell(showtime, hold(ANNA, "A2"))
        one = await node.store.next("append")
        node.tell(showtime, hold(ANNA, "A3"))
        await settle()
        one.finish()
        two = await node.store.next("append")
        assert node.store.count("keep") == 0
        two.finish()
        await settle()
        assert world.journal.snapshots[showtime][0] == 3


@pytest.mark.parametrize("name", ["confirm", "save", "append"])
@in_virtual_time
async def test_a_bug_in_the_store_stops_no_lane(name: str) -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime, snapshot_every_events=1)
        await asyncio.sleep(1)
        node.store.fail_next(name, ZeroDivisionError("a bug"))
        first = await node.ask(showtime, ReadSeats())
        second = await node.ask(showtime, hold(ANNA, "A1"))
        await settle()
        third = await node.ask(showtime, hold(ANNA, "A2"))
        codes = [getattr(outcome, "code", "OK") for outcome in (first, second, third)]
        expected = ["OK", "OK", "OK"]
        if name != "save":
            expected[["confirm", "append"].index(name)] = "RETRY"
        assert codes == expected


@pytest.mark.parametrize("name", ["take_over", "load"])
@in_virtual_time
async def test_a_bug_on_the_way_into_memory_does_not_lock_a_showtime_out(name: str) -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.node()
        node.store.fail_next(name, ZeroDivisionError("a bug"))
        node.tell(showtime, hold(ANNA, "A1"))
        await asyncio.sleep(10)
        assert accepted(await node.ask(showtime, hold(ANNA, "A2")))


# --- bugs in actors


@in_virtual_time
async def test_bookkeeping_that_fails_after_a_commit_reloads_the_actor_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        showtime, other = world.showtime(), world.showtime()
        node = await world.node(snapshot_every_events=1)
        for one in (showtime, other):
            await node.ask(one, release(ANNA, some_id()))
        break_down_once(monkeypatch, actor_module, "prepare_snapshot")
        mails = [node.tell(one, hold(ANNA, "A1")) for one in (showtime, other)]
        await settle()
        assert [mail.code for mail in mails] == ["OK", "OK"]
        epochs = sorted(node.actor(one).epoch for one in (showtime, other))
        assert epochs == [1, 2]


@in_virtual_time
async def test_an_actor_whose_events_cannot_be_taken_is_left_out_of_the_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        culprit, other = world.showtime(), world.showtime()
        node = await world.node()
        for one in (culprit, other):
            await node.ask(one, release(ANNA, some_id()))
        take = Backlog.take

        def fail_for_the_culprit(backlog: Backlog, actor: Any, quota: int) -> Any:
            if (actor.showtime_id, actor.epoch) == (culprit, 1):
                raise RuntimeError("a bug")
            return take(backlog, actor, quota)

        monkeypatch.setattr(Backlog, "take", fail_for_the_culprit)
        alone = node.tell(culprit, hold(ANNA, "A1"))
        await settle()
        assert alone.code == "RETRY"
        assert accepted(await node.ask(culprit, hold(ANNA, "A1"))).epoch == 2
        monkeypatch.setattr(Backlog, "take", take)
        assert accepted(await node.ask(other, hold(ANNA, "A1"))).epoch == 1


@in_virtual_time
async def test_a_culprit_among_others_does_not_hold_up_their_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        culprit, other = world.showtime(), world.showtime()
        node = await world.node()
        for one in (culprit, other):
            await node.ask(one, release(ANNA, some_id()))
        break_down_once(monkeypatch, Backlog, "take")
        mails = [node.tell(one, hold(ANNA, "A1")) for one in (culprit, other)]
        await settle()
        assert [mail.code for mail in mails] == ["RETRY", "OK"]


@in_virtual_time
async def test_a_lane_that_fails_at_every_step_lets_others_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        with monkeypatch.context() as patch:
            inspection.break_batches(patch, _break_down)
            mail = node.tell(showtime, hold(ANNA, "A1"))
            await asyncio.sleep(1)
            assert mail.outcome is None
        await mail.answered.wait()
        assert mail.code == "OK"


@in_virtual_time
async def test_a_commit_that_one_actor_cannot_take_note_of_is_settled_for_it_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        showtime, other = world.showtime(), world.showtime()
        node = await world.node()
        for one in (showtime, other):
            await node.ask(one, release(ANNA, some_id()))
        break_down_once(monkeypatch, OutputGate, "confirmed_to")
        mails = [node.tell(one, hold(ANNA, "A1")) for one in (showtime, other)]
        await settle()
        # It is durable, so it is acknowledged, once the journal has been asked.
        assert [mail.code for mail in mails] == ["OK", "OK"]
        assert [node.actor(one).epoch for one in (showtime, other)] == [2, 1]


@in_virtual_time
async def test_a_turn_that_fails_elsewhere_than_in_a_command_reloads_the_actor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        break_down_once(monkeypatch, node.kernel, "arm")
        mail = node.tell(showtime, hold(ANNA, "A1"))
        await settle()
        assert mail.code in {"OK", "RETRY"}
        assert accepted(await node.ask(showtime, hold(ANNA, "A2"))).epoch == 2


@in_virtual_time
async def test_letters_behind_the_one_that_led_into_quarantine_are_to_be_retried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        monkeypatch.setattr(actor_module, "evolve", _break_down)
        mails = [node.tell(showtime, hold(ANNA, label)) for label in ("A1", "A2", "A3", "A4")]
        await asyncio.sleep(5)
        assert [mail.code for mail in mails] == ["INTERNAL", "INTERNAL", "INTERNAL", "RETRY"]
        assert node.actor(showtime).phase is Phase.QUARANTINED


@in_virtual_time
async def test_an_expiry_that_breaks_the_state_counts_as_one_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        await node.ask(showtime, hold(ANNA, "A1"))
        await asyncio.sleep(HOLD_TTL_S)
        with monkeypatch.context() as patch:
            patch.setattr(actor_module, "evolve", _break_down)
            node.tell(showtime, ReadSeats())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert node.actor(showtime).failures == 1
        await asyncio.sleep(1)
        assert world.events(showtime) == ["SeatsHeld", "HoldExpired"]


@in_virtual_time
async def test_only_an_actor_that_waits_for_it_can_resume() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        with pytest.raises(RuntimeError, match="serving cannot resume"):
            node.actor(showtime).resume(None, 0)


@in_virtual_time
async def test_an_actor_that_left_takes_nobody_elses_place_with_it() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime, idle_passivation_s=1.0)
        former = node.actor(showtime)
        await asyncio.sleep(3)
        await node.ask(showtime, hold(ANNA, "A1"))
        inspection.forget(node.kernel, former)
        assert node.kernel.is_resident(showtime)


@in_virtual_time
async def test_a_tick_or_sweep_that_fails_is_followed_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        await node.ask(showtime, hold(ANNA, "A1"))
        break_down_once(monkeypatch, node.kernel, "tick")
        node.store.fail_next("due", ZeroDivisionError("a bug"))
        sweeps = node.store.count("due")
        await asyncio.sleep(HOLD_TTL_S + 1)
        assert world.events(showtime) == ["SeatsHeld", "HoldExpired"]
        assert node.store.count("due") > sweeps + 2


# --- feeds


class _FailingFeed:
    """A feed with a bug."""

    def __init__(self, *, also_lost: bool) -> None:
        self.times_lost = 0
        self._also_lost = also_lost

    def changed(self, *_arguments: object) -> None:
        raise RuntimeError("a bug")

    def lost(self) -> None:
        self.times_lost += 1
        if self._also_lost:
            raise RuntimeError("another bug")


@pytest.mark.parametrize("also_lost", [False, True])
@in_virtual_time
async def test_a_feed_that_fails_is_lost_and_harms_nobody(also_lost: bool) -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        feed = _FailingFeed(also_lost=also_lost)
        assert isinstance(await node.ask(showtime, Watch(feed=feed)), SeatsSeen)
        assert accepted(await node.ask(showtime, hold(ANNA, "A1"))).seq == 1
        assert accepted(await node.ask(showtime, hold(ANNA, "A2"))).seq == 2
        assert feed.times_lost == 1


# --- answers in odd orders


@in_virtual_time
async def test_a_repetition_behind_later_commands_keeps_its_place() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        node.store.held.add("append")
        wish = hold(ANNA, "A1", key=some_id())
        first = node.tell(showtime, wish)
        one = await node.store.next("append")
        second = node.tell(showtime, hold(ANNA, "A2"))
        again = node.tell(showtime, wish)
        await settle()
        one.finish()
        two = await node.store.next("append")
        await settle()
        assert first.code == "OK"
        assert (second.outcome, again.outcome) == (None, None)
        # The batch in front of it is refused, but what it tells of is durable.
        node.store.held.clear()
        two.fail(CommitAborted("53200"))
        await settle()
        assert second.code == "RETRY"
        assert accepted(again.outcome).replayed


@in_virtual_time
async def test_what_waits_behind_another_showtimes_batch_when_a_drain_ends_is_in_doubt() -> None:
    async with audited_world() as world:
        first, second = world.showtime(), world.showtime()
        node = await world.node()
        for showtime in (first, second):
            await node.ask(showtime, release(ANNA, some_id()))
        node.store.held.add("append")
        mails = [node.tell(first, hold(ANNA, "A1"))]
        await node.store.next("append")
        mails += [node.tell(second, hold(ANNA, "A1")), node.tell(second, ReadSeats())]
        await settle()
        await node.kernel.stop(0.3)
        assert [mail.code for mail in mails] == ["OUTCOME_UNKNOWN", "OUTCOME_UNKNOWN", "RETRY"]


@in_virtual_time
async def test_giving_up_on_an_answer_does_not_undo_the_command() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        node.store.held.add("append")
        waiting = asyncio.ensure_future(node.kernel.ask(showtime, hold(ANNA, "A1")))
        call = await node.store.next("append")
        waiting.cancel()
        await settle()
        call.finish()
        await settle()
        assert world.events(showtime) == ["SeatsHeld"]
        assert await node.kernel.exists(showtime)


@in_virtual_time
async def test_a_deadline_that_passed_without_a_hold_behind_it_expires_nothing() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        wish = hold(ANNA, "A1")
        await asyncio.sleep(0.05)
        await node.ask(showtime, wish)
        await asyncio.sleep(1)
        await node.ask(showtime, extend(ANNA, wish.hold_id))
        await asyncio.sleep(HOLD_TTL_S - 1 + 0.02)
        # Its first deadline is over, and the tick that notices is still to come.
        assert (await node.ask(showtime, hold(BERT, "A1"))).code == "SEAT_UNAVAILABLE"
        node.store.held.add("append")
        busy = node.tell(showtime, hold(BERT, "A2"))
        call = await node.store.next("append")
        saves = node.store.count("save")
        node.actor(showtime).armed_us = 0
        node.actor(showtime).come_due(None)
        assert node.store.count("save") == saves
        call.finish()
        await settle()
        assert accepted(busy.outcome)
        assert "HoldExpired" not in world.events(showtime)


@in_virtual_time
async def test_many_actors_give_way_when_their_turns_take_long() -> None:
    async with audited_world() as world:
        showtimes = [world.showtime() for _ in range(4)]
        node = await world.node()
        for showtime in showtimes:
            await node.ask(showtime, release(ANNA, some_id()))
        _slow_down(node, 3_000_000)
        mails = [node.tell(showtime, hold(ANNA, "A1")) for showtime in showtimes]
        between: list[list[str | None]] = []
        asyncio.get_running_loop().call_soon(
            lambda: between.append([str(node.actor(one).state.seq) for one in showtimes])
        )
        await settle()
        # Others had their turn before all of the actors had theirs.
        assert "0" in between[0]
        assert "1" in between[0]
        assert [mail.code for mail in mails] == ["OK"] * 4


def _slow_down(node: Node, step_ns: int) -> None:
    """Each look at the clock finds it that much later."""
    real, steps = node.clock.boot_ns, iter(range(10**6))
    node.clock.boot_ns = lambda: real() + next(steps) * step_ns  # type: ignore[method-assign]


@in_virtual_time
async def test_a_sweep_looks_at_more_than_one_page(monkeypatch: pytest.MonkeyPatch) -> None:
    async with audited_world() as world:
        showtimes = [world.showtime() for _ in range(5)]
        dead = await world.node()
        for showtime in showtimes:
            await dead.ask(showtime, hold(ANNA, "A1"))
        await inspection.kill(dead.kernel)
        await asyncio.sleep(HOLD_TTL_S)
        monkeypatch.setattr(timers, "DUE_SWEEP_PAGE", 2)
        await world.node()
        await asyncio.sleep(1.0)
        for showtime in showtimes:
            assert world.events(showtime) == ["SeatsHeld", "HoldExpired"]


def test_the_due_queue_gives_what_is_due_in_order() -> None:
    due = DueQueue()
    for due_us, name in [(30, b"c"), (10, b"a"), (20, b"b")]:
        due.add(due_us, name)
    assert (len(due), due.pop_due(9, 5)) == (3, [])
    assert due.pop_due(20, 5) == [b"a", b"b"]
    assert (len(due), due.pop_due(99, 5)) == (1, [b"c"])


# --- plans that change in between


def _shifted_plan() -> Any:
    """The plan with a row in front, so that every seat has another index."""
    rows = grid_layout(4, 25).rows
    return parse_layout(Layout(rows=[LayoutRow(label="Z", seats=rows[0].seats), *rows]), 2)


@in_virtual_time
async def test_a_doubt_is_settled_in_the_seats_of_a_plan_that_came_after_it() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        feed, _ = await node.watch(showtime)
        node.store.held.update({"append", "take_over"})
        mail = node.tell(showtime, hold(ANNA, "B7"))
        call = await node.store.next("append")
        call.execute()
        call.fail(LOST)
        bump = await node.store.next("take_over")
        other = await world.node()
        plan = _shifted_plan()
        prices = (1000,) * len(plan.categories)
        change = ChangePlan(command_id=some_id(), plan=plan, prices_minor=prices)
        accepted(await other.ask(showtime, change))
        terms = world.terms.of[showtime]
        world.terms.of[showtime] = msgspec.structs.replace(terms, plan=plan, prices_minor=prices)
        world.auditor.outcomes.clear()
        checks, world.auditor.answered = world.auditor.answered, lambda *_: None
        node.store.held.clear()
        bump.finish()
        await mail.answered.wait()
        world.auditor.answered = checks
        assert [plan.labels[seat] for seat in accepted(mail.outcome).event.seats] == ["B7"]
        # Frames of two plans do not go together: its watchers begin again.
        assert feed.times_lost == 1
