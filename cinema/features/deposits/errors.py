"""The codes of this feature's refusals."""

from __future__ import annotations

from typing import Final

from cinema.http.errors import ErrorKind

ERRORS: Final = {
    "DEPOSIT_NOT_TAKEN": ErrorKind(409, "No deposit can be taken for this booking."),
}
