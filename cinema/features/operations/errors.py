"""The codes of this feature's refusals."""

from __future__ import annotations

from typing import Final

from cinema.http.errors import ErrorKind

ERRORS: Final = {
    "SHOWTIME_WATCHED": ErrorKind(409, "Somebody watches this showtime: it stays in memory."),
    "HISTORY_TRUNCATED": ErrorKind(410, "The history does not reach back that far."),
    "NOT_READY": ErrorKind(503, "The server is not ready.", retry_after_s=1),
}
