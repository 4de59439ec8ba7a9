"""Routes of distributor returns."""

from __future__ import annotations

from typing import Final

from cinema.domain.principal import ADMIN, MANAGER
from cinema.features.reports import examples
from cinema.features.reports.rules import as_csv
from cinema.features.reports.service import ReportsService
from cinema.features.reports.shapes import ReportQuery, Return, ReturnInput, ReturnsQuery
from cinema.http.context import RequestContext
from cinema.http.negotiation import wanted
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Medium, Reply, success
from cinema.http.routes import Operation

TAG: Final = "Reports"
MANAGERS: Final = frozenset({MANAGER, ADMIN})
JSON_TYPE: Final = "application/json"
CSV_TYPE: Final = "text/csv"
CSV: Final = Medium(content_type="text/csv; charset=utf-8")

_FORMS: Final = "With `Accept: text/csv` the answer is CSV, a row for each line."


def _answer(context: RequestContext, one: Return) -> Reply:
    if wanted(context.request, (JSON_TYPE, CSV_TYPE)) == JSON_TYPE:
        return success(one)
    return Reply(200, as_csv(one), medium=CSV)


@Operation(
    method="GET",
    path="/api/v1/reports/distributor",
    operation_id="getDistributorReport",
    summary="Admissions and takings of a film that were not told to its distributor yet",
    description="By day, screen and ticket type; amounts are minor units of `currency`, without "
    f"fees. What has changed since earlier returns is a correction. {_FORMS}",
    tag=TAG,
    auth="bearer",
    roles=MANAGERS,
    query=ReportQuery,
    response=Return,
    response_example=examples.FIGURES,
    also=(CSV_TYPE,),
    errors=("NOT_FOUND", "NOT_ACCEPTABLE", "RETRY"),
)
async def get_report(reports: ReportsService, context: RequestContext) -> Reply:
    """What a return would say now."""
    return _answer(context, await reports.figures(context.principal, context.query))


@Operation(
    method="POST",
    path="/api/v1/cinemas/{cinema_id}/distributor-returns",
    operation_id="drawDistributorReturn",
    summary="Draw the next return of a film",
    description="For days that are over at the cinema. A return never changes: what changes after "
    "it, as by a refund, is a correction in the next one.",
    tag=TAG,
    auth="bearer",
    roles=MANAGERS,
    request=ReturnInput,
    request_example=examples.INPUT,
    response=Return,
    response_example=examples.RETURN,
    status=201,
    errors=("UNKNOWN_REFERENCE", "RETRY", "OUTCOME_UNKNOWN"),
    idempotent=True,
)
async def draw_return(reports: ReportsService, context: RequestContext) -> Reply:
    """Draw a return."""
    (cinema_id,) = context.ids
    drawn = await reports.draw(context.principal, cinema_id, context.body, context.request_key)
    return success(drawn, status=201)


@Operation(
    method="GET",
    path="/api/v1/cinemas/{cinema_id}/distributor-returns",
    operation_id="listDistributorReturns",
    summary="List the returns of a cinema, newest first",
    tag=TAG,
    auth="bearer",
    roles=MANAGERS,
    query=ReturnsQuery,
    response=list[Return],
    response_example=[examples.RETURN],
    meta=PageMeta,
    errors=("RETRY",),
)
async def list_returns(reports: ReportsService, context: RequestContext) -> Reply:
    """A page of returns."""
    (cinema_id,) = context.ids
    return listed(await reports.returns(context.principal, cinema_id, context.query))


@Operation(
    method="GET",
    path="/api/v1/distributor-returns/{return_id}",
    operation_id="getDistributorReturn",
    summary="Get a return as it was drawn",
    description=_FORMS,
    tag=TAG,
    auth="bearer",
    roles=MANAGERS,
    response=Return,
    response_example=examples.RETURN,
    also=(CSV_TYPE,),
    errors=("NOT_ACCEPTABLE", "RETRY"),
)
async def get_return(reports: ReportsService, context: RequestContext) -> Reply:
    """A return."""
    (return_id,) = context.ids
    return _answer(context, await reports.drawn(context.principal, return_id))


ROUTES: Final = (get_report, draw_return, list_returns, get_return)
