"""Gives uses of presale codes back whose holds have ended without a booking, or never began.

Every node looks. What one has claimed no other looks at for `LOOK_AFTER`; then it is due again, if
its node has died. Bounds: `PAGE` uses a round, and a node rests between two of them as long as the
last one took. Telemetry: the log event below.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from cinema.actors.asking import NOT_FOUND, refusal_of
from cinema.actors.dispatch import Dispatch
from cinema.actors.messages import HoldSeen, Outcome, ReadHold, Unavailable
from cinema.domain.times import from_us
from cinema.features.feature import Rest
from cinema.features.presale.store import LOOK_AFTER, PresaleRepository, Use
from cinema.features.rounds import Rounds, in_proportion

PRESALE_USES_NOT_RETURNED: Final = "presale_uses_not_returned"

PERIOD_S: Final = 5.0
"""Time between two looks."""

PAGE: Final = 100

RESTS_FOR: Final = 1.0
"""If a page was full the next one follows, behind a rest as long as it took."""

BEHIND: Final = timedelta(seconds=2)
"""After the end of a hold its use is looked at: its showtime has ended it by then."""

log = structlog.get_logger(__name__)


class UsesReturned:
    """Looks at uses whose holds may have ended."""

    def __init__(
        self,
        store: PresaleRepository,
        dispatch: Dispatch,
        *,
        now: Callable[[], datetime],
        rest: Rest = asyncio.sleep,
    ) -> None:
        self._store = store
        self._dispatch = dispatch
        self._now = now
        self._rest = rest

    async def run(self) -> None:
        """Run as long as the node runs."""
        rounds = Rounds(
            log.warning,
            PRESALE_USES_NOT_RETURNED,
            PERIOD_S,
            behind_more=in_proportion(RESTS_FOR),
            rest=self._rest,
        )
        await rounds.run(self._is_more)

    async def _is_more(self) -> bool:
        return await self.round() == PAGE

    async def round(self) -> int:
        """Look at a page of uses; how many. Refuses RETRY, OUTCOME_UNKNOWN."""
        at = self._now()
        until = at + LOOK_AFTER
        claimed = await self._store.claim(at, until, PAGE)
        for use in claimed:
            await self._look(use, until)
        return len(claimed)

    async def _look(self, use: Use, until: datetime) -> None:
        """Look at a use that is this node's `until` then; so late it is looked at again."""
        outcome = await self._ask(use, use.customer_id)
        if not isinstance(outcome, HoldSeen | Unavailable):
            # Staff may have handed the hold over to a customer, in an exchange.
            holder = await self._store.holder(use)
            if holder is not None and holder != use.customer_id:
                outcome = await self._ask(use, holder)
        if isinstance(outcome, Unavailable):
            return
        if not isinstance(outcome, HoldSeen):
            assert refusal_of(outcome) == NOT_FOUND
            await self._store.give_back(use.id, until)
        elif outcome.status == "booked":
            await self._store.look_again(use.id, None)
        elif outcome.status in {"active", "paying"}:
            ends_at = from_us(outcome.group.expires_at_us)
            await self._store.look_again(use.id, max(ends_at, self._now()) + BEHIND)
        else:
            await self._store.give_back(use.id, until)

    async def _ask(self, use: Use, customer_id: UUID) -> Outcome:
        question = ReadHold(hold_id=use.hold_id.bytes, customer=customer_id.bytes)
        return await self._dispatch.ask(use.showtime_id.bytes, question)
