"""Rows that bookings write with the events of their showtimes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from cinema.domain.ids import format_id
from cinema.domain.showtime.events import BookingCancelled, HoldBooked
from cinema.storage.journal.branches import Happened, RowBranch
from cinema.storage.journal.outbox import OutboxRow, outbox_branch

BOOKING_CONFIRMED: Final = "booking.confirmed"
BOOKING_CANCELLED: Final = "booking.cancelled"


class BookingRow(msgspec.Struct, frozen=True, gc=False):
    """A new booking; `request_key` in Postgres' text form of bytes."""

    id: str
    code: str
    user_id: str
    hold_id: str
    total_minor: int
    currency: str
    at_us: int
    request_key: str | None


class PaymentRow(msgspec.Struct, frozen=True, gc=False):
    """The payment of a new booking."""

    id: str
    booking_id: str
    method: str
    amount_minor: int
    currency: str
    at_us: int


class SeatRow(msgspec.Struct, frozen=True, gc=False):
    """A seat of a new booking, with its place in it."""

    booking_id: str
    place: int
    seat: str
    category: str
    price_minor: int


class SeatGivenBack(msgspec.Struct, frozen=True, gc=False):
    """A seat that leaves its booking; `alone` if the booking continues without it."""

    booking_id: str
    seat: str
    alone: bool


class BookingReduced(msgspec.Struct, frozen=True, gc=False):
    """A refund of seats of a booking; with `whole` the booking ends."""

    booking_id: str
    refund_minor: int
    whole: bool
    at_us: int


class Confirmed(msgspec.Struct, frozen=True, gc=False):
    """The outbox row of a new booking."""

    booking_id: str
    user_id: str
    seats: list[str]
    total_minor: int
    currency: str


class Cancelled(msgspec.Struct, frozen=True, gc=False):
    """The outbox row of a cancellation; `whole` if no seat is left."""

    booking_id: str
    user_id: str
    seats: list[str]
    refund_minor: int
    whole: bool


def _booked(happened: Happened) -> HoldBooked:
    assert isinstance(happened.event, HoldBooked)
    return happened.event


def _cancelled(happened: Happened) -> BookingCancelled:
    assert isinstance(happened.event, BookingCancelled)
    return happened.event


def _bookings(happened: Happened) -> Sequence[BookingRow]:
    event, key = _booked(happened), happened.request_key
    return [
        BookingRow(
            id=event.booking_id.hex(),
            code=event.code,
            user_id=event.customer.hex(),
            hold_id=event.hold_id.hex(),
            total_minor=sum(event.prices),
            currency=event.currency,
            at_us=happened.at_us,
            request_key=None if key is None else f"\\x{key.hex()}",
        )
    ]


def _payments(happened: Happened) -> Sequence[PaymentRow]:
    event = _booked(happened)
    return [
        PaymentRow(
            id=event.payment_id.hex(),
            booking_id=event.booking_id.hex(),
            method=event.payment_method,
            amount_minor=sum(event.prices),
            currency=event.currency,
            at_us=happened.at_us,
        )
    ]


def _seats(happened: Happened) -> Sequence[SeatRow]:
    event, plan = _booked(happened), happened.terms.plan
    booking_id = event.booking_id.hex()
    return [
        SeatRow(
            booking_id, place, plan.labels[seat], plan.categories[plan.category_of[seat]], price
        )
        for place, (seat, price) in enumerate(zip(event.seats, event.prices, strict=True))
    ]


def _given_back(happened: Happened) -> Sequence[SeatGivenBack]:
    event, labels = _cancelled(happened), happened.terms.plan.labels
    booking_id, alone = event.booking_id.hex(), bool(event.seats)
    return [SeatGivenBack(booking_id, labels[seat], alone) for seat in event.cancelled]


def _reduced(happened: Happened) -> Sequence[BookingReduced]:
    event = _cancelled(happened)
    refund_minor = sum(event.cancelled_prices)
    return [
        BookingReduced(event.booking_id.hex(), refund_minor, not event.seats, happened.at_us),
    ]


