"""Holds and bookings as bytes: 20,000 resident showtimes have no room for objects.

Layout, little-endian: customer (16 bytes), placed_at_us, expires_at_us (8 each), then for each
seat its index (2) and price (4). A booking has its moment in both times.
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
    customer: bytes, placed_at_us: int, expires_at_us: int, seats: Seats, prices: Prices
) -> bytes:
    """The bytes of one hold or booking."""
    if len(seats) == 1:
        return _ONE.pack(customer, placed_at_us, expires_at_us, seats[0], prices[0])
    flat = [value for pair in zip(seats, prices, strict=True) for value in pair]
    return _seats_format(len(seats)).pack(customer, placed_at_us, expires_at_us, *flat)


def unpack(packed: bytes) -> SeatGroup:
    """The hold or booking of its bytes."""
    count = (len(packed) - HEAD_BYTES) // SEAT_BYTES
    customer, placed_at_us, expires_at_us, *flat = _seats_format(count).unpack(packed)
    return SeatGroup(customer, placed_at_us, expires_at_us, tuple(flat[::2]), tuple(flat[1::2]))


def customer_of(packed: bytes) -> bytes:
    """The customer of a hold or booking, without unpacking the rest."""
    return packed[:CUSTOMER_BYTES]


def seats_in(packed: bytes) -> int:
    """How many seats it has, without unpacking them."""
    return (len(packed) - HEAD_BYTES) // SEAT_BYTES


def expiry_of(packed: bytes) -> int:
    """The deadline in microseconds, without unpacking the rest."""
    expires_at_us: int = _EXPIRY.unpack_from(packed, _EXPIRY_OFFSET)[0]
    return expires_at_us


_ONE = _seats_format(1)
