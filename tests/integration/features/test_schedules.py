"""Plans on a real Postgres: what becomes of one when its solver, its film or its time is gone.

The planner is greedy, in the process of the test; the process that solves has tests of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from cinema.domain.money import Money
from cinema.domain.rejections import Refused
from cinema.features.catalog.store import CatalogRepository
from cinema.features.schedules.jobs import CRASHES_LIMIT, Planning, Solve
from cinema.features.schedules.metrics import ScheduleCounts
from cinema.features.schedules.service import KIND, SchedulesService
from cinema.features.schedules.shapes import (
    FilmInput,
    PlanInput,
    SchedulePlan,
    ScheduleQuery,
    VersionInput,
)
from cinema.features.schedules.solver_process import SolverEnded
from cinema.features.schedules.store import KEPT, SchedulesRepository
from cinema.features.showtimes.planner.greedy import greedy
from cinema.features.showtimes.planner.problem import Problem
from cinema.features.showtimes.planner.task import PlanProgress
from cinema.features.showtimes.planner.worth import worth
from cinema.storage.database.transactions import Pool
from tests.integration.features.catalog_house import ADMIN, House, showing
from tests.integration.features.jobs_house import Yard

pytestmark = pytest.mark.postgres

DAY = date(2026, 6, 3)

Tell = Callable[[PlanProgress], Awaitable[None]]


def found(problem: Problem, *, is_last: bool = True) -> PlanProgress:
    shows = greedy(problem)
    done = 1.0 if is_last else 0.5
    return PlanProgress(done=done, shows=tuple(shows), value=worth(problem, shows), is_last=is_last)


async def at_once(problem: Problem, _seconds: float, _tell: Tell) -> PlanProgress:
    return found(problem)


async def dying(_problem: Problem, _seconds: float, _tell: Tell) -> PlanProgress:
    raise SolverEnded("exit code -9")


class Office:
    """A cinema with a film and a screen, and what plans for it."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.house = House(pool)
        self.yard = Yard(pool)
        self.counts = ScheduleCounts()
        self.store = SchedulesRepository(pool)
        self.service = SchedulesService(
            self.store,
            CatalogRepository(pool),
            self.yard.jobs,
            self.counts,
            new_id=self.house.new_id,
            now=lambda: self.house.now,
        )
        self.request = PlanInput(
            cinema_id=UUID(int=0),
            date_from=DAY,
            date_to=DAY,
            films=[],
            base_price=Money(1000, "EUR"),
        )

    async def open(self) -> None:
        cinema = await self.house.cinema()
        self.movie = await self.house.movie()
        self.screen = await self.house.screen(cinema)
        self.request = PlanInput(
            cinema_id=cinema.id,
            date_from=DAY,
            date_to=DAY,
            films=[FilmInput(movie_id=self.movie.id, visitors=50)],
            base_price=Money(1000, "EUR"),
        )

    async def plan(self) -> SchedulePlan:
        return await self.service.generate(ADMIN, self.request)

    async def made(self) -> SchedulePlan:
        plan = await self.plan()
        await self.work(at_once)
        return await self.service.plan(ADMIN, plan.id)

    async def work(self, solve: Solve) -> None:
        """One attempt at each plan that is due."""
        planning = Planning(self.store, self.counts, now=lambda: self.house.now, solve=solve)
        await self.yard.do_all(self.yard.node({KIND: planning.kind}))

    async def showtimes(self) -> int:
        schedule = await self.service.schedule(self.request.cinema_id, ScheduleQuery(date=DAY))
        return len(schedule.showtimes)

    async def refusal(self, plan: SchedulePlan) -> tuple[str, Any]:
        with pytest.raises(Refused) as caught:
            await self.service.apply(ADMIN, plan.id)
        return caught.value.rejection.code, caught.value.rejection.details


@pytest.fixture
async def office(pool: Pool) -> Office:
    office = Office(pool)
    await office.open()
    return office


