"""What is told of what happened: ids, seats and amounts, nobody's name. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from cinema.features.events.shapes import EventType

OF_BOOKINGS: Final = ("booking.", "ticket.")
"""How the kinds begin that are about a booking; all others are about a showtime."""


class OutboxEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the outbox, with the cinema of its showtime and what that charges in.

    `seq` is 0 where no event of the journal led to it.
    """

    id: int
    showtime_id: UUID
    seq: int
    kind: str
    payload: Mapping[str, Any]
    at: datetime
    cinema_id: UUID | None
    currency: str | None


class RefundTold(msgspec.Struct, frozen=True, kw_only=True):
    """A refund whose present status was not told yet."""

    id: UUID
    payment_id: UUID
    booking_id: UUID
    showtime_id: UUID
    kind: str
    amount_minor: int
    currency: str
    status: str
    told: str | None
    error_code: str | None
    cinema_id: UUID | None


class NewPublicEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A public event that has no number yet."""

    type: EventType
    showtime_id: UUID
    booking_id: UUID | None
    cinema_id: UUID | None
    journal_seq: int | None
    data: dict[str, Any]
    at: datetime

    @property
    def subject(self) -> UUID:
        """What the event is about."""
        return self.booking_id or self.showtime_id


class Unclear(Exception):
    """A row of the outbox that does not say what its kind has to say."""


def event_of(told: OutboxEvent) -> NewPublicEvent:
    """The event that a row of the outbox becomes. Raises `Unclear`."""
    type_, make = KINDS[told.kind]
    try:
        data = make(told.payload, told.currency)
        of_booking = told.kind.startswith(OF_BOOKINGS)
        booking_id = UUID(told.payload["booking_id"]) if of_booking else None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Unclear(f"{type(error).__name__}: {error}") from error
    return NewPublicEvent(
        type=type_,
        showtime_id=told.showtime_id,
        booking_id=booking_id,
        cinema_id=told.cinema_id,
        journal_seq=told.seq or None,
        data=data,
        at=told.at,
    )


def refund_event(refund: RefundTold, at: datetime) -> NewPublicEvent | None:
    """The event of a refund's present status; None if it is none that anybody waits for."""
    type_: EventType
    if refund.status == "succeeded":
        type_ = "refund.succeeded"
    elif refund.status == "failed":
        type_ = "refund.failed"
    elif refund.told is None:
        type_ = "refund.created"
    else:
        # Staff ask for a failed refund again: what comes of it is told.
        return None
    return NewPublicEvent(
        type=type_,
        showtime_id=refund.showtime_id,
        booking_id=refund.booking_id,
        cinema_id=refund.cinema_id,
        journal_seq=None,
        data={
            "refund_id": str(refund.id),
            "payment_id": str(refund.payment_id),
            "kind": refund.kind,
            "amount": _money(refund.amount_minor, refund.currency),
            "error_code": refund.error_code if refund.status == "failed" else None,
        },
        at=at,
    )


def numbered(events: Sequence[NewPublicEvent]) -> list[tuple[int, int]]:
    """For each event the how manieth of its subject it is here, and how many the subject has."""
    counts: dict[UUID, int] = {}
    nths = []
    for event in events:
        nth = counts[event.subject] = counts.get(event.subject, 0) + 1
        nths.append(nth)
    return [(nth, counts[event.subject]) for nth, event in zip(nths, events, strict=True)]


def _money(amount_minor: int, currency: str | None) -> dict[str, Any]:
    if currency is None or not isinstance(amount_minor, int):
        raise ValueError("an amount without its currency")
    return {"amount": amount_minor, "currency": currency}


Payload = Mapping[str, Any]
Make = Callable[[Payload, str | None], dict[str, Any]]


def _confirmed(told: Payload, _currency: str | None) -> dict[str, Any]:
    total = _money(told["total_minor"], told["currency"])
    return {"seats": list(told["seats"]), "total": total}


def _changed(told: Payload, _currency: str | None) -> dict[str, Any]:
    return {
        "left": list(told["left"]),
        "chosen": list(told["chosen"]),
        "paid": _money(told["paid_minor"], told["currency"]),
        "refund": _money(told["refund_minor"], told["currency"]),
    }


def _cancelled(told: Payload, currency: str | None) -> dict[str, Any]:
    return {
        "seats": list(told["seats"]),
        "whole": bool(told["whole"]),
        "refund": _money(told["refund_minor"], currency),
    }


def _moved(told: Payload, _currency: str | None) -> dict[str, Any]:
    return {
        "before": _place(told["before"]),
        "after": _place(told["after"]),
        "free_refund_until": told["free_refund_until"],
    }


def _place(told: Payload) -> dict[str, Any]:
    return {"starts_at": told["starts_at"], "screen_id": told["screen_id"]}


def _called_off(told: Payload, _currency: str | None) -> dict[str, Any]:
    return {"reason": told["reason"], "bookings": told["bookings"]}


def _ticket(told: Payload, _currency: str | None) -> dict[str, Any]:
    return {"ticket_id": told["ticket_id"], "seat": told["seat"]}


def _at_the_door(told: Payload, currency: str | None) -> dict[str, Any]:
    return {**_ticket(told, currency), "at": told["at"]}


KINDS: Final[Mapping[str, tuple[EventType, Make]]] = {
    "booking.confirmed": ("booking.confirmed", _confirmed),
    "booking.changed": ("booking.changed", _changed),
    "booking.cancelled": ("booking.cancelled", _cancelled),
    "showtime.rescheduled": ("showtime.rescheduled", _moved),
    "showtime.moved": ("showtime.moved", _moved),
    "showtime.cancelled": ("showtime.cancelled", _called_off),
    "ticket.admitted": ("ticket.admitted", _at_the_door),
    "ticket.left": ("ticket.left", _at_the_door),
    "ticket.unscanned": ("ticket.unscanned", _at_the_door),
    "ticket.reissued": ("ticket.reissued", _ticket),
    "ticket.blocked": ("ticket.blocked", _ticket),
    "ticket.unblocked": ("ticket.unblocked", _ticket),
}
"""What becomes of the rows of the outbox, by their kind. Rows of another kind stay there."""
