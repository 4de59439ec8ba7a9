"""What a price depends on besides the book: the showtime, and the moment of the hold."""

from __future__ import annotations

from datetime import date, tzinfo

import msgspec

from cinema.domain.times import from_us


class LocalStart(msgspec.Struct, frozen=True):
    """When a showtime starts on the clock and calendar of its cinema."""

    day: date
    minute: int


def local_start(starts_at_us: int, zone: tzinfo) -> LocalStart:
    """The local start of a moment; hours that a change of clocks repeats or leaves out are exact.

    A moment has one local time; only the way back would be ambiguous.
    """
    local = from_us(starts_at_us).astimezone(zone)
    return LocalStart(local.date(), local.hour * 60 + local.minute)


class ShowtimeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a price takes from a version of the showtime; `overrides` are of categories."""

    movie_id: bytes
    cinema_id: bytes
    base_minor: int
    overrides: tuple[tuple[str, int], ...] = ()
    format: str = "2D"
    starts_at_us: int
    local: LocalStart


class Moment(msgspec.Struct, frozen=True):
    """The moment of a hold, and how many of the showtime's seats were held or booked before it."""

    at_us: int
    taken_seats: int
    total_seats: int


class AskedTicket(msgspec.Struct, frozen=True):
    """A seat that is asked for: its category, the type of its ticket, and what it is called."""

    category: str
    type: str
    seat: str = ""
