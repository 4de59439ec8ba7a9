"""How this feature is built."""

from __future__ import annotations

from typing import Final

from cinema.features.events import routes as event_routes
from cinema.features.events.errors import ERRORS
from cinema.features.events.jobs import Publishing
from cinema.features.events.metrics import EventCounts
from cinema.features.events.service import EventsService
from cinema.features.events.store import DUE as EVENTS_DUE
from cinema.features.events.store import EventsRepository
from cinema.features.events.stream_jobs import Streaming
from cinema.features.events.tail import EventTail
from cinema.features.feature import Feature
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.http.routes import bound
from cinema.storage.redis.event_stream import EventStream


async def build(node: NodeParts, offered: Offered) -> Feature:
    store, counts = EventsRepository(node.pool, node.next_uuid), EventCounts()
    tail = offered.add(EventTail())
    rest = node.rest(EVENTS_DUE, lambda: tail.position)
    tasks = {
        "public-events": Publishing(store, tail, counts, now=node.common_time, rest=rest).run,
    }
    if node.redis is not None:
        stream = EventStream(node.redis)
        node.stack.push_async_callback(stream.close)
        tasks["event-stream"] = Streaming(store, stream, tail, counts).run
    return Feature(
        routes=bound(event_routes.ROUTES, EventsService(store, tail)),
        metrics=(counts.families,),
        tasks=tasks,
        sweeps={"public-events": store.forget, "public-event-counts": store.forget_counts},
    )


TAGS: Final = {
    "Events": "What happened with bookings, refunds and showtimes, in order.",
}

EVENTS: Final = Listed(build, errors=ERRORS, tags=TAGS)
