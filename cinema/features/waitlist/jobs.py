"""Mails to those who were offered seats, soon after the event that made the offer.

Every node looks every two seconds. An offer is taken away in the transaction that enqueues its
mail, so that it is told once. An offer that has ended by then is not told. The mail is looked at
again when it is sent: `is_open` says whether the hold still lives. Bounds: `PAGE` offers at a time,
each once in a round. Telemetry: the log event below, and that of messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog

from cinema.actors.dispatch import Dispatch
from cinema.actors.messages import HoldSeen, Outcome, ReadHold, Unavailable
from cinema.features.feature import Rest
from cinema.features.messages.enqueuing import Enqueue
from cinema.features.rounds import Rounds
from cinema.features.waitlist.store import OffersRepository, OfferToTell
from cinema.storage.database.transactions import Pool, transaction

OFFERS_NOT_TOLD: Final = "waitlist_offers_not_told"

MESSAGE: Final = "waitlist_offer"

PERIOD_S: Final = 2.0
"""Time between two looks: of its fifteen minutes nobody misses two seconds."""

PAGE: Final = 50

log = structlog.get_logger(__name__)


class OffersTold:
    """Writes the mails of offers; on every node. `base_url` is that of the pages."""

    def __init__(
        self,
        dispatch: Dispatch,
        offers: OffersRepository,
        pool: Pool,
        post: Enqueue,
        *,
        base_url: str,
        now: Callable[[], datetime],
        rest: Rest = asyncio.sleep,
    ) -> None:
        self._dispatch = dispatch
        self._offers = offers
        self._pool = pool
        self._post = post
        self._base_url = base_url
        self._now = now
        self._rest = rest

    async def run(self) -> None:
        """Run as long as the node runs."""
        rounds = Rounds(log.warning, OFFERS_NOT_TOLD, PERIOD_S, rest=self._rest)
        await rounds.run(self.round)

    async def round(self) -> int:
        """Tell all of whom it is known whether they have seats; how many. Refuses RETRY."""
        told = 0
        last: OfferToTell | None = None
        while page := await self._offers.due(last, PAGE):
            for offer in page:
                told += await self.tell(offer)
            last = page[-1]
        return told

    async def tell(self, offer: OfferToTell) -> bool:
        """Tell somebody of an offer; False if that is not to be done, or cannot be done now."""
        if offer.expires_at <= self._now():
            await self._offers.forget(offer)
            return False
        outcome = await self._ask(offer.showtime_id, offer.hold_id, offer.user_id)
        if isinstance(outcome, Unavailable):
            return False
        if not _lives(outcome):
            await self._offers.forget(offer)
            return False
        assert isinstance(outcome, HoldSeen)
        labels = outcome.terms.plan.labels
        async with transaction(self._pool) as running:
            if not await self._offers.take(running, offer):
                return False
            to = await self._offers.addressee(running, offer)
            if to is None:
                return False
            await self._post(
                running,
                kind=MESSAGE,
                to=to.email,
                language=to.language,
                payload={
                    "first_name": to.first_name,
                    "film": to.film,
                    "cinema": to.cinema,
                    "starts": to.starts,
                    "seats": ", ".join([labels[seat] for seat in outcome.group.seats]),
                    "until": to.until,
                    "url": f"{self._base_url}/showtimes/{offer.showtime_id}",
                    "showtime_id": str(offer.showtime_id),
                    "hold_id": str(offer.hold_id),
                    "user_id": str(offer.user_id),
                },
                dedupe_key=f"{MESSAGE}:{offer.hold_id}",
                drop_after=offer.expires_at,
            )
        return True

    async def is_open(self, payload: Mapping[str, Any]) -> bool:
        """Whether the offer of a mail can still be taken; True if nobody can say it now."""
        outcome = await self._ask(
            UUID(payload["showtime_id"]), UUID(payload["hold_id"]), UUID(payload["user_id"])
        )
        return isinstance(outcome, Unavailable) or _lives(outcome)

    async def _ask(self, showtime_id: UUID, hold_id: UUID, user_id: UUID) -> Outcome:
        query = ReadHold(hold_id=hold_id.bytes, customer=user_id.bytes)
        return await self._dispatch.ask(showtime_id.bytes, query)


def _lives(outcome: Outcome) -> bool:
    """Whether somebody has still to be told: who pays or has booked knows of the seats."""
    return isinstance(outcome, HoldSeen) and outcome.status == "active"
