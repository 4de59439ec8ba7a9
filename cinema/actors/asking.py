"""Commands and outcomes in the form that callers of a showtime need."""

from __future__ import annotations

import secrets
from typing import Final

from cinema.actors.messages import NoShowtime, Outcome, Unavailable
from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.rejections import Rejection

NOT_FOUND: Final = Rejection(code="NOT_FOUND")
_INTERNAL: Final = Rejection(code="INTERNAL")


def refusal_of(outcome: Outcome) -> Rejection:
    """The refusal in an outcome that is not the expected answer."""
    match outcome:
        case Rejection():
            return outcome
        case Unavailable(code, retry_after_s):
            if code == _INTERNAL.code:
                return _INTERNAL
            return Rejection(code=code, details={"retry_after_s": retry_after_s})
        case NoShowtime():
            return NOT_FOUND
        case _:
            raise TypeError(f"{type(outcome).__name__} is not an answer to this request")


def command_key(key: IdempotencyKey | None) -> tuple[bytes, bytes]:
    """The id and the fingerprint of a command; without a key an id that nobody repeats."""
    if key is None:
        return secrets.token_bytes(16), b""
    return key.digest, key.fingerprint
