"""The codes of this feature's refusals."""

from __future__ import annotations

from typing import Final

from cinema.http.errors import ErrorKind

ERRORS: Final = {
    "EVENTS_FORGOTTEN": ErrorKind(410, "Events behind this position were deleted: begin with 0."),
}
