"""Books, codes and tickets of all kinds, at random."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from cinema.domain.pricing.book import PriceBook, Promo, Rule
from tests.unit.domain.pricing.making import book, fee, group, promo, rule

GROUPS = ("time", "demand", "type")
KINDS = st.sampled_from(["adult", "child", "companion", "vip:adult", "premium:child"])
ASKED = st.lists(KINDS, min_size=1, max_size=12)
EFFECTS = st.one_of(
    st.tuples(st.just("percent"), st.integers(-10_000, 20_000)),
    st.tuples(st.just("amount"), st.integers(-2000, 2000)),
    st.tuples(st.just("price"), st.integers(0, 5000)),
)
WHEN: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "ticket_types": st.sampled_from([("child",), ("adult", "child")]),
        "categories": st.just(("vip",)),
        "taken_min": st.integers(0, 100),
        "hours_before_max": st.integers(1, 100),
        "weekdays": st.sampled_from([(2,), (1, 3)]),
    },
)


@st.composite
def rules(draw: st.DrawFn) -> list[Rule]:
    made = []
    for number in range(draw(st.integers(0, 8))):
        kind, value = draw(EFFECTS)
        made.append(rule(number, draw(st.sampled_from(GROUPS)), kind, value, **draw(WHEN)))
    return made


@st.composite
def promos(draw: st.DrawFn) -> tuple[Promo, ...]:
    made = []
    for code in draw(st.sampled_from(["", "A", "AB", "ABC"])):
        kind = draw(st.sampled_from(["percent", "amount"]))
        made.append(
            promo(
                draw(st.integers(1, 10_000)),
                kind,
                draw(st.sampled_from(["seat", "booking"])),
                code=code,
                stackable=draw(st.booleans()),
                minimum_order=draw(st.sampled_from([0, 0, 3000])),
            )
        )
    return tuple(made)


@st.composite
def books(draw: st.DrawFn) -> PriceBook:
    step = draw(st.sampled_from([1, 5, 50, 100]))
    floor = step * draw(st.integers(0, 10))
    return book(
        *draw(rules()),
        tax_rates={"a": draw(st.integers(0, 3000)), "b": 1900},
        ticket_tax="a",
        rounding_step=step,
        floor=floor,
        ceiling=floor + step * draw(st.integers(0, 100)),
        group_discounts=(group(3, 700), group(6, 300, "amount")),
        fees=(fee(draw(st.integers(0, 200)), tax="b"), fee(100, "order", tax="a")),
    )


BASES = st.integers(0, 10_000)
