"""The codes of this feature's refusals."""

from __future__ import annotations

from typing import Final

from cinema.http.errors import ErrorKind

ERRORS: Final = {
    "SHOWTIME_STARTED": ErrorKind(409, "The showtime has started."),
    "PLAN_IN_USE": ErrorKind(409, "Seats that would change are taken."),
    "SHOWTIME_CANCELLED": ErrorKind(409, "This showtime was cancelled."),
    "SHOWTIME_IN_USE": ErrorKind(409, "Seats of this showtime are held or booked."),
    "SCREEN_OCCUPIED": ErrorKind(409, "Another showtime is on this screen at that time."),
}
