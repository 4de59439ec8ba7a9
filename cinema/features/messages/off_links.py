"""Links by which somebody turns off mails of a kind without signing in (RFC 8058).

A link is in every mail that can be turned off. It says what it is for, sealed, so nothing is stored
of it and nobody can make one up. It is good as long as the key that sealed it is known.
"""

from __future__ import annotations

import base64
import binascii
from hashlib import sha256
from typing import Final, NamedTuple

from cinema.storage.encryption import CannotOpen, Cipher

PAGE: Final = "/messages/off"
"""Where people are led; programs of mail send `POST` to `CALL` themselves."""

CALL: Final = "/api/v1/messages/off"

_PLACE: Final = b"messages.off"
_DIGEST_BYTES: Final = 32


class Turned(NamedTuple):
    """What a link is about: a kind of mail, and the digest of the address that it goes to."""

    kind: str
    address_digest: bytes


class OffLinks:
    """Makes and reads links below `base_url`, which is a setting: a request cannot choose it."""

    def __init__(self, cipher: Cipher, base_url: str) -> None:
        self._cipher = cipher
        self._base = base_url.rstrip("/")

    def page(self, token: str) -> str:
        """For people. The token stands after `#`: who only looks at the page turns nothing off."""
        return f"{self._base}{PAGE}#token={token}"

    def call(self, token: str) -> str:
        """For programs of mail, which send `POST`."""
        return f"{self._base}{CALL}?token={token}"

    def token(self, kind: str, address: str) -> str:
        """What a link for mails of a kind to an address has."""
        plain = address_digest(address) + kind.encode()
        return base64.urlsafe_b64encode(self._cipher.seal(plain, place=_PLACE)).decode().rstrip("=")

    def read(self, token: str) -> Turned | None:
        """What a link is about; None if it is none of ours."""
        try:
            sealed = base64.b64decode(
                token + "=" * (-len(token) % 4), altchars=b"-_", validate=True
            )
            plain = self._cipher.open(sealed, place=_PLACE)
        except (CannotOpen, binascii.Error, ValueError):
            return None
        return Turned(plain[_DIGEST_BYTES:].decode(), plain[:_DIGEST_BYTES])


def on_the_wire(address: str) -> str:
    """An address as every mail server takes it: its domain in ASCII (IDNA). Raises `ValueError`."""
    local, at, domain = address.rpartition("@")
    return f"{local}{at}{domain.encode('idna').decode('ascii')}"


def key_of(address: str) -> str:
    """The form in which an address is unique, as `users.email_key` has it. Raises `ValueError`."""
    return on_the_wire(address).lower()


def address_digest(address: str) -> bytes:
    """What is known of an address that wants no mails. Raises `ValueError`."""
    return sha256(key_of(address).encode()).digest()
