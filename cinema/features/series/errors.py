"""The codes of this feature's refusals."""

from __future__ import annotations

from typing import Final

from cinema.http.errors import ErrorKind

ERRORS: Final = {
    "SERIES_ENDED": ErrorKind(409, "This series was not booked: nothing of it is held."),
}
