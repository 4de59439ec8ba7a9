"""Terms that change while a showtime is being sold: whoever serves it next has them too."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cinema.actors import actor
from cinema.actors.messages import ReadSeats, SeatsSeen
from cinema.domain.seatmap import grid_layout, parse_layout
from cinema.domain.showtime.commands import CancelShowtime, ChangeLayout, PauseSales
from cinema.storage.journal.store import CommitAborted, CommitUnknown, StoreUnavailable
from tests.support.actors.in_between import WIDER, pin
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import (
    ANNA,
    BERT,
    World,
    accepted,
    audited_world,
    book,
    change_terms,
    hold,
    some_id,
)

LOST = CommitUnknown("connection lost")


def dearer(world: World, showtime: bytes, price_minor: int = 2000) -> Any:
    """The command that changes the price of a showtime."""
    return change_terms(world.terms.of[showtime], base_price_minor=price_minor)


def moved(world: World, showtime: bytes) -> Any:
    """The command that moves a showtime by an hour."""
    terms = world.terms.of[showtime]
    return change_terms(terms, starts_at_us=terms.starts_at_us + 3_600_000_000)


async def price_of(node: Any, showtime: bytes, label: str) -> int:
    """What a new hold costs."""
    event: Any = accepted(await node.ask(showtime, hold(BERT, label))).event
    return int(event.prices[0])


@in_virtual_time
async def test_what_is_held_behind_a_change_has_the_new_price() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        mails = [
            node.tell(showtime, message)
            for message in (
                hold(ANNA, "A1"),
                dearer(world, showtime),
                hold(ANNA, "A2"),
            )
        ]
        await settle()
        prices = [getattr(accepted(mail.outcome).event, "prices", None) for mail in mails]
        assert prices == [(1000,), None, (2000,)]
        assert accepted(mails[1].outcome).terms.version == 1
        assert accepted(mails[2].outcome).terms.version == 2


@in_virtual_time
@pytest.mark.parametrize("is_durable", [True, False])
async def test_a_node_that_takes_over_sells_by_the_terms_that_are_durable(
    is_durable: bool,
) -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        first = await world.warm_node(showtime)
        first.store.held.add("append")
        mail = first.tell(showtime, dearer(world, showtime))
        call = await first.store.next("append")
        if is_durable:
            call.execute()
        second = await world.node()
        price = await price_of(second, showtime, "A1")
        assert price == (2000 if is_durable else 1000)
        if not is_durable:
            # Too late: the head has another epoch.
            call.execute()
        first.store.held.clear()
        call.fail(LOST)
        await mail.answered.wait()
        assert mail.code == ("OK" if is_durable else "RETRY")
        assert await price_of(first, showtime, "A2") == price


@in_virtual_time
async def test_a_map_shows_no_prices_that_are_not_durable() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        node.store.held.add("append")
        changed = node.tell(showtime, dearer(world, showtime))
        seen = node.tell(showtime, ReadSeats())
        await settle()
        assert seen.outcome is None
        node.store.held.clear()
        (await node.store.next("append")).finish()
        await changed.answered.wait()
        await seen.answered.wait()
        assert isinstance(seen.outcome, SeatsSeen)
        assert seen.outcome.terms.prices_minor == (2000,)


@in_virtual_time
async def test_a_repetition_is_not_told_with_terms_that_are_not_durable() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        wish = hold(ANNA, "A1", key=some_id())
        accepted(await node.ask(showtime, wish))
        node.store.held.add("append")
        node.tell(showtime, dearer(world, showtime))
        again = node.tell(showtime, wish)
        await settle()
        assert again.outcome is None
        node.store.held.clear()
        (await node.store.next("append")).finish()
        await again.answered.wait()
        assert accepted(again.outcome).terms.version == 2


@in_virtual_time
async def test_a_look_whose_terms_are_older_than_its_journal_is_taken_again() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        owner = await world.warm_node(showtime)
        other = await world.node()
        other.store.held.add("load")
        reading = asyncio.ensure_future(other.kernel.read_seats(showtime, ReadSeats()))
        load = await other.store.next("load")
        accepted(await owner.ask(showtime, dearer(world, showtime)))
        other.store.held.clear()
        load.finish()
        seen = await reading
        assert isinstance(seen, SeatsSeen)
        assert (seen.seq, seen.terms.prices_minor) == (1, (2000,))
        assert not other.kernel.is_resident(showtime)


# --- what the database refuses


@in_virtual_time
async def test_a_screen_that_is_taken_meanwhile_refuses_only_whoever_wants_it(
    logged: list[Any],
) -> None:
    async with audited_world() as world:
        showtime, other = world.showtime(), world.showtime()
        node = await world.warm_node(showtime)
        await world.warm_node(other)
        world.journal.sold.occupied = True
        messages = [
            (showtime, hold(ANNA, "A1")),
            (showtime, moved(world, showtime)),
            (showtime, hold(ANNA, "A2")),
        ]
        mails = [node.tell(*one) for one in messages]
        await settle()
        assert [mail.code for mail in mails] == ["RETRY", "SCREEN_OCCUPIED", "RETRY"]
        assert node.actor(showtime).failures == 0
        assert "append_poisoned" not in [event["event"] for event in logged]
        # It is sold on as it was, and may be moved once the screen is free.
        assert await price_of(node, showtime, "A1") == 1000
        world.journal.sold.occupied = False
        accepted(await node.ask(showtime, messages[1][1]))


@in_virtual_time
async def test_what_was_decided_behind_a_part_that_is_refused_is_not_refused_with_it() -> None:
    """Another change of terms waits for its own part, and had no effect."""
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        world.journal.sold.occupied = True
        terms = world.terms.of[showtime]
        later_us = terms.starts_at_us + 60_000_000
        first = node.tell(showtime, change_terms(terms, starts_at_us=later_us))
        second = node.tell(showtime, change_terms(terms, seen=2, starts_at_us=later_us + 1))
        await settle()
        assert [first.code, second.code] == ["SCREEN_OCCUPIED", "RETRY"]


@in_virtual_time
async def test_a_change_that_is_durable_is_not_refused_with_the_one_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its answer waits until the next batch is sent, which may be refused in the same step."""
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        run = node.store.run

        async def refusing(name: str, argument: Any, execute: Any) -> Any:
            if name == "append" and argument[0].last_seq == 2:
                raise CommitAborted("23P01", "showtimes_screen_occupied")
            return await run(name, argument, execute)

        monkeypatch.setattr(node.store, "run", refusing)
        paused = node.tell(showtime, PauseSales(command_id=some_id()))
        moved = node.tell(showtime, change_terms(world.terms.of[showtime], seen=2, starts_at_us=7))
        await settle()
        assert [paused.code, moved.code] == ["OK", "SCREEN_OCCUPIED"]


