"""A sale says what its quote says, and is the same whenever it is made."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinema.domain.pricing.book import Channel, PriceBook
from cinema.domain.pricing.quotes import quote
from cinema.domain.pricing.showing import AskedTicket, Moment
from cinema.domain.pricing.tickets import refused_tickets
from cinema.domain.rejections import Refused
from cinema.domain.showtime.prices import PriceInputs
from cinema.features.bookings.service import CODE_ALPHABET, booking_code
from cinema.features.pricing.book_service import Books
from cinema.features.pricing.rules import sale_of_quote, tickets_of_hold, types_of
from cinema.features.pricing.sale_service import (
    SALES_KEPT,
    HoldPriced,
    SaleShowtime,
    SalesService,
)
from cinema.features.pricing.use_rules import customer_names
from tests.unit.domain.pricing.making import (
    asked,
    book,
    fee,
    group,
    moment,
    promo,
    ready,
    rule,
)
from tests.unit.domain.pricing.random_books import ASKED, BASES, books
from tests.unit.domain.seat_drawing import draw_plan


def labels_of(kinds: list[str]) -> tuple[str, ...]:
    return tuple(f"A{number}" for number in range(1, len(kinds) + 1))


@given(of=books(), kinds=ASKED, base=BASES, off=st.none() | st.integers(1, 10_000))
def test_a_sale_adds_up_to_its_quote(
    of: PriceBook, kinds: list[str], base: int, off: int | None
) -> None:
    codes = () if off is None else (promo(off),)
    made = asked(of, *kinds, promos=codes, base_minor=base)
    sale = sale_of_quote(made, labels_of(kinds))
    assert sale.total_minor == made.total_minor
    assert sale.tax_minor == sum(line.tax_minor for line in made.taxes)
    assert sale.fees_tax_minor + sum(sale.taxes) == sale.tax_minor
    assert all(price >= 0 for price in sale.prices)
    by_kind = {
        kind: sum(line.amount_minor for line in sale.lines if line.kind == kind)
        for kind in ("group_discount", "promo", "fee", "tax")
    }
    listed = sum(line.list_minor for line in made.seats)
    assert listed + by_kind["group_discount"] + by_kind["promo"] == sum(sale.prices)
    assert (by_kind["fee"], by_kind["tax"]) == (sale.fees_minor, sale.tax_minor)
    assert bool(sale.promo_code) == any(not one.refused for one in made.promos)


CHANNELS: st.SearchStrategy[Channel] = st.sampled_from(["online", "counter"])
MOMENTS = st.builds(moment, st.integers(0, 120), st.integers(0, 100))


def hold_of(showtime: SaleShowtime, at: Moment, kinds: list[str], first: int) -> HoldPriced:
    """A hold of seats from a number on, for these categories."""
    facts = showtime.show.facts
    price_inputs = PriceInputs(
        *(showtime.show.ready.book.version, at.at_us, at.taken_seats, at.total_seats),
        *(facts.movie_id, facts.base_minor, (), facts.format, facts.starts_at_us),
        tuple(kind.rpartition(":")[0] or "regular" for kind in kinds),
    )
    labels = tuple(f"A{number}" for number in range(first, first + len(kinds)))
    return HoldPriced(showtime=showtime, price_inputs=price_inputs, labels=labels)


@given(
    of=books(),
    base=BASES,
    several=st.lists(ASKED, min_size=1, max_size=3),
    times=st.lists(st.tuples(MOMENTS, CHANNELS), min_size=2, max_size=8),
)
def test_what_is_remembered_of_a_sale_is_what_it_would_be_made_anew(
    of: PriceBook, base: int, several: list[list[str]], times: list[tuple[Moment, Channel]]
) -> None:
    showtime = SaleShowtime(ready(of, base), {})
    sales = SalesService(Books.__new__(Books))
    for at, channel in times:
        for first, kinds in enumerate(several + several[:1], 1):
            hold = hold_of(showtime, at, kinds, first)
            named = zip(hold.labels, kinds, strict=True)
            types = {label: kind.rpartition(":")[2] for label, kind in named}
            tickets = tickets_of_hold(hold.labels, hold.price_inputs.categories, types)
            refused = refused_tickets(showtime.show.ready, tickets, channel)
            if refused is None:
                made = sale_of_quote(quote(showtime.show, at, tickets), hold.labels)
                assert sales.sale(hold, types, channel) == made
            else:
                with pytest.raises(Refused) as told:
                    sales.sale(hold, types, channel)
                assert told.value.rejection == refused
    assert len(showtime.sales) <= SALES_KEPT


def test_a_sale_of_another_moment_or_channel_is_another_one() -> None:
    of = book(rule(1, "demand", "amount", 200, taken_min=50), rule(2, "time", "amount", -100))
    showtime = SaleShowtime(ready(of), {})
    sales = SalesService(Books.__new__(Books))
    empty, full = (hold_of(showtime, moment(taken=taken), ["adult"], 1) for taken in (0, 60))
    for hold, price in ((empty, 900), (full, 1100), (empty, 900), (full, 1100)):
        assert sales.sale(hold, {}, "online").prices == (price,)
    free = {"A1": "complimentary"}
    for _ in range(2):
        assert sales.sale(empty, free, "counter").prices == (0,)
        with pytest.raises(Refused) as refused:
            sales.sale(empty, free, "online")
        assert refused.value.rejection.details["reason"] == "CHANNEL"


def test_no_sale_with_a_code_is_remembered() -> None:
    showtime = SaleShowtime(ready(book()), {})
    hold = hold_of(showtime, moment(), ["adult"], 1)
    sales = SalesService(Books.__new__(Books))
    assert sales.sale(hold, {}, "online", (promo(300),)).prices == (700,)
    assert showtime.sales == {}
    assert sales.sale(hold, {}, "online").prices == (1000,)


def test_booking_codes_use_all_of_their_letters_and_no_others() -> None:
    codes = [booking_code() for _ in range(2000)]
    assert {len(code) for code in codes} == {8}
    assert len(set(codes)) == len(codes)
    for place in range(8):
        assert {code[place] for code in codes} == set(CODE_ALPHABET)


def test_what_all_adults_cost_without_tax_is_kept_short() -> None:
    sale = sale_of_quote(asked(book(), "adult", "adult"), ("A1", "A2"))
    assert (sale.types, sale.taxes, sale.lines) == ((), (), ())
    assert sale.prices == (1000, 1000)


def test_a_code_that_gives_way_is_not_used_and_one_that_is_missed_is_refused() -> None:
    of = book(group_discounts=(group(2, 5000),), fees=(fee(50, refundable=True),))
    sale = sale_of_quote(asked(of, "adult", "adult", promos=(promo(100),)), ("A1", "A2"))
    assert (sale.prices, sale.promo_code) == ((500, 500), "")
    assert [(line.kind, line.amount_minor, line.refundable) for line in sale.lines] == [
        ("group_discount", -1000, False),
        ("fee", 100, True),
    ]
    with pytest.raises(Refused) as refused:
        sale_of_quote(asked(of, "adult", promos=(promo(100, minimum_order=9999),)), ("A1",))
    assert refused.value.rejection.details == {"reason": "MINIMUM_ORDER"}


def test_seats_that_are_not_named_are_for_adults() -> None:
    assert tickets_of_hold(("A1", "B1"), ("regular", "premium"), {"B1": "child"}) == [
        AskedTicket("regular", "adult", "A1"),
        AskedTicket("premium", "child", "B1"),
    ]


@pytest.mark.parametrize(
    ("choices", "code"),
    [
        ([("Z1", "child"), ("A1", "child")], "UNKNOWN_SEAT"),
        ([("A1", "child"), ("A1", "adult")], "DUPLICATE_SEAT"),
        ([("A2", "child")], "SEAT_NOT_INCLUDED"),
    ],
)
def test_types_for_other_seats_are_refused(choices: list[tuple[str, str]], code: str) -> None:
    with pytest.raises(Refused) as refused:
        types_of(choices, ("A1",), draw_plan("rr"))
    assert refused.value.rejection.code == code


def test_a_customer_is_known_by_account_and_address_and_the_address_is_not_kept() -> None:
    assert customer_names(UUID(int=1), None) == [f"id:{UUID(int=1)}"]
    one, two = (customer_names(UUID(int=number), "a@example.com") for number in (1, 2))
    assert set(one) & set(two) == {one[1]}
    assert "example" not in one[1]
