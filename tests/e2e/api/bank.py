"""A payment service for tests: a bank that says when money has come, and remembers what it did."""

from __future__ import annotations

from typing import Any

from cinema.domain.rejections import refuse
from cinema.features.ledger.methods import Attempt, Progress, RefundOrder, RefundProgress


class Bank:
    """A way to pay that waits for its customer; ids are its keys of idempotency."""

    waits = True
    settles: frozenset[str] = frozenset()

    def __init__(self, name: str = "stripe") -> None:
        self.name = name
        self.away = False
        self.intents: dict[str, str] = {}
        """What became of each attempt: `open`, `processing`, `paid` or `cancelled`."""
        self.refunds: dict[str, tuple[str, int]] = {}
        """What became of each refund, and of how much."""
        self.refuses_refunds = False

    async def start(self, attempt: Attempt) -> Progress:
        self._answer()
        assert attempt.method == self.name
        self.intents.setdefault(str(attempt.id), "open")
        return self._progress(attempt)

    async def status(self, attempt: Attempt) -> Progress:
        self._answer()
        return self._progress(attempt)

    async def cancel(self, attempt: Attempt) -> Progress:
        self._answer()
        if self.intents.setdefault(str(attempt.id), "open") == "open":
            self.intents[str(attempt.id)] = "cancelled"
        return self._progress(attempt)

    async def refund(self, attempt: Attempt, order: RefundOrder) -> RefundProgress:
        self._answer()
        assert self.intents[str(attempt.id)] == "paid"
        if self.refuses_refunds:
            return RefundProgress(status="failed", error_code="card_closed")
        self.refunds.setdefault(str(order.id), ("succeeded", order.amount_minor))
        assert self.refunds[str(order.id)][1] == order.amount_minor
        return RefundProgress(status="succeeded", reference=f"back-{order.id}")

    def pay(self, booking: dict[str, Any]) -> None:
        """Its customer pays."""
        assert self.intents[booking["payment"]["id"]] == "open"
        self.intents[booking["payment"]["id"]] = "paid"

    def _answer(self) -> None:
        if self.away:
            raise refuse("RETRY")

    def _progress(self, attempt: Attempt) -> Progress:
        state = self.intents[str(attempt.id)]
        if state == "paid":
            return Progress(status="succeeded", reference=f"intent-{attempt.id}")
        if state == "cancelled":
            return Progress(status="cancelled", reference=f"intent-{attempt.id}")
        secret = f"secret-{attempt.id}"
        return Progress(status="pending", reference=f"intent-{attempt.id}", client_secret=secret)
