"""The keys of encrypted values and of tickets: several at a time, so that they can be changed."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Final

KEYS_LIMIT: Final = 16
ENCRYPTION_KEY_BYTES: Final = 32

_BETWEEN: Final = re.compile(r"[\s,]+")
_HEXADECIMAL: Final = re.compile(r"[0-9a-fA-F]{64}")
_FEWEST_DISTINCT_BYTES: Final = 12


def encryption_keys(text: str) -> tuple[bytes, ...]:
    """The keys that `text` gives in base64 or hexadecimal, newest first. Raises `ValueError`."""
    keys = []
    for entry in filter(None, _BETWEEN.split(text)):
        key = bytes.fromhex(entry) if _HEXADECIMAL.fullmatch(entry) else _from_base64(entry)
        if len(key) != ENCRYPTION_KEY_BYTES:
            raise ValueError(f"holds a key of {len(key)} bytes instead of {ENCRYPTION_KEY_BYTES}")
        keys.append(key)
    return tuple(keys)


def _from_base64(text: str) -> bytes:
    """Decode either alphabet, with or without padding."""
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError("holds a key that is not base64") from error


def problems_of_encryption_keys(text: str, *, production: bool) -> Iterator[str]:
    """Problems of the keys for encrypted values."""
    yield from _problems("ENCRYPTION_KEYS", text, production=production)


def problems_of_ticket_keys(text: str, *, production: bool) -> Iterator[str]:
    """Problems of the keys that sign tickets, which have the same form."""
    yield from _problems("TICKET_SIGNING_KEYS", text, production=production)


def _problems(name: str, text: str, *, production: bool) -> Iterator[str]:
    try:
        keys = encryption_keys(text)
    except ValueError as problem:
        yield f"{name} {problem}; make one with `openssl rand -base64 32`"
        return
    if len(keys) > KEYS_LIMIT:
        yield f"{name} holds more than {KEYS_LIMIT} keys"
    if len(set(keys)) < len(keys):
        yield f"{name} holds a key twice"
    if production and not keys:
        yield f"{name} is required in production: `openssl rand -base64 32`"
    elif production and any(len(set(key)) < _FEWEST_DISTINCT_BYTES for key in keys):
        yield f"{name} holds a key that is not random; use `openssl rand -base64 32`"
