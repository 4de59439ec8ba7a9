"""The codes of this feature's refusals."""

from __future__ import annotations

from typing import Final

from cinema.http.errors import ErrorKind

ERRORS: Final = {
    "INVOICE_NOT_READY": ErrorKind(
        409, "The invoice is being made: ask again in a few seconds, within a minute it is there."
    ),
}
