"""A tariff is the quotes of adults, for as long as it says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cinema.domain.pricing.book import PriceBook, is_plain, plain_book
from cinema.domain.pricing.categories import category_prices
from cinema.domain.pricing.quotes import quote
from cinema.domain.pricing.showing import AskedTicket, Moment
from cinema.domain.pricing.tariffs import ADULT, tariff_at
from cinema.domain.times import to_us
from tests.unit.domain.pricing.making import HOUR_US, START, book, moment, ready, rule

CATEGORIES = ("regular", "vip", "box")
START_US = to_us(START)

_LIMIT = st.none() | st.integers(0, 6)
_PERCENT = st.none() | st.integers(0, 100)


@st.composite
def _books(draw: st.DrawFn) -> PriceBook:
    rules = []
    for number in range(1, draw(st.integers(0, 5)) + 1):
        when = {
            "hours_before_min": draw(_LIMIT),
            "hours_before_max": draw(_LIMIT),
            "taken_min": draw(_PERCENT),
            "taken_max": draw(_PERCENT),
            "categories": draw(st.sampled_from([(), ("vip",)])),
        }
        group = draw(st.sampled_from(["time", "demand"]))
        rules.append(rule(number, group, "amount", 10**number, **when))
    return book(*rules)


@given(
    of=_books(),
    at_us=st.integers(-7 * HOUR_US, HOUR_US),
    near=st.integers(-1, 1),
    total=st.integers(1, 30),
    data=st.data(),
)
def test_prices_of_a_tariff_are_quotes_as_long_as_it_counts(
    of: PriceBook, at_us: int, near: int, total: int, data: st.DataObject
) -> None:
    show = ready(of)

    def quoted(now: Moment) -> tuple[int, ...]:
        tickets = [AskedTicket(category, ADULT) for category in CATEGORIES]
        return tuple(line.list_minor for line in quote(show, now, tickets).seats)

    taken = data.draw(st.integers(0, total))
    # Also at the full hours, where rules begin and end.
    at_us = round(at_us / HOUR_US) * HOUR_US + near if data.draw(st.booleans()) else at_us
    now = Moment(START_US + at_us, taken, total)
    tariff = tariff_at(show, CATEGORIES, now)
    assert tariff.from_us <= now.at_us < tariff.until_us
    assert tariff.taken_from <= taken < tariff.taken_until
    times = st.integers(
        max(tariff.from_us, START_US - 8 * HOUR_US), min(tariff.until_us, START_US + HOUR_US) - 1
    )
    others = st.integers(tariff.taken_from, min(tariff.taken_until, total + 1) - 1)
    for _ in range(3):
        other = Moment(data.draw(times), data.draw(others), total)
        assert quoted(other) == tariff.prices_minor


def test_a_tariff_ends_where_a_rule_begins() -> None:
    of = book(
        rule(1, "time", "amount", 100, hours_before_max=2),
        rule(2, "time", "amount", 10, hours_before_min=24),
        rule(3, "demand", "amount", 1000, taken_min=50),
    )
    tariff = tariff_at(ready(of), ("regular",), moment(5, 10, 21))
    assert (tariff.from_us, tariff.until_us) == (
        START_US - 24 * HOUR_US + 1,
        START_US - 2 * HOUR_US + 1,
    )
    assert (tariff.taken_from, tariff.taken_until) == (0, 11)
    assert tariff.prices_minor == (1000,)
    later = tariff_at(ready(of), ("regular",), Moment(tariff.until_us, 11, 21))
    assert (later.prices_minor, later.taken_from, later.taken_until) == ((2100,), 11, 22)


def test_a_plain_book_costs_what_seats_cost_without_one() -> None:
    plain = plain_book("EUR", "Europe/Berlin")
    assert is_plain(plain)
    for base_minor in (0, 1, 999, 1001):
        tariff = tariff_at(ready(plain, base_minor, overrides=(("box", 7),)), CATEGORIES, moment())
        assert tariff.prices_minor == category_prices(base_minor, CATEGORIES, {"box": 7})


def test_a_book_that_says_anything_is_not_plain() -> None:
    assert not is_plain(book())
    assert not is_plain(
        PriceBook(version=1, currency="EUR", time_zone="UTC", settings=book().settings)
    )
    plain = plain_book("EUR", "UTC")
    ruled = PriceBook(
        version=1,
        currency="EUR",
        time_zone="UTC",
        settings=plain.settings,
        rules=(rule(1, "time", "amount", 1),),
    )
    assert not is_plain(ruled)
