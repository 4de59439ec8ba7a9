"""Bookings that are given up for seats of another showtime: what each of both showtimes decides."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cinema.domain.limits import EXCHANGE_GRACE_S
from cinema.domain.showtime.commands import CancelBooking
from cinema.domain.showtime.events import BookingCancelled, HoldBooked, PaymentStarted
from cinema.domain.showtime.packed import unpack
from tests.unit.domain.showtime.story import (
    abandon,
    book,
    cancel,
    given,
    hold,
    id_of,
    paid,
    pay,
    second,
)

ANN, BOOKING, EXCHANGE = id_of("ann"), id_of("booking"), id_of("exchange")
SEEN = (("A1", 1000), ("B1", 1250))


def give_up(labels: str | None = None, by: str | None = "ann", **changes: Any) -> CancelBooking:
    usual = {"exchange_id": EXCHANGE, "carried_minor": 2000, "seen": SEEN, "refund_minor": 2250}
    return msgspec.structs.replace(cancel(labels, by=by), **(usual | changes))


def test_all_seats_of_a_booking_are_given_up_for_others() -> None:
    story = given(hold("A1 B1"), book()).when(give_up(), 5)
    story.then(
        BookingCancelled(
            *(BOOKING, ANN, (0, 4), (1000, 1250), (), (), -1),
            exchange_id=EXCHANGE,
            carried_minor=2000,
        )
    )
    assert story.drawn() == ".... ...."
    story.when(give_up(exchange_id=id_of("another"))).then_refused("BOOKING_ENDED")


@pytest.mark.parametrize(
    "changes",
    [
        {"seen": (("A1", 1000),)},
        {"seen": (("A1", 1000), ("B1", 1251))},
        {"seen": ()},
        {"labels": "A1 B1"},
    ],
)
def test_a_booking_that_is_not_as_it_was_seen_is_kept(changes: dict[str, Any]) -> None:
    """Nor is a part of one exchanged: what it is worth was worked out for all of it."""
    story = given(hold("A1 B1"), book()).when(give_up(**changes))
    story.then_refused("BOOKING_CHANGED")
    assert story.drawn() == "b... b..."


def test_the_order_of_a_booking_seen_does_not_matter() -> None:
    story = given(hold("A1 B1"), book()).when(give_up(seen=tuple(reversed(SEEN))))
    assert isinstance(story.decision, BookingCancelled)


def test_customers_exchange_before_the_start_and_staff_also_later() -> None:
    story = given(hold("A1 B1"), book())
    story.when(give_up(), 7200).then_refused("SHOWTIME_STARTED")
    story.when(give_up(by="bob"), 7200).then_refused("NOT_FOUND")
    story.when(give_up(by=None), 7300)
    assert isinstance(story.decision, BookingCancelled)


def test_a_hold_that_is_paid_by_other_seats_is_not_ended_by_the_clock() -> None:
    """Not before everybody has had days to ask whether it was paid."""
    story = given(hold("A1")).when(pay(payment_method="exchange", for_exchange=True), 5)
    assert isinstance(story.decision, PaymentStarted)
    assert story.decision.pay_until_us == second(605)
    until_us = unpack(story.state.holds[id_of("hold")]).expires_at_us
    assert until_us == second(605 + EXCHANGE_GRACE_S)
    story.when(abandon(expired=False), 600)
    assert story.drawn() == ".... ...."


def test_the_new_seats_are_booked_as_soon_as_the_old_ones_are_given_up() -> None:
    story = given(hold("A1"), pay(payment_method="exchange", for_exchange=True))
    # Long after it should have been paid, and also behind the start.
    story.when(paid(0), 20_000)
    assert isinstance(story.decision, HoldBooked)
    assert story.drawn() == "b... ...."
