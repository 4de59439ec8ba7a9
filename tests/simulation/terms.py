"""What is sold by which terms, as the catalogue's row says it, and as the journal does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from cinema.actors.messages import HoldSeen, SeatsSeen
from cinema.domain.pricing.book import BookSettings, Effect, PriceBook, Rule
from cinema.domain.pricing.book import Conditions as Rules
from cinema.domain.pricing.categories import category_prices
from cinema.domain.pricing.rules import ready_book
from cinema.domain.sale_rules import SaleRules
from cinema.domain.seatmap import SeatPlan
from cinema.domain.showtime.events import (
    AnyEvent,
    PlanChanged,
    SalesPaused,
    SalesResumed,
    ShowConditions,
    ShowtimeCancelled,
    TermsChanged,
)
from cinema.domain.showtime.terms import ShowtimeTerms
from tests.support.actors.switched_rows import terms_of_row

PRICES = ready_book(
    PriceBook(
        version=3,
        currency="EUR",
        time_zone="Europe/Berlin",
        settings=BookSettings(),
        rules=tuple(
            Rule(
                id=UUID(int=percent),
                name=f"from {percent} percent",
                group="demand",
                priority=100 - percent,
                when=Rules(taken_min=percent),
                effect=Effect(kind="amount", value=percent),
            )
            for percent in (10, 30, 60)
        ),
    )
)
"""Prices rise with the seats that are taken, which every owner has to count in the same way."""


def conditions(terms: ShowtimeTerms) -> ShowConditions:
    """What the row of a showtime says that is sold by these terms."""
    return ShowConditions(
        movie_id=terms.movie_id,
        screen_id=terms.screen_id,
        starts_at_us=terms.starts_at_us,
        ends_at_us=terms.ends_at_us,
        clear_at_us=terms.ends_at_us,
        local_date="2026-06-01",
        base_price_minor=terms.base_price_minor,
        price_overrides=(),
        format="2D",
        language="en",
        sales_opens_at_us=terms.sales_opens_at_us,
        sales_closes_at_us=terms.sales_closes_at_us,
        rules="{}",
    )


def rules_of(terms: ShowtimeTerms) -> SaleRules:
    """The rules among the terms: no change has others."""
    names = [field.name for field in msgspec.structs.fields(SaleRules)]
    return SaleRules(**{name: getattr(terms, name) for name in names})


def terms_loaded(
    before: ShowtimeTerms, row: Mapping[str, Any], plans: Sequence[SeatPlan]
) -> ShowtimeTerms:
    """The terms that are loaded once a row of the branch `switched` is there."""
    terms = terms_of_row(before, row)
    if "layout_version" in row:
        plan = plans[row["layout_version"] - 1]
        prices = _prices(plan, terms.base_price_minor)
        terms = msgspec.structs.replace(terms, plan=plan, prices_minor=prices)
    return terms


def terms_behind(
    before: ShowtimeTerms, event: AnyEvent, plans: Sequence[SeatPlan]
) -> ShowtimeTerms:
    """The terms behind an event, said without what the server uses for it."""
    changes: dict[str, Any] = {}
    match event:
        case PlanChanged():
            plan = plans[event.layout_version - 1]
            changes = {"plan": plan, "prices_minor": _prices(plan, before.base_price_minor)}
            if event.moved is not None:
                changes |= _changes(plan, event.moved)
        case TermsChanged():
            changes = _changes(before.plan, event)
        case SalesPaused() | SalesResumed() | ShowtimeCancelled():
            pass
        case _:
            return before
    return msgspec.structs.replace(before, version=before.version + 1, **changes)


def _changes(plan: SeatPlan, event: TermsChanged) -> dict[str, Any]:
    now = event.conditions
    return {
        "movie_id": now.movie_id,
        "screen_id": now.screen_id,
        "starts_at_us": now.starts_at_us,
        "base_price_minor": now.base_price_minor,
        "prices_minor": _prices(plan, now.base_price_minor),
        "promised_start_us": event.promised_start_us,
        "free_refund_until_us": event.free_refund_until_us,
    }


def as_shown(outcome: Any) -> Any:
    """An outcome with what clients see of its terms: its plan and its prices.

    Another node shows it with terms that it has looked up, which may be newer in all else.
    """
    if not isinstance(outcome, SeatsSeen | HoldSeen):
        return outcome
    terms = outcome.terms
    shown = msgspec.structs.asdict(outcome) | {"terms": (terms.plan, terms.prices_minor)}
    return type(outcome), shown


def _prices(plan: SeatPlan, base_minor: int) -> tuple[int, ...]:
    return category_prices(base_minor, plan.categories, {})
