"""The codes of this feature's refusals."""

from __future__ import annotations

from typing import Final

from cinema.http.errors import ErrorKind

ERRORS: Final = {
    "UNKNOWN_TICKET_TYPE": ErrorKind(422, "This cinema has no such ticket type."),
    "TICKETS_NOT_ALLOWED": ErrorKind(422, "These tickets cannot be booked together."),
    "UNKNOWN_PROMO_CODE": ErrorKind(422, "There is no such promo code for this showtime now."),
    "PROMO_NOT_APPLICABLE": ErrorKind(422, "This promo code takes nothing off these tickets."),
    "PRICE_RULE_LIMIT": ErrorKind(409, "This cinema has as many price rules as it may have."),
}