async def test_a_plan_shows_the_best_so_far_while_it_is_made(office: Office) -> None:
    plan = await office.plan()
    assert (plan.status, plan.shows) == ("queued", [])
    seen: list[SchedulePlan] = []

    async def solve(problem: Problem, seconds: float, tell: Tell) -> PlanProgress:
        assert seconds == office.request.seconds
        await tell(found(problem, is_last=False))
        seen.append(await office.service.plan(ADMIN, plan.id))
        return found(problem)

    await office.work(solve)
    (running,) = seen
    assert (running.status, running.progress, running.method) == ("running", 0.5, "greedy")
    done = await office.service.plan(ADMIN, plan.id)
    assert (done.status, done.progress, done.shows) == ("done", 1.0, running.shows)
    assert done.shows
    job = await office.yard.job(plan.job_id)
    assert (job.status, job.done, job.total) == ("done", 100, 100)
    assert job.result == {"plan_id": str(plan.id), "showtimes": len(done.shows)}
    assert office.counts.made == 1


async def test_a_solver_that_dies_is_started_again_and_given_up_in_the_end(office: Office) -> None:
    plan = await office.plan()
    for _ in range(CRASHES_LIMIT - 1):
        await office.work(dying)
        assert (await office.service.plan(ADMIN, plan.id)).status == "queued"
        office.yard.pass_s(600)
    await office.work(dying)
    assert (await office.service.plan(ADMIN, plan.id)).status == "failed"
    assert office.counts.solver_ends == CRASHES_LIMIT
    job = await office.yard.job(plan.job_id)
    assert job.reason == "The solver ended several times before it was done."
    assert await office.refusal(plan) == ("SCHEDULE_NOT_DONE", {"status": "failed"})


async def test_after_a_crash_the_plan_is_made_by_the_next_attempt(office: Office) -> None:
    plan = await office.plan()
    await office.work(dying)
    office.yard.pass_s(600)
    await office.work(at_once)
    assert (await office.service.plan(ADMIN, plan.id)).status == "done"


async def test_a_plan_that_is_given_up_meanwhile_gets_no_result(office: Office) -> None:
    plan = await office.plan()

    async def solve(problem: Problem, _seconds: float, _tell: Tell) -> PlanProgress:
        assert (await office.service.cancel(ADMIN, plan.id)).status == "cancelled"
        return found(problem)

    await office.work(solve)
    cancelled = await office.service.plan(ADMIN, plan.id)
    assert (cancelled.status, cancelled.shows) == ("cancelled", [])
    assert office.counts.made == 0


async def test_a_plan_for_a_film_that_is_gone_fails(office: Office) -> None:
    plan = await office.plan()
    await office.pool.execute("update movies set deleted_at = now() where id = $1", office.movie.id)
    await office.work(at_once)
    assert (await office.service.plan(ADMIN, plan.id)).status == "failed"
    assert (await office.yard.job(plan.job_id)).reason == "A movie is gone."


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("update movies set deleted_at = now()", "movie_gone"),
        ("update movies set runtime_minutes = runtime_minutes + 1", "movie_changed"),
        ("update cinemas set ads_minutes = 30", "movie_changed"),
        ("update screens set deleted_at = now()", "screen_gone"),
    ],
)
async def test_what_has_changed_since_refuses_all_of_a_plan(
    office: Office, change: str, reason: str
) -> None:
    plan = await office.made()
    await office.pool.execute(change)
    code, details = await office.refusal(plan)
    assert code == "SCHEDULE_CONFLICT"
    assert [one["reason"] for one in details["conflicts"]] == [reason] * len(plan.shows)
    assert await office.showtimes() == 0
    assert office.counts.conflicts == 1


@pytest.mark.parametrize(
    "change",
    [
        "update cinemas set currency = 'USD'",
        "update cinemas set time_zone = 'America/New_York'",
    ],
)
async def test_a_cinema_that_sells_or_counts_otherwise_now_refuses_all_of_a_plan(
    office: Office, change: str
) -> None:
    plan = await office.made()
    await office.pool.execute(change)
    code, details = await office.refusal(plan)
    assert code == "SCHEDULE_CONFLICT"
    assert [one["reason"] for one in details["conflicts"]] == ["cinema_changed"] * len(plan.shows)
    assert await office.pool.fetchval("select count(*) from showtimes") == 0


async def test_shows_that_no_longer_fit_behind_each_other_are_named(office: Office) -> None:
    plan = await office.made()
    assert len(plan.shows) > 1
    await office.pool.execute("update cinemas set cleaning_minutes = 240")
    code, details = await office.refusal(plan)
    assert code == "SCHEDULE_CONFLICT"
    told = [(one["reason"], one["starts_at"]) for one in details["conflicts"]]
    assert told
    assert {reason for reason, _ in told} == {"cinema_changed"}
    assert msgspec.to_builtins(plan.shows[0].starts_at) not in {starts for _, starts in told}


