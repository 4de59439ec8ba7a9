"""Puts deposits aside that are not yet, and ends those whose booking is decided.

Every node looks; what two do at the same time is done once. Bounds: `PAGE`. Telemetry: the log
event below.
"""

from __future__ import annotations

from typing import Final

import structlog

from cinema.domain.rejections import Refused
from cinema.features.deposits.service import DepositsService
from cinema.features.deposits.store import FIRST, DepositsRepository
from cinema.features.rounds import Rounds
from cinema.telemetry.logging import LogLimit

DEPOSIT_NOT_ENDED: Final = "deposit_not_ended"

PERIOD_S: Final = 5.0
"""Time between two looks."""

PAGE: Final = 100

log = structlog.get_logger(__name__)


class OpenDeposits:
    """Goes on with deposits; on every node."""

    def __init__(self, service: DepositsService, deposits: DepositsRepository) -> None:
        self._service = service
        self._deposits = deposits
        self._limit = LogLimit()

    async def run(self) -> None:
        """Run as long as the node runs."""
        await Rounds(log.warning, DEPOSIT_NOT_ENDED, PERIOD_S).run(self.round)

    async def round(self) -> int:
        """Do all that can be done now; with how many. Refuses RETRY."""
        done, after = 0, FIRST
        while page := await self._deposits.open(PAGE, after):
            for deposit in page:
                after = deposit.taken_at, deposit.booking_id
                try:
                    done += await self._service.go_on(deposit)
                except Refused as refused:
                    # One booking that cannot be asked about does not keep the others.
                    self._limit.write(
                        *(log.warning, DEPOSIT_NOT_ENDED),
                        booking=str(deposit.booking_id),
                        reason=refused.rejection.code,
                    )
        return done
