"""The state of one Stripe account, and how its objects change: no I/O, and no clock of its own.

Objects are kept as the API shows them. Each change is told as an event with the object as it was
at that moment. Source: Stripe's documentation of payment intents ("How intents work"), refunds,
disputes, events and currencies.
"""

from __future__ import annotations

import copy
import secrets
from collections.abc import Callable
from typing import Any, Final, Literal

from cinema.domain.money import CURRENCY_DIGITS
from cinema.integrations.stripe.amounts import AMOUNT_LIMIT, least_amount
from cinema.integrations.stripe.double.cards import MESSAGES, OWN_CODES, CardBehaviour, card_of
from cinema.integrations.stripe.double.errors import ApiError, invalid, missing
from cinema.integrations.stripe.double.forms import metadata, only, whole

Object = dict[str, Any]

CANCELLABLE: Final = frozenset(
    {"requires_payment_method", "requires_capture", "requires_confirmation", "requires_action"}
)
REASONS_OF_CANCELLATION: Final = frozenset(
    {"duplicate", "fraudulent", "requested_by_customer", "abandoned"}
)
REASONS_OF_REFUND: Final = frozenset({"duplicate", "fraudulent", "requested_by_customer"})
DISPUTES_OPEN: Final = frozenset({"needs_response", "under_review"})
API_VERSION: Final = "2026-10-28.endive"


