"""Lists of films in Postgres: by filters, by a search that forgives, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
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
from cinema.features.catalog.rules import shown_rating
from cinema.features.catalog.shapes import Movie, MovieSort
from cinema.storage.cache.versioned import Cache, Cached, NoCache, question
from cinema.storage.database.driver import Record
from cinema.storage.database.reads import PrimaryReads, Reads
from cinema.storage.database.transactions import Pool, PooledConnection, transaction

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

SEARCH_FORM: Final = 1
"""How words are made of titles; a film with words of an older form gets them anew."""

CANDIDATES: Final = 24
"""Words of the vocabulary looked at for each word that is asked for: those that begin with it, and
those that have most trigrams in common with it."""

FEW_FILMS: Final = 2000
"""So many films are looked up one by one. When more answer a part of the question, the list is read
in its order until the page is full."""

FEW_SHOWTIMES: Final = 4000
"""The films of so many showtimes are taken as they are."""

FEW_SHOWN: Final = 100
"""Different films among so many showtimes: with fewer, a list read in its order could be long in
finding them."""

KINDS_LIMIT: Final = 1000
"""Pairs of format and language that are looked at; houses have some dozen."""

INDEXED_AT_ONCE: Final = 500
"""Films that get their words in one transaction."""

POPULAR_AFTER: Final = timedelta(minutes=15)
"""How old the figures of popularity become."""

POPULAR_PAST: Final = timedelta(days=30)
POPULAR_AHEAD: Final = timedelta(days=60)
"""The showtimes whose sold seats make a film popular, by their start."""

MOVIE_COLUMNS: Final = (
    "id, title, description, genres, runtime_minutes, release_date, age_rating, "
    "languages, poster_url, trailer_url, rating_count, rating_sum, version"
)
_QUALIFIED: Final = ", ".join(f"movie.{name.strip()}" for name in MOVIE_COLUMNS.split(","))

# A range, since Postgres finds no prefix for LIKE in a value that it learns while it runs. How many
# films have a word is counted up to a bound: it only decides where to begin.
_VOCABULARY = f"""
select asked.word as asked, found.word, (
    select count(*) from (
        select from movie_words known where known.word = found.word limit {FEW_FILMS + 1}
    ) counted
) as films
from unnest($1::text[], $2::text[]) as asked (word, trigrams)
cross join lateral (
    (select vocabulary.word from movie_vocabulary vocabulary
     where vocabulary.word >= asked.word collate "C"
       and vocabulary.word < (asked.word || chr(1114111)) collate "C"
     order by length(vocabulary.word), vocabulary.word limit $3)
    union
    (select likely.word from movie_trigrams likely
     where likely.trigram = any(string_to_array(asked.trigrams, ' '))
       and length(likely.word) >= length(asked.word) - 2
     group by likely.word
     order by count(*) desc, length(likely.word), likely.word limit $3)
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

_SCORE: Final = "sum(matched.score)::integer"
_ANSWERS: Final = (
    "unnest({}::text[], {}::integer[], {}::integer[]) as answer (word, place, quality)"
)

# A film counts with the best match for each word that is asked for, and has to have one for all.
_RANKED = """
ranked as (
    select matched.movie_id, sum(matched.score)::integer as score
    from (
        select known.movie_id, answer.place, max(answer.quality + known.weight) as score
        from {answers}
        join {known}
        {only}
        group by known.movie_id, answer.place
    ) matched
    group by matched.movie_id
    having count(*) = {asked}{behind}
    {page}
)
"""
_HAS_A_WORD: Final = (
    "(select true from movie_words known where known.movie_id = movie.id"
    " and known.word = any({}::text[]) limit 1)"
)
_ALL_WORDS: Final = 'movie_words known on known.word = answer.word collate "C"'

# Where a word is rare, the others are only looked for in the films that have it.
_WORDS_OF_FEW: Final = """(
    select words.word, words.movie_id, words.weight
    from (
        select distinct rare.movie_id from unnest({}::text[]) as one (word)
        join movie_words rare on rare.word = one.word collate "C"
    ) few
    join movie_words words on words.movie_id = few.movie_id
) known on known.word = answer.word collate "C"
"""

# The next pair is always the next entry of the index: a look for each pair, not for each showtime.
_KINDS = f"""
with recursive kinds (format, language) as (
    (select lower(format) collate "C", lower(language) collate "C" from showtimes
     where status <> 'cancelled' order by 1, 2 limit 1)
    union all
    select further.* from kinds cross join lateral (
        select lower(showtime.format) collate "C", lower(showtime.language) collate "C"
        from showtimes showtime
        where showtime.status <> 'cancelled'
          and (lower(showtime.format) collate "C", lower(showtime.language) collate "C")
            > (kinds.format, kinds.language)
        order by 1, 2 limit 1
    ) further
)
select format, language from kinds limit {KINDS_LIMIT + 1}
"""

_GENRE: Final = "movie.genre_keys @> array[{}::text]"

_OF_GENRE = f"""
select count(*) as count, case when count(*) <= {FEW_FILMS} then array_agg(id) end as ids from (
    select id from movies movie
    where {_GENRE.format("$1")} and deleted_at is null limit {FEW_FILMS + 1}
) few
"""

# A calendar day somewhere on Earth lies within these of the same day in UTC.
_EAST: Final = timedelta(hours=15)
_WEST: Final = timedelta(hours=39)
# No showtime is longer than a day.
_LONGEST: Final = timedelta(days=1)

Position = tuple[str | int, UUID]

Placed = tuple[str | int, Movie]
"""A film with its place in the order of a list."""

Page = list[Placed]

LISTED_S: Final = 60
"""How long lists are kept; for as long, one may show a film whose last showtime is over."""

_LISTS: Final = "catalog:movies"
_OF_FILMS: Final = Cached[Page](_LISTS, Page, ttl_s=LISTED_S, rests_on=("movies",))
_OF_SHOWN_FILMS: Final = Cached[Page](
    _LISTS, Page, ttl_s=LISTED_S, rests_on=("movies", "showtimes")
)


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

    @property
    def is_about_showtimes(self) -> bool:
        """Whether showtimes decide which films these are."""
        days = (self.first_day, self.last_day)
        return any(one is not None for one in (*days, self.cinema_id, self.language, self.format))

    def question(self, sort: MovieSort, after: Position | None, limit: int) -> str:
        """What a list is asked for, however it is spelled."""
        words = None if self.q is None else asked_words(fold(self.q)) or fold(self.q)
        shown = (self.first_day, self.last_day, self.cinema_id, self.running_after is None)
        named = [one and one.lower() for one in (self.language, self.format)]
        genre = None if self.genre is None else fold(self.genre)
        return question(words, genre, *shown, *named, sort, after, limit)


class MovieLists:
    """Lists and searches films; writes the words that searches find them by."""

    def __init__(self, pool: Pool, reads: Reads | None = None, cache: Cache | None = None) -> None:
        self._pool = pool
        self._reads = reads or PrimaryReads(pool)
        self._cache = cache or NoCache()

    async def list(
        self, wanted: MovieFilter, sort: MovieSort, *, after: Position | None, limit: int
    ) -> Page:
        """Films in the order of `sort`, each with its place in it."""
        kind = _OF_SHOWN_FILMS if wanted.is_about_showtimes else _OF_FILMS
        found = await self._cache.read(
            kind,
            wanted.question(sort, after, limit),
            lambda: self._list(wanted, sort, after, limit),
        )
        return found or []

    async def _list(
        self, wanted: MovieFilter, sort: MovieSort, after: Position | None, limit: int
    ) -> Page:
        statement = _Statement(sort)
        if wanted.q is not None and not await self._search(statement, wanted.q):
            return []
        if wanted.genre is not None and not await self._of_genre(statement, wanted):
            return []
        if wanted.is_about_showtimes and not await self._shown(statement, wanted):
            return []
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
            _FoundWord(row["word"], asked.index(row["asked"]), quality, row["films"])
            for row in rows
            if (quality := likeness(row["asked"], row["word"]))
        ]
        if len({one.place for one in found}) < len(asked):
            return False
        statement.search(found, len(asked))
        return True

    async def _of_genre(self, statement: _Statement, wanted: MovieFilter) -> bool:
        """Narrow a statement to a genre; whether there can be such films."""
        genre = fold(wanted.genre or "")
        if wanted.q is None and not wanted.is_about_showtimes:
            (row,) = await self._reads.fetch(_OF_GENRE, genre)
            if row["count"] <= FEW_FILMS:
                return statement.only(row["ids"] or [])
        statement.where(_GENRE, genre)
        return True

    async def _shown(self, statement: _Statement, wanted: MovieFilter) -> bool:
        """Narrow a statement to films of such showtimes; whether there can be any.

        Postgres cannot know how many films a few showtimes are of. So some are looked at: if that
        is all of them, the films are known. If they are of many films, the list is read in its
        order, and finds a page of them soon. Else all such showtimes are read first.
        """
        found = _shown(wanted)
        if wanted.language is not None or wanted.format is not None:
            kinds = [tuple(row) for row in await self._reads.fetch(_KINDS)]
            if not found.is_of_kinds(wanted, kinds):
                return False
        (row,) = await self._reads.fetch(found.few(FEW_SHOWTIMES + 1), *found.values)
        if row["showtimes"] <= FEW_SHOWTIMES:
            return statement.only(row["films"] or [])
        if len(row["films"]) >= FEW_SHOWN:
            statement.where(found.exists(), *found.values)
        else:
            statement.only_shown(found.text, *found.values)
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


