"""The codes of this feature's refusals."""

from __future__ import annotations

from typing import Final

from cinema.http.errors import ErrorKind

ERRORS: Final = {
    "CASH_SESSION_REQUIRED": ErrorKind(
        409, "Open a cash session at this cinema first: the money goes into it."
    ),
    "CASH_SESSION_OPEN": ErrorKind(409, "A cash session is still open: close it first."),
    "CASH_SESSION_CLOSED": ErrorKind(409, "This cash session is closed: open another one."),
    "NOT_ENOUGH_CASH": ErrorKind(409, "There is less cash in this drawer."),
    "BUSINESS_DAY_CLOSED": ErrorKind(409, "This business day is closed: its report stays."),
    "EARLIER_DAY_OPEN": ErrorKind(409, "An earlier business day is not closed: close it first."),
}
