"""What a product must not say, what is on sale, and codes to pick up. Pure except for new codes."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from cinema.domain.limits import PRICE_LIMIT_MINOR
from cinema.domain.pricing.quotes import OrderedProduct as Sold
from cinema.domain.rejections import Refused, refuse
from cinema.features.concessions.shapes import ConcessionChoice, Product, ProductFields

PRODUCTS_LIMIT: Final = 500
"""Most products of a cinema: all that are on sale are one answer."""

PICK_UP_ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
PICK_UP_CHARS: Final = 5
"""28 million codes for each cinema, none of which is ever given twice; they are read out at the
counter, and so have no letters that look or sound alike. Only staff can try them."""


def new_pick_up_code() -> str:
    """A random code."""
    return "".join(secrets.choice(PICK_UP_ALPHABET) for _ in range(PICK_UP_CHARS))


def pick_up_key(text: str) -> str:
    """A code as it is looked up: in upper case, without spaces around it."""
    return text.strip().upper()


def check_product(product: ProductFields, tax_rates: Mapping[str, int]) -> None:
    """Refuses VALIDATION_ERROR for a product that can never be sold, or an unknown tax."""
    if product.tax and product.tax not in tax_rates:
        rates = ", ".join(sorted(tax_rates)) or "none"
        raise _invalid("$.tax", f"This cinema has no such tax rate; it has: {rates}.")
    begins, ends = product.on_sale_from, product.on_sale_until
    if begins is not None and ends is not None and ends <= begins:
        raise _invalid("$.on_sale_until", "The end is not after the beginning.")


def check_choices(choices: Sequence[ConcessionChoice], path: str) -> None:
    """Refuses VALIDATION_ERROR for a product that is named twice."""
    for at, count in Counter(choice.product_id for choice in choices).items():
        if count > 1:
            raise _invalid(path, f"The product {at} is named twice: send one quantity.")


def is_on_sale(product: Product, currency: str, now: datetime) -> bool:
    """Whether a product is sold at a moment, for this currency."""
    return (
        product.active
        and product.currency == currency
        and (product.on_sale_from is None or product.on_sale_from <= now)
        and (product.on_sale_until is None or now < product.on_sale_until)
    )


def chosen(
    choices: Sequence[ConcessionChoice],
    products: Mapping[UUID, Product],
    tax_rates: Mapping[str, int],
    currency: str,
    now: datetime,
) -> tuple[Sold, ...]:
    """What was chosen, as quotes have it. Refuses UNKNOWN_PRODUCT, VALIDATION_ERROR.

    A tax whose rate the cinema does not have any longer is none, as in price books.
    """
    gone = [
        str(choice.product_id)
        for choice in choices
        if (one := products.get(choice.product_id)) is None or not is_on_sale(one, currency, now)
    ]
    if gone:
        raise refuse("UNKNOWN_PRODUCT", products=gone)
    sold = []
    for choice in choices:
        product = products[choice.product_id]
        sold.append(
            Sold(
                code=str(product.id),
                name=product.name,
                quantity=choice.quantity,
                each_minor=product.price,
                tax=product.tax if product.tax in tax_rates else "",
                rate=tax_rates.get(product.tax, 0),
            )
        )
    if sum(one.each_minor * one.quantity for one in sold) > PRICE_LIMIT_MINOR:
        raise _invalid("$.concessions", "So much cannot be sold with one booking.")
    return tuple(sold)


def _invalid(path: str, text: str) -> Refused:
    return refuse("VALIDATION_ERROR", text, path=path)
