"""Failures of calls, and the exit code of each."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

FAILED: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
NOT_ALLOWED: Final = 4
UNREACHABLE: Final = 5

_CODES: Final = {
    HTTPStatus.NOT_FOUND: NOT_FOUND,
    HTTPStatus.UNAUTHORIZED: NOT_ALLOWED,
    HTTPStatus.FORBIDDEN: NOT_ALLOWED,
}
_NO_SUCH: Final = frozenset({"UNKNOWN_SEAT"})
"""Codes that mean "there is no such thing", with any status."""


class Failure(Exception):
    """Why the command failed; `exit_code` for scripts."""

    def __init__(
        self, code: str, message: str, exit_code: int, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.exit_code = exit_code
        self.details = dict(details or {})


def refused(status: int, code: str, message: str, details: Mapping[str, Any]) -> Failure:
    """The server answered with a refusal."""
    if status == HTTPStatus.UNAUTHORIZED:
        message = "The server does not know this token: see CONTROL_TOKEN, or --data-dir."
        if details.get("reason") == "TOKEN_EXPIRED":
            message = "The clocks of this machine and of the server differ by more than a minute."
    exit_code = NOT_FOUND if code in _NO_SUCH else _CODES.get(HTTPStatus(status), FAILED)
    return Failure(code, message, exit_code, details)


def unreachable(url: str, reason: str) -> Failure:
    """No server has answered."""
    return Failure("UNREACHABLE", f"No control endpoint answers at {url}: {reason}.", UNREACHABLE)
