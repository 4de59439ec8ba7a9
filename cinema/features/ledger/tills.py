"""Tills, as whoever takes money at the counter needs them; the cash desk has them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Protocol
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.domain.idempotency import IdempotencyKey
from cinema.features.accounts.user_store import Act
from cinema.features.ledger.shapes import Refund
from cinema.storage.database.transactions import PooledConnection

Tender = Annotated[
    Literal["cash", "terminal"],
    Meta(description="What was taken at the counter; only with the method `counter`."),
]
TerminalReference = Annotated[
    str,
    Meta(max_length=64, description="What the terminal calls its payment, for the cash report."),
]


class Tendered(msgspec.Struct, frozen=True, kw_only=True):
    """How money is taken at the counter."""

    tender: Literal["cash", "terminal"] = "cash"
    reference: str = ""


class Tills(Protocol):
    """The open cash sessions of those who take money."""

    async def take(
        self, payment_id: UUID, cinema_id: UUID, person: UUID, how: Tendered, at: datetime
    ) -> None:
        """Note, before a payment is decided, whose drawer it goes into. It may be repeated.

        Refuses CASH_SESSION_REQUIRED without an open session of this person at this cinema.
        """

    async def pay_out(
        self,
        refund_id: UUID,
        cinema_id: UUID,
        how: Tendered,
        act: Act,
        key: IdempotencyKey | None,
    ) -> Refund:
        """Hand out the money of a refund that waits at the counter, from the caller's drawer.

        Refuses CASH_SESSION_REQUIRED, NOT_ENOUGH_CASH, REFUND_NOT_AT_COUNTER.
        """

    async def not_taken(self, payment_id: UUID) -> None:
        """The payment was refused: the till has nothing to do with it."""


class SalesOfTills(Protocol):
    """The same for what is sold beside bookings, which is stored in one transaction."""

    async def take_for(
        self,
        running: PooledConnection,
        sale_id: UUID,
        cinema_id: UUID,
        person: UUID,
        how: Tendered,
        amount_minor: int,
        at: datetime,
    ) -> None:
        """Put the money of a sale into a drawer. Refuses CASH_SESSION_REQUIRED."""
