"""The codes of this feature's refusals."""

from __future__ import annotations

from typing import Final

from cinema.http.errors import ErrorKind

ERRORS: Final = {
    "MESSAGE_NOT_DEAD": ErrorKind(409, "This message was not given up: it waits or has ended."),
    "INVALID_LINK": ErrorKind(410, "This link is no longer valid: ask for a new one."),
}
