"""What bookings know of somebody, for the export."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from cinema.domain.times import EPOCH
from cinema.features.personal import PAGE_ROWS, PersonalFile, json_list
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import Pool, connection

_BOOKINGS: Final = """
select booking.id, booking.code, booking.status, booking.total_minor, booking.fees_minor,
    booking.products_minor, booking.tax_minor, booking.promo_code, booking.currency,
    booking.created_at, booking.cancelled_at,
    booking.showtime_id, showtime.starts_at, movie.title as movie, cinema.name as cinema,
    (
        select json_agg(json_build_object(
            'seat', seat.seat, 'category', seat.category, 'type', seat.type,
            'price_minor', seat.price_minor,
            'given_back', seat.given_back
        ) order by seat.position)
        from booking_seats seat where seat.booking_id = booking.id
    )::text as seats,
    (
        select json_agg(json_build_object(
            'id', payment.id, 'method', payment.method, 'status', payment.status,
            'amount_minor', payment.amount_minor, 'refunded_minor', payment.refunded_minor,
            'currency', payment.currency, 'created_at', payment.created_at
        ) order by payment.created_at)
        from payments payment where payment.booking_id = booking.id
    )::text as payments,
    (
        select json_agg(json_build_object(
            'name', line ->> 'name', 'quantity', coalesce((line ->> 'quantity')::int, 1),
            'amount_minor', (line ->> 'amount_minor')::bigint
        ))
        from jsonb_array_elements(booking.lines) line where line ->> 'kind' = 'product'
    )::text as products,
    (
        select json_build_object('name', one.name, 'address', one.address, 'tax_id', one.tax_id)
        from booking_billing one where one.booking_id = booking.id
    )::text as billing,
    (
        select json_agg(
            json_build_object('at', one.written_at, 'text', one.text)
            order by one.written_at, one.id
        )
        from booking_notes one where one.booking_id = booking.id
    )::text as notes
from bookings booking
left join showtimes showtime on showtime.id = booking.showtime_id
left join movies movie on movie.id = showtime.movie_id
left join cinemas cinema on cinema.id = showtime.cinema_id
where booking.user_id = $1 and (booking.created_at, booking.id) > ($2, $3)
order by booking.created_at, booking.id limit $4"""

_GUESTS: Final = "select id from guests where claimed_by = $1 order by id"

_NOBODY: Final = UUID(int=0)


class BookingFacts:
    """Reads the bookings of an account, a page at a time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def disclose(self, user_id: UUID) -> AsyncIterator[PersonalFile]:
        """Bookings with their seats and payments, also of the guests that the account claimed."""
        yield PersonalFile("bookings.json", json_list(self._all(user_id)))

    async def _all(self, user_id: UUID) -> AsyncIterator[Sequence[Any]]:
        async with connection(self._pool) as reading:
            guests = await reading.fetch(_GUESTS, user_id)
        for buyer_id in (user_id, *(row["id"] for row in guests)):
            async for page in self._bookings(buyer_id):
                yield page

    async def _bookings(self, user_id: UUID) -> AsyncIterator[Sequence[Any]]:
        at, last_id = EPOCH, _NOBODY
        while True:
            async with connection(self._pool) as reading:
                rows = await reading.fetch(_BOOKINGS, user_id, at, last_id, PAGE_ROWS)
            if not rows:
                return
            yield [_shown(row) for row in rows]
            at, last_id = rows[-1]["created_at"], rows[-1]["id"]


def _shown(row: Record) -> dict[str, Any]:
    return {
        **row,
        "seats": msgspec.Raw((row["seats"] or "[]").encode()),
        "payments": msgspec.Raw((row["payments"] or "[]").encode()),
        "products": msgspec.Raw((row["products"] or "[]").encode()),
        "notes": msgspec.Raw((row["notes"] or "[]").encode()),
        "billing": msgspec.Raw((row["billing"] or "null").encode()),
    }
