"""Gives uses of presale codes back whose holds have ended without a booking, or never began.

Every node looks; what two do at the same time is done once. Bounds: `PAGE` uses a round. Telemetry:
the log event below.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from cinema.actors.asking import NOT_FOUND, refusal_of
from cinema.actors.dispatch import Dispatch
from cinema.actors.messages import HoldSeen, ReadHold, Unavailable
from cinema.domain.rejections import Refused
from cinema.domain.times import from_us
from cinema.features.presale.store import LOOK_AFTER, PresaleRepository, Use
from cinema.telemetry.logging import LogLimit

PRESALE_USES_NOT_RETURNED: Final = "presale_uses_not_returned"

PERIOD_S: Final = 5.0
"""Time between two looks."""

PAGE: Final = 100

BEHIND: Final = timedelta(seconds=2)
"""After the end of a hold its use is looked at: its showtime has ended it by then."""

log = structlog.get_logger(__name__)


class UsesReturned:
    """Looks at uses whose holds may have ended."""

    def __init__(
        self, store: PresaleRepository, dispatch: Dispatch, *, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._dispatch = dispatch
        self._now = now
        self._limit = LogLimit()

    async def run(self) -> None:
        """Run as long as the node runs."""
        while True:
            await asyncio.sleep(PERIOD_S)
            try:
                await self.round()
            except Refused as refused:
                self._limit.write(
                    log.warning, PRESALE_USES_NOT_RETURNED, reason=refused.rejection.code
                )

    async def round(self) -> int:
        """Look at a page of uses; how many. Refuses RETRY."""
        at = self._now()
        due = await self._store.due(at, PAGE)
        for use in due:
            await self._look(use, at)
        return len(due)

    async def _look(self, use: Use, at: datetime) -> None:
        question = ReadHold(hold_id=use.hold_id.bytes, customer=use.customer_id.bytes)
        outcome = await self._dispatch.ask(use.showtime_id.bytes, question)
        if isinstance(outcome, Unavailable):
            await self._store.look_again(use.id, self._now() + LOOK_AFTER)
        elif not isinstance(outcome, HoldSeen):
            assert refusal_of(outcome) == NOT_FOUND
            await self._store.give_back(use.id, at)
        elif outcome.status == "booked":
            await self._store.look_again(use.id, None)
        elif outcome.status in {"active", "paying"}:
            ends_at = from_us(outcome.group.expires_at_us)
            await self._store.look_again(use.id, max(ends_at, self._now()) + BEHIND)
        else:
            await self._store.give_back(use.id, at)
