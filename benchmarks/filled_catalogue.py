"""A large catalogue, written by SQL as if a chain had been run for years."""

import random
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import msgspec

from cinema.domain.searching import trigrams, word_weight, words_of

CINEMAS = 40
SCREENS_EACH = 10
SHOWS_A_DAY = 5
"""Showtimes a day and screen; half of all days lie behind."""

USERS_EACH = 1
"""Accounts for each film."""

WORDS_EACH = 0.4
"""Words of the vocabulary for each film, until it is as large as a language."""

WORDS_MOST = 60_000
SYLLABLES = (
    "ba be bi bo bra bre da de di do dra en er fa fe fi fo ga ge gi go gra gre ha he hi in is ka "
    "ke ki ko la le li lo lu ma me mi mo mu na ne ni no nor pa pe pi po pra ra re ri ro ru sa se "
    "si so sta ste sto ta te ti to tra tre tri un va ve vi vo wa we"
)
GENRES = ("Drama", "Comedy", "Action", "Horror", "Family", "Animation", "Documentary", "Romance")
FORMATS = ("2D", "2D", "2D", "2D", "3D", "3D", "IMAX", "4DX")
LANGUAGES = ("de", "de", "en", "en", "en-GB", "fr", "pl", "tr")

SEED = 11

_MOVIES = """
insert into movies (id, title, description, runtime_minutes, release_date, genres, languages,
    sort_title, genre_keys, created_at, search_form, popularity)
select id, title, repeat('What happens in this film, and why one should see it. ', 6),
    80 + n % 90, date '1950-01-01' + (n * 7919 % 27000)::int, array[genre],
    array['de', 'en'], lower(title), array[lower(genre)], now(), 1, n * 31 % 1000
from (
    select n, ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid as id, title,
        ($2::text[])[1 + n % cardinality($2::text[])] as genre
    from unnest($1::text[]) with ordinality as given (title, n)
) film
"""

_HOUSES = """
insert into cinemas (id, name, city, country, time_zone, currency, created_at)
select ('00000000-0000-7000-8001-' || lpad(to_hex(n), 12, '0'))::uuid, 'Cinema ' || n, 'Berlin',
    'DE', 'Europe/Berlin', 'EUR', now()
from generate_series(1, $1::int) n
"""

_SCREENS = """
insert into screens (id, cinema_id, name, layout_version, seat_count, created_at)
select ('00000000-0000-7000-8002-' || lpad(to_hex(n), 12, '0'))::uuid,
    ('00000000-0000-7000-8001-' || lpad(to_hex(1 + n % $1::int), 12, '0'))::uuid, 'Screen ' || n,
    1, 1, now()
from generate_series(1, $2::int) n
"""

_LAYOUTS = """
insert into screen_layouts (screen_id, version, layout, seat_count, created_at)
select id, 1, '{"rows": []}', 1, now() from screens
"""

# A film runs for some weeks: on one day a few hundred are shown, the newest of them most.
_SHOWTIMES = """
insert into showtimes (id, movie_id, cinema_id, screen_id, screen_no, layout_version, starts_at,
    ends_at, clear_at, local_date, base_price_minor, currency, format, language, status,
    sales_opens_at, sales_closes_at, created_at)
select ('00000000-0000-7003-8000-' || lpad(to_hex(
        (day * $3::bigint + screen_no) * $4::bigint + slot), 12, '0'))::uuid,
    ('00000000-0000-7000-8000-' || lpad(to_hex(1 + (
        day * $2::bigint / $1 + (screen_no * 7 + slot * 13 + day * 3) % 300) % $2), 12, '0'))::uuid,
    cinema_id, id, screen_no, 1, s, s + interval '2 hours', s + interval '130 minutes',
    (s at time zone 'Europe/Berlin')::date, 1250, 'EUR',
    ($5::text[])[1 + (screen_no * 3 + slot + day) % cardinality($5::text[])],
    ($6::text[])[1 + (screen_no + slot * 5 + day) % cardinality($6::text[])],
    case when (screen_no + slot * 7 + day) % 50 = 0 then 'cancelled' else 'scheduled' end,
    s - interval '30 days', s + interval '15 minutes', now()
from screens, generate_series(0, $1::int - 1) day, generate_series(1, $4::int) slot,
    lateral (
        select $7::timestamptz + (day - $1 / 2) * interval '1 day'
            + slot * interval '2 hours 30 min' as s
    ) t
"""

_USERS = """
insert into users (id, email, email_key, password_hash, first_name, last_name, role, created_at)
select ('00000000-0000-7004-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
    'u' || n || '@example.org', 'u' || n || '@example.org', 'none', 'First' || n % 977,
    'Last' || n % 9973, case when n % 500 = 0 then 'staff' else 'customer' end,
    now() - n * interval '1 minute'
from generate_series(1, $1::int) n
"""

