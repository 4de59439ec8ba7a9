"""Challenges: the step of a login between the password and the code of the authenticator."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

CHALLENGE_S: Final = 300
"""How long a challenge is valid: enough time to find the phone."""

CHALLENGE_TRIES: Final = 5
"""Codes that may be tried with one challenge; the throttle of logins counts them too."""

CHALLENGES_PER_ADDRESS: Final = 10
"""Challenges of one account that an address may begin while the first of them is valid. Otherwise
somebody with the password but no code could begin so many that the owner's would be gone."""

CHALLENGES_KEPT: Final = 100
"""Open challenges of one account: those of ten addresses."""

TOKEN_BYTES: Final = 32


def new_challenge() -> str:
    """A token that nobody can guess."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def digest_of_challenge(token: str) -> bytes:
    """The digest that is stored instead of a token."""
    return hashlib.sha256(b"challenge:" + token.encode(errors="replace")).digest()
