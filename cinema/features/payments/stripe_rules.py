"""What Stripe says, and what follows from it for an attempt to pay. Pure.

Statuses come from "How intents work" in Stripe's documentation. An answer counts, an event does
not: events only say what to ask for, so neither their order nor their number matters.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.rejections import refuse
from cinema.features.ledger.methods import Attempt, Progress, RefundOrder, RefundProgress
from cinema.features.ledger.refund_rules import Undone
from cinema.integrations.stripe.amounts import NotPayable, minor_amount, stripe_amount
from cinema.integrations.stripe.objects import (
    AGAIN,
    BOOKING,
    GIFT_CARD_ORDER,
    PAYMENT,
    REFUND,
    SERIES,
    Intent,
    StripeRefund,
)

STRIPE: Final = "stripe"
"""The name of the method."""

PAID: Final = frozenset({"succeeded", "refunded", "partially_refunded"})
"""Attempts whose money has been dealt with."""

INTENT: Final = "intent"
CHARGE: Final = "charge"
REFUNDED: Final = "refund"
DISPUTE: Final = "dispute"

ABOUT: Final = {
    "payment_intent.succeeded": INTENT,
    "payment_intent.processing": INTENT,
    "payment_intent.payment_failed": INTENT,
    "payment_intent.canceled": INTENT,
    "payment_intent.requires_action": INTENT,
    "charge.refunded": CHARGE,
    "refund.created": REFUNDED,
    "refund.updated": REFUNDED,
    "refund.failed": REFUNDED,
    "charge.dispute.created": DISPUTE,
    "charge.dispute.closed": DISPUTE,
}
"""The events that count, and what their objects are; Stripe may send others too."""

MISMATCH: Final = "PAYMENT_MISMATCH"
"""The code of an attempt whose intent is not what was asked for; people have to look at it."""

AMOUNT_NOT_PAYABLE: Final = "AMOUNT_NOT_PAYABLE"

TOLERANCE_S: Final = 300
"""How old a signature may be."""

EVENT_LIMIT_BYTES: Final = 256 << 10

_NAME_CHARS: Final = 255


class StripeNotice(msgspec.Struct, frozen=True, kw_only=True):
    """An event, as far as it counts."""

    id: str
    kind: str
    object_id: str
    livemode: bool
    account: str | None


class _Object(msgspec.Struct):
    id: str


class _Data(msgspec.Struct):
    object: _Object


class _StripeEvent(msgspec.Struct):
    id: str
    type: str
    data: _Data
    livemode: bool = False
    account: str | None = None


_EVENTS: Final = msgspec.json.Decoder(_StripeEvent)


def told(body: bytes) -> StripeNotice:
    """The event in a body whose signature was checked. Refuses MALFORMED_JSON."""
    try:
        event = _EVENTS.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise refuse("MALFORMED_JSON", "This is not an event of Stripe.") from None
    names = (event.id, event.type, event.data.object.id)
    if not all(0 < len(name) <= _NAME_CHARS for name in names):
        raise refuse("MALFORMED_JSON", "This is not an event of Stripe.")
    return StripeNotice(
        id=event.id,
        kind=event.type,
        object_id=event.data.object.id,
        livemode=event.livemode,
        account=event.account,
    )


def key_of(attempt: Attempt) -> str:
    """The idempotency key of an attempt's intent: booking and attempt, whoever asks."""
    if attempt.buys == "gift_card":
        return f"cinema-gift-card:{attempt.id}"
    if attempt.buys == "series":
        return f"cinema-series:{attempt.id}"
    return f"cinema:{attempt.booking_id}:{attempt.id}"


def key_of_refund(order: RefundOrder, taken_minor: int = 0) -> str:
    """The idempotency key of a refund; a new one once staff have asked again.

    So has what is left of it where a bank has taken a part back.
    """
    again = f":{order.again}" if order.again else ""
    part = f":without:{taken_minor}" if taken_minor else ""
    return f"cinema-refund:{order.id}{again}{part}"


def went_back(refunds: Iterable[StripeRefund]) -> int:
    """What Stripe has given back by refunds, or will have; in minor units."""
    return sum(
        minor_amount(one.amount, one.currency)
        for one in refunds
        if one.status not in {"failed", "canceled"}
    )


