"""The codes of this feature's refusals."""

from __future__ import annotations

from typing import Final

from cinema.http.errors import ErrorKind

ERRORS: Final = {
    "INVALID_SIGNATURE": ErrorKind(400, "The body is not signed, or not with the right secret."),
    "PAYMENT_FAILED": ErrorKind(409, "The payment did not succeed. Try again, or pay another way."),
    "PAYMENT_DISPUTED": ErrorKind(
        409, "The customer's bank decides about this payment: until then nothing goes back."
    ),
    "REFUND_TOO_HIGH": ErrorKind(409, "Not so much is left of what was paid."),
    "REFUND_NOT_FAILED": ErrorKind(409, "This refund has not failed: it waits or has ended."),
    "REFUND_NOT_AT_COUNTER": ErrorKind(
        409, "This refund does not wait at the counter: it was paid out, or goes another way."
    ),
}
