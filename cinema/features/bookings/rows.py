"""Rows that bookings write with the events of their showtimes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from cinema.domain.ids import format_id
from cinema.domain.pricing.tariffs import ADULT
from cinema.domain.showtime.events import (
    AnyEvent,
    BookingCancelled,
    HoldBooked,
    PaymentEnded,
    PaymentReturned,
    PaymentStarted,
    PlanChanged,
    SeatsChanged,
    ShowtimeCancelled,
    TermsChanged,
    refund_of,
)
from cinema.features.bookings.change_rows import CHANGE_BRANCHES, change_told
from cinema.features.bookings.exchange_rows import EXCHANGE_BRANCHES
from cinema.features.bookings.rules import (
    LineRow,
    PricedBy,
    line_rows,
    priced_by,
    products_minor,
)
from cinema.features.ledger.rules import EXCHANGE
from cinema.storage.journal.branches import Happened, RowBranch
from cinema.storage.journal.outbox import OutboxRow, outbox_branch

BOOKING_CONFIRMED: Final = "booking.confirmed"
BOOKING_CANCELLED: Final = "booking.cancelled"


class BookingRow(msgspec.Struct, frozen=True, gc=False):
    """A new booking, confirmed or pending; `request_key` in Postgres' text form of bytes."""

    id: str
    code: str
    user_id: str
    hold_id: str
    status: str
    total_minor: int
    currency: str
    at_us: int
    pay_until_us: int | None
    pay_before_start_s: int | None
    request_key: str | None
    payment_id: str
    fees_minor: int
    tax_minor: int
    lines: list[LineRow] | None
    promo_code: str | None
    priced_by: PricedBy
    products_minor: int


class PaymentRow(msgspec.Struct, frozen=True, gc=False):
    """The payment of a new booking."""

    id: str
    booking_id: str
    method: str
    status: str
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
    type: str
    tax_minor: int


class PendingDecided(msgspec.Struct, frozen=True, gc=False):
    """How a pending booking went on, and its payment.

    `payment_id` and `method` are those of the attempt that has paid it.
    """

    booking_id: str
    status: str
    payment_status: str
    method: str | None
    payment_id: str | None
    at_us: int


class AllPending(msgspec.Struct, frozen=True, gc=False):
    """What happens to all pending bookings of a showtime: it is cancelled, or starts then."""

    at_us: int
    starts_at_us: int | None = None


class SeatGivenBack(msgspec.Struct, frozen=True, gc=False):
    """A seat that leaves its booking; `alone` if the booking continues without it."""

    booking_id: str
    seat: str
    alone: bool


class BookingReduced(msgspec.Struct, frozen=True, gc=False):
    """A refund of seats of a booking; with `whole` the booking ends."""

    booking_id: str
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


def _new_booking(happened: Happened) -> HoldBooked | PaymentStarted | None:
    """The event, unless the booking was there before as a pending one."""
    event = happened.event
    if isinstance(event, PaymentStarted):
        return event
    assert isinstance(event, HoldBooked)
    return None if event.pending else event


def _before_start(event: HoldBooked | PaymentStarted) -> int | None:
    """How long before the start a booking is to be paid, if that depends on the start."""
    if isinstance(event, PaymentStarted) and event.before_start_s >= 0:
        return event.before_start_s
    return None


def _bookings(happened: Happened) -> Sequence[BookingRow]:
    event, key = _new_booking(happened), happened.request_key
    if event is None:
        return []
    of_products_minor = products_minor(event.lines)
    return [
        BookingRow(
            id=event.booking_id.hex(),
            code=event.code,
            user_id=event.customer.hex(),
            hold_id=event.hold_id.hex(),
            status="pending" if isinstance(event, PaymentStarted) else "confirmed",
            total_minor=_total(event),
            currency=event.currency,
            at_us=happened.at_us,
            pay_until_us=event.pay_until_us if isinstance(event, PaymentStarted) else None,
            pay_before_start_s=_before_start(event),
            request_key=None if key is None else f"\\x{key.hex()}",
            payment_id=event.payment_id.hex(),
            fees_minor=event.fees_minor - of_products_minor,
            tax_minor=event.tax_minor,
            lines=line_rows(event.lines) or None,
            promo_code=event.promo_code or None,
            priced_by=priced_by(event, happened.terms),
            products_minor=of_products_minor,
        )
    ]


