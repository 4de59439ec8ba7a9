"""The codes of this feature's refusals."""

from __future__ import annotations

from typing import Final

from cinema.http.errors import ErrorKind

ERRORS: Final = {
    "UNKNOWN_PRODUCT": ErrorKind(422, "A product is not sold at this cinema, or not now."),
    "ALREADY_PICKED_UP": ErrorKind(409, "This was handed out already."),
    "PRODUCT_LIMIT": ErrorKind(409, "This cinema has as many products as it may have."),
}
