"""The codes of this feature's refusals."""

from __future__ import annotations

from typing import Final

from cinema.http.errors import ErrorKind

ERRORS: Final = {
    "SEATS_AVAILABLE": ErrorKind(409, "There are such seats now: hold them."),
    "ALREADY_WAITING": ErrorKind(409, "You are on the wait list of this showtime already."),
    "WAITLIST_FULL": ErrorKind(409, "The wait list of this showtime is full."),
    "WAITLIST_CLOSED": ErrorKind(409, "The wait list of this showtime has ended."),
}
