"""What a feature hands over to its node."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from cinema.http.routes import Route
from cinema.telemetry.metrics import Families

Sweep = Callable[[datetime, int], Awaitable[int]]
"""Deletes at most this many rows that nobody needs at that time; returns how many it deleted."""


class Queue(Protocol):
    """Work that waits in Postgres and is given to one node at a time (`cinema/jobs/worker.py`)."""

    async def claim(self, limit: int) -> Sequence[Any]:
        """Claim up to `limit` pieces that are due; no other node gets them for a while."""

    async def work(self, piece: Any) -> None:
        """Do one piece and note the outcome. A piece without a noted outcome comes again."""


class Feature(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of one feature.

    `jobs` run, and `queues` are worked off, as long as the node runs, each under its name.
    Housekeeping calls each of the `sweeps` until it has nothing to delete. `secrets` receive the
    new text of a setting whose file has changed; they raise `ValueError` if it is not valid.
    """

    routes: tuple[Route, ...] = ()
    metrics: tuple[Families, ...] = ()
    jobs: Mapping[str, Callable[[], Coroutine[Any, Any, None]]] = {}
    queues: Mapping[str, Queue] = {}
    sweeps: Mapping[str, Sweep] = {}
    secrets: Mapping[str, Callable[[str], None]] = {}
