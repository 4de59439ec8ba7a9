"""How often one may guess passwords: at one account, from one address, and at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Final, Protocol, TypeAlias

from limits import RateLimitItem

from cinema.domain.rejections import Refused
from cinema.features.accounts.throttles import (
    Throttles,
    account_digest,
    address_digest,
    pair_digest,
)

FAILED: Final = "INVALID_CREDENTIALS"
"""The one answer that tells a guesser something; all others leave no trace in the counts."""

_Taken: TypeAlias = tuple[RateLimitItem, str]


class KnownAddresses(Protocol):
    """From where accounts were signed in to before."""

    async def knows(self, account: bytes, address: bytes, now: datetime) -> bool:
        """Whether the account was signed in to from this address."""

    async def note(self, account: bytes, address: bytes, now: datetime) -> None:
        """Remember a login."""


class LoginThrottle:
    """Counts logins that failed: by account and address, by address, and by account.

    An attempt counts from its beginning and is taken back unless it fails, so that guesses sent
    at once count like guesses sent in turn, and a server that cannot answer locks nobody out. The
    count by account stops only addresses from which nobody has signed in to it before: whoever
    guesses from everywhere keeps himself out, and not the owner.
    """

    def __init__(
        self, throttles: Throttles, known: KnownAddresses, *, clock: Callable[[], float]
    ) -> None:
        self._throttles = throttles
        self._known = known
        self._clock = clock

    @asynccontextmanager
    async def attempt(self, email: str, address: str) -> AsyncIterator[None]:
        """Around a login; the body raises INVALID_CREDENTIALS for a wrong guess.

        Refuses RATE_LIMITED with `retry_after_s` before it.
        """
        account = account_digest(email)
        pair = pair_digest(account, address)
        taken = await self._take(account, pair, address)
        throttles, counts = self._throttles, self._throttles.counts
        try:
            yield
        except Exception as error:
            if not (isinstance(error, Refused) and error.rejection.code == FAILED):
                for limit, who in taken:
                    await counts.give_back(limit, who)
            raise
        for limit, who in taken:
            if limit is throttles.login_pair:
                await counts.forget(limit, who)
            else:
                await counts.give_back(limit, who)
        with suppress(Refused):
            # The login has succeeded, whether or not this can be written down.
            await self._known.note(account, pair, self._now())

    async def _take(self, account: bytes, pair: bytes, address: str) -> list[_Taken]:
        throttles, counts = self._throttles, self._throttles.counts
        taken: list[_Taken] = []
        for limit, who in (
            (throttles.login_pair, pair.hex()),
            (throttles.login_address, address_digest(address)),
            (throttles.login_account, account.hex()),
        ):
            retry_after_s = await counts.take(limit, who)
            is_by_account = limit is throttles.login_account
            if retry_after_s is None or (is_by_account and await self._is_known(account, pair)):
                taken.append((limit, who))
                continue
            # What is refused tried no password: it counts nowhere.
            for earlier, whose in (*taken, (limit, who)):
                await counts.give_back(earlier, whose)
            raise throttles.refusal(limit.namespace, retry_after_s)
        return taken

    async def _is_known(self, account: bytes, pair: bytes) -> bool:
        with suppress(Refused):
            return await self._known.knows(account, pair, self._now())
        # Nobody can sign in while the database is away; it says so itself.
        return True

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)
