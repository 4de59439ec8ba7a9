"""The page on which a person pays an intent, where a shop would show Stripe's form."""

from __future__ import annotations

from html import escape
from string import Template
from typing import Any, Final

from cinema.domain.money import CURRENCY_DIGITS
from cinema.integrations.stripe.double.cards import CARDS

_PAGE: Final = Template("""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Pay $amount</title>
<meta name="viewport" content="width=device-width">
<style>body { font: 1rem sans-serif; max-width: 30rem; margin: 2rem auto; }
button { display: block; margin: .4rem 0; padding: .4rem .8rem; font: inherit; }</style>
<h1>Pay $amount</h1>
<p>This is a double of Stripe: no money moves.</p>
<p role="status">Status: <strong>$status</strong> $said</p>
<form method="post">
<input type="hidden" name="client_secret" value="$secret">
$steps
</form>
</html>
""")

_STEPS: Final = {
    "requires_action": (("passed", "I am who I say I am"), ("refused", "Refuse")),
    "processing": (("settled", "The bank settles it"), ("bounced", "The bank refuses it")),
    "succeeded": (("disputed", "Dispute it at the bank"),),
}


def page_of(intent: dict[str, Any], said: str) -> str:
    """The page for what the intent needs next."""
    status = intent["status"]
    if status == "requires_payment_method":
        steps = _cards()
    else:
        steps = "\n".join(_button(step, text) for step, text in _STEPS.get(status, ()))
    return _PAGE.substitute(
        amount=escape(_amount(intent)),
        status=escape(status),
        said=escape(said),
        secret=escape(intent["client_secret"]),
        steps=steps,
    )


def _cards() -> str:
    options = "".join(f"<option>{number}</option>" for number in CARDS)
    return (
        f'<label>Card <select name="number">{options}</select></label>'
        f"{_button('card', 'Pay')}{_button('debit', 'Pay by debit, which takes days')}"
    )


def _button(step: str, text: str) -> str:
    return f'<button name="step" value="{step}">{escape(text)}</button>'


def _amount(intent: dict[str, Any]) -> str:
    currency = intent["currency"].upper()
    digits = CURRENCY_DIGITS[currency]
    if currency in {"ISK", "UGX"}:
        digits = 2
    major, minor = divmod(intent["amount"], 10**digits)
    return f"{major}.{minor:0{digits}} {currency}" if digits else f"{major} {currency}"