class Account:
    """Payment intents, charges, refunds, disputes and events of one account, in test mode.

    `now_s` is the time in whole seconds. `tell` gets each event as it happens.
    """

    def __init__(self, now_s: Callable[[], int], tell: Callable[[Object], None]) -> None:
        self._now_s = now_s
        self._tell = tell
        self.intents: dict[str, Object] = {}
        self.charges: dict[str, Object] = {}
        self.refunds: dict[str, Object] = {}
        self.disputes: dict[str, Object] = {}
        self.events: dict[str, Object] = {}
        self._cards: dict[str, CardBehaviour] = {}

    # Payment intents

    def create_intent(self, params: Object) -> Object:
        """`POST /v1/payment_intents`."""
        only(
            params,
            (
                "amount",
                "automatic_payment_methods",
                "confirm",
                "currency",
                "description",
                "metadata",
                "payment_method",
                "payment_method_types",
                "receipt_email",
                "statement_descriptor_suffix",
            ),
        )
        amount = whole(params, "amount")
        currency = _currency(params)
        _check_amount(amount, currency)
        intent_id = _id("pi")
        intent = {
            "id": intent_id,
            "object": "payment_intent",
            "amount": amount,
            "amount_capturable": 0,
            "amount_received": 0,
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "always"},
            "canceled_at": None,
            "cancellation_reason": None,
            "capture_method": "automatic",
            "client_secret": f"{intent_id}_secret_{secrets.token_hex(12)}",
            "confirmation_method": "automatic",
            "created": self._now_s(),
            "currency": currency,
            "customer": None,
            "description": params.get("description"),
            "last_payment_error": None,
            "latest_charge": None,
            "livemode": False,
            "metadata": metadata(params),
            "next_action": None,
            "payment_method": None,
            "payment_method_types": ["card"],
            "receipt_email": params.get("receipt_email"),
            "status": "requires_payment_method",
        }
        self.intents[intent_id] = intent
        self._happened("payment_intent.created", intent)
        if params.get("confirm") == "true":
            return self.confirm_intent(
                intent_id, {"payment_method": params.get("payment_method", "")}
            )
        return intent

    def intent(self, intent_id: str) -> Object:
        """`GET /v1/payment_intents/{id}`."""
        return _found(self.intents, intent_id, "payment_intent", "intent")

    def confirm_intent(self, intent_id: str, params: Object) -> Object:
        """`POST /v1/payment_intents/{id}/confirm`: a decline answers 402 and charges nothing."""
        only(params, ("client_secret", "payment_method", "payment_method_data", "return_url"))
        intent = self.intent(intent_id)
        if intent["status"] not in {"requires_payment_method", "requires_confirmation"}:
            raise _unexpected(intent, "confirm")
        card = card_of(params.get("payment_method", ""), _number(params))
        intent["payment_method"] = _id("pm")
        self._cards[intent_id] = card
        if card.asks_3ds:
            intent["status"] = "requires_action"
            intent["next_action"] = {
                "type": "use_stripe_sdk",
                "use_stripe_sdk": {"type": "three_d_secure_redirect"},
            }
            self._happened("payment_intent.requires_action", intent)
            return intent
        return self._authorised(intent, card)

    def authenticate(self, intent_id: str, *, passed: bool) -> Object:
        """What the customer did when asked by 3-D Secure."""
        intent = self.intent(intent_id)
        if intent["status"] != "requires_action":
            raise _unexpected(intent, "authenticate")
        intent["next_action"] = None
        if passed:
            return self._authorised(intent, self._cards[intent_id])
        return self._declined(
            intent,
            "payment_intent_authentication_failure",
            None,
            "The provided PaymentMethod has failed authentication.",
        )

    def settle(self, intent_id: str, *, succeeded: bool) -> Object:
        """A payment that was `processing` comes to its end."""
        intent = self.intent(intent_id)
        if intent["status"] != "processing":
            raise _unexpected(intent, "settle")
        if succeeded:
            return self._succeeded(intent, self._cards[intent_id])
        text = "The customer's bank could not settle the payment."
        return self._declined(intent, "payment_method_provider_decline", None, text)

    def cancel_intent(self, intent_id: str, params: Object) -> Object:
        """`POST /v1/payment_intents/{id}/cancel`: not once it is processing or has ended."""
        only(params, ("cancellation_reason",))
        reason = params.get("cancellation_reason")
        if reason is not None and reason not in REASONS_OF_CANCELLATION:
            raise invalid(f"Invalid cancellation_reason: {reason}", param="cancellation_reason")
        intent = self.intent(intent_id)
        if intent["status"] not in CANCELLABLE:
            raise _unexpected(intent, "cancel")
        intent["status"] = "canceled"
        intent["canceled_at"] = self._now_s()
        intent["cancellation_reason"] = reason
        intent["next_action"] = None
        self._happened("payment_intent.canceled", intent)
        return intent

    def _authorised(self, intent: Object, card: CardBehaviour) -> Object:
        """What the bank says to it."""
        if card.decline is not None:
            own = card.decline in OWN_CODES
            code = card.decline if own else "card_declined"
            text = MESSAGES.get(card.decline, "Your card was declined.")
            declined = self._declined(intent, code, None if own else card.decline, text)
            raise ApiError(402, **_thrown(declined))
        if card.later:
            intent["status"] = "processing"
            self._happened("payment_intent.processing", intent)
            return intent
        return self._succeeded(intent, card)

    def _declined(self, intent: Object, code: str, decline: str | None, text: str) -> Object:
        charge = self._new_charge(intent, "failed", code, text)
        intent["status"] = "requires_payment_method"
        intent["payment_method"] = None
        intent["last_payment_error"] = {
            "type": "card_error",
            "code": code,
            "message": text,
            "charge": charge["id"],
            **({} if decline is None else {"decline_code": decline}),
        }
        self._happened("charge.failed", charge)
        self._happened("payment_intent.payment_failed", intent)
        return intent

    def _succeeded(self, intent: Object, card: CardBehaviour) -> Object:
        charge = self._new_charge(intent, "succeeded")
        intent["status"] = "succeeded"
        intent["amount_received"] = intent["amount"]
        intent["last_payment_error"] = None
        self._happened("charge.succeeded", charge)
        self._happened("payment_intent.succeeded", intent)
        if card.disputed:
            self.dispute(intent["id"])
        return intent

    # Charges

    def charge(self, charge_id: str) -> Object:
        """`GET /v1/charges/{id}`."""
        return _found(self.charges, charge_id, "charge", "id")

    def _new_charge(
        self, intent: Object, status: str, code: str | None = None, text: str | None = None
    ) -> Object:
        charge_id = _id("ch")
        paid = status == "succeeded"
        charge = {
            "id": charge_id,
            "object": "charge",
            "amount": intent["amount"],
            "amount_captured": intent["amount"] if paid else 0,
            "amount_refunded": 0,
            "balance_transaction": _id("txn") if paid else None,
            "billing_details": {"address": None, "email": None, "name": None, "phone": None},
            "captured": paid,
            "created": self._now_s(),
            "currency": intent["currency"],
            "disputed": False,
            "failure_code": code,
            "failure_message": text,
            "livemode": False,
            "metadata": dict(intent["metadata"]),
            "paid": paid,
            "payment_intent": intent["id"],
            "payment_method": intent["payment_method"],
            "refunded": False,
            "status": status,
        }
        self.charges[charge_id] = charge
        intent["latest_charge"] = charge_id
        return charge

    def _charge_of(self, intent_id: str) -> Object:
        """The charge of an intent that has succeeded. Raises `ApiError`."""
        intent = self.intent(intent_id)
        if intent["status"] != "succeeded":
            text = "This PaymentIntent does not have a successful charge to refund."
            raise invalid(text, code="payment_intent_unexpected_state", param="payment_intent")
        return self.charges[intent["latest_charge"]]

    # Refunds

    def create_refund(self, params: Object) -> Object:
        """`POST /v1/refunds`: never more than is left of the charge, nor while it is disputed."""
        only(params, ("amount", "charge", "metadata", "payment_intent", "reason"))
        reason = params.get("reason")
        if reason is not None and reason not in REASONS_OF_REFUND:
            raise invalid(f"Invalid reason: {reason}", param="reason")
        if "payment_intent" in params:
            charge = self._charge_of(params["payment_intent"])
        elif "charge" in params:
            charge = self.charge(params["charge"])
        else:
            text = "One of the following params should be provided: payment_intent or charge."
            raise invalid(text, code="parameter_missing")
        left = charge["amount_captured"] - charge["amount_refunded"]
        if charge["disputed"] and (self._is_disputed(charge) or left <= self._lost(charge) > 0):
            text = f"Charge {charge['id']} has been charged back; cannot issue a refund."
            raise invalid(text, code="charge_disputed")
        left -= self._lost(charge)
        if not left:
            text = f"Charge {charge['id']} has already been refunded."
            raise invalid(text, code="charge_already_refunded")
        amount = whole(params, "amount", left)
        if not amount:
            raise invalid("Invalid positive integer", param="amount")
        if amount > left:
            text = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
            raise invalid(text, param="amount")
        _check_last_digit(amount, charge["currency"])
        card = self._cards[charge["payment_intent"]]
        refund_id = _id("re")
        refund = {
            "id": refund_id,
            "object": "refund",
            "amount": amount,
            "balance_transaction": _id("txn"),
            "charge": charge["id"],
            "created": self._now_s(),
            "currency": charge["currency"],
            "metadata": metadata(params),
            "payment_intent": charge["payment_intent"],
            "reason": reason,
            "status": "pending" if card.refund == "pending" else "succeeded",
        }
        self.refunds[refund_id] = refund
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
        self._happened("refund.created", refund)
        self._happened("charge.refunded", charge)
        return refund

    def refund(self, refund_id: str) -> Object:
        """`GET /v1/refunds/{id}`."""
        return _found(self.refunds, refund_id, "refund", "id")

    def settle_refund(self, refund_id: str, *, succeeded: bool) -> Object:
        """A refund comes to its end; one that had succeeded may still fail, days later."""
        refund = self.refund(refund_id)
        if refund["status"] in {"failed", "canceled"}:
            raise invalid("The refund has ended.", code="refund_unexpected_state")
        refund["status"] = "succeeded" if succeeded else "failed"
        if not succeeded:
            refund["failure_reason"] = "expired_or_canceled_card"
            charge = self.charges[refund["charge"]]
            charge["amount_refunded"] -= refund["amount"]
            charge["refunded"] = False
        self._happened("refund.updated", refund)
        self._happened("charge.refund.updated", refund)
        if not succeeded:
            self._happened("refund.failed", refund)
        return refund

    # Disputes

    def dispute(self, intent_id: str, amount: int | None = None) -> Object:
        """The customer's bank takes a payment back, or a part of it."""
        charge = self._charge_of(intent_id)
        dispute_id = _id("du")
        now_s = self._now_s()
        dispute = {
            "id": dispute_id,
            "object": "dispute",
            "amount": charge["amount"] - charge["amount_refunded"] if amount is None else amount,
            "balance_transactions": [],
            "charge": charge["id"],
            "created": now_s,
            "currency": charge["currency"],
            "enhanced_eligibility_types": [],
            "evidence": {},
            "evidence_details": {
                "due_by": now_s + 7 * 86_400,
                "enhanced_eligibility": {},
                "has_evidence": False,
                "past_due": False,
                "submission_count": 0,
            },
            "is_charge_refundable": False,
            "livemode": False,
            "metadata": {},
            "payment_intent": intent_id,
            "reason": "fraudulent",
            "status": "needs_response",
        }
        self.disputes[dispute_id] = dispute
        charge["disputed"] = True
        self._happened("charge.dispute.created", dispute)
        self._happened("charge.dispute.funds_withdrawn", dispute)
        return dispute

    def dispute_of(self, dispute_id: str) -> Object:
        """`GET /v1/disputes/{id}`."""
        return _found(self.disputes, dispute_id, "dispute", "dispute")

    def close_dispute(self, dispute_id: str, how: Literal["won", "lost"]) -> Object:
        """The bank decides."""
        dispute = self.dispute_of(dispute_id)
        if dispute["status"] not in DISPUTES_OPEN:
            raise invalid("This dispute is already closed", param="dispute")
        dispute["status"] = how
        if how == "won":
            self._happened("charge.dispute.funds_reinstated", dispute)
        self._happened("charge.dispute.closed", dispute)
        return dispute

    def _is_disputed(self, charge: Object) -> bool:
        """Whether a dispute about it is open."""
        return any(
            one["charge"] == charge["id"] and one["status"] in DISPUTES_OPEN
            for one in self.disputes.values()
        )

    def _lost(self, charge: Object) -> int:
        """What disputes about it have taken for good: the rest of it can be refunded."""
        return sum(
            one["amount"]
            for one in self.disputes.values()
            if one["charge"] == charge["id"] and one["status"] == "lost"
        )

    # Events

    def event(self, event_id: str) -> Object:
        """`GET /v1/events/{id}`."""
        return _found(self.events, event_id, "event", "id")

    def _happened(self, kind: str, about: Object) -> None:
        event_id = _id("evt")
        event = {
            "id": event_id,
            "object": "event",
            "api_version": API_VERSION,
            "created": self._now_s(),
            "data": {"object": copy.deepcopy(about)},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": kind,
        }
        self.events[event_id] = event
        self._tell(event)


