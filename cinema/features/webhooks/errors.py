"""The codes of this feature's refusals."""

from __future__ import annotations

from typing import Final

from cinema.http.errors import ErrorKind

ERRORS: Final = {
    "WEBHOOK_URL_REFUSED": ErrorKind(422, "Events cannot be sent to this address."),
    "WEBHOOK_LIMIT": ErrorKind(409, "There are as many webhooks as there may be."),
    "DELIVERY_WAITS": ErrorKind(409, "This event is not sent yet: it waits to be."),
}
