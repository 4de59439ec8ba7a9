"""Routes of the control endpoint that act; each call leaves a line in the log."""

from __future__ import annotations

from cinema.features.operations import examples
from cinema.features.operations.audit import Audit
from cinema.features.operations.routes import ACTORS, BASE, NODES, OPERATORS
from cinema.features.operations.service import ControlService
from cinema.features.operations.shapes import Draining, LogLevel, LogLevelInput, Passivated
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.routing import Route


def action_routes(control: ControlService, audit: Audit) -> tuple[Route, ...]:
    """What can be done to nodes and to what they hold in memory."""

    async def drain(context: RequestContext) -> Reply:
        return success(await control.drain(context.params[0]), status=202)

    async def get_log_level(context: RequestContext) -> Reply:
        return success(await control.log_level(context.params[0], None))

    async def set_log_level(context: RequestContext) -> Reply:
        return success(await control.log_level(context.params[0], context.body.level))

    async def passivate(context: RequestContext) -> Reply:
        return success(await control.passivate(context.params[0]))

    return (
        Route(
            method="POST",
            path=f"{BASE}/nodes/{{node_id}}/drain",
            handler=audit.of("drain", "node_id", drain),
            operation_id="drainNode",
            summary="Have a node give its showtimes away and end",
            description="Answered when it begins. A node that is alone stops taking new work, "
            "finishes what is under way and ends. Repeating it changes nothing.",
            tag=NODES,
            response=Draining,
            response_example=examples.DRAINING,
            status=202,
            errors=("NOT_FOUND", "RETRY"),
            **OPERATORS,
        ),
        Route(
            method="GET",
            path=f"{BASE}/nodes/{{node_id}}/log-level",
            handler=get_log_level,
            operation_id="getLogLevel",
            summary="The least severe level a node writes",
            tag=NODES,
            response=LogLevel,
            response_example=examples.LOG_LEVEL,
            errors=("NOT_FOUND", "RETRY"),
            **OPERATORS,
        ),
        Route(
            method="PUT",
            path=f"{BASE}/nodes/{{node_id}}/log-level",
            handler=audit.of("log_level", "node_id", set_log_level),
            operation_id="setLogLevel",
            summary="Write more, or less",
            description="Until the node ends; then `LOG_LEVEL` counts again. Request lines and "
            "what operators do are written at every level.",
            tag=NODES,
            request=LogLevelInput,
            request_example={"level": "debug"},
            response=LogLevel,
            response_example=examples.LOG_LEVEL,
            errors=("NOT_FOUND", "RETRY"),
            **OPERATORS,
        ),
        Route(
            method="POST",
            path=f"{BASE}/showtimes/{{showtime_id}}/passivate",
            handler=audit.of("passivate", "showtime_id", passivate),
            operation_id="passivateShowtime",
            summary="Put a showtime out of memory",
            description="Once it is idle; the next message brings it back. One in quarantine is "
            "forgotten, and loaded anew when it is asked for.",
            tag=ACTORS,
            response=Passivated,
            response_example=examples.PASSIVATED,
            errors=("NOT_FOUND", "SHOWTIME_WATCHED", "RETRY"),
            **OPERATORS,
        ),
    )
