"""The double's account under random calls, against what Stripe documents of its states."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cinema.integrations.stripe.double.account import Account
from cinema.integrations.stripe.double.cards import METHODS
from cinema.integrations.stripe.double.errors import ApiError

NEXT = {
    "requires_payment_method": {"requires_action", "processing", "succeeded", "canceled"},
    "requires_action": {"requires_payment_method", "processing", "succeeded", "canceled"},
    "processing": {"succeeded", "requires_payment_method"},
    "succeeded": set(),
    "canceled": set(),
}
"""The arrows of "How intents work" between the states that automatic confirmation knows."""

TELLING = {
    "requires_action": "payment_intent.requires_action",
    "processing": "payment_intent.processing",
    "succeeded": "payment_intent.succeeded",
    "canceled": "payment_intent.canceled",
    "requires_payment_method": "payment_intent.payment_failed",
}

STEPS = st.one_of(
    st.tuples(st.just("confirm"), st.sampled_from(sorted(METHODS))),
    st.tuples(st.just("authenticate"), st.booleans()),
    st.tuples(st.just("settle"), st.booleans()),
    st.tuples(st.just("cancel"), st.none()),
    st.tuples(st.just("refund"), st.integers(1, 1500)),
    st.tuples(st.just("settle_refund"), st.booleans()),
    st.tuples(st.just("dispute"), st.none()),
    st.tuples(st.just("close"), st.sampled_from(["won", "lost"])),
)


def do(account: Account, intent_id: str, step: str, given: Any) -> None:
    match step:
        case "confirm":
            account.confirm_intent(intent_id, {"payment_method": given})
        case "authenticate":
            account.authenticate(intent_id, passed=given)
        case "settle":
            account.settle(intent_id, succeeded=given)
        case "cancel":
            account.cancel_intent(intent_id, {})
        case "refund":
            account.create_refund({"payment_intent": intent_id, "amount": str(given)})
        case "settle_refund":
            for name in list(account.refunds)[-1:]:
                account.settle_refund(name, succeeded=given)
        case "dispute":
            account.dispute(intent_id)
        case "close":
            for name in list(account.disputes)[-1:]:
                account.close_dispute(name, given)


@settings(max_examples=200, deadline=None)
@given(st.lists(STEPS, max_size=15))
def test_intents_move_along_the_documented_arrows_and_money_adds_up(
    steps: list[tuple[str, Any]],
) -> None:
    told: list[dict[str, Any]] = []
    account = Account(lambda: 1, told.append)
    intent_id = account.create_intent({"amount": "1250", "currency": "eur"})["id"]
    for step, value in steps:
        before = copy.deepcopy(account.intents[intent_id])
        told.clear()
        with suppress(ApiError):
            do(account, intent_id, step, value)
        after = account.intents[intent_id]
        kinds = [event["type"] for event in told]
        if after["status"] != before["status"]:
            assert after["status"] in NEXT[before["status"]]
            assert kinds.count(TELLING[after["status"]]) == 1
        charges = [one for one in account.charges.values() if one["paid"]]
        assert len(charges) == (after["status"] == "succeeded")
        assert after["amount_received"] == (1250 if charges else 0)
        live = [one for one in account.refunds.values() if one["status"] != "failed"]
        back = sum(one["amount"] for one in live)
        assert back <= after["amount_received"]
        assert all(one["amount_refunded"] == back for one in charges)
        assert all(
            one["amount_captured"] == 0 for one in account.charges.values() if not one["paid"]
        )
