"""The keys that sign tickets; they change while the server runs."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from cinema.features.tickets.rules import (
    SIGNED_BYTES,
    TicketClaim,
    bytes_of,
    claim_in,
    signed_part,
    text_of,
)
from cinema.features.tickets.shapes import PublicKey

KEY_BYTES: Final = 32


class _Key(msgspec.Struct, frozen=True):
    key_id: int
    private: Ed25519PrivateKey
    public: Ed25519PublicKey


class TicketKeys:
    """The valid keys, each of 32 bytes, newest first: the newest signs, all of them verify.

    A code names its key by one byte, which two keys may share: then both are tried.
    """

    def __init__(self, seeds: Sequence[bytes]) -> None:
        self.replace(seeds)

    def replace(self, seeds: Sequence[bytes]) -> None:
        """Use only these keys from now on. If it raises `ValueError`, nothing has changed."""
        if not seeds or any(len(seed) != KEY_BYTES for seed in seeds):
            raise ValueError(f"a key of tickets has {KEY_BYTES} bytes")
        self._keys = tuple([_key(seed) for seed in seeds])

    def token(self, ticket: UUID, showtime_id: UUID, generation: int) -> str:
        """The code of a ticket, signed by the newest key."""
        newest = self._keys[0]
        claim = TicketClaim(ticket, showtime_id.bytes[:8], generation)
        signed = signed_part(newest.key_id, claim)
        return text_of(signed + newest.private.sign(signed))

    def claim(self, text: str) -> TicketClaim | None:
        """What a code says; None if it is none, or none that one of the keys has signed."""
        token = bytes_of(text)
        if token is None:
            return None
        signed, signature = token[:SIGNED_BYTES], token[SIGNED_BYTES:]
        for key in self._keys:
            if key.key_id == token[1] and _has_signed(key, signature, signed):
                return claim_in(token)
        return None

    def signature(self, content: bytes) -> tuple[int, str]:
        """The newest key's number, and its signature of something in base64url."""
        newest = self._keys[0]
        return newest.key_id, _base64url(newest.private.sign(content))

    def public(self) -> list[PublicKey]:
        """The public keys, newest first."""
        return [
            PublicKey(key_id=key.key_id, public_key=_base64url(key.public.public_bytes_raw()))
            for key in self._keys
        ]


def _key(seed: bytes) -> _Key:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = private.public_key()
    return _Key(public.public_bytes_raw()[0], private, public)


def _has_signed(key: _Key, signature: bytes, content: bytes) -> bool:
    try:
        key.public.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
