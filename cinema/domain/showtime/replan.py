"""Carrying seats from one version of a seat plan to the next.

A mapping gives each old seat its new index, or -1 where the seat is gone. Seats that are taken
always have a new index (`decide` refuses the change otherwise); what is merely remembered, an
ended hold or a stored reply, keeps the seats that still exist.
"""

from __future__ import annotations

import msgspec

from cinema.domain.showtime.events import (
    AnyEvent,
    BookingCancelled,
    HoldBooked,
    HoldExtended,
    HoldReleased,
    Prices,
    Seats,
    SeatsBlocked,
    SeatsHeld,
    SeatsUnblocked,
)
from cinema.domain.showtime.packed import pack, unpack

Mapping = tuple[int, ...]


def moved_group(packed: bytes, mapping: Mapping) -> bytes:
    """A packed hold or booking under the new plan."""
    group = unpack(packed)
    seats, prices = _moved(group.seats, group.prices, mapping)
    return pack(group.customer, group.placed_at_us, group.expires_at_us, seats, prices)


def moved_event(event: AnyEvent, mapping: Mapping) -> AnyEvent:
    """An event as it reads under the new plan."""
    match event:
        case SeatsHeld() | HoldExtended() | HoldBooked():
            seats, prices = _moved(event.seats, event.prices, mapping)
            return msgspec.structs.replace(event, seats=seats, prices=prices)
        case HoldReleased():
            released, released_prices = _moved(event.released, event.released_prices, mapping)
            seats, prices = _moved(event.seats, event.prices, mapping)
            return msgspec.structs.replace(
                event,
                released=released,
                released_prices=released_prices,
                seats=seats,
                prices=prices,
            )
        case BookingCancelled():
            cancelled, cancelled_prices = _moved(event.cancelled, event.cancelled_prices, mapping)
            seats, prices = _moved(event.seats, event.prices, mapping)
            return msgspec.structs.replace(
                event,
                cancelled=cancelled,
                cancelled_prices=cancelled_prices,
                seats=seats,
                prices=prices,
            )
        case SeatsBlocked() | SeatsUnblocked():
            kept = tuple(mapping[seat] for seat in event.seats if mapping[seat] >= 0)
            return msgspec.structs.replace(event, seats=kept)
        case _:
            return event


def composed(first: Mapping, then: Mapping) -> Mapping:
    """The mapping that does `first`, then `then`."""
    return tuple(then[seat] if seat >= 0 else -1 for seat in first)


def _moved(seats: Seats, prices: Prices, mapping: Mapping) -> tuple[Seats, Prices]:
    kept = [
        (mapping[seat], price)
        for seat, price in zip(seats, prices, strict=True)
        if mapping[seat] >= 0
    ]
    return tuple(seat for seat, _ in kept), tuple(price for _, price in kept)
