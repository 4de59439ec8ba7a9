"""Documents as they are frozen when they are issued, which is also how clients see them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.domain.limits_catalog import PAGE_DEFAULT
from cinema.domain.money import Money
from cinema.domain.paging import Cursor, Limit

DocumentKind = Literal["invoice", "credit_note", "cancellation"]


class Seller(msgspec.Struct, frozen=True, kw_only=True):
    """Who sold the tickets; `name` is the legal one."""

    name: str
    cinema: str
    address: str
    city: str
    country: str
    tax_number: str


class Buyer(msgspec.Struct, frozen=True, kw_only=True):
    """Who bought them, as far as they have said."""

    name: str
    address: str = ""
    tax_number: str = ""


class BookingOfDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The booking that a document is about."""

    id: UUID
    code: str
    created_at: datetime


class ShowtimeOfDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What was booked; `starts` is on the cinema's clock."""

    id: UUID
    film: str
    screen: str
    starts_at: datetime
    starts: str


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One item; `gross` has the `tax` in it. `rate` is in hundredths of a percent.

    A `fee` or a `product` has a name instead of a seat. `instead_of` is the seat for which a ticket
    was sold, if that is another one.
    """

    kind: Literal["seat", "fee", "product"]
    seat: str
    category: str
    type: str
    name: str
    gross: Money
    net: Money
    tax: Money
    rate: int
    instead_of: str = ""


class TaxLine(msgspec.Struct, frozen=True, kw_only=True):
    """The tax of one rate over the whole document."""

    rate: int
    gross: Money
    net: Money
    tax: Money


class PaymentOfDocument(msgspec.Struct, frozen=True, kw_only=True):
    """How the booking was paid."""

    id: UUID
    method: str


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """The invoice that another document corrects, or comes beside."""

    id: UUID
    number: str
    issued_on: date


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A numbered document, which never changes.

    Amounts of credit notes and cancellations are given back. `issued_on` is the day at the cinema.
    `currency_digits` is how many digits of an amount stand behind the point. An invoice of what
    other seats cost more `supplements` that of the booking.
    """

    id: UUID
    kind: DocumentKind
    number: str
    issued_at: datetime
    issued_on: date
    corrects: Reference | None
    seller: Seller
    buyer: Buyer
    booking: BookingOfDocument
    showtime: ShowtimeOfDocument
    lines: list[Line]
    taxes: list[TaxLine]
    net: Money
    tax: Money
    total: Money
    currency_digits: int
    payment: PaymentOfDocument
    language: str
    supplements: Reference | None = None


class DocumentEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A document in a list."""

    id: UUID
    kind: DocumentKind
    number: str
    booking_id: UUID
    corrects_id: UUID | None
    issued_at: datetime
    issued_on: date
    total: Money


class FormQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a document is to be printed."""

    language: Literal["en", "de"] | None = None


class DocumentQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which documents of a cinema; days are those at the cinema, both included."""

    kind: DocumentKind | None = None
    number: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    date_from: date | None = None
    date_to: date | None = None
    limit: Limit = PAGE_DEFAULT
    cursor: Cursor | None = None
