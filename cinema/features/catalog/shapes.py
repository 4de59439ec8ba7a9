"""The catalogue as clients send and see it: movies, cinemas and screens."""

from __future__ import annotations

from datetime import date, datetime
from datetime import date as Date  # noqa: N812  (a field below is named `date`)
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.domain.limits_catalog import BASE_PRICE_MINOR_MAX, PAGE_DEFAULT, SEARCH_CHARS
from cinema.domain.paging import Cursor, Limit
from cinema.domain.sale_rules import Rules
from cinema.domain.seatmap import MAX_ROWS, MAX_SEATS_PER_ROW, Layout

Tag = Annotated[str, Meta(min_length=1, max_length=40, pattern=r"^\S(.*\S)?$")]
Title = Annotated[str, Meta(min_length=1, max_length=300, pattern=r"^\S(.*\S)?$")]
CinemaName = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^\S(.*\S)?$")]
ScreenName = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^\S(.*\S)?$")]
City = Annotated[str, Meta(min_length=1, max_length=100)]
Link = Annotated[str, Meta(max_length=2000, pattern=r"^https?://[!-~]+$")]
LanguageTag = Annotated[
    str,
    Meta(pattern="^[a-zA-Z]{2,8}(-[a-zA-Z0-9]{1,8}){0,3}$", description="A BCP 47 tag, as `en`."),
]
Country = Annotated[str, Meta(pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2.")]
CurrencyCode = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217.")]
Instant = Annotated[datetime, Meta(tz=True)]
SeatCategory = Annotated[str, Meta(min_length=1, max_length=32)]
PriceMinor = Annotated[int, Meta(ge=0, le=BASE_PRICE_MINOR_MAX)]


class MovieInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A film as an admin enters it."""

    title: Title
    description: Annotated[str, Meta(max_length=5000)] = ""
    genres: Annotated[list[Tag], Meta(max_length=16)] = []
    runtime_minutes: Annotated[int, Meta(ge=1, le=1000)]
    release_date: date | None = None
    age_rating: Annotated[str, Meta(min_length=1, max_length=16)] | None = None
    languages: Annotated[list[LanguageTag], Meta(max_length=32)] = []
    poster_url: Link | None = None
    trailer_url: Link | None = None


class Movie(msgspec.Struct, frozen=True, kw_only=True):
    """A film that is, was or will be shown; each change makes another `version`."""

    id: UUID
    title: str
    description: str
    genres: list[str]
    runtime_minutes: int
    release_date: date | None
    age_rating: str | None
    languages: list[str]
    poster_url: str | None
    trailer_url: str | None
    version: int = 1


class CinemaInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cinema as an admin enters it; `time_zone` is a name of the IANA database."""

    name: CinemaName
    address: Annotated[str, Meta(max_length=300)] = ""
    city: City
    country: Country
    time_zone: Annotated[str, Meta(min_length=1, max_length=64)]
    currency: CurrencyCode


class Cinema(msgspec.Struct, frozen=True, kw_only=True):
    """A building with screens; its days are those of `time_zone`, its prices are in `currency`."""

    id: UUID
    name: str
    address: str
    city: str
    country: str
    time_zone: str
    currency: str
    version: int = 1


class Grid(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A plain rectangle of regular seats."""

    rows: Annotated[int, Meta(ge=1, le=MAX_ROWS)]
    columns: Annotated[int, Meta(ge=1, le=MAX_SEATS_PER_ROW)]


class ScreenInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new screen, with either a `layout` or a `grid`."""

    cinema_id: UUID
    name: ScreenName
    layout: Layout | None = None
    grid: Grid | None = None
    rules: Rules = Rules()


class ScreenChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may change of a screen; its seats have a route of their own."""

    name: ScreenName


class LayoutInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The next version of a screen's seats, as either a `layout` or a `grid`."""

    layout: Layout | None = None
    grid: Grid | None = None


class Screen(msgspec.Struct, frozen=True, kw_only=True):
    """A room with seats; new showtimes get the version `layout_version`."""

    id: UUID
    cinema_id: UUID
    name: str
    layout_version: int
    seat_count: int
    version: int = 1


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """What is no longer in the catalogue. Bookings of it stay as they are."""

    id: UUID
    deleted_at: datetime


class UpcomingShowtime(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps something from being deleted: a showtime that is not over."""

    id: UUID
    starts_at: datetime
    bookings: int


class ScreenLayout(msgspec.Struct, frozen=True, kw_only=True):
    """The fixed part of a screen's seat map; a version never changes."""

    screen_id: UUID
    layout_version: int
    seat_count: int
    layout: Layout


MovieSort = Literal["relevance", "title", "release_date", "popularity"]


class MovieQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which films, and in which order.

    `q` is searched for in titles: the beginning of a word will do, and typing errors are forgiven.
    Days, `cinema_id`, `language` and `format` are about one and the same showtime that is not
    cancelled; days are those of its cinema's calendar, and without any it is not over yet. `sort`
    is `relevance` where there is a `q`, else `title`; the newest and the most popular come first.
    """

    genre: Annotated[str, Meta(max_length=SEARCH_CHARS)] | None = None
    q: Annotated[str, Meta(max_length=SEARCH_CHARS)] | None = None
    date: Date | None = None
    date_from: Date | None = None
    date_to: Date | None = None
    cinema_id: UUID | None = None
    language: LanguageTag | None = None
    format: Annotated[str, Meta(min_length=1, max_length=16)] | None = None
    sort: MovieSort | None = None
    limit: Limit = PAGE_DEFAULT
    cursor: Cursor | None = None
