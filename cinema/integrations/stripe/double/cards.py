"""The test cards of Stripe's documentation that matter here, and what each of them does."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from cinema.integrations.stripe.double.errors import ApiError, invalid

RefundWay = Literal["succeeds", "pending", "fails"]


class CardBehaviour(msgspec.Struct, frozen=True, kw_only=True):
    """What happens when somebody pays with it.

    `decline` is the code of a decline, after the authentication if it asks for one. A refund that
    `fails` succeeds first and fails later; one that is `pending` waits to be settled.
    """

    asks_3ds: bool = False
    decline: str | None = None
    disputed: bool = False
    refund: RefundWay = "succeeds"
    later: bool = False
    """No card but a debit: it is `processing` until it is settled."""


_GOOD: Final = CardBehaviour()

CARDS: Final[dict[str, CardBehaviour]] = {
    "4242424242424242": _GOOD,
    "4000056655665556": _GOOD,
    "5555555555554444": _GOOD,
    "4000000000000002": CardBehaviour(decline="generic_decline"),
    "4000000000009995": CardBehaviour(decline="insufficient_funds"),
    "4000000000009987": CardBehaviour(decline="lost_card"),
    "4000000000009979": CardBehaviour(decline="stolen_card"),
    "4000000000000069": CardBehaviour(decline="expired_card"),
    "4000000000000127": CardBehaviour(decline="incorrect_cvc"),
    "4000000000000119": CardBehaviour(decline="processing_error"),
    "4000002500003155": CardBehaviour(asks_3ds=True),
    "4000002760003184": CardBehaviour(asks_3ds=True),
    "4000000000003220": CardBehaviour(asks_3ds=True),
    "4000008260003178": CardBehaviour(asks_3ds=True, decline="insufficient_funds"),
    "4000008400001629": CardBehaviour(asks_3ds=True, decline="generic_decline"),
    "4000000000000259": CardBehaviour(disputed=True),
    "4000000000007726": CardBehaviour(refund="pending"),
    "4000000000005126": CardBehaviour(refund="fails"),
}
"""By number."""

METHODS: Final[dict[str, CardBehaviour]] = {
    "pm_card_visa": _GOOD,
    "pm_card_mastercard": _GOOD,
    "pm_card_visa_chargeDeclined": CARDS["4000000000000002"],
    "pm_card_chargeDeclined": CARDS["4000000000000002"],
    "pm_card_chargeDeclinedInsufficientFunds": CARDS["4000000000009995"],
    "pm_card_authenticationRequired": CARDS["4000002760003184"],
    "pm_card_threeDSecure2Required": CARDS["4000000000003220"],
    "pm_card_createDispute": CARDS["4000000000000259"],
    "pm_card_pendingRefund": CARDS["4000000000007726"],
    "pm_card_refundFail": CARDS["4000000000005126"],
    "pm_debit": CardBehaviour(later=True),
}
"""By the name of the ready-made payment method; `pm_debit` is the double's own."""

OWN_CODES: Final = frozenset({"expired_card", "incorrect_cvc", "processing_error"})
"""Declines that are a code themselves; all others are a `card_declined` with a `decline_code`."""

MESSAGES: Final = {
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
}


def card_of(method: str, number: str) -> CardBehaviour:
    """The card of a ready-made payment method, or of a number. Raises `ApiError`."""
    if number:
        card = CARDS.get(number.replace(" ", ""))
        if card is None:
            text = "Your card number is incorrect."
            raise ApiError(402, "card_error", text, code="incorrect_number", param="number")
        return card
    if method not in METHODS:
        text = f"No such PaymentMethod: '{method}'"
        raise invalid(text, code="resource_missing", param="payment_method")
    return METHODS[method]
