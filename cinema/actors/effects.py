"""Which relational rows an event writes with itself."""

from __future__ import annotations

from cinema.domain.showtime.events import (
    AnyEvent,
    BookingCancelled,
    HoldBooked,
    PlanChanged,
    SalesPaused,
    SalesResumed,
    SeatsHeld,
)
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.storage.journal.store import (
    BookedSeat,
    BookingMade,
    BookingReduced,
    Effect,
    PlanPinned,
    SalesSwitched,
)


def effect_of(
    event: AnyEvent, terms: ShowtimeTerms, at_us: int, request_key: bytes | None
) -> Effect | None:
    """The rows of an event decided under `terms`; `request_key` is the client's, if it sent one."""
    if isinstance(event, SeatsHeld):
        return None
    match event:
        case HoldBooked():
            return BookingMade(
                booking_id=event.booking_id,
                code=event.code,
                user_id=event.customer,
                hold_id=event.hold_id,
                currency=event.currency,
                seats=tuple(
                    _booked_seat(terms, seat, price)
                    for seat, price in zip(event.seats, event.prices, strict=True)
                ),
                created_at_us=at_us,
                payment_id=event.payment_id,
                payment_method=event.payment_method,
                request_key=request_key,
            )
        case BookingCancelled():
            return BookingReduced(
                booking_id=event.booking_id,
                labels=tuple(terms.plan.labels[seat] for seat in event.cancelled),
                refund_minor=sum(event.cancelled_prices),
                whole=not event.seats,
                at_us=at_us,
            )
        case PlanChanged():
            return PlanPinned(event.layout_version)
        case SalesPaused():
            return SalesSwitched(paused=True)
        case SalesResumed():
            return SalesSwitched(paused=False)
        case _:
            return None


def may_share_batch(effects: list[Effect], effect: Effect) -> bool:
    """Whether one statement can write both: its branches do not see each other's rows.

    New bookings never touch the same row; anything else stands alone among the effects of its
    showtime, and what follows goes with the next batch.
    """
    if not effects:
        return True
    return isinstance(effect, BookingMade) and isinstance(effects[-1], BookingMade)


def _booked_seat(terms: ShowtimeTerms, seat: int, price_minor: int) -> BookedSeat:
    plan = terms.plan
    return BookedSeat(plan.labels[seat], plan.categories[plan.category_of[seat]], price_minor)
