"""Examples of documents, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import BOOKING_ID, INVOICE_ID, PAYMENT_ID, SHOWTIME_ID


def _euros(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "EUR"}


def _line(seat: str) -> dict[str, Any]:
    return {
        "kind": "seat",
        "seat": seat,
        "category": "regular",
        "type": "adult",
        "name": "",
        "gross": _euros(1250),
        "net": _euros(1168),
        "tax": _euros(82),
        "rate": 700,
    }


DOCUMENT: Final[dict[str, Any]] = {
    "id": INVOICE_ID,
    "kind": "invoice",
    "number": "LEJ-2026-17",
    "issued_at": "2026-06-01T17:31:04Z",
    "issued_on": "2026-06-01",
    "corrects": None,
    "seller": {
        "name": "Lichtspiele Leipzig GmbH",
        "cinema": "Capitol",
        "address": "Petersstraße 20, 04109 Leipzig",
        "city": "",
        "country": "DE",
        "tax_number": "DE123456789",
    },
    "buyer": {"name": "Ada Lovelace", "address": "", "tax_number": ""},
    "booking": {"id": BOOKING_ID, "code": "K7M2Q9XA", "created_at": "2026-06-01T17:31:00Z"},
    "showtime": {
        "id": SHOWTIME_ID,
        "film": "Metropolis",
        "screen": "Screen 1",
        "starts_at": "2026-06-05T17:30:00Z",
        "starts": "2026-06-05 19:30",
    },
    "lines": [_line("F7"), _line("F8")],
    "taxes": [{"rate": 700, "gross": _euros(2500), "net": _euros(2336), "tax": _euros(164)}],
    "net": _euros(2336),
    "tax": _euros(164),
    "total": _euros(2500),
    "currency_digits": 2,
    "payment": {"id": PAYMENT_ID, "method": "demo"},
    "language": "en",
}
ENTRY: Final[dict[str, Any]] = {
    "id": INVOICE_ID,
    "kind": "invoice",
    "number": "LEJ-2026-17",
    "booking_id": BOOKING_ID,
    "corrects_id": None,
    "issued_at": "2026-06-01T17:31:04Z",
    "issued_on": "2026-06-01",
    "total": _euros(2500),
}
