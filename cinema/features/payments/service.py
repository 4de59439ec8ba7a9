"""Payments: pay a pending booking, read a payment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID

import msgspec

from cinema.actors.messages import Accepted, Outcome
from cinema.domain.principal import Principal
from cinema.domain.rejections import Rejection, refuse
from cinema.features.accounts.authority import serves, sight_of
from cinema.features.bookings.checks import check_tender
from cinema.features.bookings.outcomes import booked
from cinema.features.bookings.shapes import Booking, Payment
from cinema.features.bookings.store import BookingsRepository, SoldBooking
from cinema.features.cashdesk.shapes import Tendered
from cinema.features.cashdesk.till_store import TillsRepository
from cinema.features.giftcards.service import GiftCardsService, check_currency
from cinema.features.ledger.cards import GIFT_CARD, check_code
from cinema.features.ledger.methods import (
    COUNTER,
    COUNTER_LATER,
    FREE,
    Attempt,
    PaymentMethod,
    Progress,
)
from cinema.features.ledger.parts import POINTS
from cinema.features.ledger.rules import EXCHANGE, SERIES
from cinema.features.ledger.service import AttemptsService
from cinema.features.ledger.store import Payable
from cinema.features.loyalty.service import LoyaltyService, no_points
from cinema.features.payments.shapes import PaymentOfBooking, ProcessInput
from cinema.features.payments.store import PaymentsRepository
from cinema.features.refusals import found, granted
from cinema.features.seats.service import money


class PaymentsService:
    """Use cases of payments; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        attempts: AttemptsService,
        payments: PaymentsRepository,
        bookings: BookingsRepository,
        tills: TillsRepository,
        cards: GiftCardsService,
        loyalty: LoyaltyService,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._attempts = attempts
        self._payments = payments
        self._bookings = bookings
        self._tills = tills
        self._cards = cards
        self._loyalty = loyalty
        self._now = now

    async def payment(self, principal: Principal, payment_id: UUID) -> PaymentOfBooking:
        """A payment of the caller; staff see those of their cinemas, admins all."""
        return found(await self._payments.find(payment_id, *sight_of(principal)))

    async def process(self, principal: Principal, request: ProcessInput) -> Booking:
        """Pay a pending booking, or begin or resume an attempt; one that is paid is answered as is.

        A booking whose time to pay is over gets its seats if they are still free. No new money is
        asked for then.
        """
        booking_id = request.booking_id
        sale = found(await self._bookings.sale_of(booking_id))
        at_counter = serves(principal, sale.cinema_id)
        if UUID(bytes=principal.user_id) not in {sale.user_id, sale.claimed_by} and not at_counter:
            raise refuse("NOT_FOUND")
        check_tender(request.method, request.tender, request.reference, "$")
        check_code(request.method, request.code, "$")
        method = self._method(request.method, at_counter=at_counter)
        if sale.status == "expired" and method.waits:
            raise refuse("BOOKING_ENDED", "Its time to pay is over. Hold seats again.")
        if sale.status not in {"pending", "expired"}:
            return await self._decided(booking_id, sale)
        booking = found(await self._attempts.payable(booking_id))
        prepare = await self._prepared(principal, request, sale, booking)
        begun = await self._attempts.resume(booking, method, prepare)
        if begun is None:
            return await self._decided_now(booking_id)
        attempt, progress = begun
        if progress.status != "succeeded":
            return await self._awaited(attempt, progress)
        if attempt.reserved:
            outcome = await self._attempts.confirm(booking, attempt)
        elif method.waits:
            outcome = await self._attempts.settle(attempt)
        else:
            outcome = await self._paid_now(principal, request, sale, booking, attempt)
        if isinstance(outcome, Accepted) and (outcome.event is None or outcome.replayed):
            # Paid before, and maybe cancelled since: only the rows know what it is now.
            await self._attempts.end(attempt, "cancelled", "PAID_OTHERWISE")
            return await self._decided_now(booking_id)
        if isinstance(outcome, Rejection):
            await self._attempts.end(attempt, "failed", outcome.code)
            if outcome.code == "HOLD_ENDED":
                # Paid, and cancelled meanwhile.
                raise refuse("BOOKING_ENDED")
        # Types and lines are in the rows, which were written when the payment began.
        made = granted(booked(outcome))
        return found(await self._bookings.find(made.id, None))

    async def _paid_now(
        self,
        principal: Principal,
        request: ProcessInput,
        sale: SoldBooking,
        booking: Payable,
        attempt: Attempt,
    ) -> Outcome:
        """What the showtime says to money that is here; what was taken at a counter is in a till.

        Refuses CASH_SESSION_REQUIRED.
        """
        if request.method != COUNTER:
            return await self._attempts.confirm(booking, attempt, request.method)
        how = Tendered(tender=request.tender or "cash", reference=request.reference)
        person, cinema_id = UUID(bytes=principal.user_id), found(sale.cinema_id)
        await self._tills.take(attempt.id, cinema_id, person, how, self._now())
        outcome = await self._attempts.confirm(booking, attempt, request.method)
        if isinstance(outcome, Rejection):
            await self._tills.not_taken(attempt.id)
        return outcome

    async def _prepared(
        self, principal: Principal, request: ProcessInput, sale: SoldBooking, booking: Payable
    ) -> Callable[[UUID], Awaitable[None]] | None:
        """What is done with an attempt before it puts money aside here, for methods that do."""
        if request.code is not None:
            return await self._card(principal, booking, request.code)
        if request.method == POINTS:
            await self._points(principal, sale, booking)
        return None

    async def _card(
        self, principal: Principal, booking: Payable, code: str
    ) -> Callable[[UUID], Awaitable[None]]:
        """What notes the card of a code for an attempt, once nothing else is under way.

        Refuses RATE_LIMITED, UNKNOWN_GIFT_CARD, GIFT_CARD_UNUSABLE, PAYMENT_IN_PROGRESS, RETRY.
        """
        known = await self._cards.usable(code, principal.user_id, booking.id)
        check_currency(known.card, booking.currency)
        await self._make_way(booking, GIFT_CARD)

        async def choose(attempt_id: UUID) -> None:
            await self._cards.choose(attempt_id, known.id)

        return choose

    async def _points(self, principal: Principal, sale: SoldBooking, booking: Payable) -> None:
        """Let the customer of a booking pay with points, once nothing else is under way.

        Refuses FORBIDDEN, POINTS_UNUSABLE, PAYMENT_IN_PROGRESS, RETRY.
        """
        if UUID(bytes=principal.user_id) not in {sale.user_id, sale.claimed_by}:
            raise refuse("FORBIDDEN", "Only its customer pays a booking with points.")
        self._loyalty.check_customer(principal)
        if not await self._loyalty.has_points(principal, booking.currency):
            # Maybe since they are put aside for this booking, by this click's twin for instance:
            # that is looked at after them, so that nothing moves between both looks unseen.
            aside = await self._attempts.has_put_aside(booking.id, POINTS)
            if not aside and await self._is_unpaid(booking.id):
                raise no_points(booking.currency)
        await self._make_way(booking, POINTS)

    async def _is_unpaid(self, booking_id: UUID) -> bool:
        return found(await self._bookings.sale_of(booking_id)).status in {"pending", "expired"}

    async def _make_way(self, booking: Payable, method: str) -> None:
        if await self._attempts.make_way(booking.id, method) == "under_way":
            message = "Another payment is under way and cannot be stopped now. Try again soon."
            raise refuse("PAYMENT_IN_PROGRESS", message)

    async def _awaited(self, attempt: Attempt, progress: Progress) -> Booking:
        """The booking with the attempt that its customer goes on with."""
        booking = found(await self._bookings.find(attempt.booking_id, None))
        if booking.status not in {"pending", "expired"}:
            # It was paid while this was asking.
            return await self._decided_now(attempt.booking_id)
        if progress.status != "pending":
            if await self._attempts.has_put_aside(booking.id, attempt.method):
                # Nothing is left for this one, since another click has put it aside meanwhile.
                return await self._decided_now(booking.id)
            raise refuse("PAYMENT_FAILED", reason=progress.error_code)
        payment = Payment(
            attempt.id,
            attempt.method,
            "pending",
            money(attempt.amount_minor, attempt.currency),
            client_secret=progress.client_secret,
            pay_until=booking.payment.pay_until,
            due=booking.payment.due,
        )
        return msgspec.structs.replace(booking, payment=payment)

    async def _decided_now(self, booking_id: UUID) -> Booking:
        return await self._decided(booking_id, found(await self._bookings.sale_of(booking_id)))

    async def _decided(self, booking_id: UUID, sale: SoldBooking) -> Booking:
        if sale.status == "pending":
            # An attempt ended, or another one was putting money aside.
            raise refuse("PAYMENT_IN_PROGRESS", "Another payment is under way. Try again.")
        if sale.status != "confirmed":
            raise refuse("BOOKING_ENDED")
        return found(await self._bookings.find(booking_id, None))

    def _method(self, name: str, *, at_counter: bool) -> PaymentMethod:
        if name == COUNTER and not at_counter:
            raise refuse("FORBIDDEN", "Only staff of the cinema can take money at the counter.")
        if name in {COUNTER_LATER, FREE, EXCHANGE, SERIES}:
            raise refuse("UNKNOWN_PAYMENT_METHOD", method=name)
        return self._attempts.methods.get(name)
