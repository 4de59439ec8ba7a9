"""Makes plans: one at a time on a node, in a process of its own that ends with the job.

Bounds: the time of a request (`SECONDS_LIMIT`), overtime in `solver_process.py`, crashes below.
Telemetry: the log events below, the metrics of `metrics.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog

from cinema.domain.rejections import refuse
from cinema.features.feature import JobAttempt, JobFailed, JobKind
from cinema.features.schedules.metrics import ScheduleCounts
from cinema.features.schedules.rules import PlannedCinema, planned, problem_of, unmet_wishes
from cinema.features.schedules.shapes import Made, PlanInput
from cinema.features.schedules.solver_process import SolverEnded, solved
from cinema.features.schedules.store import SchedulesRepository
from cinema.features.showtimes.planner.problem import Problem
from cinema.features.showtimes.planner.task import PlanProgress
from cinema.features.showtimes.planner.worth import unmet
from cinema.storage.database.transactions import PooledConnection

SCHEDULE_MADE: Final = "schedule_made"
SOLVER_ENDED: Final = "solver_ended"

CRASHES_LIMIT: Final = 3
"""So often a plan's process may end before its last word: what it needs, the machine lacks."""

log = structlog.get_logger(__name__)

Solve = Callable[
    [Problem, float, Callable[[PlanProgress], Awaitable[None]]], Awaitable[PlanProgress]
]


class Planning:
    """The job that makes a plan; done once more from the start, it makes another, as good."""

    def __init__(
        self,
        schedules: SchedulesRepository,
        counts: ScheduleCounts,
        *,
        now: Callable[[], datetime],
        solve: Solve = solved,
    ) -> None:
        self._schedules = schedules
        self._counts = counts
        self._now = now
        self._solve = solve

    @property
    def kind(self) -> JobKind:
        """One at a time: a solver takes a whole processor."""
        return JobKind(run=self.run, at_once=1)

    async def run(self, attempt: JobAttempt) -> Mapping[str, Any]:
        """Make the plan. Raises `JobFailed` where no repetition helps."""
        plan_id = UUID(attempt.input["plan_id"])
        request = await self._schedules.request(plan_id)
        house = None if request is None else await self._house(request)
        if request is None or house is None:
            raise JobFailed("The plan or its cinema is gone.")
        if any(film.movie_id not in house.films for film in request.films):
            raise JobFailed("A movie is gone.")
        problem = problem_of(request, house, self._now())

        async def tell(progress: PlanProgress) -> None:
            await self._note(attempt, plan_id, request, house, problem, progress)

        try:
            last = await self._solve(problem, float(request.seconds), tell)
        except SolverEnded as end:
            await self._ended(attempt, plan_id, end)
            # Not a bug of ours: the machine, or somebody, has ended it.
            raise refuse("RETRY", "The solver ended early.") from end
        await tell(last)
        self._counts.made += 1
        made = _made(request, house, problem, last)
        self._counts.gap = made.gap or 0.0
        log.info(
            SCHEDULE_MADE,
            plan=str(plan_id),
            cinema=str(request.cinema_id),
            showtimes=len(made.shows),
            objective=made.objective,
            gap=made.gap,
        )
        return {"plan_id": str(plan_id), "showtimes": len(made.shows)}

    async def _house(self, request: PlanInput) -> PlannedCinema | None:
        """The cinema now, with all showtimes that any of its days may touch."""
        first = datetime.combine(request.date_from, datetime.min.time(), UTC) - timedelta(days=2)
        last = datetime.combine(request.date_to, datetime.min.time(), UTC) + timedelta(days=4)
        movies = [film.movie_id for film in request.films]
        return await self._schedules.house(request.cinema_id, movies, first, last)

    async def _note(
        self,
        attempt: JobAttempt,
        plan_id: UUID,
        request: PlanInput,
        house: PlannedCinema,
        problem: Problem,
        progress: PlanProgress,
    ) -> None:
        done = int(100 * progress.done)

        async def report(running: PooledConnection) -> None:
            await attempt.report(done=done, within=running)

        made = _made(request, house, problem, progress)
        await self._schedules.note(plan_id, progress.done, made, report, done=progress.is_last)

    async def _ended(self, attempt: JobAttempt, plan_id: UUID, end: SolverEnded) -> None:
        self._counts.solver_ends += 1
        crashes = int(attempt.position.get("crashes", 0)) + 1
        log.warning(SOLVER_ENDED, plan=str(plan_id), crashes=crashes, reason=str(end))
        await attempt.report(position={"crashes": crashes})
        if crashes >= CRASHES_LIMIT:
            raise JobFailed("The solver ended several times before it was done.") from end


def _made(
    request: PlanInput, house: PlannedCinema, problem: Problem, progress: PlanProgress
) -> Made:
    """What has been found, in the words of the request."""
    shows = list(progress.shows)
    bound = progress.bound
    gap = None
    if bound is not None:
        # Rounding may put a schedule a hair above its bound.
        gap = max(0.0, bound - progress.value) / max(1.0, abs(bound))
    return Made(
        time_zone=house.zone.key,
        method="greedy" if bound is None else "solver",
        objective=round(progress.value, 2),
        bound=None if bound is None else round(bound, 2),
        gap=None if gap is None else round(gap, 4),
        shows=planned(request, house, problem, shows),
        unmet=unmet_wishes(request, unmet(problem, shows)),
    )