def _total(event: HoldBooked | PaymentStarted) -> int:
    """All that is paid: the seats, and the fees and products beside them."""
    return sum(event.prices) + event.fees_minor


def _payments(happened: Happened) -> Sequence[PaymentRow]:
    event = _new_booking(happened)
    if event is None:
        return []
    return [
        PaymentRow(
            id=event.payment_id.hex(),
            booking_id=event.booking_id.hex(),
            method=event.payment_method,
            status="pending" if isinstance(event, PaymentStarted) else "succeeded",
            # What pays for an exchanged booking has rows of its own.
            amount_minor=0 if event.payment_method == EXCHANGE else _total(event),
            currency=event.currency,
            at_us=happened.at_us,
        )
    ]


def _seats(happened: Happened) -> Sequence[SeatRow]:
    event, plan = _new_booking(happened), happened.terms.plan
    if event is None:
        return []
    booking_id, count = event.booking_id.hex(), len(event.seats)
    types, taxes = event.types or (ADULT,) * count, event.taxes or (0,) * count
    sold = zip(event.seats, event.prices, types, taxes, strict=True)
    return [
        SeatRow(
            *(booking_id, place, plan.labels[seat], plan.categories[plan.category_of[seat]]),
            *(price, type_, tax),
        )
        for place, (seat, price, type_, tax) in enumerate(sold)
    ]


def _decided(happened: Happened) -> Sequence[PendingDecided]:
    if isinstance(happened.event, HoldBooked) and not happened.event.pending:
        return []
    return [
        PendingDecided(booking_id.hex(), status, payment_status, method, payment_id, happened.at_us)
        for booking_id, status, payment_status, method, payment_id in _of_pending(happened.event)
    ]


def _of_pending(event: AnyEvent) -> Sequence[tuple[bytes, str, str, str | None, str | None]]:
    """The pending bookings that an event decides, and what they and their payments become."""
    match event:
        case HoldBooked(pending=True):
            paid_by = event.payment_method, event.payment_id.hex()
            return [(event.booking_id, "confirmed", "cancelled", *paid_by)]
        case PaymentEnded(booking_id=booking_id, expired=expired):
            return [(booking_id, "expired" if expired else "cancelled", "failed", None, None)]
        case PaymentReturned(booking_id=booking_id, waited=True):
            return [(booking_id, "cancelled", "failed", None, None)]
        case _:
            return []


def _all_pending(happened: Happened) -> Sequence[AllPending]:
    """The event stands alone in its statement, so that the rows are those that it knows."""
    event = happened.event
    if isinstance(event, ShowtimeCancelled):
        return [AllPending(happened.at_us)] if event.unpaid else []
    changed = event.moved if isinstance(event, PlanChanged) else event
    if not isinstance(changed, TermsChanged):
        return []
    return [AllPending(happened.at_us, changed.conditions.starts_at_us)]


def _given_back(happened: Happened) -> Sequence[SeatGivenBack]:
    event, labels = _cancelled(happened), happened.terms.plan.labels
    booking_id, alone = event.booking_id.hex(), bool(event.seats)
    return [SeatGivenBack(booking_id, labels[seat], alone) for seat in event.cancelled]


def _reduced(happened: Happened) -> Sequence[BookingReduced]:
    event = _cancelled(happened)
    return [BookingReduced(event.booking_id.hex(), not event.seats, happened.at_us)]


