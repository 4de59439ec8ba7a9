"""The codes of this feature's refusals."""

from __future__ import annotations

from typing import Final

from cinema.http.errors import ErrorKind

ERRORS: Final = {
    "TICKET_FORGED": ErrorKind(422, "This is not one of our tickets."),
    "TICKET_REVOKED": ErrorKind(
        409, "This ticket was issued again: only its latest code is let in."
    ),
    "TICKET_CANCELLED": ErrorKind(409, "This ticket was cancelled."),
    "TICKET_UNPAID": ErrorKind(409, "This booking is not paid: pay it first."),
    "TICKET_BLOCKED": ErrorKind(409, "This ticket is blocked: ask at the counter."),
    "WRONG_CINEMA": ErrorKind(409, "This ticket is for another cinema."),
    "WRONG_SHOWTIME": ErrorKind(409, "This ticket is for another showtime."),
    "TOO_EARLY": ErrorKind(409, "Nobody is let in to this showtime yet."),
    "TOO_LATE": ErrorKind(409, "This showtime is over."),
    "ALREADY_USED": ErrorKind(409, "Somebody was let in with this ticket already."),
    "TICKET_NOT_INSIDE": ErrorKind(409, "Nobody is inside with this ticket."),
    "TICKET_REISSUE_LIMIT": ErrorKind(409, "This ticket was issued again too often."),
}
