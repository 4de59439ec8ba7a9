from __future__ import annotations

import msgspec
import pytest

from cinema.domain.showtime.events import BookingCancelled, HoldBooked, refund_of
from cinema.domain.showtime.packed import unpack
from tests.unit.domain.showtime.story import (
    START_US,
    book,
    cancel,
    given,
    hold,
    id_of,
    second,
)

ANN = id_of("ann")
BOOKING = id_of("booking")


def test_a_hold_is_booked_whole_at_the_prices_it_was_held_for() -> None:
    story = given(hold("A1 B1")).when(book(), 5)
    story.then(
        HoldBooked(
            hold_id=id_of("hold"),
            customer=ANN,
            seats=(0, 4),
            prices=(1000, 1250),
            booking_id=BOOKING,
            code="7KXQ2MPA",
            payment_id=id_of("payment of booking"),
            payment_method="demo",
            currency="EUR",
        )
    )
    assert story.drawn() == "b... b..."
    assert unpack(story.state.bookings[BOOKING])[1:3] == (second(5), second(5))


def test_a_hold_is_booked_once() -> None:
    story = given(hold("A1"), book())
    story.when(book(booking_id="second")).then_refused("HOLD_ENDED", status="booked")


def test_a_booked_seat_stays_booked_after_the_holds_deadline() -> None:
    story = given(hold("A1"), book())
    story.when(hold("A1", "late"), 10_000_000).then_refused("SALES_CLOSED", **_SALES)
    assert story.drawn() == "b... ...."


_SALES = {"opens_at": "2023-11-14T21:13:20Z", "closes_at": "2023-11-15T00:13:20Z"}


def test_a_cancelled_booking_frees_its_seats_and_ends() -> None:
    story = given(hold("A1 B1"), book()).when(cancel(), 5)
    story.then(BookingCancelled(BOOKING, ANN, (0, 4), (1000, 1250), (), ()))
    assert story.drawn() == ".... ...."
    story.when(cancel()).then_refused("BOOKING_ENDED")
    story.when(cancel(by=None)).then_refused("BOOKING_ENDED")


def test_a_booking_is_cancelled_in_part() -> None:
    story = given(hold("A1 B1 A2"), book()).when(cancel("A2 A1"), 5)
    story.then(BookingCancelled(BOOKING, ANN, (1, 0), (1000, 1000), (4,), (1250,)))
    assert story.drawn() == ".... b..."
    story.when(cancel("A1"), 6).then_refused("SEAT_NOT_INCLUDED", seats=["A1"])
    story.when(cancel("A1 B1"), 6).then_refused("SEAT_NOT_INCLUDED", seats=["A1"])
    story.when(cancel("B1"), 7).then(BookingCancelled(BOOKING, ANN, (4,), (1250,), (), ()))
    story.when(cancel("B1"), 8).then_refused("BOOKING_ENDED")


def test_only_seats_of_the_booking_can_be_cancelled_with_it() -> None:
    story = given(hold("A1"), book(), hold("A2", "other"), book("other", "another"))
    story.when(cancel("A1 A2")).then_refused("SEAT_NOT_INCLUDED", seats=["A2"])
    story.when(cancel("A1 A1")).then_refused("DUPLICATE_SEAT", seats=["A1"])
    story.when(cancel("Z1")).then_refused("UNKNOWN_SEAT", seats=["Z1"])
    assert story.drawn() == "bb.. ...."


def test_a_booking_of_somebody_else_is_not_found() -> None:
    story = given(hold("A1"), book())
    story.when(cancel(by="bob")).then_refused("NOT_FOUND")


@pytest.mark.parametrize(("at_s", "started"), [(7199.999999, False), (7200, True)])
def test_a_customer_cancels_only_before_the_start(at_s: float, started: bool) -> None:
    story = given(hold("A1"), book()).when(cancel(), at_s)
    if started:
        story.then_refused("SHOWTIME_STARTED")
    else:
        story.then(BookingCancelled(BOOKING, ANN, (0,), (1000,), (), ()))


def test_staff_cancel_for_anybody_and_after_the_start() -> None:
    story = given(hold("A1"), book()).when(cancel(by=None), 7300)
    story.then(BookingCancelled(BOOKING, ANN, (0,), (1000,), (), ()))


def test_a_seat_of_a_cancelled_booking_can_be_sold_again() -> None:
    story = given(hold("A1"), book(), cancel(), hold("A1", "next", by="bob"))
    story.when(book("next", "its booking", by="bob"))
    assert story.drawn() == "b... ...."
    assert list(story.state.bookings) == [id_of("its booking")]
    assert story.state.at_us == START_US


@pytest.mark.parametrize(
    ("labels", "more", "refund_minor"),
    [
        (None, {"refund_bp": 5_000}, 1625),
        ("A1", {"refund_bp": 5_000}, 500),
        ("B1", {"refund_bp": 1}, 0),
        ("B1", {"refund_bp": 3_333}, 417),
        ("B1", {"refund_bp": 0}, 0),
        # Fees go back with the last seat alone.
        ("A1", {"refund_bp": 5_000, "fees_minor": 70}, 500),
        (None, {"refund_bp": 5_000, "fees_minor": 70}, 1695),
        (None, {"refund_minor": 7}, 7),
        ("A1", {"refund_minor": 0, "fees_minor": 70}, 0),
        (None, {"refund_bp": 10_000}, 3250),
        (None, {"refund_bp": 10_000, "fees_minor": 70}, 3320),
        (None, {"refund_bp": 10_000, "fees_minor": 70, "products_minor": 50}, 3320),
    ],
)
def test_so_much_goes_back_as_the_command_says(
    labels: str | None, more: dict[str, int], refund_minor: int
) -> None:
    story = given(hold("A1 B1 A2"), book())
    story.when(msgspec.structs.replace(cancel(labels), **more), 5)
    cancelled = story.decision
    assert isinstance(cancelled, BookingCancelled)
    assert refund_of(cancelled) == refund_minor
    # As it always was, and so it reads in older journals.
    is_whole_price = refund_minor == sum(cancelled.cancelled_prices)
    assert (cancelled.refund_minor == -1) == is_whole_price


@pytest.mark.parametrize(
    ("labels", "more", "products_minor"),
    [
        (None, {}, 50),
        ("A1 B1", {}, 50),
        ("A1", {}, 0),
        # What somebody else has decided is for nothing in particular.
        (None, {"refund_minor": 7}, 0),
    ],
)
def test_products_go_back_with_the_last_seat(
    labels: str | None, more: dict[str, int], products_minor: int
) -> None:
    command = msgspec.structs.replace(cancel(labels), fees_minor=70, products_minor=50, **more)
    cancelled = given(hold("A1 B1"), book()).when(command, 5).decision
    assert isinstance(cancelled, BookingCancelled)
    assert cancelled.products_minor == products_minor
