from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from cinema.domain.pricing.book import Days
from cinema.domain.pricing.rules import at_moment, ready_book, ready_showtime
from cinema.domain.pricing.showing import local_start
from cinema.domain.times import to_us
from tests.unit.domain.pricing.making import (
    BERLIN,
    MOVIE,
    OTHER_MOVIE,
    book,
    day,
    facts,
    moment,
    ready,
    rule,
)


def counts(
    start: datetime | None = None, hours_before: int = 48, taken: int = 0, **when: Any
) -> bool:
    of = book(rule(1, "time", "percent", -1000, **when))
    show = ready_showtime(ready_book(of), facts() if start is None else facts(start=start))
    return bool(at_moment(show, moment(hours_before, taken))[0])


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({}, True),
        ({"weekdays": (2,)}, True),
        ({"weekdays": (1, 3)}, False),
        ({"starts_from": "15:00"}, True),
        ({"starts_from": "15:01"}, False),
        ({"starts_until": "15:00"}, False),
        ({"starts_until": "15:01"}, True),
        ({"starts_from": "14:00", "starts_until": "16:00"}, True),
        ({"starts_from": "22:00", "starts_until": "02:00"}, False),
        ({"starts_from": "22:00", "starts_until": "16:00"}, True),
        ({"starts_from": "15:00", "starts_until": "15:00"}, True),  # a whole day from then on
        ({"days": (Days(first=day(9), last=day(9)),)}, True),
        ({"days": (Days(first=day(1), last=day(8)), Days(first=day(10), last=day(11)))}, False),
        ({"days": (Days(first=day(1), last=day(2)), Days(first=day(8), last=day(10)))}, True),
        ({"formats": ("2D",)}, True),
        ({"formats": ("3D",)}, False),
        ({"movie_ids": (OTHER_MOVIE, MOVIE)}, True),
        ({"movie_ids": (OTHER_MOVIE,)}, False),
        ({"weekdays": (2,), "formats": ("3D",)}, False),
    ],
)
def test_a_rule_counts_for_showtimes_that_meet_all_its_conditions(
    when: dict[str, Any], expected: bool
) -> None:
    assert counts(**when) is expected


@pytest.mark.parametrize(
    ("hours_before", "expected"), [(71, False), (72, True), (95, True), (96, False)]
)
def test_hours_before_the_start_have_an_end_that_does_not_count(
    hours_before: int, expected: bool
) -> None:
    window = {"hours_before_min": 72, "hours_before_max": 96}
    assert counts(hours_before=hours_before, **window) is expected


@pytest.mark.parametrize(("taken", "expected"), [(79, False), (80, True), (89, True), (90, False)])
def test_demand_is_the_share_of_seats_that_were_taken(taken: int, expected: bool) -> None:
    assert counts(taken=taken, taken_min=80, taken_max=90) is expected


def test_a_start_after_midnight_counts_to_the_day_before() -> None:
    window = {"starts_from": "22:00", "starts_until": "02:00"}
    at_half_past_midnight = datetime(2026, 6, 9, 22, 30, tzinfo=UTC)  # Wednesday, 00:30 in Berlin
    assert counts(at_half_past_midnight, weekdays=(2,), **window)
    assert not counts(at_half_past_midnight, weekdays=(3,), **window)
    late = datetime(2026, 6, 9, 20, 30, tzinfo=UTC)  # Tuesday, 22:30
    assert counts(late, weekdays=(2,), **window)
    assert counts(at_half_past_midnight, days=(Days(first=day(9), last=day(9)),), **window)


@pytest.mark.parametrize(
    ("utc", "minute"),
    [
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), 150),  # 02:30, summer time
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), 150),  # 02:30 again, an hour later
        (datetime(2026, 3, 29, 0, 59, tzinfo=UTC), 119),
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), 180),  # from 02:00 to 03:00
    ],
)
def test_a_start_has_one_local_time_when_clocks_change(utc: datetime, minute: int) -> None:
    assert local_start(to_us(utc), BERLIN).minute == minute


def test_a_day_from_a_time_to_the_same_time_begins_then() -> None:
    assert not counts(weekdays=(2,), starts_from="15:01", starts_until="15:01")
    assert counts(weekdays=(1,), starts_from="15:01", starts_until="15:01")


def test_both_hours_of_a_repeated_one_are_in_its_window() -> None:
    for hour in (0, 1):
        start = datetime(2026, 10, 25, hour, 30, tzinfo=UTC)
        assert counts(start, starts_from="02:00", starts_until="03:00", weekdays=(7,))


def test_the_weekday_is_that_of_the_cinema() -> None:
    start = datetime(2026, 6, 8, 22, 30, tzinfo=UTC)  # Monday in UTC, Tuesday 00:30 in Berlin
    assert counts(start, weekdays=(2,))


def test_rules_are_in_the_order_of_priority_whatever_the_order_of_the_book() -> None:
    low, high = rule(1, "time", "amount", 1), rule(2, "time", "amount", 2)
    for of in (book(low, high), book(high, low)):
        assert [one.rule for one in at_moment(ready(of), moment())[0]] == [low, high]
