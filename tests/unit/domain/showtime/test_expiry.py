from __future__ import annotations

import pytest

from cinema.domain.showtime import expiry
from cinema.domain.showtime.events import AnyEvent, HoldExpired, SeatsHeld
from cinema.domain.showtime.expiry import due_expiries
from cinema.domain.showtime.state import NEVER_US
from tests.unit.domain.showtime.story import (
    START_US,
    Story,
    book,
    extend,
    given,
    hold,
    id_of,
    release,
    second,
)


def _three_holds() -> Story:
    return given(_held("late", 0, 30), _held("early", 1, 10), _held("middle", 2, 20))


def _held(name: str, seat: int, until_s: int) -> AnyEvent:
    return SeatsHeld(id_of(name), id_of("ann"), (seat,), (1000,), second(until_s))


def test_what_is_due_expires_earliest_first() -> None:
    due = due_expiries(_three_holds().state, second(20))
    assert due == [HoldExpired(id_of("early"), (1,)), HoldExpired(id_of("middle"), (2,))]


def test_holds_due_at_the_same_moment_expire_in_the_order_of_their_ids() -> None:
    names = [f"hold {number}" for number in range(8)]
    story = given(*(_held(name, seat, 10) for seat, name in enumerate(names)))
    expired = [event.hold_id for event in due_expiries(story.state, second(10))]
    assert expired == sorted(map(id_of, names))


def test_nothing_expires_before_its_deadline() -> None:
    assert due_expiries(_three_holds().state, second(10) - 1) == []


def test_one_turn_expires_a_bounded_number_and_the_earliest_of_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(expiry, "EXPIRIES_PER_COMMAND", 2)
    story = _three_holds()
    first = due_expiries(story.state, second(60))
    assert [event.hold_id for event in first] == [id_of("early"), id_of("middle")]
    for event in first:
        story.record(event, second(60))
    assert [event.hold_id for event in due_expiries(story.state, second(60))] == [id_of("late")]


def test_an_expired_hold_gives_back_only_the_seats_it_still_had() -> None:
    story = given(hold("A1 A2"), release("A1"), hold("A1", "other", by="bob"))
    assert due_expiries(story.state, second(600))[0].seats in {(0,), (1,)}
    assert {event.seats for event in due_expiries(story.state, second(600))} == {(0,), (1,)}


def test_the_bound_of_the_next_deadline_follows_holds_as_they_come_and_go() -> None:
    story = given()
    assert story.state.next_due_us == NEVER_US
    story.when(hold("A1", "1"), 100)
    assert story.state.next_due_us == second(700)
    story.when(hold("A2", "2"), 50)
    assert story.state.next_due_us == second(700)
    story.when(extend("1"), 200)
    assert story.state.next_due_us <= second(700)
    story.when(release(None, "1"), 200)
    assert story.state.next_due_us <= second(700)
    story.when(book("2"), 200)
    assert story.state.next_due_us == NEVER_US


def test_a_look_at_all_holds_makes_the_bound_exact() -> None:
    story = given(hold("A1", "1")).when(extend("1"), 300)
    assert story.state.earliest_due_us() == second(900)
    assert story.state.next_due_us == second(900)
    assert given().state.earliest_due_us() == NEVER_US


def test_events_recorded_by_an_expiry_carry_no_command() -> None:
    story = given(hold("A1")).when(hold("A2", "other", key="k"), 600)
    assert isinstance(story.happened[0], HoldExpired)
    assert len(story.state.records) == 1
    assert story.state.at_us == second(600) > START_US
