"""Payments as clients send and see them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.domain.idempotency import fields_given
from cinema.domain.money import Money
from cinema.domain.paging import PageQuery
from cinema.features.bookings.shapes import Booking
from cinema.features.cashdesk.shapes import Tender, TerminalReference
from cinema.features.giftcards.shapes import NewCard
from cinema.features.ledger.cards import CardCode
from cinema.features.ledger.methods import AttemptStatus
from cinema.features.ledger.shapes import RefundStatus


class ProcessInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pay a pending booking: `counter` is for staff who have taken the money."""

    booking_id: UUID
    method: Annotated[str, Meta(min_length=1, max_length=32, examples=["counter"])]
    code: CardCode | None = None
    tender: Tender | None = None
    reference: TerminalReference = ""


class RefundInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What staff give back: seats, or an amount without any.

    `to` says where the money goes: where it came from, or on a new gift card.
    """

    booking_id: UUID
    reason: Annotated[str, Meta(min_length=1, max_length=500, examples=["Projector failed."])]
    seats: Annotated[list[str], Meta(min_length=1, max_length=100)] | None = None
    amount: Money | None = None
    to: Literal["original", "gift_card"] = "original"

    def __post_init__(self) -> None:
        if self.amount is not None and self.seats is None and not self.amount.amount:
            raise ValueError("Nothing goes back.")

    def meaning(self) -> object:
        """The given fields, with seats in any order."""
        given = fields_given(self)
        if self.seats is not None:
            given["seats"] = sorted(self.seats)
        return given


class GivenBack(Booking, frozen=True, gc=False):
    """A booking of which something was given back; `gift_card` is new, and shown only here."""

    gift_card: NewCard | None = None


class RefundQuote(msgspec.Struct, frozen=True, gc=False):
    """What would go back now for seats that cost `price`, and what would not."""

    booking_id: UUID
    seats: list[str]
    price: Money
    refund: Money
    kept: Money
    percent: int


class RefundQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which refunds."""

    status: RefundStatus = "failed"
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    cursor: Annotated[str, Meta(max_length=4096)] | None = None


class PaymentOfBooking(msgspec.Struct, frozen=True, gc=False):
    """A payment: `amount` at first, of which `refunded` was given back later.

    Of that, `refund_pending` has not arrived yet.
    One that is pending is expected by `pay_until`.
    """

    id: UUID
    booking_id: UUID
    method: str
    status: AttemptStatus
    amount: Money
    refunded: Money
    refund_pending: Money
    created_at: datetime
    pay_until: datetime | None


class PayOutInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a refund is handed out at the counter."""

    tender: Tender = "cash"
    reference: TerminalReference = ""


class Taken(msgspec.Struct, frozen=True):
    """A webhook was stored; `new` is false for one that is known, or that does not count."""

    new: bool


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Something that we say of a payment and its provider does not.

    `object_id` is how the provider calls it. `resolved_at` is when both agreed again.
    """

    id: UUID
    kind: Annotated[str, Meta(examples=["not_booked"])]
    object_id: str
    day: date
    payment_id: UUID | None
    ours: str
    theirs: str
    found_at: datetime
    resolved_at: datetime | None


class DifferencesQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which differences; `resolved` adds those that were resolved."""

    resolved: bool = False
