"""Holds of a showtime's seats."""

from __future__ import annotations

from typing import Final

from cinema.domain.rejections import Rejection
from cinema.domain.reservations import ExtendInput, Hold, HoldInput, PartQuery
from cinema.http import examples
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.routing import Route
from cinema.services.seats import SeatsService

TAG: Final = "Holds"

COMMAND_ERRORS: Final = (
    "NOT_FOUND",
    "IDEMPOTENCY_MISMATCH",
    "OVERLOADED",
    "RETRY",
    "OUTCOME_UNKNOWN",
)
"""What every command to a showtime can meet."""


def hold_routes(seats: SeatsService) -> tuple[Route, ...]:
    """Place, see, extend and release holds."""

    async def place_hold(context: RequestContext) -> Reply | Rejection:
        hold = await seats.hold(
            context.params[0], context.principal.user_id, context.body, context.request_key
        )
        return _shown(hold, 201)

    async def get_hold(context: RequestContext) -> Reply | Rejection:
        showtime_id, hold_id = context.params
        return _shown(await seats.find_hold(showtime_id, context.principal.user_id, hold_id))

    async def extend_hold(context: RequestContext) -> Reply | Rejection:
        showtime_id, hold_id = context.params
        customer = context.principal.user_id
        return _shown(await seats.extend(showtime_id, customer, hold_id, context.request_key))

    async def release_hold(context: RequestContext) -> Reply | Rejection:
        showtime_id, hold_id = context.params
        hold = await seats.release(
            showtime_id,
            context.principal.user_id,
            hold_id,
            context.query.labels(),
            context.request_key,
        )
        return _shown(hold)

    return (
        Route(
            method="POST",
            path="/api/v1/showtimes/{showtime_id}/holds",
            handler=place_hold,
            operation_id="placeHold",
            summary="Hold seats, all or none",
            description="Named seats, or the best the showtime can find. A hold ends exactly "
            "once: booked, released, or expired at `expires_at`.",
            tag=TAG,
            auth="bearer",
            request=HoldInput,
            request_example=examples.HOLD_INPUT,
            response=Hold,
            response_example=examples.HOLD,
            status=201,
            errors=(
                *COMMAND_ERRORS,
                "UNKNOWN_SEAT",
                "DUPLICATE_SEAT",
                "UNKNOWN_CATEGORY",
                "SALES_CLOSED",
                "SALES_PAUSED",
                "HOLD_LIMIT",
                "SEAT_UNAVAILABLE",
                "NOT_ENOUGH_SEATS",
                "COMPANION_ONLY",
                "ORPHAN_SEAT",
            ),
            idempotent=True,
        ),
        Route(
            method="GET",
            path="/api/v1/showtimes/{showtime_id}/holds/{hold_id}",
            handler=get_hold,
            operation_id="getHold",
            summary="A hold of one's own, live or ended",
            tag=TAG,
            auth="bearer",
            response=Hold,
            response_example=examples.HOLD,
            errors=("NOT_FOUND", "OVERLOADED", "RETRY"),
        ),
        Route(
            method="PATCH",
            path="/api/v1/showtimes/{showtime_id}/holds/{hold_id}",
            handler=extend_hold,
            operation_id="extendHold",
            summary="Give a hold its full time again",
            description="Up to the cap of its whole life, counted from when it was placed.",
            tag=TAG,
            auth="bearer",
            request=ExtendInput,
            request_example={"extend": True},
            response=Hold,
            response_example=examples.HOLD,
            errors=(*COMMAND_ERRORS, "HOLD_ENDED", "HOLD_LIMIT", "PAYMENT_IN_PROGRESS"),
            idempotent=True,
        ),
        Route(
            method="DELETE",
            path="/api/v1/showtimes/{showtime_id}/holds/{hold_id}",
            handler=release_hold,
            operation_id="releaseHold",
            summary="Give a hold back, or part of it",
            tag=TAG,
            auth="bearer",
            query=PartQuery,
            response=Hold,
            response_example={**examples.HOLD, "status": "released"},
            errors=(
                *COMMAND_ERRORS,
                "UNKNOWN_SEAT",
                "DUPLICATE_SEAT",
                "HOLD_ENDED",
                "PAYMENT_IN_PROGRESS",
            ),
            idempotent=True,
        ),
    )


def _shown(hold: Hold | Rejection, status: int = 200) -> Reply | Rejection:
    return hold if isinstance(hold, Rejection) else success(hold, status=status)
