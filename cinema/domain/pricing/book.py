"""The price book of a cinema: everything that its prices follow from, as one document.

A version never changes. It is stored as JSON, so fields are only added, with a default that means
what was meant before. Amounts are minor units of the book's currency, percentages hundredths of a
percent (1900 is 19 %), weekdays 1 (Monday) to 7.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.domain.pricing.categories import CATEGORY_FACTOR_PERCENT

RULES_LIMIT: Final = 200
"""Rules of a cinema; a quote looks at each of them."""

SEAT_PRICE_LIMIT_MINOR: Final = 4_000_000_000
"""The highest price of a seat after rules: with a rounding step it still fits into a packed hold
(`PRICE_LIMIT_MINOR`)."""

AMOUNT_LIMIT_MINOR: Final = 100_000_000
"""The highest amount in a book; that of a base price too."""

ROUNDING_LIMIT_MINOR: Final = 1_000_000

Code = Annotated[
    str,
    Meta(
        pattern="^[a-z][a-z0-9_-]{0,31}$",
        description="What programs call it.",
        examples=["student"],
    ),
]
Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^\S(.*\S)?$")]
Amount = Annotated[int, Meta(ge=0, le=AMOUNT_LIMIT_MINOR)]
TimeOfDay = Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["17:00"])]
Weekday = Annotated[int, Meta(ge=1, le=7)]
Category = Annotated[str, Meta(min_length=1, max_length=32)]
Format = Annotated[str, Meta(min_length=1, max_length=16)]
RateName = Annotated[str, Meta(max_length=32)]
Percent = Annotated[int, Meta(ge=0, le=100)]
Hours = Annotated[int, Meta(ge=0, le=17_520)]

Channel = Literal["online", "counter"]
Group = Literal["time", "demand", "type"]
EffectKind = Literal["percent", "amount", "price"]

GROUPS: Final[tuple[Group, ...]] = ("time", "demand", "type")
"""One rule of each group counts, in this order."""


class TicketType(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom a ticket is for.

    `proof` says what is shown at the door. There are between `minimum` and `maximum` of them in a
    booking that has any. Each one with `needs_paying` needs another seat that is paid for. A `free`
    ticket costs nothing: no rule, limit or fee changes that.
    """

    code: Code
    name: Name
    proof: Annotated[str, Meta(max_length=200)] = ""
    minimum: Annotated[int, Meta(ge=1, le=100)] = 1
    maximum: Annotated[int, Meta(ge=1, le=100)] = 100
    needs_paying: bool = False
    free: bool = False
    channels: Annotated[tuple[Channel, ...], Meta(min_length=1, max_length=2)] = (
        "online",
        "counter",
    )


