"""Examples of price books, promo codes and quotes, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import CINEMA_ID, PROMO_ID, RULE_ID, SHOWTIME_ID


def _eur(amount_minor: int) -> dict[str, Any]:
    return {"amount": amount_minor, "currency": "EUR"}


_BOTH: Final = ["online", "counter"]
ADULT: Final[dict[str, Any]] = {
    "code": "adult",
    "name": "Adult",
    "proof": "",
    "minimum": 1,
    "maximum": 100,
    "needs_paying": False,
    "free": False,
    "channels": _BOTH,
}
CHILD: Final = ADULT | {"code": "child", "name": "Child", "proof": "Up to 11 years."}
COMPANION: Final = ADULT | {
    "code": "companion",
    "name": "Companion",
    "proof": "Pass with the mark B",
    "maximum": 2,
    "needs_paying": True,
    "free": True,
}
TICKET_TYPES: Final = [ADULT, CHILD, COMPANION]
SETTINGS: Final[dict[str, Any]] = {
    "category_factors": {"regular": 10_000, "premium": 12_500, "vip": 16_000},
    "format_surcharges": {"3D": 300},
    "ticket_types": TICKET_TYPES,
    "group_discounts": [
        {
            "code": "group",
            "name": "Groups of ten",
            "tickets_min": 10,
            "discount": {"kind": "percent", "value": 1000},
            "ticket_types": [],
        }
    ],
    "fees": [
        {
            "code": "service",
            "name": "Service",
            "per": "order",
            "amount": 100,
            "refundable": False,
            "tax": "standard",
        }
    ],
    "floor": 500,
    "ceiling": None,
    "rounding_step": 10,
    "ticket_tax": "reduced",
}
SETTINGS_SEEN: Final = {
    "cinema_id": CINEMA_ID,
    "version": 2,
    "book_version": 9,
    "currency": "EUR",
    "settings": SETTINGS,
}
RULE_FIELDS: Final[dict[str, Any]] = {
    "name": "Matinee",
    "group": "time",
    "priority": 10,
    "when": {"weekdays": [1, 2, 3, 4], "starts_until": "17:00"},
    "effect": {"kind": "percent", "value": -2000},
}
RULE_INPUT: Final = {"cinema_id": CINEMA_ID, **RULE_FIELDS}
_WHEN: Final[dict[str, Any]] = {
    "weekdays": [1, 2, 3, 4],
    "starts_from": None,
    "starts_until": "17:00",
    "days": [],
    "hours_before_min": None,
    "hours_before_max": None,
    "taken_min": None,
    "taken_max": None,
    "formats": [],
    "categories": [],
    "ticket_types": [],
    "movie_ids": [],
}
RULE: Final = {"id": RULE_ID, **RULE_INPUT, "when": _WHEN, "version": 1}
RULE_CHANGED: Final = {**RULE, "version": 2}
RULE_GONE: Final = {"id": RULE_ID, "deleted_at": "2026-06-01T12:00:00Z"}

PROMO_TERMS: Final[dict[str, Any]] = {
    "discount": {"kind": "amount", "value": 500},
    "per": "booking",
    "stackable": False,
    "currency": "EUR",
    "minimum_order": 1500,
    "valid_from": "2026-06-01T00:00:00Z",
    "valid_until": "2026-09-01T00:00:00Z",
    "max_uses": 100,
    "max_uses_per_customer": 1,
    "movie_ids": [],
    "cinema_ids": [CINEMA_ID],
    "weekdays": [],
    "active": True,
}
PROMO_INPUT: Final = {"code": "SUMMER26", **PROMO_TERMS}
PROMO: Final = {"id": PROMO_ID, **PROMO_INPUT, "uses": 0, "version": 1}
PROMO_CHANGED: Final = {**PROMO, "version": 2}
PROMO_GONE: Final = {"id": PROMO_ID, "deleted_at": "2026-06-01T12:00:00Z"}

QUOTE_INPUT: Final[dict[str, Any]] = {
    "showtime_id": SHOWTIME_ID,
    "seats": ["F7", "F8"],
    "tickets": [{"seat": "F8", "type": "child"}],
    "promo_code": "SUMMER26",
}


def _step(code: str, text: str, before: int, after: int, ref: str | None = None) -> dict[str, Any]:
    return {"code": code, "text": text, "before": _eur(before), "after": _eur(after), "ref": ref}


_SHARED: Final = "SUMMER26"
QUOTE: Final[dict[str, Any]] = {
    "showtime_id": SHOWTIME_ID,
    "book_version": 9,
    "taken_percent": 41,
    "seats": [
        {
            "seat": "F7",
            "category": "regular",
            "type": "adult",
            "list_price": _eur(1000),
            "price": _eur(722),
            "tax": _eur(47),
            "steps": [
                _step("BASE", "Base price", 0, 1250),
                _step("RULE_TIME", "Matinee", 1250, 1000, RULE_ID),
                _step("PROMO_BOOKING", _SHARED, 1000, 722, _SHARED),
            ],
        },
        {
            "seat": "F8",
            "category": "regular",
            "type": "child",
            "list_price": _eur(800),
            "price": _eur(578),
            "tax": _eur(38),
            "steps": [
                _step("BASE", "Base price", 0, 1250),
                _step("RULE_TIME", "Matinee", 1250, 1000, RULE_ID),
                _step("RULE_TYPE", "Children", 1000, 800, CINEMA_ID[:-2] + "c9"),
                _step("PROMO_BOOKING", _SHARED, 800, 578, _SHARED),
            ],
        },
    ],
    "fees": [
        {
            "code": "service",
            "name": "Service",
            "quantity": 1,
            "each": _eur(100),
            "amount": _eur(100),
            "refundable": False,
            "tax": _eur(16),
        }
    ],
    "taxes": [
        {"name": "reduced", "rate": 700, "gross": _eur(1300), "net": _eur(1215), "tax": _eur(85)},
        {"name": "standard", "rate": 1900, "gross": _eur(100), "net": _eur(84), "tax": _eur(16)},
    ],
    "promo": {"code": _SHARED, "applied": True, "discount": _eur(500), "reason": None},
    "total": _eur(1400),
}
PROMO_CHECK: Final = {"promo_code": "summer26", "showtime_id": SHOWTIME_ID}
VALID_PROMO: Final = {
    "code": _SHARED,
    **{
        name: PROMO_TERMS[name]
        for name in (*("discount", "per", "stackable", "currency", "minimum_order", "valid_until"),)
    },
}
