"""Encrypted values: AES-256-GCM, with the id of the key in the value.

Keys change without a restart: new values are sealed with the newest key, and older values are
opened with the key that they name, until all have been sealed again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32

_VERSION: Final = b"\x01"
_KEY_ID_BYTES: Final = 4
_NONCE_BYTES: Final = 12
"""Size of the random nonce: a key can seal some thousands of millions of values before two have the
same."""
_HEAD_BYTES: Final = len(_VERSION) + _KEY_ID_BYTES


class CannotOpen(Exception):
    """A value that none of the keys opens: its key was removed, or it was changed or moved."""


class Cipher:
    """Seals and opens values with `keys`, each of 32 bytes, newest first.

    `place` says where a value belongs, such as `b"users.totp_secret:" + user_id`: one that is
    copied elsewhere does not open there.
    """

    def __init__(
        self, keys: Sequence[bytes], *, random: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._random = random
        self.replace(keys)

    def replace(self, keys: Sequence[bytes]) -> None:
        """Use these keys from now on. If it raises `ValueError`, nothing has changed."""
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"an encryption key has {KEY_BYTES} bytes")
        self._keys = {_key_id(key): AESGCM(key) for key in keys}
        self._newest = _key_id(keys[0])

    def seal(self, plain: bytes, *, place: bytes) -> bytes:
        """The value as it is stored: version, key id, nonce, then the ciphertext with its tag."""
        head = _VERSION + self._newest
        nonce = self._random(_NONCE_BYTES)
        return head + nonce + self._keys[self._newest].encrypt(nonce, plain, head + place)

    def open(self, sealed: bytes, *, place: bytes) -> bytes:
        """The value that was sealed for `place`. Raises `CannotOpen`."""
        head, nonce = sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES : _HEAD_BYTES + _NONCE_BYTES]
        key = self._keys.get(head[len(_VERSION) :])
        if head[: len(_VERSION)] != _VERSION or key is None or len(nonce) != _NONCE_BYTES:
            raise CannotOpen("sealed with a key that is not among ENCRYPTION_KEYS")
        try:
            return key.decrypt(nonce, sealed[_HEAD_BYTES + _NONCE_BYTES :], head + place)
        except InvalidTag as error:
            raise CannotOpen("changed since, or sealed for another place") from error

    def is_current(self, sealed: bytes) -> bool:
        """Whether the newest key sealed it."""
        return sealed[:_HEAD_BYTES] == _VERSION + self._newest


def _key_id(key: bytes) -> bytes:
    """The public name of a key, which tells nothing about the key."""
    return sha256(b"cinema encryption key " + key).digest()[:_KEY_ID_BYTES]
