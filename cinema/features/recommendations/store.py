"""Recommendations in Postgres: what customers said and did, what was shown, and the model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Container, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from cinema.features.catalog.movie_store import movie_of
from cinema.features.recommendations.birth_store import opened_birth, sealed_birth
from cinema.features.recommendations.model.facts import (
    DAY_S,
    ActKind,
    CustomerAct,
    Film,
    Popularity,
)
from cinema.features.recommendations.model.history import (
    ACT_WEIGHTS,
    HISTORY_HALF_LIFE_DAYS,
    LIKED_RATING,
)
from cinema.features.recommendations.model.popularity import (
    LATELY_DAYS,
    POPULARITY_HALF_LIFE_DAYS,
)
from cinema.features.recommendations.model.task import ModelTask
from cinema.features.recommendations.rules import (
    AHEAD_DAYS,
    Assigned,
    KnownCustomer,
    OnShow,
    Said,
    Showing,
    Visit,
    slot_of,
)
from cinema.features.recommendations.shapes import (
    Feedback,
    FeedbackInput,
    NextShowtime,
    PageEvent,
    Preferences,
    PreferencesInput,
)
from cinema.storage.database.driver import Record
from cinema.storage.database.reads import PrimaryReads, Reads
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    connection,
    transaction,
    whole_session,
)
from cinema.storage.encryption import Cipher

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

KEPT_DAYS: Final = 180
"""How long exposures and events are kept; weights have halved by then."""

BOOKINGS_OF_ONE: Final = 300
"""So many bookings of a customer are looked at, the latest."""

PAIRS_MAX: Final = 100_000
"""So many pairs of a customer and a film make the model, of those who were there last."""

HISTORY_DAYS: Final = 730
POPULARITY_DAYS: Final = 70
"""Older bookings count less than a thousandth."""

SHOWTIMES_MAX: Final = 50_000
ROWS_AT_ONCE: Final = 500
"""Rows between two turns of the loop: seats are sold meanwhile."""

READ_LIMIT_S: Final = 60.0
"""For each statement that reads what a model is built from: they look at all late bookings."""

# Accounts that opted out, and the guests that they have claimed: nothing that they do counts.
OPTED_OUT: Final = """(
    select user_id from recommendation_preferences where opted_out
    union all
    select guest.id from guests guest
    join recommendation_preferences preference on preference.user_id = guest.claimed_by
    where preference.opted_out
)"""

_SHOWTIMES: Final = """
select showtime.id, showtime.movie_id, showtime.cinema_id, showtime.starts_at, showtime.format,
    showtime.language, cinema.time_zone
from showtimes showtime
join cinemas cinema on cinema.id = showtime.cinema_id
where showtime.status = 'scheduled' and not showtime.sales_paused
    and showtime.starts_at > $1 and showtime.starts_at < $2
    and showtime.sales_opens_at <= $1 and showtime.sales_closes_at > $1
    and ($4::uuid is null or (showtime.starts_at, showtime.id) > ($5, $4))
order by showtime.starts_at, showtime.id limit $3"""
_MOVIES: Final = """
select movie.*, (
    select min(starts_at) from showtimes
    where movie_id = movie.id and status = 'scheduled'
) as first_at
from movies movie where movie.id = any($1) and movie.deleted_at is null
order by movie.id"""
FILMS: Final = "select id, title, genres from movies where id = any($1)"
_CINEMAS: Final = "select id, name from cinemas where id = any($1) and deleted_at is null"

_PREFERENCES: Final = """
select genres, cinema_ids, opted_out, date_of_birth
from recommendation_preferences where user_id = $1"""
_FEEDBACK: Final = """
select movie_id, kind, at from recommendation_feedback where user_id = $1 order by at, movie_id"""
_BOOKINGS: Final = """
select showtime.movie_id, showtime.cinema_id, showtime.starts_at, cinema.time_zone,
    booking.status, booking.created_at, booking.cancelled_at, (
        select min(entered_at) from ticket_entries where booking_id = booking.id
    ) as entered_at
