"""`catalogue`: how fast lists of a large catalogue are: cached, uncached, and from a replica.

Films and showtimes are written by SQL. Every list is asked for with some questions of its kind, one
request after the other. With the cache each question was asked once before, as if by another
customer; without it, and from a replica, each request reads the database. The plans are looked at
as well, by what Postgres counts: none may read a large table from its beginning.
"""

import asyncio
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import asyncpg
import msgspec

from benchmarks.filled_catalogue import Catalogue, fill_catalogue
from benchmarks.house import House
from benchmarks.load.steady import Line
from benchmarks.load.usage import find_trees, read_usage
from benchmarks.results import Figures, Measurement, Outcome, Target
from benchmarks.server import HOST, Server
from benchmarks.session import Bench, Options, Scenario, checkpoint
from cinema.backups.programs import Source
from cinema.local.embedded_postgres import EmbeddedPostgres
from cinema.local.postgres_home import PostgresHome, clean_environment

FILMS, SHOWTIMES = 100_000, 1_000_000
QUICK_FILMS, QUICK_SHOWTIMES = 5_000, 50_000

QUESTIONS = 12
"""Different questions of each list; every one is asked equally often."""

P95_MS = 50.0

LARGE = ("movies", "movie_words", "movie_vocabulary", "movie_trigrams", "showtimes", "users")

CACHED, UNCACHED, REPLICA = "cached", "uncached", "replica"

WITHOUT = {"CATALOG_CACHE_MB": "0"}

_SCANNED = """
select relname::text as name, seq_tup_read as rows from pg_stat_user_tables
where relname = any($1::text[])
"""

SUMMARY = f"lists of {FILMS:,} films and {SHOWTIMES:,} showtimes: cached, uncached, from a replica"


class Asked(msgspec.Struct, frozen=True):
    """A list and the questions that are asked of it."""

    name: str
    paths: list[str]


def asked(there: Catalogue) -> list[Asked]:
    """All lists, each with questions that have different answers."""
    day = there.today.date()
    days = [str(day + timedelta(days=one)) for one in range(QUESTIONS)]
    words = [title.split()[0] for title in there.titles[100 : 100 + QUESTIONS]]
    houses = [str(one) for one in there.cinema_ids[:QUESTIONS]]
    films = [str(one) for one in there.shown_ids[:QUESTIONS]]
    genres = ["drama", "comedy", "action", "horror", "family", "romance", "none", "nothing"]

    def movies(name: str, *questions: dict[str, str]) -> Asked:
        return Asked(f"films: {name}", [f"/movies?{urlencode(one)}" for one in questions])

    def showtimes(name: str, *questions: dict[str, str]) -> Asked:
        return Asked(f"showtimes: {name}", [f"/showtimes?{urlencode(one)}" for one in questions])

    return [
        movies("title", *({"limit": str(20 + one)} for one in range(QUESTIONS))),
        movies("popularity", *({"sort": "popularity", "limit": str(20 + n)} for n in range(9))),
        movies("release date", *({"sort": "release_date", "limit": str(20 + n)} for n in range(9))),
        movies("genre", *({"genre": one} for one in genres)),
        movies("search", *({"q": word} for word in words)),
        movies("search, common words", {"q": "the"}, {"q": "of"}, {"q": "love night"}),
        movies("search, by title", {"q": "the", "sort": "title"}, {"q": "war", "sort": "title"}),
        movies("search, typing error", *({"q": word[:-2] + word[-1]} for word in words)),
        movies("search, beginnings", *({"q": word[:2]} for word in words)),
        movies("search, many words", *({"q": title} for title in there.titles[200:212])),
        movies("day", *({"date": one} for one in days)),
        movies(
            "days", *({"date_from": one, "date_to": str(day + timedelta(days=90))} for one in days)
        ),
        movies("cinema", *({"cinema_id": one} for one in houses)),
        movies("cinema and day", *({"cinema_id": one, "date": days[2]} for one in houses)),
        movies("language", *({"language": one} for one in ("de", "en", "en-GB", "pl", "zh"))),
        movies("format", *({"format": one} for one in ("2D", "3D", "IMAX", "4DX", "70mm"))),
        showtimes("all", *({"limit": str(20 + one)} for one in range(QUESTIONS))),
        showtimes("day", *({"date": one} for one in days)),
        showtimes("cinema and day", *({"cinema_id": one, "date": days[2]} for one in houses)),
        showtimes("cinema", *({"cinema_id": one} for one in houses)),
        showtimes("film", *({"movie_id": one} for one in films)),
        showtimes("film and cinema", *({"movie_id": one, "cinema_id": houses[0]} for one in films)),
        Asked("showtimes of a film", [f"/movies/{one}/showtimes" for one in films]),
        Asked("schedule", [f"/schedule/cinema/{one}?date={days[2]}" for one in houses]),
        Asked("cinemas", [f"/cinemas?limit={20 + one}" for one in range(QUESTIONS)]),
        Asked("screens", [f"/cinemas/{one}/screens" for one in houses]),
        Asked("a film", [f"/movies/{one}" for one in films]),
        Asked(
            "accounts",
            ["/admin/users", *(f"/admin/users?role={one}" for one in ("staff", "customer"))],
        ),
    ]


