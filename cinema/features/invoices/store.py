"""Documents in Postgres: issued by one node at a time, each with its number in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.money import Money
from cinema.domain.rejections import refuse
from cinema.features.invoices.rules import (
    CannotIssue,
    Counters,
    Desk,
    Due,
    InvoicedSale,
    MadeDocument,
    QuotedLine,
    RefundedItems,
    Sold,
    Supplement,
    backoff_s,
    sold,
)
from cinema.features.invoices.shapes import (
    BookingOfDocument,
    Buyer,
    Document,
    DocumentEntry,
    PaymentOfDocument,
    Seller,
    ShowtimeOfDocument,
)
from cinema.storage.database.driver import Record
from cinema.storage.database.locks import ISSUING_LOCK
from cinema.storage.database.reads import Reads
from cinema.storage.database.transactions import Pool, PooledConnection, connection, transaction

LOCK_NUMBER: Final = ISSUING_LOCK
"""Names the right to issue documents, among the advisory locks of the database."""

# Whoever has it issues; it goes with the transaction, however that ends.
ONE_AT_A_TIME: Final = "select pg_try_advisory_xact_lock($1)"
_DUE: Final = """
select showtime_id, seq, booking_id, what::text, due_at, attempts
from invoices_due where next_try_at <= $1
order by next_try_at, showtime_id, seq limit $2"""
IS_DUE: Final = "exists (select from invoices_due where next_try_at <= {0}::timestamptz)"
_STILL_DUE: Final = """
select due.showtime_id, due.seq
from unnest($1::uuid[], $2::bigint[]) as asked (showtime_id, seq)
join invoices_due due on due.showtime_id = asked.showtime_id and due.seq = asked.seq"""
_DONE: Final = """
delete from invoices_due d using unnest($1::uuid[], $2::bigint[]) as gone (showtime_id, seq)
where d.showtime_id = gone.showtime_id and d.seq = gone.seq"""
_PUT_OFF: Final = """
update invoices_due set attempts = attempts + 1, next_try_at = $3, last_error = left($4, 1000)
where showtime_id = $1 and seq = $2"""
_STATE: Final = """
select count(*) as waiting, count(*) filter (where attempts > 0) as failing, min(due_at) as oldest
from invoices_due"""

# All that was ever part of the booking, as it was sold. A guest's account may be claimed by now.
_SALES: Final = """
select b.id, b.code, b.created_at, b.showtime_id, b.currency, paid.id as payment_id, paid.method,
    t.starts_at, to_char(t.starts_at at time zone c.time_zone, 'YYYY-MM-DD HH24:MI') as starts,
    m.title as film, s.name as screen, c.id as cinema_id, c.name as cinema, c.address, c.city,
    c.country, c.time_zone, c.legal_name, c.legal_address, c.tax_number, c.invoice_prefix,
    coalesce((c.tax_rates ->> coalesce(book.settings ->> 'ticket_tax', ''))::int, 0) as rate,
    coalesce(u.first_name, claimant.first_name, '') as first_name,
    coalesce(u.last_name, claimant.last_name, '') as last_name,
    coalesce(u.language, claimant.language, o.language, '') as language,
    b.lines::text as lines, (
        select json_agg(json_build_array(seat.seat, seat.category, seat.type, seat.price_minor)
            order by seat.position)
        from booking_seats seat where seat.booking_id = b.id and seat.changed_from is null
    )::text as seats
