"""Price books: their settings and rules, by managers of the cinema and admins."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.paging import BY_TEXT, Page, after, page
from cinema.domain.pricing.book import BookSettings, TicketType
from cinema.domain.principal import Principal
from cinema.domain.rejections import refuse
from cinema.features.accounts.authority import require_own_cinema
from cinema.features.accounts.shapes import Client
from cinema.features.accounts.user_store import Act
from cinema.features.pricing.rules import check_rule, check_settings
from cinema.features.pricing.shapes import (
    Gone,
    PriceRule,
    RuleFields,
    RuleInput,
    RuleQuery,
    SettingsOfPrices,
)
from cinema.features.pricing.store import PricesRepository
from cinema.features.refusals import found, granted

Seen = frozenset[int] | None


class PricesService:
    """Use cases of price books; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        prices: PricesRepository,
        *,
        new_id: Callable[[], bytes],
        now: Callable[[], datetime],
    ) -> None:
        self._prices = prices
        self._new_id = new_id
        self._now = now

    async def ticket_types(self, cinema_id: UUID) -> list[TicketType]:
        """The types of tickets that a cinema sells. Refuses NOT_FOUND."""
        return list(found(await self._prices.find_settings(cinema_id)).settings.ticket_types)

    async def settings(self, by: Principal, cinema_id: UUID) -> SettingsOfPrices:
        """The settings of a book, for those who work there. Refuses NOT_FOUND, FORBIDDEN."""
        settings = found(await self._prices.find_settings(cinema_id))
        require_own_cinema(by, cinema_id)
        return settings

    async def change_settings(
        self, by: Principal, cinema_id: UUID, request: BookSettings, seen: Seen, client: Client
    ) -> SettingsOfPrices:
        """The settings from now on.

        Refuses NOT_FOUND, FORBIDDEN, VALIDATION_ERROR, PRECONDITION_REQUIRED, PRECONDITION_FAILED.
        """
        await self.settings(by, cinema_id)
        return await self._prices.change_settings(
            cinema_id,
            versions(seen),
            request,
            self._act(by, client),
            allow=lambda tax_rates: check_settings(request, tax_rates),
        )

    async def rules(self, by: Principal, query: RuleQuery) -> Page[PriceRule]:
        """A cinema's rules, the oldest first. Refuses NOT_FOUND, FORBIDDEN."""
        await self.settings(by, query.cinema_id)
        position = granted(after(query.cursor, BY_TEXT))
        rows = await self._prices.list_rules(
            query.cinema_id, None if position is None else position[1], query.limit + 1
        )
        return page(rows, query.limit, lambda rule: ("", rule.id))

    async def rule(self, by: Principal, rule_id: UUID) -> PriceRule:
        """One rule. Refuses NOT_FOUND, FORBIDDEN."""
        rule = found(await self._prices.find_rule(rule_id))
        require_own_cinema(by, rule.cinema_id)
        return rule

    async def add_rule(
        self, by: Principal, request: RuleInput, client: Client, key: IdempotencyKey | None
    ) -> PriceRule:
        """A new rule. Refuses FORBIDDEN, VALIDATION_ERROR, UNKNOWN_REFERENCE, PRICE_RULE_LIMIT."""
        require_own_cinema(by, request.cinema_id)
        check_rule(request)
        return await self._prices.add_rule(
            UUID(bytes=self._new_id()), request, self._act(by, client), key
        )

    async def change_rule(
        self, by: Principal, rule_id: UUID, request: RuleFields, seen: Seen, client: Client
    ) -> PriceRule:
        """A rule as it is from now on; its cinema stays.

        Refuses NOT_FOUND, FORBIDDEN, VALIDATION_ERROR, PRECONDITION_REQUIRED, PRECONDITION_FAILED.
        """
        await self.rule(by, rule_id)
        check_rule(request)
        return await self._prices.change_rule(
            rule_id, versions(seen), request, self._act(by, client)
        )

    async def delete_rule(
        self,
        by: Principal,
        rule_id: UUID,
        seen: Seen,
        client: Client,
        key: IdempotencyKey | None,
    ) -> Gone:
        """Take a rule out of the book.

        Refuses NOT_FOUND, FORBIDDEN, PRECONDITION_REQUIRED, PRECONDITION_FAILED. If it is gone,
        this may be a repetition with the same key: the store knows its answer.
        """
        rule = await self._prices.find_rule(rule_id)
        if rule is not None:
            require_own_cinema(by, rule.cinema_id)
        return await self._prices.delete_rule(rule_id, versions(seen), self._act(by, client), key)

    def _act(self, by: Principal, client: Client) -> Act:
        return Act(
            by=UUID(bytes=by.user_id),
            at=self._now(),
            client=client,
            entry_id=UUID(bytes=self._new_id()),
        )


def versions(seen: Seen) -> frozenset[int]:
    """What was seen of what is to be changed. Refuses PRECONDITION_REQUIRED without any."""
    if seen is None:
        raise refuse("PRECONDITION_REQUIRED")
    return seen
