"""Routes of the control endpoint that act; each call leaves a line in the log."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.features.operations import examples
from cinema.features.operations.audit import Audit
from cinema.features.operations.routes import ACTORS, BASE, NODES, OPERATORS
from cinema.features.operations.service import ControlService
from cinema.features.operations.shapes import Draining, LogLevel, LogLevelInput, Passivated
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation


class ActionParts(msgspec.Struct, frozen=True):
    """What the handlers of this module work with."""

    control: ControlService
    audit: Audit


@Operation(
    method="POST",
    path=f"{BASE}/nodes/{{node_id}}/drain",
    operation_id="drainNode",
    summary="Make a node hand its showtimes over and end",
    description="The answer comes when the node begins. A single node stops taking new work, "
    "finishes what is under way and ends. Repeating the call changes nothing.",
    tag=NODES,
    response=Draining,
    response_example=examples.DRAINING,
    status=202,
    errors=("RETRY",),
    **OPERATORS,
)
async def drain(actions: ActionParts, context: RequestContext) -> Reply:
    """Make a node end."""
    with actions.audit.line("drain", "node_id", context):
        return success(await actions.control.drain(context.params[0]), status=202)


@Operation(
    method="GET",
    path=f"{BASE}/nodes/{{node_id}}/log-level",
    operation_id="getLogLevel",
    summary="Get the least severe log level that a node writes",
    tag=NODES,
    response=LogLevel,
    response_example=examples.LOG_LEVEL,
    errors=("RETRY",),
    **OPERATORS,
)
async def get_log_level(actions: ActionParts, context: RequestContext) -> Reply:
    """The log level of a node."""
    return success(await actions.control.log_level(context.params[0], None))


@Operation(
    method="PUT",
    path=f"{BASE}/nodes/{{node_id}}/log-level",
    operation_id="setLogLevel",
    summary="Change the log level of a node",
    description="It lasts until the node ends; then `LOG_LEVEL` counts again. Request lines and "
    "actions of operators are written at every level.",
    tag=NODES,
    request=LogLevelInput,
    request_example=examples.LOG_LEVEL_INPUT,
    response=LogLevel,
    response_example=examples.LOG_LEVEL,
    errors=("RETRY",),
    **OPERATORS,
)
async def set_log_level(actions: ActionParts, context: RequestContext) -> Reply:
    """Change the log level of a node."""
    with actions.audit.line("log_level", "node_id", context):
        return success(await actions.control.log_level(context.params[0], context.body.level))


@Operation(
    method="POST",
    path=f"{BASE}/showtimes/{{showtime_id}}/passivate",
    operation_id="passivateShowtime",
    summary="Remove a showtime from memory",
    description="This happens once it is idle; the next message loads it again. A showtime in "
    "quarantine is removed, and loaded again when it is needed.",
    tag=ACTORS,
    response=Passivated,
    response_example=examples.PASSIVATED,
    errors=("SHOWTIME_WATCHED", "RETRY"),
    **OPERATORS,
)
async def passivate(actions: ActionParts, context: RequestContext) -> Reply:
    """Remove a showtime from memory."""
    with actions.audit.line("passivate", "showtime_id", context):
        return success(await actions.control.passivate(context.params[0]))


ROUTES: Final = (drain, get_log_level, set_log_level, passivate)
