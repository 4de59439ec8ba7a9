"""Payments by gift card: the method `gift_card`, whose provider is this server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from cinema.features.giftcards.use_store import CardUsesRepository, ChosenCard
from cinema.features.ledger.cards import GIFT_CARD
from cinema.features.ledger.methods import Attempt, Progress, RefundOrder, RefundProgress

NOT_CHOSEN: Final = "no_card"
OTHER_CURRENCY: Final = "currency"


class GiftCardMethod:
    """See `PaymentMethod`. The card was chosen before (`GiftCardsService.choose`).

    Its money is put aside when the attempt starts. What becomes of that follows from the attempt:
    the event that confirms the booking makes it succeed, one that ends it makes it fail, and then
    `jobs` gives the money back to the card.
    """

    name = GIFT_CARD
    waits = True
    settles: frozenset[str] = frozenset()

    def __init__(self, uses: CardUsesRepository, *, now: Callable[[], datetime]) -> None:
        self._uses = uses
        self._now = now

    async def start(self, attempt: Attempt) -> Progress:
        """See `PaymentMethod.start`: as much as there is on the card, at most what is wanted."""
        now = self._now()
        return _progress(await self._uses.reserve(attempt.id, now), now)

    async def status(self, attempt: Attempt) -> Progress:
        """See `PaymentMethod.status`."""
        return _progress(await self._uses.chosen(attempt.id), self._now())

    async def cancel(self, _attempt: Attempt) -> Progress:
        """See `PaymentMethod.cancel`: nobody can book by what is put aside once it has failed."""
        return Progress(status="cancelled")

    async def refund(self, attempt: Attempt, order: RefundOrder) -> RefundProgress:
        """See `PaymentMethod.refund`."""
        if await self._uses.refund(attempt.id, order, self._now()):
            return RefundProgress(status="succeeded")
        return RefundProgress(status="failed", error_code="GIFT_CARD_DISABLED")


def _progress(chosen: ChosenCard | None, now: datetime) -> Progress:
    if chosen is None:
        return Progress(status="failed", error_code=NOT_CHOSEN)
    if chosen.is_reserved:
        return Progress(status="succeeded" if chosen.pays_all else "pending", reserved=True)
    if chosen.card.currency != chosen.wanted:
        return Progress(status="failed", error_code=OTHER_CURRENCY)
    standing = chosen.card.standing_at(now)
    if standing == "active":
        # It was topped up by a refund in this moment, or the attempt has ended.
        return Progress(status="pending")
    return Progress(status="failed", error_code=standing)
