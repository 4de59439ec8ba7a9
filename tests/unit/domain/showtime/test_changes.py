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
    Offer,
    PaymentEnded,
    PaymentReturned,
    PlanChanged,
    SalesPaused,
    SalesResumed,
    SeatsBlocked,
    SeatsChanged,
    SeatsHeld,
    SeatsUnblocked,
    ShowtimeCancelled,
)

HOLD, ANN = b"hold-id-16-bytes", b"customer-16-byte"

OFFERS = (Offer(HOLD, ANN, (2, 3), (1, 1), 9),)
"""One seat that was free before, and one that an event may free."""


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
        (HoldReleased(HOLD, ANN, (1, 2), (1, 1), (), (), 9, OFFERS), [(1, AVAILABLE), (3, HELD)]),
        (HoldExpired(HOLD, (1, 2), OFFERS), [(1, AVAILABLE), (3, HELD)]),
        (PaymentEnded(HOLD, ANN, (2,), (1,), HOLD, True, OFFERS), [(3, HELD)]),
        (PaymentReturned(HOLD, ANN, (2,), (1,), HOLD, True, False, OFFERS), [(3, HELD)]),
        (PaymentReturned(HOLD, ANN, (2,), (1,), HOLD, waited=False), []),
        (
            BookingCancelled(HOLD, ANN, (1, 2), (1, 1), (), (), offers=OFFERS),
            [(1, AVAILABLE), (2, HELD), (3, HELD)],
        ),
        (SeatsUnblocked((1, 2), OFFERS), [(1, AVAILABLE), (2, HELD), (3, HELD)]),
        (
            SeatsChanged(*(HOLD, ANN, (2,), (1,), (4,), (1,), (4,), (1,), "EUR"), offers=OFFERS),
            [(2, HELD), (3, HELD), (4, BOOKED)],
        ),
        (SalesResumed(OFFERS), [(2, HELD), (3, HELD)]),
        (PlanChanged(1, 2, 2, (1, 0), offers=OFFERS), []),
        (ShowtimeCancelled(2, "ill", (HOLD,), (2,), 0, b""), [(2, AVAILABLE)]),
        (SalesPaused(), []),
        (SalesResumed(), []),
        (PlanChanged(1, 2, 2, (1, 0)), []),  # Watchers are told of a new plan, not of seats.
    ],
)
def test_an_event_says_which_seats_it_changes(
    event: AnyEvent, changes: list[tuple[int, int]]
) -> None:
    assert seat_changes(event) == changes
