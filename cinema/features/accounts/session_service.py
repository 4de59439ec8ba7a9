"""Sessions: a sign-in opens one, refresh tokens keep it open, and it can be ended from anywhere."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, assert_never
from uuid import UUID

import structlog

from cinema.domain.ids import format_id
from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused, refuse
from cinema.features.accounts.admission import TokenAdmission
from cinema.features.accounts.refresh_tokens import Presented, RefreshTokens
from cinema.features.accounts.session_rules import (
    REFRESH_INVALID,
    REFRESH_REUSED,
    Family,
    Repeat,
    Reuse,
    Rotate,
    SessionOver,
    SessionTimes,
    Step,
    TooFast,
    use_token,
)
from cinema.features.accounts.session_store import (
    NewSession,
    Proof,
    SessionsRepository,
    Unproven,
)
from cinema.features.accounts.shapes import Client, Session, SessionsEnded, SignedIn, User
from cinema.features.accounts.throttles import Throttles, address_digest
from cinema.features.accounts.tokens import TokenIssuer

SESSION_REUSED: Final = "session_reused"

NO_REFRESH_TOKEN: Final = "NO_REFRESH_TOKEN"  # noqa: S105  (a code, not a secret)

log = structlog.get_logger(__name__)


class SessionsService:
    """Use cases of sessions; each refuses with a code of `docs/errors.md`.

    `clock` should show the same time on all nodes.
    """

    def __init__(
        self,
        sessions: SessionsRepository,
        tokens: RefreshTokens,
        issuer: TokenIssuer,
        admission: TokenAdmission,
        throttles: Throttles,
        times: SessionTimes,
        *,
        new_id: Callable[[], UUID],
        clock: Callable[[], float],
    ) -> None:
        self._sessions = sessions
        self._tokens = tokens
        self._issuer = issuer
        self._admission = admission
        self._throttles = throttles
        self._times = times
        self._new_id = new_id
        self._clock = clock
        self.refreshes: Counter[str] = Counter(rotated=0, repeated=0, reused=0, refused=0)

    async def open(
        self, user_id: UUID, password_version: int, client: Client, proof: Proof | None = None
    ) -> SignedIn | Unproven | None:
        """A new session; None if the account has another password now, or may not sign in.

        Refuses RETRY, OUTCOME_UNKNOWN.
        """
        now = self._now()
        secret = self._tokens.new_secret()
        new = NewSession(
            id=self._new_id(),
            user_id=user_id,
            opened_at=now,
            expires_at=self._times.end(now, now),
            secret=secret,
            password_version=password_version,
            entry_id=self._new_id(),
        )
        user = await self._sessions.open(new, client, proof)
        if not isinstance(user, User):
            return user
        return self._signed_in(user, new.id, secret, now=now, expires_at=new.expires_at)

    async def refresh(self, token: str, client: Client) -> SignedIn:
        """A new access token, and the next refresh token.

        Refuses UNAUTHENTICATED (`details.reason`), RATE_LIMITED, RETRY, OUTCOME_UNKNOWN. Repeated
        within the grace, it gives the same refresh token again; later it ends the session.
        """
        presented = await self._counted(token, client)
        session_id, now = UUID(bytes=presented.session_id), self._now()

        def decide(family: Family) -> Step:
            lines = self._tokens.lines(presented.secret, len(family.rotations))
            return use_token(family, presented.secret, lines, now, self._times)

        used = await self._sessions.use(
            session_id, decide, client, now=now, entry_id=self._new_id()
        )
        if used is None:
            raise self._refusal(REFRESH_INVALID)
        match used.step:
            case Rotate(successor=successor):
                self.refreshes["rotated"] += 1
            case Repeat(successor=successor):
                self.refreshes["repeated"] += 1
            case Reuse():
                self.refreshes["reused"] += 1
                user_id = _raw(used.user.id)
                self._admission.forget({user_id})
                log.warning(SESSION_REUSED, principal_id=used.user.id, address=client.address)
                raise refuse("UNAUTHENTICATED", reason=REFRESH_REUSED)
            case TooFast(retry_after_s=retry_after_s):
                kind = self._throttles.refresh_session.namespace
                raise self._throttles.refusal(kind, retry_after_s)
            case SessionOver(reason=reason):
                raise self._refusal(reason)
            case never:
                assert_never(never)
        return self._signed_in(
            used.user, session_id, successor, now=now, expires_at=used.expires_at
        )

    async def log_out(self, principal: Principal | None, token: str) -> SessionsEnded:
        """End the session of an access token, and that of a refresh token. Refuses RETRY.

        An invalid token ends nothing and is not an error, because the client is signed out anyway.
        """
        ended = 0
        now = self._now()
        if principal is not None:
            ended += await self._sessions.end(
                UUID(bytes=principal.session_id), UUID(bytes=principal.user_id), now
            )
            self._admission.forget({principal.user_id})
        presented = self._tokens.read(token)
        if presented is not None:
            owner = await self._sessions.end_presented(UUID(bytes=presented.session_id), now)
            if owner is not None:
                ended += 1
                self._admission.forget({owner.bytes})
        return SessionsEnded(ended=ended)

    async def log_out_everywhere(self, principal: Principal) -> SessionsEnded:
        """End all sessions of the caller. Refuses RETRY."""
        ended = await self._sessions.end_all(UUID(bytes=principal.user_id), self._now())
        self._admission.forget({principal.user_id})
        return SessionsEnded(ended=ended)

    async def sessions(self, principal: Principal) -> list[Session]:
        """The caller's sessions, newest first. Refuses RETRY."""
        return await self._sessions.live(
            UUID(bytes=principal.user_id), UUID(bytes=principal.session_id), self._now()
        )

    async def end(self, principal: Principal, session_id: UUID) -> SessionsEnded:
        """End one of the caller's sessions. Refuses NOT_FOUND, RETRY."""
        if not await self._sessions.end(session_id, UUID(bytes=principal.user_id), self._now()):
            raise refuse("NOT_FOUND")
        self._admission.forget({principal.user_id})
        return SessionsEnded(ended=1)

    async def _counted(self, token: str, client: Client) -> Presented:
        """Read a token. Each use counts for its session; an invalid token for the address."""
        presented = self._tokens.read(token)
        if presented is not None:
            await self._throttles.count(
                self._throttles.refresh_session, format_id(presented.session_id)
            )
            return presented
        await self._throttles.count(self._throttles.refresh_address, address_digest(client.address))
        raise self._refusal(REFRESH_INVALID if token else NO_REFRESH_TOKEN)

    def _refusal(self, reason: str) -> Refused:
        self.refreshes["refused"] += 1
        return refuse("UNAUTHENTICATED", reason=reason)

    def _signed_in(
        self, user: User, session_id: UUID, secret: bytes, *, now: datetime, expires_at: datetime
    ) -> SignedIn:
        """Tokens for a session; neither is valid after the session's end."""
        left_s = math.floor((expires_at - now).total_seconds())
        access = self._issuer.issue(
            user_id=_raw(user.id), role=user.role, session_id=session_id.bytes, longest_s=left_s
        )
        return SignedIn(
            user=user,
            access_token=access.text,
            expires_in=access.expires_in_s,
            refresh_token=self._tokens.token(session_id.bytes, secret),
            refresh_expires_in=left_s,
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _raw(own_id: str) -> bytes:
    return UUID(own_id).bytes
