"""Sequences around payments in which seats, money or memory could be lost."""

from __future__ import annotations

import pytest

from cinema.domain.showtime import state as state_module
from cinema.domain.showtime.decisions import ended_hold
from cinema.domain.showtime.events import Event
from cinema.domain.showtime.state import ENDED_BOOKED
from tests.unit.domain.showtime.story import (
    abandon,
    cancel,
    cancel_showtime,
    change_terms,
    given,
    hold,
    id_of,
    paid,
    pay,
    second,
    terms,
)
from tests.unit.domain.showtime.world import World, contents

HOLD = id_of("hold")


def _world(*commands: object) -> World:
    world = World(terms())
    for command in commands:
        _do(world, command, 1)
    return world


def _do(world: World, command: object, at_s: float) -> object:
    world.expire(second(at_s))
    decision = world.decide(command, second(at_s))  # type: ignore[arg-type]
    if isinstance(decision, Event):
        world.record(decision, second(at_s), command)  # type: ignore[arg-type]
    return decision


@pytest.mark.parametrize("told", [True, False])
def test_a_late_payment_while_a_snapshot_is_on_its_way_is_not_forgotten(
    monkeypatch: pytest.MonkeyPatch, told: bool
) -> None:
    monkeypatch.setattr(state_module, "ENDED_HOLDS_KEPT", 0)
    world = _world(hold("A1 B1"), pay(), abandon(expired=False))
    world.begin_snapshot(second(2))
    _do(world, paid(2), 3)
    world.finish_snapshot(stored=True, told=told)
    assert contents(world.restored()) == contents(world.state)
    ended = world.ended(HOLD)
    assert ended is not None
    assert ended[0] == ENDED_BOOKED
    # The money of this payment goes back with the booking: it buys no second one.
    _do(world, cancel(), 4)
    assert not isinstance(_do(world, paid(2, key="told late"), 5), Event)


def test_money_that_went_back_with_a_booking_does_not_go_back_twice() -> None:
    """Every refusal of a payment but HOLD_ENDED is a reason for a full refund (ADR 052)."""
    story = given(hold("A1 B1"), pay(), paid(2), cancel_showtime(), cancel(by=None))
    story.when(paid(2, key="told late")).then_refused("HOLD_ENDED", status="booked")


def test_nothing_is_given_up_before_its_time_is_over() -> None:
    """A node whose clock is ahead asks too early."""
    story = given(hold("A1 B1"), pay())
    story.when(abandon(expired=True), 599)
    assert story.happened == []
    assert story.drawn() == "h... h..."
    # Its customer may give it up at any time.
    story.when(abandon(expired=False), 599)
    assert story.drawn() == ".... ...."


def test_a_reservation_ends_before_a_start_that_was_moved_ahead() -> None:
    """`counter_later` is released 30 minutes before the start, also before another start."""
    story = given(hold("A1 B1"), pay(before_start_s=1800))
    story.when(change_terms(starts_at_us=second(4000), ends_at_us=second(9000)), 10)
    assert isinstance(story.decision, Event)
    # 30 minutes before the new start and the grace later.
    story.when(abandon(by="nobody"), 4000 - 1800 + 600)
    assert story.drawn() == ".... ...."


def test_a_hold_that_ended_without_a_payment_is_not_booked_by_one() -> None:
    """No rows exist for it: a booking without rows, and seats that nobody has paid here."""
    story = given(hold("A1"))
    story.when(paid(1, booking_id="anything"), 700)
    assert story.drawn() == ".... ....", story.decision


def test_the_hold_of_another_booking_is_not_booked() -> None:
    story = given(hold("A1 B1"), pay(), abandon(expired=False))
    story.when(paid(2, booking_id="other"), 10)
    assert story.drawn() == ".... ....", story.decision
    assert ended_hold(story.state, HOLD, None) is not None
