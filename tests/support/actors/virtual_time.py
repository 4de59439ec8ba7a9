"""An event loop whose clock jumps to the next timer as soon as nothing else is to be done."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

LONGEST_TEST_S = 900.0
STEPS_AT_ONE_MOMENT = 20_000


class Stuck(Exception):
    """Everybody waits for something that cannot happen, or the test goes on for too long."""


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting for the next timer, makes it the present."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self._steps = 0
        self._stuck = False

    def select(self, timeout: float | None = None) -> Any:
        if not self._stuck:
            self._advance(timeout)
        else:
            # Who tidies up and waits for a time that never comes must not wait for ever.
            self._steps += 1
            if self._steps > STEPS_AT_ONE_MOMENT:
                self._steps = 0
                raise Stuck("somebody waits on the way out, and no time passes any more")
        return super().select(0)

    def _advance(self, timeout: float | None) -> None:
        self._stuck = True  # Time stands still from then on, so that the loop can end its tasks.
        if timeout is None:
            raise Stuck("nothing is left that could happen")
        self._steps = self._steps + 1 if timeout <= 0 else 0
        if self._steps > STEPS_AT_ONE_MOMENT:
            raise Stuck("something goes round in circles and no time passes")
        self.now_s += max(timeout, 0.0)
        if self.now_s > LONGEST_TEST_S:
            raise Stuck(f"still not over after {LONGEST_TEST_S} virtual seconds")
        self._stuck = False


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """asyncio's loop on virtual time; the same steps in every run, and no real sleep."""

    def __init__(self) -> None:
        self.jumping = _JumpingSelector()
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.now_s


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on a loop of its own whose time is virtual."""

    @functools.wraps(test)
    def run(*arguments: Any, **fixtures: Any) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test(*arguments, **fixtures))

    return run


async def settle() -> None:
    """Let everything happen that needs no time to pass."""
    for _ in range(60):
        await asyncio.sleep(0)
