"""The codes of this feature's refusals."""

from __future__ import annotations

from typing import Final

from cinema.http.errors import ErrorKind

ERRORS: Final = {
    "UNKNOWN_GIFT_CARD": ErrorKind(
        422, "There is no gift card with this code: look at each character again."
    ),
    "GIFT_CARD_UNUSABLE": ErrorKind(409, "This gift card cannot pay this: pay another way."),
    "GIFT_CARD_NOT_RETURNABLE": ErrorKind(
        409, "This gift card cannot be given back: it was used, or the time for that is over."
    ),
}
