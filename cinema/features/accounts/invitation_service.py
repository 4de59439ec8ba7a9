"""Invitations: an admin sends one, and the person who receives it makes an account with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from cinema.domain.principal import MANAGER, STAFF, Principal
from cinema.domain.rejections import refuse
from cinema.features.accounts.invitation_store import (
    InvitationsRepository,
    Invited,
    NewInvitation,
)
from cinema.features.accounts.link_rules import INVITATION, Links, LinkTimes, digest_of_link
from cinema.features.accounts.login_throttle import FAILED, LoginThrottle
from cinema.features.accounts.password_policy import check_password
from cinema.features.accounts.passwords import PasswordHasher
from cinema.features.accounts.session_service import SessionsService
from cinema.features.accounts.shapes import (
    AcceptInput,
    Client,
    Invitation,
    InvitationInput,
    SignedIn,
    email_key,
    tidy_email,
)
from cinema.features.accounts.user_store import NO_CINEMAS, Act


class InvitationsService:
    """Use cases of invitations; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        invitations: InvitationsRepository,
        links: Links,
        times: LinkTimes,
        hasher: PasswordHasher,
        sessions: SessionsService,
        logins: LoginThrottle,
        *,
        new_id: Callable[[], UUID],
        clock: Callable[[], float],
    ) -> None:
        self._invitations = invitations
        self._links = links
        self._times = times
        self._hasher = hasher
        self._sessions = sessions
        self._logins = logins
        self._new_id = new_id
        self._clock = clock

    async def invite(
        self, principal: Principal, request: InvitationInput, client: Client
    ) -> Invitation:
        """Send a link to an account; an earlier link to that address becomes invalid.

        Refuses VALIDATION_ERROR, EMAIL_TAKEN, UNKNOWN_REFERENCE, RETRY, OUTCOME_UNKNOWN.
        """
        unique = email_key(request.email)
        if unique is None:
            raise refuse("VALIDATION_ERROR", "This is not an e-mail address.", path="$.email")
        if request.cinema_ids and request.role not in {STAFF, MANAGER}:
            raise refuse("VALIDATION_ERROR", NO_CINEMAS, path="$.cinema_ids")
        now = self._now()
        new = NewInvitation(
            link=self._links.make(INVITATION),
            email=tidy_email(request.email),
            email_key=unique,
            role=request.role,
            cinema_ids=request.cinema_ids,
            expires_at=self._times.end(INVITATION, now),
        )
        act = Act(by=UUID(bytes=principal.user_id), at=now, client=client, entry_id=self._new_id())
        await self._invitations.invite(new, act)
        return Invitation(
            email=new.email,
            role=new.role,
            cinema_ids=request.cinema_ids,
            expires_at=new.expires_at,
        )

    async def accept(self, request: AcceptInput, client: Client) -> SignedIn:
        """Make the account and sign in to it; the link proves its address.

        Refuses INVALID_LINK, VALIDATION_ERROR, EMAIL_TAKEN, OVERLOADED, RETRY, OUTCOME_UNKNOWN,
        and INVALID_CREDENTIALS if an admin disables the account before it is signed in to.
        """
        digest = digest_of_link(INVITATION, request.token)
        email = await self._invitations.email_of(digest, self._now())
        if email is None:
            raise refuse("INVALID_LINK")
        check_password(request.password, email)
        invited = Invited(
            id=self._new_id(),
            password_hash=await self._hasher.hash(
                request.password, client.address, client.has_left
            ),
            first_name=request.first_name.strip(),
            last_name=request.last_name.strip(),
        )
        user = await self._invitations.accept(
            digest, invited, client, now=self._now(), entry_id=self._new_id()
        )
        if user is None:
            raise refuse("INVALID_LINK")
        signed_in = await self._sessions.open(UUID(user.id), 0, client)
        if not isinstance(signed_in, SignedIn):
            raise refuse(FAILED)
        await self._logins.remember(email, client.address)
        return signed_in

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)
