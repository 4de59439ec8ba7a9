"""The output gate: nothing leaves an actor that rests on what is not durable yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from cinema.actors.messages import Outcome, Reply


class Waiting(NamedTuple):
    """An answer that may leave once the journal is durable up to `seq`.

    `command_id` is that of the event it acknowledges; None where it acknowledges no new event.
    `leased`: it tells of the state as such (a refusal, a read), so that it also needs a fresh
    lease when it leaves; an acknowledged event is true whoever owns the showtime by then.
    """

    seq: int
    reply: Reply
    outcome: Outcome
    command_id: bytes | None
    leased: bool


class OutputGate:
    """Answers in the order of their seqs; holds no memory while nothing waits."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: deque[Waiting] | None = None

    def __bool__(self) -> bool:
        return self._waiting is not None

    def __len__(self) -> int:
        return len(self._waiting) if self._waiting is not None else 0

    def add(self, waiting: Waiting) -> None:
        """Queue an answer; seqs never decrease."""
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(waiting)

    def open_to(self, durable_seq: int) -> Iterator[Waiting]:
        """Take out what may leave now."""
        waiting = self._waiting
        while waiting and waiting[0].seq <= durable_seq:
            yield waiting.popleft()
        if not waiting:
            self._waiting = None

    def break_open(self) -> list[Waiting]:
        """Take out everything: the state behind it is discarded."""
        waiting, self._waiting = self._waiting, None
        return list(waiting or ())
