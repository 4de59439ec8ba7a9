"""The way between clients and nodes: it takes time, and sometimes it leads nowhere."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cinema.actors.messages import Outcome
from tests.simulation.requests import Attempt, told
from tests.simulation.scheduler import Scheduler
from tests.simulation.trace import Trace

if TYPE_CHECKING:
    from tests.simulation.node import Node, Process

_MS = 1_000_000


class Network:
    """Requests, answers and frames; `cut_off` are the nodes no client can reach just now."""

    def __init__(
        self,
        scheduler: Scheduler,
        trace: Trace,
        rng: random.Random,
        nodes: dict[str, Node],
        *,
        latency_ms: float,
    ) -> None:
        self.cut_off: dict[str, None] = {}
        self._scheduler = scheduler
        self._trace = trace
        self._rng = rng
        self._nodes = nodes
        self._latency_ns = latency_ms * _MS
        self._waiting: dict[Attempt, asyncio.Future[Outcome | None]] = {}

    def send(self, attempt: Attempt, answer: asyncio.Future[Outcome | None]) -> None:
        """A request to `attempt.node`; `answer` gets the outcome, or None if that is not known."""
        self._trace.add(f"client: {attempt!r}")
        self._waiting[attempt] = answer
        if attempt.node not in self.cut_off:
            self.travel(self._arrive, attempt)

    def forget(self, attempt: Attempt) -> None:
        """The client waits no longer."""
        self._waiting.pop(attempt, None)

    def travel(self, action: Callable[..., None], *arguments: Any) -> None:
        """One message on its way."""
        self._scheduler.after(self.lag_ns(), action, *arguments)

    def lag_ns(self) -> int:
        """How long one message takes."""
        return int(self._latency_ns * self._rng.expovariate(1.0)) + 20_000

    def _arrive(self, attempt: Attempt) -> None:
        process = self._nodes[attempt.node].process
        if process is None or not process.serving:
            attempt.refused = True
            self.travel(self._hear, attempt, None)
            return
        process.open[attempt] = None
        process.loop.post(process.receive, attempt)

    def answer(self, process: Process, attempt: Attempt) -> None:
        """The node has answered."""
        self._trace.add(f"{process.name} : {attempt!r}")
        if process.name not in self.cut_off:
            self.travel(self._hear, attempt, attempt.outcome)

    def reset(self, attempt: Attempt) -> None:
        """The connection broke: nobody knows."""
        self.travel(self._hear, attempt, None)

    def _hear(self, attempt: Attempt, outcome: Outcome | None) -> None:
        answer = self._waiting.pop(attempt, None)
        if answer is None or answer.done():
            return
        attempt.answered_ns = self._scheduler.now_ns
        self._trace.add(f"client hears #{attempt.serial} {told(outcome)}")
        answer.set_result(outcome)
