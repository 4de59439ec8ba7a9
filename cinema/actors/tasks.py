"""The only way to start a task: with a name and a reference; its failure is logged and counted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog

TASK_FAILED: Final = "task_failed"

CANCEL_AGAIN_S: Final = 1.0
"""How long a cancelled task may clean up before it is assumed to have missed the cancellation."""

AGAIN_FIRST_S: Final = 0.1
AGAIN_LIMIT_S: Final = 30.0
"""Pause before a task that is to run for ever is started again; it doubles from end to end."""

STEADY_S: Final = 60.0
"""After a run of this length earlier failures no longer delay a task's next start."""

log = structlog.get_logger(__name__)


class Tasks:
    """The background tasks of one owner; `cancel` ends them all.

    `failures` counts failed tasks by their name, for all owners that share it. A task that was
    cancelled by other code has failed too: otherwise its end would go unnoticed.
    """

    def __init__(self, failures: Counter[str] | None = None) -> None:
        self.failures: Counter[str] = Counter() if failures is None else failures
        # In the order of their start, so that they are cancelled in the same order in every run.
        self._running: dict[asyncio.Task[Any], str] = {}

    def start(
        self, name: str, work: Coroutine[Any, Any, None], about: str = ""
    ) -> asyncio.Task[None]:
        """Run `work` in the background, once; `about` says what it works on."""
        task = asyncio.get_running_loop().create_task(
            work, name=f"{name}-{about}" if about else name
        )
        self._running[task] = name
        task.add_done_callback(self._ended)
        return task

    def keep(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        """Run a permanent task in the background: it is started again after a failure.

        It is not started again when `run` returns.
        """
        return self.start(name, self._kept(name, run))

    async def _kept(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        clock = asyncio.get_running_loop().time
        next_s = AGAIN_FIRST_S
        while True:
            started_s = clock()
            try:
                await run()
            except (Exception, asyncio.CancelledError) as error:
                if _is_cancelled(asyncio.current_task()):
                    raise
                if clock() - started_s >= STEADY_S:
                    next_s = AGAIN_FIRST_S
                self.failures[name] += 1
                log.exception(TASK_FAILED, task=name, reason=repr(error), again_in_s=next_s)
            else:
                return
            await asyncio.sleep(next_s)
            next_s = min(2 * next_s, AGAIN_LIMIT_S)

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
        name = self._running.pop(task)
        if task.cancelled():
            if _is_cancelled(task):
                return
            error: BaseException = asyncio.CancelledError()
        else:
            failure = task.exception()
            if failure is None:
                return
            error = failure
        self.failures[name] += 1
        log.error(TASK_FAILED, task=task.get_name(), reason=repr(error), exc_info=error)


def _is_cancelled(task: asyncio.Task[Any] | None) -> bool:
    """Whether the task was asked to end, and not only a future that it waits for."""
    return task is not None and task.cancelling() > 0
