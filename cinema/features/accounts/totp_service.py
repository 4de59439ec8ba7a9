"""Second factors: set up an authenticator, check its codes at a login, and remove it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused, refuse
from cinema.features.accounts.admission import TokenAdmission
from cinema.features.accounts.challenge_rules import (
    CHALLENGE_S,
    digest_of_challenge,
    new_challenge,
)
from cinema.features.accounts.challenge_store import Challenge, ChallengesRepository
from cinema.features.accounts.confirmation import Confirmation
from cinema.features.accounts.login_throttle import FAILED
from cinema.features.accounts.session_store import Proof
from cinema.features.accounts.shapes import (
    Client,
    Enrolment,
    FactorInput,
    RecoveryCodes,
    SecondFactorOff,
    TotpInput,
    User,
)
from cinema.features.accounts.throttles import Throttles
from cinema.features.accounts.totp_rules import (
    address_of,
    matching_step,
    new_recovery_codes,
    new_secret,
    recovery_digest,
    shown_secret,
)
from cinema.features.accounts.totp_store import FactorsRepository
from cinema.storage.database.transactions import PooledConnection

MFA_REQUIRED: Final = "MFA_REQUIRED"
INVALID_CODE: Final = "INVALID_CODE"
CHALLENGE_ENDED: Final = "CHALLENGE_ENDED"


class FactorsService:
    """Use cases of second factors; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        factors: FactorsRepository,
        challenges: ChallengesRepository,
        confirmation: Confirmation,
        admission: TokenAdmission,
        throttles: Throttles,
        *,
        required: frozenset[str],
        clock: Callable[[], float],
    ) -> None:
        """`required` are the roles that need a second factor."""
        self._factors = factors
        self._challenges = challenges
        self._confirmation = confirmation
        self._admission = admission
        self._throttles = throttles
        self._required = required
        self._clock = clock

    async def begin(self, principal: Principal, request: TotpInput, client: Client) -> Enrolment:
        """A secret for an authenticator, which counts once it is confirmed with a code.

        With a code of the authenticator that counts now, or a recovery code, it will replace that
        one, which stays valid until then.

        Refuses INVALID_CREDENTIALS, MFA_ALREADY_ON without such a code, and with the codes of a
        login.
        """
        secret = new_secret()
        user_id = UUID(bytes=principal.user_id)

        async def begun() -> None:
            if request.code and await self._factors.is_on(user_id):
                if not await self._factors.begin_replacement(
                    user_id, secret, request.code, client, self._now()
                ):
                    raise unproven(INVALID_CODE)
            elif not await self._factors.begin(user_id, secret, self._now()):
                raise refuse("MFA_ALREADY_ON")

        known = await self._confirmation.confirmed(principal, request.password, client, begun)
        return Enrolment(
            secret=shown_secret(secret), otpauth_url=address_of(secret, known.user.email)
        )

    async def confirm(self, principal: Principal, code: str, client: Client) -> RecoveryCodes:
        """Confirm the authenticator, and end all other sessions, which were opened without it.

        The recovery codes are shown only once; those of a replaced authenticator become invalid.

        Refuses MFA_NOT_ON, MFA_ALREADY_ON, INVALID_CREDENTIALS, RATE_LIMITED, RETRY,
        OUTCOME_UNKNOWN. A wrong code counts like a wrong password.
        """
        user_id = UUID(bytes=principal.user_id)
        pending = await self._factors.pending(user_id, self._now())
        if pending is None:
            is_on = await self._factors.is_on(user_id)
            raise refuse("MFA_NOT_ON" if is_on is None else "MFA_ALREADY_ON")
        codes = new_recovery_codes()
        digests = [recovery_digest(one) for one in codes]

        async def shown() -> None:
            step = matching_step(pending.secret, code, now_s=self._clock(), after=0)
            if step is None or (
                await self._factors.confirm(
                    user_id,
                    pending,
                    step,
                    digests,
                    client,
                    kept=UUID(bytes=principal.session_id),
                    now=self._now(),
                )
                is None
            ):
                raise unproven(INVALID_CODE)

        await self._confirmation.guessed(principal, client, shown)
        self._admission.forget({principal.user_id})
        return RecoveryCodes(recovery_codes=codes)

    async def require(self, user: User) -> None:
        """Refuses FORBIDDEN while an account whose role needs a second factor has none.

        Such an account acts as a customer, so routes let it in. Whoever knows only the password of
        an admin must not be able to take the account away from its owner.
        """
        if user.role in self._required and not await self._factors.is_on(UUID(user.id)):
            raise refuse("FORBIDDEN", "Your role needs a second factor. Set it up first.")

    async def needed(
        self, user_id: UUID, code: str, client: Client, *, login_version: int | None = None
    ) -> Proof | None:
        """What an account has to show beside the password; None without an authenticator.

        Refuses MFA_REQUIRED without a code, RETRY. A login with the password of that version gets
        a challenge then, and may meet RATE_LIMITED and OUTCOME_UNKNOWN too.
        """
        if not await self._factors.is_on(user_id):
            return None
        if not code and login_version is not None:
            raise await self._challenge(user_id, login_version, client)
        if not code:
            raise refuse(MFA_REQUIRED)
        return self.proof(user_id, code, client)

    async def _challenge(self, user_id: UUID, password_version: int, client: Client) -> Refused:
        """MFA_REQUIRED with a token that replaces the password while the code is typed.

        Refuses RATE_LIMITED, RETRY, OUTCOME_UNKNOWN.
        """
        await self._throttles.count_challenge(user_id, client.address)
        token = new_challenge()
        digest = digest_of_challenge(token)
        await self._challenges.add(digest, user_id, password_version, self._now())
        return refuse(MFA_REQUIRED, mfa_token=token, expires_in=CHALLENGE_S)

    async def challenged(self, token: str) -> Challenge:
        """The login that a token continues. Refuses INVALID_CREDENTIALS, RETRY."""
        found = await self._challenges.find(digest_of_challenge(token), self._now())
        if found is None:
            raise unproven(CHALLENGE_ENDED)
        return found

    def proof(self, user_id: UUID, code: str, client: Client, *, token: str | None = None) -> Proof:
        """A code as the proof that a login needs; it is used up together with the login.

        With the `token` of a challenge it uses that up too; a wrong code leaves it as long as it
        has tries.
        """
        digest = None if token is None else digest_of_challenge(token)

        async def shown(running: PooledConnection) -> str | None:
            if digest is not None and not await self._challenges.count_try(
                running, digest, self._now()
            ):
                return CHALLENGE_ENDED
            if not await self._factors.spend(running, user_id, code, client, self._now()):
                return INVALID_CODE
            if digest is not None:
                await self._challenges.use(running, digest)
            return None

        return shown

    async def renew_recovery(
        self, principal: Principal, request: FactorInput, client: Client
    ) -> RecoveryCodes:
        """Other recovery codes, for who shows the password and a code; those before are void.

        Refuses MFA_NOT_ON, INVALID_CREDENTIALS, and what a login refuses.
        """
        user_id = UUID(bytes=principal.user_id)
        codes = new_recovery_codes()
        digests = [recovery_digest(one) for one in codes]

        async def renewed() -> None:
            if not await self._factors.renew_recovery(
                user_id, request.code, digests, client, self._now()
            ):
                raise unproven(INVALID_CODE)

        await self._confirmed_with_code(principal, request, client, renewed)
        return RecoveryCodes(recovery_codes=codes)

    async def remove(
        self, principal: Principal, request: FactorInput, client: Client
    ) -> SecondFactorOff:
        """Remove the authenticator, with the password and a code; end all other sessions.

        Refuses FORBIDDEN to roles that need one, MFA_NOT_ON, INVALID_CREDENTIALS, and with the
        codes of a login.
        """
        if principal.role in self._required:
            raise refuse("FORBIDDEN", "Your role needs a second factor; you can replace yours.")
        user_id = UUID(bytes=principal.user_id)

        async def removed() -> None:
            ended = await self._factors.remove(
                user_id,
                request.code,
                client,
                kept=UUID(bytes=principal.session_id),
                now=self._now(),
            )
            if ended is None:
                raise unproven(INVALID_CODE)

        await self._confirmed_with_code(principal, request, client, removed)
        self._admission.forget({principal.user_id})
        return SecondFactorOff()

    async def _confirmed_with_code(
        self,
        principal: Principal,
        request: FactorInput,
        client: Client,
        then: Callable[[], Awaitable[None]],
    ) -> None:
        if not await self._factors.is_on(UUID(bytes=principal.user_id)):
            raise refuse("MFA_NOT_ON")
        await self._confirmation.confirmed(principal, request.password, client, then)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def unproven(reason: str) -> Refused:
    """INVALID_CREDENTIALS for a code, or a challenge, that is no good."""
    return refuse(FAILED, _MESSAGES[reason], reason=reason)


_MESSAGES: Final = {
    INVALID_CODE: "The code is wrong.",
    CHALLENGE_ENDED: "Sign in with the password again.",
}
