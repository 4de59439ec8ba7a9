"""Challenges: between the password of a login and the code of its authenticator."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

CHALLENGE_S: Final = 300
"""Long enough to find the phone."""

CHALLENGE_TRIES: Final = 5
"""Codes that one challenge takes; logins are counted besides."""

CHALLENGES_KEPT: Final = 20
"""Of one account. More than one who knows the password, but has no code, begins while the owner
types."""

TOKEN_BYTES: Final = 32


def new_challenge() -> str:
    """A token that nobody can guess."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def digest_of_challenge(token: str) -> bytes:
    """What is stored of a token."""
    return hashlib.sha256(b"challenge:" + token.encode(errors="replace")).digest()
