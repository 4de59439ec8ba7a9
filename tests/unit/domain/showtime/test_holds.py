from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from cinema.domain.rejections import Rejection
from cinema.domain.seatmap import DEFAULT_CATEGORY
from cinema.domain.showtime.commands import AnyCommand
from cinema.domain.showtime.events import (
    HoldBooked,
    HoldExpired,
    HoldExtended,
    HoldReleased,
    SeatsHeld,
)
from tests.unit.domain.showtime.story import (
    block,
    book,
    cancel,
    extend,
    given,
    hold,
    hold_best,
    id_of,
    pause,
    release,
    resume,
    second,
    terms,
)

ANN, BOB = id_of("ann"), id_of("bob")
HOLD = id_of("hold")


def test_a_hold_takes_all_its_seats_at_the_price_of_each() -> None:
    held = SeatsHeld(HOLD, ANN, (5, 1), (1250, 1000), second(600))
    story = given().when(hold("B2 A2")).then(held)
    assert story.drawn() == ".h.. .h.."


def test_second_hold_on_the_same_seat_is_refused() -> None:
    story = given(hold("A1")).when(hold("A1", "other", by="bob"))
    story.then_refused("SEAT_UNAVAILABLE", seats=["A1"])


def test_a_refused_hold_takes_none_of_its_seats_and_names_the_taken_ones() -> None:
    story = given(hold("A1"), block("A3"), hold("B4", "sold"), book("sold"))
    story.when(hold("A1 A2 A3 B4", "other", by="bob"))
    story.then_refused("SEAT_UNAVAILABLE", seats=["A1", "A3", "B4"])
    assert story.drawn() == "h.x. ...b"


def test_unknown_seats_are_named() -> None:
    given().when(hold("A1 C1 A9")).then_refused("UNKNOWN_SEAT", seats=["C1", "A9"])


def test_a_hold_of_no_seats_is_refused() -> None:
    given().when(hold("")).then_refused("UNKNOWN_SEAT", seats=[])


def test_a_seat_named_twice_is_refused() -> None:
    given().when(hold("A2 A1 A2 A1 A3")).then_refused("DUPLICATE_SEAT", seats=["A1", "A2"])


@pytest.mark.parametrize("command", [hold("A1"), hold_best(1)])
@pytest.mark.parametrize(("at_s", "is_open"), [(-1, False), (0, True), (59, True), (60, False)])
def test_holds_are_taken_from_the_opening_of_sales_until_just_before_their_close(
    command: AnyCommand, at_s: float, is_open: bool
) -> None:
    story = given(sales_opens_at_us=second(0), sales_closes_at_us=second(60)).when(command, at_s)
    if is_open:
        assert isinstance(story.decision, SeatsHeld)
    else:
        story.then_refused(
            "SALES_CLOSED", opens_at="2023-11-14T22:13:20Z", closes_at="2023-11-14T22:14:20Z"
        )


EARLY = {
    "sales_opens_at_us": second(600),
    "sales_closes_at_us": second(1200),
    "early_access_minutes": 10,
    "cinema_id": b"house",
}


@pytest.mark.parametrize(
    ("more", "opens_s"),
    [
        ({}, 600),
        ({"member": True}, 0),
        ({"by_staff": True}, 0),
        ({"staff_cinemas": frozenset([b"house"])}, 0),
        ({"staff_cinemas": frozenset([b"elsewhere"])}, 600),
    ],
)
@pytest.mark.parametrize("held", [hold, hold_best])
def test_members_and_their_counter_come_before_everybody(
    held: Any, more: dict[str, Any], opens_s: int
) -> None:
    command = held("A1" if held is hold else 1, **more)
    for at_s, is_open in [(opens_s - 1, False), (opens_s, True), (1199, True), (1200, False)]:
        story = given(**EARLY).when(command, at_s)
        if is_open:
            assert isinstance(story.decision, SeatsHeld), at_s
        else:
            story.then_refused(
                "SALES_CLOSED",
                opens_at="2023-11-14T22:23:20Z",
                closes_at="2023-11-14T22:33:20Z",
                early_access_at="2023-11-14T22:13:20Z",
            )


def test_without_early_access_a_member_waits_like_everybody() -> None:
    story = given(sales_opens_at_us=second(600)).when(hold("A1", member=True), 599)
    assert story.decision.code == "SALES_CLOSED"  # type: ignore[union-attr]
    assert "early_access_at" not in (story.decision.details or {})  # type: ignore[union-attr]


def test_early_access_waits_while_sales_are_paused() -> None:
    given(pause(), **EARLY).when(hold("A1", member=True), 60).then_refused("SALES_PAUSED")


