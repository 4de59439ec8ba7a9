"""Reports: managers read those of their cinemas, admins those of all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

import msgspec

from cinema.domain.principal import Principal
from cinema.features.accounts.authority import own_cinemas, require_own_cinema
from cinema.features.reports.experiment_store import ExperimentsRepository
from cinema.features.reports.figure_shapes import (
    CapacityQuery,
    CashQuery,
    Dashboard,
    ExperimentQuery,
    FunnelQuery,
    OccupancyQuery,
    PeriodQuery,
    PopularQuery,
    ReportMeta,
    RevenueQuery,
)
from cinema.features.reports.figure_store import Cinemas, FiguresRepository
from cinema.features.reports.projection_store import ProjectionRepository
from cinema.features.reports.rules import check_period


class Report(msgspec.Struct, frozen=True):
    """Rows, and what they are about."""

    rows: list[Any]
    meta: ReportMeta


class FiguresService:
    """Use cases of reports; each refuses with a code of `docs/errors.md`.

    All refuse FORBIDDEN for a cinema of others, and VALIDATION_ERROR for a period that is none.
    """

    def __init__(
        self,
        figures: FiguresRepository,
        projection: ProjectionRepository,
        experiments: ExperimentsRepository,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._figures = figures
        self._projection = projection
        self._experiments = experiments
        self._now = now

    async def capacity(self, by: Principal, query: CapacityQuery) -> Report:
        """Seats, sold and let in."""
        asked = query.first, query.last, _asked(by, query)
        return await self._report(query, await self._figures.capacity(*asked, query.group_by))

    async def revenue(self, by: Principal, query: RevenueQuery) -> Report:
        """What was charged, given back and kept."""
        asked = query.first, query.last, _asked(by, query)
        return await self._report(query, await self._figures.revenue(*asked, query.group_by))

    async def popular(self, by: Principal, query: PopularQuery) -> Report:
        """Films by their tickets."""
        asked = query.first, query.last, _asked(by, query)
        return await self._report(query, await self._figures.popular(*asked, query.limit))

    async def occupancy(self, by: Principal, query: OccupancyQuery) -> Report:
        """How full showtimes were."""
        asked = query.first, query.last, _asked(by, query)
        return await self._report(query, await self._figures.occupancy(*asked, query.group_by))

    async def funnel(self, by: Principal, query: FunnelQuery) -> Report:
        """How holds went on."""
        asked = query.first, query.last, _asked(by, query)
        return await self._report(query, await self._figures.funnel(*asked, query.group_by))

    async def distributor(self, by: Principal, query: PeriodQuery) -> Report:
        """Admissions of films."""
        asked = query.first, query.last, _asked(by, query)
        return await self._report(query, await self._figures.distributor(*asked))

    async def cash(self, by: Principal, query: CashQuery) -> Report:
        """What passed the tills."""
        asked = query.first, query.last, _asked(by, query)
        return await self._report(query, await self._figures.cash(*asked, query.group_by))

    async def recommendations(self, by: Principal, query: ExperimentQuery) -> Report:
        """What recommendations reached in experiments."""
        cinemas = _asked(by, query)
        since = datetime.combine(query.first, time(), UTC)
        until = datetime.combine(query.last, time(), UTC) + timedelta(days=1)
        by_day = query.group_by == "date"
        rows = await self._experiments.outcomes(since, until, self._now(), cinemas, by_day=by_day)
        return await self._report(query, rows)

    async def dashboard(self, by: Principal, cinema_id: UUID | None) -> Dashboard:
        """Today, this week and the one before, and what runs now."""
        return await self._figures.dashboard(self._now(), _cinemas(by, cinema_id))

    async def _report(self, query: PeriodQuery | ExperimentQuery, rows: list[Any]) -> Report:
        backlog = await self._projection.backlog()
        meta = ReportMeta(
            first=query.first,
            last=query.last,
            waiting=backlog.waiting,
            rebuilding=backlog.rebuilding,
        )
        return Report(rows, meta)


def _asked(by: Principal, query: PeriodQuery | ExperimentQuery) -> Cinemas:
    check_period(query.first, query.last)
    return _cinemas(by, query.cinema_id)


def _cinemas(by: Principal, cinema_id: UUID | None) -> Cinemas:
    if cinema_id is not None:
        require_own_cinema(by, cinema_id)
        return [cinema_id]
    return own_cinemas(by)