from bookings booking
join showtimes showtime on showtime.id = booking.showtime_id
join cinemas cinema on cinema.id = showtime.cinema_id
where booking.user_id = any($1) and booking.status in ('confirmed', 'cancelled', 'refunded')
order by booking.created_at desc, booking.id desc limit $2"""
_SEAT_MAPS: Final = """
select movie_id, max(at) as at from recommendation_events
where user_id = any($1) and kind = 'seat_map' and at > $2
group by movie_id order by movie_id"""
_RATED: Final = """
select movie_id, coalesce(updated_at, created_at) as at from reviews
where user_id = $1 and rating >= $2 and deleted_at is null order by movie_id"""

_SET_PREFERENCES: Final = """
insert into recommendation_preferences (user_id, genres, cinema_ids, opted_out, updated_at,
    date_of_birth)
values ($1, $2, $3, $4, $5, $6)
on conflict (user_id) do update set genres = excluded.genres, cinema_ids = excluded.cinema_ids,
    opted_out = excluded.opted_out, updated_at = excluded.updated_at,
    date_of_birth = excluded.date_of_birth"""
_UNKNOWN_CINEMAS: Final = """
select asked.id from unnest($1::uuid[]) as asked(id)
where not exists (select from cinemas where id = asked.id and deleted_at is null)"""
_FORGET_DEEDS: Final = (
    "delete from recommendation_events where user_id = any($1)",
    "delete from recommendation_exposures where user_id = any($1)",
)
_SAY: Final = """
insert into recommendation_feedback (user_id, movie_id, kind, exposure_id, at)
select $1, id, $3, $4, $5 from movies where id = $2 and deleted_at is null
on conflict (user_id, movie_id) do update
set kind = excluded.kind, exposure_id = excluded.exposure_id, at = excluded.at
returning movie_id, kind, at"""
_UNSAY: Final = """
delete from recommendation_feedback where user_id = $1 and movie_id = $2 returning true"""

_SHOW: Final = f"""
insert into recommendation_exposures (id, user_id, movie_id, place, propensity, explored, reason,
    model_version, shown_at, experiment, arm, is_control)
select shown.id, $1, shown.movie_id, shown.place, shown.propensity, shown.explored, shown.reason,
    $2, $3, $10, $11, $12
from unnest($4::uuid[], $5::uuid[], $6::smallint[], $7::real[], $8::boolean[], $9::text[])
    as shown(id, movie_id, place, propensity, explored, reason)
where not exists (select from {OPTED_OUT} away where away.user_id = $1)"""
_NOTE: Final = f"""
insert into recommendation_events (id, user_id, movie_id, kind, exposure_id, at)
select told.id, $1, told.movie_id, told.kind, told.exposure_id, $2
from unnest($3::uuid[], $4::uuid[], $5::text[], $6::uuid[])
    as told(id, movie_id, kind, exposure_id)