async def measure(
    bench: Bench, server: Server, lists: list[Asked], subject: str, figures: Figures
) -> None:
    """One run: the time of each list that 95 of 100 requests keep, and what a request costs."""
    house = await House.open(server, 1)
    line = Line(HOST, server.port, kept=True)
    rounds = 4 if bench.options.quick else 10
    for one in lists:
        requests = [house.reading(path) for path in one.paths]
        for request in requests:
            status, body = await line.ask(request)
            if status != 200:
                figures.problem(f"{one.name}: {status} {body[:200]!r}")
        trees = find_trees(server.observed)
        before = read_usage(trees)
        taken_ms: list[float] = []
        for request in requests * rounds:
            started_s = time.perf_counter()
            await line.ask(request)
            taken_ms.append((time.perf_counter() - started_s) * 1000)
        after = read_usage(trees)
        taken_ms.sort()
        taken = Measurement(
            value=taken_ms[int(len(taken_ms) * 0.95)],
            cpu_us={
                name: (after[name].cpu_s - before[name].cpu_s) / len(taken_ms) * 1e6
                for name in trees
            },
        )
        figures.add(subject, one.name, "ms", taken)
    line.close()
    bench.step()


@asynccontextmanager
async def with_replica(server: Server) -> AsyncIterator[dict[str, str]]:
    """The server's database, started by us, and a streaming replica of it: their settings."""
    folder = server.folder
    primary = EmbeddedPostgres(folder / "data")
    dsn = await asyncio.to_thread(primary.start)
    replica = EmbeddedPostgres(await asyncio.to_thread(_clone, dsn, folder / "replica"))
    try:
        read_dsn = await asyncio.to_thread(replica.start)
        yield {"DATABASE_URL": dsn, "DATABASE_READ_URL": read_dsn}
    finally:
        await server.stop()
        await asyncio.to_thread(replica.stop)
        await asyncio.to_thread(primary.stop)


def _clone(dsn: str, folder: Path) -> Path:
    folder.mkdir()
    home = PostgresHome(folder)
    home.data.mkdir(mode=0o700)
    shutil.chown(home.data, home.identity.uid, home.identity.gid)
    address, environment = Source(dsn).for_programs()
    subprocess.run(
        [
            *home.identity.prefix, home.binaries / "pg_basebackup", f"--dbname={address}",
            f"--pgdata={home.data}", "--write-recovery-conf", "--checkpoint=fast", "--no-sync",
        ],
        check=True, env={**clean_environment(), **environment}, cwd="/",
    )  # fmt: skip
    return folder


async def rows_scanned(dsn: str) -> dict[str, int]:
    """Rows of each large table that were read by reading it from the beginning, since ever."""
    connection = await asyncpg.connect(dsn)
    try:
        return {row["name"]: row["rows"] for row in await connection.fetch(_SCANNED, list(LARGE))}
    finally:
        await connection.close()


async def run_catalogue(bench: Bench) -> Outcome:
    """Fill a database once, then measure the server on it three times."""
    figures = Figures()
    films, showtimes = (QUICK_FILMS, QUICK_SHOWTIMES) if bench.options.quick else (FILMS, SHOWTIMES)
    async with bench.cinema() as server:
        bench.say(f"catalogue: writing {films:,} films and {showtimes:,} showtimes")
        dsn = server.postgres.dsn
        there = await fill_catalogue(dsn, films, showtimes)
        await checkpoint(dsn)
        lists = asked(there)
        for _ in range(bench.options.runs):
            await measure(bench, server, lists, CACHED, figures)
        await server.stop()
        await server.start(WITHOUT)
        before = await rows_scanned(server.postgres.dsn)
        for _ in range(bench.options.runs):
            await measure(bench, server, lists, UNCACHED, figures)
        # What a connection has counted is seen when it has ended.
        await server.stop()
        async with with_replica(server) as addresses:
            scanned = await rows_scanned(addresses["DATABASE_URL"])
            await server.start({**WITHOUT, **addresses})
            for _ in range(bench.options.runs):
                await measure(bench, server, lists, REPLICA, figures)
            reads = await server.metric("cinema_replica_reads_total")
    return Outcome(
        scenario="catalogue",
        summary=SUMMARY,
        figures=figures.all(),
        targets=[
            *(_slowest(figures, subject) for subject in (CACHED, UNCACHED, REPLICA)),
            Target(
                text="rows of large tables that were read from the beginning",
                unit="",
                wanted=0,
                measured=sum(scanned[name] - before.get(name, 0) for name in scanned),
                at_least=False,
            ),
        ],
        notes=[
            f"{films:,} films, {there.showtimes:,} showtimes, half of them to come",
            f"reads that might go to the replica: {reads}",
        ],
        problems=figures.problems,
    )


def _slowest(figures: Figures, subject: str) -> Target:
    """The list with the highest p95."""
    of_subject = [one for one in figures.all() if one.subject == subject]
    slowest = max(of_subject, key=lambda one: one.median)
    return Target(
        text=f"p95 of the slowest list, {subject}: {slowest.measure}",
        unit="ms",
        wanted=P95_MS,
        measured=slowest.median,
        at_least=False,
    )


def steps(options: Options) -> int:
    return 3 * options.runs


CATALOGUE = Scenario(name="catalogue", summary=SUMMARY, steps=steps, run=run_catalogue)