class _FoundWord(msgspec.Struct, frozen=True):
    """A word of the vocabulary that answers a place of the question; `films` up to a bound."""

    word: str
    place: int
    quality: int
    films: int


class _Statement:
    """One list, with only the conditions that are asked for: each then has its index."""

    def __init__(self, sort: MovieSort) -> None:
        self.arguments: list[object] = []
        self._conditions: list[str] = []
        self._found: list[_FoundWord] = []
        self._asked = 0
        self._films: list[UUID] | None = None
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

    def search(self, found: list[_FoundWord], asked: int) -> None:
        """Only films with a word for each place of what was asked, the best first."""
        self._found, self._asked = found, asked
        if self._place == _NO_RELEVANCE:
            self._place = _PLACES["relevance"]

    def only(self, films: list[UUID]) -> bool:
        """Only these films; whether there are any."""
        self._films = films
        return bool(films)

    def only_shown(self, condition: str, *values: object) -> None:
        """Only films of such showtimes, which are looked for first."""
        found = condition.format(*self._given(*values))
        self._parts.append(
            "shown as materialized (select distinct showtime.movie_id from showtimes showtime"
            f" where {found})"
        )
        self._joins.append("join shown on shown.movie_id = movie.id")

    @property
    def _is_common_word(self) -> bool:
        """Whether so many films have the one word asked for that their order finds them soon."""
        films = sum(one.films for one in self._found)
        return self._asked == 1 and films > FEW_FILMS and self._place != _PLACES["relevance"]

    def text(self, after: Position | None, limit: int) -> str:
        """The whole statement."""
        films = None
        if self._films is not None:
            (films,) = self._given(self._films)
        compare = "<" if self._descends else ">"
        behind = ""
        if after is not None:
            behind = f"({{}}, {{}}) {compare} ({', '.join(self._given(*after))})"
        (limited,) = self._given(limit)
        if self._found and self._is_common_word:
            words = [one.word for one in self._found]
            self._conditions.append(_HAS_A_WORD.format(*self._given(words)))
            if films is not None:
                self._conditions.append(f"movie.id = any({films}::uuid[])")
        elif self._found:
            # Where the order needs nothing else of the films, only those of the page are read.
            is_page = self._place == _PLACES["relevance"] and not (self._conditions or self._joins)
            page = behind.format(_SCORE, "matched.movie_id") if is_page else ""
            self._rank(films, page, limited if is_page else "")
        elif films is not None:
            self._conditions.append(f"movie.id = any({films}::uuid[])")
        if behind:
            self._conditions.append(behind.format(self._place, "movie.id"))
        parts = f"with {', '.join(self._parts)}" if self._parts else ""
        direction = " desc" if self._descends else ""
        return f"""{parts}
select {_QUALIFIED}, {self._place} as place
from movies movie {" ".join(self._joins)}
where {" and ".join(["movie.deleted_at is null", *self._conditions])}
order by {self._place}{direction}, movie.id{direction}
limit {limited}
"""

    def _rank(self, films: str | None, behind: str, limit: str) -> None:
        """The part that ranks: of some films if they are known, a page if there is a limit."""
        columns: list[list[object]] = [[], [], []]
        of_place = [0] * self._asked
        for one in self._found:
            for column, value in zip(columns, (one.word, one.place, one.quality), strict=True):
                column.append(value)
            of_place[one.place] += one.films
        answers = _ANSWERS.format(*self._given(*columns))
        known, few = _ALL_WORDS, min(of_place)
        if self._asked > 1 and few <= FEW_FILMS:
            rare = [one.word for one in self._found if one.place == of_place.index(few)]
            known = _WORDS_OF_FEW.format(*self._given(rare))
        (asked,) = self._given(self._asked)
        self._parts.append(
            _RANKED.format(
                answers=answers,
                known=known,
                only=f"where known.movie_id = any({films}::uuid[])" if films else "",
                asked=asked,
                behind=f" and {behind}" if behind else "",
                page=f"order by 2 desc, 1 desc limit {limit}" if limit else "",
            )
        )
        self._joins.append("join ranked on ranked.movie_id = movie.id")


