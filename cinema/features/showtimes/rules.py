"""When a showtime ends, when its screen is free again, and how long it is sold."""

from __future__ import annotations

from datetime import date, datetime, timedelta, tzinfo

import msgspec

from cinema.domain.limits_catalog import (
    ADS_MINUTES,
    CLEANING_MINUTES,
    SALES_CLOSE_AFTER_MINUTES,
    SALES_OPEN_BEFORE_DAYS,
)
from cinema.domain.sale_rules import ShowtimeRules


def early_access_at(opens_at: datetime, rules: ShowtimeRules) -> datetime | None:
    """From when on members can hold seats; None if that is when sales open to everybody."""
    minutes = rules.early_access_minutes or 0
    return opens_at - timedelta(minutes=minutes) if minutes else None


class Timetable(msgspec.Struct, frozen=True, kw_only=True):
    """The times of one showtime; it occupies the screen from `starts_at` to `clear_at`."""

    starts_at: datetime
    ends_at: datetime
    clear_at: datetime
    local_date: date
    sales_opens_at: datetime
    sales_closes_at: datetime


def timetable(
    starts_at: datetime,
    runtime_minutes: int,
    zone: tzinfo,
    *,
    ads_minutes: int = ADS_MINUTES,
    cleaning_minutes: int = CLEANING_MINUTES,
    sales_opens_at: datetime | None = None,
    sales_closes_at: datetime | None = None,
) -> Timetable:
    """The timetable of a film of `runtime_minutes` that starts at an instant (UTC).

    Durations are added in UTC, so a change to or from summer time during the film has no effect.
    """
    ends_at = starts_at + timedelta(minutes=ads_minutes + runtime_minutes)
    opens_at = starts_at - timedelta(days=SALES_OPEN_BEFORE_DAYS)
    closes_at = starts_at + timedelta(minutes=SALES_CLOSE_AFTER_MINUTES)
    return Timetable(
        starts_at=starts_at,
        ends_at=ends_at,
        clear_at=ends_at + timedelta(minutes=cleaning_minutes),
        local_date=starts_at.astimezone(zone).date(),
        sales_opens_at=sales_opens_at or opens_at,
        sales_closes_at=sales_closes_at or closes_at,
    )
