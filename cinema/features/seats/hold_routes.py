"""Routes of holds. A handler has two halves: one sends the command, one shows the answer."""

from __future__ import annotations

from typing import Final

from cinema.domain.rejections import Rejection
from cinema.features.seats import examples
from cinema.features.seats.service import HoldAnswer, HoldOutcome, SeatsService, hold_of
from cinema.features.seats.shapes import ExtendInput, Hold, HoldInput, PartQuery
from cinema.http.context import Call
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation, shown_by

TAG: Final = "Holds"

PLACE_HOLD: Final = "placeHold"
EXTEND_HOLD: Final = "extendHold"
RELEASE_HOLD: Final = "releaseHold"
"""Operations that the watch socket takes too, so that a key is valid for both."""

COMMAND_ERRORS: Final = ("NOT_FOUND", "OVERLOADED", "RETRY", "OUTCOME_UNKNOWN")
"""Errors of every command to a showtime."""

NAMED_SEATS_ERRORS: Final = ("UNKNOWN_SEAT", "DUPLICATE_SEAT")
"""Errors of requests that name seats."""


def _placed(outcome: HoldOutcome) -> Reply | Rejection:
    hold = hold_of(outcome)
    return hold if isinstance(hold, Rejection) else success(hold, status=201)


def _shown(outcome: HoldOutcome) -> Reply | Rejection:
    hold = hold_of(outcome)
    return hold if isinstance(hold, Rejection) else success(hold)


@Operation(
    method="POST",
    path="/api/v1/showtimes/{showtime_id}/holds",
    throttle="commands",
    operation_id=PLACE_HOLD,
    summary="Hold seats, all or none",
    description="Named seats, or the best that the showtime can find. A hold ends exactly once: "
    "booked, released, or expired at `expires_at`.",
    tag=TAG,
    auth="bearer",
    guests=True,
    request=HoldInput,
    request_example=examples.HOLD_INPUT,
    response=Hold,
    response_example=examples.HOLD,
    status=201,
    errors=(
        *COMMAND_ERRORS,
        *NAMED_SEATS_ERRORS,
        "UNKNOWN_CATEGORY",
        "QUEUE_REQUIRED",
        "PRESALE_CODE_REFUSED",
        "SALES_CLOSED",
        "SALES_PAUSED",
        "HOLD_LIMIT",
        "CHANNEL_SOLD_OUT",
        "SEAT_UNAVAILABLE",
        "NOT_ENOUGH_SEATS",
        "COMPANION_ONLY",
        "ORPHAN_SEAT",
    ),
    idempotent=True,
)
@shown_by(_placed)
def place_hold(seats: SeatsService, call: Call, answer: HoldAnswer) -> None:
    """Hold seats for the caller."""
    seats.place_hold(call.params[0], call.principal, call.body, call.request_key, answer)


@Operation(
    method="GET",
    path="/api/v1/showtimes/{showtime_id}/holds/{hold_id}",
    operation_id="getHold",
    summary="Get one of your holds, live or ended",
    tag=TAG,
    auth="bearer",
    guests=True,
    response=Hold,
    response_example=examples.HOLD,
    errors=("OVERLOADED", "RETRY"),
)
@shown_by(_shown)
def get_hold(seats: SeatsService, call: Call, answer: HoldAnswer) -> None:
    """A hold of the caller."""
    showtime_id, hold_id = call.params
    seats.read_hold(showtime_id, call.principal, hold_id, answer)


@Operation(
    method="PATCH",
    path="/api/v1/showtimes/{showtime_id}/holds/{hold_id}",
    throttle="commands",
    operation_id=EXTEND_HOLD,
    summary="Give a hold its full time again",
    description="Up to the limit of its whole life, which counts from when it was placed.",
    tag=TAG,
    auth="bearer",
    guests=True,
    request=ExtendInput,
    request_example=examples.EXTENSION,
    response=Hold,
    response_example=examples.HOLD,
    errors=(*COMMAND_ERRORS, "HOLD_ENDED", "HOLD_LIMIT", "PAYMENT_IN_PROGRESS"),
    idempotent=True,
)
@shown_by(_shown)
def extend_hold(seats: SeatsService, call: Call, answer: HoldAnswer) -> None:
    """Give a hold its full time again."""
    showtime_id, hold_id = call.params
    seats.extend_hold(showtime_id, call.principal, hold_id, call.request_key, answer)


@Operation(
    method="DELETE",
    path="/api/v1/showtimes/{showtime_id}/holds/{hold_id}",
    throttle="commands",
    operation_id=RELEASE_HOLD,
    summary="Release a hold, or part of it",
    tag=TAG,
    auth="bearer",
    guests=True,
    query=PartQuery,
    response=Hold,
    response_example=examples.RELEASED,
    errors=(
        *COMMAND_ERRORS,
        *NAMED_SEATS_ERRORS,
        "HOLD_ENDED",
        "PAYMENT_IN_PROGRESS",
        "SEAT_NOT_INCLUDED",
    ),
    idempotent=True,
)
@shown_by(_shown)
def release_hold(seats: SeatsService, call: Call, answer: HoldAnswer) -> None:
    """Release seats of a hold; without `seats`, all of them."""
    showtime_id, hold_id = call.params
    principal, labels = call.principal, call.query.labels()
    seats.release_hold(showtime_id, principal, hold_id, labels, call.request_key, answer)


ROUTES: Final = (place_hold, get_hold, extend_hold, release_hold)
