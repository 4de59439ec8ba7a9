"""What an event says, in the words of the box office on paper."""

from __future__ import annotations

from collections.abc import Sequence

from cinema.domain.showtime.events import (
    AnyEvent,
    BookingCancelled,
    HoldBooked,
    HoldExtended,
    HoldReleased,
    PaymentEnded,
    PaymentReturned,
    PaymentStarted,
    SalesPaused,
    SalesResumed,
    SeatsBlocked,
    SeatsChanged,
    SeatsHeld,
    SeatsUnblocked,
)
from tests.unit.domain.showtime.oracle import Done
from tests.unit.domain.showtime.oracle_room import Prices


def told(  # noqa: C901, PLR0912
    event: AnyEvent, labels: Sequence[str]
) -> Done:
    def priced(seats: tuple[int, ...], prices: tuple[int, ...] | None = None) -> Prices:
        pairs = zip(seats, prices or (0,) * len(seats), strict=True)
        return {labels[seat]: price for seat, price in pairs}

    match event:
        case SeatsHeld(hold_id, customer, seats, prices, until_us, _, _):
            return Done("held", hold_id, customer, {}, priced(seats, prices), until_us)
        case HoldExtended(hold_id, customer, seats, prices, until_us):
            return Done("extended", hold_id, customer, {}, priced(seats, prices), until_us)
        case HoldReleased(hold_id, customer, gone, gone_prices, seats, prices, until_us):
            left = priced(seats, prices)
            return Done("released", hold_id, customer, priced(gone, gone_prices), left, until_us)
        case HoldBooked(hold_id, customer, seats, prices):
            return Done("booked", hold_id, customer, {}, priced(seats, prices))
        case PaymentStarted():
            return Done(
                "paying",
                event.hold_id,
                event.customer,
                {},
                priced(event.seats, event.prices),
                event.expires_at_us,
                event.booking_id,
            )
        case PaymentEnded():
            what = "expired" if event.expired else "given up"
            return Done(what, event.hold_id, event.customer, priced(event.seats, event.prices))
        case PaymentReturned():
            seats = priced(event.seats, event.prices)
            gone, left = (seats, {}) if event.waited else ({}, seats)
            return Done("given back", event.hold_id, event.customer, gone, left)
        case BookingCancelled(booking_id, customer, gone, gone_prices, seats, prices):
            left = priced(seats, prices)
            return Done("cancelled", booking_id, customer, priced(gone, gone_prices), left)
        case SeatsChanged():
            gone = priced(event.left, event.left_prices)
            left = priced(event.seats, event.prices)
            return Done("changed", event.booking_id, event.customer, gone, left)
        case SeatsBlocked(seats):
            return Done("blocked", left=priced(seats))
        case SeatsUnblocked(seats):
            return Done("unblocked", gone=priced(seats))
        case SalesPaused() | SalesResumed():
            return Done("paused" if isinstance(event, SalesPaused) else "resumed")
        case _:
            raise AssertionError(event)