def _id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


def _found(objects: dict[str, Object], name: str, kind: str, param: str) -> Object:
    if name not in objects:
        raise missing(kind, name, param)
    return objects[name]


def _currency(params: Object) -> str:
    currency = params.get("currency")
    if not isinstance(currency, str):
        raise invalid("Missing required param: currency.", code="parameter_missing")
    if currency.upper() not in CURRENCY_DIGITS:
        raise invalid(f"Invalid currency: {currency}", param="currency")
    return currency.lower()


def _check_amount(amount: int, currency: str) -> None:
    if amount < 1:
        text = "This value must be greater than or equal to 1."
        raise invalid(text, code="parameter_invalid_integer", param="amount")
    if amount < least_amount(currency.upper()):
        text = "Amount must convert to at least 50 cents."
        raise invalid(text, code="amount_too_small", param="amount")
    if amount > AMOUNT_LIMIT:
        text = "Amount must be no more than 99999999."
        raise invalid(text, code="amount_too_large", param="amount")
    _check_last_digit(amount, currency)


def _check_last_digit(amount: int, currency: str) -> None:
    """Currencies with three digits end in 0; ISK and UGX are taken in hundredths, all of them 0."""
    step = 10 if CURRENCY_DIGITS[currency.upper()] == 3 else 1
    if currency in {"isk", "ugx"}:
        step = 100
    if amount % step:
        text = f"Invalid amount. Amounts in {currency} must be evenly divisible by {step}."
        raise invalid(text, code="invalid_charge_amount", param="amount")


def _number(params: Object) -> str:
    """The number of a card, from `payment_method_data[card][number]`."""
    data = params.get("payment_method_data")
    card = data.get("card") if isinstance(data, dict) else None
    number = card.get("number") if isinstance(card, dict) else None
    return number if isinstance(number, str) else ""


def _unexpected(intent: Object, verb: str) -> ApiError:
    text = f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}."
    return invalid(
        text, code="payment_intent_unexpected_state", payment_intent=copy.deepcopy(intent)
    )


def _thrown(intent: Object) -> dict[str, Any]:
    """The error of a decline, from what the intent says about it."""
    error = dict(intent["last_payment_error"])
    return {
        "kind": error.pop("type"),
        **error,
        "payment_intent": copy.deepcopy(intent),
    }