join movies movie on movie.id = told.movie_id
where not exists (select from {OPTED_OUT} away where away.user_id = $1)
returning true"""
_FORGET: Final = """
delete from {table} where id in (
    select id from {table} where {moment} < $1 order by {moment} limit $2
    for update skip locked
)
returning true"""

_VERSION: Final = "select version from recommendation_model"
_MODEL: Final = "select version, content from recommendation_model"
_CLAIM: Final = """
update recommendation_model set claimed_until = $2
where (built_at is null or built_at <= $3) and (claimed_until is null or claimed_until <= $1)
returning version"""
_KEEP: Final = """
update recommendation_model
set version = version + 1, built_at = $2, content = $3, claimed_until = null
where version = $1
returning version"""

# The weights are those of `model/history.py`. Guests that an account has claimed are the account.
_HISTORIES: Final = """
with acts as (
    select booking.user_id, showtime.movie_id, booking.created_at as at, $2::real as weight,
        1 as step
    from bookings booking join showtimes showtime on showtime.id = booking.showtime_id
    where booking.created_at > $1 and booking.status in ('confirmed', 'cancelled', 'refunded')
    union all
    select booking.user_id, showtime.movie_id, coalesce(booking.cancelled_at, booking.created_at),
        $3::real, -1
    from bookings booking join showtimes showtime on showtime.id = booking.showtime_id
    where booking.created_at > $1 and booking.status in ('cancelled', 'refunded')
    union all
    select booking.user_id, showtime.movie_id, entry.entered_at, $4::real, 0
    from bookings booking join showtimes showtime on showtime.id = booking.showtime_id
    cross join lateral (
        select min(entered_at) as entered_at from ticket_entries where booking_id = booking.id
    ) entry
    where booking.created_at > $1 and booking.created_at <= $12 and booking.status = 'confirmed'
        and entry.entered_at is not null
    union all
    select user_id, movie_id, at, case kind when 'more' then $5::real else $6::real end, 0
    from recommendation_feedback where kind in ('more', 'less') and at > $1
    union all
    select user_id, movie_id, coalesce(updated_at, created_at), $5::real, 0
    from reviews
    where rating >= $11 and deleted_at is null and coalesce(updated_at, created_at) > $1
    union all
    select user_id, movie_id, max(at), $7::real, 0
    from recommendation_events
    where kind = 'seat_map' and at > $1 and at <= $12 group by user_id, movie_id
)
select coalesce(guest.claimed_by, acts.user_id) as customer_id, acts.movie_id,
    sum(acts.weight * power(0.5, greatest(0, extract(epoch from $8 - acts.at)) / $9)) as weight,
    sum(acts.step) > 0 as saw, max(acts.at) as last_at
from acts
left join guests guest on guest.id = acts.user_id
left join recommendation_preferences preference
    on preference.user_id = coalesce(guest.claimed_by, acts.user_id)
where acts.at <= $12 and preference.opted_out is not true
group by 1, 2
order by last_at desc, customer_id, movie_id limit $10"""
_POPULARITY: Final = f"""
select showtime.cinema_id, showtime.movie_id,
    sum(power(0.5, greatest(0, extract(epoch from $1 - booking.created_at)) / $3)) as weight,
    count(*) filter (where booking.created_at > $4) as lately
from bookings booking
join showtimes showtime on showtime.id = booking.showtime_id
where booking.created_at > $2 and booking.created_at <= $1 and booking.status = 'confirmed'
    and not exists (select from {OPTED_OUT} away where away.user_id = booking.user_id)
