"""Lists of films in Postgres: by filters, by a search that forgives, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.searching import (
    asked_words,
    likeness,
    trigrams,
    word_weight,
    words_of,
)
from cinema.domain.text import fold
from cinema.features.catalog.shapes import Movie, MovieSort
from cinema.storage.database.driver import Record
from cinema.storage.database.reads import PrimaryReads, Reads
from cinema.storage.database.transactions import Pool, PooledConnection, transaction

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

SEARCH_FORM: Final = 1
"""How words are made of titles; a film with words of an older form gets them anew."""

CANDIDATES: Final = 24
"""Words of the vocabulary looked at for each word that is asked for: those that begin with it, and
those that have most trigrams in common with it."""

INDEXED_AT_ONCE: Final = 500
"""Films that get their words in one transaction."""

POPULAR_AFTER: Final = timedelta(minutes=15)
"""How old the figures of popularity become."""

POPULAR_PAST: Final = timedelta(days=30)
POPULAR_AHEAD: Final = timedelta(days=60)
"""The showtimes whose sold seats make a film popular, by their start."""

MOVIE_COLUMNS: Final = (
    "id, title, description, genres, runtime_minutes, release_date, age_rating, "
    "languages, poster_url, trailer_url, version"
)
_QUALIFIED: Final = ", ".join(f"movie.{name.strip()}" for name in MOVIE_COLUMNS.split(","))

# A range, since Postgres finds no prefix for LIKE in a value that it learns while it runs.
_VOCABULARY = """
select asked.word as asked, found.word
from unnest($1::text[], $2::text[]) as asked (word, trigrams)
cross join lateral (
    (select vocabulary.word from movie_vocabulary vocabulary
     where vocabulary.word >= asked.word collate "C"
       and vocabulary.word < (asked.word || chr(1114111)) collate "C"
     order by length(vocabulary.word), vocabulary.word limit $3)
    union
    (select likely.word from (
        select vocabulary.word, (
            select count(*) from unnest(vocabulary.trigrams) as one
            where one = any(string_to_array(asked.trigrams, ' '))
        ) as shared
        from movie_vocabulary vocabulary
        where vocabulary.trigrams && string_to_array(asked.trigrams, ' ') collate "C"
          and length(vocabulary.word) >= length(asked.word) - 2
    ) likely
    order by likely.shared desc, length(likely.word), likely.word limit $3)
) found
"""

_DROP_WORDS = "delete from movie_words where movie_id = any($1::uuid[])"

# In one order, so that two who add words do not wait for each other.
_ADD_VOCABULARY = """
insert into movie_vocabulary (word, trigrams)
select word, string_to_array(trigrams, ' ')
from unnest($1::text[], $2::text[]) as given (word, trigrams)
order by word
on conflict do nothing
"""

_ADD_WORDS = """
insert into movie_words (word, movie_id, weight)
select * from unnest($1::text[], $2::uuid[], $3::smallint[])
on conflict do nothing
"""

_INDEXED = "update movies set search_form = $2 where id = any($1::uuid[])"

_UNINDEXED = """
select id, sort_title from movies
where search_form < 1 and deleted_at is null
order by id limit $1
for no key update skip locked
"""

_TAKE_POPULARITY = """
update catalog_figures set computed_at = $1
where name = 'popularity' and computed_at < $2
returning true
"""

_POPULARITY = """
with counted as (
    select showtime.movie_id, count(*)::integer as seats
    from showtimes showtime
    join booking_seats seat on seat.showtime_id = showtime.id and seat.live
    where showtime.starts_at > $1 and showtime.starts_at < $2
    group by showtime.movie_id
)
update movies movie set popularity = coalesce(counted.seats, 0)
from movies known left join counted on counted.movie_id = known.id
where known.id = movie.id and movie.popularity <> coalesce(counted.seats, 0)
"""

_PLACES: Final[dict[MovieSort, str]] = {
    "title": "movie.sort_title",
    "release_date": "coalesce(movie.release_date - date '1970-01-01', -1000000)",
    "popularity": "movie.popularity",
    "relevance": "ranked.score",
}
"""The key of each order; all but that of titles begin with the greatest."""

_NO_RELEVANCE: Final = "0::integer"
"""A search for signs has no words that could be ranked."""

# A film counts with the best match for each word that is asked for, and has to have one for all.
_RANKED = """
ranked as (
    select matched.movie_id, sum(matched.score)::integer as score
    from (
        select known.movie_id, answer.place, max(answer.quality + known.weight) as score
        from unnest({}::text[], {}::integer[], {}::integer[]) as answer (word, place, quality)
        join movie_words known on known.word = answer.word collate "C"
        group by known.movie_id, answer.place
    ) matched
    group by matched.movie_id
    having count(*) = {}
)
"""

# No showtime is longer than a day.
_LONGEST: Final = timedelta(days=1)

Position = tuple[str | int, UUID]


class MovieFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which films.

    All that concerns showtimes must be true of one that is not cancelled: on the calendar of its
    cinema it starts on a day from `first_day` to `last_day`, or without any it is not over at
    `running_after`.
    """

    genre: str | None = None
    q: str | None = None
    first_day: date | None = None
    last_day: date | None = None
    cinema_id: UUID | None = None
    language: str | None = None
    format: str | None = None
    running_after: datetime | None = None


