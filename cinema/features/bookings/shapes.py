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
from cinema.domain.paging import PageQuery
from cinema.domain.pricing.book import Code
from cinema.domain.pricing.tariffs import ADULT
from cinema.features.accounts.shapes import account_key
from cinema.features.cashdesk.shapes import Tender, TerminalReference
from cinema.features.concessions.shapes import ConcessionChoices, PickUp
from cinema.features.ledger.cards import CardCode
from cinema.features.ledger.methods import AttemptStatus
from cinema.features.seats.shapes import SeatLabel

LineKind = Literal["group_discount", "promo", "fee", "product", "tax"]
NoteText = Annotated[str, Meta(min_length=1, max_length=1000, pattern=r"\S")]
ChangedSeats = Annotated[list[SeatLabel], Meta(min_length=1, max_length=100)]
BookingStatus = Literal["pending", "confirmed", "cancelled", "expired", "refunded"]


class PaymentInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to pay.

    `demo` always succeeds, `counter` is for staff who took the money. `counter_later` reserves the
    seats, which are paid at the counter before the showtime; staff may say until when, as
    `pay_until`. `free` is for what costs nothing. `gift_card` takes what is on the card with this
    `code`, and `points` takes the caller's loyalty points; the rest, if any, is paid by another
    method.
    """

    method: Annotated[str, Meta(min_length=1, max_length=32, examples=["demo"])]
    code: CardCode | None = None
    tender: Tender | None = None
    reference: TerminalReference = ""
    pay_until: Annotated[datetime, Meta(tz=True)] | None = None


class Billing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who an invoice is made out to, as it is printed; `tax_id` is that of a firm."""

    name: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^\S(.*\S)?$")]
    address: Annotated[str, Meta(min_length=1, max_length=500, pattern=r"\S")]
    tax_id: Annotated[str, Meta(max_length=40, pattern=r"^(\S(.*\S)?)?$")] = ""


class TicketInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The type of the ticket for a seat of the hold."""

    seat: SeatLabel
    type: Code


class BookingInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Book a hold; only guests send `email`, and get a link to the booking by mail.

    Seats that are not in `tickets` are for adults. `concessions` are products of the cinema, at
    the prices of now. `billing` says who the invoice is for; without it, the name of the account.
    """

    showtime_id: UUID
    hold_id: UUID
    payment: PaymentInput
    tickets: Annotated[list[TicketInput], Meta(max_length=100)] = []
    promo_code: Annotated[str, Meta(max_length=64)] | None = None
    email: Annotated[str, Meta(max_length=EMAIL_CHARS_MAX + 32)] | None = None
    concessions: ConcessionChoices = []
    billing: Billing | None = None

    def meaning(self) -> object:
        """The given fields: the tickets that are not for adults, in any order; a unique e-mail.

        And products in any order.
        """
        given = fields_given(self)
        given.pop("tickets", None)
        types = sorted((one.seat, one.type) for one in self.tickets if one.type != ADULT)
        if types:
            given["tickets"] = types
        if self.concessions:
            given["concessions"] = sorted(
                (one.product_id, one.quantity) for one in self.concessions
            )
        else:
            given.pop("concessions", None)
        if self.email is not None:
            given["email"] = account_key(self.email)
        return given


class SeatChangeInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Other seats for tickets of a booking: the ticket for `from[0]` gets `to[0]`, and so on.

    Without `payment` the new seats must not cost more. Only methods that pay at once are taken.
    """

    left: ChangedSeats = msgspec.field(name="from")
    chosen: ChangedSeats = msgspec.field(name="to")
    payment: PaymentInput | None = None

    def meaning(self) -> object:
        """The given fields: which ticket gets which seat, in any order."""
        given = fields_given(self)
        if len(self.left) == len(self.chosen):
            given["left"] = sorted(zip(self.left, self.chosen, strict=True))
            given.pop("chosen")
        return given


class ExchangeInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another showtime for a booking: the seats of a hold there, for all seats of the booking.

    `tickets` as in `BookingInput`. Without `payment` the new seats must not cost more than what the
    old ones give back. Only methods that pay at once are taken.
    """

    showtime_id: UUID
    hold_id: UUID
    tickets: Annotated[list[TicketInput], Meta(max_length=100)] = []
    payment: PaymentInput | None = None

    def meaning(self) -> object:
        """The given fields: the tickets that are not for adults, in any order."""
        given = fields_given(self)
        given.pop("tickets", None)
        types = sorted((one.seat, one.type) for one in self.tickets if one.type != ADULT)
        if types:
            given["tickets"] = types
        return given


