"""Bookings as clients send and see them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.domain.idempotency import fields_given
from cinema.domain.limits_catalog import EMAIL_CHARS_MAX
from cinema.domain.money import Money
from cinema.features.accounts.shapes import account_key
from cinema.features.seats.shapes import HeldSeat

BookingStatus = Literal["pending", "confirmed", "cancelled", "expired", "refunded"]


class PaymentInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to pay: `demo` always succeeds, `counter` is for staff who took the money."""

    method: Annotated[str, Meta(min_length=1, max_length=32, examples=["demo"])]


class BookingInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Book a hold; only guests send `email`, and get a link to the booking by mail."""

    showtime_id: UUID
    hold_id: UUID
    payment: PaymentInput
    promo_code: Annotated[str, Meta(max_length=64)] | None = None
    email: Annotated[str, Meta(max_length=EMAIL_CHARS_MAX + 32)] | None = None

    def meaning(self) -> object:
        """The given fields, with the e-mail address in its unique form."""
        given = fields_given(self)
        if self.email is not None:
            given["email"] = account_key(self.email)
        return given


class Payment(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """How a booking was paid: `amount` at first, of which `refunded` was given back later."""

    id: UUID
    method: str
    status: Literal["pending", "succeeded", "failed", "refunded", "partially_refunded"]
    amount: Money
    refunded: Money | None = None
    client_secret: str | None = None


class Booking(msgspec.Struct, frozen=True, gc=False):
    """A booking; `seats` are those that it still has, or had when it ended."""

    id: UUID
    code: str
    showtime_id: UUID
    status: BookingStatus
    seats: list[HeldSeat]
    total: Money
    created_at: datetime
    payment: Payment


class BookingQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which bookings of the caller."""

    when: (
        Annotated[
            Literal["upcoming", "past"],
            Meta(
                description="`upcoming`: can still be attended. `past`: all others, which are "
                "over, were cancelled or have expired. Without it, all bookings."
            ),
        ]
        | None
    ) = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    cursor: Annotated[str, Meta(max_length=4096)] | None = None
