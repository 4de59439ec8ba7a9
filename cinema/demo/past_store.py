"""Writes the demo's past, a showtime at a time; a later start goes on where an earlier one ended.

A showtime of the past is one that had begun before its row was made. It is made once: its events
are appended behind an empty journal, and whoever comes second finds that it is not empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Final
from uuid import UUID

from cinema.demo.catalog import FILMS, demo_id
from cinema.demo.past import OWN, Happenings, Person
from cinema.demo.store import (
    INSERT_USER,
    DemoShowtime,
    insert_showtimes,
)
from cinema.domain.principal import CUSTOMER, STAFF
from cinema.domain.times import from_us
from cinema.features.recommendations.rules import Experiment, assigned
from cinema.storage.database.transactions import Pool, PooledConnection, connection, transaction

EXPERIMENT: Final = Experiment(name="demo", arms=(("popular", 50), ("full", 50)))
"""What the demo has compared, so that its report shows something."""

FILMS_SHOWN: Final = 5
_CLICKED: Final = {"popular": 0.08, "full": 0.12}

_HAS_PAST: Final = """
select exists (
    select from showtimes t join cinemas c on c.id = t.cinema_id
    where t.starts_at < t.created_at and c.id = any($1)
)"""
_DUE: Final = """
select t.id from showtimes t join showtime_heads h on h.showtime_id = t.id and h.seq = 0
where t.id = any($1) and t.starts_at < t.created_at"""
_GUESTS: Final = """
insert into guests (id, created_at, expires_at, ended_at)
select told.id, told.at, told.at + interval '1 day', told.at + interval '1 day'
from unnest($1::uuid[], $2::timestamptz[]) as told (id, at)
on conflict do nothing"""
_ENTRIES: Final = """
with came as (
    select told.*, place from unnest($1::uuid[], $2::int[], $3::timestamptz[])
        as told (booking_id, seats, at)
    cross join lateral generate_series(0, told.seats - 1) as place
), entered as (
    insert into ticket_entries (booking_id, place, showtime_id, inside, entered_at, scanner_id,
        scanner)
    select booking_id, place, $4, true, at, $5, $6 from came
    on conflict do nothing
    returning booking_id, place, entered_at
)
insert into ticket_scans (id, booking_id, place, showtime_id, cinema_id, direction, outcome, at,
    recorded_at, scanner_id, scanner)
select gen_random_uuid(), e.booking_id, e.place, $4, t.cinema_id, 'entry', 'admitted', e.entered_at,
    e.entered_at, $5, $6
from entered e, showtimes t where t.id = $4"""
_REVIEWS: Final = """
insert into reviews (id, movie_id, user_id, rating, text, status, created_at)
select told.id, $1, told.user_id, told.rating, told.text, 'published', told.at
from unnest($2::uuid[], $3::uuid[], $4::smallint[], $5::text[], $6::timestamptz[])
    as told (id, user_id, rating, text, at)
on conflict do nothing"""
_VISITS: Final = """
insert into showtime_visits (showtime_id, seat_maps, checkout_pages) values ($1, $2, $3)
on conflict do nothing"""
_SHOWN: Final = """
insert into recommendation_exposures (id, user_id, movie_id, place, propensity, explored, reason,
    model_version, shown_at, experiment, arm, is_control)
select told.id, told.user_id, told.movie_id, told.place, 1, false, 'showing_soon', 0, told.at, $7,
    told.arm, told.is_control
from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::smallint[], $5::timestamptz[], $6::text[],
    $8::boolean[]) as told (id, user_id, movie_id, place, at, arm, is_control)
on conflict do nothing"""
_CLICKS: Final = """
insert into recommendation_events (id, user_id, movie_id, kind, exposure_id, at)
select told.id, told.user_id, told.movie_id, 'click', told.exposure_id, told.at
from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::timestamptz[])
    as told (id, user_id, movie_id, exposure_id, at)