def metadata_of(attempt: Attempt) -> dict[str, str]:
    """What an intent says of where it comes from."""
    if attempt.buys == "gift_card":
        return {GIFT_CARD_ORDER: str(attempt.id)}
    if attempt.buys == "series":
        return {SERIES: str(attempt.id)}
    return {BOOKING: str(attempt.booking_id), PAYMENT: str(attempt.id)}


def metadata_of_refund(attempt: Attempt, order: RefundOrder) -> dict[str, str]:
    """What a refund says of where it comes from."""
    again = {AGAIN: str(order.again)} if order.again else {}
    about = GIFT_CARD_ORDER if attempt.buys == "gift_card" else BOOKING
    return {about: str(order.booking_id), REFUND: str(order.id), **again}


def is_of(refund: StripeRefund, order: RefundOrder) -> bool:
    """Whether this is the refund that an order asks for.

    One that has failed is not, once staff have asked again.
    """
    if refund.metadata.get(REFUND) != str(order.id):
        return False
    again = refund.metadata.get(AGAIN, "0") == str(order.again)
    return again or refund_progress(refund).status != "failed"


def failed(refund: StripeRefund) -> Undone | None:
    """What follows from a refund that has failed; None if it has not, or is not ours."""
    progress = refund_progress(refund)
    again = refund.metadata.get(AGAIN, "0")
    if progress.status != "failed" or not again.isdecimal():
        return None
    try:
        refund_id = UUID(refund.metadata.get(REFUND, ""))
    except ValueError:
        return None
    return Undone(
        id=refund_id, again=int(again), reference=refund.id, error_code=progress.error_code
    )


def attempt_named(intent: Intent) -> UUID | None:
    """The attempt to pay a booking that an intent was made for, if cinema has made it."""
    return _named(intent, PAYMENT)


def order_named(intent: Intent) -> UUID | None:
    """The order of a gift card that an intent was made for, if cinema has made it."""
    return _named(intent, GIFT_CARD_ORDER)


def series_named(intent: Intent) -> UUID | None:
    """The series that an intent was made for, if cinema has made it."""
    return _named(intent, SERIES)


def is_for(intent: Intent, attempt: Attempt) -> bool:
    """Whether an intent was made for this attempt."""
    if attempt.series_id is not None:
        return series_named(intent) == attempt.series_id
    is_order = attempt.buys == "gift_card"
    return (order_named(intent) if is_order else attempt_named(intent)) == attempt.id


def _named(intent: Intent, key: str) -> UUID | None:
    try:
        return UUID(intent.metadata.get(key, ""))
    except ValueError:
        return None


def mismatch(intent: Intent, attempt: Attempt, *, livemode: bool) -> str | None:
    """What of an intent is not as it was asked for; None if it pays for this attempt."""
    try:
        asked_minor = attempt.amount_minor if attempt.asked_minor is None else attempt.asked_minor
        amount = stripe_amount(asked_minor, attempt.currency)
    except NotPayable:
        return "amount"
    wrong = {
        "attempt": not is_for(intent, attempt),
        "booking": attempt.buys == "booking"
        and attempt.series_id is None
        and intent.metadata.get(BOOKING) != str(attempt.booking_id),
        "amount": intent.amount != amount
        or (intent.status == "succeeded" and intent.amount_received != amount),
        "currency": intent.currency != attempt.currency,
        "livemode": intent.livemode != livemode,
    }
    return next((name for name, is_wrong in wrong.items() if is_wrong), None)


def progress_of(intent: Intent) -> Progress:
    """How it stands with the attempt of an intent that matches it.

    After a decline the customer may try another card, so the attempt goes on.
    """
    match intent.status:
        case "succeeded":
            return Progress(status="succeeded", reference=intent.id)
        case "canceled":
            return Progress(status="cancelled", reference=intent.id)
        case _:
            return Progress(
                status="pending",
                reference=intent.id,
                client_secret=intent.client_secret or None,
                error_code=intent.error_code,
            )


def refund_progress(refund: StripeRefund) -> RefundProgress:
    """How it stands with a refund."""
    match refund.status:
        case "succeeded":
            return RefundProgress(status="succeeded", reference=refund.id)
        case "failed" | "canceled":
            reason = refund.failure_reason or refund.status
            return RefundProgress(status="failed", reference=refund.id, error_code=reason)
        case _:
            return RefundProgress(status="pending", reference=refund.id)
