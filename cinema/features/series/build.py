"""How this feature is built."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from cinema.features.bookings.service import BookingsService
from cinema.features.bookings.store import BookingsRepository
from cinema.features.cashdesk.till_store import TillsRepository
from cinema.features.feature import Feature
from cinema.features.giftcards.service import GiftCardsService
from cinema.features.ledger.methods import ByDecision
from cinema.features.ledger.rules import SERIES as WAITS_FOR_SERIES
from cinema.features.ledger.service import AttemptsService
from cinema.features.loyalty.service import LoyaltyService
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.features.payments.stripe_service import StripePayments
from cinema.features.seats.service import SeatsService
from cinema.features.series import routes as series_routes
from cinema.features.series.end_service import SeriesEndings
from cinema.features.series.errors import ERRORS
from cinema.features.series.jobs import OpenSeries
from cinema.features.series.payment_service import SeriesPayments
from cinema.features.series.service import SeriesService
from cinema.features.series.store import SeriesRepository
from cinema.http.routes import bound


async def build(node: NodeParts, offered: Offered) -> Feature:
    now, store = node.common_time, SeriesRepository(node.pool)
    methods = offered[AttemptsService].methods
    attempts, tills = offered[AttemptsService], offered[TillsRepository]
    endings = SeriesEndings(node.dispatch, store, attempts, tills, next_id=node.next_id)
    payments = SeriesPayments(
        *(store, endings, attempts, offered[GiftCardsService], offered[LoyaltyService]),
        window=timedelta(seconds=node.settings.payment_window_seconds),
        grace=timedelta(seconds=node.settings.payment_grace_seconds),
        now=now,
    )
    series = SeriesService(
        node.dispatch,
        store,
        offered[SeatsService],
        BookingsRepository(node.pool, node.sold),
        offered[BookingsService],
        methods,
        tills,
        endings,
        payments,
        next_id=node.next_id,
    )
    methods.add(ByDecision(WAITS_FOR_SERIES, payments.abort_for, now=now))
    offered[StripePayments].tell_of_series(payments)
    return Feature(
        routes=bound(series_routes.ROUTES, series),
        tasks={"open-series": OpenSeries(series, payments, store, now=now).run},
        sweeps={"series": store.forget},
    )


TAGS: Final = {
    "Series": "Seats of several showtimes that are booked together, all or none.",
}

SERIES: Final = Listed(build, errors=ERRORS, tags=TAGS)
