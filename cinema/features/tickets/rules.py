"""Ids and codes of tickets, and who is let in: pure.

A ticket's id is that of its booking, with its place in the booking in the last bits: so tickets
need no rows of their own, and keep their ids when they get other seats.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec

from cinema.features.tickets.shapes import Direction, TicketStatus

VERSION: Final = 1
TOKEN_BYTES: Final = 91
SIGNED_BYTES: Final = 27
TOKEN_CHARS: Final = 146
"""As many characters of base32 as 91 bytes have; a QR code of version 6 holds them at level M."""

PLACE_BITS: Final = 14
"""Enough for 10,000 places. The 60 random bits before them keep bookings apart."""

GROUP: Final = -1
"""The place of the code that stands for all tickets of a booking."""

GENERATION_LIMIT: Final = 255

_PLACES: Final = (1 << PLACE_BITS) - 1
_PADDING: Final = "=" * (-TOKEN_CHARS % 8)


def ticket_id(booking_id: UUID, place: int) -> UUID:
    """The id of a ticket; `GROUP` gives that of the code for the whole booking."""
    return UUID(int=booking_id.int & ~_PLACES | (place + 1))


def place_of(ticket: UUID) -> int:
    """The place of a ticket in its booking."""
    return (ticket.int & _PLACES) - 1


def bookings_of(ticket: UUID) -> tuple[UUID, UUID]:
    """The first and the last id that the booking of a ticket may have."""
    return UUID(int=ticket.int & ~_PLACES), UUID(int=ticket.int | _PLACES)


class TicketClaim(msgspec.Struct, frozen=True):
    """What a code says: which ticket, of which showtime, issued how often."""

    ticket_id: UUID
    showtime: bytes
    generation: int

    @property
    def place(self) -> int:
        """The place in the booking; `GROUP` for all of it."""
        return place_of(self.ticket_id)


def signed_part(key_id: int, claim: TicketClaim) -> bytes:
    """The bytes of a code that its signature covers; `claim.showtime` begins the showtime's id."""
    head = bytes((VERSION, key_id)) + claim.ticket_id.bytes + claim.showtime
    return head + bytes((claim.generation,))


def text_of(token: bytes) -> str:
    """A code as it is shown: characters that QR codes hold two in eleven bits."""
    return base64.b32encode(token).decode().rstrip("=")


def bytes_of(text: str) -> bytes | None:
    """The bytes of a code that was read, in any case and with spaces around; None for no code."""
    tidy = text.strip().upper()
    if len(tidy) != TOKEN_CHARS or not tidy.isascii():
        return None
    try:
        token = base64.b32decode(tidy + _PADDING)
    except binascii.Error:
        return None
    return token if token[0] == VERSION and text_of(token) == tidy else None


def claim_in(token: bytes) -> TicketClaim:
    """What the bytes of a code say, whoever has signed them."""
    return TicketClaim(UUID(bytes=token[2:18]), token[18:26], token[26])


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a ticket when its code is scanned, and of its showtime.

    `opens_at` and `closes_at` are from when until when the cinema lets people in. `entered_at` is
    None for a ticket that was not used. `generation` is that of the code, also of a group's.
    """

    booking_id: UUID
    booked_at: datetime
    place: int
    seat: str
    category: str
    type: str
    proof: str | None
    booking_status: str
    live: bool
    seats_live: int
    generation: int
    group_generation: int
    blocked: bool
    showtime_id: UUID
    cinema_id: UUID
    screen_id: UUID
    called_off: bool
    opens_at: datetime
    closes_at: datetime
    age_rating: str | None
    inside: bool
    entered_at: datetime | None
    left_at: datetime | None
    scanner: str | None

    @property
    def id(self) -> UUID:
        """The ticket's id."""
        return ticket_id(self.booking_id, self.place)

    @property
    def status(self) -> TicketStatus:
        """As clients see it."""
        if not self.live or self.called_off or self.booking_status not in {"pending", "confirmed"}:
            return "cancelled"
        return "valid" if self.entered_at is None else "used"

    def current(self, place: int) -> int:
        """The generation that the code for this place must have."""
        return self.group_generation if place == GROUP else self.generation


