"""The codes of this feature's refusals."""

from __future__ import annotations

from typing import Final

from cinema.http.errors import ErrorKind

ERRORS: Final = {
    "SCHEDULE_NOT_DONE": ErrorKind(409, "This plan is not done: it cannot be applied."),
    "SCHEDULE_CONFLICT": ErrorKind(
        409, "The calendar has changed since this plan was made: make a new one."
    ),
    "SCHEDULE_ENDED": ErrorKind(409, "This plan is no longer being made."),
    "SCHEDULE_LIMIT": ErrorKind(409, "Too many plans of this cinema wait to be made."),
}
