"""THE list of features, and what follows from it."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from typing import Final

from cinema.features.accounts.build import ACCOUNTS
from cinema.features.bookings.build import BOOKINGS
from cinema.features.cashdesk.build import CASHDESK
from cinema.features.catalog.build import CATALOG
from cinema.features.concessions.build import CONCESSIONS
from cinema.features.deposits.build import DEPOSITS
from cinema.features.events.build import EVENTS
from cinema.features.feature import Feature
from cinema.features.giftcards.build import GIFTCARDS
from cinema.features.invoices.build import INVOICES
from cinema.features.jobs.build import JOBS
from cinema.features.jobs.jobs import JobQueue
from cinema.features.jobs.metrics import JobCounts
from cinema.features.jobs.store import JobsRepository
from cinema.features.ledger.build import LEDGER
from cinema.features.loyalty.build import LOYALTY
from cinema.features.messages.build import MESSAGES
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.features.operations.build import OPERATIONS
from cinema.features.owned import SHOWTIMES as SHOWTIMES_OWNED
from cinema.features.payments.build import PAYMENTS
from cinema.features.presale.build import PRESALE
from cinema.features.pricing.build import PRICING
from cinema.features.privacy.build import PRIVACY
from cinema.features.recommendations.build import RECOMMENDATIONS
from cinema.features.reports.build import REPORTS
from cinema.features.reviews.build import REVIEWS
from cinema.features.schedules.build import SCHEDULES
from cinema.features.seats.build import SEATS
from cinema.features.series.build import SERIES
from cinema.features.showtimes.build import SHOWTIMES
from cinema.features.tickets.build import TICKETS
from cinema.features.waitingroom.build import WAITINGROOM
from cinema.features.waitlist.build import WAITLIST
from cinema.features.watching.build import WATCHING
from cinema.features.webhooks.build import WEBHOOKS
from cinema.features.website.build import WEBSITE
from cinema.http.document.openapi import DocumentHead
from cinema.http.errors import error_table
from cinema.integrations.forks import ForkServer
from cinema.storage.journal.branches import RowBranches

FEATURES: Final[dict[str, Listed]] = {
    "messages": MESSAGES,
    "jobs": JOBS,
    "events": EVENTS,
    "accounts": ACCOUNTS,
    "catalog": CATALOG,
    "seats": SEATS,
    "concessions": CONCESSIONS,
    "pricing": PRICING,
    "showtimes": SHOWTIMES,
    "ledger": LEDGER,
    "cashdesk": CASHDESK,
    "giftcards": GIFTCARDS,
    "loyalty": LOYALTY,
    "bookings": BOOKINGS,
    "watching": WATCHING,
    "payments": PAYMENTS,
    "deposits": DEPOSITS,
    "invoices": INVOICES,
    "tickets": TICKETS,
    "reports": REPORTS,
    "reviews": REVIEWS,
    "recommendations": RECOMMENDATIONS,
    "presale": PRESALE,
    "series": SERIES,
    "waitingroom": WAITINGROOM,
    "waitlist": WAITLIST,
    "schedules": SCHEDULES,
    "webhooks": WEBHOOKS,
    "privacy": PRIVACY,
    "website": WEBSITE,
    "operations": OPERATIONS,
}
"""Each is built with what the earlier ones offer; `cinema/features` has a folder of each name."""

ERRORS: Final = error_table(one.errors for one in FEATURES.values())
"""The answer for each code with which a client may be refused."""

PRODUCT: Final = DocumentHead(
    title="cinema",
    about="""\
Seats of cinemas: see them, hold them, book them, and watch them change. A seat is named by its \
label within the screen: a number behind the letters of its row (`F7`), or a letter behind the \
number of its row (`12C`).""",
    tags=dict(sorted(tag for one in FEATURES.values() for tag in one.tags.items())),
    owned=SHOWTIMES_OWNED,
)
"""What the document for clients says of all features, their tags in the order of the alphabet."""

SEALED_COLUMNS: Final = tuple(column for one in FEATURES.values() for column in one.sealed)
"""The columns that features keep sealed; `cinema reseal` goes through all of them."""


async def build_features(node: NodeParts, offered: Offered) -> list[Feature]:
    """All features of a node, in their order."""
    printing = offered.add(ForkServer([name for one in FEATURES.values() for name in one.programs]))
    node.stack.push_async_callback(printing.close)
    features = []
    for listed in FEATURES.values():
        features.append(feature := await listed.build(node, offered))
        offered.personal += feature.personal
    return features


def job_queue(node: NodeParts, offered: Offered, features: Sequence[Feature]) -> JobQueue:
    """The jobs of all features, for the worker of this node."""
    kinds = {kind: how for feature in features for kind, how in feature.jobs.items()}
    return JobQueue(
        offered[JobsRepository],
        kinds,
        offered[JobCounts],
        node=f"{platform.node()}:{os.getpid()}",
        now=node.common_time,
    )


def row_branches() -> RowBranches:
    """The rows that all features write with the events of showtimes."""
    return RowBranches([branch for feature in FEATURES.values() for branch in feature.rows])


def silent_branches() -> RowBranches:
    """The same rows, but for what others are told of: for what happened before."""
    branches = row_branches().branches
    return RowBranches([one for one in branches if not one.name.endswith("_told")])
