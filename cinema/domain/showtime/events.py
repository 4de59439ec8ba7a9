"""What happened at a showtime, as its journal keeps it.

Seats are indexes into the plan pinned at that moment. Every event names all the seats it
touches, so that a reply, a watcher's frame and a relational row follow from the event alone.
Tags and field order are the stored format: add fields at the end only, never reuse a tag.
"""

from __future__ import annotations

import msgspec

Seats = tuple[int, ...]
Prices = tuple[int, ...]


class Event(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What all events have in common: nothing but being one."""


class SeatsHeld(Event, frozen=True, gc=False, array_like=True, tag=1):
    """Seats were free and are now held by one customer; `prices` in minor units, one a seat."""

    hold_id: bytes
    customer: bytes
    seats: Seats
    prices: Prices
    expires_at_us: int


class HoldExtended(Event, frozen=True, gc=False, array_like=True, tag=2):
    """A live hold got a later deadline."""

    hold_id: bytes
    customer: bytes
    seats: Seats
    prices: Prices
    expires_at_us: int


class HoldReleased(Event, frozen=True, gc=False, array_like=True, tag=3):
    """`released` are free again; `seats` stay held, and the hold ended if there are none."""

    hold_id: bytes
    customer: bytes
    released: Seats
    released_prices: Prices
    seats: Seats
    prices: Prices
    expires_at_us: int


class HoldExpired(Event, frozen=True, gc=False, array_like=True, tag=4):
    """A hold's deadline passed; its seats are free again."""

    hold_id: bytes
    seats: Seats


class HoldBooked(Event, frozen=True, gc=False, array_like=True, tag=5):
    """A hold became a booking."""

    hold_id: bytes
    customer: bytes
    seats: Seats
    prices: Prices
    booking_id: bytes
    code: str
    payment_id: bytes
    payment_method: str
    currency: str


class BookingCancelled(Event, frozen=True, gc=False, array_like=True, tag=6):
    """`cancelled` are free again; `seats` stay booked, and the booking ended if there are none."""

    booking_id: bytes
    customer: bytes
    cancelled: Seats
    cancelled_prices: Prices
    seats: Seats
    prices: Prices


class SeatsBlocked(Event, frozen=True, gc=False, array_like=True, tag=7):
    """Free seats were taken off sale."""

    seats: Seats


class SeatsUnblocked(Event, frozen=True, gc=False, array_like=True, tag=8):
    """Blocked seats were put back on sale."""

    seats: Seats


class SalesPaused(Event, frozen=True, gc=False, array_like=True, tag=9):
    """New holds are refused from here on."""


class SalesResumed(Event, frozen=True, gc=False, array_like=True, tag=10):
    """New holds are accepted from here on."""


class Conditions(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What a showtime sells and when, as its row in the catalogue has it.

    `price_overrides` gives categories a price of their own, minor units; `rules` is the JSON of the
    rules that the showtime has of its own; `local_date` is the day of the start at the cinema.
    """

    movie_id: bytes
    screen_id: bytes
    starts_at_us: int
    ends_at_us: int
    clear_at_us: int
    local_date: str
    base_price_minor: int
    price_overrides: tuple[tuple[str, int], ...]
    format: str
    language: str
    sales_opens_at_us: int
    sales_closes_at_us: int
    rules: str


class TermsChanged(Event, frozen=True, gc=False, array_like=True, tag=12):
    """The showtime is sold by other terms from here on; holds keep what they were quoted.

    `version` is that of its row. `promised_start_us` is the start that its customers count on;
    until `free_refund_until_us` (0: there is no such time) they may give all of it back.
    `told_starts_us` are the earliest and the latest start at which those who have seats now may
    have got them; zeros from builds that did not say it.
    """

    version: int
    conditions: Conditions
    promised_start_us: int
    free_refund_until_us: int
    told_starts_us: tuple[int, int] = (0, 0)


class PlanChanged(Event, frozen=True, gc=False, array_like=True, tag=11):
    """Another plan version is pinned; `mapping` gives each old seat's new index or -1.

    `terms_version` is the version of the showtime's row, 0 from builds that did not raise it.
    `moved` says what else changed if the plan is that of another screen.
    """

    old_layout_version: int
    layout_version: int
    seat_count: int
    mapping: tuple[int, ...]
    terms_version: int = 0
    moved: TermsChanged | None = None


class ShowtimeCancelled(Event, frozen=True, gc=False, array_like=True, tag=13):
    """The showtime does not take place: `holds` end, and their `seats` are free again.

    `bookings` so many are still to be cancelled, which the job `job_id` does; it is empty if there
    are none. `version` is that of the showtime's row.
    """

    version: int
    reason: str
    holds: tuple[bytes, ...]
    seats: Seats
    bookings: int
    job_id: bytes


AnyEvent = (
    SeatsHeld
    | HoldExtended
    | HoldReleased
    | HoldExpired
    | HoldBooked
    | BookingCancelled
    | SeatsBlocked
    | SeatsUnblocked
    | SalesPaused
    | SalesResumed
    | PlanChanged
    | TermsChanged
    | ShowtimeCancelled
)


class Recorded(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An event as the journal stores it: with the command that caused it.

    `command_id` is empty for what the clock caused; `fingerprint` is empty without a client's key.
    """

    command_id: bytes
    fingerprint: bytes
    event: AnyEvent


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Recorded).decode


def encode_recorded(command_id: bytes, fingerprint: bytes, event: AnyEvent) -> bytes:
    """The journal payload of one event."""
    return _encode((command_id, fingerprint, event))


def decode_recorded(payload: bytes) -> Recorded:
    """The event of a journal payload; raises `msgspec.DecodeError` on a damaged one."""
    return _decode(payload)
