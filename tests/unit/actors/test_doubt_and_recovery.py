"""Unknown commits, poison, broken actors: what the client is told, and what is so."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import msgspec
import pytest

from cinema.actors import actor as actor_module
from cinema.actors.messages import ReadSeats, SeatsSeen
from cinema.domain.seatmap import grid_layout, parse_layout
from cinema.domain.showtime.decisions import due_expiries
from cinema.domain.showtime.events import HoldBooked
from cinema.storage.journal.branches import ROWS_LIMIT_BYTES, Happened, RowBranch
from cinema.storage.journal.store import CommitAborted, CommitUnknown, StoreUnavailable
from tests.support.actors.scripted_store import RecordingJournal
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import (
    ANNA,
    BERT,
    World,
    accepted,
    audited_world,
    book,
    hold,
    some_id,
)

LOST = CommitUnknown("connection lost")


# --- unknown commits


@in_virtual_time
async def test_an_unknown_commit_that_happened_is_found_and_acknowledged() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        feed, seen = await node.watch(showtime)
        node.store.held.add("append")
        first = node.tell(showtime, hold(ANNA, "A1"))
        behind = node.tell(showtime, hold(ANNA, "A2"))
        call = await node.store.next("append")
        later = node.tell(showtime, hold(ANNA, "A3"))
        read = node.tell(showtime, ReadSeats())
        await settle()
        node.store.held.clear()
        call.execute()
        call.fail(LOST)
        await settle()
        assert [mail.code for mail in (first, behind, later, read)] == [
            "OK",
            "OK",
            "RETRY",
            "RETRY",
        ]
        assert (accepted(first.outcome).seq, accepted(first.outcome).epoch) == (1, 1)
        # The owner took over from itself, and appended nothing at that seq again.
        assert node.actor(showtime).epoch == 2
        assert accepted(await node.ask(showtime, hold(BERT, "B1"))).seq == 3
        feed.assert_continues(seen.seq)
        assert [frame[2] for frame in feed.frames] == [1, 2, 3]
        assert node.kernel.metrics.commits_unknown == 1


@in_virtual_time
async def test_an_unknown_commit_that_did_not_happen_is_to_be_retried() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        node.store.fail_next("append", LOST)
        assert (await node.ask(showtime, hold(ANNA, "A1"))).code == "RETRY"
        assert accepted(await node.ask(showtime, hold(BERT, "A1"))).seq == 1


@in_virtual_time
async def test_an_append_that_lands_after_the_bump_writes_nothing() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        node.store.held.add("append")
        first = node.tell(showtime, hold(ANNA, "A1"))
        call = await node.store.next("append")
        node.store.held.clear()
        call.fail(LOST)
        await settle()
        assert first.code == "RETRY"
        assert accepted(await node.ask(showtime, hold(BERT, "A1"))).epoch == 2
        assert call.execute() == set()


@in_virtual_time
async def test_an_append_that_lands_before_the_bump_is_acknowledged() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        node.store.held.update({"append", "take_over"})
        first = node.tell(showtime, hold(ANNA, "A1"))
        call = await node.store.next("append")
        call.fail(LOST)
        bump = await node.store.next("take_over")
        assert call.execute() == {showtime}
        bump.finish()
        await settle()
        assert first.code == "OK"


@in_virtual_time
async def test_a_commit_that_stays_unknown_past_the_deadline_is_said_to_be_so() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime, command_deadline_ms=5000)
        node.store.down["take_over"] = StoreUnavailable("gone")
        node.store.held.add("append")
        wish = hold(ANNA, "A1", key=some_id())
        first = node.tell(showtime, wish)
        call = await node.store.next("append")
        call.execute()
        call.fail(LOST)
        await settle()
        waiting = node.tell(showtime, hold(BERT, "A1"))
        await asyncio.sleep(4.5)
        assert first.outcome is None
        assert waiting.outcome is None
        await asyncio.sleep(0.7)
        assert first.code == "OUTCOME_UNKNOWN"
        assert waiting.code == "RETRY"
        node.store.held.clear()
        node.store.down.clear()
        # What waited for it for too long has closed it to what is new, until it serves again.
        await asyncio.sleep(1)
        again = accepted(await node.ask(showtime, wish))
        assert (again.seq, again.replayed) == (1, True)


@in_virtual_time
async def test_a_commit_unknown_to_the_driver_itself_is_treated_as_unknown() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        node.store.fail_next("append", ZeroDivisionError("a bug in the store"))
        assert (await node.ask(showtime, hold(ANNA, "A1"))).code == "RETRY"
        assert accepted(await node.ask(showtime, hold(ANNA, "A1"))).epoch == 2


@pytest.mark.parametrize("truncated", [False, True])
@in_virtual_time
async def test_an_unknown_commit_is_found_though_another_owner_has_snapshotted_since(
    truncated: bool,
) -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        other = await world.node()
        node.store.held.update({"append", "take_over"})
        first = node.tell(showtime, hold(ANNA, "A1"))
        call = await node.store.next("append")
        call.execute()
        call.fail(LOST)
        bump = await node.store.next("take_over")
        if truncated:
            await other.kernel.truncate(showtime)
            await settle()
        else:
            await other.ask(showtime, ReadSeats())
            await asyncio.sleep(1)
            await other.kernel.stop(1)
        node.store.held.clear()
        bump.finish()
        await first.answered.wait()
        # "RETRY" would say that it had no effect; only a journal that was cut off cannot tell.
        assert first.code == ("OUTCOME_UNKNOWN" if truncated else "OK")


# --- poison


def _poisoned(world: World, showtime: bytes) -> None:
    """Somebody else's live booking of A1, which the showtime's state does not know of."""
    world.journal.sold.live_seats[showtime, "A1"] = some_id()


async def _booked(node: Any, showtime: bytes, label: str) -> Any:
    wish = hold(ANNA, label)
    accepted(await node.ask(showtime, wish))
    return await node.ask(showtime, book(ANNA, wish.hold_id))


@in_virtual_time
async def test_a_poisoned_append_stands_alone_and_the_others_commit() -> None:
    async with audited_world() as world:
        showtimes = [world.showtime() for _ in range(7)]
        node = await world.node()
        holds = [hold(ANNA, "A1") for _ in showtimes]
        for showtime, one in zip(showtimes, holds, strict=True):
            await node.ask(showtime, one)
        _poisoned(world, showtimes[3])
        node.store.held.add("append")
        plug = node.tell(showtimes[0], hold(ANNA, "A2"))
        call = await node.store.next("append")
        mails = [
            node.tell(showtime, book(ANNA, one.hold_id))
            for showtime, one in zip(showtimes, holds, strict=True)
        ]
        await settle()
        node.store.held.clear()
        call.finish()
        await settle()
        assert plug.code == "OK"
        codes = ["OK"] * 7
        codes[3] = "RETRY"
        assert [mail.code for mail in mails] == codes
        # The guilty one reloaded and goes on with whatever is not at fault.
        assert accepted(await node.ask(showtimes[3], hold(ANNA, "A2"))).epoch == 2


def _noted(happened: Happened) -> list[Any]:
    code = getattr(happened.event, "code", "")
    if code == "RAISES":
        raise RuntimeError("a bug")
    return [Note({"SURROGATE": "\ud800", "LARGE": "x" * ROWS_LIMIT_BYTES}.get(code, code))]


class Note(msgspec.Struct):
    text: str


class Noting(RecordingJournal):
    """Has a branch with a bug: it cannot write every booking."""

    branches_beside = (
        RowBranch(
            name="notes",
            events=(HoldBooked,),
            rows=_noted,
            columns="text text",
            sql="insert into notes select r.text from $rows r",
        ),
    )


@pytest.mark.parametrize("code", ["RAISES", "SURROGATE", "LARGE"])
@in_virtual_time
async def test_a_branch_with_a_bug_costs_its_own_command_only(code: str) -> None:
    async with audited_world(Noting) as world:
        showtime, other = world.showtime(), world.showtime()
        node = await world.node()
        holds = {one: [hold(ANNA, "A1"), hold(ANNA, "A2")] for one in (showtime, other)}
        for one, wishes in holds.items():
            for wish in wishes:
                accepted(await node.ask(one, wish))
        mails = [
            node.tell(showtime, book(ANNA, holds[showtime][0].hold_id, code=code)),
            node.tell(showtime, book(ANNA, holds[showtime][1].hold_id, code="STAR")),
            node.tell(other, book(ANNA, holds[other][0].hold_id, code="SUN")),
        ]
        await settle()
        assert [mail.code for mail in mails] == ["INTERNAL", "OK", "OK"]
        # Nothing of it was applied: its hold can still be booked, by the same owner.
        assert accepted(mails[1].outcome).epoch == 1
        again = book(ANNA, holds[showtime][0].hold_id, code="MOON")
        assert accepted(await node.ask(showtime, again)).seq == 4
        noted = [row.row["text"] for row in world.journal.sold.rows["notes"]]
        assert sorted(noted) == ["MOON", "STAR", "SUN"]
        assert len(world.journal.sold.rows["bookings_told"]) == 3


@in_virtual_time
async def test_an_actor_that_is_refused_again_and_again_is_quarantined() -> None:
    async with audited_world() as world:
        showtime, other = world.showtime(), world.showtime()
        node = await world.node()
        wish = hold(ANNA, "A1")
        await node.ask(showtime, wish)
        _poisoned(world, showtime)
        for _ in range(3):
            assert (await node.ask(showtime, book(ANNA, wish.hold_id))).code == "RETRY"
        assert node.kernel.metrics.quarantined == 1
        waiting = [node.tell(showtime, ReadSeats()), node.tell(showtime, hold(BERT, "B1"))]
        assert [mail.code for mail in waiting] == ["RETRY", "RETRY"]
        assert accepted(await node.ask(other, hold(ANNA, "A1"))).seq == 1


@in_virtual_time
async def test_a_success_in_between_starts_the_count_anew() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.node()
        wish = hold(ANNA, "A1")
        await node.ask(showtime, wish)
        _poisoned(world, showtime)
        for label in ("B1", "B2", "B3"):
            for _ in range(2):
                assert (await node.ask(showtime, book(ANNA, wish.hold_id))).code == "RETRY"
            accepted(await node.ask(showtime, hold(BERT, label)))
        assert node.kernel.metrics.quarantined == 0
        assert node.kernel.quarantined_count == 0


@in_virtual_time
async def test_a_code_that_is_taken_is_nobodys_fault() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.node()
        world.journal.sold.codes.add("MOON")
        wish = hold(ANNA, "A1")
        await node.ask(showtime, wish)
        for _ in range(5):
            answer = await node.ask(showtime, book(ANNA, wish.hold_id, code="MOON"))
            assert answer.code == "RETRY"
        assert node.kernel.metrics.quarantined == 0
        assert accepted(await node.ask(showtime, book(ANNA, wish.hold_id))).seq == 2


# --- broken actors


@in_virtual_time
async def test_a_command_that_breaks_decide_is_an_internal_error_and_nothing_else() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        broken = node.tell(showtime, hold(ANNA, []))  # type: ignore[arg-type]
        after = node.tell(showtime, hold(ANNA, "A1"))
        await settle()
        assert broken.code == "INTERNAL"
        assert accepted(after.outcome).epoch == 1


@in_virtual_time
async def test_an_actor_whose_memory_broke_reloads_and_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        await node.ask(showtime, hold(ANNA, "A1"))
        node.store.held.add("append")
        in_flight = node.tell(showtime, hold(ANNA, "A2"))
        call = await node.store.next("append")
        with monkeypatch.context() as patch:
            patch.setattr(actor_module, "evolve", _break_down)
            broken = node.tell(showtime, hold(ANNA, "A3"))
            behind = node.tell(showtime, hold(ANNA, "A4"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        node.store.held.clear()
        await settle()
        assert broken.code == "INTERNAL"
        # The bump fenced what was in flight; what waited is carried out by the reloaded actor.
        assert in_flight.code == "RETRY"
        call.finish()
        await settle()
        assert (accepted(behind.outcome).epoch, accepted(behind.outcome).seq) == (2, 2)
        assert accepted(await node.ask(showtime, hold(ANNA, "A2"))).seq == 3


def _break_down(*_arguments: object) -> None:
    raise RuntimeError("a bug")


@in_virtual_time
async def test_an_actor_that_could_not_expire_a_hold_reloads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        await node.ask(showtime, hold(ANNA, "A1"))
        await asyncio.sleep(60)
        with monkeypatch.context() as patch:
            patch.setattr(actor_module, "due_expiries", _break_down)
            waiting = node.tell(showtime, hold(BERT, "A1"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await waiting.answered.wait()
        assert accepted(waiting.outcome).epoch > 1
        assert world.events(showtime) == ["SeatsHeld", "HoldExpired", "SeatsHeld"]


@in_virtual_time
async def test_an_actor_that_keeps_breaking_is_restarted_with_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        await node.ask(showtime, hold(ANNA, "A1"))
        attempts = itertools.count(1)

        def break_down_often(*arguments: Any) -> Any:
            if next(attempts) <= 100:
                raise RuntimeError("a bug")
            return due_expiries(*arguments)

        monkeypatch.setattr(actor_module, "due_expiries", break_down_often)
        await asyncio.sleep(62)
        assert next(attempts) < 50


@in_virtual_time
async def test_a_lease_check_that_fails_while_the_actor_reloads_is_no_second_reload(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        await asyncio.sleep(1)
        node.store.held.update({"confirm", "load"})
        read = node.tell(showtime, ReadSeats())
        check = await node.store.next("confirm")
        with monkeypatch.context() as patch:
            patch.setattr(actor_module, "evolve", _break_down)
            broken = node.tell(showtime, hold(ANNA, "A1"))
            load = await node.store.next("load")
        check.finish()
        waiting = node.tell(showtime, hold(ANNA, "A2"))
        await settle()
        node.store.held.clear()
        load.finish()
        await waiting.answered.wait()
        assert (read.code, broken.code, waiting.code) == ("RETRY", "INTERNAL", "OK")
        assert node.store.count("take_over") == 2


@in_virtual_time
async def test_a_damaged_journal_is_quarantined_and_not_served() -> None:
    async with audited_world() as world:
        showtime, damaged = world.showtime(), world.showtime()
        world.journal.snapshots[damaged] = (0, b"not a snapshot")
        node = await world.node()
        assert (await node.ask(damaged, hold(ANNA, "A1"))).code == "RETRY"
        assert node.kernel.metrics.quarantined == 1
        assert node.kernel.quarantined_count == 1
        assert accepted(await node.ask(showtime, hold(ANNA, "A1"))).seq == 1


@pytest.mark.parametrize("damage", ["gap", "missing", "bytes", "plan"])
@in_virtual_time
async def test_a_journal_that_does_not_add_up_to_its_head_is_not_served(damage: str) -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        first = await world.warm_node(showtime, snapshot_every_events=1)
        await first.ask(showtime, hold(ANNA, "A1"))
        await settle()
        first.store.down["save"] = StoreUnavailable("gone")
        for label in ("A2", "A3", "A4"):
            await first.ask(showtime, hold(ANNA, label))
        rows = world.journal.journal[showtime]
        if damage == "gap":
            del rows[2]
        elif damage == "missing":
            del rows[3]
        elif damage == "bytes":
            rows[2] = type(rows[2])(3, 1, rows[2].recorded_at_us, b"\xc1")
        else:
            terms = world.terms.of[showtime]
            other_plan = parse_layout(grid_layout(4, 25), 2)
            world.terms.of[showtime] = msgspec.structs.replace(terms, plan=other_plan)
        second = await world.node()
        assert (await second.ask(showtime, ReadSeats())).code == "RETRY"
        assert second.kernel.metrics.quarantined == 1
        third = await world.node()
        assert (await third.kernel.read_seats(showtime, ReadSeats())).code == "RETRY"


# --- restoring


@in_virtual_time
async def test_a_takeover_waits_the_former_owners_lease_out() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        old = await world.warm_node(showtime)
        new = await world.node()
        new.store.latency_s["take_over"] = 0.1
        mail = new.tell(showtime, ReadSeats())
        await asyncio.sleep(0.59)
        assert mail.outcome is None
        assert isinstance(await old.ask(showtime, ReadSeats()), object)
        await asyncio.sleep(0.02)
        assert isinstance(mail.outcome, SeatsSeen)


@in_virtual_time
async def test_a_takeover_of_a_released_showtime_waits_for_nobody() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        old = await world.warm_node(showtime)
        await old.kernel.stop(1)
        new = await world.node()
        mail = new.tell(showtime, hold(ANNA, "A1"))
        await settle()
        assert accepted(mail.outcome).epoch == 2


@in_virtual_time
async def test_an_owner_does_not_wait_its_own_lease_out_unless_somebody_was_between() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        node.store.fail_next("append", CommitAborted("53100"))
        node.tell(showtime, hold(ANNA, "A1"))
        behind = node.tell(showtime, hold(ANNA, "A2"))
        await settle()
        assert behind.code == "RETRY"
        quick = node.tell(showtime, hold(ANNA, "A2"))
        await settle()
        assert accepted(quick.outcome).epoch == 2
        # Now the head is raised behind its back: e + 1 belonged to somebody else.
        node.store.held.add("take_over")
        node.store.fail_next("append", LOST)
        in_doubt = node.tell(showtime, hold(ANNA, "A3"))
        bump = await node.store.next("take_over")
        await world.journal.take_over(showtime)
        bump.finish()
        await asyncio.sleep(0.49)
        assert in_doubt.outcome is None
        await asyncio.sleep(0.02)
        assert in_doubt.code == "RETRY"


@in_virtual_time
async def test_a_takeover_that_is_overtaken_begins_again() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.node()
        node.store.held.add("load")
        mail = node.tell(showtime, hold(ANNA, "A1"))
        load = await node.store.next("load")
        await world.journal.take_over(showtime)
        node.store.held.clear()
        load.finish()
        await mail.answered.wait()
        assert accepted(mail.outcome).epoch == 3


@in_virtual_time
async def test_restoring_is_tried_until_the_store_answers() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.node()
        node.store.fail_next("take_over", *[StoreUnavailable("gone")] * 3)
        node.store.fail_next("load", StoreUnavailable("gone"))
        assert accepted(await node.ask(showtime, hold(ANNA, "A1"))).seq == 1
        assert node.store.count("take_over") == 5


@in_virtual_time
async def test_what_waits_for_a_store_that_stays_away_is_told_to_retry_in_time() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.node(command_deadline_ms=3000)
        node.store.down["take_over"] = StoreUnavailable("gone")
        first = node.tell(showtime, hold(ANNA, "A1"))
        await asyncio.sleep(1.5)
        second = node.tell(showtime, hold(ANNA, "A2"))
        await asyncio.sleep(1.65)
        assert (first.code, second.outcome) == ("RETRY", None)
        await asyncio.sleep(1.5)
        assert second.code == "RETRY"
        await asyncio.sleep(2)
        assert not node.kernel.is_resident(showtime)


@in_virtual_time
async def test_terms_that_cannot_be_loaded_are_waited_for() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.node()
        world.terms.error = ConnectionError("gone")
        mail = node.tell(showtime, hold(ANNA, "A1"))
        await asyncio.sleep(1)
        assert mail.outcome is None
        assert await node.kernel.exists(showtime)
        assert (await node.kernel.read_seats(world.showtime(), ReadSeats())).code == "RETRY"
        world.terms.error = None
        await mail.answered.wait()
        assert accepted(mail.outcome).seq == 1


@in_virtual_time
async def test_a_showtime_that_does_not_exist_is_said_so() -> None:
    async with audited_world() as world:
        node = await world.node()
        nowhere, without_terms = some_id(), world.showtime()
        del world.terms.of[without_terms]
        for showtime in (nowhere, without_terms):
            mails = [node.tell(showtime, hold(ANNA, "A1")), node.tell(showtime, ReadSeats())]
            await settle()
            assert [type(mail.outcome).__name__ for mail in mails] == ["NoShowtime"] * 2
            assert not node.kernel.is_resident(showtime)
            assert not await node.kernel.exists(showtime)
            seen = await node.kernel.read_seats(showtime, ReadSeats())
            assert type(seen).__name__ == "NoShowtime"
