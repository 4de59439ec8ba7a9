"""How this feature is built."""

from __future__ import annotations

from typing import Final

from cinema.features.bookings.service import BookingsService
from cinema.features.bookings.store import BookingsRepository
from cinema.features.cashdesk.till_store import TillsRepository
from cinema.features.feature import Feature
from cinema.features.ledger.methods import ByDecision
from cinema.features.ledger.rules import SERIES as WAITS_FOR_SERIES
from cinema.features.ledger.service import AttemptsService
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.features.seats.service import SeatsService
from cinema.features.series import routes as series_routes
from cinema.features.series.errors import ERRORS
from cinema.features.series.jobs import OpenSeries
from cinema.features.series.service import SeriesService
from cinema.features.series.store import SeriesRepository
from cinema.http.routes import bound


async def build(node: NodeParts, offered: Offered) -> Feature:
    now, store = node.common_time, SeriesRepository(node.pool)
    methods = offered[AttemptsService].methods
    series = SeriesService(
        *(node.dispatch, store, offered[SeatsService], BookingsRepository(node.pool, node.sold)),
        *(offered[BookingsService], methods, offered[TillsRepository]),
        next_id=node.next_id,
    )
    methods.add(ByDecision(WAITS_FOR_SERIES, store.abort_for, now=now))
    return Feature(
        routes=bound(series_routes.ROUTES, series),
        tasks={"open-series": OpenSeries(series, store, now=now).run},
        sweeps={"series": store.forget},
    )


TAGS: Final = {
    "Series": "Seats of several showtimes that are booked together, all or none.",
}

SERIES: Final = Listed(build, errors=ERRORS, tags=TAGS)
