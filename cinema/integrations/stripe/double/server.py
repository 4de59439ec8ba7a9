"""The double as an HTTP server: keys, forms, idempotency, faults, lists; and a page to pay on."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
from aiohttp import web

from cinema.integrations.stripe.double.account import Account, Object
from cinema.integrations.stripe.double.deliveries import WebhookPosts, WebhookTarget
from cinema.integrations.stripe.double.errors import ApiError, invalid
from cinema.integrations.stripe.double.faults import Faults
from cinema.integrations.stripe.double.forms import decoded, only, whole
from cinema.integrations.stripe.double.page import page_of

PAGE: Final = 10
PAGE_LIMIT: Final = 100
KEY_CHARS: Final = 255
BODY_LIMIT_BYTES: Final = 64 << 10

ACCOUNT_ID: Final = "acct_double"

TEST_KEY: Final = "sk_test_double"


class _StripeAnswer(msgspec.Struct, frozen=True):
    status: int
    body: bytes


class _KeyedRequest(msgspec.Struct):
    """A request with an idempotency key; `answer` once it has one."""

    fingerprint: tuple[str, str, str]
    answer: _StripeAnswer | None = None


class StripeDouble:
    """One account behind `url`; `running` serves it."""

    def __init__(
        self,
        *,
        secret_key: str = TEST_KEY,
        endpoint: WebhookTarget | None = None,
        unix_s: Callable[[], float] = time.time,
        deliveries: WebhookPosts | None = None,
    ) -> None:
        if not secret_key.startswith(("sk_test_", "rk_test_")):
            raise ValueError("the double takes no live keys")
        self.secret_key = secret_key
        self._unix_s = unix_s
        self.deliveries = deliveries or WebhookPosts(endpoint, now_s=self._now_s)
        self.account = Account(self._now_s, self.deliveries.tell)
        self.faults = Faults()
        self.calls: list[tuple[str, str]] = []
        """Method and path of each call of the API, with and without an effect."""
        self._called = asyncio.Condition()
        self._once: dict[str, _KeyedRequest] = {}
        self._runner: web.AppRunner | None = None
        self.url = ""

    def _now_s(self) -> int:
        return int(self._unix_s())

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Serve on this address; 0 takes a free port."""
        application = web.Application(client_max_size=BODY_LIMIT_BYTES)
        application.router.add_route("*", "/v1/{path:.*}", self._api)
        application.router.add_get("/pay/{intent}", self._page)
        application.router.add_post("/pay/{intent}", self._pay)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        bound = self._runner.addresses[0]
        self.url = f"http://{host}:{bound[1]}"

    async def stop(self) -> None:
        """Stop serving; what waits goes on and ends."""
        self.faults.clear()
        await self.deliveries.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def called(self, count: int) -> None:
        """Wait until the API has been called so often."""
        async with self._called:
            await self._called.wait_for(lambda: len(self.calls) >= count)

    # The API

    async def _api(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        async with self._called:
            self.calls.append((request.method, request.path))
            self._called.notify_all()
        fault = self.faults.next(request.method, request.path)
        try:
            if fault is not None and fault.kind == "error":
                raise ApiError(500, "api_error", "Something went wrong on Stripe's end.")
            if fault is not None and fault.kind == "limited":
                raise ApiError(
                    429, "invalid_request_error", "Too many requests.", code="rate_limit"
                )
            wait = fault.gate if fault is not None and fault.kind == "slow" else None
            answer = await self._once_only(request, text, wait)
        except ApiError as error:
            answer = _StripeAnswer(error.status, error.body)
        if fault is not None and fault.kind == "lost":
            assert request.transport is not None
            request.transport.abort()
        if fault is not None and fault.kind == "stopped":
            await fault.gate.wait()
        headers = {"Request-Id": f"req_{secrets.token_hex(7)}"}
        return web.Response(
            status=answer.status,
            body=answer.body,
            content_type="application/json",
            headers=headers,
        )

    async def _once_only(
        self, request: web.Request, text: str, wait: asyncio.Event | None
    ) -> _StripeAnswer:
        """The answer; a repetition with the same key gets the first one again."""
        self._authorise(request, text)
        key = request.headers.get("Idempotency-Key", "")
        if request.method != "POST" or not key:
            if wait is not None:
                await wait.wait()
            return self._answer(request, text)
        if len(key) > KEY_CHARS:
            raise invalid(f"Idempotency keys have up to {KEY_CHARS} characters.")
        fingerprint = (request.method, request.path, text)
        once = self._once.get(key)
        if once is not None:
            return _repeated(once, key, fingerprint)
        once = self._once[key] = _KeyedRequest(fingerprint)
        if wait is not None:
            await wait.wait()
        answer = self._answer(request, text)
        if answer.status in {400, 404, 429}:
            # It was refused before it began: the next attempt is a new one.
            del self._once[key]
        else:
            once.answer = answer
        return answer

    def _authorise(self, request: web.Request, text: str) -> None:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if hmac.compare_digest(given.encode(), self.secret_key.encode()):
            return
        params = decoded(text if request.method == "POST" else request.query_string)
        if given.startswith("pk_test_") and self._has_secret(request.path, params):
            return
        raise invalid(f"Invalid API Key provided: {given[:8]}***", status=401)

    def _has_secret(self, path: str, params: Object) -> bool:
        """Whether a browser shows the secret of the intent that it asks for."""
        steps = path.split("/")
        intent = self.account.intents.get(steps[3]) if len(steps) > 3 else None
        given = params.get("client_secret")
        return (
            steps[2] == "payment_intents"
            and steps[4:] in ([], ["confirm"])
            and intent is not None
            and isinstance(given, str)
            and hmac.compare_digest(given.encode(), intent["client_secret"].encode())
        )

    def _answer(self, request: web.Request, text: str) -> _StripeAnswer:
        try:
            found = self._done(request, text)
        except ApiError as error:
            return _StripeAnswer(error.status, error.body)
        return _StripeAnswer(200, msgspec.json.encode(found))

    def _done(self, request: web.Request, text: str) -> Object:
        account, steps = self.account, request.path.split("/")[2:]
        if request.method == "GET":
            return self._got(steps, decoded(request.query_string))
        params = decoded(text)
        if request.method == "POST":
            match steps:
                case ["payment_intents"]:
                    return account.create_intent(params)
                case ["payment_intents", name, "confirm"]:
                    return account.confirm_intent(name, params)
                case ["payment_intents", name, "cancel"]:
                    return account.cancel_intent(name, params)
                case ["refunds"]:
                    return account.create_refund(params)
        text = f"Unrecognized request URL ({request.method}: {request.path})."
        raise invalid(text, status=404)

    def _got(self, steps: list[str], params: Object) -> Object:
        account = self.account
        match steps:
            case ["payment_intents", name]:
                return account.intent(name)
            case ["charges", name]:
                return account.charge(name)
            case ["refunds", name]:
                return account.refund(name)
            case ["disputes", name]:
                return account.dispute_of(name)
            case ["events", name]:
                return account.event(name)
            case ["account"]:
                return {"id": ACCOUNT_ID, "object": "account", "metadata": {}}
            case ["payment_intents"]:
                return _listed(account.intents, steps[0], params, ())
            case ["charges"]:
                return _listed(account.charges, steps[0], params, ("payment_intent",))
            case ["refunds"]:
                return _listed(account.refunds, steps[0], params, ("payment_intent", "charge"))
            case ["disputes"]:
                return _listed(account.disputes, steps[0], params, ("payment_intent", "charge"))
            case ["events"]:
                return _listed(account.events, steps[0], params, ("type",))
        raise invalid(f"Unrecognized request URL (GET: /v1/{'/'.join(steps)}).", status=404)

    # The page

    async def _page(self, request: web.Request) -> web.Response:
        secret = request.query.get("client_secret", "")
        return self._show(request.match_info["intent"], secret)

    async def _pay(self, request: web.Request) -> web.Response:
        """One step of somebody who pays; a decline is shown on the page."""
        form = await request.post()
        name, secret = request.match_info["intent"], str(form.get("client_secret", ""))
        step, said = str(form.get("step", "")), ""
        if not self._has_secret(f"/v1/payment_intents/{name}", {"client_secret": secret}):
            raise web.HTTPNotFound
        try:
            self._stepped(name, step, str(form.get("number", "")))
        except ApiError as error:
            said = str(error)
        return self._show(name, secret, said)

    def _stepped(self, name: str, step: str, number: str) -> None:
        account = self.account
        match step:
            case "card":
                account.confirm_intent(name, {"payment_method_data": {"card": {"number": number}}})
            case "debit":
                account.confirm_intent(name, {"payment_method": "pm_debit"})
            case "passed" | "refused":
                account.authenticate(name, passed=step == "passed")
            case "settled" | "bounced":
                account.settle(name, succeeded=step == "settled")
            case "disputed":
                account.dispute(name)
            case _:
                raise invalid(f"Unknown step: {step}")

    def _show(self, name: str, secret: str, said: str = "") -> web.Response:
        if not self._has_secret(f"/v1/payment_intents/{name}", {"client_secret": secret}):
            raise web.HTTPNotFound
        text = page_of(self.account.intents[name], said)
        return web.Response(text=text, content_type="text/html")


def _repeated(once: _KeyedRequest, key: str, fingerprint: tuple[str, str, str]) -> _StripeAnswer:
    if once.fingerprint != fingerprint:
        text = (
            "Keys for idempotent requests can only be used with the same parameters they were "
            f"first used with. Try using a key other than '{key}'."
        )
        raise ApiError(400, "idempotency_error", text)
    if once.answer is None:
        text = "There is currently another in-progress request using this Idempotent Key."
        raise ApiError(409, "idempotency_error", text, code="idempotency_key_in_use")
    return once.answer


def _listed(
    objects: dict[str, Object], kind: str, params: Object, filters: Iterable[str]
) -> Object:
    """A page of objects, newest first, as all lists of the API are."""
    only(params, ("created", "ending_before", "limit", "starting_after", *filters))
    limit = whole(params, "limit", PAGE)
    if not 1 <= limit <= PAGE_LIMIT:
        raise invalid(f"Lists have up to {PAGE_LIMIT} objects.", param="limit")
    # Of objects of one second the later one comes first.
    found = list(reversed(objects.values()))
    created = params.get("created") or {}
    for name in filters:
        if name in params:
            found = [one for one in found if one[name] == params[name]]
    if not isinstance(created, dict):
        raise invalid("Invalid object", param="created")
    only(created, ("gt", "gte", "lt", "lte"))
    least = max(whole(created, "gte", 0), whole(created, "gt", -1) + 1)
    most = min(whole(created, "lte", 1 << 60), whole(created, "lt", 1 << 60) - 1)
    found = [one for one in found if least <= one["created"] <= most]
    after = params.get("starting_after")
    if after is not None:
        names = [one["id"] for one in found]
        if after not in names:
            raise invalid(f"No such object: '{after}'", param="starting_after")
        found = found[names.index(after) + 1 :]
    shown: list[Any] = found[:limit]
    return {
        "object": "list",
        "url": f"/v1/{kind}",
        "has_more": len(found) > limit,
        "data": shown,
    }