class PaymentPart(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What another method has paid of a booking, and what of it was given back."""

    id: UUID
    method: str
    amount: Money
    refunded: Money | None = None


class Payment(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """How a booking is paid: `amount` at first, of which `refunded` was given back later.

    Of that, `refund_pending` has not arrived yet. `parts` are those of the amount that other
    methods have paid.
    A booking that is pending must be paid by `pay_until`. `due` is what is still to be paid, once
    another method has paid a part.
    """

    id: UUID
    method: str
    status: AttemptStatus
    amount: Money
    refunded: Money | None = None
    refund_pending: Money | None = None
    client_secret: str | None = None
    pay_until: datetime | None = None
    due: Money | None = None
    parts: list[PaymentPart] = []


class BookedSeat(msgspec.Struct, frozen=True, gc=False):
    """One seat of a booking: `price` is what was paid for it, after all discounts."""

    label: str
    category: str
    price: Money
    type: str


class BookedLine(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A line of the order beside its seats, as it was sold.

    Discounts are below 0 and are in the prices of the seats already. Fees and products are paid
    beside these, and contain `tax`; the `code` of a product is its id. A line of `tax` says what
    tax is in all lines with its `rate` (hundredths of a percent), which together cost `gross`.
    """

    kind: LineKind
    code: str
    name: str
    amount: Money
    quantity: int = 1
    refundable: bool = False
    rate: int = 0
    gross: Money | None = None
    tax: Money | None = None


class Booking(msgspec.Struct, frozen=True, gc=False):
    """A booking; `seats` are those that it still has, or had when it ended.

    `total` is the sum of their prices, the fees and the products. `lines` are those of the order as
    it was sold. With the code of `pick_up` its products are handed out. It is `disputed` while the
    customer's bank decides whether to take the payment back: nothing goes back meanwhile.
    """

    id: UUID
    code: str
    showtime_id: UUID
    status: BookingStatus
    seats: list[BookedSeat]
    total: Money
    created_at: datetime
    payment: Payment
    lines: list[BookedLine] = []
    pick_up: PickUp | None = None
    disputed: bool = False


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


class BookingSearch(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which bookings of the caller's cinemas: at least one of these, and all that are given fit.

    `code` in any case, with or without spaces. `name` are whole words of the name of an account, in
    any order; case and accents do not count.
    """

    code: Annotated[str, Meta(min_length=1, max_length=32)] | None = None
    email: Annotated[str, Meta(min_length=1, max_length=EMAIL_CHARS_MAX + 32)] | None = None
    name: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    showtime_id: UUID | None = None


class BookedShowtime(msgspec.Struct, frozen=True, kw_only=True):
    """What a booking is for."""

    id: UUID
    film: str
    starts_at: datetime
    cinema_id: UUID
    cinema: str
    screen: str


class BookingBuyer(msgspec.Struct, frozen=True, kw_only=True):
    """Whose booking it is, as staff see it: enough to recognise somebody who stands before them.

    Guests have no name. Who has been erased has neither name nor `email`. What was sold at the
    counter is on the account of whoever sold it.
    """

    kind: Literal["account", "guest"]
    name: str
    email: Annotated[str | None, Meta(description="Masked, as `a***@example.com`.")]


class ManagedBooking(msgspec.Struct, frozen=True, kw_only=True):
    """A booking as staff of its cinema see it; `notes` is how many there are."""

    booking: Booking
    showtime: BookedShowtime
    customer: BookingBuyer
    notes: int


class NoteInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to write down about a booking. Its customer may ask to read it."""

    text: NoteText


class BookingNote(msgspec.Struct, frozen=True, kw_only=True):
    """A note, and who wrote it; the name is empty once that account is erased."""

    id: UUID
    booking_id: UUID
    text: str
    written_at: datetime
    author_id: UUID | None
    author: str


class SentAgain(msgspec.Struct, frozen=True, kw_only=True):
    """To which address a mail is on its way, masked."""

    to: str
