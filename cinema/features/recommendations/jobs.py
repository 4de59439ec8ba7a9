"""Builds the model, and brings this node the newest one.

A node takes the model that is there when it starts. Every ten seconds it looks: if the model is
older than six hours, there is something to learn and nobody builds, it builds one, in a process of
its own that has two minutes; it takes the one that is there if that is newer than its own. Once a
day the node that builds refits the weights of the signals first, in another such process; whatever
becomes of that, the model is built. Without a model, films are recommended that are new, or of the
genres that a customer likes. Telemetry: the log events below.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import msgspec
import structlog

from cinema.domain.rejections import Refused
from cinema.features.recommendations.model.facts import Model, Weights
from cinema.features.recommendations.model.refitting import Refitted
from cinema.features.recommendations.model.trials import WeightsTask
from cinema.features.recommendations.service import CurrentModel, Programme
from cinema.features.recommendations.store import READ_LIMIT_S, ModelRepository
from cinema.features.recommendations.trial_store import TrialsRepository
from cinema.integrations.processes import AnswerTooLong, Processes, ProcessTooSlow
from cinema.telemetry.logging import LogLimit

RECOMMENDATION_MODEL_NOT_BUILT: Final = "recommendation_model_not_built"
RECOMMENDATION_WEIGHTS_TRIED: Final = "recommendation_weights_tried"
RECOMMENDATION_WEIGHTS_NOT_TRIED: Final = "recommendation_weights_not_tried"

PERIOD_S: Final = 10.0
REBUILD: Final = timedelta(hours=6)
BUILD_LIMIT_S: Final = 120.0
REFIT: Final = timedelta(days=1)
REFIT_LIMIT_S: Final = 90.0
"""For the models of the weeks and the fit, which gives up earlier by itself."""

TRIAL_WEEKS: Final = 3
"""Weeks that are over: the weights are fitted to all but the last, and tried on that one."""

CLAIM: Final = timedelta(seconds=BUILD_LIMIT_S + REFIT_LIMIT_S + (3 + TRIAL_WEEKS) * READ_LIMIT_S)
"""Longer than reading and building take: if the node ends meanwhile, another one builds then."""

MODEL_BYTES_MAX: Final = 64 * 1024 * 1024

WEIGHTS_BYTES_MAX: Final = 4096

COMMAND: Final = (sys.executable, "-m", "cinema.features.recommendations.model")
WEIGHTS_COMMAND: Final = (*COMMAND, "weights")

log = structlog.get_logger(__name__)


def building(command: tuple[str, ...] = COMMAND, *, limit_s: float = BUILD_LIMIT_S) -> Processes:
    """The process that builds, one at a time."""
    return Processes(
        command,
        at_once=1,
        waiting_limit=0,
        time_limit_s=limit_s,
        answer_limit_bytes=MODEL_BYTES_MAX,
    )


def refitting(
    command: tuple[str, ...] = WEIGHTS_COMMAND, *, limit_s: float = REFIT_LIMIT_S
) -> Processes:
    """The process that refits weights, one at a time."""
    return Processes(
        command,
        at_once=1,
        waiting_limit=0,
        time_limit_s=limit_s,
        answer_limit_bytes=WEIGHTS_BYTES_MAX,
    )


class Models:
    """Keeps the model of this node current; on every node."""

    def __init__(
        self,
        store: ModelRepository,
        programme: Programme,
        current: CurrentModel,
        processes: Processes,
        trials: TrialsRepository,
        refits: Processes,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._programme = programme
        self._current = current
        self._processes = processes
        self._trials = trials
        self._refits = refits
        self._now = now
        self._limit = LogLimit(lines=5, period_s=60.0)

    async def run(self) -> None:
        """Run as long as the node runs."""
        step = self.take
        while True:
            try:
                await step()
            except Refused as refused:
                self._tell(refused.rejection.code)
            await asyncio.sleep(PERIOD_S)
            step = self.round

    async def round(self) -> None:
        """Build if it is time to, and take the newest model. Refuses RETRY."""
        now = self._now()
        version = await self._store.claim(now, now + CLAIM, now - REBUILD)
        if version is not None:
            await self._build(version)
        await self.take()

    async def take(self) -> None:
        """Serve the newest model. Refuses RETRY."""
        if await self._store.version() != self._current.version:
            newest, content = await self._store.model()
            if content is not None:
                self._current.use(newest, msgspec.msgpack.decode(content, type=Model))

    async def _build(self, version: int) -> None:
        # The weights go on from those of the newest model.
        await self.take()
        candidates = [one.movie.id for one in await self._programme.films()]
        now = self._now()
        task = await self._store.task(candidates, now)
        if not task.histories:
            return
        weights, refitted_at_s = await self._weights(now)
        task = msgspec.structs.replace(task, weights=weights, refitted_at_s=refitted_at_s)
        try:
            encoded = await asyncio.to_thread(msgspec.msgpack.encode, task)
            content = await self._processes.answer(encoded)
            msgspec.msgpack.decode(content, type=Model)
        except (ProcessTooSlow, AnswerTooLong, msgspec.DecodeError) as problem:
            self._tell(type(problem).__name__)
        else:
            await self._store.keep(version, content, now)

    async def _weights(self, now: datetime) -> tuple[Weights | None, float]:
        """The weights of the next model, and when it was last tried to find better ones."""
        served = self._current.scorer.model
        kept = served.weights, served.refitted_at_s
        if now.timestamp() - served.refitted_at_s < REFIT.total_seconds():
            return kept
        begins = [now - timedelta(weeks=ago) for ago in range(TRIAL_WEEKS, 0, -1)]
        try:
            weeks = [await self._trials.week(one) for one in begins]
            task = WeightsTask(weights=self._current.scorer.weights, weeks=weeks)
            encoded = await asyncio.to_thread(msgspec.msgpack.encode, task)
            answer = await self._refits.answer(encoded)
            tried = msgspec.msgpack.decode(answer, type=Refitted)
        except (ProcessTooSlow, AnswerTooLong, msgspec.DecodeError) as problem:
            self._tell_of_weights(type(problem).__name__)
            return kept
        except Refused as refused:
            self._tell_of_weights(refused.rejection.code)
            return kept
        log.info(
            RECOMMENDATION_WEIGHTS_TRIED,
            choices=tried.choices,
            is_new=tried.is_new,
            before=round(tried.before, 4),
            after=round(tried.after, 4),
            weights=msgspec.structs.asdict(tried.weights),
        )
        return (tried.weights if tried.is_new else served.weights), now.timestamp()

    def _tell_of_weights(self, reason: str) -> None:
        self._limit.write(log.warning, RECOMMENDATION_WEIGHTS_NOT_TRIED, reason=reason)

    def _tell(self, reason: str) -> None:
        self._limit.write(log.warning, RECOMMENDATION_MODEL_NOT_BUILT, reason=reason)
