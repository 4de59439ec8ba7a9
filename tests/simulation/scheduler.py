"""Virtual time: everything that will happen, in one order, on as many event loops as there are
machines.

Each process of the simulation has a loop of its own, so that it can be frozen or killed between
any two of its steps while the others go on. Nothing here waits, and nothing is left to chance.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from tests.simulation.machine import Machine

STEPS_LIMIT = 500_000
"""Steps of one run; more means that something goes round in circles."""

_set_running_loop = asyncio._set_running_loop


class Endless(Exception):
    """A run takes more steps than any honest one."""


class Scheduler:
    """The queue of all that will happen, by true time; ties go to whoever asked first."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.steps = 0
        self._queue: list[tuple[int, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._serial = 0

    def at(self, at_ns: int, action: Callable[..., Any], *arguments: Any) -> None:
        """Do something at a moment, or now if that has passed."""
        self._serial += 1
        at_ns = max(at_ns, self.now_ns)
        heapq.heappush(self._queue, (at_ns, self._serial, action, arguments))

    def after(self, delay_ns: int, action: Callable[..., Any], *arguments: Any) -> None:
        """Do something a while from now."""
        self.at(self.now_ns + delay_ns, action, *arguments)

    def run_until(self, end_ns: int) -> None:
        """Let everything happen up to a moment."""
        queue = self._queue
        while queue and queue[0][0] <= end_ns:
            self.now_ns, _, action, arguments = heapq.heappop(queue)
            self.steps += 1
            if self.steps > STEPS_LIMIT:
                raise Endless(f"{STEPS_LIMIT} steps, and it is {self.now_ns} ns only")
            action(*arguments)
        self.now_ns = max(self.now_ns, end_ns)


class SimulatedLoop(asyncio.AbstractEventLoop):
    """asyncio's loop of one simulated process.

    A frozen loop keeps its steps until it is thawed; a dead one forgets them.
    """

    def __init__(
        self, scheduler: Scheduler, machine: Machine, report: Callable[[str], None]
    ) -> None:
        self._scheduler = scheduler
        self._machine = machine
        self._report = report
        self._held: list[tuple[asyncio.Handle, int]] = []
        self._graveyard: list[Any] = []
        self._steps_left: int | None = None
        self._last_word: Callable[[], None] | None = None
        self.frozen = False
        self.dead = False

    # --- what happens to processes

    def freeze(self) -> None:
        """No step from here on, until `thaw`."""
        self.frozen = True

    def thaw(self) -> None:
        """Go on with what was due meanwhile."""
        self.frozen = False
        held, self._held = self._held, []
        for handle, due_ns in held:
            self._scheduler.after(0, self._step, handle, due_ns)

    def die(self) -> None:
        """As `kill -9`: whatever was about to happen never does, not even `finally`."""
        self.dead = True
        self._held = []
        # Collected coroutines would run their `finally`: they are kept until the run is over.
        self._graveyard = list(asyncio.all_tasks(self))

    def after_steps(self, steps: int, action: Callable[[], None]) -> None:
        """Do something behind a number of this loop's steps: between two awaits of its tasks."""
        self._steps_left = steps
        self._last_word = action

    def bury(self) -> None:
        """Close the coroutines that are left, once nobody looks any more."""
        pending = [*self._graveyard, *asyncio.all_tasks(self)]
        self.dead = True
        self._graveyard = []
        _set_running_loop(self)
        try:
            for task in pending:
                task._log_destroy_pending = False
                try:
                    task.get_coro().close()
                except (Exception, asyncio.CancelledError):  # noqa: BLE001  # nobody listens
                    continue
        finally:
            _set_running_loop(None)

    # --- steps

    def post(self, callback: Callable[..., Any], *arguments: Any) -> None:
        """Something arrives from outside: the network, a signal."""
        self.call_soon(callback, *arguments)

    def _step(self, handle: asyncio.Handle, due_ns: int) -> None:
        """Run one callback; `due_ns` is its moment on the process's own clock, 0 for at once."""
        if self.dead or handle._cancelled:
            return
        if self.frozen:
            self._held.append((handle, due_ns))
            return
        if due_ns and self._machine.monotonic_ns() < due_ns:
            # The clock of the process stood still meanwhile.
            self._scheduler.at(self._machine.when_monotonic(due_ns), self._step, handle, due_ns)
            return
        _set_running_loop(self)
        try:
            handle._run()
        finally:
            _set_running_loop(None)
        if self._steps_left is not None:
            self._steps_left -= 1
            if self._steps_left <= 0 and self._last_word is not None:
                last_word, self._last_word, self._steps_left = self._last_word, None, None
                last_word()

    # --- what asyncio asks for

    def time(self) -> float:
        return self._machine.monotonic_ns() / 1e9

    def call_soon(
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        if not self.dead:
            self._scheduler.after(0, self._step, handle, 0)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        if not self.dead:
            due_ns = max(1, round(when * 1e9))
            self._scheduler.at(self._machine.when_monotonic(due_ns), self._step, handle, due_ns)
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Any = None
    ) -> Any:
        if self.dead:
            coro.close()
            return self.create_future()
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.dead:
            self._report(f"{context.get('message')}: {context.get('exception')!r}")

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """The step finds out by itself."""

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self.dead

    def is_closed(self) -> bool:
        return False
