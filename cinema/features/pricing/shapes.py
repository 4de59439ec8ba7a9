"""Price books, promo codes and quotes as clients send and see them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.domain.limits_catalog import PAGE_DEFAULT
from cinema.domain.money import Money
from cinema.domain.paging import Cursor, Limit
from cinema.domain.pricing.book import (
    BookSettings,
    Channel,
    Code,
    Conditions,
    Discount,
    Effect,
    Group,
    Name,
    Weekday,
)
from cinema.domain.pricing.quotes import StepCode
from cinema.features.catalog.shapes import CurrencyCode, Instant, PriceMinor, SeatCategory
from cinema.features.concessions.shapes import ConcessionChoices
from cinema.features.seats.shapes import SeatLabel, SeatLabels

PromoText = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        description="Upper and lower case are the same, and spaces around it do not count.",
        examples=["SUMMER"],
    ),
]
NewPromoText = Annotated[
    str,
    Meta(
        pattern="^[A-Za-z0-9](-?[A-Za-z0-9]){2,31}$",
        max_length=32,
        description="Upper and lower case are the same. A code that is easy to guess is guessed.",
        examples=["SUMMER"],
    ),
]


class SettingsOfPrices(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a cinema's price book; `version` is theirs, as in the `ETag`.

    `book_version` rises with each change of settings, rules, tax rates, currency and time zone.
    """

    cinema_id: UUID
    version: int
    book_version: int
    currency: str
    settings: BookSettings


class RuleFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may change of a rule."""

    name: Name
    group: Group
    priority: Annotated[int, Meta(ge=0, le=10_000)] = 100
    when: Conditions = Conditions()
    effect: Effect


class RuleInput(RuleFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new rule of a cinema."""

    cinema_id: UUID


class PriceRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of a cinema; `version` is in its `ETag`."""

    id: UUID
    cinema_id: UUID
    name: str
    group: Group
    priority: int
    when: Conditions
    effect: Effect
    version: int = 1


class RuleQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose rules, and which part of them."""

    cinema_id: UUID
    limit: Limit = PAGE_DEFAULT
    cursor: Cursor | None = None


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """What was deleted."""

    id: UUID
    deleted_at: datetime


class PromoTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a code takes off, for whom and when.

    Amounts are minor units of `currency`. Without `cinema_ids` or `movie_ids` it is for all;
    `weekdays` (1 is Monday) are those of the start. Without `max_uses` it has no end.
    """

    discount: Discount
    per: Literal["seat", "booking"] = "booking"
    stackable: bool = False
    currency: CurrencyCode | None = None
    minimum_order: PriceMinor = 0
    valid_from: Instant | None = None
    valid_until: Instant | None = None
    max_uses: Annotated[int, Meta(ge=1, le=100_000_000)] | None = None
    max_uses_per_customer: Annotated[int, Meta(ge=1, le=1000)] | None = None
    movie_ids: Annotated[list[UUID], Meta(max_length=100)] = []
    cinema_ids: Annotated[list[UUID], Meta(max_length=100)] = []
    weekdays: Annotated[list[Weekday], Meta(max_length=7)] = []
    active: bool = True


class PromoInput(PromoTerms, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new promo code."""

    code: NewPromoText


class PromoCode(msgspec.Struct, frozen=True, kw_only=True):
    """A promo code; `uses` counts bookings, and `version` is in its `ETag`."""

    id: UUID
    code: str
    discount: Discount
    per: Literal["seat", "booking"]
    stackable: bool
    currency: str | None
    minimum_order: int
    valid_from: datetime | None
    valid_until: datetime | None
    max_uses: int | None
    max_uses_per_customer: int | None
    movie_ids: list[UUID]
    cinema_ids: list[UUID]
    weekdays: list[int]
    active: bool
    uses: int
    version: int


class PromoQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which codes: those that name a cinema, or all that the caller may see."""

    cinema_id: UUID | None = None
    limit: Limit = PAGE_DEFAULT
    cursor: Cursor | None = None


class TicketChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The type of the ticket for a seat, or for so many of those that are not named."""

    type: Code
    seat: SeatLabel | None = None
    quantity: Annotated[int, Meta(ge=1, le=100)] = 1


class QuoteInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody would book: `seats`, a `quantity` of a `category`, or the caller's `hold_id`.

    Seats without a ticket in `tickets` are for adults. `concessions` are products of the cinema.
    """

    showtime_id: UUID
    seats: SeatLabels | None = None
    quantity: Annotated[int, Meta(ge=1, le=100)] | None = None
    hold_id: UUID | None = None
    category: SeatCategory | None = None
    tickets: Annotated[list[TicketChoice], Meta(max_length=100)] = []
    promo_code: PromoText | None = None
    channel: Channel = "online"
    concessions: ConcessionChoices = []

    def __post_init__(self) -> None:
        if [self.seats, self.quantity, self.hold_id].count(None) != 2:
            raise ValueError("name one of seats, a quantity or a hold")
        if self.quantity is None and self.category is not None:
            raise ValueError("seats have their own category")


class PriceStep(msgspec.Struct, frozen=True):
    """One step of a seat's price, from one amount to the next.

    `text` is for people; `ref` is the rule, group discount or code that did it.
    """

    code: StepCode
    text: str
    before: Money
    after: Money
    ref: str | None = None


class QuotedSeat(msgspec.Struct, frozen=True, kw_only=True):
    """One seat; `list_price` is before group discount and code, and `tax` is part of `price`."""

    seat: str | None
    category: str
    type: str
    list_price: Money
    price: Money
    tax: Money
    steps: list[PriceStep]


class QuotedFee(msgspec.Struct, frozen=True, kw_only=True):
    """A fee, so many times; `tax` is part of `amount`."""

    code: str
    name: str
    quantity: int
    each: Money
    amount: Money
    refundable: bool
    tax: Money


class QuotedProduct(msgspec.Struct, frozen=True, kw_only=True):
    """A product, so many times; `tax` is part of `amount`, and no discount counts for it."""

    product_id: UUID
    name: str
    quantity: int
    each: Money
    amount: Money
    tax: Money


class QuotedTax(msgspec.Struct, frozen=True, kw_only=True):
    """The tax of one rate (hundredths of a percent) in all lines, rounded once."""

    name: str
    rate: int
    gross: Money
    net: Money
    tax: Money


class QuotedPromo(msgspec.Struct, frozen=True, kw_only=True):
    """What the code takes off.

    `reason` says why it takes off nothing: `MINIMUM_ORDER`, or `NOT_STACKABLE` because the group
    discount is worth as much or more.
    """

    code: str
    applied: bool
    discount: Money
    reason: str | None = None


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What tickets would cost now; `total` is the sum of seats, fees and concessions.

    It contains the taxes.
    `taken_percent` is the demand that counted, rounded down.
    """

    showtime_id: UUID
    book_version: int
    taken_percent: int
    seats: list[QuotedSeat]
    fees: list[QuotedFee]
    taxes: list[QuotedTax]
    promo: QuotedPromo | None
    total: Money
    concessions: list[QuotedProduct] = []


class PromoCheck(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A code, and the showtime that it is for."""

    promo_code: PromoText
    showtime_id: UUID


class ValidPromo(msgspec.Struct, frozen=True, kw_only=True):
    """A code that can be used for a showtime now; a booking may still cost too little for it."""

    code: str
    discount: Discount
    per: Literal["seat", "booking"]
    stackable: bool
    currency: str | None
    minimum_order: int
    valid_until: datetime | None
