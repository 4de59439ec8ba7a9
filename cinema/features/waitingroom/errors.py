"""The codes of this feature's refusals."""

from __future__ import annotations

from typing import Final

from cinema.http.errors import ErrorKind

ERRORS: Final = {
    "PROOF_REQUIRED": ErrorKind(422, "Show the proof of work that this waiting room asks for."),
    "QUEUE_REQUIRED": ErrorKind(
        409, "Many want seats of this showtime: get a place in its waiting room first."
    ),
    "QUEUE_CLOSED": ErrorKind(409, "This showtime has no waiting room now: hold seats."),
    "QUEUE_FULL": ErrorKind(409, "This waiting room has no more places."),
    "QUEUE_NOT_YET": ErrorKind(409, "It is not your turn yet: look again later."),
    "QUEUE_PLACE_ENDED": ErrorKind(409, "This place was used or has ended: get another one."),
}
