"""Reads bookings from Postgres; only the kernel's appends write them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from cinema.domain.limits import FREE_REFUND_S, IDEMPOTENCY_TTL_S
from cinema.domain.money import Money
from cinema.domain.rejections import Refused, refuse
from cinema.features.accounts.user_store import Act, note_act
from cinema.features.bookings.rules import PLACES_SOLD, LineRow, PricedBy, shown_lines
from cinema.features.bookings.shapes import (
    BookedLine,
    BookedSeat,
    Booking,
    Payment,
    PaymentPart,
)
from cinema.features.catalog.shapes import RefundStep
from cinema.features.concessions.shapes import PickUp
from cinema.features.ledger.disputes import IS_DISPUTED
from cinema.features.ledger.methods import AttemptStatus
from cinema.features.ledger.parts import RANK
from cinema.features.ledger.refund_rules import (
    ALL,
    NOTHING,
    Share,
    given_back,
    paid_status,
    share_at,
)
from cinema.features.ledger.refund_store import CARRIED
from cinema.storage.database.driver import Record
from cinema.storage.database.reads import PrimaryReads, Reads
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    changing,
    connection,
    transaction,
)

# A booking has many attempts to pay: this one counts, with those that it completes and those that
# have paid for dearer seats since. Builds that had one did not name it.
_PAYMENT: Final = """join payments p on p.id = coalesce(b.payment_id, (
    select one.id from payments one where one.booking_id = b.id
    order by one.created_at, one.id limit 1
))
left join lateral (
    select sum(part.amount_minor)::bigint as amount_minor,
        sum(part.refunded_minor)::bigint as refunded_minor
    from payments part
    where part.booking_id = b.id and (part.id = any(p.completes) or part.for_change)
) parts on true
"""
_AMOUNT: Final = "p.amount_minor + coalesce(parts.amount_minor, 0)"
_GONE: Final = "p.refunded_minor + coalesce(parts.refunded_minor, 0)"
_REFUND_OF_IT: Final = """r.booking_id = b.id and (
    r.payment_id = any(array_append(p.completes, p.id)) or r.payment_id = p.origin_id
    or exists (select from payments d where d.booking_id = b.id and d.for_change
        and r.payment_id in (d.id, d.origin_id))
)"""
# A booking that was cancelled as a whole still shows its seats; a seat given back alone is hidden.
_SELECT: Final = f"""
select b.id, b.code, b.showtime_id, b.status, b.total_minor, b.currency,
    b.created_at, p.id as payment_id, p.method, p.status as payment_status,
    {_AMOUNT} as amount_minor, {_GONE} as refunded_minor, b.pay_until, b.lines::text,
    case when {_GONE} > 0 then (
        select sum(r.amount_minor)::bigint from refunds r
        where {_REFUND_OF_IT} and r.status <> 'succeeded'
    ) end as waiting_minor,
    case when p.completes <> '{{}}' then (
        select json_agg(json_build_array(part.id, part.method, part.amount_minor,
            part.refunded_minor) order by {RANK.format("part")}, part.created_at, part.id)
        from payments part where part.id = any(p.completes)
    ) end as parts,
    case when b.status = 'pending' then (
        select b.total_minor - sum(aside.amount_minor)::bigint from payments aside
        where aside.booking_id = b.id and aside.reserved
            and aside.status in ('created', 'pending')
    ) end as due_minor,
    (
        select json_agg(json_build_array(s.seat, s.category, s.price_minor, s.type)
            order by s.position % {PLACES_SOLD})
        from booking_seats s
        where s.booking_id = b.id and not s.given_back
    ) as seats,
    o.code as pick_up_code, o.picked_up_at, {IS_DISPUTED.format("b.id")} as is_disputed
