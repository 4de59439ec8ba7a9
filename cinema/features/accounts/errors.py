"""The codes of this feature's refusals."""

from __future__ import annotations

from typing import Final

from cinema.http.errors import ErrorKind

ERRORS: Final = {
    "CSRF_HEADER_REQUIRED": ErrorKind(403, "Send the header X-Requested-With with this cookie."),
    "INVALID_CREDENTIALS": ErrorKind(401, "The e-mail address or the password is wrong."),
    "MFA_REQUIRED": ErrorKind(401, "Send the code of your authenticator as well."),
    "EMAIL_TAKEN": ErrorKind(409, "An account with this e-mail address exists already."),
    "EMAIL_NOT_VERIFIED": ErrorKind(409, "Verify your e-mail address first."),
    "GUEST_HAS_EMAIL": ErrorKind(409, "This guest has booked with another e-mail address."),
    "BOOKING_AHEAD": ErrorKind(409, "You have a coming booking: cancel it first."),
    "MFA_ALREADY_ON": ErrorKind(409, "This account has an authenticator already."),
    "MFA_NOT_ON": ErrorKind(409, "This account has no authenticator."),
    "GUEST_ENDED": ErrorKind(410, "This guest has ended, or an account has claimed it."),
}
