"""Loyalty points, for their customers and for whoever takes payments."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from cinema.domain.paging import BY_MOMENT, Page, PageQuery, after, page
from cinema.domain.principal import GUEST, Principal
from cinema.domain.rejections import Refused, refuse
from cinema.domain.times import from_us, to_us
from cinema.features.loyalty.shapes import Loyalty, PointsEntry
from cinema.features.loyalty.store import PointsRepository
from cinema.features.refusals import granted


class LoyaltyService:
    """Use cases of points; each refuses with a code of `docs/errors.md`."""

    def __init__(self, points: PointsRepository, *, now: Callable[[], datetime]) -> None:
        self._points = points
        self._now = now

    async def loyalty(self, by: Principal) -> Loyalty:
        """The caller's points."""
        customer_id = UUID(bytes=by.user_id)
        return Loyalty(balances=await self._points.balances(customer_id, self._now()))

    async def history(self, by: Principal, query: PageQuery) -> Page[PointsEntry]:
        """What has changed the caller's points, the newest first."""
        position = granted(after(query.cursor, BY_MOMENT))
        rows = await self._points.history(
            UUID(bytes=by.user_id),
            None if position is None else (from_us(position[0]), position[1]),
            query.limit + 1,
        )
        return page(rows, query.limit, lambda one: (to_us(one.at), one.id))

    def check_customer(self, by: Principal) -> None:
        """Refuses FORBIDDEN for guests."""
        if by.role == GUEST:
            raise refuse("FORBIDDEN", "Guests have no points: sign in, or pay another way.")

    async def check_usable(self, by: Principal, currency: str) -> None:
        """Refuses POINTS_UNUSABLE without any points of this currency."""
        if not await self.has_points(by, currency):
            raise no_points(currency)

    async def has_points(self, by: Principal, currency: str) -> bool:
        """Whether the caller has any of this currency that are not put aside."""
        balances = await self._points.balances(UUID(bytes=by.user_id), self._now())
        return any(one.points for one in balances if one.worth.currency == currency)


def no_points(currency: str) -> Refused:
    """The refusal POINTS_UNUSABLE of somebody who has none."""
    return refuse(
        "POINTS_UNUSABLE", f"You have no points in {currency}: pay another way.", reason="empty"
    )
