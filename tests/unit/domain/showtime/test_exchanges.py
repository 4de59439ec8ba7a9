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
    terms,
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


def test_seats_that_staff_have_held_become_the_customers_whose_booking_it_is() -> None:
    story = given(hold("A1 B1", by="clerk"))
    story.when(pay(by="clerk", payment_method="exchange", for_exchange=True, for_customer=ANN), 5)
    assert isinstance(story.decision, PaymentStarted)
    assert story.decision.customer == ANN
    assert unpack(story.state.holds[id_of("hold")]).customer == ANN
    story.when(paid(0, by="clerk")).then_refused("NOT_FOUND")
    story.when(paid(0))
    assert isinstance(story.decision, HoldBooked)
    assert story.decision.customer == ANN


def test_nobody_but_who_has_held_them_gives_seats_to_a_customer() -> None:
    command = pay(by="bob", payment_method="exchange", for_exchange=True, for_customer=ANN)
    given(hold("A1", by="clerk")).when(command).then_refused("NOT_FOUND")


@pytest.mark.parametrize("others", [0, 30])
def test_a_hold_that_is_given_to_a_customer_counts_as_theirs(others: int) -> None:
    """Whether each hold is looked at, or counts are kept because there are many."""
    clerk = id_of("clerk")
    its_terms = terms("r" * (others + 8), live_holds_per_customer=1)
    story = given(its_terms=its_terms)
    for place in range(others):
        story.when(hold(f"A{place + 1}", hold_id=f"other {place}", by=f"other {place}"))
    story.when(hold(f"A{others + 1} A{others + 2}", by="clerk"))
    assert (story.state.live_holds_of(clerk), story.state.live_holds_of(ANN)) == (1, 0)
    story.state.unpaid = {clerk: 2}
    story.when(pay(by="clerk", payment_method="exchange", for_exchange=True, for_customer=ANN))
    assert (story.state.live_holds_of(clerk), story.state.live_holds_of(ANN)) == (0, 1)
    assert story.state.unpaid == {ANN: 2}
    story.when(hold(f"A{others + 4}", hold_id="next", by="clerk"))
    assert story.drawn() == "h" * (others + 2) + "." + "h" + "." * 4
    story.when(hold(f"A{others + 6}", hold_id="too many")).then_refused(
        "HOLD_LIMIT", limit="live_holds_per_customer", value=1
    )
    story.when(paid(0))
    assert (story.state.live_holds_of(clerk), story.state.live_holds_of(ANN)) == (1, 0)
    assert story.state.unpaid == {clerk: 1}
