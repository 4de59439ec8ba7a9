"""The codes of this feature's refusals."""

from __future__ import annotations

from typing import Final

from cinema.http.errors import ErrorKind

ERRORS: Final = {
    "UNKNOWN_PAYMENT_METHOD": ErrorKind(422, "This payment method is not accepted here."),
}
