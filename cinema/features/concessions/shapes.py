"""Products and what is picked up, as clients send and see them."""

from __future__ import annotations

from datetime import date as Date  # noqa: N812  (a field below is named `date`)
from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.domain.money import Money
from cinema.features.catalog.shapes import Instant, LanguageTag, PriceMinor

PRODUCTS_A_BOOKING: Final = 20
"""Most different products in one booking: each is a line of its event and of its invoice."""

QUANTITY_MAX: Final = 50
"""Most of one product in one booking."""

ProductName = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^\S(.*\S)?$")]
ProductCategory = Annotated[str, Meta(min_length=1, max_length=32, pattern=r"^\S(.*\S)?$")]
PickUpCode = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=16,
        description="Upper and lower case are the same, and spaces around it do not count.",
        examples=["7KQ2M"],
    ),
]


class ConcessionChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So many of a product."""

    product_id: UUID
    quantity: Annotated[int, Meta(ge=1, le=QUANTITY_MAX)] = 1


ConcessionChoices = Annotated[list[ConcessionChoice], Meta(max_length=PRODUCTS_A_BOOKING)]


class ProductFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may change of a product.

    `price` is in minor units of the cinema's currency, and contains the tax; `tax` is the name of
    one of the cinema's tax rates, empty for none. `names` are by language, and `name` is for all
    others. It is sold while it is `active`, from `on_sale_from` until `on_sale_until`.
    """

    name: ProductName
    names: Annotated[dict[LanguageTag, ProductName], Meta(max_length=16)] = {}
    category: ProductCategory = "other"
    price: PriceMinor
    tax: Annotated[str, Meta(max_length=32)] = ""
    on_sale_from: Instant | None = None
    on_sale_until: Instant | None = None
    active: bool = True


class ProductInput(ProductFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new product of a cinema."""

    cinema_id: UUID


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """A product of a cinema; `version` is in its `ETag`.

    One with another `currency` than the cinema has now is not sold: its price means something else.
    """

    id: UUID
    cinema_id: UUID
    name: str
    names: dict[str, str]
    category: str
    price: int
    currency: str
    tax: str
    on_sale_from: datetime | None
    on_sale_until: datetime | None
    active: bool
    version: int = 1
    image_url: str | None = None


class ProductOnSale(msgspec.Struct, frozen=True, kw_only=True):
    """A product as customers see it; `price` contains the tax."""

    id: UUID
    name: str
    names: dict[str, str]
    category: str
    price: Money
    image_url: str | None = None


class ProductQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose products."""

    cinema_id: UUID


class ProductGone(msgspec.Struct, frozen=True, kw_only=True):
    """A product that was deleted; what was sold of it stays sold."""

    id: UUID
    deleted_at: datetime


class PickUp(msgspec.Struct, frozen=True):
    """The code by which the products of a booking are handed out, and when that was done."""

    code: str
    picked_up_at: datetime | None = None


class PickUpInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose products are handed out, at which cinema."""

    cinema_id: UUID
    code: PickUpCode


class PickUpItem(msgspec.Struct, frozen=True, kw_only=True):
    """So many of a product, as it was called when it was sold."""

    product_id: UUID
    name: str
    quantity: int


class PickUpOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What is, or was, to be handed out for a booking."""

    booking_id: UUID
    booking_code: str
    cinema_id: UUID
    showtime_id: UUID
    starts_at: datetime
    code: str
    items: list[PickUpItem]
    status: Literal["open", "picked_up"]
    picked_up_at: datetime | None


class PickUpQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For the showtimes of which day, on the calendar of the cinema; without it, of today."""

    date: Date | None = None
