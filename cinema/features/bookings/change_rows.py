"""Rows that are written when tickets of a booking get other seats.

The rows of seats as they were sold stay, not live any longer: documents name them. A seat for which
a ticket was exchanged has a row of its own, which is replaced if the ticket gets another one again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from cinema.domain.ids import format_id
from cinema.domain.showtime.events import SeatsChanged, paid_more
from cinema.features.bookings.rules import PLACES_SOLD
from cinema.storage.journal.branches import Happened, RowBranch
from cinema.storage.journal.outbox import OutboxRow

BOOKING_CHANGED: Final = "booking.changed"


class SeatLeft(msgspec.Struct, frozen=True, gc=False):
    """A seat whose ticket is for another one now."""

    booking_id: str
    seat: str


class SeatChosen(msgspec.Struct, frozen=True, gc=False):
    """The seat that a ticket is for now, instead of its former one."""

    booking_id: str
    former: str
    seat: str
    category: str
    price_minor: int
    tax_minor: int


class PaidMore(msgspec.Struct, frozen=True, gc=False):
    """The payment of what the chosen seats cost more."""

    id: str
    booking_id: str
    method: str
    amount_minor: int
    currency: str
    at_us: int


class BookingChanged(msgspec.Struct, frozen=True, gc=False):
    """A booking with other seats, for which so much more was paid."""

    booking_id: str
    more_minor: int
    tax_minor: int


class Changed(msgspec.Struct, frozen=True, gc=False):
    """The outbox row: seat by seat from where, and to where."""

    booking_id: str
    user_id: str
    left: list[str]
    chosen: list[str]
    paid_minor: int
    refund_minor: int
    currency: str


def _changed(happened: Happened) -> SeatsChanged:
    assert isinstance(happened.event, SeatsChanged)
    return happened.event


def _left(happened: Happened) -> Sequence[SeatLeft]:
    event, labels = _changed(happened), happened.terms.plan.labels
    booking_id = event.booking_id.hex()
    return [SeatLeft(booking_id, labels[seat]) for seat in event.left]


def _chosen(happened: Happened) -> Sequence[SeatChosen]:
    event, plan = _changed(happened), happened.terms.plan
    booking_id, taxes = event.booking_id.hex(), event.taxes or (0,) * len(event.chosen)
    pairs = zip(event.left, event.chosen, event.chosen_prices, taxes, strict=True)
    return [
        SeatChosen(
            *(booking_id, plan.labels[left], plan.labels[seat]),
            *(plan.categories[plan.category_of[seat]], price, tax),
        )
        for left, seat, price, tax in pairs
    ]


def _paid(happened: Happened) -> Sequence[PaidMore]:
    event = _changed(happened)
    more_minor = paid_more(event)
    if not more_minor:
        return []
    return [
        PaidMore(
            *(event.payment_id.hex(), event.booking_id.hex(), event.payment_method),
            *(more_minor, event.currency, happened.at_us),
        )
    ]


def _bookings(happened: Happened) -> Sequence[BookingChanged]:
    event = _changed(happened)
    return [BookingChanged(event.booking_id.hex(), paid_more(event), event.tax_minor)]


def change_told(happened: Happened) -> Sequence[OutboxRow]:
    """What the outbox says of a change."""
    event, labels = _changed(happened), happened.terms.plan.labels
    changed = Changed(
        booking_id=format_id(event.booking_id),
        user_id=format_id(event.customer),
        left=[labels[seat] for seat in event.left],
        chosen=[labels[seat] for seat in event.chosen],
        paid_minor=paid_more(event),
        refund_minor=event.refund_minor,
        currency=event.currency,
    )
    return [OutboxRow(BOOKING_CHANGED, msgspec.Raw(msgspec.json.encode(changed)))]


SEATS_LEFT: Final = RowBranch(
    name="seats_left",
    events=(SeatsChanged,),
    rows=_left,
    columns="booking_id uuid, seat text",
    sql="""
    update booking_seats t
    set live = false, given_back = true
    from $rows r
    where t.booking_id = r.booking_id and t.seat = r.seat and t.live and t.changed_from is null
    returning t.booking_id, t.seat, t.type, t.position, t.seat as sold_as""",
    updates=True,
)

SEATS_LEFT_AGAIN: Final = RowBranch(
    name="seats_left_again",
    events=(SeatsChanged,),
    rows=_left,
    columns="booking_id uuid, seat text",
    sql="""
    delete from booking_seats t
    using $rows r
    where t.booking_id = r.booking_id and t.seat = r.seat and t.live
        and t.changed_from is not null
    returning t.booking_id, t.seat, t.type, t.position, t.changed_from as sold_as""",
    updates=True,
)

# Seats may move up by one: no row is added before all that were left are out of the index of live
# seats. So this counts them first.
SEATS_CHOSEN: Final = RowBranch(
    name="seats_chosen",
    events=(SeatsChanged,),
    rows=_chosen,
    columns="booking_id uuid, former text, seat text, category text, price_minor bigint, "
    "tax_minor bigint",
    sql=f"""
    insert into booking_seats (booking_id, position, showtime_id, seat, category, price_minor,
        type, tax_minor, changed_from)
    select r.booking_id, w.position % {PLACES_SOLD} + {PLACES_SOLD}, r.showtime_id, r.seat,
        r.category, r.price_minor, w.type, r.tax_minor, w.sold_as
    from $rows r
    join (
        select gone.*, count(*) over () as seats from (
            select * from write_seats_left union all select * from write_seats_left_again
        ) gone
    ) w on w.booking_id = r.booking_id and w.seat = r.former and w.seats > 0""",  # noqa: S608
    updates=True,
)

CHANGES_PAID: Final = RowBranch(
    name="changes_paid",
    events=(SeatsChanged,),
    rows=_paid,
    columns="id uuid, booking_id uuid, method text, amount_minor bigint, currency text, "
    "at_us bigint",
    sql="""
    insert into payments (id, booking_id, method, status, amount_minor, currency, for_change,
        created_at)
    select r.id, r.booking_id, r.method, 'succeeded', r.amount_minor, r.currency, true,
        'epoch'::timestamptz + r.at_us * interval '1 microsecond'
    from $rows r""",
)

BOOKINGS_CHANGED: Final = RowBranch(
    name="bookings_changed",
    events=(SeatsChanged,),
    rows=_bookings,
    columns="booking_id uuid, more_minor bigint, tax_minor bigint",
    # What went back is what `payments_reduced`, a branch of the ledger, has taken for this event.
    sql="""
    update bookings t
    set total_minor = t.total_minor + r.more_minor - coalesce((
            select sum(w.last_refund_minor) from write_payments_reduced w
            where w.booking_id = t.id
        ), 0),
        tax_minor = t.tax_minor + r.tax_minor
    from $rows r
    where t.id = r.booking_id""",
    updates=True,
)

CHANGE_BRANCHES: Final = (
    SEATS_LEFT,
    SEATS_LEFT_AGAIN,
    SEATS_CHOSEN,
    CHANGES_PAID,
    BOOKINGS_CHANGED,
)
