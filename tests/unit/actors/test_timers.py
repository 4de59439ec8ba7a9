"""Holds end at their deadline: never before it, and within a second after it, whoever owns them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from cinema.actors import timers
from cinema.actors.messages import HoldSeen, ReadHold, ReadSeats
from cinema.actors.timers import DueSweep
from cinema.domain.limits import DUE_SWEEP_GOES_ON_S, DUE_SWEEP_S, EXPIRIES_PER_COMMAND
from cinema.domain.seatmap import grid_layout, parse_layout
from cinema.storage.journal.store import StoreUnavailable
from tests.support import inspection
from tests.support.actors.scripted_store import ScriptedStore, Written
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import (
    ANNA,
    BERT,
    HOLD_TTL_S,
    NodeClock,
    World,
    accepted,
    audited_world,
    book,
    extend,
    hold,
    release,
    some_id,
    true_time_us,
)


def _end_of(world: World, showtime: bytes) -> Written | None:
    if "HoldExpired" not in world.events(showtime):
        return None
    return world.journal.ledger[showtime][world.events(showtime).index("HoldExpired")]


async def _assert_it_ends_in_time(world: World, showtime: bytes, due_us: int) -> None:
    """Not before `due_us`, and at most a second after it."""
    await asyncio.sleep((due_us - true_time_us()) / 1e6 - 0.000_01)
    assert _end_of(world, showtime) is None
    await asyncio.sleep(1.000_01)
    written = _end_of(world, showtime)
    assert written is not None
    assert due_us <= written.at_us <= due_us + 1_000_000


@in_virtual_time
async def test_a_hold_of_a_resident_showtime_ends_in_time() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        wish = hold(ANNA, "A1", "A2")
        held = accepted(await node.ask(showtime, wish))
        await _assert_it_ends_in_time(world, showtime, held.event.expires_at_us)
        seen = await node.ask(showtime, ReadHold(hold_id=wish.hold_id, customer=ANNA))
        assert isinstance(seen, HoldSeen)
        assert seen.status == "expired"
        assert (await node.ask(showtime, book(ANNA, wish.hold_id))).code == "HOLD_ENDED"
        assert accepted(await node.ask(showtime, hold(BERT, "A1", "A2"))).seq == 3


@in_virtual_time
async def test_a_hold_of_a_passivated_showtime_ends_in_time() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime, idle_passivation_s=1.0)
        held = accepted(await node.ask(showtime, hold(ANNA, "A1")))
        await asyncio.sleep(5)
        assert not node.kernel.is_resident(showtime)
        await _assert_it_ends_in_time(world, showtime, held.event.expires_at_us)


@in_virtual_time
async def test_a_hold_whose_owner_died_ends_in_time() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        dead = await world.warm_node(showtime)
        held = accepted(await dead.ask(showtime, hold(ANNA, "A1")))
        await inspection.kill(dead.kernel)
        await world.node()
        await _assert_it_ends_in_time(world, showtime, held.event.expires_at_us)


@in_virtual_time
async def test_a_hold_that_came_due_while_no_node_ran_ends_at_the_next_start() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        dead = await world.warm_node(showtime)
        await dead.ask(showtime, hold(ANNA, "A1"))
        await inspection.kill(dead.kernel)
        await asyncio.sleep(2 * HOLD_TTL_S)
        await world.node()
        await asyncio.sleep(1)
        assert world.events(showtime) == ["SeatsHeld", "HoldExpired"]


@in_virtual_time
async def test_expiry_waits_the_clocks_uncertainty_out() -> None:
    async with audited_world() as world:
        for offset_us in (-200_000, 200_000):
            showtime = world.showtime()
            node = await world.node()
            node.clock.offset_us, node.clock.error_us = offset_us, 200_000
            await node.ask(showtime, release(ANNA, some_id()))
            held = accepted(await node.ask(showtime, hold(ANNA, "A1")))
            await _assert_it_ends_in_time(world, showtime, held.event.expires_at_us)
            await node.kernel.stop(1)


@in_virtual_time
async def test_a_clock_that_was_ahead_and_is_set_right_ends_no_hold_early() -> None:
    async with audited_world() as world:
        showtime = world.showtime(hold_ttl_s=2)
        node = await world.warm_node(showtime)
        held = accepted(await node.ask(showtime, hold(ANNA, "A1")))
        # A second off and known to be, then compared with Postgres again.
        node.clock.offset_us = node.clock.error_us = 1_000_000
        await asyncio.sleep(1.4)
        await node.ask(showtime, hold(ANNA, "A2"))
        node.clock.offset_us = node.clock.error_us = 0
        await node.ask(showtime, hold(ANNA, "A3"))
        await _assert_it_ends_in_time(world, showtime, held.event.expires_at_us)


@in_virtual_time
async def test_a_command_first_expires_what_is_due() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        await node.ask(showtime, hold(ANNA, "A1"))
        await asyncio.sleep(HOLD_TTL_S - 0.03)
        # The tick that follows the deadline is still to come.
        assert (await node.ask(showtime, hold(BERT, "A1"))).code == "SEAT_UNAVAILABLE"
        await asyncio.sleep(0.03)
        assert accepted(await node.ask(showtime, hold(BERT, "A1"))).seq == 3
        assert world.events(showtime) == ["SeatsHeld", "HoldExpired", "SeatsHeld"]


@in_virtual_time
async def test_an_extended_hold_ends_at_its_new_deadline() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        wish = hold(ANNA, "A1")
        await node.ask(showtime, wish)
        await asyncio.sleep(HOLD_TTL_S / 2)
        longer = accepted(await node.ask(showtime, extend(ANNA, wish.hold_id)))
        await asyncio.sleep(HOLD_TTL_S / 2 + 1)
        # The head's deadline was only a lower bound; the actor corrects it as it passes.
        assert world.journal.heads[showtime].next_due_us == longer.event.expires_at_us
        await _assert_it_ends_in_time(world, showtime, longer.event.expires_at_us)


@in_virtual_time
async def test_a_deadline_that_nobody_has_any_more_leaves_the_head() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        first, second = hold(ANNA, "A1"), hold(ANNA, "A2")
        await node.ask(showtime, first)
        await asyncio.sleep(5)
        later = accepted(await node.ask(showtime, second))
        await node.ask(showtime, release(ANNA, first.hold_id))
        await asyncio.sleep(HOLD_TTL_S - 4)
        assert world.journal.heads[showtime].next_due_us == later.event.expires_at_us
        await _assert_it_ends_in_time(world, showtime, later.event.expires_at_us)


@in_virtual_time
async def test_a_booked_hold_does_not_end() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        wish = hold(ANNA, "A1")
        await node.ask(showtime, wish)
        await node.ask(showtime, book(ANNA, wish.hold_id))
        await asyncio.sleep(2 * HOLD_TTL_S)
        assert world.events(showtime) == ["SeatsHeld", "HoldBooked"]


@in_virtual_time
async def test_a_mass_expiry_comes_in_bounded_turns_and_all_of_it_before_the_next_command() -> None:
    async with audited_world() as world:
        count = EXPIRIES_PER_COMMAND + 40
        plan = parse_layout(grid_layout(10, 30), 1)
        world.auditor.plan = plan
        showtime = world.showtime(plan=plan)
        node = await world.warm_node(showtime)
        mails = [node.tell(showtime, hold(ANNA, label)) for label in plan.labels[:count]]
        await settle()
        assert all(mail.code == "OK" for mail in mails)
        node.store.held.add("append")
        await asyncio.sleep(HOLD_TTL_S + 0.1)
        call = await node.store.next("append")
        assert len(call.argument[0].events) <= EXPIRIES_PER_COMMAND
        read = node.tell(showtime, ReadSeats())
        written = 0
        while True:
            await settle()
            assert read.outcome is None
            written += len(call.argument[0].events)
            call.finish()
            if written == count:
                break
            call = await node.store.next("append")
        await settle()
        assert sum(read.outcome.seats) == 0
        assert node.kernel.metrics.decisions["expire", "expired"] == count


@in_virtual_time
async def test_a_deadline_that_passes_while_the_showtime_reloads_is_not_forgotten() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        held = accepted(await node.ask(showtime, hold(ANNA, "A1")))
        await asyncio.sleep(HOLD_TTL_S - 1)
        node.store.down["take_over"] = StoreUnavailable("gone")
        node.store.fail_next("append", StoreUnavailable("lost"))
        waiting = node.tell(showtime, hold(BERT, "A1"))
        node.tell(showtime, hold(BERT, "A2"))
        await asyncio.sleep(1.5)
        node.store.down.clear()
        await asyncio.sleep(2.5)
        assert _end_of(world, showtime) is not None
        assert _end_of(world, showtime).at_us >= held.event.expires_at_us
        assert waiting.code == "RETRY"


@in_virtual_time
async def test_a_sweep_that_fails_is_repeated() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        dead = await world.warm_node(showtime)
        held = accepted(await dead.ask(showtime, hold(ANNA, "A1")))
        await inspection.kill(dead.kernel)
        node = await world.node()
        node.store.fail_next("due", *[StoreUnavailable("gone")] * 3)
        await _assert_it_ends_in_time(world, showtime, held.event.expires_at_us)


@in_virtual_time
async def test_a_full_mailbox_does_not_keep_holds_from_ending() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime, mailbox_limit=1)
        held = accepted(await node.ask(showtime, hold(ANNA, "A1")))
        await asyncio.sleep(HOLD_TTL_S)
        node.tell(showtime, release(ANNA, some_id()))
        node.kernel.expire_due()
        await asyncio.sleep(0.2)
        assert _end_of(world, showtime).at_us >= held.event.expires_at_us


# --- the sweep's pages

OVERDUE = 23


def _overdue_journal(world: World) -> list[bytes]:
    """Showtimes whose deadlines are long over, earliest first."""
    showtimes = [world.showtime() for _ in range(OVERDUE)]
    for number, showtime in enumerate(showtimes):
        world.journal.heads[showtime].next_due_us = 1 + number // 2
    return showtimes


def _sweep(
    world: World, monkeypatch: pytest.MonkeyPatch, wake: Callable[[bytes], bool]
) -> tuple[DueSweep, ScriptedStore]:
    """A sweep of three pages of four rows."""
    monkeypatch.setattr(timers, "DUE_SWEEP_PAGE", 4)
    monkeypatch.setattr(timers, "DUE_SWEEP_PAGES", 3)
    store = ScriptedStore(world.journal)
    return DueSweep(store, NodeClock(), wake), store


@in_virtual_time
async def test_a_sweep_wakes_a_bounded_number_and_the_next_goes_on_behind_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        showtimes = _overdue_journal(world)
        woken: list[bytes] = []
        sweep, store = _sweep(world, monkeypatch, lambda one: woken.append(one) is None)
        counts = []
        for _ in range(7):
            await sweep.sweep()
            counts.append(len(woken))
        # One page each, and from the beginning once all have been seen.
        assert counts == [4, 8, 12, 16, 20, 23, 27]
        assert woken == showtimes + showtimes[:4]
        assert store.count("due") == 7


@in_virtual_time
async def test_rows_of_others_are_passed_over_a_bounded_number_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        showtimes = _overdue_journal(world)
        looked_at: list[bytes] = []

        def wake(showtime: bytes) -> bool:
            looked_at.append(showtime)
            return showtime == showtimes[-1]

        sweep, store = _sweep(world, monkeypatch, wake)
        await sweep.sweep()
        assert (looked_at, store.count("due")) == (showtimes[:12], 3)
        await sweep.sweep()
        # Each row was read once, however many pages that took.
        assert (looked_at, store.count("due")) == (showtimes, 6)
        await sweep.sweep()
        assert looked_at == showtimes + showtimes[:12]


class _Told:
    """News of another node, which has found all of these."""

    ahead_s = 0.0

    def __init__(self, showtimes: list[bytes]) -> None:
        self.showtimes = showtimes

    async def told(self) -> list[bytes]:
        return self.showtimes

    def found(self, _until_us: int, _showtime_ids: Sequence[bytes]) -> None:
        raise AssertionError("this node does not search")


@in_virtual_time
async def test_what_another_node_has_found_is_woken_as_fast_as_what_is_searched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        woken: list[bytes] = []

        def wake(showtime: bytes) -> bool:
            if showtime in woken:
                return False
            woken.append(showtime)
            return True

        sweep, store = _sweep(world, monkeypatch, wake)
        sweep.news = _Told([world.showtime() for _ in range(OVERDUE)])
        running = asyncio.ensure_future(sweep.run())
        counts = []
        await asyncio.sleep(DUE_SWEEP_GOES_ON_S / 2)
        for _ in range(6):
            counts.append(len(woken))
            await asyncio.sleep(DUE_SWEEP_GOES_ON_S)
        assert counts == [4, 8, 12, 16, 20, 23]
        assert store.count("due") == 0
        running.cancel()


@in_virtual_time
async def test_a_sweep_that_has_not_seen_all_goes_on_sooner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        _overdue_journal(world)
        woken: list[bytes] = []
        sweep, _ = _sweep(world, monkeypatch, lambda one: woken.append(one) is None)
        running = asyncio.ensure_future(sweep.run())
        await asyncio.sleep(DUE_SWEEP_GOES_ON_S * 5.5)
        assert len(woken) == OVERDUE
        await asyncio.sleep(DUE_SWEEP_S)
        assert len(woken) == OVERDUE + 4
        running.cancel()
