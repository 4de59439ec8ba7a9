"""Limits on how often a client may do what is costly for the server or for others.

A new throttle is one line in `Throttles.__init__`: its kind, how often, in which time. The kind is
its name in Redis and in the metric. Accounts are counted by the canonical form of the e-mail
address, addresses by the form of `address_key`. Only digests are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec
from limits import RateLimitItem

from cinema.domain.addresses import address_key
from cinema.domain.ids import format_id
from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused, refuse
from cinema.features.accounts.challenge_rules import CHALLENGE_S, CHALLENGES_PER_ADDRESS
from cinema.features.accounts.shapes import account_key
from cinema.storage.redis.throttle_counts import limit_of

if TYPE_CHECKING:
    from cinema.storage.redis.throttle_counts import Counts

DIGEST_BYTES: Final = 16

HOUR_S: Final = 3600
MINUTE_S: Final = 60


class ThrottleRules(msgspec.Struct, frozen=True, kw_only=True):
    """How often; the settings with the same names document each."""

    login_window_seconds: int = 300
    login_failures_per_account_and_address: int = 10
    login_failures_per_address: int = 100
    login_failures_per_account_per_hour: int = 30
    registrations_per_hour_per_address: int = 5
    guests_per_hour_per_address: int = 5
    guest_bookings_per_hour_per_email: int = 10
    order_requests_per_minute_per_address: int = 120
    promo_guesses_per_hour_per_address: int = 60
    gift_card_looks_per_minute: int = 10
    gift_card_orders_per_hour: int = 10
    refreshes_per_minute: int = 60
    mails_per_hour_per_email: int = 3
    mails_per_hour_per_address: int = 20
    writes_per_minute_per_user: int = 120


class Throttles:
    """All throttles; each refuses with RATE_LIMITED and `retry_after_s`."""

    def __init__(self, counts: Counts, rules: ThrottleRules) -> None:
        self.counts = counts
        self.refused: Counter[str] = Counter()
        window_s = rules.login_window_seconds
        self.login_pair = limit_of(
            "login_account_address", rules.login_failures_per_account_and_address, window_s
        )
        self.login_address = limit_of("login_address", rules.login_failures_per_address, window_s)
        self.login_account = limit_of(
            "login_account", rules.login_failures_per_account_per_hour, HOUR_S
        )
        self.login_challenge = limit_of("login_challenge", CHALLENGES_PER_ADDRESS, CHALLENGE_S)
        self.register = limit_of("register", rules.registrations_per_hour_per_address, HOUR_S)
        self.guest = limit_of("guest", rules.guests_per_hour_per_address, HOUR_S)
        self.guest_booking = limit_of(
            "guest_booking", rules.guest_bookings_per_hour_per_email, HOUR_S
        )
        self.order = limit_of("order", rules.order_requests_per_minute_per_address, MINUTE_S)
        self.promo = limit_of("promo_code", rules.promo_guesses_per_hour_per_address, HOUR_S)
        self.gift_card = limit_of("gift_card", rules.gift_card_looks_per_minute, MINUTE_S)
        self.gift_card_order = limit_of("gift_card_order", rules.gift_card_orders_per_hour, HOUR_S)
        per_minute = rules.refreshes_per_minute
        self.refresh_session = limit_of("refresh_session", per_minute, MINUTE_S)
        self.refresh_address = limit_of("refresh_address", per_minute, MINUTE_S)
        self.mail_account = limit_of("mail_account", rules.mails_per_hour_per_email, HOUR_S)
        self.mail_address = limit_of("mail_address", rules.mails_per_hour_per_address, HOUR_S)
        self.writes = limit_of("writes", rules.writes_per_minute_per_user, MINUTE_S)

    async def count(self, limit: RateLimitItem, *who: str) -> None:
        """Count once; refuses beyond the limit."""
        retry_after_s = await self.counts.take(limit, *who)
        if retry_after_s is not None:
            raise self.refusal(limit.namespace, retry_after_s)

    async def count_write(self, principal: Principal) -> None:
        """Count a write of a signed-in caller. Refuses RATE_LIMITED."""
        await self.count(self.writes, format_id(principal.user_id))

    async def count_challenge(self, user_id: UUID, address: str) -> None:
        """Count a login that has the password and waits for a code. Refuses RATE_LIMITED."""
        await self.count(self.login_challenge, pair_digest(user_id.bytes, address).hex())

    @asynccontextmanager
    async def mail_request(self, purpose: str, email: str, address: str) -> AsyncIterator[None]:
        """Around the request for a mail; each purpose counts separately. Refuses RATE_LIMITED.

        It counts with or without an account, so that the answer does not show which it is. A
        request that the server could not store does not count.
        """
        async with self._unless_refused(self.mail_address, address_digest(address)):
            whose = account_digest(email).hex()
            async with self._unless_refused(self.mail_account, purpose, whose):
                yield

    @asynccontextmanager
    async def mail_again(self, purpose: str, email: str) -> AsyncIterator[None]:
        """Around a mail that staff send to a customer; a refused one does not count.

        Each purpose counts separately. Refuses RATE_LIMITED.
        """
        async with self._unless_refused(self.mail_account, purpose, account_digest(email).hex()):
            yield

    async def count_order(self, address: str) -> None:
        """Count a request with the link of a guest's booking. Refuses RATE_LIMITED."""
        await self.count(self.order, address_digest(address))

    def promo_guess(self, address: str) -> AbstractAsyncContextManager[None]:
        """Around a look at a promo code; only wrong ones count. Refuses RATE_LIMITED."""
        return self._promo_guess(address_digest(address))

    def promo_guess_of(self, customer: bytes) -> AbstractAsyncContextManager[None]:
        """The same for somebody who books with the code, and is known."""
        return self._promo_guess(customer.hex())

    @asynccontextmanager
    async def _promo_guess(self, who: str) -> AsyncIterator[None]:
        await self.count(self.promo, who)
        wrong = False
        try:
            yield
        except Refused as refused:
            wrong = refused.rejection.code == "UNKNOWN_PROMO_CODE"
            raise
        finally:
            if not wrong:
                await self.counts.give_back(self.promo, who)

    async def count_card_look(self, customer: bytes, address: str) -> None:
        """Count a look at the balance of a gift card, for both. Refuses RATE_LIMITED."""
        await self.count(self.gift_card, customer.hex())
        await self.count(self.gift_card, address_digest(address))

    async def count_card_order(self, customer: bytes, address: str) -> None:
        """Count an order of a gift card, for both: stolen cards are tried by such orders.

        Refuses RATE_LIMITED.
        """
        await self.count(self.gift_card_order, customer.hex())
        await self.count(self.gift_card_order, address_digest(address))

    @asynccontextmanager
    async def card_guess(self, customer: bytes) -> AsyncIterator[None]:
        """Around a payment by gift card; only wrong codes count. Refuses RATE_LIMITED."""
        who = customer.hex()
        await self.count(self.gift_card, who)
        wrong = False
        try:
            yield
        except Refused as refused:
            wrong = refused.rejection.code == "UNKNOWN_GIFT_CARD"
            raise
        finally:
            if not wrong:
                await self.counts.give_back(self.gift_card, who)

    @asynccontextmanager
    async def guest_start(self, address: str) -> AsyncIterator[None]:
        """Around the beginning of a guest; a refused one does not count. Refuses RATE_LIMITED."""
        async with self._unless_refused(self.guest, address_digest(address)):
            yield

    @asynccontextmanager
    async def guest_sale(self, email: str) -> AsyncIterator[None]:
        """Around a booking of a guest; a refused one does not count. Refuses RATE_LIMITED.

        It bounds the mails to an address, whether or not an account has that address.
        """
        async with self._unless_refused(self.guest_booking, account_digest(email).hex()):
            yield

    @asynccontextmanager
    async def _unless_refused(self, limit: RateLimitItem, *who: str) -> AsyncIterator[None]:
        await self.count(limit, *who)
        try:
            yield
        except Refused as refused:
            if refused.rejection.code != "OUTCOME_UNKNOWN":
                await self.counts.give_back(limit, *who)
            raise

    def refusal(self, kind: str, retry_after_s: int) -> Refused:
        """The refusal of a throttle; it is counted."""
        self.refused[kind] += 1
        return refuse("RATE_LIMITED", retry_after_s=retry_after_s)

    @asynccontextmanager
    async def registration(self, address: str) -> AsyncIterator[None]:
        """Wrap a registration: it counts unless it was not tried, or the server failed."""
        who = address_digest(address)
        await self.count(self.register, who)
        try:
            yield
        except Exception as error:
            if not _was_tried(error):
                await self.counts.give_back(self.register, who)
            raise


def _was_tried(error: Exception) -> bool:
    """Whether a client learned something from a refusal, or cost the server a password hash."""
    code = error.rejection.code if isinstance(error, Refused) else ""
    return code in {"EMAIL_TAKEN", "IDEMPOTENCY_MISMATCH"}


def account_digest(email: str) -> bytes:
    """The digest of an account, the same for all spellings of its e-mail address."""
    return blake2b(account_key(email).encode(errors="replace"), digest_size=DIGEST_BYTES).digest()


def address_digest(address: str) -> str:
    """The digest of a client's address, the same for all spellings."""
    return blake2b(address_key(address).encode(), digest_size=DIGEST_BYTES).hexdigest()


def pair_digest(account: bytes, address: str) -> bytes:
    """The digest of a client's address at an account; at another account it is different."""
    key = address_key(address).encode()
    return blake2b(key, digest_size=DIGEST_BYTES, key=account).digest()