@in_virtual_time
async def test_other_refusals_of_the_database_are_to_be_tried_again() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        node.store.fail_next("append", CommitAborted("23514", "showtimes_sales_window"))
        assert (await node.ask(showtime, dearer(world, showtime))).code == "RETRY"
        assert node.actor(showtime).failures == 1


@in_virtual_time
async def test_a_change_whose_terms_cannot_be_made_is_not_written(
    monkeypatch: pytest.MonkeyPatch, logged: list[Any]
) -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)

        def broken(*_of: object) -> Any:
            raise ZeroDivisionError

        monkeypatch.setattr(actor, "terms_after", broken)
        assert (await node.ask(showtime, dearer(world, showtime))).code == "INTERNAL"
        monkeypatch.undo()
        assert await price_of(node, showtime, "A1") == 1000
        assert world.events(showtime) == ["SeatsHeld"]
        assert [one["event"] for one in logged if one["log_level"] == "error"] == ["command_failed"]


# --- no showtime after all


@in_virtual_time
async def test_a_cancelled_showtime_is_sold_by_nobody_any_more() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        first = await world.warm_node(showtime)
        held: Any = accepted(await first.ask(showtime, hold(ANNA, "A1"))).event
        sold: Any = accepted(await first.ask(showtime, hold(BERT, "A2"))).event
        accepted(await first.ask(showtime, book(BERT, sold.hold_id)))
        assert first.kernel.unpaid.here == {ANNA: 1}
        command = CancelShowtime(
            command_id=some_id(), seen=(1,), reason="no heating", job_id=some_id()
        )
        event: Any = accepted(await first.ask(showtime, command)).event
        assert (event.holds, event.bookings, event.job_id) == (
            (held.hold_id,),
            1,
            command.job_id,
        )
        assert first.kernel.unpaid.here == {}
        second = await world.node()
        for node in (first, second):
            assert (await node.ask(showtime, hold(ANNA, "A3"))).code == "SHOWTIME_CANCELLED"


