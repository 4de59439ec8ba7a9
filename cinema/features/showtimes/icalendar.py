"""Showtimes as a calendar to subscribe to: iCalendar (RFC 5545, RFC 7986).

Times are in UTC, so a feed needs no rules of time zones, and a show over midnight or over a change
of clocks has no special form. `SEQUENCE` rises with each change of a showtime. One that is
cancelled stays in the feed as `CANCELLED` until it would be over, because what disappears stays in
some calendars. The same showtimes give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import msgspec

MEDIA_TYPE: Final = "text/calendar"

LINE_BYTES: Final = 75
"""Longest line without its end (RFC 5545, 3.1); a longer one goes on behind a space."""

REFRESH: Final = "PT15M"
"""How often calendars look for changes; most come by every few hours anyway."""

_CONTROL: Final = frozenset(map(chr, {*range(32), 127} - {ord("\n")}))
_ESCAPED: Final = {ord("\\"): "\\\\", ord(";"): "\\;", ord(","): "\\,", ord("\n"): "\\n"}


class CalendarShow(msgspec.Struct, frozen=True, kw_only=True):
    """A showtime with all that a calendar shows of it; whoever has tickets for it is `busy`."""

    id: UUID
    starts_at: datetime
    ends_at: datetime
    created_at: datetime
    status: str
    version: int
    format: str
    language: str
    cancel_reason: str | None
    film: str
    cinema: str
    address: str
    city: str
    screen: str
    note: str = ""
    busy: bool = False


def calendar(name: str, time_zone: str | None, shows: Iterable[CalendarShow]) -> bytes:
    """The feed; `time_zone` is the one that its readers may like best."""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//cinema//showtimes//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        f"NAME:{_text(name)}",
        f"X-WR-CALNAME:{_text(name)}",
    ]
    if time_zone is not None:
        lines.append(f"X-WR-TIMEZONE:{_text(time_zone)}")
    lines += (f"REFRESH-INTERVAL;VALUE=DURATION:{REFRESH}", f"X-PUBLISHED-TTL:{REFRESH}")
    for show in shows:
        lines += _event(show)
    lines.append("END:VCALENDAR")
    return b"".join(_folded(line) for line in lines)


def _event(show: CalendarShow) -> Iterator[str]:
    cancelled = show.status == "cancelled"
    about = f"{show.format}, {show.language}"
    if show.note:
        about = f"{show.note}\n{about}"
    if cancelled and show.cancel_reason:
        about = f"{show.cancel_reason}\n{about}"
    where = [f"{show.cinema}, {show.screen}", show.address, show.city]
    yield "BEGIN:VEVENT"
    yield f"UID:{show.id}"
    # The time of a change is nowhere written; a feed that is the same has the same bytes.
    yield f"DTSTAMP:{_utc(show.created_at)}"
    yield f"DTSTART:{_utc(show.starts_at)}"
    yield f"DTEND:{_utc(show.ends_at)}"
    yield f"SEQUENCE:{show.version - 1}"
    yield f"STATUS:{'CANCELLED' if cancelled else 'CONFIRMED'}"
    yield f"SUMMARY:{_text(show.film)}"
    yield f"LOCATION:{_text(', '.join(part for part in where if part))}"
    yield f"DESCRIPTION:{_text(about)}"
    # Whoever subscribes is not busy during all films.
    yield f"TRANSP:{'OPAQUE' if show.busy else 'TRANSPARENT'}"
    yield "END:VEVENT"


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _text(value: str) -> str:
    """A value of the type TEXT (RFC 5545, 3.3.11): no control characters but the end of a line."""
    lines = value.replace("\r\n", "\n").replace("\r", "\n")
    shown = "".join(mark for mark in lines if mark not in _CONTROL)
    return shown.translate(_ESCAPED)


def _folded(line: str) -> bytes:
    """The line with its end, in pieces that a reader joins again; no character is cut."""
    pieces: list[bytes] = []
    rest = line.encode()
    room = LINE_BYTES
    while len(rest) > room:
        end = room
        while rest[end] & 0xC0 == 0x80:
            end -= 1
        pieces.append(rest[:end])
        rest = rest[end:]
        room = LINE_BYTES - 1
    return b"\r\n ".join([*pieces, rest]) + b"\r\n"