class MovieLists:
    """Lists and searches films; writes the words that searches find them by."""

    def __init__(self, pool: Pool, reads: Reads | None = None) -> None:
        self._pool = pool
        self._reads = reads or PrimaryReads(pool)

    async def list(
        self, wanted: MovieFilter, sort: MovieSort, *, after: Position | None, limit: int
    ) -> list[tuple[str | int, Movie]]:
        """Films in the order of `sort`, each with its place in it."""
        statement = _Statement(sort)
        if wanted.q is not None and not await self._search(statement, wanted.q):
            return []
        _narrow(statement, wanted)
        text = statement.text(after, limit)
        rows = await self._reads.fetch(text, *statement.arguments)
        return [(row["place"], movie_of(row)) for row in rows]

    async def _search(self, statement: _Statement, q: str) -> bool:
        """Narrow a statement to what answers `q`; whether anything can."""
        folded = fold(q)
        asked = asked_words(folded)
        if not asked:
            # Signs alone: titles that begin with them.
            statement.where('movie.sort_title >= {} collate "C"', folded)
            statement.where('movie.sort_title < ({} || chr(1114111)) collate "C"', folded)
            return bool(folded)
        rows = await self._reads.fetch(
            _VOCABULARY, asked, [" ".join(trigrams(word)) for word in asked], CANDIDATES
        )
        found = [
            (row["word"], asked.index(row["asked"]), quality)
            for row in rows
            if (quality := likeness(row["asked"], row["word"]))
        ]
        if len({place for _, place, _ in found}) < len(asked):
            return False
        words, places, qualities = zip(*found, strict=True)
        statement.search(words, places, qualities, len(asked))
        return True

    async def index_unindexed(self) -> int:
        """Give words to some films that have none yet; how many those were."""
        async with transaction(self._pool) as running:
            return await index_missing(running)

    async def count_popularity(self, now: datetime) -> bool:
        """Count anew how popular films are, if nobody has lately; whether it was done."""
        async with transaction(self._pool) as running:
            if not await running.fetchval(_TAKE_POPULARITY, now, now - POPULAR_AFTER):
                return False
            await running.execute(_POPULARITY, now - POPULAR_PAST, now + POPULAR_AHEAD)
            return True


class _Statement:
    """One list, with only the conditions that are asked for: each then has its index."""

    def __init__(self, sort: MovieSort) -> None:
        self.arguments: list[object] = []
        self._conditions = ["movie.deleted_at is null"]
        self._parts: list[str] = []
        self._joins: list[str] = []
        self._descends = sort != "title"
        self._place = _PLACES[sort]
        if sort == "relevance":
            self._place = _NO_RELEVANCE

    def _given(self, *values: object) -> list[str]:
        """Placeholders of values."""
        first = len(self.arguments) + 1
        self.arguments += values
        return [f"${first + place}" for place in range(len(values))]

    def where(self, condition: str, *values: object) -> None:
        """One more condition, with a `{}` for each value."""
        self._conditions.append(condition.format(*self._given(*values)))

    def search(
        self, words: Sequence[str], places: Sequence[int], qualities: Sequence[int], asked: int
    ) -> None:
        """Only films with a word for each place of what was asked, the best first."""
        self._parts.append(_RANKED.format(*self._given(words, places, qualities, asked)))
        self._joins.append("join ranked on ranked.movie_id = movie.id")
        if self._place == _NO_RELEVANCE:
            self._place = _PLACES["relevance"]

    def only_shown(self, condition: str, *values: object) -> None:
        """Only films of such showtimes, which are looked for first."""
        found = condition.format(*self._given(*values))
        self._parts.append(
            "shown as materialized (select distinct showtime.movie_id from showtimes showtime"
            f" where {found})"
        )
        self._joins.append("join shown on shown.movie_id = movie.id")

    def text(self, after: Position | None, limit: int) -> str:
        """The whole statement."""
        if after is not None:
            compare = "<" if self._descends else ">"
            self.where(f"({self._place}, movie.id) {compare} ({{}}, {{}})", *after)
        (limited,) = self._given(limit)
        parts = f"with {', '.join(self._parts)}" if self._parts else ""
        direction = " desc" if self._descends else ""
        return f"""{parts}
select {_QUALIFIED}, {self._place} as place
from movies movie {" ".join(self._joins)}
where {" and ".join(self._conditions)}
order by {self._place}{direction}, movie.id{direction}
limit {limited}
"""


