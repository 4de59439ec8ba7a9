"""Routes of the control endpoint that show the history of a showtime."""

from __future__ import annotations

from typing import Final

from cinema.features.operations import examples
from cinema.features.operations.history import HistoryService
from cinema.features.operations.history_shapes import (
    EventShown,
    HistoryMeta,
    JournalQuery,
    SeatChange,
    SeatHistoryQuery,
    SeatsAt,
    SeatsAtQuery,
)
from cinema.features.operations.routes import BASE, OPERATORS
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

HISTORY: Final = "History"


@Operation(
    method="GET",
    path=f"{BASE}/showtimes/{{showtime_id}}/journal",
    operation_id="getJournal",
    summary="List the events of a showtime, in order",
    description="From `from_seq` on, or the `last` few. `meta` says how far back the journal "
    "reaches.",
    tag=HISTORY,
    query=JournalQuery,
    response=list[EventShown],
    response_example=[examples.EVENT],
    meta=HistoryMeta,
    meta_example=examples.HISTORY_META,
    errors=("HISTORY_TRUNCATED", "RETRY"),
    **OPERATORS,
)
async def get_journal(history: HistoryService, context: RequestContext) -> Reply:
    """A page of the journal."""
    found, meta = await history.events(context.params[0], context.query)
    return success(found, meta=meta)


@Operation(
    method="GET",
    path=f"{BASE}/showtimes/{{showtime_id}}/seats",
    operation_id="getSeatsAt",
    summary="Get the seat map at any event or time",
    description="Replayed from the journal up to `seq`, or up to the last event recorded by `at`. "
    "Without either, it is the present one. 410 if the journal does not reach back that far.",
    tag=HISTORY,
    query=SeatsAtQuery,
    response=SeatsAt,
    response_example=examples.SEATS_AT,
    errors=("IN_THE_FUTURE", "HISTORY_TRUNCATED", "RETRY", "OVERLOADED"),
    **OPERATORS,
)
async def get_seats(history: HistoryService, context: RequestContext) -> Reply:
    """The seat map at any time."""
    return success(await history.seats_at(context.params[0], context.query))


@Operation(
    method="GET",
    path=f"{BASE}/showtimes/{{showtime_id}}/seats/{{label:text}}/history",
    operation_id="getSeatHistory",
    summary="List what happened to one seat",
    description="A page may be short, or even empty, before the end of the list, because a request "
    "reads a bounded number of events.",
    tag=HISTORY,
    query=SeatHistoryQuery,
    response=list[SeatChange],
    response_example=[examples.SEAT_CHANGE],
    meta=HistoryMeta,
    meta_example=examples.HISTORY_META,
    errors=("HISTORY_TRUNCATED", "RETRY"),
    **OPERATORS,
)
async def get_seat(history: HistoryService, context: RequestContext) -> Reply:
    """A page of one seat's history."""
    showtime_id, label = context.params
    found, meta = await history.seat(showtime_id, label.decode(), context.query)
    return success(found, meta=meta)


ROUTES: Final = (get_journal, get_seats, get_seat)
