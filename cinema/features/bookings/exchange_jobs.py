"""Brings exchanges to their end that were begun, or decided, and not ended.

Every node looks; what two do at the same time is done once. Bounds: `PAGE`. Telemetry: the log
event below.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from cinema.domain.rejections import Refused
from cinema.features.bookings.exchange_service import ExchangesService
from cinema.features.bookings.exchange_store import ExchangesRepository
from cinema.features.rounds import Rounds
from cinema.telemetry.logging import LogLimit

EXCHANGE_NOT_ENDED: Final = "exchange_not_ended"

PERIOD_S: Final = 5.0
"""Time between two looks."""

PAGE: Final = 100

log = structlog.get_logger(__name__)


class OpenExchanges:
    """Books the new seats of what is committed, and frees those of what is not, in time."""

    def __init__(
        self,
        service: ExchangesService,
        exchanges: ExchangesRepository,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._service = service
        self._exchanges = exchanges
        self._now = now
        self._limit = LogLimit()

    async def run(self) -> None:
        """Run as long as the node runs."""
        await Rounds(log.warning, EXCHANGE_NOT_ENDED, PERIOD_S).run(self.round)

    async def round(self) -> int:
        """End a page of them; how many. Refuses RETRY."""
        ended = 0
        for exchange in await self._exchanges.open(self._now(), PAGE):
            try:
                await self._service.settled(exchange)
                ended += 1
            except Refused as refused:
                reason = refused.rejection.code
                if reason == "EXCHANGE_ENDED":
                    ended += 1
                    continue
                self._limit.write(
                    log.warning, EXCHANGE_NOT_ENDED, exchange=str(exchange.id), reason=reason
                )
        return ended