def test_no_hold_while_sales_are_paused() -> None:
    story = given(pause())
    story.when(hold("A1")).then_refused("SALES_PAUSED")
    story.when(hold_best(1)).then_refused("SALES_PAUSED")
    story.when(resume())
    assert isinstance(story.when(hold("A1")).decision, SeatsHeld)


def test_live_holds_can_be_extended_booked_and_released_while_sales_are_paused_or_closed() -> None:
    story = given(hold("A1", "1"), hold("A2", "2"), hold("A3", "3"), pause())
    for command in (extend("1"), book("1"), release(None, "2")):
        story.when(command, 10)
        assert not isinstance(story.decision, Rejection)
    closed = given(hold("A1", "1"), hold("A2", "2"), sales_closes_at_us=second(5))
    for command in (extend("1"), book("1"), release(None, "2")):
        closed.when(command, 10)
        assert not isinstance(closed.decision, Rejection)


@pytest.mark.parametrize("command", [hold("A1 A2 A3"), hold_best(3)])
def test_a_hold_has_at_most_so_many_seats(command: AnyCommand) -> None:
    story = given(seats_per_hold=2)
    story.when(command).then_refused("HOLD_LIMIT", limit="seats_per_hold", value=2)
    assert isinstance(story.when(hold("A1 A2")).decision, SeatsHeld)


@pytest.mark.parametrize("command", [hold("A4", "3"), hold_best(1, "3")])
def test_a_customer_has_at_most_so_many_live_holds(command: AnyCommand) -> None:
    story = given(hold("A1", "1"), hold("A2", "2"), live_holds_per_customer=2)
    story.when(hold("A3", "bobs", by="bob"))
    assert isinstance(story.decision, SeatsHeld)
    story.when(command).then_refused("HOLD_LIMIT", limit="live_holds_per_customer", value=2)


@pytest.mark.parametrize(
    "command", [hold("A1 A2 A3 A4", by_staff=True), hold_best(4, by_staff=True)]
)
def test_a_hold_of_staff_has_its_own_number_of_seats(command: AnyCommand) -> None:
    story = given(seats_per_hold=2, seats_per_staff_hold=3)
    story.when(command).then_refused("HOLD_LIMIT", limit="seats_per_staff_hold", value=3)
    assert "3 seats" in story.message
    story.when(hold("A1 A2 A3", by_staff=True))
    assert isinstance(story.decision, SeatsHeld)


@pytest.mark.parametrize(
    "command", [hold("A4", "4", by_staff=True), hold_best(1, "4", by_staff=True)]
)
def test_staff_have_their_own_number_of_live_holds(command: AnyCommand) -> None:
    limits = {"live_holds_per_customer": 1, "live_holds_per_staff": 3}
    crowd = [hold(f"A{seat}", f"{seat}", by_staff=True) for seat in (1, 2, 3)]
    story = given(*crowd, **limits)
    story.when(command).then_refused("HOLD_LIMIT", limit="live_holds_per_staff", value=3)
    assert "3 holds" in story.message
    story.when(hold("B1", "b", by="bob")).when(hold("B2", "c", by="bob"))
    story.then_refused("HOLD_LIMIT", limit="live_holds_per_customer", value=1)


@pytest.mark.parametrize("ending", [release(None, "1"), book("1")])
def test_an_ended_hold_makes_room_for_another(ending: AnyCommand) -> None:
    story = given(hold("A1", "1"), ending, live_holds_per_customer=1)
    assert isinstance(story.when(hold("A2", "2")).decision, SeatsHeld)


def test_holds_are_counted_by_customer_also_when_there_are_many() -> None:
    crowd = [hold(f"A{seat}", f"{seat}", by=f"{seat % 40}") for seat in range(1, 80)]
    story = given(*crowd, its_terms=terms("r" * 100, live_holds_per_customer=2))
    story.when(hold("A90", "third", by="7"))
    story.then_refused("HOLD_LIMIT", limit="live_holds_per_customer", value=2)
    story.when(release(None, "47", by="7")).when(hold("A90", "third", by="7"))
    assert isinstance(story.decision, SeatsHeld)
    story.when(hold("A91", "fourth", by="7"))
    story.then_refused("HOLD_LIMIT", limit="live_holds_per_customer", value=2)
    for seat in ("third", "7"):
        story.when(release(None, seat, by="7"))
    assert story.state.live_holds_of(id_of("7")) == 0


def test_a_partial_release_leaves_the_count_of_holds_alone() -> None:
    crowd = [hold(f"A{seat}", f"{seat}", by=f"{seat}") for seat in range(1, 80)]
    story = given(*crowd, its_terms=terms("r" * 100, live_holds_per_customer=2))
    story.when(hold("A90 A91", "pair")).when(release("A90", "pair")).when(extend("pair"), 1)
    assert story.state.live_holds_of(ANN) == 1