class Scanner(msgspec.Struct, frozen=True, kw_only=True):
    """Who scans: a device, or somebody who works at a cinema.

    `cinema_ids` None means all cinemas. `name` is what others are told of where a ticket was used.
    Only those who manage the cinema force.
    """

    id: UUID
    name: str
    cinema_ids: frozenset[UUID] | None
    manages: bool = False
    is_device: bool = False

    def serves(self, cinema_id: UUID) -> bool:
        """Whether it scans at this cinema."""
        return self.cinema_ids is None or cinema_id in self.cinema_ids


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a scanner asks for; `serves` says whether it is of the ticket's cinema."""

    claim: TicketClaim
    serves: bool
    showtime_id: UUID | None
    screen_id: UUID | None
    at: datetime
    direction: Direction
    force: bool


FOR_ALL_AGES: Final = frozenset({None, "0", "G", "U"})
"""Ratings of films with which nobody's age is asked for."""

ScanCode = Literal[
    "TICKET_FORGED",
    "TICKET_REVOKED",
    "TICKET_CANCELLED",
    "TICKET_UNPAID",
    "TICKET_BLOCKED",
    "WRONG_CINEMA",
    "WRONG_SHOWTIME",
    "TOO_EARLY",
    "TOO_LATE",
    "ALREADY_USED",
    "TICKET_NOT_INSIDE",
]

PRECEDENCE: Final[tuple[ScanCode, ...]] = (
    "TICKET_FORGED",
    "TICKET_REVOKED",
    "TICKET_CANCELLED",
    "TICKET_UNPAID",
    "TICKET_BLOCKED",
    "WRONG_CINEMA",
    "WRONG_SHOWTIME",
    "TOO_EARLY",
    "TOO_LATE",
    "ALREADY_USED",
    "TICKET_NOT_INSIDE",
)
"""If several apply, a scanner is told the first."""

FORCED: Final[frozenset[ScanCode]] = frozenset(
    {"TICKET_BLOCKED", "WRONG_SHOWTIME", "TOO_EARLY", "TOO_LATE", "ALREADY_USED"}
)
"""What managers may let in all the same."""


def refusal_of(known: Known | None, asked: Asked) -> ScanCode | None:
    """Why a ticket is not let in or out; None if it is.

    Whether it was used before is decided anew by the database, where scanners meet.
    """
    if known is None or known.showtime_id.bytes[:8] != asked.claim.showtime:
        return "TICKET_FORGED"
    if asked.claim.generation != known.current(asked.claim.place):
        return "TICKET_REVOKED"
    if known.status == "cancelled":
        return "TICKET_CANCELLED"
    if known.booking_status == "pending":
        return "TICKET_UNPAID"
    if known.blocked and asked.direction == "entry" and not asked.force:
        return "TICKET_BLOCKED"
    if not asked.serves:
        return "WRONG_CINEMA"
    if asked.direction == "exit":
        return None if known.inside else "TICKET_NOT_INSIDE"
    return None if asked.force else _at_the_door(known, asked)


def _at_the_door(known: Known, asked: Asked) -> ScanCode | None:
    """What managers may overlook, beside a block."""
    if asked.showtime_id not in {None, known.showtime_id}:
        return "WRONG_SHOWTIME"
    if asked.screen_id not in {None, known.screen_id}:
        return "WRONG_SHOWTIME"
    if asked.at < known.opens_at:
        return "TOO_EARLY"
    if asked.at > known.closes_at:
        return "TOO_LATE"
    return "ALREADY_USED" if known.inside else None


def first_of(codes: Sequence[ScanCode]) -> ScanCode:
    """The refusal of a group of which nobody was let in."""
    return min(codes, key=PRECEDENCE.index)


def checks_of(tickets: Sequence[Known]) -> list[str]:
    """What to look at when these are let in, each once."""
    checks = [f"age {one.age_rating}" for one in tickets if one.age_rating not in FOR_ALL_AGES]
    checks += [one.proof for one in tickets if one.proof]
    return list(dict.fromkeys(checks))


EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Nobody was let in before; what a scanner says of earlier times is a clock that was never set."""


def bounded(at: datetime, now: datetime) -> datetime:
    """When a scan was, as far as it can be true: not in the future, and no time out of reach."""
    return min(max(at, EARLIEST), now)


def corrected(at: datetime, sent_at: datetime | None, now: datetime) -> datetime:
    """When a scan was, by our clock: a scanner's that is wrong is as wrong when it uploads."""
    if sent_at is None:
        return bounded(at, now)
    age = max(sent_at - at, timedelta())
    return now - min(age, now - EARLIEST)