class _Shown(msgspec.Struct):
    """Conditions of showtimes, each with a `{}` for its value; all are about the same one."""

    conditions: list[str]
    values: list[object]

    def add(self, condition: str, value: object) -> None:
        self.conditions.append(condition)
        self.values.append(value)

    @property
    def text(self) -> str:
        return " and ".join(["showtime.status <> 'cancelled'", *self.conditions])

    def is_of_kinds(self, wanted: MovieFilter, kinds: list[tuple[str, str]]) -> bool:
        """Name the formats and languages by which their index finds them; whether there are any.

        `en` finds `en-GB` as well.
        """
        tag = None if wanted.language is None else wanted.language.lower()
        form = None if wanted.format is None else wanted.format.lower()
        if len(kinds) > KINDS_LIMIT:
            if tag is not None:
                self.add("lower(showtime.language) || '-' like {}", f"{tag}-%")
            if form is not None:
                self.add("lower(showtime.format) = {}", form)
            return True
        found = [
            (of_format, of_language)
            for of_format, of_language in kinds
            if form in {None, of_format}
            and (tag is None or f"{of_language}-".startswith(f"{tag}-"))
        ]
        formats, languages = ({kind[place] for kind in found} for place in (0, 1))
        self.add('lower(showtime.format) collate "C" = any({}::text[])', sorted(formats))
        self.add('lower(showtime.language) collate "C" = any({}::text[])', sorted(languages))
        return bool(found)

    def few(self, limit: int) -> str:
        """A statement for the films of so many of them."""
        numbered = self.text.format(*(f"${place + 1}" for place in range(len(self.values))))
        return f"""
select count(*) as showtimes, array_agg(distinct movie_id) as films from (
    select showtime.movie_id from showtimes showtime where {numbered} limit {limit}
) few
"""

    def exists(self) -> str:
        """A condition on a film; with its limit Postgres looks at film by film, as it is meant."""
        return (
            "(select true from showtimes showtime where showtime.movie_id = movie.id"
            f" and {self.text} limit 1)"
        )


def _shown(wanted: MovieFilter) -> _Shown:
    """What is asked of showtimes, except their format and language."""
    shown = _Shown([], [])
    if wanted.first_day is not None:
        shown.add("showtime.local_date >= {}", wanted.first_day)
        shown.add("showtime.starts_at >= {}", _utc_midnight(wanted.first_day) - _EAST)
    if wanted.last_day is not None:
        shown.add("showtime.local_date <= {}", wanted.last_day)
        shown.add("showtime.starts_at < {}", _utc_midnight(wanted.last_day) + _WEST)
    if wanted.cinema_id is not None:
        shown.add("showtime.cinema_id = {}", wanted.cinema_id)
    if wanted.running_after is not None:
        shown.add("showtime.ends_at > {}", wanted.running_after)
        shown.add("showtime.starts_at > {}", wanted.running_after - _LONGEST)
    return shown


def _utc_midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def movie_of(row: Record) -> Movie:
    """The film of a row with `MOVIE_COLUMNS`."""
    rating = shown_rating(row["rating_count"], row["rating_sum"])
    return Movie(**{name: row[name] for name in _FIELDS}, rating=rating)


_FIELDS: Final = [one.name for one in msgspec.structs.fields(Movie) if one.name != "rating"]


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
