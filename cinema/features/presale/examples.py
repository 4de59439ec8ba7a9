"""Examples of presale codes, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import PRESALE_CODE_ID, SHOWTIME_ID

TERMS: Final[dict[str, Any]] = {
    "starts_at": "2026-05-30T10:00:00Z",
    "max_uses": 200,
    "uses_per_customer": 1,
}
CODE_INPUT: Final[dict[str, Any]] = {"code": "FRIENDS-2026", **TERMS}
CODE: Final[dict[str, Any]] = {
    "id": PRESALE_CODE_ID,
    "showtime_id": SHOWTIME_ID,
    **CODE_INPUT,
    "uses": 17,
    "version": 1,
}
GONE: Final[dict[str, Any]] = {"id": PRESALE_CODE_ID}
