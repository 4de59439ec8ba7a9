"""Routes of the control endpoint that change what a showtime sells."""

from __future__ import annotations

from typing import Any, Final

from cinema.domain.rejections import Rejection
from cinema.features.operations import examples
from cinema.features.operations.audit import Audit
from cinema.features.operations.interventions import Intervened, InterventionService, SeatsInput
from cinema.features.operations.routes import BASE, OPERATORS
from cinema.features.seats.hold_routes import COMMAND_ERRORS
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.routing import Route

INTERVENTIONS: Final = "Interventions"


def intervention_routes(service: InterventionService, audit: Audit) -> tuple[Route, ...]:
    """Block and unblock seats, pause and resume sales."""

    async def block(context: RequestContext) -> Reply | Rejection:
        (showtime_id,) = context.params
        return _shown(await service.block(showtime_id, context.body, context.request_key))

    async def unblock(context: RequestContext) -> Reply | Rejection:
        (showtime_id,) = context.params
        return _shown(await service.unblock(showtime_id, context.body, context.request_key))

    async def pause(context: RequestContext) -> Reply | Rejection:
        (showtime_id,) = context.params
        return _shown(await service.pause(showtime_id, context.request_key))

    async def resume(context: RequestContext) -> Reply | Rejection:
        (showtime_id,) = context.params
        return _shown(await service.resume(showtime_id, context.request_key))

    seats: dict[str, Any] = {"request": SeatsInput, "request_example": {"seats": ["F7", "F8"]}}
    return (
        Route(
            method="POST",
            path=f"{BASE}/showtimes/{{showtime_id}}/block",
            handler=audit.of("block", "showtime_id", block),
            operation_id="blockSeats",
            summary="Take free seats off sale, all or none",
            description="Seats that are blocked already stay so; one that is held or booked "
            "refuses the whole.",
            tag=INTERVENTIONS,
            response=Intervened,
            response_example=examples.INTERVENED,
            errors=(*COMMAND_ERRORS, "UNKNOWN_SEAT", "DUPLICATE_SEAT", "SEAT_UNAVAILABLE"),
            idempotent=True,
            **seats,
            **OPERATORS,
        ),
        Route(
            method="POST",
            path=f"{BASE}/showtimes/{{showtime_id}}/unblock",
            handler=audit.of("unblock", "showtime_id", unblock),
            operation_id="unblockSeats",
            summary="Put blocked seats back on sale",
            description="Seats that are not blocked are left as they are.",
            tag=INTERVENTIONS,
            response=Intervened,
            response_example=examples.INTERVENED,
            errors=(*COMMAND_ERRORS, "UNKNOWN_SEAT", "DUPLICATE_SEAT"),
            idempotent=True,
            **seats,
            **OPERATORS,
        ),
        Route(
            method="POST",
            path=f"{BASE}/showtimes/{{showtime_id}}/pause",
            handler=audit.of("pause", "showtime_id", pause),
            operation_id="pauseSales",
            summary="Refuse new holds",
            description="Live holds can still be booked.",
            tag=INTERVENTIONS,
            response=Intervened,
            response_example=examples.SWITCHED,
            errors=COMMAND_ERRORS,
            idempotent=True,
            **OPERATORS,
        ),
        Route(
            method="POST",
            path=f"{BASE}/showtimes/{{showtime_id}}/resume",
            handler=audit.of("resume", "showtime_id", resume),
            operation_id="resumeSales",
            summary="Accept holds again",
            tag=INTERVENTIONS,
            response=Intervened,
            response_example=examples.SWITCHED,
            errors=COMMAND_ERRORS,
            idempotent=True,
            **OPERATORS,
        ),
    )


def _shown(outcome: Intervened | Rejection) -> Reply | Rejection:
    return outcome if isinstance(outcome, Rejection) else success(outcome)
