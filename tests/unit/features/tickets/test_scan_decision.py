"""Who is let in: every refusal, and which of several is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any, get_args
from uuid import UUID

import pytest
from msgspec.structs import replace

from cinema.features.tickets.errors import ERRORS
from cinema.features.tickets.rules import (
    EARLIEST,
    FORCED,
    GROUP,
    PRECEDENCE,
    Asked,
    Known,
    ScanCode,
    Scanner,
    TicketClaim,
    checks_of,
    corrected,
    first_of,
    refusal_of,
    ticket_id,
)

BOOKING = UUID("019a0c1e-7000-7abc-8def-0123456789ab")
SHOWTIME = UUID("019a0c1e-7000-7000-8000-0000000000e1")
OTHER = UUID("019a0c1f-7000-7000-8000-0000000000e2")
CINEMA = UUID("019a0c1e-7000-7000-8000-0000000000c1")
SCREEN = UUID("019a0c1e-7000-7000-8000-0000000000d1")
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)

TICKET = Known(
    booking_id=BOOKING,
    booked_at=NOON - 24 * HOUR,
    place=0,
    seat="F7",
    category="regular",
    type="adult",
    proof="",
    booking_status="confirmed",
    live=True,
    seats_live=2,
    generation=3,
    group_generation=5,
    blocked=False,
    showtime_id=SHOWTIME,
    cinema_id=CINEMA,
    screen_id=SCREEN,
    called_off=False,
    opens_at=NOON - HOUR,
    closes_at=NOON + HOUR,
    age_rating=None,
    inside=False,
    entered_at=None,
    left_at=None,
    scanner=None,
)
ASKED = Asked(
    claim=TicketClaim(ticket_id(BOOKING, 0), SHOWTIME.bytes[:8], 3),
    serves=True,
    showtime_id=None,
    screen_id=None,
    at=NOON,
    direction="entry",
    force=False,
)
IN = {"inside": True, "entered_at": NOON}

WRONG: dict[ScanCode, tuple[dict[str, Any], dict[str, Any]]] = {
    "TICKET_FORGED": ({}, {"claim": TicketClaim(ASKED.claim.ticket_id, OTHER.bytes[:8], 3)}),
    "TICKET_REVOKED": ({"generation": 4}, {}),
    "TICKET_CANCELLED": ({"live": False}, {}),
    "TICKET_UNPAID": ({"booking_status": "pending"}, {}),
    "TICKET_BLOCKED": ({"blocked": True}, {}),
    "WRONG_CINEMA": ({}, {"serves": False}),
    "WRONG_SHOWTIME": ({}, {"showtime_id": OTHER}),
    "TOO_EARLY": ({"opens_at": NOON + HOUR / 2}, {}),
    "TOO_LATE": ({"closes_at": NOON - HOUR / 2}, {}),
    "ALREADY_USED": (IN, {}),
}
"""What is wrong with a ticket, or with the door, for each code."""


def made(*codes: ScanCode, **asked: Any) -> tuple[Known, Asked]:
    """A ticket and a scan with all that is wrong for these codes."""
    known: dict[str, Any] = {}
    for code in codes:
        known |= WRONG[code][0]
        asked = WRONG[code][1] | asked
    return replace(TICKET, **known), replace(ASKED, **asked)


def test_a_good_ticket_is_let_in() -> None:
    assert refusal_of(TICKET, ASKED) is None
    at_its_door = replace(ASKED, showtime_id=SHOWTIME, screen_id=SCREEN)
    assert refusal_of(TICKET, at_its_door) is None


@pytest.mark.parametrize("code", WRONG)
def test_each_thing_that_is_wrong_has_its_code(code: ScanCode) -> None:
    assert refusal_of(*made(code)) == code


@pytest.mark.parametrize(("first", "then"), list(combinations(WRONG, 2)))
def test_of_two_the_first_in_the_order_is_told(first: ScanCode, then: ScanCode) -> None:
    if (first, then) == ("TOO_EARLY", "TOO_LATE"):
        return  # the door closes after it opens
    assert refusal_of(*made(then, first)) == first
    assert first_of([then, first]) == first


def test_the_order_is_that_of_the_codes_and_of_the_documentation() -> None:
    assert get_args(ScanCode) == PRECEDENCE
    assert list(WRONG) == list(PRECEDENCE[:-1])
    assert [code for code in ERRORS if code in PRECEDENCE] == list(PRECEDENCE)


def test_what_is_not_known_is_forged() -> None:
    assert refusal_of(None, ASKED) == "TICKET_FORGED"


@pytest.mark.parametrize("status", ["cancelled", "refunded", "expired"])
def test_a_booking_that_has_ended_lets_nobody_in(status: str) -> None:
    assert refusal_of(replace(TICKET, booking_status=status), ASKED) == "TICKET_CANCELLED"


def test_a_showtime_that_was_called_off_lets_nobody_in() -> None:
    assert refusal_of(replace(TICKET, called_off=True), ASKED) == "TICKET_CANCELLED"


def test_the_code_of_a_booking_has_a_generation_of_its_own() -> None:
    claim = TicketClaim(ticket_id(BOOKING, GROUP), SHOWTIME.bytes[:8], 5)
    assert refusal_of(TICKET, replace(ASKED, claim=claim)) is None
    older = replace(claim, generation=3)
    assert refusal_of(TICKET, replace(ASKED, claim=older)) == "TICKET_REVOKED"


def test_another_screen_is_another_showtime() -> None:
    assert refusal_of(TICKET, replace(ASKED, screen_id=OTHER)) == "WRONG_SHOWTIME"


def test_the_limits_of_the_window_belong_to_it() -> None:
    for at in (TICKET.opens_at, TICKET.closes_at):
        assert refusal_of(TICKET, replace(ASKED, at=at)) is None
    moment = timedelta(microseconds=1)
    assert refusal_of(TICKET, replace(ASKED, at=TICKET.opens_at - moment)) == "TOO_EARLY"
    assert refusal_of(TICKET, replace(ASKED, at=TICKET.closes_at + moment)) == "TOO_LATE"


def test_who_is_inside_goes_out_at_any_time_and_nobody_else() -> None:
    inside, out = replace(TICKET, **IN), replace(ASKED, direction="exit", at=NOON + 9 * HOUR)
    assert refusal_of(inside, out) is None
    assert refusal_of(replace(inside, blocked=True), out) is None
    assert refusal_of(TICKET, out) == "TICKET_NOT_INSIDE"
    assert refusal_of(inside, replace(out, serves=False)) == "WRONG_CINEMA"
    # Who went out comes in again.
    assert refusal_of(replace(inside, inside=False, left_at=NOON), ASKED) is None


@pytest.mark.parametrize("code", WRONG)
def test_managers_overlook_what_is_theirs_to_overlook(code: ScanCode) -> None:
    assert refusal_of(*made(code, force=True)) == (None if code in FORCED else code)


def test_what_is_to_be_looked_at_is_said_once() -> None:
    rated = replace(TICKET, age_rating="16")
    student = replace(rated, proof="Student card")
    assert checks_of([rated, student, student]) == ["age 16", "Student card"]
    for rating in (None, "0", "G", "U"):
        assert checks_of([replace(TICKET, age_rating=rating, proof=None)]) == []


def test_a_clock_that_is_wrong_is_put_right() -> None:
    minutes = timedelta(minutes=7)
    for wrong in (minutes, -minutes):
        assert corrected(NOON + wrong, NOON + HOUR + wrong, NOON + HOUR) == NOON
    assert corrected(NOON, None, NOON + HOUR) == NOON
    # Nothing happens in the future, whatever a clock says.
    assert corrected(NOON + HOUR, None, NOON) == NOON
    assert corrected(NOON + HOUR, NOON, NOON) == NOON


def test_scanners_serve_their_cinemas() -> None:
    scanner = Scanner(id=BOOKING, name="Door 1", cinema_ids=frozenset({CINEMA}))
    assert scanner.serves(CINEMA)
    assert not scanner.serves(OTHER)
    assert replace(scanner, cinema_ids=None).serves(OTHER)


@pytest.mark.parametrize("year", [1, 376, 1969, 4142, 9999])
def test_no_clock_of_a_scanner_is_out_of_reach(year: int) -> None:
    now, odd = datetime(2026, 11, 30, tzinfo=UTC), datetime(year, 6, 1, tzinfo=UTC)
    for at, sent_at in ((odd, now), (now, odd), (odd, odd), (odd, None), (odd, odd.replace(day=2))):
        assert EARLIEST <= corrected(at, sent_at, now) <= now
