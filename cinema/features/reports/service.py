"""Distributor returns: look at figures, draw returns, read them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.paging import BY_NUMBER, Page, after, page
from cinema.domain.principal import Principal
from cinema.domain.rejections import refuse
from cinema.features.accounts.authority import require_own_cinema, serves
from cinema.features.refusals import found, granted
from cinema.features.reports.rules import check_period
from cinema.features.reports.shapes import ReportQuery, Return, ReturnInput, ReturnsQuery
from cinema.features.reports.store import ReturnsRepository


class ReportsService:
    """Use cases of reports; each refuses with a code of `docs/errors.md`."""

    def __init__(self, returns: ReturnsRepository, *, now: Callable[[], datetime]) -> None:
        self._returns = returns
        self._now = now

    async def figures(self, principal: Principal, query: ReportQuery) -> Return:
        """What a return would say now; nothing is drawn."""
        require_own_cinema(principal, query.cinema_id)
        check_period(query.first, query.last)
        film = found(await self._returns.film(query.cinema_id, query.film, self._now()))
        return await self._returns.figures(
            query.cinema_id, query.film, film, query.first, query.last
        )

    async def draw(
        self,
        principal: Principal,
        cinema_id: UUID,
        request: ReturnInput,
        key: IdempotencyKey | None,
    ) -> Return:
        """Draw the next return of a film. Refuses UNKNOWN_REFERENCE, VALIDATION_ERROR, RETRY."""
        require_own_cinema(principal, cinema_id)
        now = self._now()
        film = await self._returns.film(cinema_id, request.movie_id, now)
        if film is None:
            raise refuse("UNKNOWN_REFERENCE", "There is no such film.", path="$.movie_id")
        check_period(request.first, request.last, film.today)
        return await self._returns.draw(
            cinema_id, request.movie_id, film, request.first, request.last, now, key
        )

    async def drawn(self, principal: Principal, return_id: UUID) -> Return:
        """A return as it was drawn, for managers of its cinema; others get NOT_FOUND."""
        one = found(await self._returns.find(return_id))
        if not serves(principal, one.cinema_id):
            raise refuse("NOT_FOUND")
        return one

    async def returns(
        self, principal: Principal, cinema_id: UUID, query: ReturnsQuery
    ) -> Page[Return]:
        """The returns of a cinema, newest first."""
        require_own_cinema(principal, cinema_id)
        position = granted(after(query.cursor, BY_NUMBER))
        rows = await self._returns.of_cinema(
            cinema_id,
            query.film,
            after=None if position is None else position[1],
            limit=query.limit + 1,
        )
        return page(rows, query.limit, lambda one: (one.number, one.id or UUID(int=0)))
