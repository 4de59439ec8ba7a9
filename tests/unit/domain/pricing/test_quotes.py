from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from cinema.domain.pricing.book import Promo, Rule
from cinema.domain.pricing.quotes import PromoLine, RateTax, TicketQuote, quote, refund_due
from cinema.domain.times import to_us
from tests.unit.domain.pricing.making import (
    CINEMA,
    MOVIE,
    OTHER_CINEMA,
    OTHER_MOVIE,
    START,
    asked,
    book,
    fee,
    group,
    moment,
    promo,
    ready,
    rule,
    tickets,
)

MATINEE = rule(1, "time", "percent", -2000, starts_until="17:00")
CHILD = rule(2, "type", "percent", -3000, ticket_types=("child",))
NEARLY_FULL = rule(3, "demand", "percent", 1000, taken_min=80)
CHILD_FIXED = rule(4, "type", "price", 400, ticket_types=("child",))
TUESDAY = rule(5, "time", "amount", -300, weekdays=(2,))


class Case(NamedTuple):
    """A case worked out by hand."""

    name: str
    rules: tuple[Rule, ...]
    kinds: tuple[str, ...]
    seats: list[int]
    total: int
    settings: Mapping[str, Any] = MappingProxyType({})
    base: int = 1000
    taken: int = 0
    promos: tuple[Promo, ...] = ()
    showtime: Mapping[str, Any] = MappingProxyType({})


