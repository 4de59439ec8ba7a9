"""The demo's films, cinemas and screens. The films are real, the cinemas are invented."""

from __future__ import annotations

from datetime import date
from hashlib import blake2b
from typing import Final, NamedTuple
from uuid import UUID

from cinema.demo.plans import demo_plans
from cinema.domain.ids import RANDOM_BITS, new_id
from cinema.domain.seatmap import Layout
from cinema.features.catalog.shapes import (
    Cinema,
    CinemaSettings,
    DayHours,
    Hours,
    Movie,
    Screen,
    WeekHours,
)

# 2026-01-01T00:00:00Z; the ids of the demo are the same on every machine.
_MADE_AT_US: Final = 1_767_225_600_000_000


class DemoFilm(NamedTuple):
    """A film of the demo; runtime, date and rating are those of its first release."""

    title: str
    runtime_minutes: int
    release_date: date
    age_rating: str
    language: str
    genres: tuple[str, ...]
    description: str


FILMS: Final = (
    DemoFilm(
        "Metropolis",
        153,
        date(1927, 1, 10),
        "NR",
        "de",
        ("Science Fiction", "Drama"),
        "In a city of towers and machines, the ruler's son finds those who keep it running.",
    ),
    DemoFilm(
        "Casablanca",
        102,
        date(1943, 1, 23),
        "PG",
        "en",
        ("Drama", "Romance", "War"),
        "A café owner in wartime Morocco meets the woman he once lost, and her husband.",
    ),
    DemoFilm(
        "The Godfather",
        175,
        date(1972, 3, 24),
        "R",
        "en",
        ("Crime", "Drama"),
        "The youngest son of a New York mafia family is drawn into the business he shunned.",
    ),
    DemoFilm(
        "Pulp Fiction",
        154,
        date(1994, 10, 14),
        "R",
        "en",
        ("Crime", "Thriller"),
        "Two hit men, a boxer and a pair of robbers cross paths in Los Angeles.",
    ),
    DemoFilm(
        "The Matrix",
        136,
        date(1999, 3, 31),
        "R",
        "en",
        ("Science Fiction", "Action"),
        "A programmer learns that the world he lives in is a simulation.",
    ),
    DemoFilm(
        "Amélie",
        122,
        date(2001, 4, 25),
        "R",
        "fr",
        ("Comedy", "Romance"),
        "A shy waitress in Montmartre decides to change the lives of those around her.",
    ),
    DemoFilm(
        "Spirited Away",
        125,
        date(2001, 7, 20),
        "PG",
        "ja",
        ("Animation", "Fantasy", "Family"),
        "A girl works in a bathhouse for spirits to free her parents from a spell.",
    ),
    DemoFilm(
        "Inception",
        148,
        date(2010, 7, 16),
        "PG-13",
        "en",
        ("Science Fiction", "Action", "Thriller"),
        "A thief who steals secrets from dreams is asked to plant an idea instead.",
    ),
    DemoFilm(
        "Mad Max: Fury Road",
        120,
        date(2015, 5, 15),
        "R",
        "en",
        ("Action", "Science Fiction"),
        "A drifter and a rebel flee a tyrant across the desert.",
    ),
    DemoFilm(
        "Parasite",
        132,
        date(2019, 5, 30),
        "R",
        "ko",
        ("Thriller", "Drama", "Comedy"),
        "A poor family moves, one by one, into the household of a rich one.",
    ),
    DemoFilm(
        "Oppenheimer",
        180,
        date(2023, 7, 21),
        "R",
        "en",
        ("Drama", "History", "Biography"),
        "The physicist who led the making of the atomic bomb, and what came of it for him.",
    ),
    DemoFilm(
        "Dune: Part Two",
        166,
        date(2024, 3, 1),
        "PG-13",
        "en",
        ("Science Fiction", "Adventure"),
        "Paul Atreides joins the Fremen and takes up the war against those who felled his house.",
    ),
)


