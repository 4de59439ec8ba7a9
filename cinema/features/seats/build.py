"""How this feature is built."""

from __future__ import annotations

from typing import Final

from cinema.features.accounts.throttles import Throttles
from cinema.features.feature import Feature
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.features.seats import hold_routes, seat_routes
from cinema.features.seats.errors import ERRORS
from cinema.features.seats.hold_limits import HoldLimits, HoldRates
from cinema.features.seats.service import SeatsService, UnpaidLimits
from cinema.http.routes import bound


async def build(node: NodeParts, offered: Offered) -> Feature:
    offered.add(HoldLimits(offered[Throttles], node.limits(HoldRates)))
    seats = offered.add(
        SeatsService(
            node.dispatch, unpaid=offered.add(node.limits(UnpaidLimits)), next_id=node.next_id
        )
    )
    return Feature(routes=(*bound(seat_routes.ROUTES, seats), *bound(hold_routes.ROUTES, seats)))


TAGS: Final = {
    "Seats": "Seat maps as they are now.",
    "Holds": "Seats that are kept for a customer until they are booked, released or expire.",
}

SEATS: Final = Listed(build, errors=ERRORS, tags=TAGS)
