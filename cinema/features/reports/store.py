"""Figures of films and returns in Postgres."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.rejections import refuse
from cinema.features.reports.rules import lines_of
from cinema.features.reports.shapes import Figures, Return
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import Pool, PooledConnection, connection, run_once

_HEAD: Final = """
select c.name as cinema, c.currency, ($3::timestamptz at time zone c.time_zone)::date as today,
    m.title as film
from cinemas c cross join movies m
where c.id = $1 and m.id = $2"""
# Seats that are paid and not given back. The day is that of the start on the cinema's calendar.
_FIGURES: Final = """
select t.local_date as day, s.id as screen_id, s.name as screen, seat.type,
    count(*)::int as admissions, sum(seat.price_minor)::bigint as gross,
    sum(seat.tax_minor)::bigint as tax
from showtimes t
join screens s on s.id = t.screen_id
join bookings b on b.showtime_id = t.id and b.status = 'confirmed'
join booking_seats seat on seat.booking_id = b.id and seat.live
where t.cinema_id = $1 and t.movie_id = $2 and t.local_date between $3 and $4
group by t.local_date, s.id, s.name, seat.type"""
_EARLIER: Final = """
select content from distributor_returns where cinema_id = $1 and movie_id = $2 order by number"""
_INSERT: Final = """
insert into distributor_returns (id, cinema_id, movie_id, number, drawn_at, content)
values ($1, $2, $3, $4, $5, $6)
on conflict (cinema_id, movie_id, number) do nothing
returning true"""
_BY_ID: Final = "select content from distributor_returns where id = $1"
_LIST: Final = """
select content from distributor_returns
where cinema_id = $1 and ($2::uuid is null or movie_id = $2) and ($3::uuid is null or id < $3)
order by id desc limit $4"""

_RETURN: Final = msgspec.json.Decoder(Return)


class FilmDay(msgspec.Struct, frozen=True):
    """A film at a cinema, and the day there."""

    cinema: str
    currency: str
    today: date
    film: str


class ReturnsRepository:
    """Reads figures, draws returns and reads them."""

    def __init__(self, pool: Pool, *, new_id: Callable[[], UUID]) -> None:
        self._pool = pool
        self._new_id = new_id

    async def film(self, cinema_id: UUID, movie_id: UUID, now: datetime) -> FilmDay | None:
        """A film at a cinema."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_HEAD, cinema_id, movie_id, now)
        return None if row is None else FilmDay(*row)

    async def figures(
        self, cinema_id: UUID, movie_id: UUID, film: FilmDay, first: date, last: date
    ) -> Return:
        """What a return of these days would say now, with the corrections."""
        async with connection(self._pool) as reading:
            return await _made(reading, cinema_id, movie_id, film, first, last)

    async def draw(
        self,
        cinema_id: UUID,
        movie_id: UUID,
        film: FilmDay,
        first: date,
        last: date,
        now: datetime,
        key: IdempotencyKey | None,
    ) -> Return:
        """Draw the next return. Refuses RETRY while another one of the film is drawn."""

        async def effect(running: PooledConnection) -> Return:
            made = await _made(running, cinema_id, movie_id, film, first, last)
            number = len(await running.fetch(_EARLIER, cinema_id, movie_id)) + 1
            drawn = msgspec.structs.replace(made, id=self._new_id(), number=number, drawn_at=now)
            content = msgspec.json.encode(drawn).decode()
            written = await running.fetchval(
                _INSERT, drawn.id, cinema_id, movie_id, number, now, content
            )
            if not written:
                raise refuse("RETRY")
            return drawn

        return await run_once(self._pool, key, now, Return, effect)

    async def find(self, return_id: UUID) -> Return | None:
        """A return as it was drawn."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_BY_ID, return_id)
        return None if row is None else _RETURN.decode(row["content"])

    async def of_cinema(
        self, cinema_id: UUID, movie_id: UUID | None, *, after: UUID | None, limit: int
    ) -> list[Return]:
        """Returns of a cinema, newest first."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_LIST, cinema_id, movie_id, after, limit)
        return [_RETURN.decode(row["content"]) for row in rows]


async def _made(
    reading: PooledConnection,
    cinema_id: UUID,
    movie_id: UUID,
    film: FilmDay,
    first: date,
    last: date,
) -> Return:
    rows = await reading.fetch(_EARLIER, cinema_id, movie_id)
    earlier: Sequence[Return] = [_RETURN.decode(row["content"]) for row in rows]
    begins = min([first, *(one.first for one in earlier)])
    ends = max([last, *(one.last for one in earlier)])
    found = await reading.fetch(_FIGURES, cinema_id, movie_id, begins, ends)
    lines = lines_of([_figures(row) for row in found], earlier, first, last)
    return Return(
        id=None,
        number=None,
        cinema_id=cinema_id,
        cinema=film.cinema,
        movie_id=movie_id,
        film=film.film,
        first=first,
        last=last,
        drawn_at=None,
        currency=film.currency,
        lines=lines,
        admissions=sum(line.admissions for line in lines),
        gross=sum(line.gross for line in lines),
        tax=sum(line.tax for line in lines),
        net=sum(line.net for line in lines),
    )


def _figures(row: Record) -> Figures:
    return Figures(**dict(row), net=row["gross"] - row["tax"])