from bookings b
join showtimes t on t.id = b.showtime_id
join movies m on m.id = t.movie_id
join cinemas c on c.id = t.cinema_id
join screens s on s.id = t.screen_id
left join price_books book on book.cinema_id = c.id
left join users u on u.id = b.user_id
left join guests g on g.id = b.user_id
left join users claimant on claimant.id = g.claimed_by
left join guest_orders o on o.booking_id = b.id
cross join lateral (
    select id, method from payments p where p.booking_id = b.id
    order by p.id = b.payment_id desc nulls last, p.created_at, p.id limit 1
) paid
where b.id = any($1)"""
_ISSUED: Final = """
select booking_id, content from invoices where booking_id = any($1)
order by corrects_id is not null, supplements_id is not null, event_seq, id"""

_BILLING: Final = """
select booking_id, name, address, tax_id from booking_billing where booking_id = any($1)"""
_FROZEN: Final = "delete from booking_billing where booking_id = any($1)"
_COUNTERS: Final = """
select cinema_id, kind, year, last from invoice_counters where cinema_id = any($1)"""
# A counter moves on only from where it was read: whoever was overtaken begins again.
_COUNT_ON: Final = """
with taken as (
    select * from unnest($1::uuid[], $2::text[], $3::int[], $4::bigint[], $5::bigint[])
        as taken (cinema_id, kind, year, before, last)
), moved as (
    update invoice_counters counter set last = taken.last from taken
    where counter.cinema_id = taken.cinema_id and counter.kind = taken.kind
        and counter.year = taken.year and counter.last = taken.before
    returning 1
), added as (
    insert into invoice_counters (cinema_id, kind, year, last)
    select cinema_id, kind, year, last from taken where before = 0
    on conflict do nothing
    returning 1
)
select (select count(*) from moved) + (select count(*) from added)"""
_INSERT: Final = """
insert into invoices (id, cinema_id, kind, year, seq, number, booking_id, corrects_id, showtime_id,
    event_seq, issued_at, issued_on, total_minor, currency, content, supplements_id)
select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[], $5::bigint[], $6::text[],
    $7::uuid[], $8::uuid[], $9::uuid[], $10::bigint[], $11::timestamptz[], $12::date[],
    $13::bigint[], $14::text[], $15::text[], $16::uuid[])"""

_MAY_SEE: Final = """(
    $2::uuid is null or b.user_id = $2
    or exists (select from guests g where g.id = b.user_id and g.claimed_by = $2)
    or exists (select from showtimes t where t.id = b.showtime_id and t.cinema_id = any($3))
)"""
_OF_PAYMENT: Final = f"""
select b.id as booking_id, b.status, i.content
from payments p
join bookings b on b.id = p.booking_id
left join invoices i on i.booking_id = b.id and i.kind = 'invoice' and case
    when p.for_change then i.content::json -> 'payment' ->> 'id' = p.id::text
    else i.supplements_id is null
end
where p.id = $1 and {_MAY_SEE}"""  # noqa: S608  (a constant of this module)
_OF_ORDER: Final = """
select b.status, i.content from bookings b
left join invoices i on i.booking_id = b.id and i.kind = 'invoice' and i.supplements_id is null
where b.id = $1"""
_BY_ID: Final = f"""
select i.content from invoices i join bookings b on b.id = i.booking_id
where i.id = $1 and {_MAY_SEE}"""  # noqa: S608
_VISIBLE: Final = f"select true from bookings b where b.id = $1 and {_MAY_SEE}"  # noqa: S608
_ENTRY: Final = """
select id, kind, number, booking_id, corrects_id, issued_at, issued_on, total_minor, currency
from invoices"""
_OF_BOOKING: Final = f"""
{_ENTRY} where booking_id = $1 and id > $2 order by id limit $3"""
_OF_CINEMA: Final = f"""
{_ENTRY}
where cinema_id = $1
    and ($2::text is null or kind = $2) and ($3::text is null or number = $3)
    and ($4::date is null or issued_on >= $4) and ($5::date is null or issued_on <= $5)
    and ($6::timestamptz is null or (issued_at, id) < ($6, $7))
