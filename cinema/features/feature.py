"""What a feature hands over to the node that it is part of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from cinema.http.routes import Route
from cinema.telemetry.metrics import Families

Sweep = Callable[[datetime, int], Awaitable[int]]
"""Deletes at most so many rows that nobody needs at that moment; returns how many those were."""


class Queue(Protocol):
    """Work that waits in Postgres and is given to one node at a time (`cinema/jobs/worker.py`)."""

    async def claim(self, limit: int) -> Sequence[Any]:
        """Take up to `limit` pieces that are due; nobody else gets them for a while."""

    async def work(self, piece: Any) -> None:
        """Do one, and note what became of it. A piece of which nothing was noted comes again."""


class Feature(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of one feature.

    `jobs` run and `queues` are worked off for as long as the node runs, each under its name.
    `sweeps` are done by housekeeping, each until it has nothing to delete. `secrets` take the new
    text of a setting whose file has changed; they raise `ValueError` for one that is no good.
    """

    routes: tuple[Route, ...] = ()
    metrics: tuple[Families, ...] = ()
    jobs: Mapping[str, Callable[[], Coroutine[Any, Any, None]]] = {}
    queues: Mapping[str, Queue] = {}
    sweeps: Mapping[str, Sweep] = {}
    secrets: Mapping[str, Callable[[str], None]] = {}
