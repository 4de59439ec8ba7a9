"""The keys that sign access tokens; they change while the server runs."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import msgspec

from cinema.domain.limits_catalog import SIGNING_KEY_BYTES


class SigningKey(msgspec.Struct, frozen=True):
    """A key, and the id by which a token names it (RFC 7515, section 4.1.4)."""

    key_id: str
    secret: bytes


class SigningKeys:
    """The valid keys, each of 32 bytes or more, newest first.

    The newest signs, all of them verify. `generation` rises with each change, so that callers who
    remember a verified token know when to verify it again.
    """

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._keys = _checked(secrets)
        self.generation = 0

    @property
    def newest(self) -> SigningKey:
        """The key that signs."""
        return self._keys[0]

    def candidates(self, key_id: object) -> Sequence[SigningKey]:
        """The keys that may have signed a token with this `key_id`; all keys for None."""
        if key_id is None:
            return self._keys
        return [key for key in self._keys if key.key_id == key_id]

    def replace(self, secrets: Sequence[bytes]) -> None:
        """Use only these keys from now on. If it raises `ValueError`, nothing has changed."""
        self._keys = _checked(secrets)
        self.generation += 1


def _checked(secrets: Sequence[bytes]) -> tuple[SigningKey, ...]:
    if not secrets or any(len(secret) < SIGNING_KEY_BYTES for secret in secrets):
        raise ValueError(f"a signing key has at least {SIGNING_KEY_BYTES} bytes")
    return tuple([SigningKey(_key_id(secret), secret) for secret in secrets])


def _key_id(secret: bytes) -> str:
    """The public name of a key, which tells nothing about the key."""
    return sha256(b"cinema signing key " + secret).hexdigest()[:16]