CASES = [
    Case("the base price", (), ("adult",), [1000], 1000),
    Case("categories", (), ("premium:adult", "vip:adult", "sofa:adult"), [1250, 1600, 1000], 3850),
    Case("halves of a cent go up", (), ("premium:adult",), [1563], 1563, base=1250),  # 1562.5
    Case(
        "a category's own price, and a surcharge",
        (),
        ("vip:adult", "regular:adult"),
        [1800, 1300],  # 1500 + 300, 1000 + 300
        3100,
        {"format_surcharges": {"3D": 300}},
        showtime={"overrides": (("vip", 1500),), "format": "3D"},
    ),
    Case("matinee for a child", (MATINEE, CHILD), ("child",), [560], 560),  # 1000 800 560
    Case("only the first of a group", (MATINEE, TUESDAY), ("adult",), [800], 800),
    Case("an amount off", (TUESDAY,), ("adult",), [700], 700),
    Case("79 percent taken", (MATINEE, NEARLY_FULL), ("adult",), [800], 800, taken=79),
    Case("80 percent taken", (MATINEE, NEARLY_FULL), ("adult",), [880], 880, taken=80),
    Case("a fixed price", (MATINEE, CHILD_FIXED), ("child", "adult"), [400, 800], 1200),
    Case("never below 0", (rule(1, "time", "amount", -2000),), ("adult",), [0], 0),
    Case("a fixed price below 0 is 0", (rule(1, "time", "price", -5),), ("adult",), [0], 0),
    Case("more than all of it is 0", (rule(1, "time", "percent", -15_000),), ("adult",), [0], 0),
    Case("floor", (CHILD_FIXED,), ("child",), [600], 600, {"floor": 600}),
    Case("ceiling", (), ("vip:adult",), [1500], 1500, {"ceiling": 1500}),
    Case(
        "the highest price of all",
        (rule(1, "time", "percent", 100_000_000),),
        ("adult",),
        [4_000_000_000],
        4_000_000_000,
        base=1_000_000,
    ),
    Case(
        "rounding",
        (rule(1, "time", "percent", -1300), rule(2, "type", "amount", 5, ticket_types=("child",))),
        ("adult", "child"),
        [850, 900],  # 870, 875
        1750,
        {"rounding_step": 50},
    ),
    Case("a free seat has no floor", (), ("adult", "companion"), [1000, 0], 1000, {"floor": 500}),
    Case(
        "a group",
        (CHILD,),
        ("adult",) * 8 + ("child",) * 2,
        [900] * 8 + [630] * 2,
        8460,
        {"group_discounts": (group(5, 500), group(10, 1000))},
    ),
    Case(
        "a group that is too small for the larger discount",
        (),
        ("adult",) * 9,
        [950] * 9,
        8550,
        {"group_discounts": (group(10, 1000), group(5, 500))},
    ),
    Case(
        "a group of children",
        (),
        ("adult", "child", "child"),
        [1000, 850, 850],
        2700,
        {"group_discounts": (group(2, 150, "amount", ticket_types=("child",)),)},
    ),
    Case(
        "free seats make no group",
        (),
        ("adult", "companion"),
        [1000, 0],
        1000,
        {"group_discounts": (group(2, 1000),)},
    ),
    Case(
        "an amount off the booking",
        (CHILD,),
        ("adult", "adult", "child"),
        [815, 815, 570],  # 500 by 10 : 10 : 7 is 185.19, 185.19, 129.63
        2200,
        promos=(promo(500),),
    ),
    Case(
        "a percentage off each seat",
        (CHILD,),
        ("adult", "adult", "child"),
        [750, 750, 525],
        2025,
        promos=(promo(2500, "percent", "seat"),),
    ),
    Case(
        "an amount off each seat, and never below 0",
        (CHILD,),
        ("adult", "child", "companion"),
        [200, 0, 0],
        200,
        promos=(promo(800, "amount", "seat"),),
    ),
    Case(
        "a percentage off the booking",
        (),
        ("adult", "vip:adult"),
        [900, 1440],
        2340,
        promos=(promo(1000, "percent"),),
    ),
    Case("more off than it costs", (), ("adult",), [0], 0, promos=(promo(5000),)),
    Case(
        "seats before the booking, whatever the order",
        (),
        ("adult",),
        [400],  # 1000, half of it, less 100
        400,
        promos=(
            promo(100, code="B", stackable=True),
            promo(5000, "percent", "seat", code="A", stackable=True),
        ),
    ),
    Case(
        "fees for each ticket and for the order",
        (),
        ("adult", "adult", "companion"),
        [1000, 1000, 0],
        2200,
        {"fees": (fee(50), fee(100, "order"))},
    ),
    Case("free tickets have no fee", (), ("complimentary",), [0], 0, {"fees": (fee(50, "order"),)}),
    Case(
        "yen have no decimals",
        (rule(1, "type", "percent", -3500, ticket_types=("child",)),),
        ("child", "adult"),
        [1200, 1800],  # 1170 to the next hundred
        3000,
        {"rounding_step": 100},
        base=1800,
    ),
    Case(
        "fils have three", (rule(1, "time", "percent", -1250),), ("adult",), [3063], 3063, base=3500
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_prices_worked_out_by_hand(case: Case) -> None:
    made = asked(
        book(*case.rules, **case.settings),
        *case.kinds,
        base_minor=case.base,
        at=moment(taken=case.taken),
        promos=case.promos,
        **case.showtime,
    )
    assert [line.price_minor for line in made.seats] == case.seats
    assert made.total_minor == case.total


def test_each_step_of_a_price_is_told() -> None:
    of = book(
        MATINEE,
        NEARLY_FULL,
        CHILD,
        format_surcharges={"3D": 150},
        floor=100,
        ceiling=800,
        rounding_step=50,
        group_discounts=(group(2, 1000),),
    )
    made = asked(
        of,
        *("premium:child", "adult"),
        format="3D",
        at=moment(taken=90),
        promos=(
            promo(100, per="seat", code="A", stackable=True),
            promo(55, code="B", stackable=True),
        ),
    )
    assert [(one.code, one.text, one.from_minor, one.to_minor) for one in made.seats[0].steps] == [
        ("BASE", "Base price", 0, 1000),
        ("CATEGORY", "Category premium", 1000, 1250),
        ("FORMAT", "Format 3D", 1250, 1400),
        ("RULE_TIME", "Rule 1", 1400, 1120),
        ("RULE_DEMAND", "Rule 3", 1120, 1232),
        ("RULE_TYPE", "Rule 2", 1232, 862),  # 862.4
        ("CEILING", "Highest price", 862, 800),
        ("GROUP_DISCOUNT", "From 2", 800, 720),
        ("PROMO_SEAT", "A", 720, 620),
        ("PROMO_BOOKING", "B", 620, 592),  # 55 by 620 : 620 is 27.5 each; the first has the 28
    ]
    assert made.seats[0].steps[3].ref == str(MATINEE.id)
    assert made.seats[0].list_minor == 800
    assert [step.code for step in made.seats[1].steps][-5:] == [
        *("RULE_DEMAND", "CEILING", "GROUP_DISCOUNT", "PROMO_SEAT", "PROMO_BOOKING"),
    ]
    assert made.book_version == 7


def test_floor_rounding_own_price_and_free_are_told_too() -> None:
    of = book(CHILD_FIXED, floor=520, rounding_step=50)
    made = asked(of, "vip:child", "companion", overrides=(("vip", 1100),))
    assert [(one.code, one.to_minor) for one in made.seats[0].steps] == [
        ("BASE", 1000),
        ("CATEGORY_PRICE", 1100),
        ("RULE_TYPE", 400),
        ("FLOOR", 520),
        ("ROUNDING", 500),
    ]
    assert [one.code for one in made.seats[1].steps] == ["BASE", "FREE"]


def test_a_rule_for_categories_is_for_these_only() -> None:
    of = book(rule(1, "time", "percent", -5000, categories=("vip", "premium")))
    made = asked(of, "vip:adult", "adult")
    assert [line.price_minor for line in made.seats] == [800, 1000]


# --- taxes


def test_tax_is_rounded_once_for_each_rate_and_shared_out_to_its_lines() -> None:
    of = book(
        tax_rates={"reduced": 700, "standard": 1900},
        ticket_tax="reduced",
        fees=(fee(50, tax="standard", refundable=True), fee(99, "order")),
    )
    made = asked(of, "adult", "adult", "adult", base_minor=950)
    # 2850 × 7 / 107 is 186.45; of each seat alone it would be 62.15. 150 × 19 / 119 is 23.95.
    assert made.taxes == (RateTax("reduced", 700, 2850, 186), RateTax("standard", 1900, 150, 24))
    assert [line.tax_minor for line in made.seats] == [62, 62, 62]
    assert [
        (line.code, line.quantity, line.amount_minor, line.refundable, line.tax_minor)
        for line in made.fees
    ] == [("per-ticket", 3, 150, True, 24), ("per-order", 1, 99, False, 0)]
    assert made.total_minor == 2850 + 150 + 99


def test_tax_of_yen() -> None:
    of = book(currency="JPY", tax_rates={"standard": 1000}, ticket_tax="standard")
    made = asked(of, "adult", base_minor=1800)
    assert made.currency == "JPY"
    assert made.taxes == (RateTax("standard", 1000, 1800, 164),)  # 163.64


def test_a_rate_that_the_cinema_no_longer_has_is_shown_with_nothing() -> None:
    made = asked(book(ticket_tax="gone"), "adult")
    assert made.taxes == (RateTax("gone", 0, 1000, 0),)


# --- promo codes


@pytest.mark.parametrize(
    ("conditions", "reason"),
    [
        ({"valid_from_us": to_us(START)}, "NOT_YET"),
        ({"valid_until_us": moment().at_us}, "ENDED"),
        ({"cinema_ids": (OTHER_CINEMA,)}, "OTHER_CINEMA"),
        ({"currency": "JPY"}, "OTHER_CURRENCY"),
        ({"movie_ids": (OTHER_MOVIE,)}, "OTHER_FILM"),
        ({"weekdays": (1, 3)}, "OTHER_DAY"),
        ({"minimum_order": 1001}, "MINIMUM_ORDER"),
    ],
)
def test_a_code_that_is_not_for_this_booking_takes_nothing_off(
    conditions: dict[str, Any], reason: str
) -> None:
    made = asked(book(), "adult", promos=(promo(500, **conditions),))
    assert made.promos == (PromoLine("SUMMER", 0, reason),)
    assert made.total_minor == 1000


def test_a_code_for_this_film_cinema_day_and_time_counts() -> None:
    one = promo(
        500,
        movie_ids=(OTHER_MOVIE, MOVIE),
        cinema_ids=(CINEMA,),
        currency="EUR",
        weekdays=(2,),
        valid_from_us=moment().at_us,
        valid_until_us=moment().at_us + 1,
        minimum_order=1000,
    )
    assert asked(book(), "adult", promos=(one,)).promos == (PromoLine("SUMMER", 500),)


def test_codes_that_are_not_stackable_exclude_each_other() -> None:
    kept = promo(100, code="KEPT", stackable=True)
    made = asked(book(), "adult", promos=(promo(500), kept, promo(10, code="OTHER")))
    assert made.promos == (
        PromoLine("KEPT", 100),
        PromoLine("SUMMER", 0, "NOT_STACKABLE"),
        PromoLine("OTHER", 0, "NOT_STACKABLE"),
    )


def test_a_code_that_has_ended_excludes_no_other() -> None:
    made = asked(book(), "adult", promos=(promo(500), promo(1, code="OLD", valid_until_us=1)))
    assert made.promos == (PromoLine("SUMMER", 500), PromoLine("OLD", 0, "ENDED"))


GROUP = {"group_discounts": (group(2, 1000),)}  # 200 off two adults.


@pytest.mark.parametrize(
    ("one", "total", "line"),
    [
        (promo(201), 1799, PromoLine("SUMMER", 201)),
        (promo(200), 1800, PromoLine("SUMMER", 0, "NOT_STACKABLE")),
        (promo(500, minimum_order=2001), 1800, PromoLine("SUMMER", 0, "MINIMUM_ORDER")),
        (promo(500, minimum_order=2000), 1500, PromoLine("SUMMER", 500)),
        (promo(201, stackable=True), 1599, PromoLine("SUMMER", 201)),
        (
            promo(201, stackable=True, minimum_order=1801),
            1800,
            PromoLine("SUMMER", 0, "MINIMUM_ORDER"),
        ),
    ],
)
def test_of_code_and_group_discount_what_costs_less_counts_unless_both_do(
    one: Promo, total: int, line: PromoLine
) -> None:
    made = asked(book(**GROUP), "adult", "adult", promos=(one,))
    assert made.total_minor == total
    assert made.promos == (line,)


def test_no_discount_is_more_than_all_of_it() -> None:
    with pytest.raises(ValueError, match="more than 100 percent"):
        promo(10_001, "percent")
    assert asked(book(), "adult", promos=(promo(10_000, "percent"),)).total_minor == 0


# --- part cancellation


def of_adults(count: int) -> TicketQuote:
    return asked(book(group_discounts=(group(10, 1000),)), *["adult"] * count)


def test_who_keeps_too_few_for_a_group_pays_these_without_the_discount() -> None:
    paid = of_adults(10).total_minor
    assert paid == 9000
    assert refund_due(paid, 0, of_adults(8).total_minor) == 1000
    assert refund_due(paid, 1000, of_adults(2).total_minor) == 6000
    assert refund_due(paid, 7000, 0) == 2000


def test_a_seat_less_that_costs_more_gives_nothing_back() -> None:
    paid = of_adults(10).total_minor
    assert refund_due(paid, 0, of_adults(9).total_minor) == 0
    assert refund_due(paid, 0, 9500) == 0


# --- frozen


def test_a_quote_is_the_same_however_often_it_is_made() -> None:
    of = book(MATINEE, CHILD, NEARLY_FULL, **GROUP)
    first = asked(of, "adult", "child", promos=(promo(10),))
    assert asked(of, "adult", "child", promos=(promo(10),)) == first
    show = ready(of)
    assert quote(show, moment(), tickets("adult", "child"), (promo(10),)) == first
