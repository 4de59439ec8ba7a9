"""The codes of this feature's refusals."""

from __future__ import annotations

from typing import Final

from cinema.http.errors import ErrorKind

ERRORS: Final = {
    "JOB_NOT_FAILED": ErrorKind(409, "This job was not given up, or another one does its work."),
}
