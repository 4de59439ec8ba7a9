"""The picture on a pass, without which a wallet takes none: a ticket, in any size."""

from __future__ import annotations

import struct
import zlib
from typing import Final

_GROUND: Final = bytes((24, 32, 48))
_TICKET: Final = bytes((236, 196, 92))
_LEFT: Final = 0.14
_TOP: Final = 0.3
_NOTCH: Final = 0.09


def icon(side_px: int) -> bytes:
    """A square PNG."""
    rows = [
        b"\x00" + b"".join(_colour(x / side_px, y / side_px) for x in range(side_px))
        for y in range(side_px)
    ]
    head = struct.pack(">IIBBBBB", side_px, side_px, 8, 2, 0, 0, 0)
    parts = (_chunk(b"IHDR", head), _chunk(b"IDAT", zlib.compress(b"".join(rows), 9)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + _chunk(b"IEND", b"")


def _colour(x: float, y: float) -> bytes:
    """The colour at a place of the square of side 1: a ticket with a notch above and below."""
    inside = _LEFT <= x <= 1 - _LEFT and _TOP <= y <= 1 - _TOP
    notch_y = min(abs(y - _TOP), abs(y - (1 - _TOP)))
    return _TICKET if inside and (x - 0.5) ** 2 + notch_y**2 > _NOTCH**2 else _GROUND


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