order by issued_at desc, id desc limit $8"""

_SEATS: Final = msgspec.json.Decoder(list[tuple[str, str, str, int]])
_LINES: Final = msgspec.json.Decoder(list[QuotedLine])
_REFUND: Final = msgspec.json.Decoder(RefundedItems)
_SUPPLEMENT: Final = msgspec.json.Decoder(Supplement)
_DOCUMENT: Final = msgspec.json.Decoder(Document)


class WaitingDocuments(msgspec.Struct, frozen=True):
    """How many documents wait, how many of them have failed, and since when the oldest waits."""

    count: int
    failing: int
    oldest_at: datetime | None


class IssuingRound(msgspec.Struct, frozen=True, kw_only=True):
    """What a round has done: the documents issued, and what could not be issued and why.

    It is not `ours` if another node is issuing.
    """

    ours: bool = True
    issued: Sequence[Document] = ()
    failed: Sequence[tuple[Due, str]] = ()


class InvoicesRepository:
    """Issues documents and reads them; `now` is the time that all nodes share."""

    def __init__(
        self,
        pool: Pool,
        reads: Reads,
        *,
        new_id: Callable[[], UUID],
        now: Callable[[], datetime],
    ) -> None:
        self._pool = pool
        self._reads = reads
        self._new_id = new_id
        self._now = now

    async def due(self, limit: int) -> list[Due]:
        """The documents that are due, those that wait longest first."""
        async with connection(self._pool) as reading:
            due = [_due(row) for row in await reading.fetch(_DUE, self._now(), limit)]
        # The order of the showtimes' events, whatever has failed and comes late.
        return sorted(due, key=lambda one: (one.due_at, one.showtime_id, one.seq or 0))

    async def issue(self, due: Sequence[Due]) -> IssuingRound:
        """Issue documents in one transaction, as far as they are due still and can be made.

        What cannot be made is put off, and keeps none of the others. Refuses RETRY, and
        OUTCOME_UNKNOWN if it may have been done.
        """
        async with transaction(self._pool) as running:
            if not await running.fetchval(ONE_AT_A_TIME, LOCK_NUMBER):
                return IssuingRound(ours=False)
            now = self._now()
            desk = await self._desk(running, {one.booking_id for one in due}, now)
            done, failed = [], []
            for one in await _still_due(running, due):
                try:
                    desk.take(one)
                    done.append(one)
                except CannotIssue as reason:
                    failed.append((one, str(reason)))
            await _write(running, desk)
            await running.execute(_DONE, *_keys(done))
            await running.execute(_FROZEN, [one.document.booking.id for one in desk.made])
            for one, problem in failed:
                await _put_off(running, one, now, problem)
        return IssuingRound(issued=[one.document for one in desk.made], failed=failed)

    async def put_off(self, due: Due, problem: str) -> None:
        """Try a document again later. Refuses RETRY, OUTCOME_UNKNOWN."""
        async with transaction(self._pool) as running:
            await _put_off(running, due, self._now(), problem)

    async def _desk(
        self, running: PooledConnection, booking_ids: Iterable[UUID], now: datetime
    ) -> Desk:
        """All that is known of some bookings, and of the numbers at their cinemas."""
        ids = list(booking_ids)
        sales = {row["id"]: _sale(row) for row in await running.fetch(_SALES, ids)}
        issued: dict[UUID, list[Document]] = {}
        for row in await running.fetch(_ISSUED, ids):
            issued.setdefault(row["booking_id"], []).append(_DOCUMENT.decode(row["content"]))
        buyers = {row["booking_id"]: _buyer(row) for row in await running.fetch(_BILLING, ids)}
        for booking_id, documents in issued.items():
            # What corrects an invoice is for whom that is for.
            if documents[0].buyer.address:
                buyers[booking_id] = documents[0].buyer
        for booking_id in buyers.keys() & sales.keys():
            sale = sales[booking_id]
            sales[booking_id] = msgspec.structs.replace(sale, buyer=buyers[booking_id])
        cinema_ids = list({sale.cinema_id for sale in sales.values()})
        counters: Counters = {
            (row["cinema_id"], row["kind"], row["year"]): row["last"]
            for row in await running.fetch(_COUNTERS, cinema_ids)
        }
        return Desk(sales, issued, counters, now=now, new_id=_rising(self._new_id))

    async def waiting(self) -> WaitingDocuments:
        """What waits to be issued."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_STATE)
        return WaitingDocuments(*row) if row else WaitingDocuments(0, 0, None)

    async def of_payment(
        self, payment_id: UUID, user_id: UUID | None, cinema_ids: Sequence[UUID]
    ) -> Invoiced | None:
        """The invoice of a payment's booking, if there is one by now.

        If a user is given, only of that user's bookings, or at one of the cinemas.
        """
        row = await self._reads.fetchrow(_OF_PAYMENT, payment_id, user_id, cinema_ids)
        return None if row is None else Invoiced(row["status"], _shown(row["content"]))

    async def of_order(self, booking_id: UUID) -> Invoiced | None:
        """The invoice of a booking, if there is one by now."""
        row = await self._reads.fetchrow(_OF_ORDER, booking_id)
        return None if row is None else Invoiced(row["status"], _shown(row["content"]))

    async def find(
        self, document_id: UUID, user_id: UUID | None, cinema_ids: Sequence[UUID]
    ) -> bytes | None:
        """A document as it was issued, for the same people as its booking."""
        row = await self._reads.fetchrow(_BY_ID, document_id, user_id, cinema_ids)
        return None if row is None else _shown(row["content"])

    async def of_booking(
        self,
        booking_id: UUID,
        user_id: UUID | None,
        cinema_ids: Sequence[UUID],
        *,
        after: UUID,
        limit: int,
    ) -> list[DocumentEntry] | None:
        """The documents of a booking, oldest first; None if it is not theirs."""
        if not await self._reads.fetchrow(_VISIBLE, booking_id, user_id, cinema_ids):
            return None
        rows = await self._reads.fetch(_OF_BOOKING, booking_id, after, limit)
        return [_entry(row) for row in rows]

    async def of_cinema(
        self,
        cinema_id: UUID,
        *,
        kind: str | None,
        number: str | None,
        first: date | None,
        last: date | None,
        after: tuple[datetime, UUID] | None,
        limit: int,
    ) -> list[DocumentEntry]:
        """Documents of a cinema, newest first."""
        moment, last_id = after or (None, None)
        rows = await self._reads.fetch(
            _OF_CINEMA, cinema_id, kind, number, first, last, moment, last_id, limit
        )
        return [_entry(row) for row in rows]