async def test_a_plan_is_not_applied_while_its_cinema_changes(office: Office) -> None:
    plan = await office.made()
    async with office.pool.acquire() as other, other.transaction():
        await other.execute("select from cinemas for update")
        await other.execute("update cinemas set currency = 'USD'")
        applying = asyncio.ensure_future(office.refusal(plan))
        while not await other.fetchval("select count(*) from pg_locks where not granted"):
            assert not applying.done()
    assert (await applying)[0] == "SCHEDULE_CONFLICT"


async def test_a_plan_whose_time_has_come_is_refused(office: Office) -> None:
    plan = await office.made()
    office.house.now = plan.shows[0].starts_at
    code, details = await office.refusal(plan)
    assert code == "SCHEDULE_CONFLICT"
    assert [one["reason"] for one in details["conflicts"]] == ["started"]


async def test_a_showtime_and_a_plan_for_one_screen_cannot_both_be_made(office: Office) -> None:
    plan = await office.made()
    starts_at = plan.shows[0].starts_at + timedelta(minutes=5)
    results = await asyncio.gather(
        office.service.apply(ADMIN, plan.id),
        office.house.showtimes.create_showtime(
            ADMIN, showing(office.movie, office.screen, starts_at)
        ),
        return_exceptions=True,
    )
    refused = [one for one in results if isinstance(one, Refused)]
    assert len(refused) == 1
    assert refused[0].rejection.code in {"SCHEDULE_CONFLICT", "SCREEN_OCCUPIED"}
    assert await office.showtimes() in {1, len(plan.shows)}


async def test_old_plans_are_swept_away_and_their_showtimes_stay(office: Office) -> None:
    plan = await office.made()
    await office.service.apply(ADMIN, plan.id)
    now = office.house.now
    assert await office.store.forget(now + KEPT, 10) == 0
    assert await office.store.forget(now + KEPT + timedelta(seconds=1), 10) == 1
    with pytest.raises(Refused, match="NOT_FOUND"):
        await office.service.plan(ADMIN, plan.id)
    assert await office.showtimes() == len(plan.shows)


async def test_showtimes_of_a_plan_have_heads_and_are_sold_from_then_on(office: Office) -> None:
    await office.pool.execute("update cinemas set ads_minutes = 10, cleaning_minutes = 25")
    plan = await office.made()
    await office.service.apply(ADMIN, plan.id)
    rows = await office.pool.fetch(
        "select s.sales_opens_at, s.starts_at, s.clear_at, s.ends_at, s.local_date, h.epoch,"
        " s.created_by"
        " from showtimes s join showtime_heads h on h.showtime_id = s.id"
    )
    assert len(rows) == len(plan.shows)
    for row in rows:
        assert row["starts_at"] - row["sales_opens_at"] == timedelta(days=30)
        assert row["clear_at"] - row["ends_at"] == timedelta(minutes=25)
        assert row["ends_at"] - row["starts_at"] == timedelta(minutes=110)
        assert row["epoch"] == 0
        assert row["created_by"] == UUID(bytes=ADMIN.user_id)
    assert {row["local_date"] for row in rows} <= {DAY, DAY + timedelta(days=1)}


async def test_more_than_a_process_can_look_at_is_refused(office: Office) -> None:
    cinema = await office.house.catalog.cinema(office.request.cinema_id)
    for number in range(5):
        await office.house.screen(cinema, f"Screen {number}")
    versions = [VersionInput(format=f"{number}D", language="de", share=0) for number in range(6)]
    films = [
        FilmInput(movie_id=UUID(int=number), visitors=1, versions=versions) for number in range(60)
    ]
    office.request = msgspec.structs.replace(office.request, films=films, grid_minutes=5)
    with pytest.raises(Refused) as caught:
        await office.plan()
    assert caught.value.rejection.details == {"path": "$.grid_minutes"}
    office.request = msgspec.structs.replace(office.request, grid_minutes=20)
    with pytest.raises(Refused, match="UNKNOWN_REFERENCE"):
        await office.plan()
