"""Tickets of a booking that get other seats."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cinema.domain.limits import FREE_REFUND_S, PRICE_LIMIT_MINOR
from cinema.domain.showtime.decisions import Replay
from cinema.domain.showtime.events import (
    HoldBooked,
    HoldUsed,
    PaymentStarted,
    SeatsChanged,
    paid_more,
)
from cinema.domain.showtime.packed import book_and_taken, mark_of, unpack
from cinema.domain.showtime.snapshot import decode_snapshot, encode_snapshot
from cinema.domain.showtime.state import ENDED_BOOKED, Surplus, ended_as
from tests.unit.domain.showtime.story import (
    Story,
    block,
    book,
    cancel,
    cancel_showtime,
    change,
    change_terms,
    extend,
    given,
    hold,
    id_of,
    pause,
    pay,
    release,
    second,
    terms,
)
from tests.unit.domain.showtime.world import contents

ANN, BOOKING = id_of("ann"), id_of("booking")
PAYMENT = id_of("payment of the change")
BOOKED = (hold("A1 A2"), book())
TWO = {"A1": 1000, "A2": 1000}


def changed(story: Story) -> SeatsChanged:
    event = story.decision
    assert isinstance(event, SeatsChanged), event
    return event


def test_a_ticket_gets_a_free_seat() -> None:
    story = given(*BOOKED).when(change("A2", "A4", seen=TWO), 5)
    story.then(
        SeatsChanged(
            *(BOOKING, ANN, (1,), (1000,), (3,), (1000,), (0, 3), (1000, 1000), "EUR"),
        )
    )
    assert story.drawn() == "b..b ...."
    assert unpack(story.state.bookings[BOOKING]) == (
        *(ANN, second(0), second(5)),
        *((0, 3), (1000, 1000)),
    )
    assert story.state.taken == 2


def test_seats_move_up_by_one() -> None:
    story = given(*BOOKED).when(change("A1 A2", "A2 A3", types=("child", "adult")), 5)
    assert changed(story).seats == (1, 2)
    assert changed(story).types == ("child", "adult")
    assert story.drawn() == ".bb. ...."
    assert story.state.taken == 2


def test_tickets_exchange_their_seats() -> None:
    story = given(*BOOKED).when(change("A1 A2", "A2 A1", taxes=(7, 8)), 5)
    assert (changed(story).seats, changed(story).taxes) == ((1, 0), (7, 8))
    assert story.drawn() == "bb.. ...."


def test_what_was_left_can_be_sold_and_what_was_chosen_cannot() -> None:
    story = given(*BOOKED, change("A2", "A4", seen=TWO))
    story.when(hold("A4", "late", by="bob")).then_refused("SEAT_UNAVAILABLE", seats=["A4"])
    story.when(hold("A2", "next", by="bob"))
    assert story.drawn() == "bh.b ...."
    story.when(cancel("A4"))
    assert story.drawn() == "bh.. ...."


def test_all_seats_are_changed_or_none() -> None:
    story = given(*BOOKED, hold("A4", "other", by="bob"))
    story.when(change("A1 A2", "A3 A4")).then_refused("SEAT_UNAVAILABLE", seats=["A4"])
    assert story.drawn() == "bb.h ...."


@pytest.mark.parametrize("taken", [block("A4"), hold("A4", "other", by="bob")])
def test_seats_of_others_cannot_be_chosen(taken: Any) -> None:
    story = given(*BOOKED, taken)
    story.when(change("A2", "A4", seen=TWO)).then_refused("SEAT_UNAVAILABLE", seats=["A4"])


def test_a_seat_that_the_booking_keeps_cannot_be_chosen_for_another_ticket() -> None:
    story = given(*BOOKED)
    story.when(change("A2", "A1", seen=TWO)).then_refused("SEAT_UNAVAILABLE", seats=["A1"])


def test_seats_of_a_hold_of_the_customer_can_be_chosen() -> None:
    story = given(*BOOKED, hold("A3 A4", "more"))
    story.when(change("A1 A2", "A4 A3"), 5)
    assert changed(story).holds == (HoldUsed(id_of("more"), (2, 3), (), ()),)
    assert story.drawn() == "..bb ...."
    assert story.state.holds == {}
    assert ended_as(story.state.ended[id_of("more")]).status == ENDED_BOOKED
    assert story.state.taken == 2
    story.when(extend("more")).then_refused("HOLD_ENDED", status="booked")


def test_a_hold_keeps_what_is_not_chosen_of_it() -> None:
    story = given(*BOOKED, hold("A3 A4 B1", "more"))
    story.when(change("A2", "A4", seen=TWO), 5)
    assert changed(story).holds == (HoldUsed(id_of("more"), (3,), (2, 4), (1000, 1250)),)
    assert story.drawn() == "b.hb h..."
    assert unpack(story.state.holds[id_of("more")])[3:] == ((2, 4), (1000, 1250))
    assert story.state.taken == 4
    assert story.state.earliest_due_us() == second(600)
    story.when(release(hold_id="more"), 6)
    assert story.drawn() == "b..b ...."


def test_a_hold_keeps_the_mark_of_its_prices() -> None:
    story = given(*BOOKED, hold("A3 A4", "more"))
    packed = story.state.holds[id_of("more")] + b"\x07\x00\x00\x00\x09\x00\x00\x00"
    story.state.holds[id_of("more")] = packed
    story.when(change("A2", "A4", seen=TWO), 5)
    assert mark_of(story.state.holds[id_of("more")]) == mark_of(packed)
    assert book_and_taken(story.state.holds[id_of("more")]) == (7, 9)


def test_a_hold_that_is_being_paid_keeps_its_seats() -> None:
    story = given(*BOOKED, hold("A4", "more"), pay("more", "later"))
    story.when(change("A2", "A4", seen=TWO)).then_refused("SEAT_UNAVAILABLE", seats=["A4"])


def test_staff_use_a_hold_of_their_own() -> None:
    before = [*BOOKED, hold("A4", "till", by="carl")]
    wanted = change("A2", "A4", by=None, seen=TWO)
    given(*before).when(wanted).then_refused("SEAT_UNAVAILABLE", seats=["A4"])
    story = given(*before).when(msgspec.structs.replace(wanted, holder=id_of("carl")), 1)
    assert story.drawn() == "b..b ...."
    assert story.state.holds == {}


def test_a_booking_of_somebody_else_is_not_found() -> None:
    given(*BOOKED).when(change("A1", "A3", by="bob")).then_refused("NOT_FOUND")


@pytest.mark.parametrize(
    ("before", "at_s", "code"),
    [
        ((cancel(),), 1, "BOOKING_ENDED"),
        ((cancel_showtime(),), 1, "SHOWTIME_CANCELLED"),
        ((), 7200, "SHOWTIME_STARTED"),
        ((pause(),), 1, "SALES_PAUSED"),
    ],
)
def test_a_customer_changes_seats_only_of_what_can_be_attended(
    before: tuple[Any, ...], at_s: float, code: str
) -> None:
    given(*BOOKED, *before).when(change("A1 A2", "A3 A4"), at_s).then_refused(code)


@pytest.mark.parametrize("before", [(), (pause(),)])
def test_staff_change_seats_after_the_start_and_while_sales_are_paused(
    before: tuple[Any, ...],
) -> None:
    story = given(*BOOKED, *before).when(change("A1 A2", "A3 A4", by=None), 7300)
    assert story.drawn() == "..bb ...."


def test_staff_change_no_seats_of_a_cancelled_showtime() -> None:
    story = given(*BOOKED, cancel_showtime())
    story.when(change("A1 A2", "A3 A4", by=None)).then_refused("SHOWTIME_CANCELLED")


@pytest.mark.parametrize(
    ("left", "chosen", "code", "seats"),
    [
        ("Z1", "A4", "UNKNOWN_SEAT", ["Z1"]),
        ("A1", "Z1", "UNKNOWN_SEAT", ["Z1"]),
        ("A1 A1", "A3 A4", "DUPLICATE_SEAT", ["A1"]),
        ("A1 A2", "A4 A4", "DUPLICATE_SEAT", ["A4"]),
        ("A3", "A4", "SEAT_NOT_INCLUDED", ["A3"]),
    ],
)
def test_seats_that_cannot_be_meant(left: str, chosen: str, code: str, seats: list[str]) -> None:
    given(*BOOKED).when(change(left, chosen)).then_refused(code, seats=seats)


# --- rules about seats


def test_no_seat_is_left_alone() -> None:
    its = terms("rrrrrr", protect_orphans=True)
    story = given(hold("A1 A2"), book(), its_terms=its)
    # A5 is free, and so would be A6: but A3 would stand alone.
    story.when(change("A1 A2", "A4 A5")).then_refused("ORPHAN_SEAT", seats=["A6"])
    story.when(change("A1 A2", "A5 A6"), 1)
    assert story.drawn() == "....bb"


def test_what_is_left_counts_as_free_before() -> None:
    """Who moves by one leaves a seat alone, where there is another way."""
    its = terms("rrrrr", protect_orphans=True)
    story = given(hold("A1 A2"), book(), its_terms=its)
    story.when(change("A1 A2", "A2 A3")).then_refused("ORPHAN_SEAT", seats=["A1"])
    story.when(change("A1 A2", "A4 A5"), 1)
    assert story.drawn() == "...bb"


def test_a_companion_keeps_its_wheelchair() -> None:
    its = terms("WCrrWC", companions_need_accessible=True)
    story = given(hold("A1 A2"), book(), its_terms=its)
    story.when(change("A1", "A3", seen=TWO)).then_refused("COMPANION_ONLY", seats=["A2"])
    story.when(change("A2", "A6", seen=TWO), 1)
    assert changed(story).seats == (0, 5)
    story.when(change("A1 A6", "A5 A2"), 2)
    assert changed(story).seats == (4, 1)


def test_a_companion_that_was_alone_before_may_stay_so() -> None:
    """The rule may be younger than the booking."""
    story = given(hold("A2 A3"), book(), its_terms=terms("WCrrr"))
    story.terms = terms("WCrrr", companions_need_accessible=True)
    story.when(change("A3", "A4", seen={"A2": 1000, "A3": 1000}), 1)
    assert story.drawn() == ".b.b."


# --- money


def test_dearer_seats_are_paid_by_a_method_that_is_named() -> None:
    story = given(*BOOKED)
    dearer = change("A2", "B1", 1250, seen=TWO, tax_minor=40)
    amount = {"amount": 250, "currency": "EUR"}
    story.when(dearer, 4).then_refused("PAYMENT_REQUIRED", amount=amount)
    assert story.drawn() == "bb.. ...."
    story.when(msgspec.structs.replace(dearer, payment_method="counter"), 5)
    event = changed(story)
    assert (event.payment_id, event.payment_method, event.tax_minor) == (PAYMENT, "counter", 40)
    assert (paid_more(event), event.refund_minor) == (250, 0)
    assert (event.seats, event.prices) == ((0, 4), (1000, 1250))


@pytest.mark.parametrize(
    ("prices", "refund_bp", "refund_minor"),
    [
        ((400, 1000), 10_000, 600),
        ((400, 1000), 5_000, 300),
        ((995, 1000), 5_000, 3),
        ((400, 1000), 0, 0),
        ((400, 1600), 10_000, 0),
        ((0, 0), 10_000, 2000),
        ((1000, 1000), 10_000, 0),
    ],
)
def test_of_cheaper_seats_goes_back_what_the_policy_says(
    prices: tuple[int, int], refund_bp: int, refund_minor: int
) -> None:
    wanted = change("A1 A2", "A3 A4", *prices, refund_bp=refund_bp, payment_method="demo")
    event = changed(given(*BOOKED).when(msgspec.structs.replace(wanted, tax_minor=9), 5))
    assert event.refund_minor == refund_minor
    assert (event.payment_id, event.payment_method, event.tax_minor) == (b"", "", 0)
    assert paid_more(event) == 0
    assert event.prices == prices


def test_all_of_the_difference_goes_back_if_the_showtime_was_moved_far() -> None:
    until_us = second(FREE_REFUND_S)
    its = terms(free_refund_until_us=until_us)
    wanted = change("A1 A2", "A3 A4", 400, 1000, refund_bp=0)
    assert changed(given(*BOOKED, its_terms=its).when(wanted, 5)).refund_minor == 600


@pytest.mark.parametrize(
    "wrong",
    [
        {"seen": (("A1", 1000),)},
        {"seen": (("A1", 1000), ("A2", 999))},
        {"seen": (("A1", 1000), ("A3", 1000))},
        {"layout_version": 2},
        {"prices": ()},
        {"prices": (1000, 1000)},
        {"prices": (-1,)},
        {"prices": (PRICE_LIMIT_MINOR + 1,)},
        {"types": ("child", "child")},
        {"taxes": (1, 2)},
        {"taxes": (-1,)},
        {"tax_minor": -1},
        {"chosen": ["A3", "A4"], "prices": (1000, 1000)},
        {"left": ["A1", "A2"]},
    ],
)
def test_prices_that_were_not_made_for_the_booking_as_it_is_are_refused(
    wrong: dict[str, Any],
) -> None:
    wanted = msgspec.structs.replace(change("A2", "A4", seen=TWO), **wrong)
    given(*BOOKED).when(wanted).then_refused("BOOKING_CHANGED")


def test_the_dearest_seats_can_be_chosen() -> None:
    wanted = change("A2", "A4", PRICE_LIMIT_MINOR, seen=TWO, payment_method="demo")
    assert paid_more(changed(given(*BOOKED).when(wanted))) == PRICE_LIMIT_MINOR - 1000


def test_a_hold_that_has_none_of_the_seats_stays_as_it_is() -> None:
    story = given(*BOOKED, hold("B1", "other"), hold("A3 A4", "more"))
    before = story.state.holds[id_of("other")]
    story.when(change("A2", "A4", seen=TWO), 5)
    assert changed(story).holds == (HoldUsed(id_of("more"), (3,), (2,), (1000,)),)
    assert story.state.holds[id_of("other")] == before


@pytest.mark.parametrize("make", [book, pay])
def test_a_booking_keeps_what_its_prices_follow_from(make: Any) -> None:
    """What the terms still say is not said again, and nothing without a book."""
    plain = given(hold("A1")).when(make(), 9).decision
    assert isinstance(plain, HoldBooked | PaymentStarted)
    assert (plain.book_version, plain.priced_at_us, plain.taken, plain.sold_by) == (0, 0, 0, None)
    story = given(hold("A1"))
    story.state.holds[id_of("hold")] += b"\x07\x00\x00\x00\x09\x00\x00\x00"
    story.when(change_terms(base_price_minor=1), 3)
    event = story.when(make(), 9).decision
    assert isinstance(event, HoldBooked | PaymentStarted)
    assert (event.book_version, event.priced_at_us, event.taken) == (7, second(0), 9)
    assert event.sold_by is not None
    assert event.sold_by.base_price_minor == 1000


# --- twice, later, elsewhere


def test_a_second_click_without_a_key_is_refused() -> None:
    story = given(*BOOKED, change("A2", "A4", seen=TWO))
    again = change("A2", "A4", seen={"A1": 1000, "A4": 1000})
    story.when(again).then_refused("SEAT_NOT_INCLUDED", seats=["A2"])


def test_a_second_click_under_the_same_key_changes_nothing() -> None:
    first = change("A2", "B1", 1250, key="k", seen=TWO, payment_method="demo")
    story = given(*BOOKED, first)
    before = contents(story.state)
    # The sender could not even work out a price again.
    again = msgspec.structs.replace(first, prices=(), payment_id=id_of("another"))
    decision = story.when(again, 3).decision
    assert isinstance(decision, Replay)
    assert isinstance(decision.recorded.event, SeatsChanged)
    assert decision.recorded.event.payment_id == PAYMENT
    assert contents(story.state) == before


def test_of_two_changes_at_once_the_second_is_worked_out_again() -> None:
    story = given(*BOOKED, change("A2", "B1", 1250, seen=TWO, payment_method="demo"))
    story.when(change("A1", "A3", seen=TWO)).then_refused("BOOKING_CHANGED")
    story.when(change("A1", "A3", seen={"A1": 1000, "B1": 1250}), 1)
    assert changed(story).prices == (1000, 1250)


def test_a_changed_booking_is_cancelled_at_its_new_prices() -> None:
    story = given(*BOOKED, change("A2", "B1", 1250, seen=TWO, payment_method="demo"))
    story.when(cancel("B1"), 5)
    assert story.drawn() == "b... ...."
    story.when(cancel(), 6)
    assert story.drawn() == ".... ...."
    assert story.state.taken == 0


def test_a_snapshot_has_the_changed_seats() -> None:
    story = given(*BOOKED, hold("A3 A4", "more"), change("A2", "A4", key="k", seen=TWO))
    payload = encode_snapshot(story.state, Surplus(story.state, second(1)))
    assert contents(decode_snapshot(payload)) == contents(story.state)
