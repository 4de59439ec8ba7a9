"""Guests' bookings, for people who have the link to one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.rejections import refuse
from cinema.features.accounts.throttles import Throttles
from cinema.features.bookings.order_rules import digest_of_order
from cinema.features.bookings.order_store import OrdersRepository
from cinema.features.bookings.service import BookingsService
from cinema.features.bookings.shapes import Booking


class OrdersService:
    """Use cases of order links; each refuses with a code of `docs/errors.md`.

    A link is valid for one booking, and can be used many times. A refusal does not say whether the
    booking or the token is wrong.
    """

    def __init__(
        self,
        orders: OrdersRepository,
        bookings: BookingsService,
        throttles: Throttles,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._orders = orders
        self._bookings = bookings
        self._throttles = throttles
        self._now = now

    async def order(self, booking_id: UUID, token: str, address: str) -> Booking:
        """The booking of a link. Refuses INVALID_LINK, RATE_LIMITED, RETRY."""
        await self.check(booking_id, token, address)
        return await self._bookings.ordered(booking_id)

    async def cancel(
        self,
        booking_id: UUID,
        token: str,
        address: str,
        labels: list[str] | None,
        key: IdempotencyKey | None,
    ) -> Booking:
        """Cancel the booking of a link, or part of it, as the guest can."""
        await self.check(booking_id, token, address)
        return await self._bookings.cancel_ordered(booking_id, labels, key)

    async def check(self, booking_id: UUID, token: str, address: str) -> None:
        """Whether this is the link to a booking. Refuses INVALID_LINK, RATE_LIMITED, RETRY."""
        await self._throttles.count_order(address)
        digest = digest_of_order(booking_id, token)
        if not await self._orders.is_good(booking_id, digest, self._now()):
            raise refuse("INVALID_LINK", "This link is not valid, or no longer.")