def _told(happened: Happened) -> Sequence[OutboxRow]:
    event, labels = happened.event, happened.terms.plan.labels
    if isinstance(event, SeatsChanged):
        return change_told(happened)
    if isinstance(event, HoldBooked):
        confirmed = Confirmed(
            booking_id=format_id(event.booking_id),
            user_id=format_id(event.customer),
            seats=[labels[seat] for seat in event.seats],
            total_minor=_total(event),
            currency=event.currency,
        )
        return [OutboxRow(BOOKING_CONFIRMED, _payload(confirmed))]
    event = _cancelled(happened)
    cancelled = Cancelled(
        booking_id=format_id(event.booking_id),
        user_id=format_id(event.customer),
        seats=[labels[seat] for seat in event.cancelled],
        refund_minor=refund_of(event),
        whole=not event.seats,
    )
    return [OutboxRow(BOOKING_CANCELLED, _payload(cancelled))]


def _payload(value: msgspec.Struct) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


BOOKINGS: Final = RowBranch(
    name="bookings",
    events=(HoldBooked, PaymentStarted),
    rows=_bookings,
    columns="id uuid, code text, user_id uuid, hold_id uuid, status text, total_minor bigint, "
    "currency text, at_us bigint, pay_until_us bigint, pay_before_start_s int, "
    "request_key bytea, payment_id uuid, fees_minor bigint, tax_minor bigint, lines jsonb, "
    "promo_code text, priced_by jsonb, products_minor bigint",
    sql="""
    insert into bookings (id, code, showtime_id, user_id, hold_id, status, total_minor, currency,
        pay_until, pay_before_start_s, request_key, payment_id, fees_minor, tax_minor, lines,
        promo_code, priced_by, products_minor, created_at)
    select r.id, r.code, r.showtime_id, r.user_id, r.hold_id, r.status, r.total_minor,
        r.currency, 'epoch'::timestamptz + r.pay_until_us * interval '1 microsecond',
        r.pay_before_start_s, r.request_key, r.payment_id, r.fees_minor, r.tax_minor, r.lines,
        r.promo_code, r.priced_by, r.products_minor,
        'epoch'::timestamptz + r.at_us * interval '1 microsecond'
    from $rows r""",
)

PAYMENTS: Final = RowBranch(
    name="payments",
    events=(HoldBooked, PaymentStarted),
    rows=_payments,
    columns="id uuid, booking_id uuid, method text, status text, amount_minor bigint, "
    "currency text, at_us bigint",
    sql="""
    insert into payments (id, booking_id, method, status, amount_minor, currency, created_at)
    select r.id, r.booking_id, r.method, r.status, r.amount_minor, r.currency,
        'epoch'::timestamptz + r.at_us * interval '1 microsecond'
    from $rows r""",
)

SEATS: Final = RowBranch(
    name="seats",
    events=(HoldBooked, PaymentStarted),
    rows=_seats,
    columns="booking_id uuid, place smallint, seat text, category text, price_minor bigint, "
    "type text, tax_minor bigint",
    sql="""
    insert into booking_seats (booking_id, position, showtime_id, seat, category, price_minor,
        type, tax_minor)
    select r.booking_id, r.place, r.showtime_id, r.seat, r.category, r.price_minor, r.type,
        r.tax_minor
    from $rows r""",
)

PENDING_DECIDED: Final = RowBranch(
    name="pending_decided",
    events=(HoldBooked, PaymentEnded, PaymentReturned),
    rows=_decided,
    columns="booking_id uuid, status text, payment_status text, method text, "
    "payment_id uuid, at_us bigint",
    sql="""
    update bookings t
    set status = r.status, payment_id = coalesce(r.payment_id, t.payment_id),
        cancelled_at = case
            when r.status = 'cancelled'
            then 'epoch'::timestamptz + r.at_us * interval '1 microsecond'
        end
    from $rows r
    where t.id = r.booking_id""",
    updates=True,
)

PENDING_PAYMENTS_DECIDED: Final = RowBranch(
    name="pending_payments_decided",
    events=(HoldBooked, PaymentEnded, PaymentReturned),
    rows=_decided,
    columns="booking_id uuid, status text, payment_status text, method text, "
    "payment_id uuid, at_us bigint",
    sql="""
    update payments t
    set status = case
            when t.id = r.payment_id or t.id = any(paid.completes) then 'succeeded'
            else r.payment_status
        end,
        method = case when t.id = r.payment_id then r.method else t.method end
    from $rows r left join payments paid on paid.id = r.payment_id
    where t.booking_id = r.booking_id
        and (t.status in ('created', 'pending') or t.id = r.payment_id)""",
    updates=True,
)

