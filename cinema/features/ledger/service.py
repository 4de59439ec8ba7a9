"""Attempts to pay: begin one, stop those of a booking, confirm what was paid; read the ledger."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import structlog

from cinema.actors.asking import refusal_of
from cinema.actors.dispatch import Dispatch
from cinema.actors.messages import Accepted, Outcome, Unavailable
from cinema.domain.idempotency import ANONYMOUS, idempotency_key
from cinema.domain.principal import Principal
from cinema.domain.rejections import Rejection, refuse
from cinema.domain.showtime.commands import (
    IN_TIME_ONLY,
    CancelBooking,
    ConfirmPayment,
    ReturnPayment,
)
from cinema.domain.showtime.events import HoldBooked
from cinema.domain.times import from_us
from cinema.features.accounts.authority import serves
from cinema.features.ledger.methods import (
    UNDER_WAY,
    Attempt,
    MethodRegistry,
    PaymentMethod,
    Progress,
)
from cinema.features.ledger.metrics import RefundCounts
from cinema.features.ledger.parts import PART_METHODS
from cinema.features.ledger.refund_rules import Undone
from cinema.features.ledger.refund_store import RefundsRepository
from cinema.features.ledger.rules import EXCHANGE, SERIES, account_of
from cinema.features.ledger.shapes import LedgerTransaction
from cinema.features.ledger.store import AttemptsRepository, LedgerRepository, Payable
from cinema.features.refusals import found

CONFIRMATION: Final = "confirmPayment"
RETURN: Final = "returnPayment"
CALL_OFF: Final = "cancelDisputedBooking"

REFUND_UNDONE: Final = "refund_undone"

log = structlog.get_logger(__name__)

LATE: Final = Rejection(
    code="BOOKING_ENDED",
    message="Its time to pay is over, and what was paid goes back. Hold seats again.",
)
"""A payment with what was put aside has come after the end of its hold."""

PUT_ASIDE: Final = Progress(status="succeeded", reserved=True)
"""All of the money is here, and the showtime has not heard of it."""

Stopped = Literal["stopped", "paid", "under_way"]


class AttemptsService:
    """Attempts to pay, for the features that sell and that hear of payments."""

    def __init__(
        self,
        dispatch: Dispatch,
        attempts: AttemptsRepository,
        refunds: RefundsRepository,
        methods: MethodRegistry,
        counts: RefundCounts,
        *,
        next_id: Callable[[], bytes],
    ) -> None:
        self._dispatch = dispatch
        self._attempts = attempts
        self._refunds = refunds
        self._counts = counts
        self._next_id = next_id
        self.methods = methods

    async def begin(self, attempt_id: UUID) -> Progress | None:
        """Ask for the money of an attempt, or resume it; None if it is not under way.

        Refuses RETRY; the attempt can be resumed.
        """
        attempt = await self._attempts.find(attempt_id)
        if attempt is None or attempt.status not in UNDER_WAY:
            return None
        return await self._start(self.methods.get(attempt.method), attempt)

    async def resume(
        self,
        booking: Payable,
        method: PaymentMethod,
        prepare: Callable[[UUID], Awaitable[None]] | None = None,
        series_id: UUID | None = None,
    ) -> tuple[Attempt, Progress] | None:
        """The attempt of a pending booking by this method, or one that it settles, or a new one.

        `prepare` is told its id before it starts. If nothing is left to pay, it is the attempt that
        has put the last of it aside. None if one ended while this was looking. Bookings of a series
        that is being decided are paid only by whoever decides it.
        """
        names = [method.name, *sorted(method.settles)]
        attempt = await self._attempts.under_way_by(booking.id, names)
        if attempt is None:
            attempt = await self._attempts.add(
                *(UUID(bytes=self._next_id()), booking.id, method.name, self._now(), series_id)
            ) or await self._attempts.under_way_by(booking.id, names)
        if attempt is None:
            enough = await self._attempts.enough(booking.id)
            return None if enough is None else (enough, PUT_ASIDE)
        if attempt.method != method.name:
            return attempt, Progress(status="succeeded")
        if prepare is not None:
            await prepare(attempt.id)
        progress = await self._start(method, attempt)
        if progress.reserved:
            # What is put aside may be less than was wanted.
            attempt = found(await self._attempts.find(attempt.id))
        return attempt, progress

    async def rest(self, attempt_id: UUID) -> int | None:
        """Have an attempt pay what is not put aside for its booking; how much that is.

        None if it is not under way any more.
        """
        return await self._attempts.rest(attempt_id, self._now())

    async def enough(self, booking_id: UUID) -> Attempt | None:
        """The attempt which, with what else is put aside, pays all of a pending booking."""
        return await self._attempts.enough(booking_id)

    async def has_put_aside(self, booking_id: UUID, method: str) -> bool:
        """Whether an attempt by this method that is under way has put money aside."""
        attempts = await self._attempts.under_way(booking_id)
        return any(one.reserved for one in attempts if one.method == method)

    async def payable(self, booking_id: UUID) -> Payable | None:
        """What confirming needs of a booking."""
        return await self._attempts.payable(booking_id)

    async def stop(self, booking_id: UUID) -> Stopped:
        """Make certain that no money comes for a pending booking.

        `paid`: money had come, and was told to the showtime. `under_way`: it may still come, so
        nothing may be concluded. Refuses RETRY with the same meaning.
        """
        for attempt in await self._attempts.under_way(booking_id):
            stopped = await self._stop(attempt)
            if stopped != "stopped":
                return stopped
        return "stopped"

    async def make_way(self, booking_id: UUID, method: str) -> Stopped:
        """Stop the attempts that want all of the money, before this method puts a part aside.

        The answers are those of `stop`. Nobody loses what is put aside already.
        """
        for attempt in await self._attempts.under_way(booking_id):
            if attempt.reserved or attempt.method == method:
                continue
            if attempt.method in {EXCHANGE, SERIES}:
                # That is no payment to be replaced: a row decides, and calling it off ends more.
                return "under_way"
            if attempt.method in PART_METHODS:
                # Whoever began it has not gone on, or puts money aside in this moment.
                await self._attempts.give_way(attempt.id, "PAID_OTHERWISE", self._now())
                continue
            stopped = await self._stop(attempt)
            if stopped != "stopped":
                return stopped
            await self.end(attempt, "cancelled", "PAID_OTHERWISE")
        return "stopped"

    async def _stop(self, attempt: Attempt) -> Stopped:
        method = self.methods.find(attempt.method)
        if method is None:
            # Its provider is not set up any more. The hold has a second bound, at which the seats
            # are freed whatever comes.
            return "under_way"
        progress = await method.cancel(attempt)
        if progress.status == "pending":
            return "under_way"
        if progress.status == "succeeded":
            await self.settle(attempt)
            return "paid"
        return "stopped"

    async def settle(self, attempt: Attempt) -> Outcome:
        """A provider has the money of an attempt: book its seats, or give all of it back.

        It may be told more than once, and late. Before money goes back, the showtime forgets the
        booking: another telling of the payment might find the seats free, and book them.
        """
        booking = found(await self._attempts.payable(attempt.booking_id))
        if attempt.status in {"refunded", "partially_refunded", "succeeded"}:
            # Decided before. Money that goes back is not asked about again: it buys no seats.
            return Rejection(code="BOOKING_ENDED")
        outcome = await self.confirm(booking, attempt)
        if isinstance(outcome, Unavailable):
            return outcome
        reason = "PAID_OTHERWISE"
        if isinstance(outcome, Accepted):
            event = outcome.event
            if isinstance(event, HoldBooked) and event.payment_id == attempt.id.bytes:
                return outcome
        else:
            reason = refusal_of(outcome).code
        forgotten = await self.renounce(booking, attempt)
        if isinstance(forgotten, Unavailable):
            return forgotten
        fresh = found(await self._attempts.payable(attempt.booking_id))
        if not fresh.was_paid_by(attempt.id):
            await self.give_back(attempt, UUID(bytes=self._next_id()), reason)
        return outcome

    async def give_back(self, attempt: Attempt, refund_id: UUID, reason: str) -> None:
        """Have all money of an attempt go back that has bought nothing; once, whoever asks."""
        account = account_of(attempt.method)
        await self._refunds.unwanted(
            attempt.id, refund_id, reason, attempt.method, account, self._now()
        )

    async def undo_refund(self, method: str, refund: Undone) -> bool:
        """A provider says that a refund has failed, maybe long after it had succeeded.

        The money is ours again, and staff have to see to it. False if that was known.
        """
        former = await self._refunds.undo(refund, account_of(method), self._now())
        if former is None:
            return False
        self._counts.undone += former == "succeeded"
        log.warning(REFUND_UNDONE, refund=str(refund.id), former=former, reason=refund.error_code)
        return True

    async def hurry_refunds(self, attempt_id: UUID) -> None:
        """A provider has news of refunds of an attempt: those that wait for it are asked about."""
        await self._refunds.hurry(attempt_id, self._now())

    async def find(self, attempt_id: UUID) -> Attempt | None:
        """The attempt of an id."""
        return await self._attempts.find(attempt_id)

    async def confirm(
        self, booking: Payable, attempt: Attempt, method: str | None = None
    ) -> Outcome:
        """Tell the showtime that an attempt has succeeded; it may be told more than once."""
        # One key for each attempt: whoever tells of it, and however often, it counts once.
        key = idempotency_key(ANONYMOUS, CONFIRMATION, (attempt.id.bytes,), "")
        command = ConfirmPayment(
            command_id=key.digest,
            fingerprint=key.fingerprint,
            hold_id=booking.hold_id.bytes,
            customer=booking.user_id.bytes,
            booking_id=booking.id.bytes,
            code=booking.code,
            payment_id=attempt.id.bytes,
            payment_method=method or attempt.method,
            seat_count=IN_TIME_ONLY if attempt.pays_in_time else booking.seat_count,
        )
        outcome = await self._dispatch.ask(booking.showtime_id.bytes, command)
        if attempt.pays_in_time and isinstance(outcome, Rejection):
            # Nobody else may have the seats: they were not even looked at.
            return LATE if outcome.code == "SEAT_UNAVAILABLE" else outcome
        return outcome

    async def confirm_reserved(self, booking_id: UUID, attempt_id: UUID) -> Outcome:
        """Tell the showtime that all of the money is put aside here; see `confirm`.

        After a refusal the attempt has failed, and its money goes back.
        """
        booking = found(await self._attempts.payable(booking_id))
        attempt = found(await self._attempts.find(attempt_id))
        outcome = await self.confirm(booking, attempt)
        if isinstance(outcome, Rejection):
            await self.end(attempt, "failed", outcome.code)
        return outcome

    async def renounce(self, booking: Payable, attempt: Attempt) -> Outcome:
        """Have the showtime never book for this payment, before its money goes back.

        NOT_FOUND says that the showtime does not remember the booking any longer: then it can as
        little be booked. Another refusal says that it is booked, or was.
        """
        key = idempotency_key(ANONYMOUS, RETURN, (attempt.id.bytes,), "")
        command = ReturnPayment(
            command_id=key.digest,
            fingerprint=key.fingerprint,
            hold_id=booking.hold_id.bytes,
            customer=booking.user_id.bytes,
            booking_id=booking.id.bytes,
        )
        return await self._dispatch.ask(booking.showtime_id.bytes, command)

    async def call_off(self, booking: Payable, attempt: Attempt) -> Outcome:
        """Cancel a booking whose payment was taken back by the customer's bank."""
        # The booking may have been exchanged since, more than once.
        moved = () if booking.id == attempt.booking_id else (booking.id.bytes,)
        key = idempotency_key(ANONYMOUS, CALL_OFF, (attempt.id.bytes, *moved), "")
        command = CancelBooking(
            command_id=key.digest,
            fingerprint=key.fingerprint,
            booking_id=booking.id.bytes,
            customer=None,
        )
        return await self._dispatch.ask(booking.showtime_id.bytes, command)

    async def lose(self, attempt: Attempt, away_minor: int, refund_id: UUID, why: str) -> None:
        """A bank has taken money of an attempt back: so much in all is away from its provider.

        What no booking has given back of that is written off. `why` is what its provider calls it.
        """
        await self._refunds.lose(attempt.id, away_minor, refund_id, why, self._now())

    async def end(
        self, attempt: Attempt, status: Literal["failed", "cancelled"], reason: str
    ) -> None:
        """No money came by an attempt, or whoever had it has kept it."""
        progress = Progress(status=status, error_code=reason)
        await self._attempts.note(attempt.id, progress, self._now())

    async def _start(self, method: PaymentMethod, attempt: Attempt) -> Progress:
        progress = await method.start(attempt)
        news = progress.reference not in {None, attempt.reference}
        if progress.status != "succeeded" and (news or progress.status != attempt.status):
            await self._attempts.note(attempt.id, progress, self._now())
        return progress

    def _now(self) -> datetime:
        return from_us(self._dispatch.clock.now_us())


class LedgerService:
    """The ledger, for staff."""

    def __init__(self, ledger: LedgerRepository) -> None:
        self._ledger = ledger

    async def of_booking(self, by: Principal, booking_id: UUID) -> list[LedgerTransaction]:
        """The transactions of a booking. Refuses NOT_FOUND, also to staff of other cinemas."""
        (cinema_id,) = found(await self._ledger.cinema_of(booking_id))
        if not serves(by, cinema_id):
            raise refuse("NOT_FOUND")
        return await self._ledger.of_booking(booking_id)
