"""Which documents are due, written with the events that ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.pricing.tariffs import ADULT
from cinema.domain.showtime.events import (
    BookingCancelled,
    HoldBooked,
    SeatsChanged,
    paid_more,
    refund_of,
)
from cinema.features.invoices.rules import ChosenSeat, RefundedItems, Supplement
from cinema.storage.journal.branches import Happened, RowBranch


class DueDocumentRow(msgspec.Struct, frozen=True, gc=False):
    """A document that is due; `what` is the JSON of a `RefundedItems`, null for an invoice."""

    booking_id: str
    what: msgspec.Raw
    at_us: int


_NOTHING: Final = msgspec.Raw(b"{}")


def _due(happened: Happened) -> Sequence[DueDocumentRow]:
    event, what = happened.event, _NOTHING
    assert isinstance(event, HoldBooked | BookingCancelled | SeatsChanged)
    if isinstance(event, SeatsChanged):
        changed = _changed(happened, event)
        if changed is None:
            return []
        what = msgspec.Raw(msgspec.json.encode(changed))
    elif isinstance(event, BookingCancelled):
        labels = happened.terms.plan.labels
        prices = zip(event.cancelled, event.cancelled_prices, strict=True)
        refund = RefundedItems(
            seats=tuple((labels[seat], price) for seat, price in prices),
            amount_minor=refund_of(event),
            whole=not event.seats,
            products_minor=event.products_minor,
        )
        what = msgspec.Raw(msgspec.json.encode(refund))
    return [DueDocumentRow(event.booking_id.hex(), what, happened.at_us)]


def _changed(happened: Happened, event: SeatsChanged) -> RefundedItems | Supplement | None:
    """What was paid more is invoiced beside what was sold; if it is less, that is corrected."""
    if event.refund_minor:
        return RefundedItems(seats=(), amount_minor=event.refund_minor, whole=False)
    if not paid_more(event):
        return None
    plan, types = happened.terms.plan, event.types or (ADULT,) * len(event.chosen)
    before = zip(event.left, event.left_prices, strict=True)
    after = zip(event.chosen, event.chosen_prices, types, strict=True)
    return Supplement(
        seats=tuple(
            ChosenSeat(
                plan.labels[left],
                plan.labels[seat],
                plan.categories[plan.category_of[seat]],
                type_,
                price - was_minor,
            )
            for (left, was_minor), (seat, price, type_) in zip(before, after, strict=True)
            if price > was_minor
        ),
        amount_minor=paid_more(event),
        payment_id=UUID(bytes=event.payment_id),
        method=event.payment_method,
    )


INVOICES_DUE: Final = RowBranch(
    name="invoices_due",
    events=(HoldBooked, BookingCancelled, SeatsChanged),
    rows=_due,
    columns="booking_id uuid, what jsonb, at_us bigint",
    # Documents name seats as they were sold. By the time that one is made, a seat may be that of
    # another ticket: so which ticket it was is read here, where nothing sees the event yet.
    sql="""
    insert into invoices_due (showtime_id, seq, booking_id, what, due_at, next_try_at)
    select r.showtime_id, r.seq, r.booking_id,
        case when r.what = '{}' then r.what else r.what || jsonb_build_object('sold_as', coalesce((
            select jsonb_object_agg(t.seat, t.changed_from) from booking_seats t
            where t.booking_id = r.booking_id and t.live and t.changed_from is not null
        ), '{}')) end,
        at.moment, at.moment
    from $rows r
    cross join lateral (
        select 'epoch'::timestamptz + r.at_us * interval '1 microsecond'
    ) at (moment)""",
)

INVOICE_BRANCHES: Final = (INVOICES_DUE,)
