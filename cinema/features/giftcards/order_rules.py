"""What an order of a gift card may say, when it is given up, and what goes back: pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from cinema.domain.money import Money
from cinema.domain.rejections import refuse
from cinema.features.accounts.shapes import email_key, tidy_email
from cinema.features.giftcards.shapes import (
    DELIVERY_DAYS_MAX,
    ORDER_MINOR_MIN,
    CardOrderInput,
    Recipient,
)

OPEN_FOR: Final = timedelta(hours=1)
"""How long an order can be paid; then its payment is cancelled. It keeps nothing from anybody."""

LOOK_AFTER: Final = timedelta(minutes=2)
"""By then a webhook would have come."""

LOOK_EVERY: Final = timedelta(minutes=1)

REFUNDABLE_FOR: Final = timedelta(days=14)
"""So long buyers give an unused card back themselves, as the law asks of sales at a distance."""

TEXTS_KEPT: Final = timedelta(days=30)
"""How long the texts of an order stay once it is sent, or has come to nothing."""

FIRST_WAIT_S: Final = 2.0
LONGEST_WAIT_S: Final = 3600.0

DELIVERY_HOUR: Final = time(8)
"""When cards are sent that are for a day, by the clock of their cinema."""

_REFUNDS: Final = UUID("0d5e3a5f-2d2b-4a3f-9b54-6d1c3f0c2c17")
"""The name space of what the ledger says of refunds of orders."""


def wait_after(failures: int) -> timedelta:
    """How long to wait after this many failures, at least one."""
    return timedelta(seconds=min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(failures - 1, 20)))


def source_of_refund(order_id: UUID, again: int) -> UUID:
    """What the ledger calls a refund of an order, the `again`th time that it was asked for."""
    return uuid5(_REFUNDS, f"{order_id}:{again}")


def check_amount(amount: Money, currency: str, most_minor: int) -> None:
    """Refuses VALIDATION_ERROR for another currency than the cinema's, or too little or much."""
    if amount.currency != currency:
        text = f"This cinema's currency is {currency}."
        raise refuse("VALIDATION_ERROR", text, path="$.amount.currency")
    if not ORDER_MINOR_MIN <= amount.amount <= most_minor:
        least, most = Money(ORDER_MINOR_MIN, currency), Money(most_minor, currency)
        text = f"A gift card that is bought online is worth {least} to {most}."
        raise refuse("VALIDATION_ERROR", text, path="$.amount.amount")


def tidied(request: CardOrderInput) -> CardOrderInput:
    """An order with its texts as they are kept. Refuses VALIDATION_ERROR."""
    email = tidy_email(request.recipient.email)
    if email_key(email) is None:
        text = "This is not an e-mail address."
        raise refuse("VALIDATION_ERROR", text, path="$.recipient.email")
    message = request.message.replace("\r\n", "\n").strip()
    return CardOrderInput(
        cinema_id=request.cinema_id,
        amount=request.amount,
        payment=request.payment,
        recipient=Recipient(email=email, name=request.recipient.name.strip()),
        sender_name=request.sender_name.strip(),
        message=message,
        deliver_on=request.deliver_on,
    )


def deliver_at(day: date | None, zone: str, now: datetime) -> datetime:
    """When a card is sent: in the morning of a day at its cinema, or at once.

    Refuses VALIDATION_ERROR for a day that is over, or too far away.
    """
    if day is None:
        return now
    today = now.astimezone(ZoneInfo(zone)).date()
    if not today <= day <= today + timedelta(days=DELIVERY_DAYS_MAX):
        text = f"Choose today, or a day within the next {DELIVERY_DAYS_MAX}."
        raise refuse("VALIDATION_ERROR", text, path="$.deliver_on")
    at = datetime.combine(day, DELIVERY_HOUR, ZoneInfo(zone)).astimezone(UTC)
    return max(now, at)
