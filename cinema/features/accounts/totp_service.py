"""Second factors: set up an authenticator, check its codes at a login, and remove it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused, refuse
from cinema.features.accounts.admission import Admission
from cinema.features.accounts.challenge_rules import (
    CHALLENGE_S,
    digest_of_challenge,
    new_challenge,
)
from cinema.features.accounts.challenge_store import Challenge, ChallengesRepository
from cinema.features.accounts.confirmation import Confirmation
from cinema.features.accounts.login_throttle import FAILED
from cinema.features.accounts.shapes import (
    Client,
    Enrolment,
    RecoveryCodes,
    RemoveFactorInput,
    SecondFactorOff,
)
from cinema.features.accounts.totp_rules import (
    address_of,
    is_recovery_code,
    matching_step,
    new_recovery_codes,
    new_secret,
    recovery_digest,
    shown_secret,
)
from cinema.features.accounts.totp_store import Factor, FactorsRepository

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
        admission: Admission,
        *,
        required: frozenset[str],
        new_id: Callable[[], bytes],
        clock: Callable[[], float],
    ) -> None:
        """`required` are the roles that need a second factor."""
        self._factors = factors
        self._challenges = challenges
        self._confirmation = confirmation
        self._admission = admission
        self._required = required
        self._new_id = new_id
        self._clock = clock

    async def begin(self, principal: Principal, password: str, client: Client) -> Enrolment:
        """A secret for an authenticator, which counts once it is confirmed with a code.

        Refuses INVALID_CREDENTIALS, MFA_ALREADY_ON, and with the codes of a login.
        """
        known = await self._confirmation.confirmed(principal, password, client)
        secret = new_secret()
        user_id = UUID(bytes=principal.user_id)
        if not await self._factors.begin(user_id, secret, self._now()):
            raise refuse("MFA_ALREADY_ON")
        return Enrolment(
            secret=shown_secret(secret), otpauth_url=address_of(secret, known.user.email)
        )

    async def confirm(self, principal: Principal, code: str, client: Client) -> RecoveryCodes:
        """Confirm the authenticator, and end all other sessions, which were opened without it.

        The recovery codes are shown only once.

        Refuses MFA_NOT_ON, MFA_ALREADY_ON, INVALID_CREDENTIALS, RETRY, OUTCOME_UNKNOWN.
        """
        user_id = UUID(bytes=principal.user_id)
        factor = await self._factors.find(user_id)
        if factor is None:
            raise refuse("MFA_NOT_ON")
        if factor.confirmed:
            raise refuse("MFA_ALREADY_ON")
        step = self._step_of(factor, code)
        codes = new_recovery_codes()
        digests = [recovery_digest(one) for one in codes]
        ended = None
        if step is not None:
            ended = await self._factors.confirm(
                user_id,
                step,
                factor.sealed,
                digests,
                client,
                kept=principal.session_id,
                now=self._now(),
                entry_id=self._new_id(),
            )
        if ended is None:
            raise refuse(FAILED, "The code is wrong.", reason=INVALID_CODE)
        self._admission.forget({principal.user_id})
        return RecoveryCodes(recovery_codes=codes)

    async def check(self, user_id: UUID, code: str, client: Client) -> None:
        """Check the code, if the account has an authenticator.

        Refuses MFA_REQUIRED without a code, INVALID_CREDENTIALS for a wrong one or one that was
        used, RETRY.
        """
        factor = await self._factors.find(user_id)
        if factor is None or not factor.confirmed:
            return
        if not code:
            raise refuse(MFA_REQUIRED)
        await self._use(user_id, factor, code, client)

    async def challenge(self, user_id: UUID, password_version: int) -> Refused:
        """MFA_REQUIRED with a token that replaces the password while the code is typed.

        Refuses RETRY, OUTCOME_UNKNOWN.
        """
        token = new_challenge()
        digest = digest_of_challenge(token)
        await self._challenges.add(digest, user_id, password_version, self._now())
        return refuse(MFA_REQUIRED, mfa_token=token, expires_in=CHALLENGE_S)

    async def challenged(self, token: str) -> Challenge:
        """The login that a token continues. Refuses INVALID_CREDENTIALS, RETRY."""
        found = await self._challenges.find(digest_of_challenge(token), self._now())
        if found is None:
            raise _challenge_ended()
        return found

    async def answer(self, token: str, user_id: UUID, code: str, client: Client) -> None:
        """Use a challenge up with a code; after a wrong one it stays until its tries are used up.

        Refuses INVALID_CREDENTIALS, RETRY, OUTCOME_UNKNOWN.
        """
        digest = digest_of_challenge(token)
        if not await self._challenges.count_try(digest, self._now()):
            raise _challenge_ended()
        await self.check(user_id, code, client)
        if not await self._challenges.use(digest):
            raise _challenge_ended()

    async def remove(
        self, principal: Principal, request: RemoveFactorInput, client: Client
    ) -> SecondFactorOff:
        """Remove the authenticator, with the password and a code; end all other sessions.

        Refuses FORBIDDEN to roles that need one, MFA_NOT_ON, INVALID_CREDENTIALS, and with the
        codes of a login.
        """
        if principal.role in self._required:
            raise refuse("FORBIDDEN", "Your role needs a second factor.")
        user_id = UUID(bytes=principal.user_id)
        factor = await self._factors.find(user_id)
        if factor is None or not factor.confirmed:
            raise refuse("MFA_NOT_ON")

        async def shows_a_code() -> None:
            await self._use(user_id, factor, request.code, client)

        await self._confirmation.confirmed(principal, request.password, client, shows_a_code)
        await self._factors.remove(
            user_id,
            client,
            kept=principal.session_id,
            now=self._now(),
            entry_id=self._new_id(),
        )
        self._admission.forget({principal.user_id})
        return SecondFactorOff()

    async def _use(self, user_id: UUID, factor: Factor, code: str, client: Client) -> None:
        if is_recovery_code(code):
            good = await self._factors.use_recovery(
                user_id,
                recovery_digest(code),
                client,
                now=self._now(),
                entry_id=self._new_id(),
            )
        else:
            step = self._step_of(factor, code)
            good = step is not None and await self._factors.use_step(user_id, step, factor.sealed)
        if not good:
            raise refuse(FAILED, "The code is wrong.", reason=INVALID_CODE)

    def _step_of(self, factor: Factor, code: str) -> int | None:
        return matching_step(factor.secret, code, now_s=self._clock(), after=factor.last_step)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _challenge_ended() -> Refused:
    return refuse(FAILED, "Sign in with the password again.", reason=CHALLENGE_ENDED)
