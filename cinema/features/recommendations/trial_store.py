"""A week that is over, as weights are tried on it, in Postgres."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from cinema.features.recommendations.model.facts import Film, Slot
from cinema.features.recommendations.model.trials import (
    TrialCustomer,
    TrialShowings,
    TrialWeek,
)
from cinema.features.recommendations.rules import AHEAD_DAYS, slot_of
from cinema.features.recommendations.store import (
    FILMS,
    OPTED_OUT,
    READ_LIMIT_S,
    ROWS_AT_ONCE,
    film_of_row,
    histories_of,
    popularity_of,
)
from cinema.storage.database.transactions import Pool, PooledConnection, whole_session

# ruff: noqa: S608  (statements are put together from the constants of this module and of `store`)

WEEK: Final = timedelta(weeks=1)

CUSTOMERS_MAX: Final = 300
"""So many of those who booked in a week are asked, drawn anew for each week."""

VISITS_OF_ONE: Final = 100
SHOWINGS_MAX: Final = 50_000

_CHOSEN: Final = f"""
select coalesce(guest.claimed_by, booking.user_id) as customer_id,
    array_agg(distinct showtime.movie_id) as came
from bookings booking
join showtimes showtime on showtime.id = booking.showtime_id
left join guests guest on guest.id = booking.user_id
where booking.created_at > $1 and booking.created_at <= $2 and booking.status = 'confirmed'
    and not exists (select from {OPTED_OUT} away where away.user_id = booking.user_id)
group by 1
order by md5(coalesce(guest.claimed_by, booking.user_id)::text || $1::timestamptz::text)
limit $3"""
_VISITS: Final = """
select asked.id as customer_id, visit.cinema_id, visit.starts_at, visit.time_zone
from unnest($1::uuid[]) as asked(id)
cross join lateral (
    select showtime.cinema_id, showtime.starts_at, cinema.time_zone
    from bookings booking
    join showtimes showtime on showtime.id = booking.showtime_id
    join cinemas cinema on cinema.id = showtime.cinema_id
    where booking.user_id in (
            select asked.id union all select id from guests where claimed_by = asked.id
        )
        and booking.status = 'confirmed' and booking.created_at <= $2
    order by booking.created_at desc limit $3
) visit"""
_WISHES: Final = """
select user_id, genres, cinema_ids from recommendation_preferences
where user_id = any($1) and updated_at <= $2"""
_SHOWINGS: Final = """
select distinct showtime.movie_id, showtime.cinema_id, showtime.starts_at, cinema.time_zone
from showtimes showtime
join cinemas cinema on cinema.id = showtime.cinema_id
where showtime.status = 'scheduled' and showtime.starts_at > $1 and showtime.starts_at < $2
    and showtime.sales_opens_at <= $1
