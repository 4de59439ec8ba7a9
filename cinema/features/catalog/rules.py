"""What lists of the catalogue are asked for, as far as it is more than their form."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Final

from cinema.domain.limits_catalog import YEAR_MAX, YEAR_MIN
from cinema.domain.rejections import refuse
from cinema.features.catalog.shapes import UNRATED, CinemaSettings, Rating

OF_THE_CHAIN: Final = (
    "rating_system",
    "legal_name",
    "legal_address",
    "tax_number",
    "tax_rates",
    "invoice_prefix",
    "refund_policy",
    "points_percent",
    "points_valid_months",
    "series_discount_percent",
)
"""Settings of a cinema that only admins change: law and accounting look at them."""

PRIOR_RATING: Final = 3.5
PRIOR_COUNT: Final = 5
"""So many ratings in the middle are counted beside those of a film: one alone says little."""


def shown_rating(count: int, total: int) -> Rating:
    """What is shown of `count` ratings whose sum is `total` (a Bayesian average)."""
    if not count:
        return UNRATED
    average = (PRIOR_RATING * PRIOR_COUNT + total) / (PRIOR_COUNT + count)
    return Rating(average=round(average, 2), count=count)


def check_settings(settings: CinemaSettings) -> None:
    """Refuses VALIDATION_ERROR for settings that contradict themselves."""
    days = [one.date for one in settings.opening_exceptions]
    if len(set(days)) != len(days):
        raise refuse("VALIDATION_ERROR", "A day occurs twice.", path="$.opening_exceptions")
    steps = settings.refund_policy
    if any(
        later.hours_before >= earlier.hours_before or later.percent > earlier.percent
        for earlier, later in pairwise(steps)
    ):
        raise refuse(
            "VALIDATION_ERROR",
            "From one step to the next there are fewer hours, and no more is given back.",
            path="$.refund_policy",
        )


def asked_days(
    on: date | None, first: date | None, last: date | None
) -> tuple[date | None, date | None]:
    """The first and the last day that `date`, or `date_from` and `date_to`, ask for.

    Refuses VALIDATION_ERROR.
    """
    if on is not None:
        if first is not None or last is not None:
            raise refuse("VALIDATION_ERROR", "Give `date`, or `date_from` and `date_to`.")
        _check_year(on, "$.date")
        return on, on
    _check_year(first, "$.date_from")
    _check_year(last, "$.date_to")
    if first is not None and last is not None and first > last:
        raise refuse("VALIDATION_ERROR", "`date_to` is before `date_from`.", path="$.date_to")
    return first, last


def _check_year(day: date | None, path: str) -> None:
    if day is not None and not YEAR_MIN <= day.year <= YEAR_MAX:
        raise refuse(
            "VALIDATION_ERROR", f"The year has to be from {YEAR_MIN} to {YEAR_MAX}.", path=path
        )
