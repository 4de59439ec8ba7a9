"""What becomes of money that gift cards have put aside for bookings.

An event that ends a booking makes its attempts to pay fail. Every node looks every five seconds for
such attempts, and gives their money back to the cards; once each. What has come to a card that was
replaced in that moment is handed on. Bound: `DECIDED_AT_ONCE`.
Telemetry: the log event below.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from cinema.features.giftcards.use_store import CardUsesRepository
from cinema.features.rounds import Rounds

GIFT_CARDS_NOT_CREDITED: Final = "gift_cards_not_credited"

PERIOD_S: Final = 5.0
"""Time between two looks; so long a card may lack what an abandoned booking has put aside."""

DECIDED_AT_ONCE: Final = 100

log = structlog.get_logger(__name__)


class CardsCredited:
    """Decides about money that was put aside; on every node."""

    def __init__(self, uses: CardUsesRepository, *, now: Callable[[], datetime]) -> None:
        self._uses = uses
        self._now = now

    async def run(self) -> None:
        """Run as long as the node runs."""
        await Rounds(log.warning, GIFT_CARDS_NOT_CREDITED, PERIOD_S).run(self.round)

    async def round(self) -> int:
        """Decide all that can be decided now; how many. Refuses RETRY."""
        decided = 0
        while count := await self._uses.decide(self._now(), DECIDED_AT_ONCE):
            decided += count
        await self._uses.hand_on(self._now(), DECIDED_AT_ONCE)
        return decided
