"""The one way to start a task: named, referenced until it ends, its failure logged."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

TASK_FAILED = "task_failed"

log = structlog.get_logger(__name__)


class Tasks:
    """The background tasks of one owner; `cancel` ends them all."""

    def __init__(self) -> None:
        # In the order of their start, so that they are cancelled in the same order in every run.
        self._running: dict[asyncio.Task[Any], None] = {}

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` in the background."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running[task] = None
        task.add_done_callback(self._ended)
        return task

    async def cancel(self) -> None:
        """Cancel what still runs and wait for it."""
        # One that has not taken its first step would end without its `finally`.
        await asyncio.sleep(0)
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.pop(task, None)
        if not task.cancelled() and task.exception() is not None:
            log.error(TASK_FAILED, task=task.get_name(), exc_info=task.exception())
