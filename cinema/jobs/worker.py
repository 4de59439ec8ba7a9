"""The loop that works off queues in Postgres, such as that of mails."""

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
"""Pieces of work of one queue that a node does at the same time; each waits for a mail server or
the like."""

log = structlog.get_logger(__name__)


class Worker:
    """Works off one queue, a few pieces at a time, as long as the node runs.

    Every node has one; the queue gives each piece to one node.
    """

    def __init__(self, name: str, queue: Queue) -> None:
        self._name = name
        self._queue = queue
        self._limit = LogLimit()

    async def run(self) -> None:
        """Run until cancelled; another node later repeats a piece that was interrupted."""
        while True:
            if not await self.round():
                await asyncio.sleep(PERIOD_S)

    async def round(self) -> bool:
        """Work off what is due now, up to `AT_ONCE` pieces; False if there was nothing.

        If the database is away, a later call tries again. A piece that fails with a bug does not
        stop the others.
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
