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
    PlanChanged,
    Prices,
    SalesResumed,
    Seats,
    SeatsBlocked,
    SeatsChanged,
    SeatsHeld,
    SeatsUnblocked,
    TermsChanged,
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
    """An event as it reads under the new plan.

    Without its offers: they are holds of others by then, and no part of what a reply tells.
    """
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
        case SeatsHeld() | HoldExtended():
            seats, prices = _moved(event.seats, event.prices, mapping)
            return msgspec.structs.replace(event, seats=seats, prices=prices)
        case PaymentEnded() | PaymentReturned():
            seats, prices = _moved(event.seats, event.prices, mapping)
            return msgspec.structs.replace(event, seats=seats, prices=prices, offers=())
        case HoldReleased():
            released, released_prices = _moved(event.released, event.released_prices, mapping)
            seats, prices = _moved(event.seats, event.prices, mapping)
            return msgspec.structs.replace(
                event,
                released=released,
                released_prices=released_prices,
                seats=seats,
                prices=prices,
                offers=(),
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
                offers=(),
            )
        case SeatsChanged():
            return _moved_change(event, mapping)
        case SeatsBlocked():
            return SeatsBlocked(_kept(event.seats, mapping))
        case SeatsUnblocked():
            return SeatsUnblocked(_kept(event.seats, mapping))
        case SalesResumed() | TermsChanged() | PlanChanged():
            return msgspec.structs.replace(event, offers=())
        case _:
            return event


def _moved_change(event: SeatsChanged, mapping: Mapping) -> SeatsChanged:
    left, left_prices = _moved(event.left, event.left_prices, mapping)
    chosen, chosen_prices = _moved(event.chosen, event.chosen_prices, mapping)
    seats, prices = _moved(event.seats, event.prices, mapping)
    holds = []
    for hold in event.holds:
        used = _kept(hold.used, mapping)
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
        offers=(),
    )


def _kept(seats: Seats, mapping: Mapping) -> Seats:
    return tuple(mapping[seat] for seat in seats if mapping[seat] >= 0)


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
