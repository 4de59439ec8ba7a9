"""Virtual time: everything that will happen, in one order, on as many event loops as there are
machines.

Each process of the simulation has a loop of its own, so that it can be frozen or killed between
any two of its steps while the others go on. Nothing here waits, and nothing is left to chance.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from heapq import heappop, heappush
from typing import Any

from tests.simulation.machine import Machine

STEPS_LIMIT = 500_000
"""Steps of one run; more means that something goes round in circles."""

_set_running_loop = asyncio._set_running_loop


class Endless(Exception):
    """A run takes more steps than any honest one."""


class Step:
    """A callback of some loop, which may be cancelled; stands for asyncio's handles.

    It runs without a context of its own: nothing in the server goes by context variables.
    """

    __slots__ = ("arguments", "callback", "due_ns", "is_cancelled", "loop")

    def __init__(
        self,
        loop: SimulatedLoop,
        callback: Callable[..., Any],
        arguments: tuple[Any, ...],
        due_ns: int,
    ) -> None:
        self.loop = loop
        self.callback = callback
        self.arguments = arguments
        self.due_ns = due_ns
        self.is_cancelled = False

    def cancel(self) -> None:
        """See `asyncio.Handle.cancel`."""
        self.is_cancelled = True
        self.arguments = ()

    def cancelled(self) -> bool:
        """See `asyncio.Handle.cancelled`."""
        return self.is_cancelled

    def when(self) -> float:
        """See `asyncio.TimerHandle.when`."""
        return self.due_ns / 1e9


class Scheduler:
    """The queue of all that will happen, by true time; ties go to whoever asked first.

    What is to happen at once, most of all, waits in a line of its own, without the cost of a heap.
    What the heap has for the same moment was asked for earlier, and goes first.
    """

    def __init__(self) -> None:
        self.now_ns = 0
        self.steps = 0
        self.at_once: deque[tuple[Any, Any]] = deque()
        self._later: list[tuple[int, int, Any, Any]] = []
        self._serial = 0

    def at(self, at_ns: int, action: Callable[..., Any], *arguments: Any) -> None:
        """Do something at a moment, or now if that has passed."""
        if at_ns <= self.now_ns:
            self.at_once.append((action, arguments))
            return
        self._serial += 1
        heappush(self._later, (at_ns, self._serial, action, arguments))

    def after(self, delay_ns: int, action: Callable[..., Any], *arguments: Any) -> None:
        """Do something a while from now."""
        self.at(self.now_ns + delay_ns, action, *arguments)

    def step_at(self, at_ns: int, step: Step) -> None:
        """Let a loop take a step at a moment, or now if that has passed."""
        if at_ns <= self.now_ns:
            self.at_once.append((None, step))
            return
        self._serial += 1
        heappush(self._later, (at_ns, self._serial, None, step))

    def run_until(self, end_ns: int) -> None:
        """Let everything happen up to a moment."""
        later, at_once = self._later, self.at_once
        running: SimulatedLoop | None = None
        try:
            while True:
                if later and (later[0][0] <= self.now_ns or not at_once):
                    if later[0][0] > end_ns:
                        break
                    self.now_ns, _, action, what = heappop(later)
                elif at_once:
                    action, what = at_once.popleft()
                else:
                    break
                self.steps += 1
                if action is not None:
                    action(*what)
                    continue
                loop = what.loop
                if loop is not running:
                    _set_running_loop(loop)
                    running = loop
                loop.take(what)
                if self.steps > STEPS_LIMIT:
                    raise Endless(f"{STEPS_LIMIT} steps, and it is {self.now_ns} ns only")
        finally:
            _set_running_loop(None)
        self.now_ns = max(self.now_ns, end_ns)


class SimulatedLoop(asyncio.AbstractEventLoop):
    """asyncio's loop of one simulated process.

    A frozen loop keeps its steps until it is thawed; a dead one forgets them.
    """

    def __init__(
        self, scheduler: Scheduler, machine: Machine, report: Callable[[str], None]
    ) -> None:
        self._scheduler = scheduler
        self._at_once = scheduler.at_once
        self._machine = machine
        self._report = report
        self._held: list[Step] = []
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
        for step in held:
            self._scheduler.step_at(0, step)

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

    def take(self, step: Step) -> None:
        """Run one callback, unless the process cannot."""
        if self.dead or step.is_cancelled:
            return
        if self.frozen:
            self._held.append(step)
            return
        due_ns = step.due_ns
        if due_ns and self._machine.monotonic_ns() < due_ns:
            # The clock of the process stood still meanwhile.
            self._scheduler.step_at(self._machine.when_monotonic(due_ns), step)
            return
        try:
            step.callback(*step.arguments)
        except Exception as error:  # noqa: BLE001  # as asyncio's loop has it
            self._report(f"{step.callback}: {error!r}")
        if self._steps_left is not None:
            self._steps_left -= 1
            if self._steps_left <= 0 and self._last_word is not None:
                last_word, self._last_word, self._steps_left = self._last_word, None, None
                last_word()

    # --- what asyncio asks for

    def time(self) -> float:
        return self._machine.monotonic_ns() / 1e9

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> Step:
        step = Step(self, callback, args, 0)
        if not self.dead:
            self._at_once.append((None, step))
        return step

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> Step:
        return self.call_at(self._machine.monotonic_ns() / 1e9 + delay, callback, *args)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> Step:
        due_ns = max(1, round(when * 1e9))
        step = Step(self, callback, args, due_ns)
        if not self.dead:
            self._scheduler.step_at(self._machine.when_monotonic(due_ns), step)
        return step

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

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self.dead

    def is_closed(self) -> bool:
        return False
