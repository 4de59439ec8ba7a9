"""Examples of bookings, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import (
    BOOKING_ID,
    CINEMA_ID,
    HOLD_ID,
    NOTE_ID,
    PAYMENT_ID,
    SHOWTIME_ID,
    USER_ID,
)
from cinema.features.seats.examples import HELD_SEATS

BOOKING_INPUT: Final[dict[str, Any]] = {
    "showtime_id": SHOWTIME_ID,
    "hold_id": HOLD_ID,
    "payment": {"method": "demo"},
    "tickets": [{"seat": "F8", "type": "child"}],
}
BILLING: Final[dict[str, Any]] = {
    "name": "Lovelace Ltd",
    "address": "12 St James's Square, London",
    "tax_id": "GB123456789",
}
_LINES: Final[list[dict[str, Any]]] = [
    {
        "kind": "fee",
        "code": "service",
        "name": "Service",
        "amount": {"amount": 100, "currency": "EUR"},
        "quantity": 2,
        "rate": 1900,
        "tax": {"amount": 16, "currency": "EUR"},
    },
    {
        "kind": "tax",
        "code": "standard",
        "name": "standard",
        "amount": {"amount": 16, "currency": "EUR"},
        "rate": 1900,
        "gross": {"amount": 100, "currency": "EUR"},
    },
]
_TOTAL: Final = {"amount": 2600, "currency": "EUR"}
BOOKING: Final[dict[str, Any]] = {
    "id": BOOKING_ID,
    "code": "K7M2Q9XA",
    "showtime_id": SHOWTIME_ID,
    "status": "confirmed",
    "seats": [
        {**seat, "type": kind} for seat, kind in zip(HELD_SEATS, ("adult", "child"), strict=True)
    ],
    "total": _TOTAL,
    "created_at": "2026-06-01T17:31:00Z",
    "payment": {
        "id": PAYMENT_ID,
        "method": "demo",
        "status": "succeeded",
        "amount": _TOTAL,
    },
    "lines": _LINES,
}
SEAT_CHANGE_INPUT: Final[dict[str, Any]] = {"from": ["F7", "F8"], "to": ["F8", "F9"]}
EXCHANGE_INPUT: Final[dict[str, Any]] = {"showtime_id": SHOWTIME_ID, "hold_id": HOLD_ID}
SEATS_CHANGED: Final[dict[str, Any]] = {
    **BOOKING,
    "seats": [
        {**seat, "label": label, "type": kind}
        for seat, label, kind in zip(HELD_SEATS, ("F8", "F9"), ("adult", "child"), strict=True)
    ],
}
CANCELLED: Final = {**BOOKING, "status": "cancelled"}
MANAGED: Final[dict[str, Any]] = {
    "booking": BOOKING,
    "showtime": {
        "id": SHOWTIME_ID,
        "film": "Metropolis",
        "starts_at": "2026-06-03T18:15:00Z",
        "cinema_id": CINEMA_ID,
        "cinema": "Kino Aurora",
        "screen": "Saal 1",
    },
    "customer": {"kind": "account", "name": "Ada Lovelace", "email": "a***@example.com"},
    "notes": 1,
}
NOTE_INPUT: Final[dict[str, Any]] = {"text": "Came with a pushchair: let in by the side door."}
NOTE: Final[dict[str, Any]] = {
    "id": NOTE_ID,
    "booking_id": BOOKING_ID,
    **NOTE_INPUT,
    "written_at": "2026-06-03T18:10:00Z",
    "author_id": USER_ID,
    "author": "Grace Hopper",
}
SENT_AGAIN: Final[dict[str, Any]] = {"to": "a***@example.com"}
