"""How webhooks are signed, when they are tried again, and which addresses are none. Pure.

Headers and signatures are those of Standard Webhooks (https://www.standardwebhooks.com).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

SECRET_PREFIX: Final = "whsec_"  # noqa: S105  (what secrets begin with)
SECRET_BYTES: Final = 32

BOTH_SIGN: Final = timedelta(hours=24)
"""For how long the former secret signs too, after it was replaced."""

FIRST_BACKOFF_S: Final = 10.0
BACKOFF_FACTOR: Final = 3.0
BACKOFF_LIMIT_S: Final = 6 * 3600.0
"""After the n-th failure a delivery waits 10 s · 3ⁿ⁻¹, up to six hours."""

JITTER: Final = 0.2
"""The share by which a wait may be shorter or longer."""

REST_LIMIT_S: Final = 300.0
"""A receiver that fails is left alone for 5 s, then twice as long each time, up to this. Then one
delivery tries whether it is back."""

DISABLED_AFTER: Final = timedelta(days=5)
"""A receiver that has taken nothing for so long is sent nothing more."""

GIVEN_UP_AFTER: Final = timedelta(days=6)
"""An event that a receiver does not take, although it takes others, is given up: what comes after
it of its booking must not wait for ever. Later than the receiver itself, so that one that was away
is sent all."""

GONE: Final = 410
"""The status by which a receiver says that it wants nothing more."""


def shown_secret(secret: bytes) -> str:
    """A secret as receivers write it into their settings."""
    return SECRET_PREFIX + base64.b64encode(secret).decode()


def signed_headers(
    message_id: str, at: datetime, body: bytes, secrets: Sequence[bytes]
) -> dict[str, str]:
    """The headers of a body that is sent at a moment, signed with each secret."""
    at_s = int(at.timestamp())
    content = b"%s.%d." % (message_id.encode(), at_s) + body
    signatures = (hmac.digest(secret, content, hashlib.sha256) for secret in secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(
            "v1," + base64.b64encode(signature).decode() for signature in signatures
        ),
    }


def backoff_s(failures: int, luck: float) -> float:
    """How long a delivery waits after so many failures (at least one); `luck` is from 0 to 1."""
    waited = min(BACKOFF_LIMIT_S, FIRST_BACKOFF_S * BACKOFF_FACTOR ** min(failures - 1, 20))
    return waited * (1 + JITTER * (2 * luck - 1))


def problem_of_url(url: str, *, plain: bool) -> str | None:
    """Why nothing can be sent there; None if it can. `plain` allows http:// too."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "This is not an address."
    if any(one.isspace() or not one.isprintable() for one in url) or "\\" in url:
        return "An address has no spaces."
    if parts.scheme != "https" and not (plain and parts.scheme == "http"):
        return "The address has to begin with https://."
    if not parts.hostname or port == 0:
        return "The address names no host."
    if parts.username is not None or parts.password is not None:
        return "The address must have no user and no password: events are signed."
    if parts.fragment:
        return "The address must have no fragment."
    return None
