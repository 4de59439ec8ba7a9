"""Whether a booking goes on after somebody has tried to cancel it."""

from __future__ import annotations

from typing import Any

import pytest

from cinema.actors.messages import OUTCOME_UNKNOWN, TRY_AGAIN, Accepted, Outcome, Unavailable
from cinema.domain.rejections import Rejection
from cinema.domain.showtime.events import BookingCancelled
from cinema.features.bookings.outcomes import goes_on

NOBODY: Any = None


def cancelled(*kept: int) -> Accepted:
    event = BookingCancelled(b"", b"", (1,), (1000,), kept, (1000,) * len(kept))
    return Accepted(event, 1, 1, 0, NOBODY)


@pytest.mark.parametrize(
    ("outcome", "without_key", "with_key"),
    [
        (cancelled(), False, False),
        (cancelled(2), True, True),
        (Rejection(code="SEAT_NOT_INCLUDED"), True, True),
        (TRY_AGAIN, True, False),
        (Unavailable(OUTCOME_UNKNOWN), False, False),
    ],
)
def test_a_booking_goes_on_only_if_nothing_else_can_come(
    outcome: Outcome, without_key: bool, with_key: bool
) -> None:
    assert goes_on(outcome, has_key=False) is without_key
    assert goes_on(outcome, has_key=True) is with_key
