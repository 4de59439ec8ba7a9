"""Stripe's API: the official library over aiohttp, with bounds, and refusals of three kinds.

What was looked at in the library (16.1): its client raises errors of aiohttp when an answer breaks
off, so they are translated here; it repeats nothing after a 429, which callers do later; by default
it sends telemetry, with an id that it keeps in a file, and writes whole answers to the debug log,
client secrets too: both are off.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import aiohttp

from cinema.integrations.stripe.objects import Dispute, Intent, StripeRefund

if TYPE_CHECKING:
    import stripe

T = TypeVar("T")

ATTEMPT_TIMEOUT_S: Final = 8.0
"""For one attempt, waiting for a free connection included."""

CALL_TIMEOUT_S: Final = 20.0
"""For all attempts of a call and the pauses between them; a request of a customer waits so long."""

RETRIES: Final = 2
"""Each with the same idempotency key."""

CONNECTIONS_LIMIT: Final = 32

PAGE: Final = 100
"""The most that a list of Stripe has on a page."""

_LIBRARY_LEVEL: Final = logging.WARNING


class StripeUnavailable(Exception):
    """No answer, or one that promises nothing: the call may have had its effect.

    It can be repeated with the same idempotency key.
    """


class StripeRefused(Exception):
    """Stripe will not do it, however often it is asked; `code` is its reason."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class StripeClient:
    """What cinema asks of Stripe. A new key counts from the next call on.

    Without a key every call is refused with `no_key`.
    """

    def __init__(
        self,
        key: str,
        *,
        base: str = "",
        attempt_timeout_s: float = ATTEMPT_TIMEOUT_S,
        call_timeout_s: float = CALL_TIMEOUT_S,
        retries: int = RETRIES,
    ) -> None:
        self._key = key
        self._base = base
        self._attempt_timeout_s = attempt_timeout_s
        self._call_timeout_s = call_timeout_s
        self._retries = retries
        self._session: aiohttp.ClientSession | None = None
        self._client: stripe.StripeClient | None = None
        self._opening = asyncio.Lock()

    @property
    def livemode(self) -> bool:
        """Whether the key moves money."""
        return "_live_" in self._key

    @property
    def has_key(self) -> bool:
        """Whether there is a key to call with."""
        return bool(self._key)

    def use_key(self, key: str) -> None:
        """Call with another key from now on."""
        self._key = key
        self._client = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def create_intent(
        self, *, amount: int, currency: str, metadata: Mapping[str, str], key: str
    ) -> Intent:
        """A new intent, or the one of an earlier call with this idempotency key."""
        params: stripe.params.PaymentIntentCreateParams = {
            "amount": amount,
            "currency": currency.lower(),
            "metadata": dict(metadata),
            "automatic_payment_methods": {"enabled": True},
        }
        return _intent(
            await self._call(
                lambda client: client.v1.payment_intents.create_async(
                    params, {"idempotency_key": key}
                )
            )
        )

    async def intent(self, intent_id: str) -> Intent:
        """An intent as it is now."""
        return _intent(
            await self._call(lambda client: client.v1.payment_intents.retrieve_async(intent_id))
        )

    async def cancel_intent(self, intent_id: str) -> Intent:
        """Cancel an intent, so that nobody can pay it any more; one that was is answered as it is.

        Refused as `payment_intent_unexpected_state` if it has succeeded or is being processed.
        """
        try:
            return _intent(
                await self._call(
                    lambda client: client.v1.payment_intents.cancel_async(
                        intent_id, {"cancellation_reason": "abandoned"}
                    )
                )
            )
        except StripeRefused as refused:
            if refused.code != UNEXPECTED_STATE:
                raise
            found = await self.intent(intent_id)
            if found.status != "canceled":
                raise
            return found

    async def create_refund(
        self, intent_id: str, *, amount: int, metadata: Mapping[str, str], key: str
    ) -> StripeRefund:
        """A new refund of a part of a payment, or that of an earlier call with this key."""
        params: stripe.params.RefundCreateParams = {
            "payment_intent": intent_id,
            "amount": amount,
            "metadata": dict(metadata),
        }
        return _refund(
            await self._call(
                lambda client: client.v1.refunds.create_async(params, {"idempotency_key": key})
            )
        )

    async def refund(self, refund_id: str) -> StripeRefund:
        """A refund as it is now."""
        return _refund(await self._call(lambda client: client.v1.refunds.retrieve_async(refund_id)))

    async def refunds_of(self, intent_id: str) -> list[StripeRefund]:
        """The newest hundred refunds of a payment."""
        page = await self._call(
            lambda client: client.v1.refunds.list_async(
                {"payment_intent": intent_id, "limit": PAGE}
            )
        )
        return [_refund(one) for one in page.data]

    async def charge_intent(self, charge_id: str) -> str | None:
        """The intent of a charge."""
        charge = await self._call(lambda client: client.v1.charges.retrieve_async(charge_id))
        return _name(charge.payment_intent)

    async def dispute(self, dispute_id: str) -> Dispute:
        """A dispute as it is now."""
        return _dispute(
            await self._call(lambda client: client.v1.disputes.retrieve_async(dispute_id))
        )

    async def intents_between(self, since_s: int, until_s: int) -> AsyncIterator[Intent]:
        """All intents that were created from `since_s` on and before `until_s`, newest first."""
        after: str | None = None
        while True:
            params: stripe.params.PaymentIntentListParams = {
                "created": {"gte": since_s, "lt": until_s},
                "limit": PAGE,
            }
            if after is not None:
                params["starting_after"] = after
            page = await self._call(partial(_intents, params))
            for one in page.data:
                after = one.id
                yield _intent(one)
            if not page.has_more:
                return

    async def refunds_between(self, since_s: int, until_s: int) -> AsyncIterator[StripeRefund]:
        """All refunds that were created from `since_s` on and before `until_s`, newest first."""
        after: str | None = None
        while True:
            params: stripe.params.RefundListParams = {
                "created": {"gte": since_s, "lt": until_s},
                "limit": PAGE,
            }
            if after is not None:
                params["starting_after"] = after
            page = await self._call(partial(_refunds, params))
            for one in page.data:
                after = one.id
                yield _refund(one)
            if not page.has_more:
                return

    async def disputes_between(self, since_s: int, until_s: int) -> AsyncIterator[Dispute]:
        """All disputes that were opened from `since_s` on and before `until_s`, newest first."""
        after: str | None = None
        while True:
            params: stripe.params.DisputeListParams = {
                "created": {"gte": since_s, "lt": until_s},
                "limit": PAGE,
            }
            if after is not None:
                params["starting_after"] = after
            page = await self._call(partial(_disputes, params))
            for one in page.data:
                after = one.id
                yield _dispute(one)
            if not page.has_more:
                return

    async def _call(self, ask: Callable[[stripe.StripeClient], Awaitable[T]]) -> T:
        if not self._key:
            raise StripeRefused("no_key", "There is no key for Stripe.")
        import stripe as library

        try:
            async with asyncio.timeout(self._call_timeout_s):
                return await ask(await self._opened())
        except (library.RateLimitError, library.APIConnectionError) as error:
            raise StripeUnavailable(type(error).__name__) from None
        except (library.AuthenticationError, library.PermissionError) as error:
            # The key is wrong or may too little: that can be mended, and is not about the payment.
            raise StripeUnavailable(f"{type(error).__name__}: look at STRIPE_SECRET_KEY") from None
        except library.StripeError as error:
            status = error.http_status or 500
            if status >= 500 or status == 409:
                raise StripeUnavailable(f"Stripe answers {status}") from None
            kind = "idempotency" if isinstance(error, library.IdempotencyError) else "refused"
            raise StripeRefused(error.code or kind, error.user_message or "") from None
        except TimeoutError:
            raise StripeUnavailable(f"no answer in {self._call_timeout_s} s") from None

    async def _opened(self) -> stripe.StripeClient:
        async with self._opening:
            if self._session is None:
                self._session = await self._new_session()
            if self._client is None:
                self._client = self._new_client(self._session)
            return self._client

    async def _new_session(self) -> aiohttp.ClientSession:
        # The library brings the roots that it trusts; to read them takes too long for the loop.
        import stripe as library

        library.enable_telemetry = False
        logging.getLogger("stripe").setLevel(_LIBRARY_LEVEL)
        trusted = await asyncio.to_thread(ssl.create_default_context, cafile=library.ca_bundle_path)
        connector = aiohttp.TCPConnector(limit=CONNECTIONS_LIMIT, ssl=trusted)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    def _new_client(self, session: aiohttp.ClientSession) -> stripe.StripeClient:
        import stripe as library

        # The library does not declare the types of its errors' arguments.
        unreachable: Callable[..., library.StripeError] = library.APIConnectionError

        class Transport(library.AIOHTTPClient):
            """The library's, with all errors of aiohttp translated."""

            async def request_async(
                self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
            ) -> tuple[bytes, int, Mapping[str, str]]:
                try:
                    return await super().request_async(method, url, headers, post_data)
                except (aiohttp.ClientError, OSError, TimeoutError) as error:
                    raise unreachable(type(error).__name__, should_retry=True) from None

        timeout = aiohttp.ClientTimeout(total=self._attempt_timeout_s)
        return library.StripeClient(
            self._key,
            base_addresses={"api": self._base} if self._base else None,
            max_network_retries=self._retries,
            http_client=Transport(timeout=timeout, session=session),
        )


