"""Routes of reports for managers and admins."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import msgspec

from cinema.features.reports import figure_examples as examples
from cinema.features.reports.figure_rules import rows_as_csv
from cinema.features.reports.figure_service import FiguresService, Report
from cinema.features.reports.figure_shapes import (
    CapacityQuery,
    CapacityRow,
    CashQuery,
    CashRow,
    Dashboard,
    DashboardQuery,
    DistributorRow,
    ExperimentQuery,
    ExperimentRow,
    FunnelQuery,
    FunnelRow,
    OccupancyQuery,
    OccupancyRow,
    PeriodQuery,
    PopularQuery,
    PopularRow,
    ReportMeta,
    RevenueQuery,
    RevenueRow,
)
from cinema.features.reports.routes import CSV, CSV_TYPE, JSON_TYPE, MANAGERS, TAG
from cinema.http.context import RequestContext
from cinema.http.negotiation import wanted
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

_DAYS: Final = "Days are business days at the cinema, by the start of the showtime."
_FORMS: Final = "With `format=csv` or `Accept: text/csv` the rows are CSV."
_ERRORS: Final = ("NOT_ACCEPTABLE", "RETRY")


def _answer(context: RequestContext, report: Report, kind: type[msgspec.Struct]) -> Reply:
    form = context.query.format
    if form is None:
        is_csv = wanted(context.request, (JSON_TYPE, CSV_TYPE)) == CSV_TYPE
    else:
        is_csv = form == "csv"
    if is_csv:
        return Reply(200, rows_as_csv(kind, report.rows), medium=CSV)
    return success(report.rows, meta=report.meta)


def _operation(
    name: str,
    *,
    operation_id: str,
    summary: str,
    description: str,
    query: type[PeriodQuery | ExperimentQuery],
    response: Any,
    example: Any,
    days: str = _DAYS,
) -> Operation:
    """What all reports have in common."""
    return Operation(
        method="GET",
        path=f"/api/v1/admin/reports/{name}",
        operation_id=operation_id,
        summary=summary,
        description=f"{description} {days} {_FORMS}",
        tag=TAG,
        auth="bearer",
        roles=MANAGERS,
        query=query,
        response=response,
        response_example=[example],
        meta=ReportMeta,
        meta_example=examples.META,
        also=(CSV_TYPE,),
        errors=_ERRORS,
    )


@_operation(
    "capacity",
    operation_id="getCapacityReport",
    summary="Seats of showtimes: all, sold, and let in",
    description="Without those that were cancelled.",
    query=CapacityQuery,
    response=list[CapacityRow],
    example=examples.CAPACITY,
)
async def get_capacity(figures: FiguresService, context: RequestContext) -> Reply:
    """Seats, sold and let in."""
    report = await figures.capacity(context.principal, context.query)
    return _answer(context, report, CapacityRow)


@_operation(
    "revenue",
    operation_id="getRevenueReport",
    summary="What was charged for showtimes, given back, owed as tax, and kept",
    description="From the ledger. A refund counts on the day of the showtime, whenever it comes.",
    query=RevenueQuery,
    response=list[RevenueRow],
    example=examples.REVENUE,
)
async def get_revenue(figures: FiguresService, context: RequestContext) -> Reply:
    """What was charged, given back and kept."""
    report = await figures.revenue(context.principal, context.query)
    return _answer(context, report, RevenueRow)


@_operation(
    "popular-movies",
    operation_id="getPopularMoviesReport",
    summary="Films by the tickets that were sold and kept",
    description="Most first.",
    query=PopularQuery,
    response=list[PopularRow],
    example=examples.POPULAR,
)
async def get_popular(figures: FiguresService, context: RequestContext) -> Reply:
    """Films by their tickets."""
    report = await figures.popular(context.principal, context.query)
    return _answer(context, report, PopularRow)


@_operation(
    "occupancy",
    operation_id="getOccupancyReport",
    summary="How full showtimes were, by screen, weekday or hour",
    description="`fullest` is the fullest showtime of each group.",
    query=OccupancyQuery,
    response=list[OccupancyRow],
    example=examples.OCCUPANCY,
)
async def get_occupancy(figures: FiguresService, context: RequestContext) -> Reply:
    """How full showtimes were."""
    report = await figures.occupancy(context.principal, context.query)
    return _answer(context, report, OccupancyRow)


@_operation(
    "funnel",
    operation_id="getFunnelReport",
    summary="How visits went on: from seat maps over holds and checkouts to bookings",
    description="Of showtimes that are over, from their journals. Seat maps and checkout pages are "
    "those that `POST /events` told of.",
    query=FunnelQuery,
    response=list[FunnelRow],
    example=examples.FUNNEL,
)
async def get_funnel(figures: FiguresService, context: RequestContext) -> Reply:
    """How holds went on."""
    report = await figures.funnel(context.principal, context.query)
    return _answer(context, report, FunnelRow)


@_operation(
    "cash",
    operation_id="getCashReport",
    summary="What passed the tills, and what was missing when they were counted",
    description="By the business day of the session.",
    query=CashQuery,
    response=list[CashRow],
    example=examples.CASH,
)
async def get_cash(figures: FiguresService, context: RequestContext) -> Reply:
    """What passed the tills."""
    report = await figures.cash(context.principal, context.query)
    return _answer(context, report, CashRow)


@_operation(
    "distributor",
    operation_id="getDistributorsReport",
    summary="Admissions and takings of all films, for their distributors",
    description="As they are now; returns of a film are drawn at its cinemas.",
    query=PeriodQuery,
    response=list[DistributorRow],
    example=examples.DISTRIBUTOR,
)
async def get_distributors(figures: FiguresService, context: RequestContext) -> Reply:
    """Admissions of films."""
    report = await figures.distributor(context.principal, context.query)
    return _answer(context, report, DistributorRow)


@_operation(
    "recommendations",
    operation_id="getRecommendationsReport",
    summary="What recommendations reached in experiments, against control",
    description="For each arm the customers who clicked and booked, with 95 % intervals: of Wilson "
    "for shares, of Newcombe for differences from control.",
    days="Days are those in UTC on which films were shown.",
    query=ExperimentQuery,
    response=list[ExperimentRow],
    example=examples.EXPERIMENT,
)
async def get_recommendations(figures: FiguresService, context: RequestContext) -> Reply:
    """What recommendations reached."""
    report = await figures.recommendations(context.principal, context.query)
    return _answer(context, report, ExperimentRow)


@Operation(
    method="GET",
    path="/api/v1/admin/dashboard",
    operation_id="getDashboard",
    summary="Today, this week and the one before, and what runs now",
    description="The week is that of the seven business days up to today.",
    tag=TAG,
    auth="bearer",
    roles=MANAGERS,
    query=DashboardQuery,
    response=Dashboard,
    response_example=examples.DASHBOARD,
    errors=("RETRY",),
)
async def get_dashboard(figures: FiguresService, context: RequestContext) -> Reply:
    """What a manager looks at in the morning."""
    cinema_id: UUID | None = context.query.cinema_id
    return success(await figures.dashboard(context.principal, cinema_id))


ROUTES: Final = (
    get_capacity,
    get_revenue,
    get_popular,
    get_occupancy,
    get_funnel,
    get_cash,
    get_distributors,
    get_recommendations,
    get_dashboard,
)