class Invoiced(msgspec.Struct, frozen=True):
    """The status of a booking, and its invoice as it was issued, None as long as there is none."""

    status: str
    content: bytes | None


def _buyer(row: Record) -> Buyer:
    return Buyer(name=row["name"], address=row["address"], tax_number=row["tax_id"])


def _rising(new_id: Callable[[], UUID]) -> Callable[[], UUID]:
    """Ids of one transaction in the order in which they are made, as lists show them.

    Those of one millisecond have an order of chance otherwise.
    """
    last = 0

    def next_id() -> UUID:
        nonlocal last
        last = max(last + 1, new_id().int)
        return UUID(int=last)

    return next_id


async def _still_due(running: PooledConnection, due: Sequence[Due]) -> list[Due]:
    """Those that nobody has issued meanwhile."""
    rows = await running.fetch(_STILL_DUE, *_keys(due))
    left = {(row["showtime_id"], row["seq"]) for row in rows}
    return [one for one in due if one.seq is None or (one.showtime_id, one.seq) in left]


def _keys(due: Sequence[Due]) -> tuple[list[UUID], list[int]]:
    """Showtimes and seqs of what events have asked for."""
    asked = [(one.showtime_id, one.seq) for one in due if one.seq is not None]
    return [one for one, _ in asked], [seq for _, seq in asked]


