"""What the method `gift_card` says of an attempt, by how it stands with its card."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from cinema.features.giftcards.method import GiftCardMethod
from cinema.features.giftcards.rules import Card
from cinema.features.giftcards.use_store import ChosenCard
from cinema.features.ledger.methods import Attempt, Progress

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
ATTEMPT = Attempt(
    id=UUID(int=1),
    booking_id=UUID(int=2),
    method="gift_card",
    status="created",
    amount_minor=1000,
    refunded_minor=0,
    currency="EUR",
    reference=None,
    created_at=NOW,
)


class Rows:
    """The rows of cards, as one attempt sees them."""

    def __init__(self, chosen: ChosenCard | None) -> None:
        self._chosen = chosen

    async def reserve(self, payment_id: UUID, _now: datetime) -> ChosenCard | None:
        return await self.chosen(payment_id)

    async def chosen(self, payment_id: UUID) -> ChosenCard | None:
        assert payment_id == ATTEMPT.id
        return self._chosen


def chosen(*, reserved: bool = False, pays_all: bool = False, **of_card: Any) -> ChosenCard:
    card: dict[str, Any] = {
        "currency": "EUR",
        "balance_minor": 0,
        "expires_at": NOW + timedelta(days=1),
        "disabled_at": None,
    }
    return ChosenCard(
        is_reserved=reserved, pays_all=pays_all, wanted="EUR", card=Card(**(card | of_card))
    )


@pytest.mark.parametrize(
    ("known", "says"),
    [
        (None, Progress(status="failed", error_code="no_card")),
        (chosen(reserved=True, pays_all=True), Progress(status="succeeded", reserved=True)),
        (chosen(reserved=True), Progress(status="pending", reserved=True)),
        # Put aside is put aside, whatever became of the card.
        (chosen(reserved=True, disabled_at=NOW), Progress(status="pending", reserved=True)),
        (chosen(currency="JPY"), Progress(status="failed", error_code="currency")),
        (chosen(), Progress(status="failed", error_code="empty")),
        (chosen(expires_at=NOW), Progress(status="failed", error_code="expired")),
        (chosen(disabled_at=NOW), Progress(status="failed", error_code="disabled")),
        (chosen(balance_minor=5), Progress(status="pending")),
    ],
)
async def test_an_attempt_stands_as_its_card_does(known: ChosenCard | None, says: Progress) -> None:
    rows: Any = Rows(known)
    method = GiftCardMethod(rows, now=lambda: NOW)
    assert await method.start(ATTEMPT) == says
    assert await method.status(ATTEMPT) == says
    assert await method.cancel(ATTEMPT) == Progress(status="cancelled")
