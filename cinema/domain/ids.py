"""UUIDv7 identifiers (RFC 9562), 16 raw bytes inside and canonical text at the edge."""

from __future__ import annotations

import re

_GROUP = "[0-9a-fA-F]"
_CANONICAL = re.compile(f"{_GROUP}{{8}}-(?:{_GROUP}{{4}}-){{3}}{_GROUP}{{12}}")

RANDOM_BITS = 74

TIME_BYTES = 6
TAIL_BYTES = 10
"""Milliseconds, and what is random, with version and variant in it."""

_VERSION = bytes([0x70 | byte & 0x0F for byte in range(256)])
_VARIANT = bytes([0x80 | byte & 0x3F for byte in range(256)])


def new_id(unix_us: int, random_bits: int) -> bytes:
    """A UUIDv7 for the time `unix_us` (microseconds) and `RANDOM_BITS` random bits."""
    rand_a = (random_bits >> 62) & 0xFFF
    rand_b = random_bits & 0x3FFF_FFFF_FFFF_FFFF
    value = ((unix_us // 1000) << 80) | (0x7 << 76) | (rand_a << 64) | (0b10 << 62) | rand_b
    return value.to_bytes(16, "big")


def tails(drawn: bytes) -> bytes:
    """The tails of as many UUIDv7s as there are times `TAIL_BYTES` random bytes, end to end."""
    made = bytearray(drawn)
    made[0::TAIL_BYTES] = made[0::TAIL_BYTES].translate(_VERSION)
    made[2::TAIL_BYTES] = made[2::TAIL_BYTES].translate(_VARIANT)
    return bytes(made)


def format_id(raw: bytes) -> str:
    """The canonical lower-case text of a raw id."""
    # Pairs of bytes, which need fewer pieces than the five groups: 0190-a1b2-…
    text = raw.hex("-", 2)
    return f"{text[:4]}{text[5:29]}{text[30:34]}{text[35:]}"


def parse_id(text: str) -> bytes | None:
    """The raw id of a canonical text in either case, or None if it is not one."""
    if len(text) != 36 or not _CANONICAL.fullmatch(text):
        return None
    return bytes.fromhex(text.replace("-", ""))