from bookings b
{_PAYMENT}left join concession_orders o on o.booking_id = b.id"""  # noqa: S608  (constants of this module)
_BY_ID: Final = f"""{_SELECT}
where b.id = $1 and (
    $2::uuid is null or b.user_id = $2
    or exists (select from guests g where g.id = b.user_id and g.claimed_by = $2)
    or exists (select from showtimes t where t.id = b.showtime_id and t.cinema_id = any($3))
)"""  # noqa: S608  (columns named above)
_BY_IDS: Final = f"{_SELECT}\nwhere b.id = any($1)"
# First a page for each owner, from the index on owners, then one page of all of these. Sorting all
# bookings of an owner would be slow for users with many.
_OF_USER: Final = f"""
with mine as (
    select one.id from (
        select $1::uuid as id union all select id from guests where claimed_by = $1
    ) owner
    cross join lateral (
        select b.id, b.created_at
        from bookings b join showtimes t on t.id = b.showtime_id
        where b.user_id = owner.id
            and ($2::text is null
                or ($2 = 'upcoming') = (t.ends_at > $3 and b.status in ('pending', 'confirmed')))
            and ($4::timestamptz is null or (b.created_at, b.id) < ($4, $5))
        order by b.created_at desc, b.id desc
        limit $6
    ) one
    order by one.created_at desc, one.id desc
    limit $6
)
{_SELECT}
where b.id in (select id from mine)
order by b.created_at desc, b.id desc"""  # noqa: S608  (columns named above)
_SALE: Final = f"""
select b.showtime_id, b.user_id, g.claimed_by, b.hold_id, b.code, b.status, b.created_at,
    p.id as payment_id, p.method, {_AMOUNT} as amount_minor, {_GONE} as refunded_minor, b.currency,
    greatest(p.amount_minor - p.refunded_minor, (
        select max(one.amount_minor - one.refunded_minor) from payments one
        where one.booking_id = b.id and {CARRIED.format("one")}
            and one.status in ('succeeded', 'partially_refunded')
    )) as own_left_minor, t.cinema_id,
    b.total_minor, b.fees_minor, b.products_minor, b.lines::text, b.priced_by::text,
    o.code as pick_up_code, o.picked_up_at, {IS_DISPUTED.format("b.id")} as is_disputed,
    array(
        select s.seat from ticket_entries e
        join booking_seats s on s.booking_id = e.booking_id and s.position % {PLACES_SOLD} = e.place
        where e.booking_id = b.id and s.live
        order by s.seat
    ) as used_seats,
    (
        select json_object_agg(s.seat, s.type order by s.given_back desc)
        from booking_seats s where s.booking_id = b.id
    )::text as types,
    t.starts_at, t.free_refund_until, t.cancelled_at is not null as is_called_off,
    coalesce((
        select policy from refund_policies
        where cinema_id = t.cinema_id and valid_from <= b.created_at
        order by valid_from desc limit 1
    )::text, '[]') as refund_policy,
    (select count(*) from booking_seats s where s.booking_id = b.id)::int as seat_count
from bookings b
{_PAYMENT}left join showtimes t on t.id = b.showtime_id
left join guests g on g.id = b.user_id
left join concession_orders o on o.booking_id = b.id
where b.id = $1"""  # noqa: S608  (constants of this module)
# What went back of a booking with the events up to one, and what of it waits for a provider.
_REFUNDED: Final = f"""
select {_GONE} - coalesce(sum(r.amount_minor) filter (where r.event_seq > $2), 0)
        as refunded_minor,
    coalesce(sum(r.amount_minor) filter (where r.event_seq = $2), 0) as now_minor,
    coalesce(sum(r.amount_minor) filter (
        where r.status <> 'succeeded' and (r.event_seq is null or r.event_seq <= $2)
    ), 0) as waiting_minor
from bookings b
{_PAYMENT}left join refunds r on {_REFUND_OF_IT}
where b.id = $1
group by p.id, parts.refunded_minor"""  # noqa: S608  (constants of this module)
_LIVE_SEATS: Final = """
select seat, category, type, price_minor, tax_minor from booking_seats
where booking_id = $1 and live order by position"""
_RESERVED: Final = """
select count(*) from bookings b join booking_seats s on s.booking_id = b.id and s.live
where b.user_id = $1 and b.status = 'pending'"""
_UNPAID: Final = """
select id, showtime_id, user_id, hold_id
from bookings
where status = 'pending' and pay_until < $1 and id > $2
order by id limit $3"""
_CINEMA: Final = "select cinema_id from showtimes where id = $1"
_PLACE: Final = """
select t.cinema_id, t.starts_at, c.currency, c.series_discount_percent
from showtimes t join cinemas c on c.id = t.cinema_id
where t.id = $1"""
_COUNTS: Final = "select payment_id from bookings where id = $1"
_BY_KEY: Final = "select exists (select from bookings where request_key = $1)"
_RESERVE_KEY: Final = """
insert into booking_keys as k (request_key, showtime_id, reserved_at) values ($1, $2, $3)
on conflict (request_key) do update
set showtime_id = excluded.showtime_id, reserved_at = excluded.reserved_at
where k.showtime_id = excluded.showtime_id
    or (k.reserved_at < $4 and not exists (
        select from bookings b where b.request_key = $1 and b.created_at >= $5
    ))
