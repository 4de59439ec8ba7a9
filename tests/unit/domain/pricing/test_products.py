"""Products beside tickets: what they cost, and the tax in all of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cinema.domain.pricing.amounts import included_tax
from cinema.domain.pricing.book import PriceBook
from cinema.domain.pricing.quotes import OrderedProduct, RateTax, TicketQuote, quote
from cinema.features.pricing.rules import sale_of_quote
from tests.unit.domain.pricing.making import book, fee, group, moment, promo, ready, tickets
from tests.unit.domain.pricing.random_books import ASKED, BASES, books

RATES = {"food": 700, "standard": 1900}


def beside(
    of: PriceBook, *products: OrderedProduct, kinds: tuple[str, ...] = ("adult",), base: int = 1000
) -> TicketQuote:
    """The quote of tickets with products."""
    return quote(ready(of, base), moment(), tickets(*kinds), (promo(5000, "percent"),), products)


def popcorn(
    quantity: int = 1, each: int = 650, tax: str = "standard", rate: int = 1900
) -> OrderedProduct:
    return OrderedProduct("popcorn", "Popcorn", quantity, each, tax, rate)


def test_no_discount_counts_for_products() -> None:
    of = book(group_discounts=(group(2, 1000),))
    made = beside(of, popcorn(2), kinds=("adult", "adult"))
    assert [line.price_minor for line in made.seats] == [500, 500]
    assert [line.amount_minor for line in made.products] == [1300]
    assert made.total_minor == 2300


def test_tax_is_rounded_once_for_each_rate_over_tickets_fees_and_products() -> None:
    """By hand: 500 + 333 + 100 = 933 at 7 % have 61.04, so 61; 650 at 19 % have 103.78."""
    of = book(tax_rates=RATES, ticket_tax="food", fees=(fee(100, tax="food"),))
    water = OrderedProduct("water", "Water", 1, 333, "food", 700)
    made = beside(of, water, popcorn())
    assert made.taxes == (RateTax("food", 700, 933, 61), RateTax("standard", 1900, 650, 104))
    assert made.seats[0].tax_minor + made.fees[0].tax_minor + made.products[0].tax_minor == 61
    assert made.products[1].tax_minor == 104


def test_a_rate_that_is_there_under_another_name_is_not_rounded_twice() -> None:
    """By hand: 500 + 333 = 833 at 7 % have 54.50, so 54; apart they have 33 and 22."""
    of = book(tax_rates=RATES, ticket_tax="food")
    made = beside(of, popcorn(1, 333, "snacks", 700))
    assert made.taxes == (RateTax("food", 700, 833, 54),)
    assert included_tax(500, 700) + included_tax(333, 700) == 55


def test_a_product_has_the_rate_of_now_and_may_have_none() -> None:
    of = book(tax_rates=RATES, ticket_tax="standard")
    made = beside(of, popcorn(1, 650, "standard", 1600), popcorn(1, 100, "", 1900))
    assert made.taxes == (RateTax("standard", 1600, 650, 90), RateTax("standard", 1900, 500, 80))
    assert [line.tax_minor for line in made.products] == [90, 0]


def test_a_sale_keeps_products_beside_fees() -> None:
    of = book(tax_rates=RATES, fees=(fee(100, tax="standard", refundable=True),))
    made = beside(of, popcorn(2), popcorn(1, 0, ""))
    sale = sale_of_quote(made, ("A1",))
    assert sale.fees_minor == 100 + 1300
    assert sale.total_minor == made.total_minor
    # What of it is an income from fees.
    assert sale.fees_minor - sale.fees_tax_minor == 100 - made.fees[0].tax_minor
    assert [(line.kind, line.amount_minor, line.quantity) for line in sale.lines] == [
        ("promo", -500, 1),
        ("fee", 100, 1),
        ("product", 1300, 2),
        ("product", 0, 1),
        ("tax", made.taxes[0].tax_minor, 1),
    ]


PRODUCTS = st.lists(
    st.builds(
        OrderedProduct,
        code=st.just("x"),
        name=st.just("X"),
        quantity=st.integers(1, 50),
        each_minor=st.integers(0, 100_000),
        tax=st.sampled_from(["", "standard", "food", "other"]),
        rate=st.sampled_from([0, 700, 1900]),
    ),
    max_size=5,
)


@given(of=books(), kinds=ASKED, base=BASES, products=PRODUCTS)
def test_products_change_nothing_else_and_all_lines_add_up(
    of: PriceBook, kinds: list[str], base: int, products: list[OrderedProduct]
) -> None:
    show, asked = ready(of, base), tickets(*kinds)
    alone, made = quote(show, moment(), asked), quote(show, moment(), asked, (), products)
    goods = sum(one.each_minor * one.quantity for one in products)
    assert made.total_minor == alone.total_minor + goods
    assert [line.price_minor for line in made.seats] == [line.price_minor for line in alone.seats]
    assert quote(show, moment(), asked, (), ()) == alone
    taxed = [*made.seats, *made.fees, *made.products]
    assert sum(line.tax_minor for line in taxed) == sum(line.tax_minor for line in made.taxes)
    assert all(line.tax_minor <= line.amount_minor for line in made.products)
    for tax in made.taxes:
        assert tax.tax_minor == included_tax(tax.gross_minor, tax.rate)
    # What products add is in one line for each rate.
    rates = [tax.rate for tax in made.taxes]
    assert len(rates) - len(set(rates)) <= max(
        0, len(alone.taxes) - len({tax.rate for tax in alone.taxes})
    )
    sale = sale_of_quote(made, tuple(ticket.seat for ticket in asked))
    fees = sum(fee.amount_minor - fee.tax_minor for fee in made.fees)
    assert (sale.total_minor, sale.fees_minor - sale.fees_tax_minor) == (made.total_minor, fees)
    assert sale.tax_minor == sum(line.tax_minor for line in made.taxes)