group by showtime.cinema_id, showtime.movie_id
order by showtime.cinema_id, showtime.movie_id"""


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """A film at a place of an answer."""

    id: UUID
    movie_id: UUID
    place: int
    propensity: float
    explored: bool
    reason: str


class RecommendationsRepository:
    """What recommendations are made from; lists that clients see may come from a replica."""

    def __init__(
        self,
        pool: Pool,
        cipher: Cipher,
        reads: Reads | None = None,
        *,
        new_id: Callable[[], UUID],
    ) -> None:
        self._pool = pool
        self._cipher = cipher
        self._reads = reads or PrimaryReads(pool)
        self._new_id = new_id

    async def programme(self, now: datetime) -> list[OnShow]:
        """All films that can be booked for the next days, in the order of their ids. RETRY."""
        until = now + timedelta(days=AHEAD_DAYS)
        showings: dict[UUID, list[Showing]] = {}
        last_id: UUID | None = None
        last_at: datetime | None = None
        for _ in range(SHOWTIMES_MAX // ROWS_AT_ONCE):
            rows = await self._reads.fetch(_SHOWTIMES, now, until, ROWS_AT_ONCE, last_id, last_at)
            for row in rows:
                slot = slot_of(row["starts_at"], row["time_zone"])
                showings.setdefault(row["movie_id"], []).append(
                    Showing(showtime=_showtime_of(row), slot=slot)
                )
            if len(rows) < ROWS_AT_ONCE:
                break
            last_id, last_at = rows[-1]["id"], rows[-1]["starts_at"]
        return [
            OnShow(movie=movie_of(row), first_at=row["first_at"], showings=showings[row["id"]])
            for row in await self._reads.fetch(_MOVIES, list(showings))
        ]

    async def known(self, user_id: UUID, ids: Sequence[UUID], now: datetime) -> KnownCustomer:
        """What is known of a customer, whose bookings have any of `ids`.

        Refuses RETRY. Raises `CannotOpen`.
        """
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_PREFERENCES, user_id)
            preferences = self._preferences_of(user_id, row)
            said = await reading.fetch(_FEEDBACK, user_id)
            acts: list[CustomerAct] = []
            visits: list[Visit] = []
            if not preferences.opt_out:
                for row in await reading.fetch(_BOOKINGS, ids, BOOKINGS_OF_ONE):
                    acts += _acts_of(user_id, row)
                    if row["status"] == "confirmed":
                        slot = slot_of(row["starts_at"], row["time_zone"])
                        visits.append(Visit(row["cinema_id"], slot))
                acts += [
                    CustomerAct(user_id, row["movie_id"], ActKind.LIKED, row["at"].timestamp())
                    for row in await reading.fetch(_RATED, user_id, LIKED_RATING)
                ]
                oldest = now - timedelta(days=KEPT_DAYS)
                acts += [
                    CustomerAct(user_id, row["movie_id"], ActKind.SEAT_MAP, row["at"].timestamp())
                    for row in await reading.fetch(_SEAT_MAPS, ids, oldest)
                ]
            about = {act.movie_id for act in acts} | {row["movie_id"] for row in said}
            films = await reading.fetch(FILMS, sorted(about))
        if preferences.opt_out:
            # What was said about films takes them off the list, and counts for nothing else.
            said = [row for row in said if row["kind"] in {"hide", "seen"}]
        return KnownCustomer(
            preferences=preferences,
            feedback=[Said(row["movie_id"], row["kind"], row["at"].timestamp()) for row in said],
            acts=acts,
            visits=visits,
            films={row["id"]: film_of_row(row) for row in films},
        )

    async def cinema_names(self, cinema_ids: Sequence[UUID]) -> dict[UUID, str]:
        """The names of cinemas. Refuses RETRY."""
        rows = await self._reads.fetch(_CINEMAS, cinema_ids)
        return {row["id"]: row["name"] for row in rows}

    async def preferences(self, user_id: UUID) -> Preferences:
        """What a customer likes. Refuses RETRY. Raises `CannotOpen`."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_PREFERENCES, user_id)
        return self._preferences_of(user_id, row)

    async def set_preferences(
        self, user_id: UUID, ids: Sequence[UUID], wanted: PreferencesInput, now: datetime
    ) -> list[UUID]:
        """Keep what a customer likes, unless some cinemas are unknown: these.

        With an opt-out goes what was kept of what any of `ids` did. Refuses RETRY,
        OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as running:
            unknown = await running.fetch(_UNKNOWN_CINEMAS, wanted.cinema_ids)
            if unknown:
                return [row["id"] for row in unknown]
            cinemas, off = list(dict.fromkeys(wanted.cinema_ids)), wanted.opt_out
            genres = list(dict.fromkeys(wanted.genres))
            born = sealed_birth(self._cipher, user_id, wanted.date_of_birth)
            await running.execute(_SET_PREFERENCES, user_id, genres, cinemas, off, now, born)
            if off:
                for statement in _FORGET_DEEDS:
                    await running.execute(statement, ids)
        return []

    def _preferences_of(self, user_id: UUID, row: Record | None) -> Preferences:
        if row is None:
            return Preferences()
        return Preferences(
            genres=row["genres"],
            cinema_ids=row["cinema_ids"],
            opt_out=row["opted_out"],
            date_of_birth=opened_birth(self._cipher, user_id, row["date_of_birth"]),
        )

    async def say(self, user_id: UUID, said: FeedbackInput, now: datetime) -> Feedback | None:
        """Keep feedback about a film; None if there is none. Refuses RETRY, OUTCOME_UNKNOWN."""
        async with transaction(self._pool) as running:
            row = await running.fetchrow(
                _SAY, user_id, said.movie_id, said.kind, said.exposure_id, now
            )
        return None if row is None else Feedback(**dict(row))

    async def unsay(self, user_id: UUID, movie_id: UUID) -> bool:
        """Forget feedback; whether there was any. Refuses RETRY, OUTCOME_UNKNOWN."""
        async with transaction(self._pool) as running:
            return bool(await running.fetchval(_UNSAY, user_id, movie_id))

    async def show(
        self,
        user_id: UUID,
        shown: Sequence[Exposure],
        version: int,
        way: Assigned,
        now: datetime,
    ) -> None:
        """Keep what was shown to an account or a guest. Refuses RETRY, OUTCOME_UNKNOWN."""
        async with transaction(self._pool) as running:
            await running.execute(
                _SHOW,
                user_id,
                version,
                now,
                [one.id for one in shown],
                [one.movie_id for one in shown],
                [one.place for one in shown],
                [one.propensity for one in shown],
                [one.explored for one in shown],
                [one.reason for one in shown],
                *(way.experiment, way.arm, way.is_control),
            )

    async def note(self, user_id: UUID, events: Sequence[PageEvent], now: datetime) -> int:
        """Keep events; how many were. Refuses RETRY, OUTCOME_UNKNOWN."""
        async with transaction(self._pool) as running:
            rows = await running.fetch(
                _NOTE,
                user_id,
                now,
                [self._new_id() for _ in events],
                [one.movie_id for one in events],
                [one.kind for one in events],
                [one.exposure_id for one in events],
            )
        return len(rows)

    async def forget_exposures(self, now: datetime, limit: int) -> int:
        """Delete exposures that are too old; how many."""
        return await self._forget("recommendation_exposures", "shown_at", now, limit)

    async def forget_events(self, now: datetime, limit: int) -> int:
        """Delete events that are too old; how many."""
        return await self._forget("recommendation_events", "at", now, limit)

    async def _forget(self, table: str, moment: str, now: datetime, limit: int) -> int:
        statement = _FORGET.format(table=table, moment=moment)
        async with transaction(self._pool) as running:
            rows = await running.fetch(statement, now - timedelta(days=KEPT_DAYS), limit)
        return len(rows)


class ModelRepository:
    """The model's row, and what it is built from.

    `sessions` are connections that keep their session, where those of `pool` do not.
    """

    def __init__(self, pool: Pool, sessions: Pool | None = None) -> None:
        self._pool = pool
        self._sessions = sessions or pool

    async def version(self) -> int:
        """The version of the model; 0 before the first. Refuses RETRY."""
        async with connection(self._pool) as reading:
            return int(await reading.fetchval(_VERSION))

    async def model(self) -> tuple[int, bytes | None]:
        """The version and the model. Refuses RETRY."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_MODEL)
        assert row is not None
        return row["version"], row["content"]

    async def claim(self, now: datetime, until: datetime, older_than: datetime) -> int | None:
        """The version to replace, if it is old and nobody else builds. Refuses RETRY."""
        async with connection(self._pool) as claiming:
            version: int | None = await claiming.fetchval(_CLAIM, now, until, older_than)
        return version

    async def keep(self, version: int, content: bytes, now: datetime) -> bool:
        """Put a model in the place of `version`; False if another one is there by now."""
        async with connection(self._pool) as keeping:
            return await keeping.fetchval(_KEEP, version, now, content) is not None

    async def task(self, candidates: Sequence[UUID], now: datetime) -> ModelTask:
        """What the model is built from. Refuses RETRY."""
        places: dict[UUID, int] = {}
        histories: dict[UUID, dict[int, float]] = {}
        async with whole_session(self._sessions) as reading:
            await reading.execute(f"set transaction_timeout = '{READ_LIMIT_S:.0f}s'")
            async with reading.transaction(readonly=True):
                # What clocks say is in the future counts as if it were now.
                async for row in histories_of(reading, now, until=now + timedelta(days=1)):
                    place = places.setdefault(row["movie_id"], len(places))
                    histories.setdefault(row["customer_id"], {})[place] = float(row["weight"])
            popularity = await popularity_of(reading, now)
            for movie_id in (*candidates, *popularity.chain):
                places.setdefault(movie_id, len(places))
            rows = await reading.fetch(FILMS, list(places))
        found = {row["id"]: film_of_row(row) for row in rows}
        # A film may have been deleted since somebody has named it.
        films = [movie_id for movie_id in places if movie_id in found]
        new_places = {places[movie_id]: place for place, movie_id in enumerate(films)}
        kept = [
            {new_places[place]: weight for place, weight in history.items() if place in new_places}
            for history in histories.values()
        ]
        return ModelTask(
            films=[found[movie_id] for movie_id in films],
            histories=[history for history in kept if history],
            candidates=[movie_id for movie_id in candidates if movie_id in found],
            popularity=_of_films(popularity, found),
            built_at_s=now.timestamp(),
        )


