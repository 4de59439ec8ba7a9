"""UUIDv7 identifiers (RFC 9562), 16 raw bytes inside and canonical text at the edge."""

from __future__ import annotations

import re

_GROUP = "[0-9a-fA-F]"
_CANONICAL = re.compile(f"{_GROUP}{{8}}-(?:{_GROUP}{{4}}-){{3}}{_GROUP}{{12}}")

RANDOM_BITS = 74


def new_id(unix_us: int, random_bits: int) -> bytes:
    """A UUIDv7 for the time `unix_us` (microseconds) and `RANDOM_BITS` random bits."""
    rand_a = (random_bits >> 62) & 0xFFF
    rand_b = random_bits & 0x3FFF_FFFF_FFFF_FFFF
    value = ((unix_us // 1000) << 80) | (0x7 << 76) | (rand_a << 64) | (0b10 << 62) | rand_b
    return value.to_bytes(16, "big")


def format_id(raw: bytes) -> str:
    """The canonical lower-case text of a raw id."""
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def parse_id(text: str) -> bytes | None:
    """The raw id of a canonical text in either case, or None if it is not one."""
    if len(text) != 36 or not _CANONICAL.fullmatch(text):
        return None
    return bytes.fromhex(text.replace("-", ""))
