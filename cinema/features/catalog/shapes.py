"""The catalogue as clients send and see it: movies, cinemas and screens."""

from __future__ import annotations

from datetime import date, datetime
from datetime import date as Date  # noqa: N812  (a field below is named `date`)
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.domain.limits_catalog import (
    ADS_MINUTES,
    BASE_PRICE_MINOR_MAX,
    CLEANING_MINUTES,
    PAGE_DEFAULT,
    SEARCH_CHARS,
)
from cinema.domain.paging import Cursor, Limit
from cinema.domain.sale_rules import Rules
from cinema.domain.seatmap import MAX_ROWS, MAX_SEATS_PER_ROW, Layout

Tag = Annotated[str, Meta(min_length=1, max_length=40, pattern=r"^\S(.*\S)?$")]
Title = Annotated[str, Meta(min_length=1, max_length=300, pattern=r"^\S(.*\S)?$")]
CinemaName = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^\S(.*\S)?$")]
ScreenName = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^\S(.*\S)?$")]
City = Annotated[str, Meta(min_length=1, max_length=100)]
Link = Annotated[str, Meta(max_length=2000, pattern=r"^https?://[!-~]+$")]
PosterUrl = Annotated[
    str,
    Meta(
        max_length=2000,
        pattern=r"^(https?://[!-~]+|/media/[0-9a-f]{64}-(342|780|1560)\.webp)$",
        description="An address, or that of an uploaded poster.",
    ),
]
LanguageTag = Annotated[
    str,
    Meta(pattern="^[a-zA-Z]{2,8}(-[a-zA-Z0-9]{1,8}){0,3}$", description="A BCP 47 tag, as `en`."),
]
Country = Annotated[str, Meta(pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2.")]
CurrencyCode = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217.")]
Instant = Annotated[datetime, Meta(tz=True)]
SeatCategory = Annotated[str, Meta(min_length=1, max_length=32)]
ClockTime = Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["10:30"])]
LAYOUT_VERSION_MAX: Final = 2**31 - 1
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
    poster_url: PosterUrl | None = None
    trailer_url: Link | None = None


