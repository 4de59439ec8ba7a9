"""Refresh tokens: 32 random bytes, the session they are of, and a proof that they are ours."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from typing import Final

import msgspec

from cinema.features.accounts.session_rules import ROTATIONS_KEPT
from cinema.features.accounts.signing_keys import SigningKey, SigningKeys

ID_BYTES: Final = 16
SECRET_BYTES: Final = 32
PROOF_BYTES: Final = 16
TOKEN_CHARS: Final = -(-(ID_BYTES + SECRET_BYTES + PROOF_BYTES) * 4 // 3)

_PROOF: Final = b"cinema refresh token: proof"
_SUCCESSOR: Final = b"cinema refresh token: successor"


class Presented(msgspec.Struct, frozen=True):
    """A token that was made here, whether or not it is still good for something."""

    session_id: bytes
    secret: bytes


class RefreshTokens:
    """Makes and reads refresh tokens under keys of their own, each made from one of `keys`.

    A successor is derived from the secret before it, so that a repetition gets the same without
    anything being stored. The proof lets nobody end a session by naming it with a made-up secret.
    """

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys

    def new_secret(self) -> bytes:
        """The secret of a family's first token."""
        return secrets.token_bytes(SECRET_BYTES)

    def token(self, session_id: bytes, secret: bytes) -> str:
        """The text that a client is given."""
        body = session_id + secret
        proof = _proof(self._keys.newest, body)
        return base64.urlsafe_b64encode(body + proof).rstrip(b"=").decode()

    def read(self, text: str) -> Presented | None:
        """What a client's text says, None if it was not made here."""
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

    def lines(self, secret: bytes) -> list[list[bytes]]:
        """The secrets that follow one, by each key, for as many generations as are told apart."""
        lines = []
        for key in self._keys.candidates(None):
            own, line, last = hmac.digest(key.secret, _SUCCESSOR, "sha256"), [], secret
            for _ in range(ROTATIONS_KEPT):
                last = hmac.digest(own, last, "sha256")
                line.append(last)
            lines.append(line)
        return lines


def _proof(key: SigningKey, body: bytes) -> bytes:
    own = hmac.digest(key.secret, _PROOF, "sha256")
    return hmac.digest(own, body, "sha256")[:PROOF_BYTES]
