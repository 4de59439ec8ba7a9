"""Challenges: the step of a login between the password and the code of the authenticator."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

CHALLENGE_S: Final = 300
"""How long a challenge is valid: enough time to find the phone."""

CHALLENGE_TRIES: Final = 5
"""Codes that may be tried with one challenge; the throttle of logins counts them too."""

CHALLENGES_KEPT: Final = 20
"""Open challenges of one account: more than somebody with the password but no code can begin
while the owner types theirs."""

TOKEN_BYTES: Final = 32


def new_challenge() -> str:
    """A token that nobody can guess."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def digest_of_challenge(token: str) -> bytes:
    """The digest that is stored instead of a token."""
    return hashlib.sha256(b"challenge:" + token.encode(errors="replace")).digest()
