"""Reports as clients ask for them and see them. Amounts are minor units of `currency`."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.features.reports.shapes import ReportForm

ROWS_MAX: Final = 20_000
"""Most rows of a report: more than a month of showtimes of a large chain."""

LIVE_SHOWN: Final = 100

CapacityGroup = Literal["showtime", "date", "movie", "cinema", "screen"]
RevenueGroup = Literal["date", "movie", "cinema", "showtime", "ticket_type", "method"]
OccupancyGroup = Literal["screen", "cinema", "movie", "date", "weekday", "hour"]
FunnelGroup = Literal["date", "movie", "cinema", "screen", "showtime", "weekday", "hour"]
ExperimentGroup = Literal["arm", "date"]
CashGroup = Literal["date", "cinema", "till"]
Measure = Literal["clicked", "booked_shown", "booked"]
Percent = Annotated[float | None, Meta(description="Null if there is nothing.")]


class PeriodQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Business days of the cinemas, both included; without `cinema_id` all that you run."""

    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")
    cinema_id: UUID | None = None
    format: Annotated[ReportForm | None, Meta(description="Else what `Accept` asks for.")] = None


class CapacityQuery(PeriodQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which seats, and by what."""

    group_by: CapacityGroup = "date"


class RevenueQuery(PeriodQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which money, and by what."""

    group_by: RevenueGroup = "date"


class OccupancyQuery(PeriodQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which showtimes, and by what."""

    group_by: OccupancyGroup = "screen"


class FunnelQuery(PeriodQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which showtimes, and by what."""

    group_by: FunnelGroup = "date"


class CashQuery(PeriodQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which tills, and by what."""

    group_by: CashGroup = "date"


class PopularQuery(PeriodQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which films."""

    limit: Annotated[int, Meta(ge=1, le=500)] = 20


class DashboardQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which cinema; without `cinema_id` all that you run."""

    cinema_id: UUID | None = None


class ReportMeta(msgspec.Struct, frozen=True, kw_only=True):
    """What the rows are about.

    `waiting` events are not in the figures yet. While `rebuilding`, older showtimes may lack.
    """

    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")
    waiting: int
    rebuilding: bool


class CapacityRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Seats of showtimes that were not cancelled: all, sold, and let in."""

    key: str
    label: str
    showtimes: int
    seats: int
    sold: int
    admitted: int
    occupancy: Percent


class RevenueRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What was charged for showtimes, and what became of it.

    `gross` has fees, products and tax in it, `refunds` is what was given back of it, `tax` what
    is owed of the rest, and `net` what remains. By `ticket_type` it is the price of the tickets
    that are kept; by `method` what was taken and paid back so.
    """

    key: str
    label: str
    currency: str
    tickets: int | None
    gross: int
    refunds: int | None
    tax: int | None
    fees: int | None
    net: int | None


class PopularRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A film by the tickets that are kept."""

    rank: int
    key: str
    label: str
    showtimes: int
    seats: int
    tickets: int
    admitted: int
    occupancy: Percent


class OccupancyRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How full showtimes were; `sold_out` had no seat left."""

    key: str
    label: str
    showtimes: int
    sold_out: int
    seats: int
    sold: int
    occupancy: Percent
    fullest: Percent


class FunnelRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How visits and holds of showtimes that are over went on.

    `seat_maps` and `checkout_pages` are how often pages said that they were opened. `completion`
    are confirmed of all checkouts, `expiry` is the part of the holds whose time ran out.
    """

    key: str
    label: str
    showtimes: int
    seat_maps: int
    holds: int
    released: int
    expired: int
    checkout_pages: int
    checkouts: int
    confirmed: int
    completion: Percent
    expiry: Percent


class ExperimentQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Days in UTC on which films were shown, both included.

    What counts as booked are bookings at `cinema_id`; without it at all cinemas that you run. By
    `date`, customers stand at the day on which they were first shown a film.
    """

    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")
    cinema_id: UUID | None = None
    group_by: ExperimentGroup = "arm"
    format: Annotated[ReportForm | None, Meta(description="Else what `Accept` asks for.")] = None


class ExperimentRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What became of the customers in an arm of an experiment.

    `customers` were shown films, `reached` of them did what `measure` says: `clicked` one,
    `booked_shown` within 7 days after it was shown, `booked` any film within 7 days after the
    first was shown. For `maturing` of them these days are not over. Shares and differences from
    control are percents, with 95 % intervals; by `date`, from control of the same day. `date` is
    null if rows are not by day.
    """

    key: str
    label: str
    experiment: str
    measure: Measure
    arm: str
    date: str | None
    is_control: bool
    customers: int
    maturing: int
    films_shown: int
    reached: int
    share: Percent
    share_low: Percent
    share_high: Percent
    difference: Percent
    difference_low: Percent
    difference_high: Percent


class DistributorRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Admissions of a film at a cinema and what was paid for them, without fees and products."""

    key: str
    label: str
    cinema_id: str
    cinema: str
    currency: str
    showtimes: int
    admissions: int
    gross: int
    tax: int
    net: int


class CashRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What passed the tills; the last three are of sessions that are closed."""

    key: str
    label: str
    currency: str
    sessions: int
    open_sessions: int
    opening: int
    cash_taken: int
    cash_returned: int
    terminal_taken: int
    terminal_returned: int
    paid_in: int
    paid_out: int
    banked: int
    expected: int
    counted: int
    variance: int


class Sums(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Figures of some business days in a currency."""

    currency: str
    showtimes: int
    seats: int
    sold: int
    admitted: int
    occupancy: Percent
    gross: int
    refunds: int
    net: int


class LiveShowtime(msgspec.Struct, frozen=True, kw_only=True):
    """A showtime that runs, or starts within the next hour."""

    showtime_id: UUID
    cinema_id: UUID
    cinema: str
    screen: str
    film: str
    starts_at: datetime
    ends_at: datetime
    seats: int
    sold: int
    admitted: int


class Dashboard(msgspec.Struct, frozen=True, kw_only=True):
    """Today, the seven days up to today beside the seven before, and what runs now."""

    at: datetime
    today: list[Sums]
    this_week: list[Sums]
    last_week: list[Sums]
    live: list[LiveShowtime]
