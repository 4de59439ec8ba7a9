"""What holds are booked for: what their quotes say, if these were made for them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cinema.domain.limits import PRICE_LIMIT_MINOR
from cinema.domain.showtime.events import (
    HoldBooked,
    OrderLine,
    PaymentEnded,
    PaymentStarted,
)
from cinema.domain.showtime.packed import unpack
from cinema.domain.showtime.replan import moved_event
from cinema.domain.showtime.snapshot import decode_snapshot, encode_snapshot
from cinema.domain.showtime.state import AwaitedPayment, Surplus, ended_as, waiting_for
from tests.unit.domain.showtime.story import (
    START_US,
    Story,
    book,
    change_plan,
    change_terms,
    given,
    hold,
    id_of,
    paid,
    pay,
    release,
    sale,
    second,
)
from tests.unit.domain.showtime.world import contents

HOLD, BOOKING = id_of("hold"), id_of("booking")
FEE = OrderLine("fee", "service", "Service", 100, tax_minor=16)
CHILD: dict[str, Any] = {
    "types": ("adult", "child"),
    "taxes": (65, 33),
    "fees_minor": 100,
    "tax_minor": 114,
    "fees_tax_minor": 16,
    "lines": (FEE,),
    "promo_code": "TEN",
}
TWO = sale("A1 A2", 1000, 500, **CHILD)


def told(story: Story) -> HoldBooked | PaymentStarted:
    event = story.happened[-1]
    assert isinstance(event, HoldBooked | PaymentStarted)
    return event


def sold(event: HoldBooked | PaymentStarted) -> dict[str, Any]:
    return {name: getattr(event, name) for name in ("prices", *CHILD)}


def test_a_hold_without_a_quote_is_booked_for_what_its_seats_cost() -> None:
    story = given(hold("A1 B1")).when(book(), 1)
    event = told(story)
    assert (event.prices, event.types, event.taxes, event.lines) == ((1000, 1250), (), (), ())
    assert (event.fees_minor, event.tax_minor, event.promo_code) == (0, 0, "")


def test_a_hold_is_booked_for_what_its_quote_says() -> None:
    story = given(hold("A1 A2")).when(book(sale=TWO), 1)
    assert sold(told(story)) == {"prices": (1000, 500), **CHILD}
    assert TWO.total_minor == 1600
    assert unpack(story.state.bookings[BOOKING]).prices == (1000, 500)


@pytest.mark.parametrize(
    "changes",
    [
        {"book_version": 1},
        {"labels": ("A1",)},
        {"labels": ("A2", "A1")},
        {"prices": (1,)},
        {"prices": (1, 1, 1)},
        {"prices": (1, -1)},
        {"prices": (1, PRICE_LIMIT_MINOR + 1)},
        {"types": ("adult",)},
        {"taxes": (1,)},
        {"taxes": (-1, 1)},
        {"fees_minor": -1},
        {"tax_minor": -1},
        {"fees_tax_minor": -1},
    ],
)
@pytest.mark.parametrize("how", [book, pay])
def test_a_quote_that_is_not_for_the_hold_is_refused(changes: dict[str, Any], how: Any) -> None:
    story = given(hold("A1 A2"))
    story.when(how(sale=msgspec.structs.replace(TWO, **changes)), 1).then_refused("HOLD_CHANGED")
    story.when(how(sale=msgspec.structs.replace(TWO, types=(), taxes=())), 2)
    assert told(story).prices == (1000, 500)


def test_a_quote_for_seats_that_were_given_back_meanwhile_is_refused() -> None:
    story = given(hold("A1 A2"), release("A2"))
    story.when(book(sale=TWO), 1).then_refused("HOLD_CHANGED")


def test_what_costs_nothing_can_be_booked() -> None:
    story = given(hold("A1")).when(book(sale=sale("A1", 0)), 1)
    assert told(story).prices == (0,)


def test_a_pending_booking_remembers_what_is_not_in_its_prices() -> None:
    story = given(hold("A1 A2")).when(pay(sale=TWO), 1)
    event = told(story)
    assert isinstance(event, PaymentStarted)
    assert sold(event) == {"prices": (1000, 500), **CHILD}
    waiting = waiting_for(story.state.paying[HOLD])
    assert (waiting.booking_id, waiting.beside) == (BOOKING, (100, 114, 16))
    again = decode_snapshot(encode_snapshot(story.state, Surplus(story.state, START_US)))
    assert contents(again) == contents(story.state)
    story.when(paid(2), 2)
    booked = told(story)
    assert isinstance(booked, HoldBooked)
    assert booked.pending
    assert booked.prices == (1000, 500)
    assert (booked.fees_minor, booked.tax_minor, booked.fees_tax_minor) == (100, 114, 16)


@pytest.mark.parametrize("priced", [TWO, sale("A1 A2", 1000, 500)])
def test_a_late_payment_books_for_what_was_quoted(priced: Any) -> None:
    story = given(hold("A1 A2")).when(pay(sale=priced), 1)
    story.when(change_plan("rrrr", "pppp", "rr"), 1500)
    assert isinstance(story.happened[0], PaymentEnded)
    assert ended_as(story.state.ended[HOLD]).booking_id == BOOKING
    assert unpack(ended_as(story.state.ended[HOLD]).packed).seats == (0, 1)
    story.when(paid(2), 1501)
    booked = told(story)
    assert booked.prices == (1000, 500)
    assert (booked.fees_minor, booked.tax_minor) == (priced.fees_minor, priced.tax_minor)
    assert booked.fees_tax_minor == priced.fees_tax_minor


def test_a_reservation_that_moves_with_its_start_costs_the_same() -> None:
    story = given(hold("A1 A2")).when(pay(sale=TWO, before_start_s=60), 1)
    story.when(change_terms(starts_at_us=second(7260)), 2)
    waiting = waiting_for(story.state.paying[HOLD])
    assert waiting == AwaitedPayment(BOOKING, second(7200), 60, 100, 114, 16)


def test_what_waited_for_a_payment_before_there_were_fees_is_read() -> None:
    story = given(hold("A1"), pay())
    old = story.state.paying[HOLD][:28]
    assert waiting_for(old) == waiting_for(story.state.paying[HOLD])
    story.state.paying = {HOLD: old}
    story.when(paid(), 1)
    assert told(story).fees_minor == 0


@pytest.mark.parametrize("how", [book, pay])
def test_types_go_with_their_seats_to_another_plan(how: Any) -> None:
    story = given(hold("A1 A2")).when(how(sale=TWO), 1)
    moved = moved_event(told(story), (-1, 5, 0, 1, 2, 3, 4, 6))
    assert isinstance(moved, HoldBooked | PaymentStarted)
    assert (moved.seats, moved.prices) == ((5,), (500,))
    assert (moved.types, moved.taxes) == (("child",), (33,))
    plain = moved_event(msgspec.structs.replace(told(story), types=(), taxes=()), (-1,) * 8)
    assert isinstance(plain, HoldBooked | PaymentStarted)
    assert (plain.types, plain.taxes) == ((), ())
