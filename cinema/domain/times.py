"""Times at the edge: microseconds inside, RFC 3339 in UTC outside."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Where Unix time begins: before everything that is stored."""


def format_time(at_us: int) -> str:
    """The RFC 3339 text of a time, with `Z`, and with microseconds only if there are any."""
    return from_us(at_us).isoformat().replace("+00:00", "Z")


def from_us(at_us: int) -> datetime:
    """The aware datetime of microseconds since the Unix epoch, in UTC."""
    return EPOCH + timedelta(microseconds=at_us)


def to_us(moment: datetime) -> int:
    """Microseconds since the Unix epoch of an aware datetime, exactly."""
    delta = moment - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
