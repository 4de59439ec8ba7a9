"""What was once written is seen by every later read on every node, with a cache and a slow reader.

Two nodes with caches of their own read one catalogue; with Redis they share what they keep. A
reader is stopped when it has read its rows, something is written, and it goes on: what it then
keeps is old. Each read is compared with the database.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from cinema.domain.paging import PageQuery
from cinema.features.catalog.shapes import Grid, LayoutInput, MovieInput, MovieQuery, ScreenChange
from cinema.features.catalog.versions_store import CatalogVersions
from cinema.features.schedules.store import SchedulesRepository
from cinema.features.showtimes.shapes import ShowtimeQuery
from cinema.storage.cache.values import MemoryValues
from cinema.storage.cache.versioned import VersionedCache, Versions
from cinema.storage.database.pool import open_pool
from cinema.storage.database.reads import PrimaryReads
from cinema.storage.database.transactions import Pool
from cinema.storage.redis.shared_values import SharedValues
from tests.integration.features.catalog_house import ADMIN, START, House

pytestmark = pytest.mark.postgres

ROUNDS = 25
DAY = START.date() + timedelta(days=1)
"""The first showtime begins at its midnight, where the cinema is."""

Read = Callable[["Node"], Awaitable[Any]]


class SlowReads(PrimaryReads):
    """Reads that can be stopped when they have their rows."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self.goes_on: asyncio.Event | None = None
        self.has_read = asyncio.Event()

    async def fetch(self, statement: str, *values: object) -> list[asyncpg.Record]:
        return await self._then_stop(await super().fetch(statement, *values))

    async def fetchrow(self, statement: str, *values: object) -> asyncpg.Record | None:
        return await self._then_stop(await super().fetchrow(statement, *values))

    async def _then_stop(self, rows: Any) -> Any:
        if (goes_on := self.goes_on) is not None:
            self.goes_on = None
            self.has_read.set()
            await goes_on.wait()
        return rows


class Node:
    """The services of a node with a cache; without one it shows what the database has."""

    def __init__(
        self, pool: Pool, cache: VersionedCache | None = None, reads: SlowReads | None = None
    ) -> None:
        self.house = House(pool, cache, reads)
        self.schedules = SchedulesRepository(pool, reads, cache)
        self.reads = reads
        self.cache = cache


class World:
    """Two nodes over one database with a few rows, and what may be read and written."""

    def __init__(self, pool: Pool, nodes: list[Node]) -> None:
        self.pool = pool
        self.nodes = nodes
        self.truth = Node(pool)
        self.house = self.truth.house
        self.draw = random.Random(11)

    async def open(self) -> None:
        house = self.house
        self.movies = [await house.movie(title, genres=["Drama"]) for title in ("One", "Two")]
        self.cinema = await house.cinema()
        self.screens = [await house.screen(self.cinema, name) for name in ("A", "B")]
        self.day = 0
        await self.new_show()

    async def new_movie(self) -> None:
        self.movies.append(await self.house.movie(f"Film {self.draw.random()}", genres=["Drama"]))

    async def rename_movie(self) -> None:
        place = self.draw.randrange(len(self.movies))
        movie = self.movies[place]
        request = MovieInput(title=f"New {self.draw.random()}", runtime_minutes=100)
        seen = frozenset({movie.version})
        self.movies[place] = await self.house.catalog.change_movie(ADMIN, movie.id, request, seen)

    async def new_cinema(self) -> None:
        await self.house.cinema()

    async def new_screen(self) -> None:
        name = f"Screen {self.draw.random()}"
        self.screens.append(await self.house.screen(self.cinema, name))

    async def rename_screen(self) -> None:
        place = self.draw.randrange(len(self.screens))
        screen = self.screens[place]
        self.screens[place] = await self.house.catalog.rename_screen(
            ADMIN,
            screen.id,
            ScreenChange(name=f"Screen {self.draw.random()}"),
            frozenset({screen.version}),
        )

    async def new_seats(self) -> None:
        place = self.draw.randrange(len(self.screens))
        screen = self.screens[place]
        request = LayoutInput(grid=Grid(rows=1, columns=self.draw.randrange(2, 9)))
        seen = frozenset({screen.layout_version})
        self.screens[place] = await self.house.catalog.replace_layout(
            ADMIN, screen.id, request, seen
        )

    async def new_show(self) -> None:
        self.day += 1
        movie, screen = self.draw.choice(self.movies), self.draw.choice(self.screens)
        await self.house.show(movie, screen, START + timedelta(hours=4 * self.day))

    async def pause_sales(self) -> None:
        # As the row of an event does it.
        await self.pool.execute(
            "update showtimes set sales_paused = not sales_paused, version = version + 1"
        )

    async def count_popularity(self) -> None:
        await self.pool.execute(
            "update movies set popularity = $1 where id = $2",
            self.draw.randrange(1000),
            self.draw.choice(self.movies).id,
        )

    def writes(self) -> list[Callable[[], Awaitable[None]]]:
        return [
            self.new_movie,
            self.rename_movie,
            self.new_cinema,
            self.new_screen,
            self.rename_screen,
            self.new_seats,
            self.new_show,
            self.pause_sales,
            self.count_popularity,
        ]

    def read(self) -> Read:
        """Something to read, the same on any node."""
        movie_id, cinema_id = self.draw.choice(self.movies).id, self.cinema.id
        kinds: list[Read] = [
            lambda node: node.house.catalog.movie(movie_id),
            lambda node: node.house.catalog.movies(MovieQuery()),
            lambda node: node.house.catalog.movies(MovieQuery(sort="popularity")),
            lambda node: node.house.catalog.movies(MovieQuery(q="new", genre="drama")),
            lambda node: node.house.catalog.movies(MovieQuery(date=DAY)),
            lambda node: node.house.catalog.movies(MovieQuery(cinema_id=cinema_id)),
            lambda node: node.house.catalog.cinema(cinema_id),
            lambda node: node.house.catalog.cinemas(PageQuery()),
            lambda node: node.house.catalog.screens(cinema_id, PageQuery()),
            lambda node: node.house.showtimes.showtimes(ShowtimeQuery(cinema_id=cinema_id)),
            lambda node: node.house.showtimes.showtimes_of_movie(movie_id, ShowtimeQuery()),
            lambda node: node.schedules.schedule(cinema_id, DAY),
        ]
        return self.draw.choice(kinds)

    async def check(self, read: Read) -> None:
        """Both nodes show what the database has."""
        wanted = await read(self.truth)
        for node in self.draw.sample(self.nodes, 2):
            assert await read(node) == wanted


