"""Whether a promo code is for a showtime."""

from __future__ import annotations

from cinema.domain.pricing.book import Promo
from cinema.domain.pricing.showing import ShowtimeFacts


def out_of_place(promo: Promo, facts: ShowtimeFacts, currency: str, at_us: int) -> str:
    """Why a code cannot be used for a showtime at a moment, whatever is booked; empty if it can.

    `NOT_YET`, `ENDED`, `OTHER_CINEMA`, `OTHER_CURRENCY`, `OTHER_FILM` or `OTHER_DAY` (of the
    start).
    """
    if promo.valid_from_us is not None and at_us < promo.valid_from_us:
        return "NOT_YET"
    if promo.valid_until_us is not None and at_us >= promo.valid_until_us:
        return "ENDED"
    if promo.cinema_ids and all(one.bytes != facts.cinema_id for one in promo.cinema_ids):
        return "OTHER_CINEMA"
    if promo.currency not in {None, currency}:
        return "OTHER_CURRENCY"
    if promo.movie_ids and all(one.bytes != facts.movie_id for one in promo.movie_ids):
        return "OTHER_FILM"
    if promo.weekdays and facts.local.day.isoweekday() not in promo.weekdays:
        return "OTHER_DAY"
    return ""