class Rating(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What people who have seen a film say of it, from 1 to 5.

    The `average` is a cautious one: as if some others had rated the film in the middle. It is null
    while nobody has.
    """

    average: float | None
    count: int


UNRATED: Final = Rating(average=None, count=0)


class Movie(msgspec.Struct, frozen=True, kw_only=True):
    """A film that is, was or will be shown; each change makes another `version`.

    Ratings make none: they are not described by whoever changes a film.
    """

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
    rating: Rating = UNRATED
    version: int = 1

    @property
    def beside(self) -> tuple[float, ...]:
        """What it shows that changes without another version."""
        average, count = self.rating.average, self.rating.count
        return () if average is None else (count, average)


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


class Hours(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a cinema is open on one day; one that closes before it opens closes on the next day."""

    opens: ClockTime
    closes: ClockTime


class WeekHours(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a cinema is open by weekday; null is closed."""

    monday: Hours | None = None
    tuesday: Hours | None = None
    wednesday: Hours | None = None
    thursday: Hours | None = None
    friday: Hours | None = None
    saturday: Hours | None = None
    sunday: Hours | None = None


class DayHours(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A day that is an exception; without `hours` the cinema is closed."""

    date: Date
    hours: Hours | None = None


class RefundStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is given back until so many hours before the start; `fees` if they are too."""

    hours_before: Annotated[int, Meta(ge=0, le=8760)]
    percent: Annotated[int, Meta(ge=0, le=100)]
    fees: bool = False


def _usual_refunds() -> list[RefundStep]:
    return [RefundStep(hours_before=2, percent=100)]


class CinemaSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a cinema is run. Managers set opening hours, minutes and the start of the day."""

    opening_hours: Annotated[
        WeekHours | None, Meta(description="Null where nobody has said when the cinema is open.")
    ] = None
    opening_exceptions: Annotated[list[DayHours], Meta(max_length=400)] = []
    ads_minutes: Annotated[
        int, Meta(ge=0, le=120, description="Advertisements before each film, part of it.")
    ] = ADS_MINUTES
    cleaning_minutes: Annotated[
        int, Meta(ge=0, le=240, description="How long a screen stays empty behind each showtime.")
    ] = CLEANING_MINUTES
    ticket_early_minutes: Annotated[int, Meta(ge=0, le=1440)] = 30
    ticket_grace_minutes: Annotated[int, Meta(ge=0, le=1440)] = 15
    business_day_starts_at: ClockTime = "06:00"
    rating_system: Annotated[
        Annotated[str, Meta(pattern="^[A-Z][A-Z0-9-]{1,15}$")] | None,
        Meta(
            description="By which system this cinema asks for ages, such as FSK or MPA, for people "
            "and programs that show it. A film has one `age_rating`, which is printed and checked "
            "at the door as it is, whatever the system."
        ),
    ] = None
    legal_name: Annotated[
        str, Meta(max_length=200, description="Who sells, on invoices; else the cinema's name.")
    ] = ""
    legal_address: Annotated[
        str,
        Meta(max_length=300, description="With the city; else the address of the cinema."),
    ] = ""
    tax_number: Annotated[str, Meta(max_length=40)] = ""
    tax_rates: Annotated[
        dict[
            Annotated[str, Meta(min_length=1, max_length=32)],
            Annotated[int, Meta(ge=0, le=10_000)],
        ],
        Meta(max_length=8, description="By name, in hundredths of a percent: 1900 is 19 %."),
    ] = {}
    invoice_prefix: Annotated[str, Meta(pattern="^[A-Z0-9-]{0,12}$")] = ""
    refund_policy: Annotated[
        list[RefundStep], Meta(max_length=10, description="Behind the last step nothing is.")
    ] = msgspec.field(default_factory=_usual_refunds)
    points_percent: Annotated[
        int,
        Meta(
            ge=0,
            le=100,
            description="What customers earn in loyalty points, in percent of what they pay.",
        ),
    ] = 0
    points_valid_months: Annotated[
        int, Meta(ge=1, le=120, description="For how long these points can be used.")
    ] = 24
    series_discount_percent: Annotated[
        int, Meta(ge=0, le=100, description="What goes off tickets of a series, in percent.")
    ] = 0


class SettingsOfCinema(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a cinema; `version` is the cinema's, as in its `ETag`."""

    id: UUID
    version: int
    settings: CinemaSettings


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
    rules: Annotated[
        Rules | None, Meta(description="All of them anew; without it they stay as they are.")
    ] = None


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
    rules: Rules = Rules()


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """What is no longer in the catalogue. Bookings of it stay as they are.

    While `deleted_at` is null it is still there: the job `job_id` cancels its coming showtimes,
    and then deletes it.
    """

    id: UUID
    deleted_at: datetime | None
    job_id: UUID | None = None


class UpcomingShowtime(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps something from being deleted or changed: a showtime that is not over."""

    id: UUID
    starts_at: datetime
    bookings: int


class ScreenLayout(msgspec.Struct, frozen=True, kw_only=True):
    """The fixed part of a screen's seat map; a version never changes."""

    screen_id: UUID
    layout_version: int
    seat_count: int
    layout: Layout


class LayoutQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which version of a layout; the current one by default."""

    version: Annotated[int, Meta(ge=1, le=LAYOUT_VERSION_MAX)] | None = None


class LayoutVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a screen's layout, and how many showtimes sell by it.

    `showtimes` are all that ever did, `coming_showtimes` those that are neither over nor
    cancelled. `created_by` is null where nobody is known to have made it.
    """

    layout_version: int
    seat_count: int
    created_at: datetime
    created_by: UUID | None
    current: bool
    showtimes: int
    coming_showtimes: int


ScreenSide = Literal["top", "bottom"]


class ImportQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether only to report, and on which side of the drawing the screen is."""

    dry_run: bool = False
    screen_at: ScreenSide = "top"


class ImportNote(msgspec.Struct, frozen=True, kw_only=True):
    """What is otherwise in the layout than in the plan: how often, and the first places in it."""

    code: str
    message: str
    count: int
    paths: list[str]


class ImportedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the plan, and the label that it has in the layout."""

    zone: str
    row: str
    label: str
    seats: int


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a seating plan.

    `categories` has the seats of each, `dropped` how often a field is in the plan that a layout
    does not have.
    """

    name: str
    seats: int
    rows: list[ImportedRow]
    categories: dict[str, int]
    dropped: dict[str, int]
    notes: list[ImportNote]


class LayoutImport(msgspec.Struct, frozen=True, kw_only=True):
    """The screen with its new layout, or null after a dry run, and the report."""

    screen: Screen | None
    report: ImportReport


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
