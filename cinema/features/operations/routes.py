"""Routes of the control endpoint that show nodes, the ring, and actors with their state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypedDict

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
from cinema.http.document.openapi import DocumentHead, openapi_document
from cinema.http.errors import ErrorTable
from cinema.http.responses import Reply, success
from cinema.http.routes import Auth, Operation, Route

BASE: Final = "/control/v1"
NODES: Final = "Nodes"
ACTORS: Final = "Actors"


class ForOperators(TypedDict):
    """The part of an operation that is the same for the whole endpoint."""

    auth: Auth
    roles: frozenset[str]


OPERATORS: Final[ForOperators] = {"auth": "bearer", "roles": frozenset({ADMIN})}
"""The verifier of this edge knows only tokens of operators."""

CONTROL: Final = DocumentHead(
    title="cinema, control endpoint",
    about="""\
For operators, on a listener of its own: see nodes, ring, actors, journals and past seat maps; \
remove showtimes from memory, block seats, pause sales, drain nodes, change the log level. \
Each action is written to the log with the name in `Cinema-Operator`.""",
    tags={
        NODES: "The members of the cluster, and the ring.",
        ACTORS: "Showtimes in memory, and the state of each.",
        "Interventions": "Take seats off sale and put them back, pause and resume sales.",
        "History": "What happened at a showtime, and its seat map at any time.",
    },
)


@Operation(
    method="GET",
    path=f"{BASE}/nodes",
    operation_id="listNodes",
    summary="List the members of the cluster, each with its own report",
    tag=NODES,
    response=list[NodeShown],
    response_example=[examples.NODE],
    **OPERATORS,
)
async def get_nodes(control: ControlService, _: RequestContext) -> Reply:
    """All nodes."""
    return success(await control.nodes())


@Operation(
    method="GET",
    path=f"{BASE}/ring",
    operation_id="getRing",
    summary="Get each member's share of the showtimes",
    description="With `showtime_id`, also the owner of that showtime by the ring.",
    tag=NODES,
    query=RingQuery,
    response=RingShown,
    response_example=examples.RING,
    **OPERATORS,
)
async def get_ring(control: ControlService, context: RequestContext) -> Reply:
    """The ring of the newest view."""
    return success(control.ring(context.query.showtime_id))


@Operation(
    method="GET",
    path=f"{BASE}/actors",
    operation_id="listActors",
    summary="List showtimes in memory, of all nodes",
    description="Sorted by `mailbox` (deepest first), `last_used` (latest first), `idle` (longest "
    "first) or `id`. The list may change while it is read. Nodes that did not answer are in "
    "`meta.unreachable`.",
    tag=ACTORS,
    query=ActorsQuery,
    response=list[ActorShown],
    response_example=[examples.ACTOR],
    meta=ActorsMeta,
    errors=("NOT_FOUND", "RETRY"),
    **OPERATORS,
)
async def list_actors(control: ControlService, context: RequestContext) -> Reply:
    """A page of what is in memory."""
    found, silent = await control.actors(context.query)
    meta = ActorsMeta(next_cursor=found.next_cursor, unreachable=silent)
    return success(found.items, meta=meta)


@Operation(
    method="GET",
    path=f"{BASE}/showtimes/{{showtime_id}}",
    operation_id="getShowtimeState",
    summary="Get the state of a showtime",
    description="From the memory of its node, or else as it is stored, without activating it. "
    "Memory may be ahead of the journal: compare `seq` with `memory.durable_seq`.",
    tag=ACTORS,
    response=ShowtimeShown,
    response_example=examples.SHOWTIME,
    errors=("RETRY",),
    **OPERATORS,
)
async def get_showtime(control: ControlService, context: RequestContext) -> Reply:
    """One showtime, in memory or as it is stored."""
    return success(await control.showtime(context.params[0]))


ROUTES: Final = (get_nodes, get_ring, list_actors, get_showtime)


class ControlDocument:
    """The OpenAPI document of this endpoint, as it is served."""

    def __init__(self, routes: Iterable[Route], errors: ErrorTable, *, version: str) -> None:
        document = openapi_document(routes, errors, CONTROL, version=version)
        document["components"]["securitySchemes"]["bearer"] = {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of `CONTROL_TOKEN`; `cinema admin` signs its calls instead.",
        }
        self.body = msgspec.json.encode(document)


@Operation(
    method="GET",
    path=f"{BASE}/openapi.json",
    operation_id="controlOpenapi",
    summary="This document",
    tag=NODES,
    hidden=True,
    **OPERATORS,
)
async def get_document(document: ControlDocument, _: RequestContext) -> Reply:
    """The document; it needs the token, as all routes do."""
    return Reply(200, document.body)


DOCUMENT_ROUTES: Final = (get_document,)
