"""Tickets, scans and scanners as clients send and see them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.domain.limits_catalog import PAGE_DEFAULT
from cinema.domain.paging import Cursor, Limit

SCANS_LIMIT: Final = 500
"""Scans that a scanner uploads at once: a full auditorium."""

TicketStatus = Literal["valid", "used", "cancelled"]
Direction = Literal["entry", "exit"]
Code = Annotated[str, Meta(min_length=1, max_length=256)]
Nonce = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[!-~]+$")]
Reason = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^\S(.*\S)?$")]
Moment = Annotated[datetime, Meta(tz=True)]


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket: the right of one person to one seat.

    `token` is the text of its code; a cancelled ticket has none. `group_token` is that of the
    whole booking, where it has several tickets: it lets in all who are not in yet. `used_at` is
    when somebody was let in with it.
    """

    id: UUID
    booking_id: UUID
    showtime_id: UUID
    seat: str
    category: str
    type: str
    status: TicketStatus
    blocked: bool
    token: str | None
    group_token: str | None
    used_at: datetime | None


class TicketQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which tickets: those of the caller, or of one booking that the caller may see.

    `upcoming` are those of showtimes that are not over.
    """

    when: Literal["upcoming", "past"] | None = None
    booking_id: UUID | None = None
    limit: Limit = PAGE_DEFAULT
    cursor: Cursor | None = None


class CodeQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which code: that of the ticket, or of the whole booking."""

    of: Literal["ticket", "group"] = "ticket"


class LanguageQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """In which language."""

    language: Literal["en", "de"] | None = None


class ReasonInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why."""

    reason: Reason


class ScanInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A code that was shown at a door.

    `showtime_id` and `screen_id` say which door; without them all showtimes of the cinema are
    taken. `at` is when it was shown, now without it. With a `nonce` the scan can be repeated: the
    same scanner gets the same answer. Managers let in with `force` what does not fit the door, the
    time or the number of entries.
    """

    token: Code
    showtime_id: UUID | None = None
    screen_id: UUID | None = None
    device_id: UUID | None = None
    nonce: Nonce | None = None
    at: Moment | None = None
    direction: Direction = "entry"
    force: bool = False


class NotAdmitted(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket of a group that was not let in, and why."""

    ticket_id: UUID
    seat: str
    code: str


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """Who was let in, or out.

    `checks` are what to look at: an age, a proof. The code of a booking has several `tickets`, of
    which `ticket` is the first; those that were not let in are `refused`.
    """

    admitted: bool
    direction: Direction
    ticket: Ticket
    tickets: list[Ticket]
    checks: list[str]
    refused: list[NotAdmitted] = []


class OfflineScan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scan without a connection: when, by the scanner's clock, and a nonce of its own."""

    token: Code
    at: Moment
    nonce: Nonce
    direction: Direction = "entry"


class OfflineScans(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Scans that were made without a connection.

    `sent_at` is the time of the scanner's clock now: by it a clock that is wrong is put right.
    """

    scans: Annotated[list[OfflineScan], Meta(min_length=1, max_length=SCANS_LIMIT)]
    sent_at: Moment | None = None
    device_id: UUID | None = None


class ScanOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an uploaded scan; `code` says why it was refused. `at` is the right time."""

    nonce: str
    outcome: Literal["admitted", "conflict", "refused"]
    at: datetime
    ticket_ids: list[UUID] = []
    code: str | None = None


class ScanConflict(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket with which two were let in: the one at `first_at`, and another one at `also_at`."""

    ticket_id: UUID
    seat: str
    nonce: str
    first_at: datetime
    first_by: str
    also_at: datetime
    also_by: str


class Uploaded(msgspec.Struct, frozen=True, kw_only=True):
    """What became of uploaded scans, in the order in which they were sent."""

    scans: list[ScanOutcome]
    conflicts: list[ScanConflict]


class ListedTicket(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket in the list of a scanner: a code is good if it has this id and `generation`."""

    id: UUID
    generation: int
    seat: str
    state: Literal["valid", "used", "blocked"]
    checks: list[str]


class ListedGroup(msgspec.Struct, frozen=True, kw_only=True):
    """The code of a booking with several tickets."""

    id: UUID
    generation: int
    ticket_ids: list[UUID]


class PublicKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that has signed tickets."""

    key_id: int
    public_key: str


class ScanList(msgspec.Struct, frozen=True, kw_only=True):
    """All that a scanner needs to know of a showtime without a connection; no names.

    `keys` are the public keys of tickets: Ed25519, in base64url, by the number in the code.
    """

    showtime_id: UUID
    cinema_id: UUID
    screen_id: UUID
    film: str
    starts_at: datetime
    ends_at: datetime
    opens_at: datetime
    closes_at: datetime
    cancelled: bool
    tickets: list[ListedTicket]
    groups: list[ListedGroup]
    keys: list[PublicKey]


class SignedScanList(msgspec.Struct, frozen=True, kw_only=True):
    """A list and its signature, by the key `key_id`.

    What is signed is the list as canonical JSON (RFC 8785): keys in order, no spaces, UTF-8.
    """

    list: ScanList
    key_id: int
    signature: str


class Attendee(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket that was used."""

    ticket_id: UUID
    seat: str
    type: str
    inside: bool
    entered_at: datetime
    left_at: datetime | None
    scanner: str


class Attendance(msgspec.Struct, frozen=True, kw_only=True):
    """Who is in: of `sold` tickets so many were `used`, and so many of these are `inside` now."""

    showtime_id: UUID
    sold: int
    used: int
    inside: int
    entries: list[Attendee]


class DeviceInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scanner, by the name of its door."""

    name: Annotated[
        str, Meta(min_length=1, max_length=60, pattern=r"^\S(.*\S)?$", examples=["Door 1"])
    ]


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A scanner of a cinema."""

    id: UUID
    cinema_id: UUID
    name: str
    created_at: datetime
    revoked_at: datetime | None


class NewDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A new scanner; only this answer has its token."""

    device: Device
    token: str


class ScanRefusal(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a scan that was refused, as it is kept for repetitions."""

    code: str
    details: dict[str, Any]


class PrintedTicket(msgspec.Struct, frozen=True, kw_only=True):
    """What is printed of one ticket."""

    seat: str
    category: str
    type: str
    token: str


class PrintedTickets(msgspec.Struct, frozen=True, kw_only=True):
    """What is printed of a booking; `starts` is on the cinema's clock: `2026-06-01 20:15`."""

    language: str
    booking_id: UUID
    created_at: datetime
    code: str
    film: str
    age_rating: str | None
    cinema: str
    address: str
    screen: str
    starts: str
    about: str
    group_token: str | None
    tickets: list[PrintedTicket]