on conflict do nothing"""
_COUNT_ANEW: Final = """
update projections set rebuilt_to = '00000000-0000-0000-0000-000000000000' where name = 'reports'"""
_LEARN_ANEW: Final = "update recommendation_model set built_at = null, claimed_until = null"


class PastRepository:
    """Writes what happened before the first start."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def begin(
        self,
        shown: Sequence[DemoShowtime],
        everybody: Sequence[Person],
        cinemas: Sequence[UUID],
        password_hash: str,
        now: datetime,
    ) -> None:
        """Make the showtimes and the customers of the past, unless there is one."""
        async with transaction(self._pool) as running:
            if await running.fetchval(_HAS_PAST, cinemas):
                return
            since = shown[0].times.starts_at - timedelta(days=30)
            await running.executemany(
                INSERT_USER,
                [
                    (
                        *(one.id, one.email, one.email, password_hash),
                        *(one.first_name, one.last_name, since, True, CUSTOMER),
                    )
                    for one in everybody
                    if one.id != OWN
                ],
            )
            await insert_showtimes(running, shown, now)
            await _show(running, everybody, now)

    async def due(self, ids: Sequence[UUID]) -> set[UUID]:
        """Of which showtimes of the past nothing is told yet."""
        async with connection(self._pool) as reading:
            return {row["id"] for row in await reading.fetch(_DUE, ids)}

    async def tell(self, showtime: DemoShowtime, happened: Happenings) -> None:
        """Write what followed from the events of a showtime: who came, and what they said."""
        starts, ends = showtime.times.starts_at, showtime.times.ends_at
        came = [one for one in happened.bookings if one.came]
        said = [(one, one.person) for one in came if one.rating is not None and one.person]
        luck = Random(showtime.id.int + 2)
        async with transaction(self._pool) as running:
            await running.execute(
                _GUESTS,
                [guest for guest, _ in happened.guests],
                [from_us(at_us) for _, at_us in happened.guests],
            )
            await running.execute(
                _ENTRIES,
                [one.id for one in came],
                [one.seats for one in came],
                [starts + timedelta(minutes=luck.uniform(-20, 5)) for _ in came],
                showtime.id,
                demo_id("user", STAFF),
                "Staff Demo",
            )
            await running.execute(
                _REVIEWS,
                showtime.movie_id,
                [demo_id("review", str(one.id)) for one, _ in said],
                [person.id for _, person in said],
                [one.rating for one, _ in said],
                [one.text for one, _ in said],
                [ends + timedelta(minutes=luck.uniform(5, 30)) for _ in said],
            )
            pages = happened.checkouts + luck.randint(0, 1 + happened.holds // 4)
            looked = round(happened.holds * luck.uniform(1.6, 2.6))
            await running.execute(_VISITS, showtime.id, looked, min(pages, looked))

    async def end(self) -> None:
        """Let figures and the model be made anew, with the past in them."""
        async with transaction(self._pool) as running:
            await running.execute(_COUNT_ANEW)
            await running.execute(_LEARN_ANEW)


async def _show(running: PooledConnection, everybody: Sequence[Person], now: datetime) -> None:
    """What the customers of the past were shown, and which films they opened."""
    movies = [demo_id("movie", film.title) for film in FILMS]
    shown: list[tuple[UUID, UUID, UUID, int, datetime, str, bool]] = []
    clicks: list[tuple[UUID, UUID, UUID, UUID, datetime]] = []
    for one in everybody:
        if one.id == OWN:
            continue
        luck, way = Random(f"shown to {one.email}"), assigned(EXPERIMENT, one.id)
        at = now - timedelta(days=luck.uniform(8, 20))
        for place, movie_id in enumerate(luck.sample(movies, FILMS_SHOWN), start=1):
            exposure_id = demo_id("exposure", f"{one.email}/{place}")
            shown.append((exposure_id, one.id, movie_id, place, at, way.arm, way.is_control))
            if luck.random() < _CLICKED[way.arm]:
                click_id = demo_id("click", f"{one.email}/{place}")
                clicked_at = at + timedelta(seconds=luck.uniform(2, 60))
                clicks.append((click_id, one.id, movie_id, exposure_id, clicked_at))
    *columns, arms, controls = (list(column) for column in zip(*shown, strict=True))
    await running.execute(_SHOWN, *columns, arms, EXPERIMENT.name, controls)
    await running.execute(_CLICKS, *(list(column) for column in zip(*clicks, strict=True)))