returning true"""
# Nodes that do this at the same time take different rows.
_FORGET_KEYS: Final = """
with gone as (
    delete from booking_keys where ctid = any(array(
        select ctid from booking_keys where reserved_at < $1 order by reserved_at limit $2
        for update skip locked
    ))
    returning 1
)
select count(*) from gone"""

UNDER_WAY_S: Final = 900
"""Longer than any command can be under way: COMMAND_DEADLINE_MS, at most 60 s, bounds each of its
few steps."""

_POLICY: Final = msgspec.json.Decoder(list[RefundStep])
_SEATS: Final = msgspec.json.Decoder(list[tuple[str, str, int, str]])
_LINES: Final = msgspec.json.Decoder(list[LineRow])
_TYPES: Final = msgspec.json.Decoder(dict[str, str])
_PARTS: Final = msgspec.json.Decoder(list[tuple[UUID, str, int, int]])
_PRICED_BY: Final = msgspec.json.Decoder(PricedBy)


class SoldBooking(msgspec.Struct, frozen=True, kw_only=True):
    """What commands need of a booking, and the account that it belongs to.

    Only `status` changes, and with it `method`: what is done has to be right if either is old.
    `seat_count` counts all seats that it ever had. `claimed_by` is the account that has claimed the
    guest who made the booking. `used_seats` are those with whose tickets somebody was let in.
    Amounts are those of all that have paid; `own_left_minor` is what is left of the attempt that
    counts, without its parts, or of one that was carried from a booking before. `lines`, `types`
    and `priced_by` are JSON; the last is None for bookings of builds that did not keep it.
    """

    showtime_id: UUID
    cinema_id: UUID | None
    user_id: UUID
    claimed_by: UUID | None
    hold_id: UUID
    code: str
    status: str
    seat_count: int
    created_at: datetime
    payment_id: UUID
    method: str
    amount_minor: int
    refunded_minor: int
    own_left_minor: int
    currency: str
    total_minor: int
    fees_minor: int
    products_minor: int
    pick_up_code: str | None
    picked_up_at: datetime | None
    is_disputed: bool
    used_seats: list[str]
    lines: str | None
    priced_by: str | None
    types: str
    starts_at: datetime | None
    free_refund_until: datetime | None
    is_called_off: bool | None
    refund_policy: str

    def shown_lines(self) -> list[BookedLine]:
        """The lines of its order."""
        decoded = [] if self.lines is None else _LINES.decode(self.lines)
        return shown_lines(decoded, self.currency)

    def pick_up(self) -> PickUp | None:
        """The code by which its products are handed out, if it has any."""
        code = self.pick_up_code
        return None if code is None else PickUp(code, self.picked_up_at)

    def products_back_minor(self, share: Share) -> int:
        """What goes back of its products: nothing once they were handed out."""
        return 0 if self.picked_up_at is not None else given_back(self.products_minor, share)

    def type_of(self) -> dict[str, str]:
        """The types of its tickets by seat."""
        return _TYPES.decode(self.types)

    def prices_from(self) -> PricedBy | None:
        """From what its prices follow."""
        return None if self.priced_by is None else _PRICED_BY.decode(self.priced_by)

    def share_at(self, now: datetime) -> Share:
        """What goes back of the seats of this booking now, by the policy when it was booked."""
        free_until, starts_at = self.free_refund_until, self.starts_at
        was_moved = free_until is not None and now < free_until
        if free_until is not None and was_moved:
            was_moved = self.created_at <= free_until - timedelta(seconds=FREE_REFUND_S)
        if self.is_called_off or was_moved:
            return ALL
        if starts_at is None:
            return NOTHING
        return share_at(_POLICY.decode(self.refund_policy), (starts_at - now).total_seconds())


class ShowtimePlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where and when a showtime is, in which currency it is sold, and what goes off in series."""

    cinema_id: UUID
    starts_at: datetime
    currency: str
    series_discount_percent: int


