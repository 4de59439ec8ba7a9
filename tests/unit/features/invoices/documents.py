"""Sales as the tests of documents make them."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from cinema.features.invoices.rules import Desk, Due, InvoicedSale, RefundedItems, Sold, Supplement
from cinema.features.invoices.shapes import (
    BookingOfDocument,
    Buyer,
    Document,
    PaymentOfDocument,
    Seller,
    ShowtimeOfDocument,
)

CINEMA_ID = UUID("019a0c1e-7000-7000-8000-0000000000c1")
NOW = datetime(2026, 6, 1, 17, 31, tzinfo=UTC)

_ids = itertools.count(1)


def new_id() -> UUID:
    return UUID(int=next(_ids))


def seats(*prices: int, rate: int = 700) -> tuple[Sold, ...]:
    """Seats `A1`, `A2`, … at these prices."""
    return tuple(
        Sold("seat", f"A{place}", "regular", "adult", "", price, rate)
        for place, price in enumerate(prices, 1)
    )


def sale(*sold: Sold, **changes: Any) -> InvoicedSale:
    """A sale of these items."""
    made = InvoicedSale(
        cinema_id=CINEMA_ID,
        prefix="BER-",
        time_zone="Europe/Berlin",
        currency="EUR",
        seller=Seller(
            name="Aurora GmbH",
            cinema="Aurora",
            address="Lindenufer 12",
            city="Berlin",
            country="DE",
            tax_number="DE1",
        ),
        buyer=Buyer(name="Ada Lovelace"),
        booking=BookingOfDocument(id=new_id(), code="K7M2Q9XA", created_at=NOW),
        showtime=ShowtimeOfDocument(
            id=new_id(), film="Stalker", screen="1", starts_at=NOW, starts="2026-06-01 19:31"
        ),
        payment=PaymentOfDocument(id=new_id(), method="demo"),
        language="de",
        sold=sold,
    )
    return msgspec.structs.replace(made, **changes)


def desk(
    *sales: InvoicedSale, now: datetime = NOW, issued: Any = None, counters: Any = None
) -> Desk:
    known = {one.booking.id: one for one in sales}
    return Desk(known, issued or {}, counters or {}, now=now, new_id=new_id)


def due(one: InvoicedSale, seq: int = 1, what: RefundedItems | Supplement | None = None) -> Due:
    return Due(
        showtime_id=one.showtime.id, seq=seq, booking_id=one.booking.id, what=what, due_at=NOW
    )


def documents(one: InvoicedSale, *refunds: RefundedItems | Supplement) -> list[Document]:
    """The invoice of a sale, and the documents of its refunds and other seats."""
    at = desk(one)
    at.take(due(one))
    for seq, refund in enumerate(refunds, 2):
        at.take(due(one, seq, refund))
    return [made.document for made in at.made]
