"""Schedules: make a plan, show it, and make its showtimes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import structlog

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.limits_catalog import (
    BASE_PRICE_MINOR_MAX,
    SCHEDULE_AHEAD_DAYS,
    YEAR_MAX,
    YEAR_MIN,
)
from cinema.domain.principal import Principal
from cinema.domain.rejections import refuse
from cinema.features.accounts.authority import require_own_cinema, serves
from cinema.features.catalog.store import CatalogRepository
from cinema.features.jobs.store import JobsRepository
from cinema.features.refusals import found
from cinema.features.schedules.metrics import ScheduleCounts
from cinema.features.schedules.rules import Addition, Calendar, conflicts_of, times_of
from cinema.features.schedules.shapes import (
    DAYS_LIMIT,
    PlanInput,
    Schedule,
    SchedulePlan,
    ScheduleQuery,
)
from cinema.features.schedules.store import SchedulesRepository
from cinema.storage.database.transactions import PooledConnection

KIND: Final = "schedule_plan"
"""The jobs that make plans."""

SHARES_MAX: Final = 1.001
"""Shares of a film's versions are parts of its visitors; sums of fractions are not exact."""

STARTS_LIMIT: Final = 500_000
"""Versions times screens times steps of a day: what a process of `MEMORY_BYTES` can look at."""

SCHEDULE_APPLIED: Final = "schedule_applied"

log = structlog.get_logger(__name__)


