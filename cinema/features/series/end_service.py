"""Ends series that are decided: all of it is booked, or all of it is free again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from uuid import UUID, uuid5

import msgspec

from cinema.actors.asking import refusal_of
from cinema.actors.dispatch import Dispatch
from cinema.actors.messages import Accepted, NoShowtime, Outcome, Unavailable
from cinema.domain.idempotency import ANONYMOUS, idempotency_key
from cinema.domain.rejections import Rejection, refuse
from cinema.domain.showtime.commands import AbandonPayment, ConfirmPayment, ReleaseHold
from cinema.domain.showtime.payment_decisions import IS_BOOKED
from cinema.features.cashdesk.till_store import TillsRepository
from cinema.features.ledger.service import AttemptsService
from cinema.features.refusals import found, granted
from cinema.features.series.store import KeptSeries, SeriesPart, SeriesRepository

CONFIRMATION: Final = "confirmSeries"
ABANDONMENT: Final = "abandonSeries"

CALLED_OFF: Final = "BOOKING_ENDED"
"""Why money goes back that came for a series which was called off before."""

RETURNS: Final = UUID("1f0f8f5a-9a57-4a8e-8a53-7c4b3f6a0d25")
"""The name space of refunds of payments of series that buy nothing."""


class SeriesEndings:
    """Tells the showtimes what was decided; each step may be repeated, by whomever."""

    def __init__(
        self,
        dispatch: Dispatch,
        store: SeriesRepository,
        attempts: AttemptsService,
        tills: TillsRepository,
        *,
        next_id: Callable[[], bytes],
    ) -> None:
        self._dispatch = dispatch
        self._store = store
        self._attempts = attempts
        self._tills = tills
        self._next_id = next_id

    async def complete(self, kept: KeptSeries) -> KeptSeries:
        """Book all of it; the series from then on. Refuses RETRY.

        The part of a showtime that does not take place is not paid: what a provider has taken for
        it goes back, what was put aside does by itself, and a till has taken nothing.
        """
        if kept.due_minor is not None:
            await self._store.name_parts(kept)
        unpaid: list[tuple[SeriesPart, Outcome]] = []
        for part in kept.parts:
            outcome = await self._confirm(kept, part)
            if isinstance(outcome, Unavailable):
                return granted(refusal_of(outcome))
            if not isinstance(outcome, Accepted) and outcome != IS_BOOKED:
                unpaid.append((part, outcome))
        for part, outcome in unpaid:
            await self._tills.not_taken(part.payment_id)
            if kept.due_minor is not None:
                await self.give_back(kept, part, refusal_of(outcome).code)
        await self._store.done(kept.id, [part.booking_id for part, _ in unpaid])
        return found(await self._store.find(kept.id))

    async def _confirm(self, kept: KeptSeries, part: SeriesPart) -> Outcome:
        named = (kept.id.bytes, part.booking_id.bytes)
        key = idempotency_key(ANONYMOUS, CONFIRMATION, named, "")
        command = ConfirmPayment(
            command_id=key.digest,
            fingerprint=key.fingerprint,
            hold_id=part.hold_id.bytes,
            customer=kept.customer_id.bytes,
            booking_id=part.booking_id.bytes,
            code=part.code,
            payment_id=(part.paid_by or part.payment_id).bytes,
            payment_method=part.paid_by_method or kept.payment_method,
            seat_count=0,
        )
        return await self._dispatch.ask(part.showtime_id.bytes, command)

    async def give_all_back(self, kept: KeptSeries) -> None:
        """Money has come for a series that was called off: all of it goes back. Refuses RETRY.

        No showtime books for it: whoever aborts a series has never told any that it is paid. The
        first goes first, because refunds of the others are asked of its payment.
        """
        await self._store.name_parts(kept)
        for part in kept.parts:
            await self.give_back(kept, part, CALLED_OFF)

    async def give_back(self, kept: KeptSeries, part: SeriesPart, reason: str) -> None:
        """Have the money of one booking go back, once nothing can book it any more."""
        attempt = found(await self._attempts.find(part.payment_id))
        booking = found(await self._attempts.payable(part.booking_id))
        if kept.state == "committed":
            renounced = await self._attempts.renounce(booking, attempt)
            is_sure = isinstance(renounced, Accepted | NoShowtime) or (
                isinstance(renounced, Rejection) and renounced.code == "NOT_FOUND"
            )
            if not is_sure:
                raise refuse("RETRY", retry_after_s=1)
        if attempt.amount_minor:
            paid = msgspec.structs.replace(attempt, method=kept.payment_method)
            await self._attempts.give_back(paid, uuid5(RETURNS, str(attempt.id)), reason)

    async def abandon(self, kept: KeptSeries) -> None:
        """Free the seats of all showtimes that wait or hold them; the till has taken nothing.

        What is put aside goes back with the end of each booking. What is not free now the row
        says, and a job frees it.
        """
        is_free = True
        for part in kept.parts:
            await self._tills.not_taken(part.payment_id)
            is_free &= await self._abandon_part(kept, part)
        if is_free:
            await self._store.freed(kept.id)

    async def _abandon_part(self, kept: KeptSeries, part: SeriesPart) -> bool:
        """Free the seats of one showtime; False if they may still be held."""
        named = (kept.id.bytes, part.booking_id.bytes)
        key = idempotency_key(ANONYMOUS, ABANDONMENT, named, "")
        command = AbandonPayment(
            command_id=key.digest,
            hold_id=part.hold_id.bytes,
            customer=kept.customer_id.bytes,
            booking_id=part.booking_id.bytes,
            expired=False,
        )
        outcome = await self._dispatch.ask(part.showtime_id.bytes, command)
        if not isinstance(outcome, Accepted | Unavailable):
            # It does not wait: it may still be a hold.
            outcome = await self.release(
                part.showtime_id.bytes, part.hold_id.bytes, kept.customer_id.bytes
            )
        if isinstance(outcome, Rejection):
            # It began to wait in between.
            return outcome.code != "PAYMENT_IN_PROGRESS"
        return not isinstance(outcome, Unavailable)

    async def release(self, showtime_id: bytes, hold_id: bytes, customer: bytes) -> Outcome:
        """Release a hold that no booking waits for."""
        command = ReleaseHold(command_id=self._next_id(), hold_id=hold_id, customer=customer)
        return await self._dispatch.ask(showtime_id, command)
