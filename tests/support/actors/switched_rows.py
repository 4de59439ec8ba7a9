"""What the catalogue's row of a showtime says once rows of the branch `switched` are there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from cinema.domain.ids import parse_id
from cinema.domain.pricing.categories import category_prices
from cinema.domain.showtime.terms import ShowtimeTerms

_COPIED = (
    "version",
    "starts_at_us",
    "ends_at_us",
    "base_price_minor",
    "format",
    "sales_opens_at_us",
    "sales_closes_at_us",
    "promised_start_us",
    "free_refund_until_us",
)


def terms_of_row(before: ShowtimeTerms, row: Mapping[str, Any]) -> ShowtimeTerms:
    """The terms that are loaded from then on; another plan and its prices are not looked at."""
    changes: dict[str, Any] = {name: row[name] for name in _COPIED if name in row}
    if "screen_id" in row:
        changes["screen_id"] = parse_id(row["screen_id"])
    if "movie_id" in row:
        changes["movie_id"] = parse_id(row["movie_id"])
        overrides = changes["price_overrides"] = tuple(row["price_overrides"].items())
        changes["prices_minor"] = category_prices(
            row["base_price_minor"], before.plan.categories, dict(overrides)
        )
    return msgspec.structs.replace(before, **changes)
