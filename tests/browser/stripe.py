"""Stripe as a browser meets it: its script is a stub, its API the double of this repository."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from playwright.sync_api import Page, Request, Route

from tests.support.server_process import ROOT

SECRET_KEY = "sk_test_of_the_pages"
PUBLISHABLE_KEY = "pk_test_of_the_pages"
WEBHOOK_SECRET = "whsec_of_the_pages"

_STUB = Path(__file__).with_name("stripe_stub.js")
_FIELDS = """<!doctype html><html lang="en"><title>Card</title>
<label>Card number <input inputmode="numeric" autocomplete="cc-number"></label>
<script>
document.querySelector("input").addEventListener("input", ({ target }) =>
  parent.postMessage({ number: target.value }, "*"));
</script>"""
_BANK = """<!doctype html><html lang="en"><title>Your bank</title><h1>Your bank</h1>
<form method="post" action="/bank?{query}">
<button name="step" value="passed">It is me</button>
<button name="step" value="refused">It is not me</button>
</form>"""
_BACK = '<!doctype html><meta http-equiv="refresh" content="0;url={address}">'
_ANYBODY = {"Access-Control-Allow-Origin": "*"}

CARD = "4242424242424242"
DECLINED = "4000000000000002"
ASKS_3DS = "4000002500003155"


@contextmanager
def double_of_stripe(server_url: str) -> Iterator[str]:
    """A double that tells this server of payments; its address."""
    webhook = f"{server_url}/api/v1/webhooks/stripe"
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "cinema.integrations.stripe.double", "--webhook", webhook],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "STRIPE_SECRET_KEY": SECRET_KEY,
            "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, "the double did not start"
        yield address
    finally:
        process.terminate()
        process.communicate(timeout=30)


class StripeAtHand:
    """Answers for Stripe's addresses in a window, and tells what was asked of them."""

    def __init__(self, page: Page, double: str) -> None:
        self.asked: list[str] = []
        self.is_away = False
        self._page = page
        self._double = double
        page.context.route("https://*.stripe.com/**", self._answer)

    def intents(self) -> list[str]:
        """How it stands with each payment, the newest first."""
        reply = self._page.request.get(
            f"{self._double}/v1/payment_intents?limit=100",
            headers={"Authorization": f"Bearer {SECRET_KEY}"},
        )
        return [f"{one['metadata']['booking_id']} {one['status']}" for one in reply.json()["data"]]

    def _answer(self, route: Route, request: Request) -> None:
        parts = urlsplit(request.url)
        self.asked.append(f"{parts.hostname}{parts.path}")
        if self.is_away:
            route.abort()
        elif parts.hostname == "api.stripe.com":
            self._ask(route, request, f"{self._double}{parts.path}?{parts.query}")
        elif parts.hostname == "hooks.stripe.com":
            self._bank(route, request, parse_qs(parts.query))
        elif parts.path.endswith(".html"):
            route.fulfill(body=_FIELDS, content_type="text/html")
        else:
            route.fulfill(path=_STUB, content_type="text/javascript")

    def _ask(self, route: Route, request: Request, address: str) -> None:
        headers = {"Authorization": request.headers.get("authorization", "")}
        kind = request.headers.get("content-type")
        if kind is not None:
            headers["Content-Type"] = kind
        reply = self._page.request.fetch(
            address, method=request.method, headers=headers, data=request.post_data
        )
        route.fulfill(
            status=reply.status,
            headers=_ANYBODY,
            body=reply.body(),
            content_type="application/json",
        )

    def _bank(self, route: Route, request: Request, query: dict[str, list[str]]) -> None:
        (secret,), (back,) = query["secret"], query["back"]
        if request.method == "GET":
            asked = escape(urlencode({"secret": secret, "back": back}))
            route.fulfill(body=_BANK.format(query=asked), content_type="text/html")
            return
        intent = secret.partition("_secret_")[0]
        (step,) = parse_qs(request.post_data or "")["step"]
        form = {"client_secret": secret, "step": step}
        paid = self._page.request.post(f"{self._double}/pay/{intent}", form=form)
        assert paid.ok, paid.text()
        status = "succeeded" if step == "passed" else "failed"
        told = {"payment_intent": intent, "payment_intent_client_secret": secret}
        address = f"{back}?{urlencode({**told, 'redirect_status': status})}"
        route.fulfill(body=_BACK.format(address=escape(address)), content_type="text/html")
