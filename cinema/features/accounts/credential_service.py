"""Passwords and e-mail addresses of accounts: forgotten, changed, verified, and changed back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from cinema.domain.principal import Principal
from cinema.domain.rejections import refuse
from cinema.features.accounts.admission import TokenAdmission
from cinema.features.accounts.confirmation import Confirmation
from cinema.features.accounts.link_rules import CHANGE, RESET, UNDO, VERIFY, digest_of_link
from cinema.features.accounts.link_store import LinksRepository, RequestedMail
from cinema.features.accounts.login_throttle import FAILED
from cinema.features.accounts.password_policy import check_password
from cinema.features.accounts.passwords import PasswordHasher
from cinema.features.accounts.shapes import (
    ChangeEmailInput,
    ChangePasswordInput,
    Client,
    MailRequested,
    ResetInput,
    SessionsEnded,
    User,
    email_key,
    tidy_email,
)
from cinema.features.accounts.store import Credentials
from cinema.features.accounts.throttles import Throttles
from cinema.features.accounts.totp_service import FactorsService

ADDRESS_PURPOSES: Final = (VERIFY, CHANGE, UNDO)
"""What a link about an address may be for; the page behind it need not know which."""


PASSWORD_CHANGE: Final = "password_change"  # noqa: S105  (a purpose, not a secret)
"""What the mails about changed passwords are counted as."""


class CredentialsService:
    """Use cases of passwords and addresses; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        confirmation: Confirmation,
        links: LinksRepository,
        hasher: PasswordHasher,
        throttles: Throttles,
        factors: FactorsService,
        admission: TokenAdmission,
        *,
        new_id: Callable[[], UUID],
        clock: Callable[[], float],
        asked: Callable[[], None],
    ) -> None:
        """`asked` wakes the job that prepares mails."""
        self._confirmation = confirmation
        self._links = links
        self._hasher = hasher
        self._throttles = throttles
        self._factors = factors
        self._admission = admission
        self._new_id = new_id
        self._clock = clock
        self._asked = asked

    async def forgot_password(self, email: str, client: Client) -> MailRequested:
        """Send a link to set a new password, if there is an account.

        Refuses VALIDATION_ERROR, RATE_LIMITED, RETRY. Refusals do not depend on the account, which
        is looked up after the answer.
        """
        return await self._ask(RESET, email, client)

    async def resend_verification(self, email: str, client: Client) -> MailRequested:
        """Send another link to verify an address, if it is not verified yet."""
        return await self._ask(VERIFY, email, client)

    async def reset_password(self, request: ResetInput, client: Client) -> SessionsEnded:
        """Set a new password with a link, and end all sessions.

        Refuses INVALID_LINK, VALIDATION_ERROR, OVERLOADED, RETRY, OUTCOME_UNKNOWN.
        """
        digest = digest_of_link(RESET, request.token)
        link = await self._links.look([digest], self._now())
        if link is None:
            raise refuse("INVALID_LINK")
        check_password(request.new_password, link.email, path="$.new_password")
        hashed = await self._hasher.hash(request.new_password, client.address, client.has_left)
        done = await self._links.reset_password(digest, hashed, client, self._now())
        if done is None:
            raise refuse("INVALID_LINK")
        self._admission.forget({link.user_id.bytes})
        return SessionsEnded(ended=done[1])

    async def change_password(
        self, principal: Principal, request: ChangePasswordInput, client: Client
    ) -> SessionsEnded:
        """Set a new password, and end all other sessions.

        Each change sends a mail, so it counts as one that was asked for. Refuses
        INVALID_CREDENTIALS, RATE_LIMITED, VALIDATION_ERROR, OVERLOADED, RETRY, OUTCOME_UNKNOWN.
        """
        known = await self._confirmation.confirmed(principal, request.current_password, client)
        check_password(request.new_password, known.user.email, path="$.new_password")
        hashed = await self._hasher.hash(request.new_password, client.address, client.has_left)
        async with self._throttles.mail_request(PASSWORD_CHANGE, known.user.email, client.address):
            ended = _changed(
                await self._links.change_password(
                    UUID(bytes=principal.user_id),
                    hashed,
                    known.password_version,
                    client,
                    self._now(),
                    kept=UUID(bytes=principal.session_id),
                )
            )
        self._admission.forget({principal.user_id})
        return SessionsEnded(ended=ended)

    async def change_email(
        self, principal: Principal, request: ChangeEmailInput, client: Client
    ) -> MailRequested:
        """Send a link to a new address; using the link changes the address.

        Refuses INVALID_CREDENTIALS, FORBIDDEN to those whose role needs a second factor that they
        do not have, VALIDATION_ERROR, RATE_LIMITED, OVERLOADED, RETRY. The answer is the same for
        an address that already has an account; it gets no mail.
        """
        known = await self._confirmation.confirmed(principal, request.password, client)
        await self._factors.require(known.user)
        return await self._ask(CHANGE, request.email, client, known)

    async def use_address_link(self, token: str, client: Client) -> User:
        """Verify, change or restore an e-mail address with a link.

        Refuses INVALID_LINK, EMAIL_TAKEN, RETRY, OUTCOME_UNKNOWN.
        """
        digests = [digest_of_link(purpose, token) for purpose in ADDRESS_PURPOSES]
        link = await self._links.look(digests, self._now())
        if link is None:
            raise refuse("INVALID_LINK")
        user = await self._links.use_address_link(digests, client, self._now())
        if user is None:
            raise refuse("INVALID_LINK")
        self._admission.forget({link.user_id.bytes})
        return user

    async def _ask(
        self, purpose: str, email: str, client: Client, known: Credentials | None = None
    ) -> MailRequested:
        unique = email_key(email)
        if unique is None:
            raise refuse("VALIDATION_ERROR", "This is not an e-mail address.", path="$.email")
        asked = RequestedMail(
            id=self._new_id(),
            purpose=purpose,
            email=tidy_email(email),
            email_key=unique,
            user_id=None if known is None else UUID(known.user.id),
            password_version=None if known is None else known.password_version,
            at=self._now(),
        )
        async with self._throttles.mail_request(purpose, email, client.address):
            await self._links.ask(asked)
        self._asked()
        return MailRequested()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _changed(ended: int | None) -> int:
    """How many sessions a change ended; None if another request has changed the password first."""
    if ended is None:
        raise refuse(FAILED)
    return ended
