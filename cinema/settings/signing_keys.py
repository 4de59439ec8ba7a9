"""Secrets of which several count at a time, so that they can be changed, one a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

SHORTEST_SIGNING_KEY_BYTES: Final = 32
SIGNING_KEYS_LIMIT: Final = 4


def signing_keys(text: str) -> tuple[str, ...]:
    """The keys in `text`, one a line, newest first."""
    return tuple(filter(None, map(str.strip, text.splitlines())))


def problems_of_signing_keys(text: str) -> Iterator[str]:
    """Problems of the keys that sign access tokens, in development and in production."""
    yield from _problems("JWT_SECRET_KEY", signing_keys(text))


def problems_of_cluster_secrets(text: str) -> Iterator[str]:
    """The same for the secrets by which nodes know each other."""
    yield from _problems("CLUSTER_SECRET", signing_keys(text))


def _problems(name: str, keys: Sequence[str]) -> Iterator[str]:
    if len(keys) > SIGNING_KEYS_LIMIT:
        yield f"{name} holds more than {SIGNING_KEYS_LIMIT} keys"
    if any(len(key.encode()) < SHORTEST_SIGNING_KEY_BYTES for key in keys):
        yield f"{name} is shorter than {SHORTEST_SIGNING_KEY_BYTES} bytes"
    if len(set(keys)) < len(keys):
        yield f"{name} holds a key twice"
