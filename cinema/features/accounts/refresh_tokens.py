"""Refresh tokens: a session's id, a secret of 32 bytes, and a proof that this server made it."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from typing import Final

import msgspec

from cinema.features.accounts.signing_keys import SigningKey, SigningKeys

ID_BYTES: Final = 16
SECRET_BYTES: Final = 32
PROOF_BYTES: Final = 16
TOKEN_CHARS: Final = -(-(ID_BYTES + SECRET_BYTES + PROOF_BYTES) * 4 // 3)

_PROOF: Final = b"cinema refresh token: proof"
_SUCCESSOR: Final = b"cinema refresh token: successor"


class Presented(msgspec.Struct, frozen=True):
    """A token that was made here, whether or not it is still valid."""

    session_id: bytes
    secret: bytes


class RefreshTokens:
    """Makes and reads refresh tokens, with keys that are derived from `keys`.

    A successor is derived from the secret before it, so that a repetition gets the same one and
    nothing has to be stored. Without the proof, a made-up secret with the id of a session could end
    that session.
    """

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys

    def new_secret(self) -> bytes:
        """The secret of a family's first token."""
        return secrets.token_bytes(SECRET_BYTES)

    def token(self, session_id: bytes, secret: bytes) -> str:
        """The text that a client receives."""
        body = session_id + secret
        proof = _proof(self._keys.newest, body)
        return base64.urlsafe_b64encode(body + proof).rstrip(b"=").decode()

    def read(self, text: str) -> Presented | None:
        """The token in a client's text, None if it was not made here."""
        if len(text) != TOKEN_CHARS:
            return None
        try:
            raw = base64.b64decode(f"{text}==", altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        body, proof = raw[:-PROOF_BYTES], raw[-PROOF_BYTES:]
        if not any(
            hmac.compare_digest(_proof(key, body), proof) for key in self._keys.candidates(None)
        ):
            return None
        return Presented(body[:ID_BYTES], body[ID_BYTES:])

    def lines(self, secret: bytes, generations: int) -> list[list[bytes]]:
        """The secrets that follow one, for each key: of so many generations, and at least one."""
        lines = []
        for key in self._keys.candidates(None):
            own, line, last = hmac.digest(key.secret, _SUCCESSOR, "sha256"), [], secret
            for _ in range(max(1, generations)):
                last = hmac.digest(own, last, "sha256")
                line.append(last)
            lines.append(line)
        return lines


def _proof(key: SigningKey, body: bytes) -> bytes:
    own = hmac.digest(key.secret, _PROOF, "sha256")
    return hmac.digest(own, body, "sha256")[:PROOF_BYTES]
