"""Plans of schedules as clients send and see them."""

from __future__ import annotations

from datetime import date as Date  # noqa: N812  (fields below are named `date`)
from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.domain.money import Money
from cinema.features.catalog.shapes import ClockTime, DayHours, LanguageTag, WeekHours

DAYS_LIMIT: Final = 14
"""Days of one plan: two weeks are what a cinema programmes at a time."""

FILMS_LIMIT: Final = 60
"""Films of one plan: three times those of a house with twelve screens."""

VERSIONS_LIMIT: Final = 6
"""Versions of one film: formats times languages."""

VISITORS_MAX: Final = 100_000
"""Visitors of a film on a day: more than any house has seats for."""

SECONDS_DEFAULT: Final = 60
SECONDS_LIMIT: Final = 600
"""How long a plan may be worked on, seconds; after that the best that was found is the plan."""

Format = Annotated[str, Meta(min_length=1, max_length=16)]
Count = Annotated[int, Meta(ge=0, le=100)]

Method = Literal["greedy", "solver"]
PlanStatus = Literal["queued", "running", "done", "failed", "cancelled", "applied"]


class PrimeTime(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parts of the day that begin in this time are prime time."""

    begins: ClockTime = "17:00"
    ends: ClockTime = "22:00"


class VersionInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A film as it can be shown; `share` of its visitors want this one."""

    format: Format = "2D"
    language: LanguageTag
    share: Annotated[float, Meta(ge=0, le=1)] = 1.0


class FilmInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A film to be shown. `visitors` want to see it on an average day, each worth `weight`.

    The bounds count shows a day. The lower ones are wishes: what is missing has a price. A
    children's film does not start late. Without `versions` it is shown in 2D and its first
    language.
    """

    movie_id: UUID
    visitors: Annotated[float, Meta(ge=0, le=VISITORS_MAX)]
    weight: Annotated[float, Meta(gt=0, le=100)] = 1.0
    children: bool = False
    versions: Annotated[list[VersionInput], Meta(max_length=VERSIONS_LIMIT)] = []
    shows_min: Count = 1
    shows_max: Count = 100
    prime_min: Count = 0


class ScreenFormats(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The formats that a screen can show."""

    screen_id: UUID
    formats: Annotated[list[Format], Meta(min_length=1, max_length=16)]


class PlanInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a plan is made from. Times are on the clock of the cinema.

    Screens that are not named show 2D. Without `opening_hours` and for dates that are no exception
    here, the cinema is open as its settings say, or else from 10:00 to 01:00. Showtimes that are
    there already stay where they are. `base_price` is for shows outside prime time, `prime_price`
    for those in it.
    """

    cinema_id: UUID
    date_from: Date
    date_to: Date
    films: Annotated[list[FilmInput], Meta(min_length=1, max_length=FILMS_LIMIT)]
    base_price: Money
    prime_price: Money | None = None
    opening_hours: WeekHours | None = None
    opening_exceptions: Annotated[list[DayHours], Meta(max_length=DAYS_LIMIT)] = []
    screens: Annotated[list[ScreenFormats], Meta(max_length=100)] = []
    prime_time: PrimeTime = PrimeTime()
    children_until: ClockTime = "18:30"
    grid_minutes: Literal[5, 10, 15, 20, 30] = 20
    starts_at_once: Annotated[int, Meta(ge=1, le=100)] = 3
    film_gap_minutes: Annotated[int, Meta(ge=0, le=240)] = 20
    show_cost: Annotated[float, Meta(ge=0, le=VISITORS_MAX)] = 1.0
    wish_price: Annotated[float, Meta(ge=0, le=VISITORS_MAX)] = 100.0
    seconds: Annotated[int, Meta(ge=1, le=SECONDS_LIMIT)] = SECONDS_DEFAULT


class PlannedShow(msgspec.Struct, frozen=True, kw_only=True):
    """A showtime that a plan would make."""

    movie_id: UUID
    screen_id: UUID
    starts_at: datetime
    ends_at: datetime
    format: str
    language: str
    base_price: Money


class UnmetWish(msgspec.Struct, frozen=True, kw_only=True):
    """A wish that the plan leaves open: `missing` shows, and the `price` that was paid for that."""

    wish: Literal["shows_min", "prime_min"]
    movie_id: UUID
    date: Date
    missing: int
    price: float


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What has been found for a plan so far, on the clock of `time_zone`."""

    time_zone: str | None = None
    method: Method | None = None
    objective: float | None = None
    bound: float | None = None
    gap: float | None = None
    shows: list[PlannedShow] = []
    unmet: list[UnmetWish] = []


class SchedulePlan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan, and how far it is; `job_id` is the job that makes it.

    `objective` is what it is worth: expected visitors by weight, less what shows and unmet wishes
    cost. No plan is worth more than `bound`; `gap` is the difference, as a share of the bound.
    `progress` goes from 0 to 1. `method` says how the plan was made.
    """

    id: UUID
    cinema_id: UUID
    job_id: UUID
    date_from: Date
    date_to: Date
    status: PlanStatus
    progress: float
    method: Method | None
    objective: float | None
    bound: float | None
    gap: float | None
    shows: list[PlannedShow]
    unmet: list[UnmetWish]
    created_at: datetime
    applied_at: datetime | None


class ScheduledShow(msgspec.Struct, frozen=True, kw_only=True):
    """A showtime with the names that a programme shows; `local_start` is on the cinema's clock."""

    id: UUID
    movie_id: UUID
    movie_title: str
    screen_id: UUID
    screen_name: str
    starts_at: datetime
    ends_at: datetime
    local_start: str
    format: str
    language: str
    base_price: Money


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """What a cinema shows on a day of its own calendar, by start."""

    cinema_id: UUID
    date: Date
    time_zone: str
    showtimes: list[ScheduledShow]


class ScheduleQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which day of the cinema's own calendar; today without one."""

    date: Date | None = None
