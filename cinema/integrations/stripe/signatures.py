"""Signatures of webhooks: `Stripe-Signature: t=…,v1=…`, an HMAC over the time and the body.

The library has the same, but reads the clock itself and knows one secret only.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

HEADER: Final = "Stripe-Signature"
SCHEME: Final = "v1"

SIGNATURES_LIMIT: Final = 8
"""While a secret is rotated, Stripe sends one signature for each secret, which are two."""


def signed(body: bytes, secret: str, at_s: int) -> str:
    """The header of a body that is sent at `at_s`, seconds since 1970."""
    return f"t={at_s},{SCHEME}={_signature(body, secret, at_s)}"


def is_signed(
    body: bytes, header: str, secrets: Sequence[str], *, now_s: float, tolerance_s: int
) -> bool:
    """Whether one of the secrets has signed this body, not longer ago than `tolerance_s`.

    A time that lies as far ahead is refused too: nobody signs in the future.
    """
    at_s, signatures = _parts(header)
    if at_s is None or abs(now_s - at_s) > tolerance_s:
        return False
    expected = [_signature(body, secret, at_s) for secret in secrets]
    # Each is compared with each, so that the time says nothing about which one it was.
    matches = [hmac.compare_digest(own, given) for own in expected for given in signatures]
    return any(matches)


def _signature(body: bytes, secret: str, at_s: int) -> str:
    return hmac.new(secret.encode(), b"%d." % at_s + body, hashlib.sha256).hexdigest()


def _parts(header: str) -> tuple[int | None, list[str]]:
    """The time and the signatures of a header; signatures of other schemes do not count."""
    at_s: int | None = None
    signatures = []
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name == "t" and value.isascii() and value.isdigit() and len(value) < 16:
            at_s = int(value)
        elif name == SCHEME and value.isascii():
            signatures.append(value)
    return at_s, signatures[:SIGNATURES_LIMIT]