_MANAGERS = """
insert into cinema_managers (user_id, cinema_id)
select account.id, cinema.id from (
    select id, row_number() over (order by id) as n from users where role = 'staff'
) account join (
    select id, row_number() over (order by id) as n from cinemas
) cinema on cinema.n = 1 + account.n % (select count(*) from cinemas)
"""


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to ask for; the films are those that are shown next."""

    titles: list[str]
    today: datetime
    cinema_ids: list[UUID]
    shown_ids: list[UUID]
    showtimes: int


def vocabulary(draw: random.Random, films: int) -> list[str]:
    """Words as of a language: many that are alike, and a few that are everywhere."""
    words: dict[str, None] = dict.fromkeys(("the", "of", "and", "love", "night", "man", "war"))
    while len(words) < min(WORDS_MOST, films * WORDS_EACH + 100):
        words["".join(draw.choices(SYLLABLES.split(), k=draw.choice((2, 3, 3, 4))))] = None
    return list(words)


def titles(draw: random.Random, films: int) -> list[str]:
    """Titles of one to four words; the word of rank n is n times as rare as the first (Zipf)."""
    words = vocabulary(draw, films)
    weights = [1 / (rank + 2) for rank in range(len(words))]
    lengths = draw.choices((1, 2, 3, 4), weights=(2, 5, 4, 2), k=films)
    drawn = iter(draw.choices(words, weights=weights, k=sum(lengths)))
    made = (" ".join(next(drawn) for _ in range(length)).title() for length in lengths)
    # Each is a film of its own: repeated titles get the number of a sequel.
    seen: dict[str, int] = {}
    found = []
    for title in made:
        seen[title] = seen.get(title, 0) + 1
        found.append(title if seen[title] == 1 else f"{title} {seen[title]}")
    return found


async def fill_catalogue(dsn: str, films: int, showtimes: int) -> Catalogue:
    """Write so many films and at least so many showtimes into a new database.

    Without the checks of foreign keys, and without the constraint against overlaps, which no list
    uses and which takes longer than everything else.
    """
    draw = random.Random(SEED)
    named = titles(draw, films)
    screens = CINEMAS * SCREENS_EACH
    days = max(2, -(-showtimes // (screens * SHOWS_A_DAY)))
    today = datetime.now(UTC).replace(hour=8, minute=0, second=0, microsecond=0)
    connection = await asyncpg.connect(dsn, command_timeout=1800)
    try:
        await connection.execute(
            "alter table showtimes drop constraint if exists showtimes_screen_occupied"
        )
        await connection.execute(_MOVIES, named, list(GENRES))
        await _index(connection, named)
        # Nobody counts them anew meanwhile.
        await connection.execute("update catalog_figures set computed_at = now()")
        await connection.execute("set session_replication_role = replica")
        await connection.execute(_HOUSES, CINEMAS)
        await connection.execute(_SCREENS, CINEMAS, screens)
        await connection.execute(_LAYOUTS)
        given = (days, films, screens, SHOWS_A_DAY, list(FORMATS), list(LANGUAGES), today)
        await connection.execute(_SHOWTIMES, *given)
        await connection.execute(_USERS, films * USERS_EACH)
        await connection.execute(_MANAGERS)
        await connection.execute("vacuum analyze")
        made = await connection.fetchval("select count(*) from showtimes")
        cinemas = await connection.fetch("select id from cinemas order by id")
        shown = await connection.fetch(
            "select distinct movie_id from (select movie_id from showtimes where starts_at > $1 "
            "and status = 'scheduled' order by starts_at, id limit 1000) soon order by 1 limit 50",
            today,
        )
    finally:
        await connection.close()
    return Catalogue(
        titles=named,
        today=today,
        cinema_ids=[UUID(str(row[0])) for row in cinemas],
        shown_ids=[UUID(str(row[0])) for row in shown],
        showtimes=made,
    )


async def _index(connection: "asyncpg.Connection[asyncpg.Record]", named: list[str]) -> None:
    """What searches find the films by, as the server writes it."""
    known: dict[str, None] = {}
    rows = []
    for number, title in enumerate(named, 1):
        words = words_of(title.lower())
        known.update(dict.fromkeys(words))
        movie_id = UUID(f"00000000-0000-7000-8000-{number:012x}")
        rows += [(word, movie_id, word_weight(len(words))) for word in words]
    await connection.copy_records_to_table("movie_words", records=rows)
    await connection.copy_records_to_table(
        "movie_vocabulary", records=[(word, trigrams(word)) for word in known]
    )
