"""The calendar of showtimes, read by a reader that is not ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import icalendar
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinema.features.showtimes.icalendar import LINE_BYTES, CalendarShow, calendar

BERLIN = ZoneInfo("Europe/Berlin")

SHOW = CalendarShow(
    id=UUID("019a0c1e-7000-7000-8000-0000000000e1"),
    starts_at=datetime(2026, 6, 1, 18, 0, tzinfo=UTC),
    ends_at=datetime(2026, 6, 1, 20, 30, tzinfo=UTC),
    created_at=datetime(2026, 5, 1, 9, 0, 7, 500_000, tzinfo=UTC),
    status="scheduled",
    version=3,
    format="2D",
    language="de",
    cancel_reason=None,
    film="Metropolis",
    cinema="Kino Aurora",
    address="Lindenufer 12",
    city="Berlin",
    screen="Screen 1",
)


def read(feed: bytes) -> list[icalendar.Component]:
    (whole,) = icalendar.Calendar.from_ical(feed, multiple=True)
    assert whole.name == "VCALENDAR"
    assert whole.errors == []
    return list(whole.walk("VEVENT"))


def changed(**fields: object) -> CalendarShow:
    return msgspec.structs.replace(SHOW, **fields)


def test_a_calendar_is_written_as_the_standard_has_it() -> None:
    assert calendar("Aurora", "Europe/Berlin", [SHOW]).decode().split("\r\n") == [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//cinema//showtimes//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        "NAME:Aurora",
        "X-WR-CALNAME:Aurora",
        "X-WR-TIMEZONE:Europe/Berlin",
        "REFRESH-INTERVAL;VALUE=DURATION:PT15M",
        "X-PUBLISHED-TTL:PT15M",
        "BEGIN:VEVENT",
        "UID:019a0c1e-7000-7000-8000-0000000000e1",
        "DTSTAMP:20260501T090007Z",
        "DTSTART:20260601T180000Z",
        "DTEND:20260601T203000Z",
        "SEQUENCE:2",
        "STATUS:CONFIRMED",
        "SUMMARY:Metropolis",
        "LOCATION:Kino Aurora\\, Screen 1\\, Lindenufer 12\\, Berlin",
        "DESCRIPTION:2D\\, de",
        "TRANSP:TRANSPARENT",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]


def test_a_reader_finds_what_was_written() -> None:
    (event,) = read(calendar("Aurora", "Europe/Berlin", [SHOW]))
    assert (event.start, event.end) == (SHOW.starts_at, SHOW.ends_at)
    assert (event["UID"], event["SEQUENCE"], event["STATUS"]) == (str(SHOW.id), 2, "CONFIRMED")
    assert event["SUMMARY"] == "Metropolis"
    assert event["LOCATION"] == "Kino Aurora, Screen 1, Lindenufer 12, Berlin"


def test_a_cancelled_showtime_says_so_and_why() -> None:
    gone = changed(status="cancelled", version=4, cancel_reason="The projector; it is broken.")
    (event,) = read(calendar("Aurora", None, [gone]))
    assert (event["STATUS"], event["SEQUENCE"]) == ("CANCELLED", 3)
    assert event["DESCRIPTION"] == "The projector; it is broken.\n2D, de"
    (event,) = read(calendar("Aurora", None, [changed(status="cancelled", cancel_reason="")]))
    assert event["DESCRIPTION"] == "2D, de"


def test_a_rescheduled_showtime_takes_place() -> None:
    (event,) = read(calendar("Aurora", None, [changed(status="rescheduled")]))
    assert event["STATUS"] == "CONFIRMED"


def test_shows_over_midnight_and_over_a_change_of_clocks_are_as_long_as_they_are() -> None:
    """Three evenings at 22:30 in Berlin; in the second night the clocks go back an hour."""
    starts = [datetime(2026, 10, day, 22, 30, tzinfo=BERLIN) for day in (23, 24, 25)]
    shows = [
        changed(starts_at=start.astimezone(UTC), ends_at=start.astimezone(UTC) + timedelta(hours=6))
        for start in starts
    ]
    events = read(calendar("Aurora", "Europe/Berlin", shows))
    local = [(one.start.astimezone(BERLIN), one.end.astimezone(BERLIN)) for one in events]
    assert [begin.strftime("%d %H:%M") for begin, _ in local] == [
        "23 22:30",
        "24 22:30",
        "25 22:30",
    ]
    assert [end.strftime("%d %H:%M") for _, end in local] == ["24 04:30", "25 03:30", "26 04:30"]
    assert {one.end - one.start for one in events} == {timedelta(hours=6)}


def test_an_empty_calendar_is_one() -> None:
    assert read(calendar("Aurora", None, [])) == []
    assert b"X-WR-TIMEZONE" not in calendar("Aurora", None, [])


def test_missing_parts_of_an_address_leave_no_commas() -> None:
    (event,) = read(calendar("Aurora", None, [changed(address="")]))
    assert event["LOCATION"] == "Kino Aurora, Screen 1, Berlin"


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=300)


@given(TEXT, TEXT)
def test_any_text_comes_back_from_lines_that_are_short(film: str, reason: str) -> None:
    show = changed(film=film, status="cancelled", cancel_reason=f"x{reason}\nend")
    feed = calendar(film, None, [show])
    lines = feed.split(b"\r\n")
    assert lines.pop() == b""
    assert all(len(line) <= LINE_BYTES for line in lines)
    for line in lines:
        line.decode()  # No character is cut.
        assert b"\n" not in line
    (event,) = read(feed)
    assert event["SUMMARY"] == film
    assert event["DESCRIPTION"] == f"x{reason}\nend\n2D, de"


@pytest.mark.parametrize("mark", ["\x00", "\x07", "\x1b", "\x7f"])
def test_control_characters_are_left_out(mark: str) -> None:
    feed = calendar("Aurora", None, [changed(film=f"Metro{mark}polis")])
    assert b"SUMMARY:Metropolis\r\n" in feed


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_nobody_writes_a_line_of_their_own(end: str) -> None:
    feed = calendar("Aurora", None, [changed(film=f"Film{end}STATUS:CANCELLED")])
    assert b"SUMMARY:Film\\nSTATUS:CANCELLED\r\n" in feed
    (event,) = read(feed)
    assert event["STATUS"] == "CONFIRMED"


def test_long_lines_are_cut_between_characters() -> None:
    # Behind `SUMMARY:` the first line has 67 bytes, which is no multiple of three.
    feed = calendar("Aurora", None, [changed(film="\u20ac" * 60)])
    lines = feed.decode().split("\r\n")
    at = next(at for at, line in enumerate(lines) if line.startswith("SUMMARY:"))
    pieces = lines[at : at + 3]
    assert [len(piece.encode()) for piece in pieces] == [8 + 66, 1 + 72, 1 + 42]
    assert all(piece.startswith(" ") for piece in pieces[1:])
