"""Asks the caller for the password again before actions that a stolen token must not allow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from cinema.domain.principal import Principal
from cinema.domain.rejections import refuse
from cinema.features.accounts.login_throttle import FAILED, LoginThrottle
from cinema.features.accounts.passwords import PasswordHasher
from cinema.features.accounts.shapes import Client
from cinema.features.accounts.store import AccountsRepository, Credentials
from cinema.features.refusals import found


class Confirmation:
    """Compares the passwords of callers; a wrong one counts as a failed login."""

    def __init__(
        self, accounts: AccountsRepository, hasher: PasswordHasher, logins: LoginThrottle
    ) -> None:
        self._accounts = accounts
        self._hasher = hasher
        self._logins = logins

    async def confirmed(
        self,
        principal: Principal,
        password: str,
        client: Client,
        then: Callable[[], Awaitable[None]] | None = None,
    ) -> Credentials:
        """The caller's account, if the password is right and `then` does not refuse.

        An INVALID_CREDENTIALS of `then` counts as a wrong password. Refuses NOT_FOUND,
        INVALID_CREDENTIALS, RATE_LIMITED, OVERLOADED, RETRY.
        """
        known = found(await self._accounts.credentials_by_id(UUID(bytes=principal.user_id)))
        async with self._logins.attempt(known.user.email, client.address):
            if not await self._hasher.matches(
                password, known.password_hash, client.address, client.has_left
            ):
                raise refuse(FAILED)
            if then is not None:
                await then()
        return known

    async def guessed(
        self, principal: Principal, client: Client, guess: Callable[[], Awaitable[None]]
    ) -> None:
        """What `guess` refuses as INVALID_CREDENTIALS counts like a wrong password.

        Refuses NOT_FOUND, RATE_LIMITED, RETRY.
        """
        known = found(await self._accounts.credentials_by_id(UUID(bytes=principal.user_id)))
        async with self._logins.attempt(known.user.email, client.address):
            await guess()
