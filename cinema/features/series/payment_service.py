"""The money of series: points and a gift card pay first, and a provider is asked for the rest once.

A series is its own attempt to pay, by a method of the registry that knows no booking. What is put
aside are parts of its bookings, as of any. Whoever hears of the provider's money (the request, a
webhook, the job) says so to `look`, and what the provider answers decides.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused, refuse
from cinema.features.giftcards.service import GiftCardsService, check_currency
from cinema.features.ledger.cards import GIFT_CARD
from cinema.features.ledger.methods import FREE, Attempt, PaymentMethod, Progress
from cinema.features.ledger.parts import PART_METHODS, POINTS
from cinema.features.ledger.service import AttemptsService
from cinema.features.loyalty.service import LoyaltyService, no_points
from cinema.features.refusals import found
from cinema.features.series.end_service import SeriesEndings
from cinema.features.series.shapes import SeriesPayment
from cinema.features.series.store import KeptSeries, SeriesPart, SeriesRepository

SERIES_PAYMENT_RETURNED: Final = "series_payment_returned"

LOOK_AFTER: Final = timedelta(minutes=2)
"""By then a webhook would have come."""

LOOK_EVERY: Final = timedelta(minutes=1)

NOTHING_LEFT: Final = "PAID_OTHERWISE"

Choices = Sequence[tuple[str, Callable[[UUID], Awaitable[None]] | None]]
"""Methods that put money aside, in order, each with what chooses it for an attempt."""

log = structlog.get_logger(__name__)


class SeriesPayments:
    """Puts money aside for series, asks for the rest, and acts on what becomes of that."""

    def __init__(
        self,
        store: SeriesRepository,
        endings: SeriesEndings,
        attempts: AttemptsService,
        cards: GiftCardsService,
        loyalty: LoyaltyService,
        *,
        window: timedelta,
        grace: timedelta,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._endings = endings
        self._attempts = attempts
        self._cards = cards
        self._loyalty = loyalty
        self._window = window
        self._grace = grace
        self._now = now

    # --- before the decision

    async def parts_of(
        self, principal: Principal, payment: SeriesPayment, currency: str
    ) -> Choices:
        """What pays before the method does.

        Refuses FORBIDDEN, POINTS_UNUSABLE, RATE_LIMITED, UNKNOWN_GIFT_CARD, GIFT_CARD_UNUSABLE.
        """
        choices: dict[str, Callable[[UUID], Awaitable[None]] | None] = {}
        if payment.points or payment.method == POINTS:
            self._loyalty.check_customer(principal)
            if not await self._loyalty.has_points(principal, currency):
                raise no_points(currency)
            choices[POINTS] = None
        if payment.code is not None:
            known = await self._cards.usable(payment.code, principal.user_id)
            check_currency(known.card, currency)

            async def choose(attempt_id: UUID) -> None:
                await self._cards.choose(attempt_id, known.id)

            choices[GIFT_CARD] = choose
        return [(name, choices[name]) for name in PART_METHODS if name in choices]

    async def put_aside(self, kept: KeptSeries, choices: Choices) -> int:
        """Put money aside for one booking after the other; how much is left to be paid.

        Refuses RETRY, also if one of the bookings has ended meanwhile.
        """
        due_minor = 0
        paid: list[tuple[UUID, UUID, str]] = []
        for part in kept.parts:
            for name, choose in choices:
                if await self._put_aside(kept, part, name, choose):
                    break
            rest_minor = await self._attempts.rest(part.payment_id)
            if rest_minor is None:
                raise refuse("RETRY", "A booking of this series has ended.")
            due_minor += rest_minor
            if not rest_minor:
                enough = await self._attempts.enough(part.booking_id)
                named = (part.payment_id, FREE) if enough is None else (enough.id, enough.method)
                paid.append((part.booking_id, *named))
        if paid:
            await self._store.paid_by(kept.id, paid)
        return due_minor

    async def _put_aside(
        self,
        kept: KeptSeries,
        part: SeriesPart,
        name: str,
        choose: Callable[[UUID], Awaitable[None]] | None,
    ) -> bool:
        """Put money aside by one method; whether nothing of the booking is left to be paid."""
        booking = found(await self._attempts.payable(part.booking_id))
        method = self._attempts.methods.get(name)
        begun = await self._attempts.resume(booking, method, choose, kept.id)
        if begun is None:
            # It costs nothing.
            return True
        attempt, progress = begun
        if not progress.reserved:
            # All of it is used up by the bookings before this one.
            await self._attempts.end(attempt, "cancelled", NOTHING_LEFT)
        return progress.status == "succeeded"

    async def ask(self, kept: KeptSeries, due_minor: int) -> tuple[KeptSeries, Progress] | None:
        """Ask the provider for what is due; None if the series was called off in this moment.

        If the provider does not answer it can be asked again (`resume`).
        """
        now = self._now()
        until = kept.started_at + self._window
        if not await self._store.ask(kept.id, due_minor, until, now + LOOK_AFTER, now):
            return None
        return await self.resume(found(await self._store.find(kept.id)))

    # --- while money may come

    async def resume(self, kept: KeptSeries) -> tuple[KeptSeries, Progress]:
        """Go on with the payment of a series that waits for it. Refuses RETRY."""
        progress = await self._method(kept).start(attempt_of(kept))
        return await self._note(kept, progress), progress

    async def told(self, series_id: UUID, reference: str) -> str:
        """A provider says something of a series, which it calls so; a word for what came of it."""
        kept = await self._store.find(series_id)
        if kept is None or kept.due_minor is None:
            return "of_others"
        if kept.reference is None:
            await self._store.name(series_id, reference)
            kept = found(await self._store.find(series_id))
        if kept.look_at is None:
            return "known"
        return (await self._asked(kept)).state

    async def look(self, kept: KeptSeries) -> KeptSeries:
        """Ask how it stands; behind its time to pay the payment is stopped. Refuses RETRY.

        If it can neither be stopped nor has come, the seats are kept for a second bound. Should it
        come later, all of it goes back.
        """
        if kept.state in {"committed", "done"}:
            await self._store.looked(kept.id)
            return kept
        if kept.state == "pending" and self._now() < kept.commit_until:
            kept = await self._asked(kept)
        else:
            kept = await self._stopped_in_time(kept)
        await self._store.look_later(kept.id, self._now() + LOOK_EVERY)
        return kept

    async def _stopped_in_time(self, kept: KeptSeries) -> KeptSeries:
        is_over = self._now() >= kept.commit_until + self._grace
        try:
            kept = await self.stop(kept)
        except Refused:
            if not is_over:
                raise
        if kept.waits_for_money and is_over:
            await self._store.call_off(kept.id, self._now(), may_come=True)
            kept = found(await self._store.find(kept.id))
        return kept

    async def stop(self, kept: KeptSeries) -> KeptSeries:
        """Make certain that no money comes; the series as it is then. Refuses RETRY."""
        return await self._note(kept, await self._method(kept).cancel(attempt_of(kept)))

    async def abort_for(self, booking_id: UUID, now: datetime) -> str | None:
        """Call the series of a booking off, unless it is decided; its state from here on."""
        kept = await self._store.of_booking(booking_id)
        if kept is None or not kept.waits_for_money:
            state = await self._store.abort_for(booking_id, now)
            if state != "pending":
                return state
            # A provider was asked in this moment.
            kept = found(await self._store.of_booking(booking_id))
        return (await self.stop(kept)).state

    async def _asked(self, kept: KeptSeries) -> KeptSeries:
        method = self._method(kept)
        if kept.reference is None:
            # Whoever asked for it has died before the answer; the key is the same.
            return await self._note(kept, await method.start(attempt_of(kept)))
        return await self._note(kept, await method.status(attempt_of(kept)))

    async def _note(self, kept: KeptSeries, progress: Progress) -> KeptSeries:
        """What follows from what a provider says of a series."""
        if progress.reference is not None and kept.reference is None:
            await self._store.name(kept.id, progress.reference)
        if progress.status == "succeeded":
            return await self._came(kept, found(progress.reference))
        if progress.status != "pending":
            await self._store.call_off(kept.id, self._now(), may_come=False)
        return found(await self._store.find(kept.id))

    async def _came(self, kept: KeptSeries, reference: str) -> KeptSeries:
        """The money is here: it buys all of the series, or goes back as a whole."""
        state = await self._store.money_came(kept.id, reference, self._now())
        kept = found(await self._store.find(kept.id))
        if state == "aborted":
            await self._endings.give_all_back(kept)
            log.warning(SERIES_PAYMENT_RETURNED, series=str(kept.id))
        await self._store.looked(kept.id)
        if kept.state == "committed":
            with suppress(Refused):  # What does not answer now is booked by the job.
                return await self._endings.complete(kept)
        return found(await self._store.find(kept.id))

    def _method(self, kept: KeptSeries) -> PaymentMethod:
        return self._attempts.methods.get(kept.payment_method)


def attempt_of(kept: KeptSeries) -> Attempt:
    """A series as methods see it, which know it as an attempt to pay."""
    assert kept.due_minor is not None
    return Attempt(
        id=kept.id,
        booking_id=kept.id,
        method=kept.payment_method,
        status="pending",
        amount_minor=kept.due_minor,
        refunded_minor=0,
        currency=kept.currency,
        reference=kept.reference,
        created_at=kept.started_at,
        buys="series",
        series_id=kept.id,
    )
