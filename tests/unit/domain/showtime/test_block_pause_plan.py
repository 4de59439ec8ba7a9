from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from cinema.domain.seatmap import parse_layout
from cinema.domain.showtime.commands import AnyCommand, ExpireDue
from cinema.domain.showtime.decisions import Replay, ended_hold
from cinema.domain.showtime.events import (
    PlanChanged,
    SalesPaused,
    SalesResumed,
    SeatsBlocked,
    SeatsHeld,
    SeatsUnblocked,
)
from cinema.domain.showtime.packed import unpack
from cinema.domain.showtime.prices import sold_now
from tests.unit.domain.seat_drawing import draw_layout
from tests.unit.domain.showtime.story import (
    block,
    book,
    cancel,
    change_plan,
    given,
    hold,
    id_of,
    pause,
    release,
    resume,
    second,
    terms,
    unblock,
)

_ROOM = terms("rrrr", "rrrr")


# --- blocked seats


def test_blocked_seats_are_off_sale_until_they_are_unblocked() -> None:
    story = given().when(block("A2 A1")).then(SeatsBlocked((1, 0)))
    assert story.drawn() == "xx.. ...."
    story.when(hold("A1 A3")).then_refused("SEAT_UNAVAILABLE", seats=["A1"])
    story.when(unblock("A1")).then(SeatsUnblocked((0,)))
    assert story.drawn() == ".x.. ...."


def test_only_free_seats_can_be_blocked_and_all_or_none_are() -> None:
    story = given(hold("A1"), hold("A2", "sold"), book("sold"), block("A3"))
    story.when(block("A4 A3 A2 A1")).then_refused("SEAT_UNAVAILABLE", seats=["A2", "A1"])
    assert story.drawn() == "hbx. ...."


def test_blocking_tells_only_of_seats_that_were_free() -> None:
    story = given(block("A1")).when(block("A1 A2")).then(SeatsBlocked((1,)))
    story.when(block("A1 A2")).then_nothing()


def test_a_keyed_command_that_changed_nothing_changes_nothing_later() -> None:
    story = given(block("A1")).when(block("A1", key="once")).then(SeatsBlocked(()))
    story.when(unblock("A1")).then(SeatsUnblocked((0,)))
    story.when(block("A1", key="once"))
    assert isinstance(story.decision, Replay)
    assert story.drawn() == ".... ...."


def test_unblocking_leaves_seats_alone_that_are_not_blocked() -> None:
    story = given(hold("A1"), block("A2")).when(unblock("A1 A2 A3")).then(SeatsUnblocked((1,)))
    story.when(unblock("A1 A2 A3")).then_nothing()
    assert story.drawn() == "h... ...."


@pytest.mark.parametrize("command", [block, unblock])
def test_impossible_seats_are_neither_blocked_nor_unblocked(
    command: Callable[[str], AnyCommand],
) -> None:
    given().when(command("A1 Z1")).then_refused("UNKNOWN_SEAT", seats=["Z1"])
    given().when(command("A1 A1")).then_refused("DUPLICATE_SEAT", seats=["A1"])


# --- sales


def test_sales_pause_once_and_resume_once() -> None:
    story = given().when(resume()).then_nothing()
    story.when(pause()).then(SalesPaused())
    story.when(pause()).then_nothing()
    story.when(resume()).then(SalesResumed())
    story.when(resume()).then_nothing()


def test_the_timers_command_does_nothing_when_nothing_is_due() -> None:
    given(hold("A1")).when(ExpireDue(command_id=b""), 1).then_nothing()


# --- another seat plan


def test_a_plan_change_moves_what_is_held_booked_and_blocked() -> None:
    story = given(
        hold("A2 A4"), hold("B1", "sold"), book("sold"), block("B2"), its_terms=terms("rrrr", "rr")
    )
    story.when(change_plan("rrrrrr", "rrr"), 9)
    story.then(PlanChanged(1, 2, 9, (0, 1, 2, 3, 6, 7), 2, before=sold_now(terms("rrrr", "rr"))))
    assert story.drawn() == ".h.h.. bx."
    assert story.state.layout_version == 2
    assert unpack(story.state.holds[id_of("hold")]).seats == (1, 3)
    assert unpack(story.state.bookings[id_of("booking")]).seats == (6,)
    story.when(hold("A6", "new"), 10)
    story.then(SeatsHeld(id_of("new"), id_of("ann"), (5,), (1000,), second(610)))


def test_seats_are_carried_by_their_labels_also_in_another_order() -> None:
    old = draw_layout("rrr", "rrr")
    mirrored = tuple(
        msgspec.structs.replace(row, seats=row.seats[::-1]) for row in reversed(old.rows)
    )
    story = given(hold("A1 B3"), its_terms=terms("rrr", "rrr"))
    command = change_plan("r")
    turned = msgspec.structs.replace(old, rows=mirrored)
    story.when(msgspec.structs.replace(command, plan=parse_layout(turned, 2)))
    story.then(PlanChanged(1, 2, 6, (5, 4, 3, 2, 1, 0), 2))
    assert story.drawn() == "h.. ..h"
    assert unpack(story.state.holds[id_of("hold")]).seats == (5, 0)


@pytest.mark.parametrize(
    ("rows", "affected"),
    [
        (("rrr", "rrrr"), ["A4"]),  # gone
        (("rrrp", "rrrr"), ["A4"]),  # another category
        (("rrrW", "rrrr"), ["A4"]),  # accessible now
        (("rCrW", "rWrr"), ["A2", "A4", "B2"]),
        (("rrrr",), ["B2"]),
    ],
)
def test_a_plan_change_is_refused_while_affected_seats_are_taken(
    rows: tuple[str, ...], affected: list[str]
) -> None:
    story = given(hold("A4"), hold("A2", "sold"), book("sold"), block("B2"), its_terms=_ROOM)
    story.when(change_plan(*rows)).then_refused("PLAN_IN_USE", seats=affected)
    assert story.state.layout_version == 1


def test_the_plan_that_is_pinned_already_changes_nothing() -> None:
    given().when(change_plan("rrrr", version=1)).then_nothing()


def test_holds_keep_their_prices_when_the_plan_brings_others() -> None:
    story = given(hold("A1"), its_terms=terms("rr"))
    story.when(change_plan("rr", prices=(2000,))).when(release(), 1)
    assert story.happened[0].released_prices == (1000,)
    story.when(hold("A1", "new"), 2)
    assert story.happened[0].prices == (2000,)


def test_an_ended_hold_keeps_the_seats_that_still_exist() -> None:
    story = given(hold("A2 B2"), release(), its_terms=terms("rr", "rr"))
    story.when(change_plan("r", "rr"), 1)
    ended = ended_hold(story.state, id_of("hold"), None)
    assert isinstance(ended, bytes)
    group = unpack(ended[1:])
    assert (group.seats, group.prices) == ((2,), (1000,))


def test_a_former_plan_is_remembered_as_the_way_to_todays() -> None:
    story = given(its_terms=terms("rrr", "rr"))
    story.when(change_plan("rr", "rr", version=2)).when(change_plan("rrr", "rr", version=3))
    assert story.state.old_plans == {1: (0, 1, -1, 3, 4), 2: (0, 1, 3, 4)}


def test_a_seat_that_is_cancelled_after_a_plan_change_is_freed_in_its_new_place() -> None:
    story = given(hold("B1 B2"), book(), its_terms=terms("rrr", "rr"))
    story.when(change_plan("rrrrr", "rr")).when(cancel("B2"), 1)
    assert story.drawn() == "..... b."
