"""The route of events, for admins."""

from __future__ import annotations

from typing import Final

from cinema.domain.principal import ADMIN
from cinema.features.events import examples
from cinema.features.events.service import EventsService
from cinema.features.events.shapes import EventMeta, EventQuery, PublicEvent
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Events"


@Operation(
    method="GET",
    path="/api/v1/admin/events",
    operation_id="listEvents",
    summary="Read what happened, in order, or wait for it",
    description="Bookings, refunds and changes of showtimes of the last 90 days. With `after`, "
    "what came behind it: whoever passes on `meta.next_after` gets each event once, none "
    "missing. With `wait_seconds` an answer without events comes only after that time.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN}),
    query=EventQuery,
    response=list[PublicEvent],
    response_example=[examples.CONFIRMED],
    meta=EventMeta,
    meta_example={"next_after": 4711},
    errors=("EVENTS_FORGOTTEN", "RETRY"),
)
async def list_events(events: EventsService, context: RequestContext) -> Reply:
    """A page of events."""
    page = await events.events(context.query)
    return success(page.items, meta=EventMeta(page.next_after))


ROUTES: Final = (list_events,)