class DemoCinema(NamedTuple):
    """A cinema, with the short names of its screens' plans, and how it is run."""

    cinema: Cinema
    plans: tuple[str, ...]
    settings: CinemaSettings


def demo_id(kind: str, name: str, at_us: int = _MADE_AT_US) -> UUID:
    """An id that is derived from a name."""
    digest = blake2b(f"{kind}/{name}".encode(), digest_size=10).digest()
    return UUID(bytes=new_id(at_us, int.from_bytes(digest, "big") & ((1 << RANDOM_BITS) - 1)))


def _cinema(
    name: str, address: str, city: str, country: str, time_zone: str, currency: str
) -> Cinema:
    return Cinema(
        id=demo_id("cinema", name),
        name=name,
        address=address,
        city=city,
        country=country,
        time_zone=time_zone,
        currency=currency,
    )


def _week(weekday: Hours, weekend: Hours) -> WeekHours:
    return WeekHours(
        monday=weekday,
        tuesday=weekday,
        wednesday=weekday,
        thursday=weekday,
        friday=weekday,
        saturday=weekend,
        sunday=weekend,
    )


def _every_year(month: int, day: int, opens: str, closes: str) -> list[DayHours]:
    hours = Hours(opens=opens, closes=closes)
    return [DayHours(date=date(year, month, day), hours=hours) for year in _YEARS]


_YEARS: Final = range(2026, 2036)

AURORA: Final = DemoCinema(
    _cinema("Kino Aurora", "Lindenufer 12", "Berlin", "DE", "Europe/Berlin", "EUR"),
    ("classic", "grand", "studio"),
    CinemaSettings(
        opening_hours=_week(
            Hours(opens="14:00", closes="01:00"), Hours(opens="11:00", closes="01:00")
        ),
        opening_exceptions=[
            *_every_year(12, 24, "11:00", "18:00"),
            *_every_year(12, 31, "11:00", "22:00"),
        ],
        rating_system="FSK",
        legal_name="Aurora Lichtspiele GmbH",
        legal_address="Lindenufer 12, 10178 Berlin",
        tax_number="DE123456789",
        tax_rates={"standard": 1900, "reduced": 700},
        invoice_prefix="BER-",
    ),
)
MERIDIAN: Final = DemoCinema(
    _cinema("The Meridian", "214 Harbor Lane", "New York", "US", "America/New_York", "USD"),
    ("scope", "lounge"),
    CinemaSettings(
        opening_hours=_week(
            Hours(opens="13:00", closes="00:30"), Hours(opens="11:00", closes="01:00")
        ),
        opening_exceptions=_every_year(12, 25, "15:00", "23:30"),
        ads_minutes=15,
        cleaning_minutes=20,
        rating_system="MPA",
        legal_name="Meridian Pictures LLC",
        legal_address="214 Harbor Lane, New York, NY 10004",
        tax_rates={"standard": 888},
        invoice_prefix="NYC-",
    ),
)
HOUSES: Final = (AURORA, MERIDIAN)


def movies() -> list[Movie]:
    """The films as the catalogue shows them."""
    return [
        Movie(
            id=demo_id("movie", film.title),
            title=film.title,
            description=film.description,
            genres=list(film.genres),
            runtime_minutes=film.runtime_minutes,
            release_date=film.release_date,
            age_rating=film.age_rating,
            languages=[film.language],
            poster_url=None,
            trailer_url=None,
        )
        for film in FILMS
    ]


def screen_id(house: DemoCinema, plan: str) -> UUID:
    """The id of a cinema's screen with this plan."""
    return demo_id("screen", f"{house.cinema.name}/{plan}")


def screens() -> list[tuple[Screen, Layout]]:
    """All screens with their layouts."""
    plans = demo_plans()
    return [
        (
            Screen(
                id=screen_id(house, plan),
                cinema_id=house.cinema.id,
                name=plans[plan].screen_name,
                layout_version=1,
                seat_count=sum(len(row.seats) for row in plans[plan].layout.rows),
            ),
            plans[plan].layout,
        )
        for house in HOUSES
        for plan in house.plans
    ]