async def slow_reads_and_writes(world: World) -> None:
    """Rounds with a slow reader each, and a write while it stands."""
    await world.open()
    for _ in range(ROUNDS):
        reads = [world.read() for _ in range(3)]
        for read in world.draw.sample(reads, 2):
            await world.check(read)
        slow = world.draw.choice(world.nodes)
        assert slow.reads is not None
        slow.reads.goes_on, slow.reads.has_read = goes_on, has_read = (
            asyncio.Event(),
            asyncio.Event(),
        )
        late = asyncio.ensure_future(reads[0](slow))
        waiting = asyncio.ensure_future(has_read.wait())
        # Without rows to read it is over at once.
        await asyncio.wait([late, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        slow.reads.goes_on = None
        for write in world.draw.choices(world.writes(), k=world.draw.randrange(1, 4)):
            await write()
        wanted = [await read(world.truth) for read in reads]
        (other,) = (node for node in world.nodes if node is not slow)
        assert [await read(other) for read in reads] == wanted
        goes_on.set()
        await late
        for read in reads:
            await world.check(read)


@asynccontextmanager
async def two_nodes(
    database: str, pool: Pool, redis_url: str = "", versions: Versions | None = None
) -> AsyncIterator[World]:
    nodes, opened = [], []
    async with await open_pool(database, size=1) as asking:
        for _ in range(2):
            shared = None
            if redis_url:
                opened.append(shared := SharedValues(redis_url, timeout_s=5.0))
            counted = versions or CatalogVersions(asking).now
            cache = VersionedCache(counted, MemoryValues(), shared)
            nodes.append(Node(pool, cache, SlowReads(pool)))
        yield World(pool, nodes)
        for one in opened:
            await one.close()


async def test_no_old_answer_comes_back_on_nodes_without_redis(database: str, pool: Pool) -> None:
    async with two_nodes(database, pool) as world:
        await slow_reads_and_writes(world)
        outcomes = _outcomes(world)
    assert min(outcomes["hit"], outcomes["miss"], outcomes["changed"]) > 0


async def test_no_old_answer_comes_back_through_redis(
    database: str, pool: Pool, redis_url: str
) -> None:
    async with two_nodes(database, pool, redis_url) as world:
        await slow_reads_and_writes(world)
        outcomes = _outcomes(world)
    assert min(outcomes["hit"], outcomes["miss"], outcomes["changed"]) > 0


async def test_a_schedule_is_kept_with_the_clock_that_its_cinema_has_now(
    database: str, pool: Pool
) -> None:
    async with two_nodes(database, pool) as world:
        await world.open()
        cinema_id = world.cinema.id
        for node in world.nodes:
            before = await node.schedules.schedule(cinema_id, DAY)
            assert before is not None
            assert [one.local_start for one in before.showtimes] == ["00:00"]
        await pool.execute("update cinemas set time_zone = 'Asia/Tokyo'")
        for node in world.nodes:
            shown = await node.schedules.schedule(cinema_id, DAY)
            assert shown is not None
            assert shown.time_zone == "Asia/Tokyo"
            assert [one.local_start for one in shown.showtimes] == ["07:00"], shown


def _outcomes(world: World) -> dict[str, int]:
    counts = dict.fromkeys(("hit", "miss", "changed"), 0)
    for node in world.nodes:
        assert node.cache is not None
        for (_, outcome), count in node.cache.outcomes.items():
            counts[outcome] = counts.get(outcome, 0) + count
    return counts


async def test_this_finds_a_slow_reader_that_takes_the_numbers_when_it_is_done(
    database: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(VersionedCache):
        async def _fill(self, kind: Any, key: str, versions: Any, load: Any) -> Any:
            loaded = await load()
            known = await self._versions()
            late = tuple(known[name] for name in kind.rests_on)

            async def at_hand() -> Any:
                return loaded

            return await super()._fill(kind, key, late, at_hand)

    monkeypatch.setattr(f"{__name__}.VersionedCache", Late)
    async with two_nodes(database, pool) as world:
        with pytest.raises(AssertionError):
            await slow_reads_and_writes(world)


async def test_this_finds_a_cache_that_does_not_look_at_the_numbers(
    database: str, pool: Pool
) -> None:
    async def always_the_same() -> Mapping[str, int]:
        return {"movies": 1, "cinemas": 1, "showtimes": 1}

    async with two_nodes(database, pool, versions=always_the_same) as world:
        with pytest.raises(AssertionError):
            await slow_reads_and_writes(world)


GROUPS = {
    "movies": "movies",
    "cinemas": "cinemas",
    "screens": "cinemas",
    "showtimes": "showtimes",
}
COLUMNS = """
select column_name::text from information_schema.columns
where table_name = $1 and is_generated = 'NEVER' and is_identity = 'NO'
"""


@pytest.mark.parametrize("table", GROUPS)
async def test_whatever_changes_in_a_row_counts(pool: Pool, table: str) -> None:
    world = World(pool, [])
    await world.open()
    versions = CatalogVersions(pool)
    group = GROUPS[table]
    columns = [row[0] for row in await pool.fetch(COLUMNS, table)]
    assert len(columns) > 5
    for column in columns:
        before = await versions.now()
        await pool.execute(f"update {table} set {column} = {column}")
        after = await versions.now()
        assert [name for name in after if after[name] != before[name]] == [group], column


@pytest.mark.parametrize("table", GROUPS)
async def test_rows_that_come_and_go_count(pool: Pool, table: str) -> None:
    world = World(pool, [])
    await world.open()
    versions = CatalogVersions(pool)
    before = await versions.now()
    async with pool.acquire() as connection, connection.transaction():
        # Nothing may stand on the row that goes; that is not what is looked at here.
        await connection.execute(
            f"create temporary table kept on commit drop as select * from {table} limit 1"
        )
        await connection.execute("delete from showtimes")
        if table == "movies":
            await connection.execute("delete from movies")
    after = await versions.now()
    assert after["showtimes"] != before["showtimes"]
    assert (after["movies"] != before["movies"]) is (table == "movies")


async def test_a_change_that_is_rolled_back_does_not_count(pool: Pool) -> None:
    world = World(pool, [])
    await world.open()
    versions = CatalogVersions(pool)
    before = await versions.now()
    async with pool.acquire() as connection:
        running = connection.transaction()
        await running.start()
        await connection.execute("update movies set title = 'Other'")
        await running.rollback()
    assert await versions.now() == before


async def test_many_changes_of_a_transaction_count_when_it_commits(pool: Pool) -> None:
    world = World(pool, [])
    await world.open()
    versions = CatalogVersions(pool)
    before = await versions.now()
    async with pool.acquire() as connection, connection.transaction():
        for _ in range(3):
            await connection.execute("update movies set title = title || '!'")
        async with pool.acquire() as other:
            # Nobody waits for what is not committed: another change goes through meanwhile.
            await other.execute("update cinemas set name = 'Other'", timeout=5)
        meanwhile = await versions.now()
        assert meanwhile["movies"] == before["movies"]
        assert meanwhile["cinemas"] != before["cinemas"]
    assert (await versions.now())["movies"] != before["movies"]
