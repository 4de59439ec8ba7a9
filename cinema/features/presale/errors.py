"""The codes of this feature's refusals."""

from __future__ import annotations

from typing import Final

from cinema.http.errors import ErrorKind

ERRORS: Final = {
    "PRESALE_CODE_REFUSED": ErrorKind(409, "This presale code does not let you hold seats now."),
}
