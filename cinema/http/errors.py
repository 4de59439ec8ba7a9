"""Error codes: status, default text and when to try again.

Here are those of any server of this kind; each feature declares its own (`errors.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec


class ErrorKind(msgspec.Struct, frozen=True):
    """The answer for one code; `retry_after_s` becomes the `Retry-After` header."""

    status: int
    message: str
    retry_after_s: int | None = None


ErrorTable = Mapping[str, ErrorKind]
"""The answer for each code that a server knows, in the order in which documents list them."""

OF_REQUESTS: Final = {
    "BAD_REQUEST": ErrorKind(400, "This is not a well-formed HTTP request."),
    "URI_TOO_LONG": ErrorKind(414, "The request line is too long."),
    "HEADERS_TOO_LARGE": ErrorKind(431, "A header of the request is too long."),
    "REQUEST_TIMEOUT": ErrorKind(408, "The request did not arrive in time."),
    "HTTPS_REQUIRED": ErrorKind(403, "Use https for this service."),
    "NOT_FOUND": ErrorKind(404, "There is nothing here, or it is not yours."),
    "METHOD_NOT_ALLOWED": ErrorKind(405, "This method is not allowed here."),
    "ORIGIN_NOT_ALLOWED": ErrorKind(403, "Pages of this origin may not connect."),
    "UNAUTHENTICATED": ErrorKind(401, "Sign in first: a valid access token is required."),
    "FORBIDDEN": ErrorKind(403, "Your role does not allow this."),
    "RATE_LIMITED": ErrorKind(429, "Too many requests; slow down.", retry_after_s=1),
    "UNSUPPORTED_MEDIA_TYPE": ErrorKind(415, "Send the body as application/json."),
    "NOT_ACCEPTABLE": ErrorKind(406, "This is not available in a form that you accept."),
    "PAYLOAD_TOO_LARGE": ErrorKind(413, "The body is larger than the server accepts."),
    "MALFORMED_JSON": ErrorKind(400, "The body is not valid JSON."),
    "VALIDATION_ERROR": ErrorKind(400, "The request does not have the expected form."),
    "PRECONDITION_REQUIRED": ErrorKind(428, "Send If-Match with the version that you read."),
    "PRECONDITION_FAILED": ErrorKind(412, "This has changed since you read it."),
    "IDEMPOTENCY_MISMATCH": ErrorKind(422, "This Idempotency-Key was used for another request."),
    "UNKNOWN_REFERENCE": ErrorKind(422, "The request names something that does not exist."),
    "IN_THE_FUTURE": ErrorKind(422, "That time or seq is in the future."),
    "NAME_TAKEN": ErrorKind(409, "The name is taken."),
}
"""What is wrong with a request, whatever it is about."""

OF_NOW: Final = {
    "INTERNAL": ErrorKind(500, "Something went wrong on our side."),
    "OVERLOADED": ErrorKind(503, "Too busy at the moment; nothing was changed.", retry_after_s=1),
    "RETRY": ErrorKind(503, "Not possible at the moment; nothing was changed.", retry_after_s=1),
    "OUTCOME_UNKNOWN": ErrorKind(
        503, "It is not known whether this was done: repeat it with the same key.", retry_after_s=2
    ),
}
"""What may go well another time."""


def error_table(of_features: Iterable[ErrorTable] = ()) -> ErrorTable:
    """One table of all codes; raises `ValueError` if two declare the same."""
    table: dict[str, ErrorKind] = {}
    for part in (OF_REQUESTS, *of_features, OF_NOW):
        if twice := table.keys() & part.keys():
            raise ValueError(f"declared twice: {', '.join(sorted(twice))}")
        table |= part
    return table
