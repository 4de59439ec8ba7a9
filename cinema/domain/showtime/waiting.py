"""Entries of a wait list as bytes, and the seats that would do for them.

Layout, little-endian: entry_id (16 bytes), joined_at_us (8), quantity (2), flags (1), then the name
of the category in UTF-8, if there is one.
"""

from __future__ import annotations

from heapq import nsmallest
from struct import Struct
from typing import Final, NamedTuple

from cinema.domain.best_available import find_best_available
from cinema.domain.limits import WAITLIST_END_S
from cinema.domain.seatmap import SeatPlan
from cinema.domain.showtime.events import WaitlistJoined

_HEAD: Final = Struct("<16sqHB")
_ID_BYTES: Final = 16
_ACCESSIBLE: Final = 1
_TOGETHER: Final = 2
_OF_CATEGORY: Final = 4


class Wish(NamedTuple):
    """Which seats would do."""

    quantity: int
    category: str | None
    accessible: bool
    together: bool


class Entry(NamedTuple):
    """One place in a wait list."""

    entry_id: bytes
    joined_at_us: int
    wish: Wish


def packed_entry(at_us: int, event: WaitlistJoined) -> bytes:
    """The bytes of an entry that begins at this moment."""
    flags = event.accessible * _ACCESSIBLE | event.together * _TOGETHER
    if event.category is None:
        return _HEAD.pack(event.entry_id, at_us, event.quantity, flags)
    head = _HEAD.pack(event.entry_id, at_us, event.quantity, flags | _OF_CATEGORY)
    return head + event.category.encode()


def unpacked_entry(packed: bytes) -> Entry:
    """The entry of its bytes."""
    entry_id, joined_at_us, quantity, flags = _HEAD.unpack_from(packed)
    category = packed[_HEAD.size :].decode() if flags & _OF_CATEGORY else None
    wish = Wish(quantity, category, bool(flags & _ACCESSIBLE), bool(flags & _TOGETHER))
    return Entry(entry_id, joined_at_us, wish)


def entry_id_of(packed: bytes) -> bytes:
    """The id of an entry, without unpacking the rest."""
    return packed[:_ID_BYTES]


def waitlist_ends_us(starts_at_us: int, sales_closes_at_us: int) -> int:
    """From when on nobody waits any longer."""
    return min(sales_closes_at_us, starts_at_us - WAITLIST_END_S * 1_000_000)


def seats_for(
    plan: SeatPlan, taken: bytes | bytearray, wish: Wish, *, protect_orphans: bool
) -> tuple[int, ...] | None:
    """The seats to offer, ascending; None if there are none that would do.

    With fewer seats taken there are such seats too: who does not fit now fits at the earliest when
    seats become free.
    """
    category = None
    if wish.category is not None:
        if wish.category not in plan.categories:
            return None
        category = plan.categories.index(wish.category)
    found = find_best_available(
        plan,
        taken,
        wish.quantity,
        category=category,
        accessible=wish.accessible,
        protect_orphans=protect_orphans,
    )
    if found is not None:
        return tuple(found)
    return None if wish.together else _apart(plan, taken, wish, category)


def _apart(
    plan: SeatPlan, taken: bytes | bytearray, wish: Wish, category: int | None
) -> tuple[int, ...] | None:
    """The free seats nearest to the focal point, anywhere; one of them accessible if asked for."""
    category_of, reserved, accessible = plan.category_of, plan.reserved, plan.accessible
    ordinary, places = [], []
    for seat in range(plan.seat_count):
        if taken[seat] or (category is not None and category_of[seat] != category):
            continue
        if accessible[seat]:
            places.append(seat)
        elif not reserved[seat]:
            ordinary.append(seat)
    distance = plan.distance_milli.__getitem__
    places = nsmallest(1, places, key=distance) if wish.accessible else []
    if wish.accessible and not places:
        return None
    others = nsmallest(wish.quantity - len(places), ordinary, key=distance)
    seats = sorted([*places, *others])
    return tuple(seats) if len(seats) == wish.quantity else None
