"""Holds of a showtime's seats."""

from __future__ import annotations

from typing import Final

from cinema.actors.messages import Outcome, ReadHold
from cinema.actors.messages import Reply as Answer
from cinema.domain.rejections import Rejection
from cinema.features.seats.service import SeatsService, extend_command, hold_of, release_command
from cinema.features.seats.shapes import ExtendInput, Hold, HoldInput, PartQuery
from cinema.http.context import Call
from cinema.http.document import examples
from cinema.http.responses import Reply, success
from cinema.http.routing import Prompt, Route

TAG: Final = "Holds"

PLACE_HOLD: Final = "placeHold"
EXTEND_HOLD: Final = "extendHold"
RELEASE_HOLD: Final = "releaseHold"
"""Operations that the watch socket takes too, so that a key counts for both."""

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

    def place_hold(call: Call, reply: Answer) -> None:
        command = seats.hold_command(call.principal, call.body, call.request_key)
        seats.dispatch.tell(call.params[0], command, reply)

    def get_hold(call: Call, reply: Answer) -> None:
        showtime_id, hold_id = call.params
        seats.dispatch.tell(
            showtime_id, ReadHold(hold_id=hold_id, customer=call.principal.user_id), reply
        )

    def extend_hold(call: Call, reply: Answer) -> None:
        showtime_id, hold_id = call.params
        seats.dispatch.tell(
            showtime_id, extend_command(call.principal.user_id, hold_id, call.request_key), reply
        )

    def release_hold(call: Call, reply: Answer) -> None:
        showtime_id, hold_id = call.params
        customer, labels = call.principal.user_id, call.query.labels()
        seats.dispatch.tell(
            showtime_id, release_command(customer, hold_id, labels, call.request_key), reply
        )

    return (
        Route(
            method="POST",
            path="/api/v1/showtimes/{showtime_id}/holds",
            handler=Prompt(place_hold, _placed),
            throttle="holds",
            operation_id=PLACE_HOLD,
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
            handler=Prompt(get_hold, _shown),
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
            handler=Prompt(extend_hold, _shown),
            throttle="holds",
            operation_id=EXTEND_HOLD,
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
            handler=Prompt(release_hold, _shown),
            throttle="holds",
            operation_id=RELEASE_HOLD,
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
                "SEAT_NOT_INCLUDED",
            ),
            idempotent=True,
        ),
    )


def _placed(outcome: Outcome) -> Reply | Rejection:
    hold = hold_of(outcome)
    return hold if isinstance(hold, Rejection) else success(hold, status=201)


def _shown(outcome: Outcome) -> Reply | Rejection:
    hold = hold_of(outcome)
    return hold if isinstance(hold, Rejection) else success(hold)
