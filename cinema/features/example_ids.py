"""Ids that all examples of the documentation share, so that the examples fit together."""

from __future__ import annotations

from typing import Final

USER_ID: Final = "019a0c1e-7000-7000-8000-0000000000a1"
MOVIE_ID: Final = "019a0c1e-7000-7000-8000-0000000000b1"
CINEMA_ID: Final = "019a0c1e-7000-7000-8000-0000000000c1"
SCREEN_ID: Final = "019a0c1e-7000-7000-8000-0000000000d1"
SHOWTIME_ID: Final = "019a0c1e-7000-7000-8000-0000000000e1"
HOLD_ID: Final = "019a0c1e-7000-7000-8000-0000000000f1"
BOOKING_ID: Final = "019a0c1e-7000-7000-8000-0000000000a2"
PAYMENT_ID: Final = "019a0c1e-7000-7000-8000-0000000000a3"
MESSAGE_ID: Final = "019a0c1e-7000-7000-8000-0000000000a4"
