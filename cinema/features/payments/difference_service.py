"""Differences between our payments and those of their providers, for admins."""

from __future__ import annotations

from cinema.domain.paging import BY_MOMENT, Page, after, page
from cinema.domain.times import from_us, to_us
from cinema.features.payments.shapes import Difference, DifferencesQuery
from cinema.features.payments.stripe_store import StripeRepository
from cinema.features.refusals import granted


class DifferencesService:
    """Use cases of differences."""

    def __init__(self, tasks: StripeRepository) -> None:
        self._tasks = tasks

    async def differences(self, query: DifferencesQuery) -> Page[Difference]:
        """Differences, newest first; those that were resolved only if asked for."""
        position = granted(after(query.cursor, BY_MOMENT))
        rows = await self._tasks.differences(
            None if position is None else (from_us(position[0]), position[1]),
            also_resolved=query.resolved,
            limit=query.limit + 1,
        )
        return page(rows, query.limit, lambda one: (to_us(one.found_at), one.id))
