"""Accounts: registration, login, and the caller's own account."""

from __future__ import annotations

import hmac
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import structlog

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused, refuse
from cinema.features.accounts.login_throttle import FAILED, LoginThrottle
from cinema.features.accounts.password_policy import check_password
from cinema.features.accounts.passwords import PasswordHasher
from cinema.features.accounts.session_service import SessionsService
from cinema.features.accounts.session_store import Proof, Unproven
from cinema.features.accounts.shapes import (
    ChallengeInput,
    Client,
    LoginInput,
    RegisterInput,
    SignedIn,
    User,
    email_key,
    tidy_email,
)
from cinema.features.accounts.store import AccountsRepository, Credentials, NewUser
from cinema.features.accounts.throttles import Throttles
from cinema.features.accounts.totp_service import FactorsService, unproven
from cinema.features.refusals import found

LOGIN_FAILED: Final = "login_failed"

ACCOUNT_HASH_BYTES: Final = 12
"""Length of the keyed hash of an account in log lines: enough to tell accounts apart."""

log = structlog.get_logger(__name__)

NewId = Callable[[], UUID]


class AccountsService:
    """Use cases of accounts; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        accounts: AccountsRepository,
        hasher: PasswordHasher,
        throttles: Throttles,
        logins: LoginThrottle,
        sessions: SessionsService,
        factors: FactorsService,
        *,
        new_id: NewId,
        log_key: bytes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._accounts = accounts
        self._hasher = hasher
        self._throttles = throttles
        self._logins = logins
        self._sessions = sessions
        self._factors = factors
        self._new_id = new_id
        self._log_key = log_key
        self.logins: Counter[str] = Counter(succeeded=0, failed=0)
        self._clock = clock

    async def register(
        self, request: RegisterInput, client: Client, key: IdempotencyKey | None = None
    ) -> SignedIn:
        """A new customer, signed in. Refuses RATE_LIMITED, VALIDATION_ERROR, EMAIL_TAKEN.

        A repetition with the same key signs the same customer in again. Its fingerprint covers
        everything but the password, which is compared with that of the account. Refuses
        INVALID_CREDENTIALS if an admin disables the account before its first session.
        """
        async with self._throttles.registration(client.address):
            return await self._register(request, client, key)

    async def _register(
        self, request: RegisterInput, client: Client, key: IdempotencyKey | None
    ) -> SignedIn:
        unique = email_key(request.email)
        if unique is None:
            raise refuse("VALIDATION_ERROR", "This is not an e-mail address.", path="$.email")
        check_password(request.password, request.email)
        new = NewUser(
            id=self._new_id(),
            email=tidy_email(request.email),
            email_key=unique,
            password_hash=await self._hasher.hash(
                request.password, client.address, client.has_left
            ),
            first_name=request.first_name.strip(),
            last_name=request.last_name.strip(),
            created_at=self._now(),
        )
        user = await self._accounts.add_user(new, key)
        version = 0
        user_id = UUID(user.id)
        if user_id != new.id and key is not None:
            version = await self._check_repetition(user, request, client, key)
        signed_in = await self._sign_in(user_id, version, client)
        await self._logins.remember(request.email, client.address)
        return signed_in

    async def _check_repetition(
        self, user: User, request: RegisterInput, client: Client, key: IdempotencyKey
    ) -> int:
        """Check the password of a repetition; returns its version.

        Refuses RATE_LIMITED, IDEMPOTENCY_MISMATCH.

        A wrong password counts as a failed login. It also invalidates the key: after one wrong
        guess even the right password is refused in the same way.
        """
        address = client.address
        try:
            async with self._logins.attempt(request.email, address):
                known = await self._accounts.credentials_by_id(UUID(user.id))
                stored = None if known is None else known.password_hash
                is_right = await self._hasher.matches(
                    request.password, stored, address, client.has_left
                )
                if not is_right or known is None or known.disabled:
                    raise refuse(FAILED)
                # A registration has no field for a code: such an account needs a login.
                await self._factors.needed(UUID(known.user.id), "", client)
                return known.password_version
        except Refused as refused:
            if refused.rejection.code != FAILED:
                raise
            self._note_failure(request.email, address)
            await self._accounts.spoil_key(key)
            raise refuse("IDEMPOTENCY_MISMATCH") from None

    async def login(self, request: LoginInput, client: Client) -> SignedIn:
        """A new session. Refuses RATE_LIMITED (`retry_after_s`), INVALID_CREDENTIALS.

        The client's address has to be one that can be trusted. An unknown e-mail address takes as
        long as a wrong password.
        """
        address = client.address
        async with self._logins.attempt(request.email, address):
            unique = email_key(request.email)
            known = None if unique is None else await self._accounts.credentials_by_email(unique)
            stored = None if known is None else known.password_hash
            is_right = await self._hasher.matches(
                request.password, stored, address, client.has_left
            )
            if not is_right or known is None or known.disabled:
                self._note_failure(request.email, address)
                raise refuse(FAILED)
            user_id, version = UUID(known.user.id), known.password_version
            proof = await self._factors.needed(user_id, request.code, client, login_version=version)
            await self._renew_hash(known, request.password, client)
            with self._failures_noted(request.email, address):
                return await self._let_in(user_id, version, client, proof)

    async def answer_challenge(self, request: ChallengeInput, client: Client) -> SignedIn:
        """A new session, for the code of a login that already had the right password.

        Refuses INVALID_CREDENTIALS, RATE_LIMITED, RETRY, OUTCOME_UNKNOWN. A wrong code counts as
        a wrong password, an unknown token as a failure of the address.
        """
        address = client.address
        async with self._logins.attempt_from(address):
            challenge = await self._factors.challenged(request.mfa_token)
        proof = self._factors.proof(
            challenge.user_id, request.code, client, token=request.mfa_token
        )
        async with self._logins.attempt(challenge.email, address):
            with self._failures_noted(challenge.email, address):
                return await self._let_in(
                    challenge.user_id,
                    challenge.password_version,
                    client,
                    proof,
                )

    async def me(self, principal: Principal) -> User:
        """The caller's account. Refuses NOT_FOUND if it was deleted."""
        return found(await self._accounts.find_user(UUID(bytes=principal.user_id)))

    async def _let_in(
        self,
        user_id: UUID,
        password_version: int,
        client: Client,
        proof: Proof | None,
    ) -> SignedIn:
        """Open the session of a login that has passed all checks."""
        signed_in = await self._sign_in(user_id, password_version, client, proof)
        self.logins["succeeded"] += 1
        return signed_in

    async def _sign_in(
        self, user_id: UUID, password_version: int, client: Client, proof: Proof | None = None
    ) -> SignedIn:
        """Open a session. A role that changes meanwhile is noticed when the token is first seen.

        Refuses INVALID_CREDENTIALS if the proof does not hold, or if the password was changed, or
        the account disabled, after the password was compared.
        """
        signed_in = await self._sessions.open(user_id, password_version, client, proof)
        if isinstance(signed_in, Unproven):
            raise unproven(signed_in.reason)
        if signed_in is None:
            raise refuse(FAILED)
        return signed_in

    async def _renew_hash(self, known: Credentials, password: str, client: Client) -> None:
        """Hash the password again if its hash does not have the configured cost.

        A password that was changed or hashed again meanwhile stays as it is. If there is no room
        for the hash, the login succeeds all the same, and the next one tries again.
        """
        if not self._hasher.is_outdated(known.password_hash):
            return
        with suppress(Refused):
            renewed = await self._hasher.hash(password, client.address, client.has_left)
            await self._accounts.replace_hash(UUID(known.user.id), known.password_hash, renewed)

    @contextmanager
    def _failures_noted(self, email: str, address: str) -> Iterator[None]:
        try:
            yield
        except Refused as refused:
            if refused.rejection.code == FAILED:
                self._note_failure(email, address)
            raise

    def _note_failure(self, email: str, address: str) -> None:
        """Count and log; the account as a keyed hash, which a list of addresses cannot undo."""
        self.logins["failed"] += 1
        name = (email_key(email) or email.strip().lower()).encode(errors="replace")
        account = hmac.digest(self._log_key, b"account in a log line:" + name, "sha256")
        log.info(LOGIN_FAILED, address=address, account=account[:ACCOUNT_HASH_BYTES].hex())

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)
