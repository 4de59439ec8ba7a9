"""Payments by Stripe: what is told is stored, and acted on after asking Stripe how it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID, uuid5

import msgspec
import structlog

from cinema.actors.messages import Accepted, NoShowtime, Outcome
from cinema.domain.rejections import Rejection, refuse
from cinema.features.ledger.methods import UNDER_WAY, Attempt, RefundOrder
from cinema.features.ledger.refund_rules import Undone
from cinema.features.ledger.service import AttemptsService
from cinema.features.ledger.store import AttemptsRepository, Payable
from cinema.features.payments.stripe_metrics import StripeCounts
from cinema.features.payments.stripe_rules import (
    ABOUT,
    CHARGE,
    DISPUTE,
    EVENT_LIMIT_BYTES,
    INTENT,
    MISMATCH,
    PAID,
    STRIPE,
    TOLERANCE_S,
    attempt_named,
    failed,
    mismatch,
    order_named,
    progress_of,
    series_named,
    told,
    went_back,
)
from cinema.features.payments.stripe_store import DisputeOf, StripeRepository, Task
from cinema.integrations.stripe.amounts import minor_amount
from cinema.integrations.stripe.client import StripeClient
from cinema.integrations.stripe.objects import Dispute, Intent, StripeRefund
from cinema.integrations.stripe.signatures import is_signed
from cinema.telemetry.logging import LogLimit

PAYMENT_OWED: Final = "payment_owed"
PAYMENT_DISPUTED: Final = "payment_disputed"
PAYMENT_DIFFERS: Final = "payment_differs"
WEBHOOK_REFUSED: Final = "stripe_webhook_refused"

CONFIRM_LEASE: Final = timedelta(seconds=150)
"""How long a payment belongs to whoever tells its showtime: longer than any command is under way.
So when somebody else tells it, the first command has been decided."""

LOOK_AFTER: Final = timedelta(minutes=2)
"""By then a webhook would have come."""

AGAIN: Final = timedelta(seconds=2)
"""After a showtime could not be asked."""

REASONS: Final = frozenset(
    {
        "SEAT_UNAVAILABLE",
        "SHOWTIME_CANCELLED",
        "SHOWTIME_STARTED",
        "HOLD_ENDED",
        "BOOKING_ENDED",
        "NOT_FOUND",
    }
)
"""Refusals of a payment that are final: its money goes back. Others are tried again."""

PAID_OTHERWISE: Final = "PAID_OTHERWISE"

OF_OTHERS: Final = "of_others"
"""What came of something that cinema has not made, or knows nothing of."""

RETURNS: Final = UUID("5d0f2f5e-3f0e-4f0c-9d0c-0c1b6a6f4b11")
"""The name space of refunds of payments that buy nothing, and of disputes that were lost."""

log = structlog.get_logger(__name__)


class CardOrders(Protocol):
    """Orders of gift cards, which are paid without a booking."""

    async def told(self, order_id: UUID, reference: str) -> str:
        """Stripe says something of the payment of an order: ask it; a word for what came of it."""

    async def undone(self, refund: Undone) -> bool:
        """A refund of an order has failed; False if it is none, or that was known."""

    async def disputed(self, order_id: UUID, status: str, lost_minor: int | None) -> bool:
        """A bank decides about the money of an order; False if there is none."""


class SeriesTold(Protocol):
    """Series, whose bookings are paid in one."""

    async def told(self, series_id: UUID, reference: str) -> str:
        """Stripe says something of the payment of a series; a word for what came of it."""


class StripePayments:
    """What follows from what Stripe says, whoever has heard of it.

    A payment that has succeeded becomes a task, which one process has at a time: it tells the
    showtime, and either the seats are booked, or the money is owed to the customer, never both.
    """

    def __init__(
        self,
        client: StripeClient,
        attempts: AttemptsService,
        rows: AttemptsRepository,
        tasks: StripeRepository,
        counts: StripeCounts,
        orders: CardOrders,
        *,
        secrets: Sequence[str],
        unix_s: Callable[[], float],
    ) -> None:
        self._client = client
        self._attempts = attempts
        self._rows = rows
        self._tasks = tasks
        self._counts = counts
        self._orders = orders
        self._secrets = secrets
        self._unix_s = unix_s
        self._limit = LogLimit()
        self._series: SeriesTold | None = None

    def tell_of_series(self, series: SeriesTold) -> None:
        """Whoever is told of payments of series: their feature comes after this one."""
        self._series = series

    def sign_by(self, secrets: Sequence[str]) -> None:
        """Accept webhooks that one of these secrets has signed from now on."""
        self._secrets = secrets

    async def take(self, body: bytes, signature: str) -> bool:
        """Store an event that Stripe tells, once; whether it is a new one that counts.

        Refuses PAYLOAD_TOO_LARGE, INVALID_SIGNATURE, MALFORMED_JSON and RETRY. Stripe tells it
        again until it is answered with success.
        """
        if len(body) > EVENT_LIMIT_BYTES:
            raise refuse("PAYLOAD_TOO_LARGE", limit_bytes=EVENT_LIMIT_BYTES)
        if not is_signed(
            body, signature, self._secrets, now_s=self._unix_s(), tolerance_s=TOLERANCE_S
        ):
            self._counts.event("refused")
            self._limit.write(log.warning, WEBHOOK_REFUSED, bytes=len(body))
            raise refuse("INVALID_SIGNATURE")
        event = told(body)
        if event.kind not in ABOUT:
            self._counts.event("not_needed")
            return False
        if event.account is not None or event.livemode != self._client.livemode:
            self._counts.event("of_others")
            return False
        detail = {"kind": event.kind, "object": event.object_id}
        is_new = await self._tasks.add("event", event.id, detail)
        self._counts.event("new" if is_new else "repeated")
        return is_new

    async def watch(self, attempt: Attempt) -> None:
        """Have an attempt looked at later, whether or not anybody tells of it.

        Called before Stripe is asked for its intent: no crash comes in between. Orders of gift
        cards and series are looked at by themselves. Refuses RETRY.
        """
        if attempt.buys != "booking":
            return
        due_at = attempt.created_at + LOOK_AFTER
        await self._tasks.add("look", str(attempt.id), {}, due_at)

    async def act(self, detail: Mapping[str, Any]) -> str:
        """What an event asks for; a word for what came of it.

        Raises `StripeUnavailable` and `StripeRefused`, and refuses RETRY.
        """
        name = str(detail["object"])
        match ABOUT[detail["kind"]]:
            case about if about == INTENT:
                return await self.sync(await self._client.intent(name))
            case about if about == CHARGE:
                intent_id = await self._client.charge_intent(name)
                return await self._refunds_changed(intent_id)
            case about if about == DISPUTE:
                return await self.dispute_told(await self._client.dispute(name))
            case _:
                return await self.refund_told(await self._client.refund(name))

    async def sync(self, intent: Intent) -> str:
        """What follows from an intent as it is now; a word for it. Refuses RETRY."""
        series_id = series_named(intent)
        if series_id is not None and self._series is not None:
            return await self._series.told(series_id, intent.id)
        attempt = await self.attempt_of(intent)
        if attempt is None:
            order_id = order_named(intent)
            return OF_OTHERS if order_id is None else await self._orders.told(order_id, intent.id)
        wrong = mismatch(intent, attempt, livemode=self._client.livemode)
        if wrong is not None:
            await self._differ(intent, attempt, wrong)
            return "differs"
        progress = progress_of(intent)
        if progress.status == "succeeded":
            return await self.paid(attempt)
        if attempt.status in UNDER_WAY:
            await self._rows.note(attempt.id, progress, self._now())
        return progress.status

    async def attempt_of(self, intent: Intent) -> Attempt | None:
        """The attempt of an intent, also if its id was not stored when it was made."""
        attempt = await self._rows.by_reference(STRIPE, intent.id)
        if attempt is not None:
            return attempt
        named = attempt_named(intent)
        attempt = None if named is None else await self._rows.find(named)
        if attempt is None or attempt.method != STRIPE or attempt.reference is not None:
            return None
        await self._tasks.name(attempt, intent.id)
        return msgspec.structs.replace(attempt, reference=intent.id)

    async def paid(self, attempt: Attempt) -> str:
        """The money of an attempt has come: have it settled, at once if nobody is at it."""
        if attempt.status in PAID or await self._tasks.is_owed(attempt.id):
            return "known"
        await self._tasks.add("settle", str(attempt.id), {})
        task = await self._tasks.claim_one("settle", str(attempt.id), CONFIRM_LEASE)
        return "waits" if task is None else await self.settle(task)

    async def settle(self, task: Task) -> str:
        """Tell the showtime of a payment: its seats are booked, or its money is owed."""
        attempt_id = UUID(task.name)
        attempt = await self._rows.find(attempt_id)
        if attempt is None or attempt.status in PAID:
            await self._tasks.end(task, "known")
            return "known"
        booking = await self._attempts.payable(attempt.booking_id)
        assert booking is not None, "attempts refer to bookings"
        outcome = await self._attempts.confirm(booking, attempt)
        if isinstance(outcome, Accepted):
            # The attempt's row was written with the event, unless another one had paid.
            after = await self._rows.find(attempt_id)
            if after is not None and after.status in PAID:
                await self._tasks.end(task, "booked")
                self._counts.task("settle", "booked")
                return "booked"
        reason = _reason(outcome)
        if reason is None or not await self._is_given_up(booking, attempt, outcome):
            await self._tasks.put_off(task, AGAIN, type(outcome).__name__)
            self._counts.task("settle", "put_off")
            return "waits"
        if await self._tasks.owe(task, reason, uuid5(RETURNS, str(attempt.id))):
            self._counts.task("settle", "owed")
            log.warning(
                PAYMENT_OWED,
                payment=str(attempt.id),
                booking=str(attempt.booking_id),
                reason=reason,
            )
        return "owed"

    async def give_back(self, attempt: Attempt, reason: str) -> None:
        """Ask for the refund of money that is owed, unless that was done. Refuses RETRY."""
        await self._attempts.give_back(attempt, uuid5(RETURNS, str(attempt.id)), reason)

    async def _is_given_up(self, booking: Payable, attempt: Attempt, outcome: Outcome) -> bool:
        """Whether nobody can book for this payment any more, also if the seats become free."""
        if isinstance(outcome, Accepted | NoShowtime):
            # Booked for another payment; or there is nothing to book.
            return True
        renounced = await self._attempts.renounce(booking, attempt)
        if isinstance(renounced, Accepted | NoShowtime):
            return True
        if not isinstance(renounced, Rejection):
            return False
        if renounced.code == "NOT_FOUND":
            return True
        # It is booked, or was: for this payment, which the next look finds, or for another one.
        after = await self._rows.find(attempt.id)
        is_booked = (renounced.details or {}).get("status") == "booked"
        return is_booked and after is not None and after.status not in PAID

    async def refund_told(self, refund: StripeRefund) -> str:
        """What follows from a refund as it is now; a word for it. Refuses RETRY.

        One that had succeeded may fail weeks later: then Stripe has the money again.
        """
        undone = failed(refund)
        if undone is not None and (
            await self._attempts.undo_refund(STRIPE, undone) or await self._orders.undone(undone)
        ):
            return "undone"
        return await self._refunds_changed(refund.intent_id)

    async def _paid_by(self, intent_id: str | None) -> Attempt | None:
        """The attempt of an intent that is only named."""
        if intent_id is None:
            return None
        known = await self._rows.by_reference(STRIPE, intent_id)
        return known or await self.attempt_of(await self._client.intent(intent_id))

    async def _refunds_changed(self, intent_id: str | None) -> str:
        """Refunds of a payment changed: whoever waits for one looks at it now."""
        attempt = await self._paid_by(intent_id)
        if attempt is None:
            return OF_OTHERS
        await self._attempts.hurry_refunds(attempt.id)
        return "noted"

    async def dispute_told(self, dispute: Dispute) -> str:
        """A bank takes a payment back, or has decided about it. Refuses RETRY.

        If it keeps the money, or a part of it, the booking is cancelled. What was not given back
        with that, or before, is written off, as far as the bank has taken it.
        """
        attempt = await self._paid_by(dispute.intent_id)
        if attempt is None:
            return await self._dispute_of_order(dispute)
        if dispute.is_lost:
            await self._call_off(attempt)
            away_minor = minor_amount(dispute.amount, dispute.currency)
            away_minor += await self._tasks.lost(attempt.id, but=dispute.id)
            if dispute.intent_id is not None:
                away_minor += went_back(await self._client.refunds_of(dispute.intent_id))
            refund_id = uuid5(RETURNS, dispute.id)
            await self._attempts.lose(attempt, away_minor, refund_id, dispute.id)
        opened_at = datetime.fromtimestamp(dispute.created_s, UTC)
        if not await self._tasks.note_dispute(dispute, attempt.id, attempt.booking_id, opened_at):
            return "known"
        if not dispute.is_open:
            await self._attempts.hurry_refunds(attempt.id)
        log.warning(
            PAYMENT_DISPUTED,
            payment=str(attempt.id),
            booking=str(attempt.booking_id),
            dispute=dispute.id,
            status=dispute.status,
        )
        return dispute.status

    async def _dispute_of_order(self, dispute: Dispute) -> str:
        """The same of an order of a gift card: its card is blocked, and free again if it is won."""
        intent = None if dispute.intent_id is None else await self._client.intent(dispute.intent_id)
        order_id = None if intent is None else order_named(intent)
        if order_id is None:
            return OF_OTHERS
        known = await self._tasks.dispute_of(order_id)
        if known is not None and known.id == dispute.id and not known.is_open:
            return "known"
        lost_minor = minor_amount(dispute.amount, dispute.currency) if dispute.is_lost else None
        status = "open" if dispute.is_open else dispute.status
        if not await self._orders.disputed(order_id, status, lost_minor):
            return OF_OTHERS
        opened_at = datetime.fromtimestamp(dispute.created_s, UTC)
        await self._tasks.note_dispute(dispute, order_id, order_id, opened_at)
        return dispute.status

    async def dispute_of(self, attempt: Attempt) -> DisputeOf | None:
        """The dispute about the payment of an attempt."""
        return await self._tasks.dispute_of(attempt.id)

    async def taken_for(
        self, attempt: Attempt, order: RefundOrder, refunds: Iterable[StripeRefund]
    ) -> int:
        """How much of a refund the customer has already, since a bank has taken it back.

        `refunds` are those of the payment at Stripe: what went back otherwise was taken too.
        """
        lost_minor = await self._tasks.lost(attempt.id)
        if not lost_minor:
            return 0
        before_minor = await self._tasks.given_before(attempt.id, order.id)
        used_minor = max(0, before_minor - went_back(refunds))
        return min(order.amount_minor, max(0, lost_minor - used_minor))

    async def _call_off(self, attempt: Attempt) -> None:
        """Cancel the booking whose money the bank has taken back. Refuses RETRY."""
        booking = await self._attempts.payable(attempt.booking_id)
        if booking is None or booking.payment_id != attempt.id:
            if attempt.series_id is None:
                return
            # It has paid other bookings of its series.
            booking = None
        exchanged = [
            await self._attempts.payable(one) for one in await self._rows.heirs(attempt.id)
        ]
        for one in (booking, *exchanged):
            if one is None:
                continue
            outcome = await self._attempts.call_off(one, attempt)
            if not isinstance(outcome, Accepted | NoShowtime | Rejection):
                raise refuse("RETRY", retry_after_s=1)

    async def _differ(self, intent: Intent, attempt: Attempt, field: str) -> None:
        """An intent is not what was asked for: nothing follows from it, people have to look."""
        ours = f"{attempt.amount_minor} {attempt.currency}"
        theirs = f"{intent.amount} {intent.currency} {intent.status}"
        day = datetime.fromtimestamp(intent.created_s, UTC).date()
        if await self._tasks.differ(
            f"mismatch_{field}", intent.id, day, attempt.id, ours=ours, theirs=theirs
        ):
            log.error(
                PAYMENT_DIFFERS,
                kind=MISMATCH,
                intent=intent.id,
                payment=str(attempt.id),
                field=field,
            )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._unix_s(), UTC)


def _reason(outcome: Outcome) -> str | None:
    """Why the money of a payment goes back; None if that is not certain."""
    if isinstance(outcome, Accepted):
        return PAID_OTHERWISE
    if isinstance(outcome, NoShowtime):
        return "NOT_FOUND"
    if isinstance(outcome, Rejection) and outcome.code in REASONS:
        return outcome.code
    return None