UNEXPECTED_STATE: Final = "payment_intent_unexpected_state"
MISSING: Final = "resource_missing"


async def _intents(
    params: stripe.params.PaymentIntentListParams, client: stripe.StripeClient
) -> stripe.ListObject[stripe.PaymentIntent]:
    return await client.v1.payment_intents.list_async(params)


async def _refunds(
    params: stripe.params.RefundListParams, client: stripe.StripeClient
) -> stripe.ListObject[stripe.Refund]:
    return await client.v1.refunds.list_async(params)


async def _disputes(
    params: stripe.params.DisputeListParams, client: stripe.StripeClient
) -> stripe.ListObject[stripe.Dispute]:
    return await client.v1.disputes.list_async(params)


def _name(one: Any) -> str | None:
    """The id of an object that may be there as a whole."""
    return one if one is None or isinstance(one, str) else str(one.id)


def _given(found: stripe.StripeObject, field: str) -> str | None:
    """A field that Stripe leaves out of objects to which it does not apply."""
    value: str | None = getattr(found, field, None)
    return value


def _texts(metadata: stripe.StripeObject | None) -> dict[str, str]:
    return {} if metadata is None else {key: str(one) for key, one in metadata.to_dict().items()}


def _intent(found: stripe.PaymentIntent) -> Intent:
    error = found.last_payment_error
    return Intent(
        id=found.id,
        status=found.status,
        amount=found.amount,
        amount_received=found.amount_received,
        currency=found.currency.upper(),
        livemode=found.livemode,
        metadata=_texts(found.metadata),
        created_s=found.created,
        client_secret=_given(found, "client_secret") or "",
        charge_id=_name(found.latest_charge),
        error_code=None
        if error is None
        else _given(error, "decline_code") or _given(error, "code"),
    )


def _dispute(found: stripe.Dispute) -> Dispute:
    return Dispute(
        id=found.id,
        intent_id=_name(found.payment_intent),
        status=found.status,
        amount=found.amount,
        currency=found.currency.upper(),
        created_s=found.created,
    )


def _refund(found: stripe.Refund) -> StripeRefund:
    return StripeRefund(
        id=found.id,
        intent_id=_name(found.payment_intent),
        status=found.status or "",
        amount=found.amount,
        currency=found.currency.upper(),
        metadata=_texts(found.metadata),
        created_s=found.created,
        failure_reason=_given(found, "failure_reason"),
    )
