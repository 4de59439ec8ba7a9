"""Turns: how much work one step of the loop begins, and what waits for the next step.

If the loop served everything that has come, it would look at Postgres' answers only after that.
With thousands of clients this takes longer than a commit, so answers would wait behind requests.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

TURNS_PER_STEP: Final = 128
"""Requests that one step begins: a few milliseconds' work, and batches are still full."""

PROBES_PER_STEP: Final = 8
"""Probes that one step serves first: enough for real probes, too few for a crowd to pass the
line."""

LATE_PER_STEP: Final = 32
"""Refusals that one step sends at least. It sends more only if nothing is left to serve. Refused
clients come back at once, so a node that refused first would do nothing else."""

LATE_S: Final = 0.5
"""Requests that have waited longer are refused; their answer would take a second or more."""


class Loop(Protocol):
    """The part of the event loop that `Turns` uses."""

    def time(self) -> float:
        """In seconds."""

    def call_soon(self, callback: Callable[[], None], /) -> object:
        """Call it in the next step."""

    def create_future(self) -> asyncio.Future[bool]:
        """A future."""


class InLine(Protocol):
    """Something that waits for a turn."""

    def take_turn(self, *, is_late: bool) -> bool:
        """Do what waited; False if it is gone, so that the turn goes to the next one."""


class Turns:
    """Hands out the turns of one listener.

    To take a turn while any are `left`: `if turns.left: turns.left -= 1`. This is not a method,
    because every request does it and a call would cost time. If none are left, call `join` or
    `wait`. The line is served in order of arrival, a share of it with each step of the loop. While
    anything waits, no turns are left, so nothing overtakes. An entry that has waited longer than
    `late_s` moves to a second line, whose entries are refused in order. New turns are made after a
    request has found none left. A step never has more than its share.
    """

    __slots__ = (
        "_is_step_coming",
        "_late",
        "_late_s",
        "_line",
        "_loop",
        "_per_step",
        "_probes",
        "left",
        "probes",
        "refused",
    )

    def __init__(
        self, loop: Loop, *, per_step: int = TURNS_PER_STEP, late_s: float = LATE_S
    ) -> None:
        self.left = per_step
        self.refused = 0
        self.probes: tuple[bytes, ...] = ()
        self._per_step = per_step
        self._late_s = late_s
        self._loop = loop
        self._line: deque[tuple[InLine, float]] = deque()
        self._late: deque[tuple[InLine, float]] = deque()
        self._probes: deque[tuple[InLine, float]] = deque()
        self._is_step_coming = False

    @property
    def waiting(self) -> int:
        """How many wait, in either line."""
        return len(self._line) + len(self._late) + len(self._probes)

    @property
    def oldest_s(self) -> float:
        """How long the oldest entry has waited."""
        first = self._late or self._line
        return self._loop.time() - first[0][1] if first else 0.0

    def join(self, one: InLine, *, is_probe: bool = False) -> None:
        """Wait in line.

        Probes have a line of their own, and are never too late.
        """
        (self._probes if is_probe else self._line).append((one, self._loop.time()))
        self._let_step_come()

    async def wait(self) -> bool:
        """Wait in line until it is the caller's turn; returns whether the turn came too late."""
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
        latest_s = self._loop.time() - self._late_s
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
            # Also after a turn has failed: the others must not wait for ever.
            self.left = 0 if self.waiting else max(0, left)
            if self.waiting:
                self._let_step_come()


class _Patient:
    """A task in line."""

    __slots__ = ("turn",)

    def __init__(self, loop: Loop) -> None:
        self.turn: asyncio.Future[bool] = loop.create_future()

    def take_turn(self, *, is_late: bool) -> bool:
        """Wake the task, unless it no longer waits."""
        if self.turn.done():
            return False
        self.turn.set_result(is_late)
        return True
