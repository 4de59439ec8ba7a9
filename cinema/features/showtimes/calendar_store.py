"""The coming showtimes of a cinema or a film, with all that a calendar shows of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from cinema.features.showtimes.icalendar import CalendarShow
from cinema.storage.database.reads import PrimaryReads, Reads
from cinema.storage.database.transactions import Pool

# No showtime is longer than a day.
_LONGEST: Final = timedelta(days=1)

_SHOWS: Final = """
select showtime.id, showtime.starts_at, showtime.ends_at, showtime.created_at, showtime.status,
       showtime.version, showtime.format, showtime.language, showtime.cancel_reason,
       movie.title as film, cinema.name as cinema, cinema.address, cinema.city,
       screen.name as screen
from (
    select * from showtimes
    where {column} = $1 and ends_at > $2 and starts_at > $3 and starts_at < $4
    order by starts_at, id limit $5
) showtime
join movies movie on movie.id = showtime.movie_id
join cinemas cinema on cinema.id = showtime.cinema_id
join screens screen on screen.id = showtime.screen_id
order by showtime.starts_at, showtime.id
"""
OF_CINEMA: Final = _SHOWS.format(column="cinema_id")
OF_MOVIE: Final = _SHOWS.format(column="movie_id")


class CalendarRepository:
    """Reads what calendars show."""

    def __init__(self, pool: Pool, reads: Reads | None = None) -> None:
        self._reads = reads or PrimaryReads(pool)

    async def of_cinema(
        self, cinema_id: UUID, now: datetime, until: datetime, limit: int
    ) -> list[CalendarShow]:
        """Its showtimes that are not over and start before `until`, the next first."""
        rows = await self._reads.fetch(OF_CINEMA, cinema_id, now, now - _LONGEST, until, limit)
        return [CalendarShow(**row) for row in rows]

    async def of_movie(
        self, movie_id: UUID, now: datetime, until: datetime, limit: int
    ) -> list[CalendarShow]:
        """The same for a film, wherever it is shown."""
        rows = await self._reads.fetch(OF_MOVIE, movie_id, now, now - _LONGEST, until, limit)
        return [CalendarShow(**row) for row in rows]
