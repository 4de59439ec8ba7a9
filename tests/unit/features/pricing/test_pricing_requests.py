"""What a price book, a promo code and a quote must not be asked for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from cinema.domain.pricing.book import (
    BookSettings,
    Conditions,
    Days,
    Discount,
    Effect,
    Fee,
    GroupDiscount,
    TicketType,
)
from cinema.domain.rejections import Refused
from cinema.domain.seatmap import Layout, parse_layout
from cinema.features.pricing import examples
from cinema.features.pricing.rules import (
    check_promo,
    check_rule,
    check_settings,
    promo_key,
    promo_of,
    tickets_of,
)
from cinema.features.pricing.shapes import (
    PromoTerms,
    Quote,
    QuoteInput,
    RuleFields,
    TicketChoice,
)

ADULT = TicketType(code="adult", name="Adult")
CHILD = TicketType(code="child", name="Child")
OFF = Discount(kind="percent", value=1000)
PLAN = parse_layout(
    msgspec.convert(
        {
            "rows": [
                {"label": "A", "seats": [{"number": n, "category": "regular"} for n in (1, 2, 3)]},
                {"label": "B", "seats": [{"number": n, "category": "vip"} for n in (1, 2)]},
            ]
        },
        type=Layout,
    ),
    1,
)


def refused(call: Callable[[], object]) -> tuple[str, Any]:
    with pytest.raises(Refused) as caught:
        call()
    rejection = caught.value.rejection
    return rejection.code, (rejection.details or {}).get("path")


# --- settings


def settings(**fields: Any) -> BookSettings:
    return BookSettings(**{"ticket_types": (ADULT, CHILD), **fields})


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"ticket_types": (CHILD,)}, "$.ticket_types"),
        ({"ticket_types": (ADULT, ADULT)}, "$.ticket_types"),
        (
            {"ticket_types": (TicketType(code="adult", name="Adult", free=True),)},
            "$.ticket_types",
        ),
        (
            {"ticket_types": (TicketType(code="adult", name="Adult", minimum=2),)},
            "$.ticket_types",
        ),
        (
            {"ticket_types": (TicketType(code="adult", name="Adult", needs_paying=True),)},
            "$.ticket_types",
        ),
        (
            {"ticket_types": (ADULT, TicketType(code="few", name="F", minimum=3, maximum=2))},
            "$.ticket_types[1].maximum",
        ),
        (
            {"ticket_types": (ADULT, TicketType(code="c", name="C", channels=("online",) * 2))},
            "$.ticket_types[1].channels",
        ),
        (
            {
                "group_discounts": (
                    GroupDiscount(
                        code="g", name="G", tickets_min=2, discount=OFF, ticket_types=("dog",)
                    ),
                )
            },
            "$.group_discounts[0].ticket_types",
        ),
        (
            {
                "group_discounts": (
                    GroupDiscount(code="g", name="G", tickets_min=2, discount=OFF),
                    GroupDiscount(code="g", name="H", tickets_min=3, discount=OFF),
                )
            },
            "$.group_discounts",
        ),
        ({"fees": (Fee(code="f", name="F", per="order", amount=1),) * 2}, "$.fees"),
        (
            {"fees": (Fee(code="f", name="F", per="order", amount=1, tax="none"),)},
            "$.fees[0].tax",
        ),
        ({"ticket_tax": "none"}, "$.ticket_tax"),
        ({"floor": 25, "rounding_step": 10}, "$.floor"),
        ({"ceiling": 25, "rounding_step": 10}, "$.ceiling"),
        ({"floor": 30, "ceiling": 20, "rounding_step": 10}, "$.ceiling"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(fields: dict[str, Any], path: str) -> None:
    assert refused(lambda: check_settings(settings(**fields), {"standard": 1900})) == (
        "VALIDATION_ERROR",
        path,
    )


def test_settings_in_which_all_fits_are_taken() -> None:
    check_settings(BookSettings(), {})
    check_settings(
        settings(
            floor=20,
            ceiling=20,
            rounding_step=10,
            ticket_tax="standard",
            fees=(Fee(code="f", name="F", per="order", amount=1, tax="standard"),),
            group_discounts=(
                GroupDiscount(
                    code="g", name="G", tickets_min=2, discount=OFF, ticket_types=("child",)
                ),
            ),
        ),
        {"standard": 1900},
    )
    check_settings(
        msgspec.convert(examples.SETTINGS, type=BookSettings), {"standard": 1900, "reduced": 700}
    )


# --- rules


def rule(group: Any = "time", kind: Any = "percent", value: int = -1000, **when: Any) -> RuleFields:
    return RuleFields(
        name="Rule", group=group, when=Conditions(**when), effect=Effect(kind=kind, value=value)
    )


@pytest.mark.parametrize(
    ("made", "path"),
    [
        (rule("demand"), "$.when"),
        (rule("type"), "$.when.ticket_types"),
        (rule(starts_from="10:00", starts_until="10:00"), "$.when.starts_until"),
        (rule(days=(Days(first=date(2026, 6, 2), last=date(2026, 6, 1)),)), "$.when.days[0].last"),
        (rule(hours_before_min=3, hours_before_max=3), "$.when.hours_before_max"),
        (rule(hours_before_max=0), "$.when.hours_before_max"),
        (rule("demand", taken_min=80, taken_max=70), "$.when.taken_max"),
        (rule(kind="price", value=-1), "$.effect.value"),
        (rule(kind="percent", value=-10_001), "$.effect.value"),
        (rule(kind="percent", value=100_001), "$.effect.value"),
    ],
)
def test_a_rule_that_can_never_count_is_refused(made: RuleFields, path: str) -> None:
    assert refused(lambda: check_rule(made)) == ("VALIDATION_ERROR", path)


@pytest.mark.parametrize(
    "made",
    [
        rule(),
        rule("demand", taken_min=80),
        rule("demand", taken_max=20),
        rule("type", ticket_types=("child",)),
        rule(hours_before_min=3, hours_before_max=4, starts_from="22:00", starts_until="02:00"),
        rule(days=(Days(first=date(2026, 6, 1), last=date(2026, 6, 1)),)),
        rule(kind="price", value=0),
        rule(kind="amount", value=-100_000),
    ],
)
def test_a_rule_that_can_count_is_taken(made: RuleFields) -> None:
    check_rule(made)


# --- promo codes

JUNE, JULY = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"discount": Discount(kind="amount", value=1)}, "$.currency"),
        ({"minimum_order": 1}, "$.currency"),
        ({"currency": "XXX"}, "$.currency"),
        ({"valid_from": JULY, "valid_until": JULY}, "$.valid_until"),
    ],
)
def test_a_code_that_can_never_be_used_is_refused(fields: dict[str, Any], path: str) -> None:
    terms = PromoTerms(**{"discount": OFF, **fields})
    assert refused(lambda: check_promo(terms)) == ("VALIDATION_ERROR", path)


def test_a_code_is_what_quotes_use() -> None:
    movie, cinema = UUID(int=1), UUID(int=2)
    terms = PromoTerms(
        discount=OFF,
        currency="EUR",
        minimum_order=5,
        valid_from=JUNE,
        valid_until=JULY,
        movie_ids=[movie],
        cinema_ids=[cinema],
        weekdays=[2],
    )
    check_promo(terms)
    made = promo_of("X", terms)
    assert (made.valid_from_us, made.valid_until_us) == (
        1_780_272_000_000_000,
        1_782_864_000_000_000,
    )
    assert (made.movie_ids, made.cinema_ids, made.weekdays) == ((movie,), (cinema,), (2,))
    check_promo(PromoTerms(discount=OFF))
    assert promo_of("X", PromoTerms(discount=OFF)).valid_from_us is None


def test_case_and_spaces_of_a_code_do_not_count() -> None:
    assert promo_key(" summer-26 ") == "SUMMER-26"


# --- quotes

SHOWTIME = UUID(int=3)


def asked(**fields: Any) -> list[tuple[str, str, str]]:
    made = tickets_of(QuoteInput(showtime_id=SHOWTIME, **fields), PLAN)
    return [(one.category, one.type, one.seat) for one in made]


def test_seats_without_a_ticket_are_for_adults() -> None:
    assert asked(seats=["B1", "A2"], tickets=[TicketChoice(seat="A2", type="child")]) == [
        ("vip", "adult", "B1"),
        ("regular", "child", "A2"),
    ]


def test_tickets_without_a_seat_are_for_the_seats_that_are_left() -> None:
    tickets = [TicketChoice(type="child", quantity=2), TicketChoice(seat="A1", type="senior")]
    assert [kind for _, kind, _ in asked(seats=["A1", "A2", "A3", "B1"], tickets=tickets)] == [
        *("senior", "child", "child", "adult"),
    ]


def test_a_quantity_is_of_one_category() -> None:
    assert asked(quantity=2, tickets=[TicketChoice(type="child")]) == [
        ("regular", "child", ""),
        ("regular", "adult", ""),
    ]
    assert asked(quantity=1, category="vip") == [("vip", "adult", "")]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"seats": ["Z9"]}, ("UNKNOWN_SEAT", None)),
        ({"seats": ["A1", "A1"]}, ("DUPLICATE_SEAT", None)),
        (
            {"seats": ["A1"], "tickets": [TicketChoice(seat="A1", type="child")] * 2},
            ("DUPLICATE_SEAT", None),
        ),
        (
            {"seats": ["A1"], "tickets": [TicketChoice(seat="A2", type="child")]},
            ("VALIDATION_ERROR", "$.tickets[0].seat"),
        ),
        (
            {"seats": ["A1"], "tickets": [TicketChoice(seat="A1", type="child", quantity=2)]},
            ("VALIDATION_ERROR", "$.tickets[0].quantity"),
        ),
        (
            {"seats": ["A1"], "tickets": [TicketChoice(type="child", quantity=2)]},
            ("VALIDATION_ERROR", "$.tickets"),
        ),
        ({"quantity": 1, "category": "sofa"}, ("UNKNOWN_CATEGORY", None)),
        (
            {"quantity": 1, "tickets": [TicketChoice(seat="A1", type="child")]},
            ("VALIDATION_ERROR", "$.tickets[0].seat"),
        ),
        (
            {"quantity": 1, "tickets": [TicketChoice(type="child", quantity=2)]},
            ("VALIDATION_ERROR", "$.tickets"),
        ),
    ],
)
def test_tickets_that_do_not_fit_are_refused(
    fields: dict[str, Any], expected: tuple[str, str | None]
) -> None:
    assert refused(lambda: asked(**fields)) == expected


@pytest.mark.parametrize(
    "fields", [{}, {"seats": ["A1"], "quantity": 1}, {"seats": ["A1"], "category": "vip"}]
)
def test_a_quote_is_for_seats_or_for_a_quantity(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="seats"):
        QuoteInput(showtime_id=SHOWTIME, **fields)


def test_the_example_of_a_quote_adds_up() -> None:
    made = msgspec.convert(examples.QUOTE, type=Quote)
    assert made.total.amount == sum(
        one.amount
        for one in (*(seat.price for seat in made.seats), *(fee.amount for fee in made.fees))
    )
    assert sum(tax.gross.amount for tax in made.taxes) == made.total.amount
    assert sum(tax.tax.amount for tax in made.taxes) == sum(
        one.tax.amount for one in (*made.seats, *made.fees)
    )
    for tax in made.taxes:
        assert tax.net.amount + tax.tax.amount == tax.gross.amount