class SoldSeat(msgspec.Struct, frozen=True):
    """A live seat of a booking."""

    category: str
    type: str
    price_minor: int
    tax_minor: int


class UnpaidBooking(msgspec.Struct, frozen=True, kw_only=True):
    """A pending booking that nobody has paid in time."""

    id: UUID
    showtime_id: UUID
    user_id: UUID
    hold_id: UUID


class BookingsRepository:
    """Reads bookings."""

    def __init__(self, pool: Pool, reads: Reads | None = None) -> None:
        self._pool = pool
        self._reads = reads or PrimaryReads(pool)

    async def find(
        self, booking_id: UUID, user_id: UUID | None, cinema_ids: Iterable[UUID] = ()
    ) -> Booking | None:
        """A booking; if a user is given, only of that user, or at one of the cinemas.

        Bookings of guests belong to the account that has claimed the guest too.
        """
        row = await self._reads.fetchrow(_BY_ID, booking_id, user_id, list(cinema_ids))
        return None if row is None else _booking(row)

    async def list_of_user(
        self,
        user_id: UUID,
        *,
        when: Literal["upcoming", "past"] | None,
        now: datetime,
        after: tuple[datetime, UUID] | None,
        limit: int,
    ) -> list[Booking]:
        """Bookings of a user and of the guests that the user has claimed, newest first.

        Upcoming bookings can still be attended: neither the showtime nor the booking has ended.
        """
        moment, last_id = after or (None, None)
        rows = await self._reads.fetch(_OF_USER, user_id, when, now, moment, last_id, limit)
        return [_booking(row) for row in rows]

    async def of_ids(self, booking_ids: Sequence[UUID]) -> dict[UUID, Booking]:
        """Bookings by their ids."""
        rows = await self._reads.fetch(_BY_IDS, list(booking_ids))
        return {row["id"]: _booking(row) for row in rows}

    async def cinema_of(self, showtime_id: UUID) -> UUID | None:
        """The cinema of a showtime, if there is one."""
        async with connection(self._pool) as reading:
            cinema_id: UUID | None = await reading.fetchval(_CINEMA, showtime_id)
        return cinema_id

    async def payment_of(self, booking_id: UUID) -> UUID | None:
        """The payment of a booking that counts."""
        async with connection(self._pool) as reading:
            payment_id: UUID | None = await reading.fetchval(_COUNTS, booking_id)
        return payment_id

    async def place_of(self, showtime_id: UUID) -> ShowtimePlace | None:
        """Where and when a showtime is, if there is one."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_PLACE, showtime_id)
        return None if row is None else ShowtimePlace(**dict(row))

    async def sale_of(self, booking_id: UUID) -> SoldBooking | None:
        """What commands need of a booking, from the primary."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_SALE, booking_id)
        return None if row is None else SoldBooking(**dict(row))

    async def refunded(self, booking_id: UUID, seq: int) -> tuple[int, int, int] | None:
        """What went back of a booking up to an event, with it, and what of it has not arrived."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_REFUNDED, booking_id, seq)
        return None if row is None else (int(row[0]), int(row[1]), int(row[2]))

    async def live_seats(self, booking_id: UUID) -> dict[str, SoldSeat]:
        """The seats of a confirmed booking, as their tickets were sold."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_LIVE_SEATS, booking_id)
        return {row["seat"]: SoldSeat(*tuple(row)[1:]) for row in rows}

    async def reserved_seats(self, user_id: UUID) -> int:
        """How many seats a user has reserved and not paid yet."""
        async with connection(self._pool) as reading:
            count: int = await reading.fetchval(_RESERVED, user_id)
        return count

    async def unpaid(self, now: datetime, after: UUID, limit: int) -> list[UnpaidBooking]:
        """Pending bookings whose time to pay is over, in the order of their ids."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_UNPAID, now, after, limit)
        return [UnpaidBooking(**dict(row)) for row in rows]

    async def reserve_key(self, request_key: bytes, showtime_id: UUID, now: datetime) -> bool:
        """Bind an idempotency key to a showtime; False if it is bound to another one.

        A key that led to no booking becomes free again once no command with it can be under way.
        """
        async with changing(self._pool) as writing:
            reserved = await writing.fetchval(
                _RESERVE_KEY,
                request_key,
                showtime_id,
                now,
                now - timedelta(seconds=UNDER_WAY_S),
                now - timedelta(seconds=IDEMPOTENCY_TTL_S),
            )
        return bool(reserved)

    async def was_booked_by(self, request_key: bytes) -> bool:
        """Whether an idempotency key has led to a booking."""
        async with connection(self._pool) as reading:
            booked: bool = await reading.fetchval(_BY_KEY, request_key)
        return booked

    async def note_act(
        self, booking_id: UUID, action: str, act: Act, after: Mapping[str, Any]
    ) -> None:
        """Write down what staff do with a booking, before it is done. Refuses RETRY.

        So no crash loses it; what is refused then is in the log too. An unknown outcome is RETRY:
        nothing else has been done.
        """
        try:
            async with transaction(self._pool) as running:
                await audited(running, booking_id, action, act, after)
        except Refused as refused:
            if refused.rejection.code == "OUTCOME_UNKNOWN":
                raise refuse("RETRY") from None
            raise

    async def forget_keys(self, now: datetime, limit: int) -> int:
        """Delete a bounded number of expired keys; returns how many."""
        async with changing(self._pool) as writing:
            gone: int = await writing.fetchval(
                _FORGET_KEYS, now - timedelta(seconds=IDEMPOTENCY_TTL_S), limit
            )
        return gone


async def audited(
    running: PooledConnection,
    booking_id: UUID,
    action: str,
    act: Act,
    after: Mapping[str, Any],
) -> None:
    """Note what staff do with a booking in the audit log, in a transaction."""
    await note_act(running, act, action, booking_id, after=after)


def _booking(row: Record) -> Booking:
    currency = row["currency"]
    refunded_minor, waiting_minor = row["refunded_minor"], row["waiting_minor"]
    return Booking(
        id=row["id"],
        code=row["code"],
        showtime_id=row["showtime_id"],
        status=row["status"],
        seats=[
            BookedSeat(label, category, Money(price_minor, currency), type_)
            for label, category, price_minor, type_ in _SEATS.decode(row["seats"] or "[]")
        ],
        total=Money(row["total_minor"], currency),
        created_at=row["created_at"],
        payment=Payment(
            row["payment_id"],
            row["method"],
            _payment_status(row),
            Money(row["amount_minor"], currency),
            Money(refunded_minor, currency) if refunded_minor else None,
            refund_pending=Money(waiting_minor, currency) if waiting_minor else None,
            pay_until=row["pay_until"] if row["status"] == "pending" else None,
            due=None if row["due_minor"] is None else Money(row["due_minor"], currency),
            parts=_parts(row),
        ),
        lines=[] if row["lines"] is None else shown_lines(_LINES.decode(row["lines"]), currency),
        pick_up=None
        if row["pick_up_code"] is None
        else PickUp(row["pick_up_code"], row["picked_up_at"]),
        disputed=row["is_disputed"],
    )


def _payment_status(row: Record) -> AttemptStatus:
    """The status of the payment as a whole; of its attempts the last gives back first."""
    status: AttemptStatus = row["payment_status"]
    if status not in {"succeeded", "refunded", "partially_refunded"} or not row["amount_minor"]:
        return status
    return paid_status(row["amount_minor"], row["refunded_minor"])


def _parts(row: Record) -> list[PaymentPart]:
    if row["parts"] is None:
        return []
    currency = row["currency"]
    return [
        PaymentPart(
            part_id,
            method,
            Money(amount_minor, currency),
            Money(refunded_minor, currency) if refunded_minor else None,
        )
        for part_id, method, amount_minor, refunded_minor in _PARTS.decode(row["parts"])
    ]
