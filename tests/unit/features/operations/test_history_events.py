"""Events as operators see them."""

from __future__ import annotations

from typing import Any

import pytest

from cinema.domain.showtime.events import (
    AnyEvent,
    BookingCancelled,
    HoldReleased,
    Offer,
    PlanChanged,
    SeatsChanged,
    WaitlistJoined,
    WaitlistLeft,
    encode_recorded,
)
from cinema.features.operations.history_events import event_shown, seat_change
from cinema.storage.journal.store import JournalRow
from tests.unit.domain.showtime.story import id_of, terms

PLAN = terms().plan
BOOKING, ANN = id_of("booking"), id_of("ann")
CHANGED = SeatsChanged(
    *(BOOKING, ANN, (0, 1), (1000, 1000), (1, 4), (1000, 1250), (1, 4), (1000, 1250), "EUR"),
    *((), (), (), id_of("payment"), "counter", 16),
)
CHEAPER = SeatsChanged(
    *(BOOKING, ANN, (4,), (1250,), (0,), (1000,), (0,), (1000,), "EUR"), refund_minor=250
)


def row(event: AnyEvent) -> JournalRow:
    return JournalRow(3, 1, 1_700_000_000_000_000, encode_recorded(b"c" * 16, b"", event))


@pytest.mark.parametrize(("refund_minor", "shown"), [(-1, 1000), (300, 300), (0, 0)])
def test_a_cancelled_booking_is_shown_with_what_goes_back(refund_minor: int, shown: int) -> None:
    event = BookingCancelled(BOOKING, ANN, (0,), (1000,), (1,), (1000,), refund_minor)
    made = event_shown(row(event), PLAN, "EUR")
    assert (made.seats, made.kept) == (["A1"], ["A2"])
    assert made.refund is not None
    assert made.refund.amount == shown


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (
            CHANGED,
            {"seats": ["A2", "B1"], "kept": ["A2", "B1"], "left": ["A1", "A2"], "total": 250},
        ),
        (CHEAPER, {"seats": ["A1"], "left": ["B1"], "total": 0, "refund": 250}),
    ],
)
def test_other_seats_of_a_booking_are_shown(event: AnyEvent, shown: dict[str, Any]) -> None:
    made = event_shown(row(event), PLAN, "EUR")
    for name, value in shown.items():
        found = getattr(made, name)
        assert (found.amount if name in {"total", "refund"} else found) == value
    assert made.booking_id is not None
    assert made.booking_id.bytes == BOOKING


def test_who_has_paid_for_a_change_is_shown() -> None:
    made = event_shown(row(CHANGED), PLAN, "EUR")
    assert (made.payment_method, made.payment_id is None) == ("counter", False)
    assert event_shown(row(CHEAPER), PLAN, "EUR").payment_id is None


OFFER = Offer(id_of("entry"), id_of("bob"), (0, 2), (1000, 1000), 9)
OFFERED = HoldReleased(id_of("hold"), ANN, (0, 1), (1000, 1000), (), (), 9, (OFFER,))


def test_who_waited_is_shown_with_the_seats_that_became_free() -> None:
    made = event_shown(row(OFFERED), PLAN, "EUR")
    (shown,) = made.offers
    assert (shown.hold_id.bytes, shown.customer_id.bytes) == (id_of("entry"), id_of("bob"))
    assert shown.seats == ["A1", "A3"]
    assert event_shown(row(CHANGED), PLAN, "EUR").offers == []


def test_offers_of_a_new_plan_name_no_seats_of_the_old_one() -> None:
    event = PlanChanged(1, 2, 3, (2, -1, 0), offers=(OFFER,))
    (shown,) = event_shown(row(event), PLAN, "EUR").offers
    assert shown.seats == []
    change = seat_change(row(event), event, 0)
    assert change is not None
    assert change.customer_id == shown.customer_id
    assert change.status == "held"


def test_a_seat_remembers_to_whom_it_was_offered() -> None:
    change = seat_change(row(OFFERED), OFFERED, 0)
    assert change is not None
    assert change.status == "held"
    assert change.hold_id is not None
    assert change.hold_id.bytes == id_of("entry")
    freed = seat_change(row(OFFERED), OFFERED, 1)
    assert freed is not None
    assert freed.status == "available"


@pytest.mark.parametrize(
    "event",
    [
        WaitlistJoined(id_of("entry"), ANN, 2, None, False, True, 1),
        WaitlistLeft(id_of("entry"), ANN),
    ],
)
def test_places_in_a_wait_list_are_shown(event: AnyEvent) -> None:
    made = event_shown(row(event), PLAN, "EUR")
    assert made.hold_id is not None
    assert made.hold_id.bytes == id_of("entry")
    assert made.seats == []


@pytest.mark.parametrize(("seat", "status"), [(0, "available"), (1, None), (4, "booked")])
def test_a_seat_remembers_that_tickets_came_and_went(seat: int, status: str | None) -> None:
    found = seat_change(row(CHANGED), CHANGED, seat)
    assert (found.status if found else None) == status
