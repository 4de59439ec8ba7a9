"""What must be true of every quote, whatever the book says."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from cinema.domain.pricing.book import PriceBook, Promo
from cinema.domain.pricing.quotes import TicketQuote, quote, refund_due
from cinema.domain.pricing.rules import ready_book, ready_showtime
from tests.unit.domain.pricing.making import (
    asked,
    facts,
    moment,
    promo,
    tickets,
)
from tests.unit.domain.pricing.random_books import ASKED, BASES, books, promos


@given(books(), ASKED, promos(), BASES, st.integers(0, 100))
def test_lines_and_taxes_add_up_and_nothing_is_below_0(
    of: PriceBook, kinds: list[str], codes: tuple[Promo, ...], base: int, taken: int
) -> None:
    made = asked(of, *kinds, promos=codes, base_minor=base, at=moment(taken=taken))
    seats, fees = made.seats, made.fees
    assert made.total_minor == sum(one.price_minor for one in seats) + sum(
        one.amount_minor for one in fees
    )
    assert sum(one.tax_minor for one in (*seats, *fees)) == sum(one.tax_minor for one in made.taxes)
    assert sum(one.gross_minor for one in made.taxes) == made.total_minor
    for one in seats:
        assert 0 <= one.tax_minor <= one.price_minor <= one.list_minor
        assert [step.from_minor for step in one.steps[1:]] == [
            step.to_minor for step in one.steps[:-1]
        ]
        assert one.steps[-1].to_minor == one.price_minor
        free = one.ticket.type == "companion"
        ceiling = of.settings.ceiling
        assert ceiling is not None
        assert free or of.settings.floor <= one.list_minor <= ceiling
    taken_off = sum(one.list_minor - one.price_minor for one in seats)
    by_group = sum(
        step.from_minor - step.to_minor
        for one in seats
        for step in one.steps
        if step.code == "GROUP_DISCOUNT"
    )
    assert taken_off == by_group + sum(one.discount_minor for one in made.promos)
    assert sorted(one.code for one in made.promos) == sorted(one.code for one in codes)


@given(books(), ASKED, promos(), st.randoms())
def test_the_order_of_rules_and_codes_does_not_count(
    of: PriceBook, kinds: list[str], codes: tuple[Promo, ...], random: Any
) -> None:
    mixed, others = list(of.rules), list(codes)
    random.shuffle(mixed)
    random.shuffle(others)
    first = asked(of, *kinds, promos=codes)
    shuffled = msgspec.structs.replace(of, rules=tuple(mixed))
    second = asked(shuffled, *kinds, promos=tuple(others))
    assert (first.seats, first.fees, first.taxes) == (second.seats, second.fees, second.taxes)
    assert set(first.promos) == set(second.promos)


def _seats(made: TicketQuote) -> list[int]:
    return [one.list_minor for one in made.seats]


@given(books(), ASKED, BASES, st.integers(0, 500))
def test_a_higher_base_price_makes_no_seat_cheaper(
    of: PriceBook, kinds: list[str], base: int, more: int
) -> None:
    low = asked(of, *kinds, base_minor=base)
    high = asked(of, *kinds, base_minor=base + more)
    assert all(one <= other for one, other in zip(_seats(low), _seats(high), strict=True))


@given(books(), ASKED, promos())
def test_codes_never_make_it_dearer(
    of: PriceBook, kinds: list[str], codes: tuple[Promo, ...]
) -> None:
    assert asked(of, *kinds, promos=codes).total_minor <= asked(of, *kinds).total_minor


@given(books(), ASKED, st.integers(1, 5000), st.integers(0, 5000), st.booleans())
def test_a_larger_discount_costs_no_more(
    of: PriceBook, kinds: list[str], value: int, more: int, stackable: bool
) -> None:
    smaller = asked(of, *kinds, promos=(promo(value, stackable=stackable),))
    larger = asked(of, *kinds, promos=(promo(value + more, stackable=stackable),))
    assert larger.total_minor <= smaller.total_minor


@given(books(), ASKED, promos(), st.data())
def test_parts_that_are_given_back_add_up_to_what_was_paid(
    of: PriceBook, kinds: list[str], codes: tuple[Promo, ...], data: st.DataObject
) -> None:
    show = ready_showtime(ready_book(of), facts())
    kept = tickets(*kinds)
    paid = quote(show, moment(), kept, codes).total_minor
    refunded = 0
    while kept:
        kept = [one for one in kept if data.draw(st.booleans())]
        left = quote(show, moment(), kept, codes).total_minor
        part = refund_due(paid, refunded, left)
        assert part >= 0
        refunded += part
        assert refunded <= paid
    assert refunded == paid


@settings(max_examples=50)
@given(books(), ASKED, promos())
def test_a_book_that_was_stored_gives_the_same_quotes(
    of: PriceBook, kinds: list[str], codes: tuple[Promo, ...]
) -> None:
    stored = msgspec.json.decode(msgspec.json.encode(of), type=PriceBook)
    assert asked(stored, *kinds, promos=codes) == asked(of, *kinds, promos=codes)
