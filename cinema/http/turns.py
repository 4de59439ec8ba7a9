"""Whose turn it is: how much one step of the loop begins, and who stands in line for the next.

A loop that serves whatever has come looks at Postgres' answers again only when all of it is served.
With thousands of clients that takes longer than a commit, so the answers wait behind questions.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

TURNS_PER_STEP: Final = 128
"""Requests that one step begins: a few milliseconds' work, and batches are still full."""

PROBES_PER_STEP: Final = 8
"""Probes that one step serves before the others: many, and yet no way past the line for a crowd."""

LATE_PER_STEP: Final = 32
"""Refusals of one step at least. More only where nobody is left to serve: a crowd that is refused
comes back at once, and a node that let refusals go first would do nothing else."""

LATE_S: Final = 0.5
"""Who has stood in line for longer is turned away: the answer would come after a second or more."""


class Loop(Protocol):
    """What is needed of the event loop."""

    def time(self) -> float:
        """In seconds."""

    def call_soon(self, callback: Callable[[], None], /) -> object:
        """Have it called in the next step."""

    def create_future(self) -> asyncio.Future[bool]:
        """A future."""


class InLine(Protocol):
    """Whoever waits for a turn."""

    def take_turn(self, *, is_late: bool) -> bool:
        """Do what waited; False if it is gone, so that the turn is somebody else's."""


class Turns:
    """Hands out the turns of one listener.

    Whoever has something to do takes one while any are `left`: `if turns.left: turns.left -= 1`.
    That is no method, as it stands in every request's way. Otherwise `join`, or `wait`: the line is
    served in order of arrival, a share of it with each step of the loop. None are left while
    anybody stands in line, so nobody overtakes. Who has stood there for longer than `LATE_S` goes
    aside, to be refused in order too. New turns come when somebody has asked for one in vain, which
    is often enough: a step never has more than its share.
    """

    __slots__ = (
        "_is_step_coming",
        "_late",
        "_line",
        "_loop",
        "_per_step",
        "_probes",
        "left",
        "probes",
        "refused",
    )

    def __init__(self, loop: Loop, *, per_step: int = TURNS_PER_STEP) -> None:
        self.left = per_step
        self.refused = 0
        self.probes: tuple[bytes, ...] = ()
        self._per_step = per_step
        self._loop = loop
        self._line: deque[tuple[InLine, float]] = deque()
        self._late: deque[tuple[InLine, float]] = deque()
        self._probes: deque[tuple[InLine, float]] = deque()
        self._is_step_coming = False

    @property
    def waiting(self) -> int:
        """How many stand in line, or aside."""
        return len(self._line) + len(self._late) + len(self._probes)

    @property
    def oldest_s(self) -> float:
        """How long the one has waited who has waited longest."""
        first = self._late or self._line
        return self._loop.time() - first[0][1] if first else 0.0

    def join(self, one: InLine, *, is_probe: bool = False) -> None:
        """Stand in line. Probes have one of their own, and are never too late."""
        (self._probes if is_probe else self._line).append((one, self._loop.time()))
        self._let_step_come()

    async def wait(self) -> bool:
        """Stand in line until it is the caller's turn; whether it has come too late."""
        patient = _Patient(self._loop)
        self.join(patient)
        return await patient.turn

    def _let_step_come(self) -> None:
        if not self._is_step_coming:
            self._is_step_coming = True
            self._loop.call_soon(self._step)

    def _step(self) -> None:
        """Serve this step's share of the line."""
        self._is_step_coming = False
        left = self._per_step
        latest_s = self._loop.time() - LATE_S
        try:
            for _ in range(min(PROBES_PER_STEP, len(self._probes))):
                left -= self._probes.popleft()[0].take_turn(is_late=False)
            line, late = self._line, self._late
            while line and line[0][1] < latest_s:
                late.append(line.popleft())
            while line and left > 0:
                left -= line.popleft()[0].take_turn(is_late=False)
            to_refuse = max(left, LATE_PER_STEP)
            while late and to_refuse > 0:
                to_refuse -= late.popleft()[0].take_turn(is_late=True)
        finally:
            # Also if somebody's turn has failed: the others are not to wait for ever.
            self.left = 0 if self.waiting else max(0, left)
            if self.waiting:
                self._let_step_come()


class _Patient:
    """A task in line."""

    __slots__ = ("turn",)

    def __init__(self, loop: Loop) -> None:
        self.turn: asyncio.Future[bool] = loop.create_future()

    def take_turn(self, *, is_late: bool) -> bool:
        """Wake the task, unless it waits no more."""
        if self.turn.done():
            return False
        self.turn.set_result(is_late)
        return True
