"""Reads the bookings of a showtime that was cancelled or moved, for the jobs that follow."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from cinema.storage.database.transactions import Pool, connection

_MINUTE: Final = "YYYY-MM-DD HH24:MI"
_CANCELLED_SHOWTIME: Final = f"""
select t.id, m.title as film, c.name as cinema,
    to_char(t.starts_at at time zone c.time_zone, '{_MINUTE}') as starts, t.cancelled_at,
    coalesce(t.cancel_reason, '') as reason
from showtimes t
join movies m on m.id = t.movie_id
join cinemas c on c.id = t.cinema_id
where t.id = $1 and t.cancelled_at is not null"""  # noqa: S608  (a constant of this module)
_MOVED_SHOWTIME: Final = f"""
select t.id, m.title as film, c.name as cinema, t.version,
    to_char($2::timestamptz at time zone c.time_zone, '{_MINUTE}') as started,
    to_char(t.starts_at at time zone c.time_zone, '{_MINUTE}') as starts,
    former.name as former_screen, s.name as screen,
    t.free_refund_until, to_char(t.free_refund_until at time zone c.time_zone, '{_MINUTE}')
        as refund_until
from showtimes t
join movies m on m.id = t.movie_id
join cinemas c on c.id = t.cinema_id
join screens s on s.id = t.screen_id
join screens former on former.id = $3
where t.id = $1 and t.cancelled_at is null"""  # noqa: S608  (a constant of this module)

# To whom a message about a booking goes. The account of a guest may be claimed by now.
_ADDRESSEE: Final = """
    coalesce(u.email, claimant.email, g.email) as email,
    coalesce(u.first_name, claimant.first_name, '') as first_name,
    coalesce(u.language, claimant.language, o.language, '') as language
from bookings b
left join users u on u.id = b.user_id and u.deleted_at is null
left join guests g on g.id = b.user_id
left join users claimant on claimant.id = g.claimed_by and claimant.deleted_at is null
left join guest_orders o on o.booking_id = b.id
where b.showtime_id = $1 and b.id > $2"""
_TO_CANCEL: Final = f"""
select b.id, b.code, b.status in ('pending', 'confirmed') as is_live,
    b.total_minor, b.fees_minor,
    case when exists (
        select from concession_orders one
        where one.booking_id = b.id and one.picked_up_at is not null
    ) then 0 else b.products_minor end as products_minor,
    b.products_minor as sold_minor,
    b.currency,
    not exists (select from payments p where p.booking_id = b.id) or exists (
        select from payments p where p.booking_id = b.id
            and p.status in ('succeeded', 'refunded', 'partially_refunded')
    ) as is_paid,
{_ADDRESSEE}
    and (b.status in ('pending', 'confirmed') or b.cancelled_at >= $3)
order by b.id limit $4"""  # noqa: S608  (a constant of this module)
# Whoever booked behind the change has seen it.
_TO_TELL: Final = f"""
select b.id, b.code, b.created_at,
    (
        select string_agg(seat.seat, ', ' order by seat.position) from booking_seats seat
        where seat.booking_id = b.id and seat.live
    ) as seats,
{_ADDRESSEE}
    and b.status in ('pending', 'confirmed') and b.created_at <= $3
order by b.id limit $4"""  # noqa: S608  (a constant of this module)
_COUNT_TO_TELL: Final = """
select count(*) from bookings
where showtime_id = $1 and status in ('pending', 'confirmed') and created_at <= $2"""


class CancelledShowtime(msgspec.Struct, frozen=True, kw_only=True):
    """A showtime that does not take place, as its customers know it."""

    id: UUID
    film: str
    cinema: str
    starts: str
    reason: str
    cancelled_at: datetime


class MovedShowtime(msgspec.Struct, frozen=True, kw_only=True):
    """A showtime as it is now, and when and where it was; texts are on the cinema's clock.

    `refund_until`, the same moment as `free_refund_until`, is None if it has not been moved far.
    """

    id: UUID
    film: str
    cinema: str
    version: int
    started: str
    starts: str
    former_screen: str
    screen: str
    free_refund_until: datetime | None
    refund_until: str | None

    @property
    def is_elsewhere(self) -> bool:
        """Whether customers have to know of it."""
        return (self.started, self.former_screen) != (self.starts, self.screen)


class BookingToTell(msgspec.Struct, frozen=True, kw_only=True):
    """A live booking; without an address nobody can be told of it."""

    id: UUID
    code: str
    created_at: datetime
    seats: str
    email: str | None
    first_name: str
    language: str


class BookingToCancel(msgspec.Struct, frozen=True, kw_only=True):
    """A booking of a cancelled showtime; without an address nobody can be told of it.

    Of its products, which cost `sold_minor`, `products_minor` were not handed out.
    """

    id: UUID
    code: str
    is_live: bool
    is_paid: bool
    total_minor: int
    fees_minor: int
    products_minor: int
    sold_minor: int
    currency: str
    email: str | None
    first_name: str
    language: str


class ShowtimeBookingsRepository:
    """What jobs ask about all bookings of a showtime, page by page."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def cancelled_showtime(self, showtime_id: UUID) -> CancelledShowtime | None:
        """A showtime that was cancelled."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_CANCELLED_SHOWTIME, showtime_id)
        return None if row is None else CancelledShowtime(**dict(row))

    async def to_cancel(
        self, showtime: CancelledShowtime, after: UUID, limit: int
    ) -> list[BookingToCancel]:
        """What was booked when a showtime was cancelled, live or not by now, in order of ids."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_TO_CANCEL, showtime.id, after, showtime.cancelled_at, limit)
        return [BookingToCancel(**dict(row)) for row in rows]

    async def moved_showtime(
        self, showtime_id: UUID, started_at: datetime, former_screen_id: UUID
    ) -> MovedShowtime | None:
        """A showtime that once started then and was there; None if it is cancelled by now."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_MOVED_SHOWTIME, showtime_id, started_at, former_screen_id)
        return None if row is None else MovedShowtime(**dict(row))

    async def to_tell(
        self, showtime_id: UUID, booked_by: datetime, after: UUID, limit: int
    ) -> list[BookingToTell]:
        """The live bookings that were made by a moment, in order of ids."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_TO_TELL, showtime_id, after, booked_by, limit)
        return [BookingToTell(**dict(row)) for row in rows]

    async def count_to_tell(self, showtime_id: UUID, booked_by: datetime) -> int:
        """How many these are."""
        async with connection(self._pool) as reading:
            count: int = await reading.fetchval(_COUNT_TO_TELL, showtime_id, booked_by)
        return count
