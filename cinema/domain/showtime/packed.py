"""Holds and bookings as bytes: 20,000 resident showtimes have no room for objects.

Layout, little-endian: customer (16 bytes), placed_at_us, expires_at_us (8 each), then for each
seat its index (2) and price (4). A booking has the moments of its making and its last change. A
hold that was priced by a price book ends with its mark: the version of the book, and how many seats
were taken before it (4 each).
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from cinema.domain.showtime.events import Prices, Seats

_HEAD = Struct("<16sqq")
CUSTOMER_BYTES = 16
HEAD_BYTES = _HEAD.size
SEAT_BYTES = 6
_MARK = Struct("<II")
_EXPIRY = Struct("<q")
_EXPIRY_OFFSET = 24


class SeatGroup(NamedTuple):
    """A hold or booking, unpacked."""

    customer: bytes
    placed_at_us: int
    expires_at_us: int
    seats: Seats
    prices: Prices


@lru_cache(maxsize=512)
def _seats_format(count: int) -> Struct:
    return Struct("<16sqq" + "HI" * count)


def pack(
    customer: bytes,
    placed_at_us: int,
    expires_at_us: int,
    seats: Seats,
    prices: Prices,
    mark: bytes = b"",
) -> bytes:
    """The bytes of one hold or booking."""
    if len(seats) == 1:
        return _ONE.pack(customer, placed_at_us, expires_at_us, seats[0], prices[0]) + mark
    flat = [value for pair in zip(seats, prices, strict=True) for value in pair]
    return _seats_format(len(seats)).pack(customer, placed_at_us, expires_at_us, *flat) + mark


def priced_by(book_version: int, taken: int) -> bytes:
    """The mark of a hold that was priced by a version of a book."""
    return _MARK.pack(book_version, taken)


def mark_of(packed: bytes) -> bytes:
    """The mark of a hold; empty if it has none."""
    # Seats are six bytes each: what is left over shows a mark.
    return packed[-_MARK.size :] if (len(packed) - HEAD_BYTES) % SEAT_BYTES else b""


def book_and_taken(packed: bytes) -> tuple[int, int]:
    """The version of the book by which a hold was priced, and the seats taken; zeros without."""
    mark = mark_of(packed)
    if not mark:
        return 0, 0
    book_version, taken = _MARK.unpack(mark)
    return book_version, taken


def unpack(packed: bytes) -> SeatGroup:
    """The hold or booking of its bytes."""
    count = seats_in(packed)
    customer, placed_at_us, expires_at_us, *flat = _seats_format(count).unpack_from(packed)
    return SeatGroup(customer, placed_at_us, expires_at_us, tuple(flat[::2]), tuple(flat[1::2]))


def customer_of(packed: bytes) -> bytes:
    """The customer of a hold or booking, without unpacking the rest."""
    return packed[:CUSTOMER_BYTES]


def seats_in(packed: bytes) -> int:
    """How many seats it has, without unpacking them."""
    seats_bytes = len(packed) - HEAD_BYTES
    return (seats_bytes - _MARK.size if seats_bytes % SEAT_BYTES else seats_bytes) // SEAT_BYTES


def expiry_of(packed: bytes) -> int:
    """The deadline in microseconds, without unpacking the rest."""
    expires_at_us: int = _EXPIRY.unpack_from(packed, _EXPIRY_OFFSET)[0]
    return expires_at_us


_ONE = _seats_format(1)
