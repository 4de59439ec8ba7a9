"""The one way to start a task: named, referenced until it ends, its failure logged."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import structlog

TASK_FAILED = "task_failed"

CANCEL_AGAIN_S: Final = 1.0
"""How long a cancelled task may tidy up before it is taken to have missed that."""

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
        """Cancel what still runs and wait for it.

        A task can miss its cancellation: `asyncio.wait_for` of Python 3.11, which drivers use,
        drops one that comes in the same step as its result. Such a task is cancelled again.
        """
        # One that has not taken its first step would end without its `finally`.
        await asyncio.sleep(0)
        running = list(self._running)
        while running:
            for task in running:
                task.cancel()
            await asyncio.wait(running, timeout=CANCEL_AGAIN_S)
            running = [task for task in running if not task.done()]

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.pop(task, None)
        if not task.cancelled() and task.exception() is not None:
            log.error(TASK_FAILED, task=task.get_name(), exc_info=task.exception())
