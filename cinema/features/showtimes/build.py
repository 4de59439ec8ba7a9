"""How this feature is built."""

from __future__ import annotations

import time
from typing import Final

from cinema.features.catalog.deletion_store import DELETION, DeletionsRepository
from cinema.features.catalog.store import CatalogRepository
from cinema.features.feature import Feature, JobKind
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.features.showtimes import availability_routes, calendar_routes
from cinema.features.showtimes import routes as showtime_routes
from cinema.features.showtimes.availability_service import AvailabilityService
from cinema.features.showtimes.availability_store import AvailabilityRepository
from cinema.features.showtimes.calendar_service import CalendarsService
from cinema.features.showtimes.calendar_store import CalendarRepository
from cinema.features.showtimes.errors import ERRORS
from cinema.features.showtimes.jobs import Deletions
from cinema.features.showtimes.rows import SHOWTIME_BRANCHES
from cinema.features.showtimes.service import ShowtimesService
from cinema.features.showtimes.store import ShowtimesRepository
from cinema.http.routes import bound


async def build(node: NodeParts, offered: Offered) -> Feature:
    store = ShowtimesRepository(node.pool, node.reads, offered[CatalogRepository].cache)
    showtimes = ShowtimesService(
        store,
        offered[CatalogRepository],
        node.dispatch,
        defaults=node.sale_rules,
        new_id=node.next_id,
        now=node.now,
    )
    calendars = CalendarsService(
        offered[CatalogRepository],
        CalendarRepository(node.pool, node.reads),
        now=node.now,
    )
    availability = AvailabilityService(
        AvailabilityRepository(node.pool, node.reads),
        node.dispatch,
        now=node.now,
        steady_s=time.monotonic,
    )
    deleting = Deletions(node.dispatch, offered[DeletionsRepository], now=node.now)
    return Feature(
        routes=(
            *bound(showtime_routes.ROUTES, showtimes),
            *bound(calendar_routes.ROUTES, calendars),
            *bound(availability_routes.ROUTES, availability),
        ),
        jobs={DELETION: JobKind(run=deleting.run)},
    )


TAGS: Final = {
    "Showtimes": "Which film runs when and where, and when seats are sold.",
}

SHOWTIMES: Final = Listed(build, errors=ERRORS, tags=TAGS, rows=SHOWTIME_BRANCHES)
