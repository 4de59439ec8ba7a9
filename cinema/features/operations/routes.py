"""Routes of the control endpoint that show: nodes, ring, actors and what they hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from cinema.domain.principal import ADMIN
from cinema.features.operations import examples
from cinema.features.operations.service import ControlService
from cinema.features.operations.shapes import (
    ActorShown,
    ActorsMeta,
    ActorsQuery,
    NodeShown,
    RingQuery,
    RingShown,
    ShowtimeShown,
)
from cinema.http.context import RequestContext
from cinema.http.document.openapi import openapi_document
from cinema.http.responses import Reply, success
from cinema.http.routing import Route

BASE: Final = "/control/v1"
NODES: Final = "Nodes"
ACTORS: Final = "Actors"

OPERATORS: Final[dict[str, Any]] = {"auth": "bearer", "roles": frozenset({ADMIN})}
"""What every route here asks for; the verifier of this edge knows only the admin token."""

_INTRODUCTION: Final = """\
For operators, on a listener of its own: see nodes, ring, actors, journals and past seat maps; put \
showtimes out of memory, block seats, pause sales, drain nodes, change the log level.

Envelopes, errors, lists and `Idempotency-Key` are those of the API for clients. What is done is \
written to the log with the name in `Cinema-Operator`.
"""


def control_routes(control: ControlService) -> tuple[Route, ...]:
    """What can be seen of nodes and actors."""

    async def get_nodes(_: RequestContext) -> Reply:
        return success(await control.nodes())

    async def get_ring(context: RequestContext) -> Reply:
        return success(control.ring(context.query.showtime_id))

    async def list_actors(context: RequestContext) -> Reply:
        found, silent = await control.actors(context.query)
        meta = ActorsMeta(next_cursor=found.next_cursor, unreachable=silent)
        return success(found.items, meta=meta)

    async def get_showtime(context: RequestContext) -> Reply:
        return success(await control.showtime(context.params[0]))

    return (
        Route(
            method="GET",
            path=f"{BASE}/nodes",
            handler=get_nodes,
            operation_id="listNodes",
            summary="The members of the cluster, each with what it says of itself",
            tag=NODES,
            response=list[NodeShown],
            response_example=[examples.NODE],
            **OPERATORS,
        ),
        Route(
            method="GET",
            path=f"{BASE}/ring",
            handler=get_ring,
            operation_id="getRing",
            summary="Who owns which part of the showtimes",
            description="With `showtime_id`: who owns that one, as the ring proposes.",
            tag=NODES,
            query=RingQuery,
            response=RingShown,
            response_example=examples.RING,
            **OPERATORS,
        ),
        Route(
            method="GET",
            path=f"{BASE}/actors",
            handler=list_actors,
            operation_id="listActors",
            summary="Showtimes in memory, of all nodes",
            description="By `sort`: `mailbox` (the deepest first), `last_used` (the latest first), "
            "`idle` (the longest idle first) or `id`. The list moves while it is read. Nodes that "
            "did not answer are in `meta.unreachable`.",
            tag=ACTORS,
            query=ActorsQuery,
            response=list[ActorShown],
            response_example=[examples.ACTOR],
            meta=ActorsMeta,
            errors=("NOT_FOUND", "RETRY"),
            **OPERATORS,
        ),
        Route(
            method="GET",
            path=f"{BASE}/showtimes/{{showtime_id}}",
            handler=get_showtime,
            operation_id="getShowtimeState",
            summary="The state of a showtime",
            description="From the memory of the node that has it; else as it is stored, without "
            "waking it. Memory may be ahead of the journal: `seq` against `memory.durable_seq`.",
            tag=ACTORS,
            response=ShowtimeShown,
            response_example=examples.SHOWTIME,
            errors=("NOT_FOUND", "RETRY"),
            **OPERATORS,
        ),
    )


def document_route(routes: Iterable[Route], *, version: str) -> Route:
    """The OpenAPI document of this endpoint; it asks for the token like all others."""
    document = openapi_document(routes, version=version)
    document["info"] |= {"title": "cinema, control endpoint", "description": _INTRODUCTION}
    document["components"]["securitySchemes"]["bearer"] = {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of `CONTROL_TOKEN`; `cinema admin` signs its calls instead.",
    }
    body = msgspec.json.encode(document)

    async def get_document(_: RequestContext) -> Reply:
        return Reply(200, body)

    return Route(
        method="GET",
        path=f"{BASE}/openapi.json",
        handler=get_document,
        operation_id="controlOpenapi",
        summary="This document",
        tag=NODES,
        hidden=True,
        **OPERATORS,
    )
