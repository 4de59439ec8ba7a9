"""Price books, showtimes and tickets for tests of prices."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from cinema.domain.pricing.book import (
    BookSettings,
    Conditions,
    Discount,
    Effect,
    Fee,
    GroupDiscount,
    PriceBook,
    Promo,
    Rule,
    TicketType,
)
from cinema.domain.pricing.quotes import TicketQuote, quote
from cinema.domain.pricing.rules import ReadyShowtime, ready_book, ready_showtime
from cinema.domain.pricing.showing import AskedTicket, Moment, ShowtimeFacts, local_start
from cinema.domain.times import to_us

MOVIE, OTHER_MOVIE = UUID(int=1), UUID(int=2)
CINEMA, OTHER_CINEMA = UUID(int=11), UUID(int=12)
BERLIN = ZoneInfo("Europe/Berlin")

# A Tuesday, 15:00 in Berlin.
START = datetime(2026, 6, 9, 13, 0, tzinfo=UTC)
HOUR_US = 3_600_000_000

TYPES = (
    TicketType(code="adult", name="Adult"),
    TicketType(code="child", name="Child", maximum=8),
    TicketType(code="companion", name="Companion", needs_paying=True, free=True),
    TicketType(code="complimentary", name="Complimentary", free=True, channels=("counter",)),
)


def rule(number: int, group: Any, kind: Any, value: int, **when: Any) -> Rule:
    """A rule whose priority is its number."""
    return Rule(
        id=UUID(int=number),
        name=f"Rule {number}",
        group=group,
        priority=number,
        when=Conditions(**when),
        effect=Effect(kind=kind, value=value),
    )


def book(*rules: Rule, currency: str = "EUR", tax_rates: Any = None, **settings: Any) -> PriceBook:
    """A book of the cinema of these tests."""
    return PriceBook(
        version=7,
        currency=currency,
        time_zone="Europe/Berlin",
        settings=BookSettings(**{"ticket_types": TYPES, **settings}),
        rules=rules,
        tax_rates=tax_rates or {},
    )


def facts(base_minor: int = 1000, start: datetime = START, **more: Any) -> ShowtimeFacts:
    """A showtime of the film and cinema of these tests."""
    starts_at_us = to_us(start)
    return ShowtimeFacts(
        movie_id=MOVIE.bytes,
        cinema_id=CINEMA.bytes,
        base_minor=base_minor,
        starts_at_us=starts_at_us,
        local=local_start(starts_at_us, BERLIN),
        **more,
    )


def ready(of: PriceBook, base_minor: int = 1000, **more: Any) -> ReadyShowtime:
    """A showtime under a book."""
    return ready_showtime(ready_book(of), facts(base_minor, **more))


def moment(hours_before: int = 48, taken: int = 0, total: int = 100) -> Moment:
    """So many hours before the start."""
    return Moment(to_us(START) - hours_before * HOUR_US, taken, total)


def tickets(*asked: str) -> list[AskedTicket]:
    """Tickets of types; `vip:child` names a category too."""
    made = []
    for number, one in enumerate(asked, 1):
        category, _, kind = one.rpartition(":")
        made.append(AskedTicket(category or "regular", kind, f"A{number}"))
    return made


def promo(value: int, kind: Any = "amount", per: Any = "booking", **more: Any) -> Promo:
    """A code."""
    return Promo(
        **{"code": "SUMMER", "discount": Discount(kind=kind, value=value), "per": per, **more}
    )


def group(tickets_min: int, value: int, kind: Any = "percent", **more: Any) -> GroupDiscount:
    """A discount for groups."""
    code = f"group-{tickets_min}"
    return GroupDiscount(
        code=code,
        name=f"From {tickets_min}",
        tickets_min=tickets_min,
        discount=Discount(kind=kind, value=value),
        **more,
    )


def fee(amount: int, per: Any = "ticket", **more: Any) -> Fee:
    """A fee."""
    return Fee(code=f"per-{per}", name="Service", per=per, amount=amount, **more)


def asked(
    of: PriceBook,
    *kinds: str,
    promos: tuple[Promo, ...] = (),
    at: Moment | None = None,
    base_minor: int = 1000,
    **more: Any,
) -> TicketQuote:
    """The quote for tickets of types."""
    return quote(ready(of, base_minor, **more), at or moment(), tickets(*kinds), promos)


def day(number: int) -> date:
    """A day of June 2026; the 9th is the day of the showtime."""
    return date(2026, 6, number)
