"""Events of the journal as operators see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_never
from uuid import UUID

import msgspec

from cinema.domain.money import Money
from cinema.domain.seatmap import STATUS_NAMES, SeatPlan
from cinema.domain.showtime.changes import seat_changes
from cinema.domain.showtime.events import (
    AnyEvent,
    BookingCancelled,
    HoldBooked,
    HoldExpired,
    HoldExtended,
    HoldReleased,
    Offering,
    Offers,
    PaymentEnded,
    PaymentReturned,
    PaymentStarted,
    PlanChanged,
    Recorded,
    SalesPaused,
    SalesResumed,
    SeatsBlocked,
    SeatsChanged,
    SeatsHeld,
    SeatsUnblocked,
    ShowtimeCancelled,
    TermsChanged,
    WaitlistJoined,
    WaitlistLeft,
    decode_recorded,
    paid_more,
    refund_of,
)
from cinema.features.operations.history_shapes import EventShown, OfferShown, SeatChange
from cinema.features.operations.node import moment
from cinema.storage.journal.store import JournalRow

UNREADABLE = "Unreadable"


def recorded_in(row: JournalRow) -> Recorded | None:
    """The event in a row; None if its bytes are damaged."""
    try:
        return decode_recorded(row.payload)
    except msgspec.MsgspecError:
        return None


def event_shown(row: JournalRow, plan: SeatPlan, currency: str) -> EventShown:
    """One row, with the labels of the plan that was pinned then."""
    recorded = recorded_in(row)
    if recorded is None:
        return EventShown(
            seq=row.seq, epoch=row.epoch, at=moment(row.recorded_at_us), event=UNREADABLE
        )
    return EventShown(
        seq=row.seq,
        epoch=row.epoch,
        at=moment(row.recorded_at_us),
        event=type(recorded.event).__name__,
        command_id=recorded.command_id.hex(),
        keyed=bool(recorded.fingerprint),
        offers=_offers(recorded.event, plan),
        **_details(recorded.event, plan, currency),
    )


def _offers(event: AnyEvent, plan: SeatPlan) -> list[OfferShown]:
    # The seats of offers that a new plan brings are those of that plan.
    named = not isinstance(event, PlanChanged)
    return [
        OfferShown(
            hold_id=UUID(bytes=offer.hold_id),
            customer_id=UUID(bytes=offer.customer),
            seats=[plan.labels[seat] for seat in offer.seats] if named else [],
        )
        for offer in _offered(event)
    ]


def _offered(event: AnyEvent) -> Offers:
    return event.offers if isinstance(event, Offering) else ()


def _details(  # noqa: C901  (a case for each kind of event)
    event: AnyEvent, plan: SeatPlan, currency: str
) -> dict[str, Any]:
    def labels(seats: tuple[int, ...]) -> list[str]:
        return [plan.labels[seat] for seat in seats]

    def total(prices: tuple[int, ...]) -> Money:
        return Money(sum(prices), currency)

    match event:
        case SeatsHeld() | HoldExtended():
            return {
                "seats": labels(event.seats),
                "hold_id": UUID(bytes=event.hold_id),
                "customer_id": UUID(bytes=event.customer),
                "total": total(event.prices),
                "expires_at": moment(event.expires_at_us),
            }
        case HoldReleased():
            return {
                "seats": labels(event.released),
                "kept": labels(event.seats),
                "hold_id": UUID(bytes=event.hold_id),
                "customer_id": UUID(bytes=event.customer),
            }
        case HoldExpired():
            return {"seats": labels(event.seats), "hold_id": UUID(bytes=event.hold_id)}
        case HoldBooked() | PaymentStarted() | PaymentEnded() | PaymentReturned():
            return {"seats": labels(event.seats), "total": total(event.prices), **_booking(event)}
        case BookingCancelled():
            return {
                "seats": labels(event.cancelled),
                "kept": labels(event.seats),
                "booking_id": UUID(bytes=event.booking_id),
                "customer_id": UUID(bytes=event.customer),
                "total": total(event.cancelled_prices),
                "refund": total((refund_of(event),)),
                **_exchange(event),
            }
        case SeatsChanged():
            return _change(event, labels, total)
        case SeatsBlocked() | SeatsUnblocked():
            return {"seats": labels(event.seats)}
        case SalesPaused() | SalesResumed():
            return {}
        case WaitlistJoined() | WaitlistLeft():
            return {
                "hold_id": UUID(bytes=event.entry_id),
                "customer_id": UUID(bytes=event.customer),
            }
        case ShowtimeCancelled():
            return {
                "version": event.version,
                "seats": labels(event.seats),
                "reason": event.reason,
                "bookings": event.bookings,
            }
        case PlanChanged() | TermsChanged():
            return _terms(event, currency)
        case _:
            assert_never(event)


def _change(
    event: SeatsChanged,
    labels: Callable[[tuple[int, ...]], list[str]],
    total: Callable[[tuple[int, ...]], Money],
) -> dict[str, Any]:
    """`kept` are all seats of the booking afterwards, `total` is what was paid for the change."""
    shown = {
        "seats": labels(event.chosen),
        "left": labels(event.left),
        "kept": labels(event.seats),
        "booking_id": UUID(bytes=event.booking_id),
        "customer_id": UUID(bytes=event.customer),
        "total": total((paid_more(event),)),
        "refund": total((event.refund_minor,)),
    }
    if not event.payment_method:
        return shown
    paid = {"payment_id": UUID(bytes=event.payment_id), "payment_method": event.payment_method}
    return shown | paid


def _exchange(event: BookingCancelled) -> dict[str, Any]:
    return {"exchange_id": UUID(bytes=event.exchange_id)} if event.exchange_id else {}


def _booking(
    event: HoldBooked | PaymentStarted | PaymentEnded | PaymentReturned,
) -> dict[str, Any]:
    """Which hold and booking an event is about, and how it is paid."""
    shown = {
        "hold_id": UUID(bytes=event.hold_id),
        "customer_id": UUID(bytes=event.customer),
        "booking_id": UUID(bytes=event.booking_id),
    }
    if isinstance(event, PaymentEnded | PaymentReturned):
        return shown
    return shown | {
        "code": event.code,
        "payment_id": UUID(bytes=event.payment_id),
        "payment_method": event.payment_method,
    }


def _terms(event: PlanChanged | TermsChanged, currency: str) -> dict[str, Any]:
    """What a showtime sells from an event on."""
    told: dict[str, Any] = {}
    changed = event
    if isinstance(event, PlanChanged):
        told = {
            "old_layout_version": event.old_layout_version,
            "layout_version": event.layout_version,
        }
        changed = event.moved or event
    if isinstance(changed, TermsChanged):
        now = changed.conditions
        told |= {
            "version": changed.version,
            "starts_at": moment(now.starts_at_us),
            "base_price": Money(now.base_price_minor, currency),
        }
    return told


def seat_change(row: JournalRow, event: AnyEvent, seat: int) -> SeatChange | None:
    """The effect of an event on a seat of the plan pinned before it; None if there was none."""
    at = event.mapping[seat] if isinstance(event, PlanChanged) else seat
    for offer in _offered(event):
        if at in offer.seats:
            return SeatChange(
                seq=row.seq,
                epoch=row.epoch,
                at=moment(row.recorded_at_us),
                event=type(event).__name__,
                status="held",
                hold_id=UUID(bytes=offer.hold_id),
                customer_id=UUID(bytes=offer.customer),
            )
    status = None
    if isinstance(event, PlanChanged):
        if event.mapping[seat] >= 0:
            return None
    else:
        found = [after for changed, after in seat_changes(event) if changed == seat]
        if not found:
            return None
        status = STATUS_NAMES[found[0]]
    ids = {
        name: UUID(bytes=raw)
        for name, attribute in (
            ("hold_id", "hold_id"),
            ("booking_id", "booking_id"),
            ("customer_id", "customer"),
        )
        if (raw := getattr(event, attribute, None)) is not None
    }
    return SeatChange(
        seq=row.seq,
        epoch=row.epoch,
        at=moment(row.recorded_at_us),
        event=type(event).__name__,
        status=status,
        **ids,
    )
