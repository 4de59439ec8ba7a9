from __future__ import annotations

import pytest

from cinema.domain.seatmap import AVAILABLE, BLOCKED, BOOKED, HELD
from cinema.domain.showtime.changes import seat_changes
from cinema.domain.showtime.events import (
    AnyEvent,
    BookingCancelled,
    HoldBooked,
    HoldExpired,
    HoldExtended,
    HoldReleased,
    PlanChanged,
    SalesPaused,
    SalesResumed,
    SeatsBlocked,
    SeatsChanged,
    SeatsHeld,
    SeatsUnblocked,
)

HOLD, ANN = b"hold-id-16-bytes", b"customer-16-byte"


@pytest.mark.parametrize(
    ("event", "changes"),
    [
        (SeatsHeld(HOLD, ANN, (2, 1), (1, 1), 9), [(2, HELD), (1, HELD)]),
        (HoldExtended(HOLD, ANN, (2, 1), (1, 1), 9), []),
        (HoldReleased(HOLD, ANN, (2,), (1,), (1,), (1,), 9), [(2, AVAILABLE)]),
        (HoldExpired(HOLD, (2, 1)), [(2, AVAILABLE), (1, AVAILABLE)]),
        (HoldBooked(HOLD, ANN, (2,), (1,), HOLD, "C", HOLD, "demo", "EUR"), [(2, BOOKED)]),
        (BookingCancelled(HOLD, ANN, (2,), (1,), (1,), (1,)), [(2, AVAILABLE)]),
        (
            # The first ticket gets the seat of the second one.
            SeatsChanged(HOLD, ANN, (1, 2), (1, 1), (2, 3), (1, 1), (2, 3), (1, 1), "EUR"),
            [(1, AVAILABLE), (3, BOOKED)],
        ),
        (SeatsBlocked((2, 1)), [(2, BLOCKED), (1, BLOCKED)]),
        (SeatsUnblocked((2,)), [(2, AVAILABLE)]),
        (SalesPaused(), []),
        (SalesResumed(), []),
        (PlanChanged(1, 2, 2, (1, 0)), []),  # Watchers are told of a new plan, not of seats.
    ],
)
def test_an_event_says_which_seats_it_changes(
    event: AnyEvent, changes: list[tuple[int, int]]
) -> None:
    assert seat_changes(event) == changes
