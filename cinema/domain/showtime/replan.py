"""Carrying seats from one version of a seat plan to the next.

A mapping gives each old seat its new index, or -1 where the seat is gone. Seats that are taken
always have a new index (`decide` refuses the change otherwise). What is only remembered (an
ended hold, a stored reply) keeps the seats that still exist.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from cinema.domain.showtime.events import (
    AnyEvent,
    BookingCancelled,
    HoldBooked,
    HoldExtended,
    HoldReleased,
    HoldUsed,
    PaymentEnded,
    PaymentReturned,
    PaymentStarted,
    Prices,
    Seats,
    SeatsBlocked,
    SeatsChanged,
    SeatsHeld,
    SeatsUnblocked,
)
from cinema.domain.showtime.packed import mark_of, pack, unpack

Mapping = tuple[int, ...]

Value = TypeVar("Value")


def moved_group(packed: bytes, mapping: Mapping) -> bytes:
    """A packed hold or booking under the new plan."""
    group = unpack(packed)
    seats, prices = _moved(group.seats, group.prices, mapping)
    mark = mark_of(packed)
    return pack(group.customer, group.placed_at_us, group.expires_at_us, seats, prices, mark)


def moved_event(event: AnyEvent, mapping: Mapping) -> AnyEvent:
    """An event as it reads under the new plan."""
    match event:
        case HoldBooked() | PaymentStarted():
            seats, prices = _moved(event.seats, event.prices, mapping)
            return msgspec.structs.replace(
                event,
                seats=seats,
                prices=prices,
                types=_still_there(event.types, event.seats, mapping),
                taxes=_still_there(event.taxes, event.seats, mapping),
            )
        case SeatsHeld() | HoldExtended() | PaymentEnded() | PaymentReturned():
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
        case SeatsChanged():
            return _moved_change(event, mapping)
        case SeatsBlocked() | SeatsUnblocked():
            kept = tuple(mapping[seat] for seat in event.seats if mapping[seat] >= 0)
            return msgspec.structs.replace(event, seats=kept)
        case _:
            return event


def _moved_change(event: SeatsChanged, mapping: Mapping) -> SeatsChanged:
    left, left_prices = _moved(event.left, event.left_prices, mapping)
    chosen, chosen_prices = _moved(event.chosen, event.chosen_prices, mapping)
    seats, prices = _moved(event.seats, event.prices, mapping)
    holds = []
    for hold in event.holds:
        used = tuple(mapping[seat] for seat in hold.used if mapping[seat] >= 0)
        holds.append(HoldUsed(hold.hold_id, used, *_moved(hold.seats, hold.prices, mapping)))
    return msgspec.structs.replace(
        event,
        left=left,
        left_prices=left_prices,
        chosen=chosen,
        chosen_prices=chosen_prices,
        seats=seats,
        prices=prices,
        holds=tuple(holds),
        types=_still_there(event.types, event.chosen, mapping),
        taxes=_still_there(event.taxes, event.chosen, mapping),
    )


def composed(first: Mapping, then: Mapping) -> Mapping:
    """The mapping that does `first`, then `then`."""
    return tuple(then[seat] if seat >= 0 else -1 for seat in first)


def _still_there(values: tuple[Value, ...], seats: Seats, mapping: Mapping) -> tuple[Value, ...]:
    """What is known of seats, without that of seats that are gone; there may be nothing known."""
    if not values:
        return values
    pairs = zip(values, seats, strict=True)
    return tuple(value for value, seat in pairs if mapping[seat] >= 0)


def _moved(seats: Seats, prices: Prices, mapping: Mapping) -> tuple[Seats, Prices]:
    kept = [
        (mapping[seat], price)
        for seat, price in zip(seats, prices, strict=True)
        if mapping[seat] >= 0
    ]
    return tuple(seat for seat, _ in kept), tuple(price for _, price in kept)
