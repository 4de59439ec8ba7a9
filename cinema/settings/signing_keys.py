"""The keys that sign access tokens: several at a time, so that they can be changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

SHORTEST_SIGNING_KEY_BYTES: Final = 32
SIGNING_KEYS_LIMIT: Final = 4


def signing_keys(text: str) -> tuple[str, ...]:
    """The keys in `text`, one a line, newest first."""
    return tuple(filter(None, map(str.strip, text.splitlines())))


def problems_of_signing_keys(text: str) -> Iterator[str]:
    """Problems of these keys, in development and in production."""
    keys = signing_keys(text)
    if len(keys) > SIGNING_KEYS_LIMIT:
        yield f"JWT_SECRET_KEY holds more than {SIGNING_KEYS_LIMIT} keys"
    if any(len(key.encode()) < SHORTEST_SIGNING_KEY_BYTES for key in keys):
        yield f"JWT_SECRET_KEY is shorter than {SHORTEST_SIGNING_KEY_BYTES} bytes"
    if len(set(keys)) < len(keys):
        yield "JWT_SECRET_KEY holds a key twice"