_WEIGHED: Final = (
    ActKind.BOOKED,
    ActKind.CANCELLED,
    ActKind.ATTENDED,
    ActKind.LIKED,
    ActKind.DISLIKED,
    ActKind.SEAT_MAP,
)
"""The kinds of acts in the order of the statement's parameters."""


def histories_of(
    reading: PooledConnection, now: datetime, *, until: datetime
) -> AsyncIterator[Record]:
    """Customers and films with their weight at `now`, by all that was done until then.

    In a transaction; those of whoever did something last come first.
    """
    return aiter(
        reading.cursor(
            _HISTORIES,
            now - timedelta(days=HISTORY_DAYS),
            *(ACT_WEIGHTS[kind] for kind in _WEIGHED),
            now,
            HISTORY_HALF_LIFE_DAYS * DAY_S,
            PAIRS_MAX,
            LIKED_RATING,
            until,
            prefetch=ROWS_AT_ONCE,
            timeout=READ_LIMIT_S,
        )
    )


async def popularity_of(reading: PooledConnection, now: datetime) -> Popularity:
    """How popular films were at `now`."""
    chain: dict[UUID, float] = {}
    cinemas: dict[UUID, dict[UUID, float]] = {}
    bookings: dict[UUID, dict[UUID, int]] = {}
    for row in await reading.fetch(
        _POPULARITY,
        now,
        now - timedelta(days=POPULARITY_DAYS),
        POPULARITY_HALF_LIFE_DAYS * DAY_S,
        now - timedelta(days=LATELY_DAYS),
        timeout=READ_LIMIT_S,
    ):
        cinema_id, movie_id, weight = row["cinema_id"], row["movie_id"], float(row["weight"])
        chain[movie_id] = chain.get(movie_id, 0.0) + weight
        cinemas.setdefault(cinema_id, {})[movie_id] = weight
        bookings.setdefault(cinema_id, {})[movie_id] = row["lately"]
    return Popularity(chain=chain, cinemas=cinemas, bookings=bookings)