class Days(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Days of the cinema's calendar, both included."""

    first: date
    last: date


class Conditions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a rule counts: all that is named must hold, and what is not named is not asked for.

    The start is that on the cinema's clock, from `starts_from` to before `starts_until`. If that
    is over midnight, a start after midnight counts to the day before. `hours_before_min` and
    `…_max` are between the hold and the start, the lower one included. `taken_min` and `…_max` are
    percent of the seats that were held or booked at the hold, the lower one included.
    """

    weekdays: Annotated[tuple[Weekday, ...], Meta(max_length=7)] = ()
    starts_from: TimeOfDay | None = None
    starts_until: TimeOfDay | None = None
    days: Annotated[tuple[Days, ...], Meta(max_length=50)] = ()
    hours_before_min: Hours | None = None
    hours_before_max: Hours | None = None
    taken_min: Percent | None = None
    taken_max: Percent | None = None
    formats: Annotated[tuple[Format, ...], Meta(max_length=20)] = ()
    categories: Annotated[tuple[Category, ...], Meta(max_length=64)] = ()
    ticket_types: Annotated[tuple[Code, ...], Meta(max_length=32)] = ()
    movie_ids: Annotated[tuple[UUID, ...], Meta(max_length=100)] = ()


class Effect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a rule does to a price.

    `percent` adds so many hundredths of a percent of it, `amount` so many minor units, each may
    be negative; `price` is the new price.
    """

    kind: EffectKind
    value: Annotated[int, Meta(ge=-AMOUNT_LIMIT_MINOR, le=AMOUNT_LIMIT_MINOR)]


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule; in its group the first that counts by `priority`, lowest number first, is used."""

    id: UUID
    name: Name
    group: Group
    priority: Annotated[int, Meta(ge=0, le=10_000)]
    when: Conditions
    effect: Effect


class Discount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a promo code or a group takes off: hundredths of a percent, or minor units."""

    kind: Literal["percent", "amount"]
    value: Annotated[int, Meta(ge=1, le=AMOUNT_LIMIT_MINOR)]

    def __post_init__(self) -> None:
        if self.kind == "percent" and self.value > 10_000:
            raise ValueError("a discount of more than 100 percent (10000)")


class GroupDiscount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Off each paid ticket, of these types or of all, from so many of them in a booking on."""

    code: Code
    name: Name
    tickets_min: Annotated[int, Meta(ge=2, le=100)]
    discount: Discount
    ticket_types: Annotated[tuple[Code, ...], Meta(max_length=32)] = ()


class Fee(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is paid beside the seats, by `ticket` or once by `order`; free tickets have none.

    `tax` is the name of its rate, empty for none.
    """

    code: Code
    name: Name
    per: Literal["ticket", "order"]
    amount: Amount
    refundable: bool = False
    tax: RateName = ""


def _usual_factors() -> dict[str, int]:
    return {name: percent * 100 for name, percent in CATEGORY_FACTOR_PERCENT.items()}


class BookSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The part of a book that managers write as a whole; rules have rows of their own.

    `category_factors` are hundredths of a percent of the base price (10000 is the base price); a
    category that is not named costs the base price. `floor` and `ceiling` bound the price of a
    paid seat before group discount and promo code. `ticket_tax` names the rate of tickets.
    """

    category_factors: Annotated[
        dict[Category, Annotated[int, Meta(ge=0, le=100_000)]], Meta(max_length=64)
    ] = msgspec.field(default_factory=_usual_factors)
    format_surcharges: Annotated[dict[Format, Amount], Meta(max_length=20)] = {}
    ticket_types: Annotated[tuple[TicketType, ...], Meta(min_length=1, max_length=32)] = (
        TicketType(code="adult", name="Adult"),
    )
    group_discounts: Annotated[tuple[GroupDiscount, ...], Meta(max_length=16)] = ()
    fees: Annotated[tuple[Fee, ...], Meta(max_length=16)] = ()
    floor: Amount = 0
    ceiling: Annotated[int, Meta(ge=0, le=SEAT_PRICE_LIMIT_MINOR)] | None = None
    rounding_step: Annotated[int, Meta(ge=1, le=ROUNDING_LIMIT_MINOR)] = 1
    ticket_tax: RateName = ""


class PriceBook(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a cinema's price book; `tax_rates` by name, hundredths of a percent."""

    version: int
    currency: str
    time_zone: str
    settings: BookSettings
    rules: tuple[Rule, ...] = ()
    tax_rates: dict[str, int] = {}


PLAIN_SETTINGS: Final = BookSettings()
"""With these, and without rules, a seat costs what its category costs, and nothing else."""


def is_plain(book: PriceBook) -> bool:
    """Whether prices follow from the showtime alone."""
    return not book.rules and book.settings == PLAIN_SETTINGS


def plain_book(currency: str, time_zone: str) -> PriceBook:
    """The book of a hold that was placed without one; its version is 0."""
    return PriceBook(version=0, currency=currency, time_zone=time_zone, settings=PLAIN_SETTINGS)


class Promo(msgspec.Struct, frozen=True, kw_only=True):
    """What a promo code does, and for what.

    It counts from `valid_from_us` to before `valid_until_us`, for films, cinemas and weekdays of
    the start that are named, or for all. The seats together must cost `minimum_order` before it.
    Its amounts are of `currency`, None if it has none. One that is not `stackable` excludes a group
    discount and other codes.
    """

    code: str
    discount: Discount
    per: Literal["seat", "booking"]
    stackable: bool = False
    minimum_order: int = 0
    currency: str | None = None
    valid_from_us: int | None = None
    valid_until_us: int | None = None
    movie_ids: tuple[UUID, ...] = ()
    cinema_ids: tuple[UUID, ...] = ()
    weekdays: tuple[int, ...] = ()