# --- plans that are looked up


def change_layout(seen: int = 1, version: int = 2) -> ChangeLayout:
    return ChangeLayout(command_id=some_id(), seen=(seen,), layout_version=version)


@in_virtual_time
async def test_a_plan_is_looked_up_and_then_sold() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        world.terms.layouts[2] = WIDER
        node = await world.warm_node(showtime)
        accepted(await node.ask(showtime, hold(ANNA, "B1")))
        event: Any = accepted(await node.ask(showtime, change_layout())).event
        assert (event.layout_version, event.terms_version) == (2, 2)
        held: Any = accepted(await node.ask(showtime, hold(ANNA, "A26")))
        assert held.terms.plan is WIDER
        pin(world, showtime)


@in_virtual_time
async def test_a_plan_that_cannot_be_looked_up_changes_nothing() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        assert (await node.ask(showtime, change_layout())).code == "RETRY"
        world.terms.layouts[2] = WIDER
        world.terms.error = StoreUnavailable("away")
        assert (await node.ask(showtime, change_layout())).code == "RETRY"
        assert world.events(showtime) == []


@in_virtual_time
async def test_a_plan_that_comes_too_late_changes_nothing() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime, command_deadline_ms=1000)
        looked_up = asyncio.Event()

        async def late(_screen_id: bytes, _version: int) -> Any:
            await looked_up.wait()
            return WIDER

        world.terms.load_layout = late  # type: ignore[method-assign]
        mail = node.tell(showtime, change_layout())
        await asyncio.sleep(1.5)
        looked_up.set()
        await mail.answered.wait()
        assert mail.code == "RETRY"


@in_virtual_time
async def test_a_plan_for_an_actor_that_broke_meanwhile_changes_nothing() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        looked_up = asyncio.Event()

        async def late(_screen_id: bytes, _version: int) -> Any:
            await looked_up.wait()
            return WIDER

        world.terms.load_layout = late  # type: ignore[method-assign]
        mail = node.tell(showtime, change_layout())
        await settle()
        node.store.held.add("take_over")
        node.actor(showtime).fail("a bug")
        looked_up.set()
        await mail.answered.wait()
        assert mail.code == "RETRY"
        node.store.held.clear()
        (await node.store.next("take_over")).finish()
        assert await price_of(node, showtime, "A1") == 1000


@in_virtual_time
async def test_of_two_changes_while_a_plan_is_looked_up_the_second_has_not_seen_the_first() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        world.terms.layouts[2] = WIDER
        node = await world.warm_node(showtime)
        layout = node.tell(showtime, change_layout())
        price = node.tell(showtime, dearer(world, showtime))
        await settle()
        assert [layout.code, price.code] == ["PRECONDITION_FAILED", "OK"]


@in_virtual_time
async def test_a_plan_is_not_sold_on_a_screen_that_it_was_not_looked_up_for() -> None:
    """Whoever asks may have seen the version behind the move, or only named it."""
    async with audited_world() as world:
        showtime, elsewhere = world.showtime(), some_id()
        node = await world.warm_node(showtime)
        looked_up = asyncio.Event()

        async def late(screen_id: bytes, _version: int) -> Any:
            if screen_id == elsewhere:
                return WIDER
            await looked_up.wait()
            return parse_layout(grid_layout(4, 30), 3)

        world.terms.load_layout = late  # type: ignore[method-assign]
        layout = ChangeLayout(command_id=some_id(), seen=(1, 2), layout_version=3)
        mail = node.tell(showtime, layout)
        move = change_terms(world.terms.of[showtime], screen_id=elsewhere)
        moved: Any = accepted(await node.ask(showtime, move)).event
        assert moved.moved.conditions.screen_id == elsewhere
        looked_up.set()
        await mail.answered.wait()
        assert mail.code == "PRECONDITION_FAILED"
        assert node.actor(showtime).terms.plan is WIDER
        pin(world, showtime)
