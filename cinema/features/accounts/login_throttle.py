"""Limits on guessing passwords: for one account and address, for an address, and for an account."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
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
"""The only answer that tells a guesser something; other answers are not counted."""

_Taken: TypeAlias = tuple[RateLimitItem, str]


class KnownAddresses(Protocol):
    """Addresses from which accounts were signed in to before."""

    async def knows(self, account: bytes, address: bytes, now: datetime) -> bool:
        """Whether the account was signed in to from this address."""

    async def note(self, account: bytes, address: bytes, now: datetime) -> None:
        """Remember a login."""


class LoginThrottle:
    """Counts logins that failed: by account and address, by address, and by account.

    An attempt is counted when it begins, and taken back unless it fails. So guesses that are sent
    at the same time all count, and a server that cannot answer locks nobody out. The count by
    account stops only addresses from which nobody has signed in to it before. So somebody who
    guesses from many addresses does not lock the owner out.
    """

    def __init__(
        self, throttles: Throttles, known: KnownAddresses, *, clock: Callable[[], float]
    ) -> None:
        self._throttles = throttles
        self._known = known
        self._clock = clock

    @asynccontextmanager
    async def attempt(self, email: str, address: str) -> AsyncIterator[None]:
        """Wrap a login; the body raises INVALID_CREDENTIALS for a wrong guess.

        Refuses RATE_LIMITED with `retry_after_s` before the body runs.
        """
        account = account_digest(email)
        pair = pair_digest(account, address)
        taken = await self._take(account, pair, address)
        throttles, counts = self._throttles, self._throttles.counts
        async with self._kept_if_wrong(taken):
            yield
        for limit, who in taken:
            if limit is throttles.login_pair:
                await counts.forget(limit, who)
            else:
                await counts.give_back(limit, who)
        await self._note(account, pair)

    async def remember(self, email: str, address: str) -> None:
        """Note an address from which an account was opened, as after a login."""
        account = account_digest(email)
        await self._note(account, pair_digest(account, address))

    @asynccontextmanager
    async def attempt_from(self, address: str) -> AsyncIterator[None]:
        """The same around what shows of which account it is; a wrong guess counts by address."""
        limit, who = self._throttles.login_address, address_digest(address)
        counts = self._throttles.counts
        retry_after_s = await counts.take(limit, who)
        if retry_after_s is not None:
            await counts.give_back(limit, who)
            raise self._throttles.refusal(limit.namespace, retry_after_s)
        async with self._kept_if_wrong([(limit, who)]):
            yield
        await counts.give_back(limit, who)

    @asynccontextmanager
    async def _kept_if_wrong(self, taken: Sequence[_Taken]) -> AsyncIterator[None]:
        """Give back what was taken for an attempt that fails otherwise than by a wrong guess."""
        try:
            yield
        except Exception as error:
            if not (isinstance(error, Refused) and error.rejection.code == FAILED):
                for limit, who in taken:
                    await self._throttles.counts.give_back(limit, who)
            raise

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
            # A refused attempt has not tried a password, so it does not count.
            for earlier, whose in (*taken, (limit, who)):
                await counts.give_back(earlier, whose)
            raise throttles.refusal(limit.namespace, retry_after_s)
        return taken

    async def _is_known(self, account: bytes, pair: bytes) -> bool:
        with suppress(Refused):
            return await self._known.knows(account, pair, self._now())
        # Nobody can sign in without the database; the login itself will say so.
        return True

    async def _note(self, account: bytes, pair: bytes) -> None:
        with suppress(Refused):
            # The login has succeeded, even if this cannot be written.
            await self._known.note(account, pair, self._now())

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)
