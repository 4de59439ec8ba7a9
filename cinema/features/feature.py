"""What a feature hands over to its node."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec

from cinema.features.personal import Disclose
from cinema.http.routes import Route
from cinema.storage.database.transactions import PooledConnection
from cinema.telemetry.metrics import Families

Sweep = Callable[[datetime, int], Awaitable[int]]
"""Deletes at most this many rows that nobody needs at that time; returns how many it deleted."""


Rest = Callable[[float], Awaitable[None]]
"""Waits for so many seconds at most, while there is nothing to do (`cinema/jobs/lookout.py`)."""


class Question(msgspec.Struct, frozen=True):
    """Asks in SQL whether a loop has something to do; `{0}` and so on stand for the `values`.

    It may say yes too often, and never no while there is something: a loop that is asked for waits
    for a yes.
    """

    text: str
    values: tuple[Callable[[], object], ...] = ()


class Queue(Protocol):
    """Work that waits in Postgres and is given to one node at a time (`cinema/jobs/worker.py`)."""

    async def claim(self, limit: int) -> Sequence[Any]:
        """Claim up to `limit` pieces that are due; no other node gets them for a while."""

    async def work(self, piece: Any) -> None:
        """Do one piece and note the outcome. A piece without a noted outcome comes again."""


class JobFailed(Exception):
    """A job cannot be done, however often it is tried; whoever may see the job reads the text."""


class JobAttempt(Protocol):
    """One attempt at a job (`features/jobs`), as its handler sees it.

    `position` is what the last report said, by whichever attempt, and so are the counts: a handler
    begins there. It must be ready to do a step again that was done and not reported, for a process
    may die in between, and to be called once more after its end: **every step is idempotent**. A
    step that is a transaction is done exactly once if it reports `within` that transaction.
    """

    id: UUID
    owner_id: UUID | None
    cinema_id: UUID | None
    input: Mapping[str, Any]
    position: Mapping[str, Any]
    request_id: str
    total: int | None
    done: int
    failed: int

    async def report(
        self,
        *,
        done: int | None = None,
        failed: int | None = None,
        total: int | None = None,
        position: Mapping[str, Any] | None = None,
        within: PooledConnection | None = None,
    ) -> None:
        """Note how far the job is: counts in all, not since the last report; they never fall.

        Once the job is no longer this attempt's it does not return: the handler is cancelled.
        Refuses RETRY.
        """


class JobKind(msgspec.Struct, frozen=True, kw_only=True):
    """How jobs of a kind are done, and how many at once on a node.

    `run` returns the job's result: ids and counts, no names and no secrets. It raises `JobFailed`
    for what no repetition helps; after any other exception the job is tried again, later and
    later, and after twenty failures without progress it is given up. It is told to stop by
    cancellation, at any `await`: the node stops, the job was called off, or nothing was reported
    for ten minutes.
    """

    run: Callable[[JobAttempt], Awaitable[Mapping[str, Any] | None]]
    at_once: int = 2


class Feature(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of one feature.

    `tasks` run, and `queues` are worked off, as long as the node runs, each under its name;
    `at_once` says how many pieces of a queue a node does at the same time, if not the usual number,
    and `questions` whether there is something in a queue.
    `fallback` answers reads at addresses that no feature knows; one feature may have one.
    `jobs` tells how the jobs of each kind are done. Features ask for a job in a transaction
    (`JobsRepository.enqueue`). A kind never changes its name. `personal` gives what the feature
    knows of an account. Housekeeping calls each of the `sweeps` until it has nothing to delete.
    `secrets` receive the new text of a setting whose file has changed; they raise `ValueError` if
    it is not valid.
    """

    routes: tuple[Route, ...] = ()
    fallback: Route | None = None
    metrics: tuple[Families, ...] = ()
    tasks: Mapping[str, Callable[[], Coroutine[Any, Any, None]]] = {}
    jobs: Mapping[str, JobKind] = {}
    personal: tuple[Disclose, ...] = ()
    queues: Mapping[str, Queue] = {}
    at_once: Mapping[str, int] = {}
    questions: Mapping[str, Question] = {}
    sweeps: Mapping[str, Sweep] = {}
    secrets: Mapping[str, Callable[[str], None]] = {}
