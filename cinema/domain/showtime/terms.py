"""What a showtime sells and on which conditions; fixed while its actor decides a command."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.domain.pricing.categories import category_prices
from cinema.domain.pricing.rules import ReadyBook
from cinema.domain.sale_rules import ChannelQuota, SaleRules
from cinema.domain.seatmap import SeatPlan
from cinema.domain.showtime.commands import AnyCommand, ChangePlan, ChangeTerms, MoveShowtime
from cinema.domain.showtime.events import (
    AnyEvent,
    PlanChanged,
    SalesPaused,
    SalesResumed,
    ShowtimeCancelled,
    TermsChanged,
)


class ShowtimeTerms(msgspec.Struct, frozen=True, gc=False):
    """The conditions of one showtime, loaded with its actor.

    `prices_minor` follows `plan.categories`. A hold lives `hold_ttl_s` from the moment it is
    placed or extended, and never longer than `hold_max_s` in all. Staff of
    its cinema, who sell to everybody who comes, have limits of their own.

    A hold waits for its payment `payment_window_s`, and for word that none came `payment_grace_s`
    more.

    `version` is that of the showtime's row, which rises with each of `TERMS_EVENTS`.
    `promised_start_us` is the start that customers count on, 0 where it is `starts_at_us`;
    `free_refund_until_us` as in `TermsChanged`.

    `book` is the price book of the cinema at `book_version`, None if that is a plain one; then
    `prices_minor` are the prices. It changes without an event: what is sold says by which version.

    Members can hold seats `early_access_minutes` before sales open. `channels` are the quotas of
    channels of sale.
    """

    showtime_id: bytes
    plan: SeatPlan
    currency: str
    prices_minor: tuple[int, ...]
    starts_at_us: int
    ends_at_us: int
    sales_opens_at_us: int
    sales_closes_at_us: int
    hold_ttl_s: int
    hold_max_s: int
    seats_per_hold: int
    live_holds_per_customer: int
    seats_per_staff_hold: int
    live_holds_per_staff: int
    protect_orphans: bool
    companions_need_accessible: bool
    cinema_id: bytes = b""
    version: int = 1
    movie_id: bytes = b""
    screen_id: bytes = b""
    base_price_minor: int = 0
    price_overrides: tuple[tuple[str, int], ...] = ()
    promised_start_us: int = 0
    free_refund_until_us: int = 0
    payment_window_s: int = 600
    payment_grace_s: int = 600
    format: str = "2D"
    time_zone: str = "UTC"
    book: ReadyBook | None = None
    book_version: int = 0
    early_access_minutes: int = 0
    channels: tuple[ChannelQuota, ...] = ()


TERMS_EVENTS: Final = frozenset(
    {PlanChanged, SalesPaused, SalesResumed, TermsChanged, ShowtimeCancelled}
)
"""The events that change the row of a showtime, and so at least the version of its terms."""


def terms_after(terms: ShowtimeTerms, command: AnyCommand, event: AnyEvent) -> ShowtimeTerms:
    """The terms behind an event of `TERMS_EVENTS`, which `command` has led to.

    The same as are read from its row from then on.
    """
    if isinstance(event, ShowtimeCancelled | SalesPaused | SalesResumed):
        return msgspec.structs.replace(terms, version=terms.version + 1)
    if isinstance(event, PlanChanged) and isinstance(command, ChangePlan):
        there = _on_plan(terms, command.plan)
        prices_minor = command.prices_minor or there.prices_minor
        return msgspec.structs.replace(
            there, version=event.terms_version, prices_minor=prices_minor
        )
    if isinstance(event, PlanChanged) and isinstance(command, MoveShowtime) and event.moved:
        there = _on_plan(terms, command.plan)
        return _changed(there, event.moved, command.rules)
    if isinstance(event, TermsChanged) and isinstance(command, ChangeTerms):
        return _changed(terms, event, command.rules)
    raise TypeError(f"{type(event).__name__} changes no terms")


def _on_plan(terms: ShowtimeTerms, plan: SeatPlan) -> ShowtimeTerms:
    prices = category_prices(terms.base_price_minor, plan.categories, dict(terms.price_overrides))
    return msgspec.structs.replace(terms, plan=plan, prices_minor=prices)


def _changed(terms: ShowtimeTerms, event: TermsChanged, rules: SaleRules) -> ShowtimeTerms:
    now = event.conditions
    return msgspec.structs.replace(
        terms,
        version=event.version,
        movie_id=now.movie_id,
        screen_id=now.screen_id,
        starts_at_us=now.starts_at_us,
        ends_at_us=now.ends_at_us,
        sales_opens_at_us=now.sales_opens_at_us,
        sales_closes_at_us=now.sales_closes_at_us,
        base_price_minor=now.base_price_minor,
        price_overrides=now.price_overrides,
        format=now.format,
        prices_minor=category_prices(
            now.base_price_minor, terms.plan.categories, dict(now.price_overrides)
        ),
        promised_start_us=event.promised_start_us,
        free_refund_until_us=event.free_refund_until_us,
        **msgspec.structs.asdict(rules),
    )
