"""What becomes of rows of the outbox, and of refunds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args
from uuid import UUID

import msgspec
import pytest

from cinema.features.events.rules import (
    KINDS,
    NewPublicEvent,
    OutboxEvent,
    RefundTold,
    Unclear,
    event_of,
    numbered,
    refund_event,
)
from cinema.features.events.shapes import EventType

NOW = datetime(2026, 6, 1, 17, 31, tzinfo=UTC)
SHOWTIME, BOOKING, CINEMA, USER = (UUID(int=one) for one in range(1, 5))
PLACES = {
    "before": {"starts_at": "2026-06-01T20:00:00+00:00", "screen_id": str(UUID(int=8))},
    "after": {"starts_at": "2026-06-01T22:00:00+00:00", "screen_id": str(UUID(int=9))},
}
OF_BOOKING = {"booking_id": str(BOOKING), "user_id": str(USER)}
PAYLOADS: dict[str, dict[str, Any]] = {
    "booking.confirmed": {
        **OF_BOOKING,
        "seats": ["A1"],
        "total_minor": 1000,
        "currency": "EUR",
    },
    "booking.changed": {
        **OF_BOOKING,
        "left": ["A1"],
        "chosen": ["A2"],
        "paid_minor": 200,
        "refund_minor": 0,
        "currency": "EUR",
    },
    "booking.cancelled": {**OF_BOOKING, "seats": ["A2"], "refund_minor": 900, "whole": True},
    "showtime.rescheduled": {**PLACES, "free_refund_until": "2026-06-08T00:00:00+00:00"},
    "showtime.moved": {**PLACES, "free_refund_until": None},
    "showtime.cancelled": {"reason": "No heating.", "bookings": 3},
    **{
        f"ticket.{what}": {**OF_BOOKING, "ticket_id": "t", "seat": "A1", "at": "2026-06-01T20:00Z"}
        for what in ("admitted", "left", "unscanned", "reissued", "blocked", "unblocked")
    },
}


def told(kind: str, **changes: Any) -> OutboxEvent:
    return OutboxEvent(
        id=1,
        showtime_id=SHOWTIME,
        seq=7,
        kind=kind,
        payload={**PAYLOADS[kind], **changes},
        at=NOW,
        cinema_id=CINEMA,
        currency="EUR",
    )


def refund(status: str, before: str | None = None) -> RefundTold:
    return RefundTold(
        id=UUID(int=11),
        payment_id=UUID(int=12),
        booking_id=BOOKING,
        showtime_id=SHOWTIME,
        kind="cancellation",
        amount_minor=900,
        currency="EUR",
        status=status,
        told=before,
        error_code="charge_disputed",
        cinema_id=CINEMA,
    )


def test_each_kind_has_an_example_and_each_type_a_source() -> None:
    assert KINDS.keys() == PAYLOADS.keys()
    of_refunds = {"refund.created", "refund.succeeded", "refund.failed"}
    assert {type_ for type_, _ in KINDS.values()} | of_refunds == set(get_args(EventType))


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_has_no_name_of_anybody(kind: str) -> None:
    event = event_of(told(kind))
    assert (event.type, event.showtime_id, event.journal_seq) == (kind, SHOWTIME, 7)
    of_booking = not kind.startswith("showtime.")
    assert event.booking_id == (BOOKING if of_booking else None)
    assert event.subject == (BOOKING if of_booking else SHOWTIME)
    assert str(USER) not in msgspec.json.encode(event).decode()


def test_what_no_event_of_the_journal_led_to_has_no_seq() -> None:
    at_the_door = msgspec.structs.replace(told("ticket.admitted"), seq=0)
    event = event_of(at_the_door)
    assert event.journal_seq is None
    assert event.data == {"ticket_id": "t", "seat": "A1", "at": "2026-06-01T20:00Z"}
    assert event_of(told("ticket.blocked")).data == {"ticket_id": "t", "seat": "A1"}


def test_amounts_have_their_currency() -> None:
    assert event_of(told("booking.cancelled")).data == {
        "seats": ["A2"],
        "whole": True,
        "refund": {"amount": 900, "currency": "EUR"},
    }
    assert event_of(told("booking.changed")).data["paid"] == {"amount": 200, "currency": "EUR"}


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("booking.confirmed", {"booking_id": "no id"}),
        ("booking.confirmed", {"booking_id": None}),
        ("booking.confirmed", {"total_minor": "much"}),
        ("booking.confirmed", {"seats": None}),
        ("showtime.moved", {"before": "yesterday"}),
        ("ticket.admitted", {"booking_id": None}),
    ],
)
def test_a_row_that_does_not_say_what_it_has_to_say_is_unclear(
    kind: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(Unclear):
        event_of(told(kind, **changes))


def test_what_is_not_there_and_an_amount_without_a_currency_are_unclear() -> None:
    whole = told("booking.cancelled")
    for broken in (
        msgspec.structs.replace(whole, payload={}),
        msgspec.structs.replace(whole, currency=None),
    ):
        with pytest.raises(Unclear):
            event_of(broken)


@pytest.mark.parametrize(
    ("status", "before", "type_"),
    [
        ("pending", None, "refund.created"),
        ("at_counter", None, "refund.created"),
        ("succeeded", None, "refund.succeeded"),
        ("succeeded", "pending", "refund.succeeded"),
        ("failed", "pending", "refund.failed"),
        ("pending", "failed", None),
    ],
)
def test_a_refund_is_told_by_its_status(status: str, before: str | None, type_: str | None) -> None:
    event = refund_event(refund(status, before), NOW)
    assert (event and event.type) == type_
    if event is not None:
        assert event.data["amount"] == {"amount": 900, "currency": "EUR"}
        assert event.data["error_code"] == ("charge_disputed" if status == "failed" else None)


def test_events_of_a_subject_are_counted_in_their_order() -> None:
    def event(booking: int | None) -> NewPublicEvent:
        return NewPublicEvent(
            type="booking.changed",
            showtime_id=SHOWTIME,
            booking_id=None if booking is None else UUID(int=100 + booking),
            cinema_id=None,
            journal_seq=None,
            data={},
            at=NOW,
        )

    events = [event(1), event(2), event(1), event(None), event(1)]
    assert numbered(events) == [(1, 3), (1, 1), (2, 3), (1, 1), (3, 3)]
