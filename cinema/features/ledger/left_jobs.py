"""Ends what is put aside for bookings that have ended.

The event that ends a booking ends its attempts to pay. One that is added in the same moment it
cannot see, and the money that this puts aside would wait for ever. Every node looks; each attempt
is ended once. Bound: `PAGE`. Telemetry: the log events below.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from cinema.features.ledger.store import AttemptsRepository
from cinema.features.rounds import Rounds

PUT_ASIDE_LEFT: Final = "put_aside_left"
PUT_ASIDE_NOT_ENDED: Final = "put_aside_not_ended"

PERIOD_S: Final = 30.0
"""Time between two looks: this is rare, and nothing is lost meanwhile."""

PAGE: Final = 100

log = structlog.get_logger(__name__)


class LeftAside:
    """Looks for such attempts; on every node."""

    def __init__(self, attempts: AttemptsRepository, *, now: Callable[[], datetime]) -> None:
        self._attempts = attempts
        self._now = now

    async def run(self) -> None:
        """Run as long as the node runs."""
        await Rounds(log.warning, PUT_ASIDE_NOT_ENDED, PERIOD_S).run(self.look)

    async def look(self) -> bool:
        """End a page of them; whether there may be more. Refuses RETRY."""
        ended = await self._attempts.end_left(self._now(), PAGE)
        if ended:
            log.info(PUT_ASIDE_LEFT, attempts=ended)
        return ended == PAGE