def _narrow(statement: _Statement, wanted: MovieFilter) -> None:
    """The filters of a list; all of showtimes are about the same one."""
    if wanted.genre is not None:
        statement.where("movie.genre_keys @> array[{}::text]", fold(wanted.genre))
    shown: list[tuple[str, object]] = []
    if wanted.first_day is not None:
        shown.append(("showtime.local_date >= {}", wanted.first_day))
    if wanted.last_day is not None:
        shown.append(("showtime.local_date <= {}", wanted.last_day))
    if wanted.cinema_id is not None:
        shown.append(("showtime.cinema_id = {}", wanted.cinema_id))
    if wanted.language is not None:
        # `en` finds `en-GB` as well.
        tag = wanted.language.lower()
        shown.append(("lower(showtime.language) || '-' like {}", f"{tag}-%"))
    if wanted.format is not None:
        shown.append(("lower(showtime.format) = {}", wanted.format.lower()))
    if not shown:
        return
    if wanted.running_after is not None:
        shown.append(("showtime.ends_at > {}", wanted.running_after))
        shown.append(("showtime.starts_at > {}", wanted.running_after - _LONGEST))
    conditions = " and ".join(condition for condition, _ in shown)
    conditions = f"showtime.status <> 'cancelled' and {conditions}"
    values = [value for _, value in shown]
    if wanted.language is not None or wanted.format is not None:
        # How many showtimes have these, Postgres cannot know: if it took them for many, and there
        # are none, it would look at each film in turn.
        statement.only_shown(conditions, *values)
    else:
        statement.where(
            "exists (select from showtimes showtime where showtime.movie_id = movie.id"
            f" and {conditions})",
            *values,
        )


def movie_of(row: Record) -> Movie:
    """The film of a row with `MOVIE_COLUMNS`."""
    return Movie(**{field.name: row[field.name] for field in _FIELDS})


_FIELDS: Final = msgspec.structs.fields(Movie)


async def index_missing(running: PooledConnection) -> int:
    """Give words to some films that have none yet; how many those were."""
    rows = await running.fetch(_UNINDEXED, INDEXED_AT_ONCE)
    await index_titles(running, [(row["id"], row["sort_title"]) for row in rows])
    return len(rows)


async def forget_titles(running: PooledConnection, ids: Sequence[UUID]) -> None:
    """Let no search find these films any more."""
    await running.execute(_DROP_WORDS, ids)


async def index_titles(running: PooledConnection, titles: Sequence[tuple[UUID, str]]) -> None:
    """Let films be found by their folded titles, and no longer by what these were before."""
    if not titles:
        return
    ids = [movie_id for movie_id, _ in titles]
    words = [(movie_id, words_of(title)) for movie_id, title in titles]
    known = sorted({word for _, of_title in words for word in of_title})
    rows = [
        (word, movie_id, word_weight(len(of_title)))
        for movie_id, of_title in words
        for word in of_title
    ]
    await running.execute(_DROP_WORDS, ids)
    if rows:
        await running.execute(_ADD_VOCABULARY, known, [" ".join(trigrams(word)) for word in known])
        await running.execute(_ADD_WORDS, *map(list, zip(*rows, strict=True)))
    await running.execute(_INDEXED, ids, SEARCH_FORM)
