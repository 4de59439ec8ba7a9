"""The codes of this feature's refusals."""

from __future__ import annotations

from typing import Final

from cinema.http.errors import ErrorKind

ERRORS: Final = {
    "POINTS_UNUSABLE": ErrorKind(409, "You have no points that can pay this: pay another way."),
}