def _of_films(popularity: Popularity, films: Container[UUID]) -> Popularity:
    return Popularity(
        chain={film: weight for film, weight in popularity.chain.items() if film in films},
        cinemas={
            cinema: {film: weight for film, weight in weights.items() if film in films}
            for cinema, weights in popularity.cinemas.items()
        },
        bookings={
            cinema: {film: count for film, count in counts.items() if film in films}
            for cinema, counts in popularity.bookings.items()
        },
    )


def _acts_of(user_id: UUID, row: Record) -> list[CustomerAct]:
    movie_id, cinema_id = row["movie_id"], row["cinema_id"]
    moments = [(ActKind.BOOKED, row["created_at"])]
    if row["status"] == "confirmed":
        moments.append((ActKind.ATTENDED, row["entered_at"]))
    else:
        moments.append((ActKind.CANCELLED, row["cancelled_at"] or row["created_at"]))
    return [
        CustomerAct(user_id, movie_id, kind, moment.timestamp(), cinema_id)
        for kind, moment in moments
        if moment is not None
    ]


def _showtime_of(row: Record) -> NextShowtime:
    return NextShowtime(
        id=row["id"],
        cinema_id=row["cinema_id"],
        starts_at=row["starts_at"],
        format=row["format"],
        language=row["language"],
    )


def film_of_row(row: Record) -> Film:
    """A film as the model knows it."""
    return Film(id=row["id"], title=row["title"], genres=tuple(row["genres"]))
