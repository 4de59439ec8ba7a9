"""The seat map of a showtime."""

from __future__ import annotations

from typing import Final

from cinema.actors.messages import SeatsSeen
from cinema.domain.ids import format_id
from cinema.domain.rejections import Rejection
from cinema.domain.seatmap import STATUS_NAMES
from cinema.features.seats import examples
from cinema.features.seats.service import SeatsService, money
from cinema.features.seats.shapes import SeatMap, ShownSeat
from cinema.http.conditional import has_seen, tagged
from cinema.http.context import RequestContext
from cinema.http.responses import JSON_REVALIDATED, Reply, header_lines, success_body
from cinema.http.routes import Operation

TAG: Final = "Seats"


@Operation(
    method="GET",
    path="/api/v1/showtimes/{showtime_id}/seats",
    operation_id="getSeats",
    summary="The seat map, as it is now",
    description="Linearizable: it shows everything acknowledged before the request. With a token, "
    "the caller's own seats are marked `mine`.",
    tag=TAG,
    auth="optional",
    response=SeatMap,
    response_example=examples.SEAT_MAP,
    errors=("RETRY", "OVERLOADED"),
    etag=True,
)
async def get_seats(seats: SeatsService, context: RequestContext) -> Reply | Rejection:
    """The seat map of a showtime, or that the client has it already."""
    (showtime_id,) = context.params
    customer = None if context.caller is None else context.caller.user_id
    seen = await seats.seats(showtime_id, customer)
    if isinstance(seen, Rejection):
        return seen
    # What one caller sees as theirs is not what another sees under the same seq.
    mine = ".".join(str(seat) for seat in sorted(seen.mine)) or "none"
    tag = f'"{seen.epoch}-{seen.seq}-{seen.terms.plan.version}-{mine}"'
    if has_seen(context.request, tag):
        return Reply(304, extra=header_lines(etag=tag), medium=JSON_REVALIDATED)
    return tagged(context.request, tag, success_body(seat_map(seen)))


ROUTES: Final = (get_seats,)


def seat_map(seen: SeatsSeen) -> SeatMap:
    """The contract's shape of a seat map."""
    terms = seen.terms
    plan = terms.plan
    prices = [money(price_minor, terms.currency) for price_minor in terms.prices_minor]
    shown: list[ShownSeat] = []
    for seat, status in enumerate(seen.seats):
        category = plan.category_of[seat]
        one = ShownSeat(
            plan.labels[seat],
            plan.row_labels[plan.row_of[seat]],
            plan.numbers[seat],
            plan.categories[category],
            STATUS_NAMES[status],
            prices[category],
        )
        if plan.reserved[seat] or seat in seen.mine:
            one = _marked(seen, seat, one)
        shown.append(one)
    return SeatMap(format_id(terms.showtime_id), seen.epoch, seen.seq, plan.version, shown)


def _marked(seen: SeatsSeen, seat: int, one: ShownSeat) -> ShownSeat:
    plan = seen.terms.plan
    marks = {
        name: True
        for name, is_so in (
            ("accessible", plan.accessible[seat]),
            ("companion", plan.companion[seat]),
            ("mine", seat in seen.mine),
        )
        if is_so
    }
    return ShownSeat(one.label, one.row, one.number, one.category, one.status, one.price, **marks)
