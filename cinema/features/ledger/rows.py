"""Rows of the ledger that are written with the events of showtimes.

A repetition of `kind` and `source` is nothing: the money of an attempt may have been written down
before its booking was confirmed. What was taken at a counter is in a drawer, or a terminal has it:
its till has said so before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from cinema.domain.showtime.events import (
    BookingCancelled,
    HoldBooked,
    SeatsChanged,
    paid_more,
    refund_of,
)
from cinema.features.ledger.parts import RANK
from cinema.features.ledger.refund_store import ACCOUNT, AT_ONCE, FIRST_STATUS
from cinema.features.ledger.rules import (
    CUSTOMER,
    PAYMENT,
    SALE,
    SEAT_CHANGE,
    Lines,
    account_of,
    earned_on,
    moved,
    sale,
)
from cinema.storage.journal.branches import Happened, RowBranch


class TransactionRow(msgspec.Struct, frozen=True, gc=False):
    """One transaction of the ledger."""

    kind: str
    source: str
    booking_id: str
    currency: str
    at_us: int
    accounts: list[str]
    amounts: list[int]


class PaidRow(msgspec.Struct, frozen=True, gc=False):
    """The attempt that has paid a pending booking; rows have the amounts, of it and its parts."""

    payment_id: str
    account: str
    at_us: int


class ReducedRow(msgspec.Struct, frozen=True, gc=False):
    """Seats of a booking that were given back, or are cheaper ones now.

    `refund_minor` goes back, if so much was paid.
    """

    booking_id: str
    refund_minor: int
    earned: str
    at_us: int


def _booked(happened: Happened) -> HoldBooked:
    assert isinstance(happened.event, HoldBooked)
    return happened.event


def _transactions(happened: Happened) -> Sequence[TransactionRow]:
    event, at_us = happened.event, happened.at_us
    if isinstance(event, SeatsChanged):
        return _change_paid(happened, event)
    assert isinstance(event, HoldBooked)
    total_minor = sum(event.prices) + event.fees_minor
    booking_id, currency = event.booking_id.hex(), event.currency

    def row(kind: str, source: bytes, made: Lines | None) -> list[TransactionRow]:
        return _row(kind, source, booking_id, currency, at_us, made)

    earned = earned_on(at_us, happened.terms.starts_at_us)
    # The tax in the fees is on the account of taxes.
    fees_minor = event.fees_minor - event.fees_tax_minor
    sold = sale(total_minor, event.tax_minor, fees_minor, earned)
    rows = row(SALE, event.booking_id, sold)
    if not event.pending:
        paid = moved(total_minor, to=account_of(event.payment_method), of=CUSTOMER)
        rows += row(PAYMENT, event.payment_id, paid)
    return rows


def _row(
    kind: str, source: bytes, booking_id: str, currency: str, at_us: int, made: Lines | None
) -> list[TransactionRow]:
    if made is None:
        return []
    return [
        TransactionRow(kind, source.hex(), booking_id, currency, at_us, made.accounts, made.amounts)
    ]


def _change_paid(happened: Happened, event: SeatsChanged) -> list[TransactionRow]:
    """What other seats cost more is sold and paid at once."""
    more_minor, at_us = paid_more(event), happened.at_us
    earned = earned_on(at_us, happened.terms.starts_at_us)
    sold = sale(more_minor, event.tax_minor, 0, earned)
    paid = moved(more_minor, to=account_of(event.payment_method), of=CUSTOMER)
    about = event.booking_id.hex(), event.currency, at_us
    return [
        *_row(SEAT_CHANGE, event.payment_id, *about, sold),
        *_row(PAYMENT, event.payment_id, *about, paid),
    ]


def _paid(happened: Happened) -> Sequence[PaidRow]:
    event = _booked(happened)
    if not event.pending:
        return []
    return [PaidRow(event.payment_id.hex(), account_of(event.payment_method), happened.at_us)]


def _reduced(happened: Happened) -> Sequence[ReducedRow]:
    event, at_us = happened.event, happened.at_us
    assert isinstance(event, BookingCancelled | SeatsChanged)
    earned = earned_on(at_us, happened.terms.starts_at_us)
    refund_minor = event.refund_minor if isinstance(event, SeatsChanged) else refund_of(event)
    return [ReducedRow(event.booking_id.hex(), refund_minor, earned, at_us)]


REDUCED: Final = "booking_id uuid, refund_minor bigint, earned text, at_us bigint"
REFUND_ID: Final = "md5(w.id::text || ':' || r.seq)::uuid"
"""A name for what an event gives back of an attempt; it is written once."""


# Money goes back in reverse: the rest first, then gift cards, then points. Nobody else changes
# these rows for the same booking but refunds without seats, each in one statement: if one comes in
# between, this waits, looks at the row again, and takes no more than is left. So what was taken is
# read from here.
PAYMENTS_REDUCED: Final = RowBranch(
    name="payments_reduced",
    events=(BookingCancelled, SeatsChanged),
    rows=_reduced,
    columns=REDUCED,
    sql=f"""
    update payments t
    set last_refund_minor = least(d.part_minor, t.amount_minor - t.refunded_minor),
        refunded_minor = t.refunded_minor + least(d.part_minor, t.amount_minor - t.refunded_minor),
        status = case
            when t.refunded_minor + d.part_minor >= t.amount_minor then 'refunded'
            else 'partially_refunded'
        end
    from (
        select p.id, least(p.amount_minor - p.refunded_minor, greatest(0, r.refund_minor
            - coalesce(sum(p.amount_minor - p.refunded_minor) over (
                partition by p.booking_id
                order by {RANK.format("p")} desc, p.created_at desc, p.id desc
                rows between unbounded preceding and 1 preceding
            ), 0))) as part_minor
        from $rows r
        join payments p on p.booking_id = r.booking_id
            and p.status in ('succeeded', 'partially_refunded')
    ) d
    where t.id = d.id and d.part_minor > 0
    returning t.id, t.booking_id, t.method, t.currency, t.last_refund_minor,
        t.origin_id""",  # noqa: S608  (constants)
    updates=True,
)


class CarriedRow(msgspec.Struct, frozen=True, gc=False):
    """How much of what goes back pays for seats of another showtime; in no exchange, nothing."""

    booking_id: str
    exchange_id: str | None
    carried_minor: int
    at_us: int


def _carried(happened: Happened) -> Sequence[CarriedRow]:
    event, exchange_id, carried_minor = happened.event, b"", 0
    assert isinstance(event, BookingCancelled | SeatsChanged)
    if isinstance(event, BookingCancelled):
        exchange_id, carried_minor = event.exchange_id, event.carried_minor
    return [
        CarriedRow(event.booking_id.hex(), exchange_id.hex() or None, carried_minor, happened.at_us)
    ]


CARRIED: Final = "booking_id uuid, exchange_id uuid, carried_minor bigint, at_us bigint"

# It has rows for every event that gives something back: those behind it look at what it wrote.
PAYMENTS_CARRIED: Final = RowBranch(
    name="payments_carried",
    events=(BookingCancelled, SeatsChanged),
    rows=_carried,
    columns=CARRIED,
    sql="""
    insert into payments (id, booking_id, method, status, amount_minor, currency, for_change,
        carried_from, origin_id, created_at)
    select md5(part.id::text || ':' || e.id)::uuid, e.to_booking_id, part.method, 'succeeded',
        part.carried_minor, part.currency, true, part.id, coalesce(part.origin_id, part.id),
        'epoch'::timestamptz + r.at_us * interval '1 microsecond'
    from $rows r
    join exchanges e on e.id = r.exchange_id
    cross join lateral (
        select w.id, w.method, w.currency, w.origin_id, least(w.last_refund_minor, greatest(0,
            r.carried_minor - coalesce(sum(w.last_refund_minor) over (
                order by w.id rows between unbounded preceding and 1 preceding
            ), 0))) as carried_minor
        from write_payments_reduced w where w.booking_id = r.booking_id
    ) part
    where part.carried_minor > 0
    returning id, booking_id, carried_from, amount_minor, currency""",
    updates=True,
)


class ExchangedRow(msgspec.Struct, frozen=True, gc=False):
    """An exchange that is decided: the old seats are given up."""

    exchange_id: str
    at_us: int


def _exchanged(happened: Happened) -> Sequence[ExchangedRow]:
    event = happened.event
    assert isinstance(event, BookingCancelled)
    if not event.exchange_id:
        return []
    return [ExchangedRow(event.exchange_id.hex(), happened.at_us)]


EXCHANGED: Final = "exchange_id uuid, at_us bigint"

EXCHANGES_COMMITTED: Final = RowBranch(
    name="exchanges_committed",
    events=(BookingCancelled,),
    rows=_exchanged,
    columns=EXCHANGED,
    sql="""
    update exchanges t
    set state = 'committed',
        decided_at = 'epoch'::timestamptz + r.at_us * interval '1 microsecond',
        taken_minor = coalesce((
            select sum(c.amount_minor) from write_payments_carried c
            where c.booking_id = t.to_booking_id
        ), 0)
    from $rows r
    where t.id = r.exchange_id""",
    updates=True,
)

EXCHANGES_PAID: Final = RowBranch(
    name="exchanges_paid",
    events=(BookingCancelled,),
    rows=_exchanged,
    columns=EXCHANGED,
    sql="""
    insert into payments (id, booking_id, method, status, amount_minor, currency, for_change,
        created_at)
    select e.payment_id, e.to_booking_id, e.payment_method, 'succeeded', e.more_minor, e.currency,
        true, 'epoch'::timestamptz + r.at_us * interval '1 microsecond'
    from $rows r join exchanges e on e.id = r.exchange_id
    where e.more_minor > 0""",
    updates=True,
)

LEDGER_EXCHANGED: Final = RowBranch(
    name="ledger_exchanged",
    events=(BookingCancelled,),
    rows=_exchanged,
    columns=EXCHANGED,
    sql=f"""
    insert into ledger (kind, source, booking_id, showtime_id, currency, at, accounts, amounts)
    select 'payment', w.id, e.to_booking_id, e.to_showtime_id, e.currency,
        'epoch'::timestamptz + r.at_us * interval '1 microsecond',
        array[w.account, 'customer'], array[w.amount_minor, -w.amount_minor]
    from $rows r
    join exchanges e on e.id = r.exchange_id
    cross join lateral (
        select c.id, 'exchange' as account, c.amount_minor from write_payments_carried c
        where c.booking_id = e.to_booking_id
        union all
        select w.payment_id, case
            when {ACCOUNT} = 'cash' and exists (
                select from cash_takings t
                where t.payment_id = w.payment_id and t.tender = 'terminal'
            )
            then 'terminal' else {ACCOUNT}
        end, w.more_minor
        from (select e.payment_id, e.payment_method as method, e.more_minor) w
    ) w
    where w.amount_minor > 0
    on conflict (kind, source) do nothing""",  # noqa: S608  (constants of this module)
    updates=True,
)

REFUNDS_MADE: Final = RowBranch(
    name="refunds_made",
    events=(BookingCancelled, SeatsChanged),
    rows=_reduced,
    columns=REDUCED,
    sql=f"""
    insert into refunds (id, payment_id, booking_id, showtime_id, event_seq, kind, amount_minor,
        currency, status, next_try_at, created_at, settled_at)
    select part.id, part.payment_id, w.booking_id, r.showtime_id, r.seq, part.kind,
        part.amount_minor, w.currency, part.status,
        moment.at, moment.at, case when part.status = 'succeeded' then moment.at end
    from $rows r join write_payments_reduced w on w.booking_id = r.booking_id
    left join write_payments_carried c on c.carried_from = w.id
    cross join lateral (
        select 'epoch'::timestamptz + r.at_us * interval '1 microsecond' as at
    ) moment
    cross join lateral (values
        ({REFUND_ID}, coalesce(w.origin_id, w.id), 'cancellation',
            w.last_refund_minor - coalesce(c.amount_minor, 0), {FIRST_STATUS}),
        (c.id, w.id, 'exchange', c.amount_minor, 'succeeded')
    ) part (id, payment_id, kind, amount_minor, status)
    where part.amount_minor > 0
    on conflict (id) do nothing""",  # noqa: S608  (constants of this module)
    updates=True,
)

# With the price goes the same part of the tax in it.
LEDGER_CANCELLED: Final = RowBranch(
    name="ledger_cancelled",
    events=(BookingCancelled, SeatsChanged),
    rows=_reduced,
    columns=REDUCED,
    sql=f"""
    insert into ledger (kind, source, booking_id, showtime_id, currency, at, accounts, amounts)
    select line.kind, line.source, w.booking_id, r.showtime_id, w.currency,
        'epoch'::timestamptz + r.at_us * interval '1 microsecond',
        array[line.to_account, line.of_account] || case when line.tax > 0 then array['tax'] end,
        array[line.amount_minor - line.tax, -line.amount_minor]
            || case when line.tax > 0 then array[line.tax] end
    from $rows r join write_payments_reduced w on w.booking_id = r.booking_id
    left join write_payments_carried c on c.carried_from = w.id
    left join ledger s on s.kind = 'sale' and s.source = w.booking_id
    cross join lateral (values
        ('cancellation', {REFUND_ID}, r.earned, 'customer', w.last_refund_minor, coalesce(round(
            -w.last_refund_minor * s.amounts[array_position(s.accounts, 'tax')]::numeric
            / nullif(s.amounts[array_position(s.accounts, 'customer')], 0)
        )::bigint, 0)),
        ('refund', {REFUND_ID}, 'customer', {ACCOUNT}, case when w.method in ({AT_ONCE})
            then w.last_refund_minor - coalesce(c.amount_minor, 0) end, 0),
        ('refund', c.id, 'customer', 'exchange', c.amount_minor, 0)
    ) line (kind, source, to_account, of_account, amount_minor, tax)
    where line.amount_minor > 0
    on conflict (kind, source) do nothing""",  # noqa: S608  (constants of this module)
    updates=True,
)

LEDGER_SALES: Final = RowBranch(
    name="ledger_sales",
    events=(HoldBooked, SeatsChanged),
    rows=_transactions,
    columns="kind text, source uuid, booking_id uuid, currency text, at_us bigint, "
    "accounts text[], amounts bigint[]",
    sql="""
    insert into ledger (kind, source, booking_id, showtime_id, currency, at, accounts, amounts)
    select r.kind, r.source, r.booking_id, r.showtime_id, r.currency,
        'epoch'::timestamptz + r.at_us * interval '1 microsecond',
        case
            when r.kind = 'payment' and 'cash' = any(r.accounts) and exists (
                select from cash_takings t where t.payment_id = r.source and t.tender = 'terminal'
            )
            then array_replace(r.accounts, 'cash', 'terminal') else r.accounts
        end,
        r.amounts
    from $rows r
    on conflict (kind, source) do nothing""",
)

LEDGER_PAID: Final = RowBranch(
    name="ledger_paid",
    events=(HoldBooked,),
    rows=_paid,
    columns="payment_id uuid, account text, at_us bigint",
    sql=f"""
    insert into ledger (kind, source, booking_id, showtime_id, currency, at, accounts, amounts)
    select 'payment', w.id, w.booking_id, r.showtime_id, w.currency,
        'epoch'::timestamptz + r.at_us * interval '1 microsecond',
        array[
            case
                when w.id <> r.payment_id then {ACCOUNT}
                when r.account = 'cash' and exists (
                    select from cash_takings t
                    where t.payment_id = w.id and t.tender = 'terminal'
                )
                then 'terminal' else r.account
            end,
            'customer'
        ],
        array[w.amount_minor, -w.amount_minor]
    from $rows r join payments paid on paid.id = r.payment_id
    join payments w on w.id = any(array_append(paid.completes, paid.id))
    where w.amount_minor > 0 and (w.id = paid.id or w.status in ('created', 'pending'))
    on conflict (kind, source) do nothing""",  # noqa: S608  (constants of this module)
    updates=True,
)

LEDGER_BRANCHES: Final = (
    PAYMENTS_REDUCED,
    PAYMENTS_CARRIED,
    EXCHANGES_COMMITTED,
    EXCHANGES_PAID,
    LEDGER_EXCHANGED,
    REFUNDS_MADE,
    LEDGER_SALES,
    LEDGER_PAID,
    LEDGER_CANCELLED,
)
