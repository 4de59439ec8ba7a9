"""What goes off the tickets of a series: pure."""

from __future__ import annotations

from cinema.domain.pricing.book import Discount, Promo


def discount_of(percent: int) -> tuple[Promo, ...]:
    """The discount of a cinema for series, as quotes know discounts; it adds to that of a group."""
    if not percent:
        return ()
    off = Discount(kind="percent", value=percent * 100)
    return (Promo(code="SERIES", discount=off, per="seat", stackable=True),)