class SchedulesService:
    """Use cases of schedules; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        schedules: SchedulesRepository,
        catalog: CatalogRepository,
        jobs: JobsRepository,
        counts: ScheduleCounts,
        *,
        new_id: Callable[[], bytes],
        now: Callable[[], datetime],
    ) -> None:
        self._schedules = schedules
        self._catalog = catalog
        self._jobs = jobs
        self._counts = counts
        self._new_id = new_id
        self._now = now

    async def generate(
        self,
        principal: Principal,
        request: PlanInput,
        key: IdempotencyKey | None = None,
        request_id: str = "",
    ) -> SchedulePlan:
        """Have a plan made, by an admin or the cinema's manager.

        Refuses FORBIDDEN, VALIDATION_ERROR, UNKNOWN_REFERENCE, SCHEDULE_LIMIT.
        """
        require_own_cinema(principal, request.cinema_id)
        _check_form(request)
        await self._check_references(request)
        plan_id = UUID(bytes=self._new_id())

        async def enqueue(running: PooledConnection) -> UUID:
            job = await self._jobs.enqueue(
                running,
                kind=KIND,
                owner_id=UUID(bytes=principal.user_id),
                cinema_id=request.cinema_id,
                input={"plan_id": str(plan_id)},
                total=100,
                only_one=str(plan_id),
                request_id=request_id,
            )
            return job.id

        return await self._schedules.add(plan_id, request, self._now(), key, enqueue)

    async def plan(self, principal: Principal, plan_id: UUID) -> SchedulePlan:
        """A plan and how far it is. Refuses NOT_FOUND."""
        plan = found(await self._schedules.find(plan_id))
        if not serves(principal, plan.cinema_id):
            raise refuse("NOT_FOUND")
        return plan

    async def cancel(self, principal: Principal, plan_id: UUID) -> SchedulePlan:
        """Give up a plan that is being made. Refuses NOT_FOUND, SCHEDULE_ENDED."""
        plan = await self.plan(principal, plan_id)
        if plan.status == "cancelled":
            return plan

        async def call_off(running: PooledConnection) -> bool:
            return await self._jobs.cancel(running, kind=KIND, only_one=str(plan_id))

        await self._schedules.cancel(call_off)
        plan = await self.plan(principal, plan_id)
        # It may have been done, or given up, a moment before.
        if plan.status != "cancelled":
            raise refuse("SCHEDULE_ENDED", status=plan.status)
        return plan

    async def apply(self, principal: Principal, plan_id: UUID) -> SchedulePlan:
        """Make the showtimes of a plan, all or none; once, however often it is asked for.

        Refuses NOT_FOUND, SCHEDULE_NOT_DONE, SCHEDULE_CONFLICT (with all that is in the way),
        SCREEN_OCCUPIED.
        """
        was = await self.plan(principal, plan_id)
        now = self._now()

        def decide(plan: SchedulePlan, calendar: Calendar) -> list[Addition]:
            if plan.status != "done":
                raise refuse("SCHEDULE_NOT_DONE", status=plan.status)
            conflicts = conflicts_of(plan.shows, calendar, now)
            if conflicts:
                self._counts.conflicts += 1
                raise refuse("SCHEDULE_CONFLICT", conflicts=msgspec.to_builtins(conflicts))
            return [
                Addition(
                    id=UUID(bytes=self._new_id()),
                    show=show,
                    screen=calendar.screens[show.screen_id],
                    times=times_of(show, calendar),
                )
                for show in plan.shows
            ]

        plan = await self._schedules.apply(plan_id, now, UUID(bytes=principal.user_id), decide)
        if was.status != "applied" and plan.applied_at == now:
            self._counts.applied += 1
            log.info(
                SCHEDULE_APPLIED,
                plan=str(plan_id),
                cinema=str(plan.cinema_id),
                showtimes=len(plan.shows),
                principal_id=str(UUID(bytes=principal.user_id)),
            )
        return plan

    async def schedule(self, cinema_id: UUID, query: ScheduleQuery) -> Schedule:
        """What a cinema shows on a day of its own calendar. Refuses NOT_FOUND."""
        if query.date is not None and not YEAR_MIN <= query.date.year <= YEAR_MAX:
            message = f"Years {YEAR_MIN} to {YEAR_MAX} only."
            raise refuse("VALIDATION_ERROR", message, path="$.date")
        cinema = found(await self._catalog.find_cinema(cinema_id))
        day = query.date or self._now().astimezone(ZoneInfo(cinema.time_zone)).date()
        return found(await self._schedules.schedule(cinema_id, day))

    async def _check_references(self, request: PlanInput) -> None:
        cinema = await self._schedules.cinema(request.cinema_id)
        if cinema is None:
            raise refuse("UNKNOWN_REFERENCE", "There is no such cinema.", path="$.cinema_id")
        for name, price in (
            ("base_price", request.base_price),
            ("prime_price", request.prime_price),
        ):
            if price is not None and price.currency != cinema.currency:
                raise refuse(
                    "VALIDATION_ERROR",
                    f"This cinema sells in {cinema.currency}.",
                    path=f"$.{name}.currency",
                )
        zone = ZoneInfo(cinema.time_zone)
        _check_days(request, self._now().astimezone(zone).date())
        day = datetime.combine(request.date_from, datetime.min.time(), zone).astimezone(UTC)
        movie_ids = [film.movie_id for film in request.films]
        house = found(await self._schedules.house(request.cinema_id, movie_ids, day, day))
        if not house.screens:
            raise refuse("UNKNOWN_REFERENCE", "This cinema has no screens.", path="$.cinema_id")
        _check_size(request, len(house.screens))
        screens = {screen.id for screen in house.screens}
        for place, film in enumerate(request.films):
            if film.movie_id not in house.films:
                path = f"$.films[{place}].movie_id"
                raise refuse("UNKNOWN_REFERENCE", "There is no such movie.", path=path)
        for place, screen in enumerate(request.screens):
            if screen.screen_id not in screens:
                path = f"$.screens[{place}].screen_id"
                raise refuse("UNKNOWN_REFERENCE", "The screen is not in that cinema.", path=path)


def _check_form(request: PlanInput) -> None:
    """What can be told from the request alone."""
    movies = [film.movie_id for film in request.films]
    if len(set(movies)) < len(movies):
        raise refuse("VALIDATION_ERROR", "A movie is named twice.", path="$.films")
    for place, film in enumerate(request.films):
        path = f"$.films[{place}]"
        if film.shows_min > film.shows_max:
            message = "`shows_max` is less than `shows_min`."
            raise refuse("VALIDATION_ERROR", message, path=f"{path}.shows_max")
        if sum(version.share for version in film.versions) > SHARES_MAX:
            message = "The shares of all versions are more than 1."
            raise refuse("VALIDATION_ERROR", message, path=f"{path}.versions")
        kinds = {(version.format, version.language) for version in film.versions}
        if len(kinds) < len(film.versions):
            message = "A version is named twice."
            raise refuse("VALIDATION_ERROR", message, path=f"{path}.versions")
    for name, price in (("base_price", request.base_price), ("prime_price", request.prime_price)):
        if price is not None and price.amount > BASE_PRICE_MINOR_MAX:
            raise refuse("VALIDATION_ERROR", "This is too much.", path=f"$.{name}.amount")


def _check_size(request: PlanInput, screens: int) -> None:
    versions = sum(max(1, len(film.versions)) for film in request.films)
    if versions * screens * (24 * 60 // request.grid_minutes) > STARTS_LIMIT:
        message = "This is too much for one plan: give fewer films or versions, or a coarser grid."
        raise refuse("VALIDATION_ERROR", message, path="$.grid_minutes")


def _check_days(request: PlanInput, today: date) -> None:
    if request.date_from < today:
        raise refuse("VALIDATION_ERROR", "This day is over.", path="$.date_from")
    if request.date_from > today + timedelta(days=SCHEDULE_AHEAD_DAYS - DAYS_LIMIT):
        raise refuse("VALIDATION_ERROR", "This is too far from now.", path="$.date_from")
    if not 0 <= (request.date_to - request.date_from).days < DAYS_LIMIT:
        message = f"A plan is for 1 to {DAYS_LIMIT} days."
        raise refuse("VALIDATION_ERROR", message, path="$.date_to")
