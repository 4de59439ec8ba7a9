"""The loop that works off queues in Postgres: mails, and what follows from bookings."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from cinema.domain.rejections import Refused
from cinema.features.feature import Queue
from cinema.storage.journal.store import StoreUnavailable
from cinema.telemetry.logging import LogLimit

QUEUE_FAILED: Final = "queue_failed"

PERIOD_S: Final = 1.0
"""Time between two looks at a queue that was empty."""

AT_ONCE: Final = 8
"""Pieces of work of one queue under way on a node; each waits for a mail server, or the like."""

log = structlog.get_logger(__name__)


class Worker:
    """Takes what is due from one queue, a few pieces at a time, for as long as the node runs.

    On every node: a queue gives each piece to one of them.
    """

    def __init__(self, name: str, queue: Queue) -> None:
        self._name = name
        self._queue = queue
        self._limit = LogLimit()

    async def run(self) -> None:
        """Until cancelled; a piece under way then is taken up by somebody else later."""
        while True:
            if not await self.round():
                await asyncio.sleep(PERIOD_S)

    async def round(self) -> bool:
        """Work off what is due now, as much as goes at once; whether there was any.

        A database that is away is waited for. A piece that fails with a bug keeps no other.
        """
        try:
            pieces = await self._queue.claim(AT_ONCE)
            results = await asyncio.gather(
                *(self._queue.work(piece) for piece in pieces), return_exceptions=True
            )
        except (Refused, StoreUnavailable) as error:
            self._failed(error)
            return False
        for result in results:
            if isinstance(result, BaseException):
                self._failed(result)
        return bool(pieces)

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, Refused | StoreUnavailable):
            self._limit.write(log.warning, QUEUE_FAILED, queue=self._name, reason=str(error))
            return
        self._limit.write(
            log.error, QUEUE_FAILED, queue=self._name, reason=repr(error), exc_info=error
        )