def test_companion_seats_go_only_with_an_accessible_one() -> None:
    story = given(its_terms=terms("WCrrr", companions_need_accessible=True))
    story.when(hold("A2 A3")).then_refused("COMPANION_ONLY", seats=["A2"])
    story.when(hold("A1 A2"))
    assert isinstance(story.decision, SeatsHeld)


def test_companion_seats_go_alone_where_the_rule_is_off() -> None:
    assert isinstance(given(its_terms=terms("WCrrr")).when(hold("A2")).decision, SeatsHeld)


def test_a_single_free_seat_may_not_be_left_behind() -> None:
    story = given(its_terms=terms("rrrrr", protect_orphans=True))
    story.when(hold("A2 A3")).then_refused("ORPHAN_SEAT", seats=["A1"])
    story.when(hold("A1 A2"))
    assert isinstance(story.decision, SeatsHeld)


def test_a_single_free_seat_may_be_left_where_the_rule_is_off() -> None:
    assert isinstance(given(its_terms=terms("rrrrr")).when(hold("A2 A3")).decision, SeatsHeld)


def test_best_available_avoids_single_seats_where_the_rule_is_on() -> None:
    story = given(its_terms=terms("rrrrrr", protect_orphans=True)).when(hold_best(4))
    assert story.drawn() in {"hhhh..", "..hhhh"}
    assert given(its_terms=terms("rrrrrr")).when(hold_best(4)).drawn() == ".hhhh."


def test_best_available_holds_adjacent_seats_nearest_the_focal_point() -> None:
    story = given().when(hold_best(2))
    story.then(SeatsHeld(HOLD, ANN, (5, 6), (1250, 1250), second(600)))


def test_best_available_keeps_to_the_category_asked_for() -> None:
    story = given().when(hold_best(2, category=DEFAULT_CATEGORY))
    story.then(SeatsHeld(HOLD, ANN, (1, 2), (1000, 1000), second(600)))


def test_best_available_of_an_unknown_category_is_refused() -> None:
    given().when(hold_best(2, category="box")).then_refused(
        "UNKNOWN_CATEGORY", category="box", categories=["regular", "premium"]
    )


def test_best_available_is_refused_when_there_are_not_enough_seats() -> None:
    story = given(block("A1 A2 A3 A4 B1 B3 B4"))
    story.when(hold_best(2)).then_refused("NOT_ENOUGH_SEATS", quantity=2)


# --- extension


def test_an_extension_gives_the_full_time_again_counted_from_now() -> None:
    story = given(hold("A1 B1")).when(extend(), 400)
    story.then(HoldExtended(HOLD, ANN, (0, 4), (1000, 1250), second(1000)))
    story.when(hold("A1", "other"), 999.999999).then_refused("SEAT_UNAVAILABLE", seats=["A1"])
    story.when(hold("A1", "other"), 1000)
    assert isinstance(story.decision, SeatsHeld)


def test_extensions_end_at_the_cap_of_the_whole_life() -> None:
    story = given(hold("A1"), hold_max_s=1000)
    story.when(extend(), 399).then(HoldExtended(HOLD, ANN, (0,), (1000,), second(999)))
    story.when(extend(), 401).then(HoldExtended(HOLD, ANN, (0,), (1000,), second(1000)))
    story.when(extend(), 402)
    at_the_cap = {"limit": "hold_max_s", "value": 1000, "expires_at": "2023-11-14T22:30:00Z"}
    story.then_refused("HOLD_LIMIT", **at_the_cap)
    assert "cannot be extended" in story.message
    story.when(extend(), 1000).then_refused("HOLD_ENDED", status="expired")


def test_the_cap_counts_from_the_placing_also_after_a_partial_release() -> None:
    story = given(hold("A1 A2"), hold_max_s=700)
    story.when(release("A1"), 300).when(extend(), 301)
    story.then(HoldExtended(HOLD, ANN, (1,), (1000,), second(700)))


def test_a_hold_is_never_placed_for_longer_than_its_whole_life() -> None:
    story = given(hold_ttl_s=600, hold_max_s=60).when(hold("A1"))
    story.then(SeatsHeld(HOLD, ANN, (0,), (1000,), second(60)))
    story.when(extend(), 1)
    at_the_cap = {"limit": "hold_max_s", "value": 60, "expires_at": "2023-11-14T22:14:20Z"}
    story.then_refused("HOLD_LIMIT", **at_the_cap)


