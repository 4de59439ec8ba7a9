"""The codes of this feature's refusals."""

from __future__ import annotations

from typing import Final

from cinema.http.errors import ErrorKind

ERRORS: Final = {
    "REVIEW_NOT_ALLOWED": ErrorKind(409, "You can review a film once you have seen it here."),
    "ALREADY_REVIEWED": ErrorKind(409, "You have reviewed this film: change that review."),
}
