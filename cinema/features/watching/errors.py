"""The codes of this feature's refusals."""

from __future__ import annotations

from typing import Final

from cinema.http.errors import ErrorKind

ERRORS: Final = {
    "UPGRADE_REQUIRED": ErrorKind(426, "This address speaks WebSocket."),
}
