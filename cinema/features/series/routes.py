"""Routes of series."""

from __future__ import annotations

from typing import Final

from cinema.domain.paging import PageQuery
from cinema.features.seats.hold_routes import COMMAND_ERRORS, NAMED_SEATS_ERRORS
from cinema.features.series import examples
from cinema.features.series.service import SeriesService
from cinema.features.series.shapes import Series, SeriesInput
from cinema.http.context import RequestContext
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Series"


@Operation(
    method="POST",
    path="/api/v1/series",
    throttle="commands",
    operation_id="bookSeries",
    summary="Book seats of several showtimes, all or none",
    description="The same seats everywhere, or the best of each showtime. If one of them refuses, "
    "the answer names it (`details.showtime_id`), and nothing is held or booked anywhere. It costs "
    "what its bookings cost together, less what its cinemas take off for series. Points (`points`) "
    "pay first, a gift card (`code`) then, the method the rest. With `stripe` the series is "
    "`pending` until `payment.due` is paid with `payment.client_secret`; by `payment.pay_until` "
    "all of it is booked, or nothing is and nothing is paid. Each booking is one like any other "
    "from then on.",
    tag=TAG,
    auth="bearer",
    request=SeriesInput,
    request_example=examples.SERIES_INPUT,
    response=Series,
    response_example=examples.SERIES,
    status=201,
    errors=(
        *COMMAND_ERRORS,
        *NAMED_SEATS_ERRORS,
        "FORBIDDEN",
        "UNKNOWN_PAYMENT_METHOD",
        "UNKNOWN_CATEGORY",
        "TICKETS_NOT_ALLOWED",
        "CASH_SESSION_REQUIRED",
        "QUEUE_REQUIRED",
        "SALES_CLOSED",
        "SALES_PAUSED",
        "HOLD_LIMIT",
        "CHANNEL_SOLD_OUT",
        "SEAT_UNAVAILABLE",
        "NOT_ENOUGH_SEATS",
        "COMPANION_ONLY",
        "ORPHAN_SEAT",
        "HOLD_ENDED",
        "HOLD_CHANGED",
        "SERIES_ENDED",
        "POINTS_UNUSABLE",
        "UNKNOWN_GIFT_CARD",
        "GIFT_CARD_UNUSABLE",
        "PAYMENT_REQUIRED",
        "PAYMENT_FAILED",
        "PAYMENT_IN_PROGRESS",
    ),
    idempotent=True,
)
async def book_series(series: SeriesService, context: RequestContext) -> Reply:
    """A new series."""
    made = await series.book(context.principal, context.body, context.request_key)
    return success(made, status=201)


@Operation(
    method="GET",
    path="/api/v1/series",
    operation_id="listSeries",
    summary="List your series, newest first",
    description="Without those that were called off. Cancelled bookings of a series stay in it.",
    tag=TAG,
    auth="bearer",
    query=PageQuery,
    response=list[Series],
    response_example=[examples.SERIES],
    meta=PageMeta,
    errors=("RETRY",),
)
async def list_series(series: SeriesService, context: RequestContext) -> Reply:
    """A page of the caller's series."""
    return listed(await series.mine(context.principal, context.query))


@Operation(
    method="GET",
    path="/api/v1/series/{series_id}",
    operation_id="getSeries",
    summary="Get a series",
    tag=TAG,
    auth="bearer",
    response=Series,
    response_example=examples.SERIES,
    errors=("RETRY",),
)
async def get_series(series: SeriesService, context: RequestContext) -> Reply:
    """One series."""
    (series_id,) = context.ids
    return success(await series.series(context.principal, series_id))


@Operation(
    method="POST",
    path="/api/v1/series/{series_id}/pay",
    operation_id="paySeries",
    summary="Go on with the payment of a series",
    description="The `client_secret` again, or the series with its bookings if it is paid.",
    tag=TAG,
    auth="bearer",
    response=Series,
    response_example=examples.SERIES_TO_PAY,
    errors=("SERIES_ENDED", "RETRY", "OUTCOME_UNKNOWN"),
)
async def pay_series(series: SeriesService, context: RequestContext) -> Reply:
    """What its customer needs to pay it."""
    (series_id,) = context.ids
    return success(await series.pay(context.principal, series_id))


ROUTES: Final = (book_series, list_series, get_series, pay_series)