def _told(happened: Happened) -> Sequence[OutboxRow]:
    event, labels = happened.event, happened.terms.plan.labels
    if isinstance(event, HoldBooked):
        confirmed = Confirmed(
            booking_id=format_id(event.booking_id),
            user_id=format_id(event.customer),
            seats=[labels[seat] for seat in event.seats],
            total_minor=sum(event.prices),
            currency=event.currency,
        )
        return [OutboxRow(BOOKING_CONFIRMED, _payload(confirmed))]
    event = _cancelled(happened)
    cancelled = Cancelled(
        booking_id=format_id(event.booking_id),
        user_id=format_id(event.customer),
        seats=[labels[seat] for seat in event.cancelled],
        refund_minor=sum(event.cancelled_prices),
        whole=not event.seats,
    )
    return [OutboxRow(BOOKING_CANCELLED, _payload(cancelled))]


def _payload(value: msgspec.Struct) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


BOOKINGS: Final = RowBranch(
    name="bookings",
    events=(HoldBooked,),
    rows=_bookings,
    columns="id uuid, code text, user_id uuid, hold_id uuid, total_minor bigint, currency text, "
    "at_us bigint, request_key bytea",
    sql="""
    insert into bookings (id, code, showtime_id, user_id, hold_id, status, total_minor, currency,
        request_key, created_at)
    select r.id, r.code, r.showtime_id, r.user_id, r.hold_id, 'confirmed', r.total_minor,
        r.currency, r.request_key, 'epoch'::timestamptz + r.at_us * interval '1 microsecond'
    from $rows r""",
)

PAYMENTS: Final = RowBranch(
    name="payments",
    events=(HoldBooked,),
    rows=_payments,
    columns="id uuid, booking_id uuid, method text, amount_minor bigint, currency text, "
    "at_us bigint",
    sql="""
    insert into payments (id, booking_id, method, status, amount_minor, currency, created_at)
    select r.id, r.booking_id, r.method, 'succeeded', r.amount_minor, r.currency,
        'epoch'::timestamptz + r.at_us * interval '1 microsecond'
    from $rows r""",
)

SEATS: Final = RowBranch(
    name="seats",
    events=(HoldBooked,),
    rows=_seats,
    columns="booking_id uuid, place smallint, seat text, category text, price_minor bigint",
    sql="""
    insert into booking_seats (booking_id, position, showtime_id, seat, category, price_minor)
    select r.booking_id, r.place, r.showtime_id, r.seat, r.category, r.price_minor
    from $rows r""",
)

SEATS_GIVEN_BACK: Final = RowBranch(
    name="seats_given_back",
    events=(BookingCancelled,),
    rows=_given_back,
    columns="booking_id uuid, seat text, alone boolean",
    sql="""
    update booking_seats t
    set live = false, given_back = r.alone
    from $rows r
    where t.booking_id = r.booking_id and t.seat = r.seat and t.live""",
    updates=True,
)

BOOKINGS_REDUCED: Final = RowBranch(
    name="bookings_reduced",
    events=(BookingCancelled,),
    rows=_reduced,
    columns="booking_id uuid, refund_minor bigint, whole boolean, at_us bigint",
    sql="""
    update bookings t
    set status = case when r.whole then 'cancelled' else t.status end,
        total_minor = case when r.whole then t.total_minor else t.total_minor - r.refund_minor end,
        cancelled_at = case
            when r.whole then 'epoch'::timestamptz + r.at_us * interval '1 microsecond'
        end
    from $rows r
    where t.id = r.booking_id""",
    updates=True,
)

PAYMENTS_REDUCED: Final = RowBranch(
    name="payments_reduced",
    events=(BookingCancelled,),
    rows=_reduced,
    columns="booking_id uuid, refund_minor bigint, whole boolean",
    sql="""
    update payments t
    set status = case when r.whole then 'refunded' else 'partially_refunded' end,
        refunded_minor = t.refunded_minor + r.refund_minor
    from $rows r
    where t.booking_id = r.booking_id""",
    updates=True,
)

BOOKINGS_TOLD: Final = outbox_branch("bookings_told", (HoldBooked, BookingCancelled), _told)

BOOKING_BRANCHES: Final = (
    BOOKINGS,
    PAYMENTS,
    SEATS,
    SEATS_GIVEN_BACK,
    BOOKINGS_REDUCED,
    PAYMENTS_REDUCED,
    BOOKINGS_TOLD,
)
