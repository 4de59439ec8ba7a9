"""Promo codes: made, changed and deleted by managers for their cinemas, and by admins."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.paging import BY_TEXT, Page, after, page
from cinema.domain.principal import ADMIN, Principal
from cinema.domain.rejections import refuse
from cinema.features.accounts.authority import own_cinemas
from cinema.features.accounts.shapes import Client
from cinema.features.accounts.user_store import Act
from cinema.features.pricing.promo_store import PromosRepository
from cinema.features.pricing.rules import check_promo
from cinema.features.pricing.service import Seen, versions
from cinema.features.pricing.shapes import (
    Gone,
    PromoCode,
    PromoInput,
    PromoQuery,
    PromoTerms,
)
from cinema.features.refusals import found, granted


class PromosService:
    """Use cases of promo codes; each refuses with a code of `docs/errors.md`.

    Admins change all of them. Managers see those that name one of their cinemas, and change those
    that name no other.
    """

    def __init__(
        self,
        promos: PromosRepository,
        *,
        new_id: Callable[[], bytes],
        now: Callable[[], datetime],
    ) -> None:
        self._promos = promos
        self._new_id = new_id
        self._now = now

    async def promos(self, by: Principal, query: PromoQuery) -> Page[PromoCode]:
        """Codes that the caller may see, the oldest first."""
        position = granted(after(query.cursor, BY_TEXT))
        own = own_cinemas(by)
        rows = await self._promos.list(
            own, query.cinema_id, None if position is None else position[1], query.limit + 1
        )
        return page(rows, query.limit, lambda promo: ("", promo.id))

    async def promo(self, by: Principal, promo_id: UUID) -> PromoCode:
        """One code. Refuses NOT_FOUND, also for codes of others: it would tell which there are."""
        promo = found(await self._promos.find(promo_id))
        if not _may_see(by, promo.cinema_ids):
            raise refuse("NOT_FOUND")
        return promo

    async def add(
        self, by: Principal, request: PromoInput, client: Client, key: IdempotencyKey | None
    ) -> PromoCode:
        """A new code. Refuses FORBIDDEN, VALIDATION_ERROR, UNKNOWN_REFERENCE, NAME_TAKEN."""
        _require_all(by, request.cinema_ids)
        check_promo(request)
        return await self._promos.add(
            UUID(bytes=self._new_id()), request, self._act(by, client), key
        )

    async def change(
        self, by: Principal, promo_id: UUID, request: PromoTerms, seen: Seen, client: Client
    ) -> PromoCode:
        """A code as it is from now on; its text and its uses stay.

        Refuses NOT_FOUND, FORBIDDEN, VALIDATION_ERROR, PRECONDITION_REQUIRED, PRECONDITION_FAILED,
        UNKNOWN_REFERENCE.
        """
        await self.promo(by, promo_id)
        _require_all(by, request.cinema_ids)
        check_promo(request)
        return await self._promos.change(
            promo_id,
            versions(seen),
            request,
            self._act(by, client),
            allow=lambda promo: _allow(by, promo),
        )

    async def delete(
        self,
        by: Principal,
        promo_id: UUID,
        seen: Seen,
        client: Client,
        key: IdempotencyKey | None,
    ) -> Gone:
        """Take a code out of use.

        Refuses NOT_FOUND, FORBIDDEN, PRECONDITION_REQUIRED, PRECONDITION_FAILED.
        """
        if seen is None:
            await self.promo(by, promo_id)
        return await self._promos.delete(
            promo_id,
            versions(seen),
            self._act(by, client),
            key,
            allow=lambda promo: _allow(by, promo),
        )

    def _act(self, by: Principal, client: Client) -> Act:
        return Act(
            by=UUID(bytes=by.user_id),
            at=self._now(),
            client=client,
            entry_id=UUID(bytes=self._new_id()),
        )


def _may_see(by: Principal, cinema_ids: list[UUID]) -> bool:
    return by.role == ADMIN or any(one.bytes in by.cinema_ids for one in cinema_ids)


def _allow(by: Principal, promo: PromoCode) -> None:
    if not _may_see(by, promo.cinema_ids):
        raise refuse("NOT_FOUND")
    _require_all(by, promo.cinema_ids)


def _require_all(by: Principal, cinema_ids: list[UUID]) -> None:
    """Refuses FORBIDDEN to managers, unless the code is for cinemas of theirs alone."""
    if by.role == ADMIN:
        return
    if not cinema_ids or any(one.bytes not in by.cinema_ids for one in cinema_ids):
        raise refuse("FORBIDDEN", "Name cinemas of yours only: other codes are for admins.")
