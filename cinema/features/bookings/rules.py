"""What a booking says of its tickets and of the lines beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, cast

import msgspec

from cinema.domain.limits import PRICE_LIMIT_MINOR
from cinema.domain.money import Money
from cinema.domain.pricing.amounts import included_tax, shared_out
from cinema.domain.pricing.tariffs import ADULT
from cinema.domain.showtime.events import (
    HoldBooked,
    OrderLine,
    PaymentStarted,
    Prices,
    Seats,
    SoldBy,
)
from cinema.domain.showtime.prices import sold_now
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.features.bookings.shapes import BookedLine, BookedSeat, LineKind

PRODUCT: Final = "product"
"""The kind of a line that is a product."""

PLACES_SOLD: Final = 10_000
"""Rows of exchanged seats have the place of the sold one, and so much more."""


MASK: Final = "***"


def masked(email: str) -> str:
    """An address that its owner recognises, and nobody else can write to."""
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}{MASK}@{domain}"


class LineRow(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A line of an order as its row has it; see `OrderLine`."""

    kind: str
    code: str
    name: str
    amount_minor: int
    quantity: int = 1
    refundable: bool = False
    rate: int = 0
    gross_minor: int = 0
    tax_minor: int = 0


class PricedBy(msgspec.Struct, frozen=True, gc=False):
    """From what the prices of a booking follow, as its row has it; see `PriceInputs`."""

    book_version: int
    at_us: int
    taken: int
    sold_by: SoldBy


def priced_by(event: HoldBooked | PaymentStarted, terms: ShowtimeTerms) -> PricedBy:
    """From what the prices of a new booking follow; the event says what its terms do not."""
    sold_by = event.sold_by or sold_now(terms)
    return PricedBy(
        event.book_version,
        event.priced_at_us,
        event.taken,
        msgspec.structs.replace(sold_by, categories=()),
    )


def line_rows(lines: Iterable[OrderLine]) -> list[LineRow]:
    """Lines of an event as their row has them."""
    return [LineRow(*msgspec.structs.astuple(line)) for line in lines]


def products_minor(lines: Iterable[OrderLine]) -> int:
    """What products cost together."""
    return sum(line.amount_minor for line in lines if line.kind == PRODUCT)


def shown_lines(lines: Iterable[LineRow], currency: str) -> list[BookedLine]:
    """Lines as clients see them."""
    return [
        BookedLine(
            kind=cast("LineKind", line.kind),
            code=line.code,
            name=line.name,
            amount=Money(line.amount_minor, currency),
            quantity=line.quantity,
            refundable=line.refundable,
            rate=line.rate,
            gross=Money(line.gross_minor, currency) if line.kind == "tax" else None,
            tax=Money(line.tax_minor, currency) if line.kind in {"fee", PRODUCT} else None,
        )
        for line in lines
    ]


class NewPrice(msgspec.Struct, frozen=True):
    """What tickets cost for other seats, with the tax in each; and the tax in what is paid more."""

    prices: tuple[int, ...]
    taxes: tuple[int, ...]
    tax_minor: int


def new_prices(
    paid: Sequence[tuple[int, int]],
    listed: Sequence[tuple[int, int]],
    tax_rate: int,
) -> NewPrice:
    """The new price of tickets: by how much the list prices of both seats differ.

    A discount stays the amount that it was, and no price is below 0. `paid` are the price and the
    tax of each ticket, `listed` the list prices of its old and its new seat.
    """
    prices = [
        min(PRICE_LIMIT_MINOR, max(0, price + after - before))
        for (price, _), (before, after) in zip(paid, listed, strict=True)
    ]
    more_minor = sum(prices) - sum(price for price, _ in paid)
    tax_minor = included_tax(abs(more_minor), tax_rate)
    before_minor = sum(tax for _, tax in paid)
    after_minor = before_minor + tax_minor if more_minor > 0 else max(0, before_minor - tax_minor)
    taxes = shared_out(min(after_minor, sum(prices)), prices)
    return NewPrice(
        tuple(prices),
        tuple(taxes) if any(taxes) else (),
        tax_minor if more_minor > 0 else 0,
    )


def booked_seats(
    terms: ShowtimeTerms, seats: Seats, prices: Prices, types: Sequence[str], currency: str
) -> list[BookedSeat]:
    """Seats as clients see them; without `types` all are for adults."""
    plan = terms.plan
    sold = zip(seats, prices, types or (ADULT,) * len(seats), strict=True)
    return [
        BookedSeat(
            *(plan.labels[seat], plan.categories[plan.category_of[seat]]),
            *(Money(price, currency), type_),
        )
        for seat, price, type_ in sold
    ]
