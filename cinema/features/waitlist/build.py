"""How this feature is built."""

from __future__ import annotations

from typing import Final

from cinema.features.feature import Feature
from cinema.features.messages.jobs import Outgoing
from cinema.features.messages.store import MessagesRepository
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.features.seats.service import UnpaidLimits
from cinema.features.waitlist import routes as waitlist_routes
from cinema.features.waitlist.errors import ERRORS
from cinema.features.waitlist.jobs import MESSAGE as OFFER_MESSAGE
from cinema.features.waitlist.jobs import OffersTold
from cinema.features.waitlist.release_jobs import ReleasedOffered
from cinema.features.waitlist.rows import WAITLIST_BRANCHES
from cinema.features.waitlist.service import WaitlistService
from cinema.features.waitlist.store import ANY as ANY_OFFER
from cinema.features.waitlist.store import OffersRepository
from cinema.http.routes import bound


async def build(node: NodeParts, offered: Offered) -> Feature:
    waitlists = WaitlistService(node.dispatch, unpaid=offered[UnpaidLimits], next_id=node.next_id)
    offers = OffersRepository(node.pool)
    told = OffersTold(
        node.dispatch,
        offers,
        node.pool,
        offered[MessagesRepository].enqueue,
        base_url=node.base_url,
        now=node.common_time,
        rest=node.rest(ANY_OFFER),
    )
    offered[Outgoing].ask_before(OFFER_MESSAGE, told.is_open)
    released = ReleasedOffered(offers, node.dispatch, next_id=node.next_id, now=node.common_time)
    return Feature(
        routes=bound(waitlist_routes.ROUTES, waitlists),
        tasks={"waitlist-offers": told.run, "released-quotas": released.run},
    )


TAGS: Final = {
    "Wait lists": "Customers who wait for seats of a showtime that has none.",
}

WAITLIST: Final = Listed(build, errors=ERRORS, tags=TAGS, rows=WAITLIST_BRANCHES)
