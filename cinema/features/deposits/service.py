"""Deposits: taken at the counter, put aside for the booking, used or given up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.money import Money
from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused, refuse
from cinema.features.accounts.authority import serves
from cinema.features.accounts.shapes import Client, email_key, tidy_email
from cinema.features.accounts.user_store import Act
from cinema.features.bookings.checks import check_tender
from cinema.features.bookings.store import BookingsRepository
from cinema.features.deposits.shapes import Deposit, DepositCard, DepositInput
from cinema.features.deposits.store import DepositsRepository, KeptDeposit, OpenDeposit
from cinema.features.giftcards.rules import shown_code
from cinema.features.giftcards.service import GiftCardsService
from cinema.features.ledger.cards import GIFT_CARD
from cinema.features.ledger.service import AttemptsService
from cinema.features.refusals import found


class DepositsService:
    """Use cases of deposits; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        deposits: DepositsRepository,
        bookings: BookingsRepository,
        cards: GiftCardsService,
        attempts: AttemptsService,
        *,
        demo: bool,
        new_id: Callable[[], UUID],
        now: Callable[[], datetime],
    ) -> None:
        self._deposits = deposits
        self._bookings = bookings
        self._cards = cards
        self._attempts = attempts
        self._demo = demo
        self._new_id = new_id
        self._now = now

    async def take(
        self,
        by: Principal,
        booking_id: UUID,
        request: DepositInput,
        client: Client,
        key: IdempotencyKey | None,
    ) -> Deposit:
        """Take a deposit at the counter, and put it aside for the booking.

        Once it is taken, a job puts it aside if this cannot. Refuses NOT_FOUND, VALIDATION_ERROR,
        UNKNOWN_PAYMENT_METHOD, PAYMENT_IN_PROGRESS, DEPOSIT_NOT_TAKEN, CASH_SESSION_REQUIRED,
        RETRY, OUTCOME_UNKNOWN.
        """
        await self._require_counter(by, booking_id)
        payment = request.payment
        check_tender(payment.method, payment.tender, payment.reference, "$.payment")
        if payment.method == "demo" and not self._demo:
            raise refuse("UNKNOWN_PAYMENT_METHOD", method=payment.method)
        email = _address(request)
        # Nothing is stopped for a deposit that there is, or that cannot be.
        if await self._deposits.why_not(booking_id, request) is None:
            await self._make_way(booking_id)
        card_id, act = self._new_id(), self._act(by, client)
        code = await self._cards.code_of_deposit(card_id)
        card_id = await self._deposits.take(booking_id, card_id, code, request, email, act, key)
        with suppress(Refused):  # The money is here: the job goes on.
            await self._put_aside(booking_id, card_id)
        return await self._shown(found(await self._deposits.find(booking_id)))

    async def deposit(self, by: Principal, booking_id: UUID) -> Deposit:
        """The deposit of a booking. Refuses NOT_FOUND, also to staff of other cinemas."""
        await self._require_counter(by, booking_id)
        return await self._shown(found(await self._deposits.find(booking_id)))

    async def go_on(self, deposit: OpenDeposit) -> bool:
        """Do what is to be done with a deposit; False if that is for later. Refuses RETRY."""
        if deposit.status == "pending":
            return await self._put_aside(deposit.booking_id, deposit.card_id)
        return await self._deposits.settle(deposit.booking_id, self._now()) is not None

    async def is_due(self, payload: Mapping[str, Any]) -> bool:
        """Whether the rest that a mail is about is still to be paid. Refuses RETRY."""
        return await self._deposits.is_due(UUID(payload["booking_id"]), payload["until"])

    async def _put_aside(self, booking_id: UUID, card_id: UUID) -> bool:
        """Put the money of the card aside for its booking; it may be repeated."""
        booking = found(await self._attempts.payable(booking_id))
        if booking.status != "pending":
            return False
        if await self._attempts.has_put_aside(booking_id, GIFT_CARD):
            return True
        if await self._attempts.make_way(booking_id, GIFT_CARD) != "stopped":
            return False

        async def choose(attempt_id: UUID) -> None:
            await self._cards.choose(attempt_id, card_id)

        method = self._attempts.methods.get(GIFT_CARD)
        begun = await self._attempts.resume(booking, method, choose)
        if begun is None:
            return False
        attempt, progress = begun
        if progress.status == "succeeded":
            # Something else was put aside in this moment, and with it this is all of the money.
            await self._attempts.confirm_reserved(booking_id, attempt.id)
        return progress.reserved

    async def _make_way(self, booking_id: UUID) -> None:
        if await self._attempts.make_way(booking_id, GIFT_CARD) != "stopped":
            message = "Another payment is under way and cannot be stopped now. Try again soon."
            raise refuse("PAYMENT_IN_PROGRESS", message)

    async def _require_counter(self, by: Principal, booking_id: UUID) -> None:
        sale = found(await self._bookings.sale_of(booking_id))
        if not serves(by, sale.cinema_id):
            raise refuse("NOT_FOUND")

    async def _shown(self, deposit: KeptDeposit) -> Deposit:
        """A deposit as staff see it; nobody gets the code before it is decided."""
        currency, card = deposit.currency, None
        if deposit.outcome is not None:
            card = DepositCard(
                id=deposit.left_on,
                last_four=deposit.last_four,
                balance=Money(deposit.balance_minor, currency),
                code=await self._code(deposit),
            )
        return Deposit(
            booking_id=deposit.booking_id,
            status=deposit.outcome or "taken",
            amount=Money(deposit.amount_minor, currency),
            percent=deposit.percent,
            kept_percent=deposit.kept_percent,
            keeps=Money(deposit.keeps_minor, currency),
            kept=Money(deposit.kept_minor, currency),
            remind_at=deposit.remind_at,
            pay_until=deposit.pay_until if deposit.outcome is None else None,
            taken_at=deposit.taken_at,
            ended_at=deposit.ended_at,
            card=card,
        )

    async def _code(self, deposit: KeptDeposit) -> str | None:
        """The code of its card; None if nothing is on it, or another one is in its place."""
        if not deposit.balance_minor or deposit.left_on != deposit.card_id:
            return None
        return shown_code((await self._cards.code_of_deposit(deposit.card_id)).code)

    def _act(self, by: Principal, client: Client) -> Act:
        return Act(
            by=UUID(bytes=by.user_id), at=self._now(), client=client, entry_id=self._new_id()
        )


def _address(request: DepositInput) -> str | None:
    """Who is reminded. Refuses VALIDATION_ERROR."""
    if request.contact is None:
        return None
    if email_key(request.contact.email) is None:
        text = "This is not an e-mail address."
        raise refuse("VALIDATION_ERROR", text, path="$.contact.email")
    return tidy_email(request.contact.email)
