"""What is looked at before a showtime is asked to do something with a booking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cinema.domain.pricing.tariffs import MEMBER
from cinema.domain.principal import GUEST, Principal
from cinema.domain.rejections import refuse
from cinema.features.accounts.shapes import email_key, tidy_email
from cinema.features.bookings.shapes import (
    PaymentInput,
)
from cinema.features.bookings.store import SoldBooking
from cinema.features.ledger.methods import COUNTER, COUNTER_LATER

EMAIL_NEEDED: Final = "A guest's booking needs an e-mail address: the link to it is sent there."


def check_undisputed(sale: SoldBooking) -> None:
    """Refuses PAYMENT_DISPUTED for a confirmed booking about whose payment a bank decides."""
    if sale.is_disputed and sale.status == "confirmed":
        raise refuse("PAYMENT_DISPUTED")


def check_unused(sale: SoldBooking, labels: Sequence[str] | None = None) -> None:
    """Refuses ALREADY_USED for seats (None for all) with whose tickets somebody was let in."""
    used = [seat for seat in sale.used_seats if labels is None or seat in labels]
    if used and not sale.is_called_off:
        raise refuse("ALREADY_USED", seats=used)


def check_tender(method: str, tender: str | None, reference: str, path: str) -> None:
    """Refuses VALIDATION_ERROR for what is said of a till where none is."""
    for name, value in (("tender", tender), ("reference", reference)):
        if value and method != COUNTER:
            text = "Only payments with the method `counter` have this."
            raise refuse("VALIDATION_ERROR", text, path=f"{path}.{name}")


def check_until(payment: PaymentInput, path: str) -> None:
    """Refuses VALIDATION_ERROR for a moment until which is to be paid what is paid at once."""
    if payment.pay_until is not None and payment.method != COUNTER_LATER:
        text = "Only reservations with the method `counter_later` have this."
        raise refuse("VALIDATION_ERROR", text, path=f"{path}.pay_until")


def check_members(principal: Principal, types: Sequence[str]) -> None:
    """Refuses TICKETS_NOT_ALLOWED for guests with tickets for members."""
    if principal.role == GUEST and MEMBER in types:
        text = "Tickets for members need an account: sign in, or choose other tickets."
        raise refuse("TICKETS_NOT_ALLOWED", text, reason="ACCOUNT", ticket_type=MEMBER)


def address_of_guest(email: str | None) -> tuple[str, str]:
    """The e-mail address of a guest, and its unique form. Refuses VALIDATION_ERROR."""
    unique = None if email is None else email_key(email)
    if email is None or unique is None:
        text = "This is not an e-mail address." if email else EMAIL_NEEDED
        raise refuse("VALIDATION_ERROR", text, path="$.email")
    return tidy_email(email), unique
