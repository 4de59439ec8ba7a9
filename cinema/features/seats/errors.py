"""The codes of this feature's refusals."""

from __future__ import annotations

from typing import Final

from cinema.http.errors import ErrorKind

ERRORS: Final = {
    "UNKNOWN_SEAT": ErrorKind(422, "This screen has no such seat."),
    "DUPLICATE_SEAT": ErrorKind(422, "A seat is named twice."),
    "UNKNOWN_CATEGORY": ErrorKind(422, "This screen has no such category of seats."),
    "HOLD_ENDED": ErrorKind(409, "This hold has ended."),
    "PAYMENT_IN_PROGRESS": ErrorKind(409, "A payment for this hold is under way."),
    "SEAT_NOT_INCLUDED": ErrorKind(
        409, "A seat is not, or no longer, part of this hold or booking."
    ),
    "SALES_CLOSED": ErrorKind(409, "This showtime is not on sale now."),
    "SALES_PAUSED": ErrorKind(409, "Sales of this showtime are paused."),
    "HOLD_LIMIT": ErrorKind(409, "The limit for holds is reached."),
    "CHANNEL_SOLD_OUT": ErrorKind(409, "The other seats are kept for other channels of sale."),
    "SEAT_UNAVAILABLE": ErrorKind(409, "Someone else was faster: a seat is not available."),
    "NOT_ENOUGH_SEATS": ErrorKind(409, "There are not enough free seats of that kind."),
    "COMPANION_ONLY": ErrorKind(409, "A companion seat can be taken only with an accessible seat."),
    "ORPHAN_SEAT": ErrorKind(409, "This choice would leave a single seat alone."),
}
