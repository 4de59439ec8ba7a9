"""Offers what quotas of channels leave to those who wait, soon after the quotas are released.

That a quota is released is no event: its time comes. Every node looks every five seconds for
quotas whose time came since its last look, and has each showtime offer what is free. A showtime
that has nobody to offer it to does nothing: what several nodes ask is done once. A node that starts
looks back for `LOOK_BACK`. If a showtime does not answer, the next look begins where this one did.
A look is a range of an index that holds moments of release alone, so that all nodes may look, and
none depends on another. Bounds: `PAGE` showtimes in one statement. Telemetry: the log event below.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from cinema.actors.dispatch import Dispatch
from cinema.actors.messages import Unavailable
from cinema.domain.showtime.commands import UnblockSeats
from cinema.features.feature import Rest
from cinema.features.rounds import Rounds
from cinema.features.waitlist.store import OffersRepository

RELEASED_NOT_OFFERED: Final = "released_quotas_not_offered"

PERIOD_S: Final = 5.0

PAGE: Final = 100

LOOK_BACK: Final = timedelta(hours=1)
"""From when on a node looks that starts: so long nobody may have looked."""

BEHIND: Final = timedelta(seconds=2)
"""So long after its time a quota is looked at: it is released by the clock of its showtime then."""

_FIRST: Final = UUID(int=0)

log = structlog.get_logger(__name__)


class ReleasedOffered:
    """Has showtimes offer what released quotas leave; on every node."""

    def __init__(
        self,
        store: OffersRepository,
        dispatch: Dispatch,
        *,
        next_id: Callable[[], bytes],
        now: Callable[[], datetime],
        rest: Rest = asyncio.sleep,
    ) -> None:
        self._store = store
        self._dispatch = dispatch
        self._next_id = next_id
        self._now = now
        self._rest = rest
        self.rounded_to = now() - LOOK_BACK

    async def run(self) -> None:
        """Run as long as the node runs."""
        rounds = Rounds(log.warning, RELEASED_NOT_OFFERED, PERIOD_S, rest=self._rest)
        await rounds.run(self.round)

    async def round(self) -> None:
        """Look once. Refuses RETRY."""
        until, behind, is_done = self._now() - BEHIND, _FIRST, True
        while page := await self._store.released(self.rounded_to, until, behind, PAGE):
            for showtime_id in page:
                command = UnblockSeats(command_id=self._next_id(), labels=[])
                outcome = await self._dispatch.ask(showtime_id.bytes, command)
                is_done &= not isinstance(outcome, Unavailable)
            behind = page[-1]
        if is_done:
            self.rounded_to = until
