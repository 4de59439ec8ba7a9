"""Who may use the control endpoint: whoever has the admin token."""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest
from math import inf
from typing import Final

from cinema.domain.accounts import ADMIN
from cinema.services.tokens import INVALID_TOKEN, InvalidToken, Principal

OPERATOR_ID: Final = bytes.fromhex("00000000000000000000000000000001")
"""Stands for all operators in log lines and idempotency keys: they share one token."""

OPERATOR: Final = Principal(OPERATOR_ID, ADMIN, OPERATOR_ID, inf)


class AdminToken:
    """Compares in constant time, whatever is given and however long it is."""

    def __init__(self, token: str) -> None:
        if not token:
            raise ValueError("an empty token would let everybody in")
        self._digest = _digest(token)

    def verify(self, given: str) -> Principal:
        """The operator, if the token is right; raises `InvalidToken`."""
        if not compare_digest(_digest(given), self._digest):
            raise InvalidToken(INVALID_TOKEN)
        return OPERATOR


def _digest(token: str) -> bytes:
    return sha256(token.encode(errors="surrogatepass")).digest()
