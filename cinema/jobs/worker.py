"""The loop that works off queues in Postgres: mails and jobs."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import structlog

from cinema.actors.tasks import Tasks
from cinema.domain.rejections import Refused
from cinema.features.feature import Queue, Rest
from cinema.storage.journal.store import StoreUnavailable
from cinema.telemetry.logging import LogLimit

QUEUE_FAILED: Final = "queue_failed"

PERIOD_S: Final = 1.0
"""Time between two looks at a queue that had nothing more."""

AT_ONCE: Final = 8
"""Pieces of work of one queue that a node does at the same time; each waits for a mail server or
the like. A feature may say another number (`Feature.at_once`)."""

log = structlog.get_logger(__name__)


class Worker:
    """Works off one queue, a few pieces at a time, as long as the node runs.

    Every node has one; the queue gives each piece to one node. A slow piece does not delay the
    others while there is room.
    """

    def __init__(
        self, name: str, queue: Queue, at_once: int = AT_ONCE, rest: Rest = asyncio.sleep
    ) -> None:
        self._name = name
        self._queue = queue
        self._at_once = at_once
        self._rest = rest
        self._pieces = Tasks()
        self._under_way: set[asyncio.Task[None]] = set()
        self._limit = LogLimit()

    async def run(self) -> None:
        """Until cancelled; the pieces under way then are cancelled, and taken up again later."""
        try:
            while True:
                room = self._at_once - len(self._under_way)
                if not room:
                    await self._until_one_ends(None)
                elif await self._take(room) < room:
                    # There was no more, so more is looked for after a while, or sooner if
                    # something ends: what it was may have been in the way.
                    await self._until_one_ends(PERIOD_S)
        finally:
            await self._pieces.cancel()

    async def round(self) -> bool:
        """Work off what is due now, as much as goes at once; whether there was any."""
        taken = await self._take(self._at_once)
        if self._under_way:
            await asyncio.wait(self._under_way)
        return bool(taken)

    async def _take(self, room: int) -> int:
        """Begin what is due; a database that is away is waited for."""
        try:
            pieces = await self._queue.claim(room)
        except (Refused, StoreUnavailable) as error:
            self._failed(error)
            return 0
        for piece in pieces:
            task = self._pieces.start(self._name, self._work(piece))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return len(pieces)

    async def _until_one_ends(self, timeout_s: float | None) -> None:
        if self._under_way:
            await asyncio.wait(
                self._under_way, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        elif timeout_s is not None:
            await self._rest(timeout_s)

    async def _work(self, piece: Any) -> None:
        """One piece; a bug in it keeps no other."""
        (result,) = await asyncio.gather(self._queue.work(piece), return_exceptions=True)
        if isinstance(result, BaseException):
            self._failed(result)

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, Refused | StoreUnavailable):
            self._limit.write(log.warning, QUEUE_FAILED, queue=self._name, reason=str(error))
            return
        self._limit.write(
            log.error, QUEUE_FAILED, queue=self._name, reason=repr(error), exc_info=error
        )
