"""The route of a showtime's seat map."""

from __future__ import annotations

from typing import Final

from cinema.features.seats import examples
from cinema.features.seats.seat_map import seat_map, seat_map_version
from cinema.features.seats.service import SeatsService
from cinema.features.seats.shapes import SeatMap
from cinema.http.conditional import has_seen, tagged
from cinema.http.context import RequestContext
from cinema.http.responses import JSON, Reply, header_lines, success_body
from cinema.http.routes import Operation

TAG: Final = "Seats"


@Operation(
    method="GET",
    path="/api/v1/showtimes/{showtime_id}/seats",
    operation_id="getSeats",
    summary="Get the seat map as it is now",
    description="Linearizable: it shows everything acknowledged before the request, so no cache "
    "may keep it (`no-store`). `If-None-Match` asks whether it has changed. With a token, the "
    "caller's own seats are marked `mine`.",
    tag=TAG,
    auth="optional",
    guests=True,
    response=SeatMap,
    response_example=examples.SEAT_MAP,
    errors=("RETRY", "OVERLOADED"),
    etag=True,
)
async def get_seats(seats: SeatsService, context: RequestContext) -> Reply:
    """The seat map of a showtime, or 304 if the client has it already."""
    (showtime_id,) = context.params
    seen = await seats.seats(showtime_id, context.caller)
    tag = f'"{seat_map_version(seen)}"'
    if has_seen(context.request, tag):
        return Reply(304, extra=header_lines(etag=tag), medium=JSON)
    return tagged(context.request, tag, success_body(seat_map(seen)), JSON)


ROUTES: Final = (get_seats,)
