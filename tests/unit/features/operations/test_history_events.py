"""Events as operators see them."""

from __future__ import annotations

from typing import Any

import pytest

from cinema.domain.showtime.events import (
    AnyEvent,
    BookingCancelled,
    SeatsChanged,
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


@pytest.mark.parametrize(("seat", "status"), [(0, "available"), (1, None), (4, "booked")])
def test_a_seat_remembers_that_tickets_came_and_went(seat: int, status: str | None) -> None:
    found = seat_change(row(CHANGED), CHANGED, seat)
    assert (found.status if found else None) == status
