"""Cursors of keyset pagination: the sort key of the last item seen, opaque to clients."""

from __future__ import annotations

import base64
import binascii
from typing import TypeVar
from uuid import UUID

import msgspec

from cinema.domain.limits_catalog import CURSOR_CHARS

K = TypeVar("K")


def encode_cursor(key: object, last_id: UUID) -> str:
    """The cursor after the item with this sort key and id."""
    return base64.urlsafe_b64encode(msgspec.json.encode([key, last_id])).rstrip(b"=").decode()


def decode_cursor(
    cursor: str, decoder: msgspec.json.Decoder[tuple[K, UUID]]
) -> tuple[K, UUID] | None:
    """The sort key and id in a cursor, or None if this server did not make it."""
    if len(cursor) > CURSOR_CHARS:
        return None
    try:
        raw = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return decoder.decode(base64.b64decode(raw, altchars=b"-_", validate=True))
    except (binascii.Error, UnicodeError, msgspec.DecodeError):
        return None