def test_an_extension_never_shortens_a_hold() -> None:
    story = given(SeatsHeld(HOLD, ANN, (0,), (1000,), second(900)))
    story.when(extend(), 100).then(HoldExtended(HOLD, ANN, (0,), (1000,), second(900)))


# --- release


def test_a_release_frees_all_seats_and_ends_the_hold() -> None:
    story = given(hold("A1 B1")).when(release(), 5)
    story.then(HoldReleased(HOLD, ANN, (0, 4), (1000, 1250), (), (), second(600)))
    assert story.drawn() == ".... ...."
    story.when(release()).then_refused("HOLD_ENDED", status="released")


def test_a_partial_release_frees_only_the_seats_named() -> None:
    story = given(hold("A1 B1 A3")).when(release("A3 A1"), 5)
    story.then(HoldReleased(HOLD, ANN, (2, 0), (1000, 1000), (4,), (1250,), second(600)))
    assert story.drawn() == ".... h..."
    story.when(book(), 6)
    assert story.drawn() == ".... b..."


def test_a_seat_that_was_released_before_is_known_and_no_longer_of_the_hold() -> None:
    story = given(hold("A1 A2")).when(release("A1"))
    story.when(release("A1")).then_refused("SEAT_NOT_INCLUDED", seats=["A1"])
    story.when(release("A1 A2")).then_refused("SEAT_NOT_INCLUDED", seats=["A1"])
    assert story.drawn() == ".h.. ...."


def test_releasing_every_seat_by_name_ends_the_hold() -> None:
    story = given(hold("A1 A2")).when(release("A2")).when(release("A1"))
    story.then(HoldReleased(HOLD, ANN, (0,), (1000,), (), (), second(600)))
    story.when(extend()).then_refused("HOLD_ENDED", status="released")


def test_a_seat_outside_the_hold_cannot_be_released_with_it() -> None:
    story = given(hold("A1"), hold("A2", "other"))
    story.when(release("A1 A2")).then_refused("SEAT_NOT_INCLUDED", seats=["A2"])
    story.when(release("C1 A1")).then_refused("UNKNOWN_SEAT", seats=["C1"])
    story.when(release("A1 A1")).then_refused("DUPLICATE_SEAT", seats=["A1"])
    assert story.drawn() == "hh.. ...."


# --- whose hold it is, and how it ended


@pytest.mark.parametrize("command", [extend, release, book])
def test_a_hold_of_somebody_else_is_not_found(command: Callable[..., AnyCommand]) -> None:
    story = given(hold("A1"), hold("A2", "ended"), release(None, "ended"))
    for hold_id in ("hold", "ended", "never"):
        story.when(command(hold_id=hold_id, by="bob")).then_refused("NOT_FOUND")


@pytest.mark.parametrize("command", [extend, release, book])
@pytest.mark.parametrize(
    ("ending", "status"), [(release(), "released"), (book(), "booked"), (None, "expired")]
)
def test_an_ended_hold_says_how_it_ended(
    command: Callable[..., AnyCommand], ending: AnyCommand | None, status: str
) -> None:
    story = given(hold("A1"), *([ending] if ending else []))
    story.when(command(), 600).then_refused("HOLD_ENDED", status=status)


# --- expiry


def test_a_hold_expires_at_its_deadline_and_not_before() -> None:
    story = given(hold("A1 A2"))
    story.when(hold("A1", "other", by="bob"), 599.999999)
    story.then_refused("SEAT_UNAVAILABLE", seats=["A1"])
    story.when(hold("A1", "other", by="bob"), 600)
    story.then(
        HoldExpired(HOLD, (0, 1)), SeatsHeld(id_of("other"), BOB, (0,), (1000,), second(1200))
    )
    assert story.drawn() == "h... ...."


def test_booking_just_before_the_deadline_wins_over_expiry() -> None:
    story = given(hold("A1")).when(book(), 599.999999)
    assert isinstance(story.decision, HoldBooked)
    story.when(cancel("A9"), 600).then_refused("UNKNOWN_SEAT", seats=["A9"])
    assert story.drawn() == "b... ...."


@pytest.mark.parametrize("command", [hold("A1 A2 A3"), hold_best(3)])
@pytest.mark.parametrize("cinemas", [set(), {b"elsewhere"}, {b"elsewhere", b"here"}])
def test_staff_have_the_limits_of_a_till_at_their_own_cinemas_only(
    command: AnyCommand, cinemas: set[bytes]
) -> None:
    story = given(seats_per_hold=2, seats_per_staff_hold=5, cinema_id=b"here")
    story.when(msgspec.structs.replace(command, staff_cinemas=frozenset(cinemas)))
    assert isinstance(story.decision, SeatsHeld) is (b"here" in cinemas)