order by showtime.starts_at, showtime.cinema_id, showtime.movie_id limit $3"""
_FIRST: Final = """
select movie_id, min(starts_at) as first_at from showtimes
where movie_id = any($1) and status = 'scheduled' group by movie_id"""


class _Wishes(msgspec.Struct, frozen=True):
    genres: Sequence[str] = ()
    cinema_ids: Sequence[UUID] = ()


class TrialsRepository:
    """Reads weeks that are over; `sessions` are connections that keep their session."""

    def __init__(self, sessions: Pool) -> None:
        self._sessions = sessions

    async def week(self, begins_at: datetime) -> TrialWeek:
        """The week that began then, and what was known at that moment. Refuses RETRY.

        What has changed since is as it is now: what was given back counts as given back.
        """
        async with whole_session(self._sessions) as reading:
            await reading.execute(f"set transaction_timeout = '{READ_LIMIT_S:.0f}s'")
            async with reading.transaction(readonly=True):
                return await _Week(reading, begins_at).read()


class _Week:
    """A week while it is read: films get places in the order in which they are met."""

    def __init__(self, reading: PooledConnection, begins_at: datetime) -> None:
        self._reading = reading
        self._begins_at = begins_at
        self._places: dict[UUID, int] = {}

    async def read(self) -> TrialWeek:
        begins_at = self._begins_at
        chosen = {
            row["customer_id"]: [self._place(movie_id) for movie_id in row["came"]]
            for row in await self._reading.fetch(
                _CHOSEN, begins_at, begins_at + WEEK, CUSTOMERS_MAX, timeout=READ_LIMIT_S
            )
        }
        histories: dict[UUID, dict[int, float]] = defaultdict(dict)
        saw: dict[UUID, list[int]] = defaultdict(list)
        async for row in histories_of(self._reading, begins_at, until=begins_at):
            place = self._place(row["movie_id"])
            histories[row["customer_id"]][place] = float(row["weight"])
            if row["saw"]:
                saw[row["customer_id"]].append(place)
        showings = await self._showings()
        visits, cinemas = await self._visits(list(chosen))
        wishes = await self._wishes(list(chosen))
        customers = [
            TrialCustomer(
                came=came,
                history=histories.get(one, {}),
                saw=saw.get(one, ()),
                genres=wishes[one].genres if one in wishes else (),
                visits=visits.get(one, ()),
                cinemas=(one in wishes and wishes[one].cinema_ids) or sorted(cinemas.get(one, ())),
            )
            for one, came in chosen.items()
        ]
        return TrialWeek(
            begins_at_s=begins_at.timestamp(),
            first_at_s=await self._first({one.film for one in showings}),
            popularity=await popularity_of(self._reading, begins_at),
            films=await self._films(),
            histories=list(histories.values()),
            showings=showings,
            customers=customers,
        )

    def _place(self, movie_id: UUID) -> int:
        return self._places.setdefault(movie_id, len(self._places))

    async def _showings(self) -> list[TrialShowings]:
        slots: dict[tuple[int, UUID], set[Slot]] = defaultdict(set)
        async for row in self._reading.cursor(
            _SHOWINGS,
            self._begins_at,
            self._begins_at + timedelta(days=AHEAD_DAYS),
            SHOWINGS_MAX,
            prefetch=ROWS_AT_ONCE,
            timeout=READ_LIMIT_S,
        ):
            key = self._place(row["movie_id"]), row["cinema_id"]
            slots[key].add(slot_of(row["starts_at"], row["time_zone"]))
        return [
            TrialShowings(film, cinema_id, sorted(found))
            for (film, cinema_id), found in sorted(slots.items())
        ]

    async def _visits(
        self, customers: Sequence[UUID]
    ) -> tuple[dict[UUID, list[Slot]], dict[UUID, set[UUID]]]:
        slots: dict[UUID, list[Slot]] = defaultdict(list)
        cinemas: dict[UUID, set[UUID]] = defaultdict(set)
        rows = await self._reading.fetch(
            _VISITS, customers, self._begins_at, VISITS_OF_ONE, timeout=READ_LIMIT_S
        )
        for row in rows:
            slots[row["customer_id"]].append(slot_of(row["starts_at"], row["time_zone"]))
            cinemas[row["customer_id"]].add(row["cinema_id"])
        return slots, cinemas

    async def _wishes(self, customers: Sequence[UUID]) -> dict[UUID, _Wishes]:
        rows = await self._reading.fetch(_WISHES, customers, self._begins_at)
        return {row["user_id"]: _Wishes(row["genres"], row["cinema_ids"]) for row in rows}

    async def _first(self, places: Collection[int]) -> dict[int, float]:
        ids = [movie_id for movie_id, place in self._places.items() if place in places]
        rows = await self._reading.fetch(_FIRST, ids, timeout=READ_LIMIT_S)
        return {self._places[row["movie_id"]]: row["first_at"].timestamp() for row in rows}

    async def _films(self) -> list[Film]:
        rows = await self._reading.fetch(FILMS, list(self._places))
        found = {row["id"]: film_of_row(row) for row in rows}
        # One that was deleted since says nothing about genres, and cannot be chosen.
        return [
            found.get(movie_id) or Film(id=movie_id, title="", genres=())
            for movie_id in self._places
        ]
