"""The codes of this feature's refusals."""

from __future__ import annotations

from typing import Final

from cinema.http.errors import ErrorKind

ERRORS: Final = {
    "HOLD_CHANGED": ErrorKind(409, "This hold has changed while it was being booked: try again."),
    "BOOKING_CHANGED": ErrorKind(
        409, "This booking has changed while its seats were being changed: try again."
    ),
    "PRODUCTS_IN_BOOKING": ErrorKind(
        409, "This booking has products: have them handed out first, or cancel it and book anew."
    ),
    "EXCHANGE_ENDED": ErrorKind(
        409, "This exchange was given up meanwhile: hold the new seats and begin again."
    ),
    "PAYMENT_REQUIRED": ErrorKind(
        409, "The new seats cost more: name a method that pays the difference at once."
    ),
    "BOOKING_ENDED": ErrorKind(409, "This booking has ended."),
    "NO_EMAIL_ADDRESS": ErrorKind(409, "There is no address of this customer to write to."),
    "INVOICE_ISSUED": ErrorKind(409, "The invoice is issued: it does not change any more."),
}