async def _write(running: PooledConnection, desk: Desk) -> None:
    """Move the counters on and insert the documents. Refuses RETRY if others have moved them."""
    if not desk.made:
        return
    moved = desk.moved
    keys = sorted(moved)
    counted = await running.fetchval(
        _COUNT_ON,
        *([key[at] for key in keys] for at in range(3)),
        *([moved[key][at] for key in keys] for at in range(2)),
    )
    if counted != len(keys):
        raise refuse("RETRY")
    columns = zip(*(columns_of(one) for one in desk.made), strict=True)
    await running.execute(_INSERT, *(list(column) for column in columns))


def columns_of(made: MadeDocument) -> tuple[object, ...]:
    """The columns of a document, in the order of `_INSERT`."""
    one = made.document
    return (
        one.id,
        made.cinema_id,
        one.kind,
        one.issued_on.year,
        made.seq,
        one.number,
        one.booking.id,
        None if one.corrects is None else one.corrects.id,
        one.showtime.id,
        made.event_seq,
        one.issued_at,
        one.issued_on,
        one.total.amount,
        one.total.currency,
        msgspec.json.encode(one).decode(),
        None if one.supplements is None else one.supplements.id,
    )


async def _put_off(running: PooledConnection, due: Due, now: datetime, problem: str) -> None:
    wait = timedelta(seconds=backoff_s(due.attempts + 1))
    await running.execute(_PUT_OFF, due.showtime_id, due.seq, now + wait, problem)


def _due(row: Record) -> Due:
    text = row["what"]
    return Due(
        showtime_id=row["showtime_id"],
        seq=row["seq"],
        booking_id=row["booking_id"],
        what=_what(text),
        due_at=row["due_at"],
        attempts=row["attempts"],
    )


def _what(text: str) -> RefundedItems | Supplement | None:
    """What a document is about; an empty object for the invoice of a booking."""
    if text == "{}":
        return None
    return _SUPPLEMENT.decode(text) if '"payment_id"' in text else _REFUND.decode(text)


def _rate_of(items: Sequence[Sold], rate: int) -> int:
    """The rate at which tickets were sold; today's, if they cost nothing."""
    return next((item.rate for item in items if item.kind == "seat" and item.rate), rate)


def _sale(row: Record) -> InvoicedSale:
    name = f"{row['first_name']} {row['last_name']}".strip()
    items = sold(
        _SEATS.decode(row["seats"] or "[]"),
        None if row["lines"] is None else _LINES.decode(row["lines"]),
        row["rate"],
    )
    return InvoicedSale(
        cinema_id=row["cinema_id"],
        prefix=row["invoice_prefix"],
        time_zone=row["time_zone"],
        currency=row["currency"],
        seller=Seller(
            name=row["legal_name"] or row["cinema"],
            cinema=row["cinema"],
            address=row["legal_address"] or row["address"],
            city="" if row["legal_address"] else row["city"],
            country=row["country"],
            tax_number=row["tax_number"],
        ),
        buyer=Buyer(name=name),
        booking=BookingOfDocument(id=row["id"], code=row["code"], created_at=row["created_at"]),
        showtime=ShowtimeOfDocument(
            id=row["showtime_id"],
            film=row["film"],
            screen=row["screen"],
            starts_at=row["starts_at"],
            starts=row["starts"],
        ),
        payment=PaymentOfDocument(id=row["payment_id"], method=row["method"]),
        language=row["language"],
        sold=items,
        rate=_rate_of(items, row["rate"]),
    )


def _shown(content: str | None) -> bytes | None:
    return None if content is None else content.encode()


def _entry(row: Record) -> DocumentEntry:
    return DocumentEntry(
        id=row["id"],
        kind=row["kind"],
        number=row["number"],
        booking_id=row["booking_id"],
        corrects_id=row["corrects_id"],
        issued_at=row["issued_at"],
        issued_on=row["issued_on"],
        total=Money(row["total_minor"], row["currency"]),
    )
