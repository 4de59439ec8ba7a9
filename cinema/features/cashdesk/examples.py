"""Examples of the cash desk, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import CASH_SESSION_ID, CINEMA_ID, JOB_ID, USER_ID


def _eur(amount_minor: int) -> dict[str, Any]:
    return {"amount": amount_minor, "currency": "EUR"}


SESSION_INPUT: Final[dict[str, Any]] = {
    "cinema_id": CINEMA_ID,
    "till": "Till 1",
    "opening": _eur(15_000),
}
SESSION: Final[dict[str, Any]] = {
    "id": CASH_SESSION_ID,
    "cinema_id": CINEMA_ID,
    "till": "Till 1",
    "business_date": "2026-06-05",
    "status": "open",
    "opening": _eur(15_000),
    "opened_at": "2026-06-05T14:02:00Z",
    "opened_by": USER_ID,
    "expected": None,
    "counted": None,
    "variance": None,
    "note": "",
    "closed_at": None,
    "closed_by": None,
}
CLOSE_INPUT: Final[dict[str, Any]] = {"counted": _eur(48_150), "note": "Wrong change once."}
CLOSED: Final[dict[str, Any]] = SESSION | {
    "status": "closed",
    "expected": _eur(48_250),
    "counted": _eur(48_150),
    "variance": _eur(-100),
    "note": "Wrong change once.",
    "closed_at": "2026-06-05T22:40:00Z",
    "closed_by": USER_ID,
}
MOVEMENT_INPUT: Final[dict[str, Any]] = {
    "kind": "bank_drop",
    "amount": _eur(50_000),
    "reason": "To the safe",
}
MOVEMENT: Final[dict[str, Any]] = {
    "id": JOB_ID,
    "session_id": CASH_SESSION_ID,
    **MOVEMENT_INPUT,
    "at": "2026-06-05T20:00:00Z",
    "by": USER_ID,
}
_TENDERS: Final = [
    {"tender": "cash", "payments": 31, "taken": 83_250, "refunds": 0, "refunded": 0},
    {"tender": "terminal", "payments": 44, "taken": 121_000, "refunds": 0, "refunded": 0},
]
DAY: Final[dict[str, Any]] = {
    "report": {
        "cinema_id": CINEMA_ID,
        "cinema": "Filmhaus",
        "tax_number": "DE123456789",
        "business_date": "2026-06-05",
        "number": 156,
        "currency": "EUR",
        "closed_at": "2026-06-05T23:10:00Z",
        "closed_by": USER_ID,
        "sessions": [
            {
                "session_id": CASH_SESSION_ID,
                "till": "Till 1",
                "opened_by": USER_ID,
                "opened_at": "2026-06-05T14:02:00Z",
                "closed_at": "2026-06-05T22:40:00Z",
                "opening": 15_000,
                "paid_in": 0,
                "paid_out": 0,
                "banked": 50_000,
                "tenders": _TENDERS,
                "expected": 48_250,
                "counted": 48_150,
                "variance": -100,
                "note": "Wrong change once.",
            }
        ],
        "tenders": _TENDERS,
        "expected": 48_250,
        "counted": 48_150,
        "variance": -100,
        "previous": "5f0c" * 16,
    },
    "digest": "a9d1" * 16,
    "signature": None,
}
