"""What adults pay by category, for as long as nothing changes that a price depends on.

A price changes with the moment at a few points only: the limits of rules in hours before the start
and in percent of the seats. Between these points one table is right for everybody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from cinema.domain.pricing.quotes import unit_price
from cinema.domain.pricing.rules import HOUR_US, ReadyShowtime, at_moment
from cinema.domain.pricing.showing import Moment

ADULT: Final = "adult"
"""The type of a ticket of which nothing else is said; each cinema has it."""

MEMBER: Final = "member"
"""The type of a ticket for people with an account, where a cinema has it."""

_ALWAYS_US: Final = 2**62


class Tariff(msgspec.Struct, frozen=True, gc=False):
    """Prices of adults, in the order of the categories.

    They count from `from_us` to before `until_us`, while at least `taken_from` and fewer than
    `taken_until` seats are held or booked.
    """

    from_us: int
    until_us: int
    taken_from: int
    taken_until: int
    prices_minor: tuple[int, ...]


def tariff_at(show: ReadyShowtime, categories: Sequence[str], moment: Moment) -> Tariff:
    """The tariff of a moment."""
    rules = at_moment(show, moment)
    prices = tuple(unit_price(show, rules, category, ADULT) for category in categories)
    from_us, until_us = _around(moment.at_us, _times(show), -_ALWAYS_US, _ALWAYS_US)
    total = moment.total_seats
    taken_from, taken_until = _around(moment.taken_seats, _demands(show, total), 0, total + 1)
    return Tariff(from_us, until_us, taken_from, taken_until, prices)


def _around(at: int, points: Iterator[int], lowest: int, highest: int) -> tuple[int, int]:
    """The last point that is not behind `at`, and the first one that is."""
    low, high = lowest, highest
    for point in points:
        if point <= at:
            low = max(low, point)
        else:
            high = min(high, point)
    return low, high


def _times(show: ReadyShowtime) -> Iterator[int]:
    """The moments from which on another side of a rule's limit in hours counts."""
    for group in show.groups:
        for one in group:
            when = one.rule.when
            for hours in (when.hours_before_min, when.hours_before_max):
                if hours is not None:
                    yield show.facts.starts_at_us - hours * HOUR_US + 1


def _demands(show: ReadyShowtime, total: int) -> Iterator[int]:
    """The numbers of taken seats from which on another side of a rule's limit counts."""
    for group in show.groups:
        for one in group:
            when = one.rule.when
            for percent in (when.taken_min, when.taken_max):
                if percent is not None:
                    yield -(-percent * total // 100)
