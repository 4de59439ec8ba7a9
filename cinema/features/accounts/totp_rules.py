"""Codes of an authenticator (TOTP, RFC 6238) and recovery codes. Pure except for new secrets."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final
from urllib.parse import quote, urlencode

STEP_S: Final = 30
DIGITS: Final = 6
STEPS_AROUND: Final = 1
"""Steps before and after the present one whose codes count: clocks differ, typing takes time."""

SECRET_BYTES: Final = 20
"""Size of the key that authenticators share with us, as RFC 4226 recommends."""

RECOVERY_CODES: Final = 10
RECOVERY_BYTES: Final = 15
"""Size of a recovery code: 120 random bits, so that a fast digest without a salt is enough."""

REPLACEMENT_S: Final = 900
"""How long the secret of another authenticator waits for its first code. The authenticator before
stays valid meanwhile. This is long enough to set up a phone."""

ISSUER: Final = "cinema"


def new_secret() -> bytes:
    """A key for an authenticator."""
    return secrets.token_bytes(SECRET_BYTES)


def new_recovery_codes() -> list[str]:
    """Codes to use if the authenticator is lost, each once."""
    return [
        base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode()
        for _ in range(RECOVERY_CODES)
    ]


def shown_secret(secret: bytes) -> str:
    """A key as people type it into an authenticator."""
    return base64.b32encode(secret).decode()


def address_of(secret: bytes, account: str) -> str:
    """What a QR code tells an authenticator (the Key URI Format)."""
    label = quote(f"{ISSUER}:{account}")
    given = urlencode({"secret": shown_secret(secret), "issuer": ISSUER})
    return f"otpauth://totp/{label}?{given}"


def code_at(secret: bytes, step: int) -> str:
    """The code of a step (RFC 4226, section 5.3, with the time step as the counter)."""
    mac = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = mac[-1] & 0xF
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def matching_step(secret: bytes, code: str, *, now_s: float, after: int) -> int | None:
    """The step of this code; None if the code is wrong, or of a step up to `after`.

    A code counts once, so `after` is the step of the code that was used last.
    """
    plain = _plain(code).encode(errors="replace")
    present = int(now_s) // STEP_S
    found = None
    for step in range(present - STEPS_AROUND, present + STEPS_AROUND + 1):
        # All are compared, so that the time reveals nothing.
        if hmac.compare_digest(code_at(secret, step).encode(), plain):
            found = step
    return found if found is not None and found > after else None


def recovery_digest(code: str) -> bytes:
    """The digest of a recovery code, the same for each case and grouping in which it is typed."""
    return hashlib.sha256(_plain(code).upper().encode(errors="replace")).digest()


def is_recovery_code(code: str) -> bool:
    """Whether this cannot be a code of an authenticator."""
    return len(_plain(code)) > DIGITS


def _plain(code: str) -> str:
    """A code without the spaces and hyphens of its groups: authenticators show "287 082"."""
    return "".join(code.split()).replace("-", "")
