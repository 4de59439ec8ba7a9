"""Routes of the control endpoint that change what a showtime sells."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.features.operations import examples
from cinema.features.operations.audit import Audit
from cinema.features.operations.interventions import Intervened, InterventionService, SeatsInput
from cinema.features.operations.routes import BASE, OPERATORS
from cinema.features.seats.hold_routes import COMMAND_ERRORS, NAMED_SEATS_ERRORS
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Interventions"


class InterventionParts(msgspec.Struct, frozen=True):
    """What the handlers of this module work with."""

    showtimes: InterventionService
    audit: Audit


@Operation(
    method="POST",
    path=f"{BASE}/showtimes/{{showtime_id}}/block",
    operation_id="blockSeats",
    summary="Take free seats off sale, all or none",
    description="Seats that are already blocked stay blocked. If one is held or booked, the whole "
    "request is refused.",
    tag=TAG,
    request=SeatsInput,
    request_example=examples.SEATS_INPUT,
    response=Intervened,
    response_example=examples.INTERVENED,
    errors=(*COMMAND_ERRORS, *NAMED_SEATS_ERRORS, "SEAT_UNAVAILABLE"),
    idempotent=True,
    **OPERATORS,
)
async def block(parts: InterventionParts, context: RequestContext) -> Reply:
    """Take free seats off sale."""
    (showtime_id,) = context.params
    with parts.audit.line("block", "showtime_id", context):
        return success(await parts.showtimes.block(showtime_id, context.body, context.request_key))


@Operation(
    method="POST",
    path=f"{BASE}/showtimes/{{showtime_id}}/unblock",
    operation_id="unblockSeats",
    summary="Put blocked seats back on sale",
    description="Seats that are not blocked stay as they are.",
    tag=TAG,
    request=SeatsInput,
    request_example=examples.SEATS_INPUT,
    response=Intervened,
    response_example=examples.INTERVENED,
    errors=(*COMMAND_ERRORS, *NAMED_SEATS_ERRORS),
    idempotent=True,
    **OPERATORS,
)
async def unblock(parts: InterventionParts, context: RequestContext) -> Reply:
    """Put blocked seats back on sale."""
    (showtime_id,) = context.params
    with parts.audit.line("unblock", "showtime_id", context):
        return success(
            await parts.showtimes.unblock(showtime_id, context.body, context.request_key)
        )


@Operation(
    method="POST",
    path=f"{BASE}/showtimes/{{showtime_id}}/pause",
    operation_id="pauseSales",
    summary="Refuse new holds",
    description="Live holds can still be booked.",
    tag=TAG,
    response=Intervened,
    response_example=examples.SWITCHED,
    errors=COMMAND_ERRORS,
    idempotent=True,
    **OPERATORS,
)
async def pause(parts: InterventionParts, context: RequestContext) -> Reply:
    """Refuse new holds."""
    (showtime_id,) = context.params
    with parts.audit.line("pause", "showtime_id", context):
        return success(await parts.showtimes.pause(showtime_id, context.request_key))


@Operation(
    method="POST",
    path=f"{BASE}/showtimes/{{showtime_id}}/resume",
    operation_id="resumeSales",
    summary="Accept holds again",
    tag=TAG,
    response=Intervened,
    response_example=examples.SWITCHED,
    errors=COMMAND_ERRORS,
    idempotent=True,
    **OPERATORS,
)
async def resume(parts: InterventionParts, context: RequestContext) -> Reply:
    """Accept holds again."""
    (showtime_id,) = context.params
    with parts.audit.line("resume", "showtime_id", context):
        return success(await parts.showtimes.resume(showtime_id, context.request_key))


ROUTES: Final = (block, unblock, pause, resume)