PENDING_SEATS_DECIDED: Final = RowBranch(
    name="pending_seats_decided",
    events=(HoldBooked, PaymentEnded, PaymentReturned),
    rows=_decided,
    columns="booking_id uuid, status text, payment_status text, method text, "
    "payment_id uuid, at_us bigint",
    sql="""
    update booking_seats t
    set live = r.status = 'confirmed'
    from $rows r
    where t.booking_id = r.booking_id and t.live <> (r.status = 'confirmed')""",
    updates=True,
)

PENDING_CANCELLED: Final = RowBranch(
    name="pending_cancelled",
    events=(ShowtimeCancelled,),
    rows=_all_pending,
    columns="at_us bigint",
    sql="""
    update bookings t
    set status = 'cancelled',
        cancelled_at = 'epoch'::timestamptz + r.at_us * interval '1 microsecond'
    from $rows r
    where t.showtime_id = r.showtime_id and t.status = 'pending'""",
    updates=True,
)

PENDING_PAYMENTS_CANCELLED: Final = RowBranch(
    name="pending_payments_cancelled",
    events=(ShowtimeCancelled,),
    rows=_all_pending,
    columns="at_us bigint",
    sql="""
    update payments t
    set status = 'failed'
    from $rows r join bookings b on b.showtime_id = r.showtime_id
    where b.status = 'pending' and t.booking_id = b.id
        and t.status in ('created', 'pending')""",
    updates=True,
)

PENDING_SEATS_CANCELLED: Final = RowBranch(
    name="pending_seats_cancelled",
    events=(ShowtimeCancelled,),
    rows=_all_pending,
    columns="at_us bigint",
    sql="""
    update booking_seats t
    set live = false
    from $rows r join bookings b on b.showtime_id = r.showtime_id
    where b.status = 'pending' and t.booking_id = b.id""",
    updates=True,
)

PENDING_MOVED: Final = RowBranch(
    name="pending_moved",
    events=(TermsChanged, PlanChanged),
    rows=_all_pending,
    columns="at_us bigint, starts_at_us bigint",
    sql="""
    update bookings t
    set pay_until = greatest(
        'epoch'::timestamptz + r.at_us * interval '1 microsecond',
        'epoch'::timestamptz + r.starts_at_us * interval '1 microsecond'
            - t.pay_before_start_s * interval '1 second'
    )
    from $rows r
    where t.showtime_id = r.showtime_id and t.status = 'pending'
        and t.pay_before_start_s is not null""",
    updates=True,
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
    columns="booking_id uuid, whole boolean, at_us bigint",
    # What went back is what `payments_reduced`, a branch of the ledger, has taken for this event.
    sql="""
    update bookings t
    set status = case when r.whole then 'cancelled' else t.status end,
        total_minor = case when r.whole then t.total_minor else t.total_minor - coalesce((
            select sum(w.last_refund_minor) from write_payments_reduced w
            where w.booking_id = t.id
        ), 0) end,
        cancelled_at = case
            when r.whole then 'epoch'::timestamptz + r.at_us * interval '1 microsecond'
        end
    from $rows r
    where t.id = r.booking_id""",
    updates=True,
)

BOOKINGS_TOLD: Final = outbox_branch(
    "bookings_told", (HoldBooked, BookingCancelled, SeatsChanged), _told
)

BOOKING_BRANCHES: Final = (
    BOOKINGS,
    PAYMENTS,
    SEATS,
    PENDING_DECIDED,
    PENDING_PAYMENTS_DECIDED,
    PENDING_SEATS_DECIDED,
    PENDING_CANCELLED,
    PENDING_PAYMENTS_CANCELLED,
    PENDING_SEATS_CANCELLED,
    PENDING_MOVED,
    SEATS_GIVEN_BACK,
    BOOKINGS_REDUCED,
    BOOKINGS_TOLD,
    *CHANGE_BRANCHES,
    *EXCHANGE_BRANCHES,
)
