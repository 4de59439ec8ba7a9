"""What admins do with accounts: list, change, promote, and read the audit log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec

from cinema.domain.paging import BY_MOMENT, Page, after, page
from cinema.domain.principal import MANAGER, STAFF, Principal
from cinema.domain.rejections import refuse
from cinema.domain.times import from_us, to_us
from cinema.features.accounts.admission import TokenAdmission
from cinema.features.accounts.audit_store import AuditFilter, AuditRepository
from cinema.features.accounts.shapes import (
    AdminUser,
    AuditQuery,
    AuditRow,
    Client,
    PromoteInput,
    UserPatch,
    UserQuery,
)
from cinema.features.accounts.totp_store import FactorsRepository
from cinema.features.accounts.user_store import NO_CINEMAS, Act, Seen, UserFilter, UsersRepository
from cinema.features.refusals import found, granted

_MOMENT: Final[Any] = Annotated[datetime, msgspec.Meta(tz=True)]


class UsersService:
    """Use cases of admins; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        users: UsersRepository,
        audit: AuditRepository,
        factors: FactorsRepository,
        admission: TokenAdmission,
        *,
        new_id: Callable[[], UUID],
        clock: Callable[[], float],
    ) -> None:
        self._users = users
        self._audit = audit
        self._factors = factors
        self._admission = admission
        self._new_id = new_id
        self._clock = clock

    async def users(self, query: UserQuery) -> Page[AdminUser]:
        """Accounts, newest first. Refuses VALIDATION_ERROR, RETRY."""
        wanted = UserFilter(
            text=None if query.q is None else query.q.strip().lower(),
            role=query.role,
            cinema_id=query.cinema_id,
        )
        rows = await self._users.list(wanted, _position(query.cursor), query.limit + 1)
        return page(rows, query.limit, lambda one: (to_us(one.created_at), UUID(one.id)))

    async def user(self, user_id: UUID) -> AdminUser:
        """An account. Refuses NOT_FOUND, RETRY."""
        return found(await self._users.find(user_id))

    async def promote(
        self,
        principal: Principal,
        user_id: UUID,
        request: PromoteInput,
        client: Client,
        seen: Seen = None,
    ) -> AdminUser:
        """Give an account a role and its cinemas; its sessions end at once.

        `seen` are the versions that it may have. Refuses NOT_FOUND, PRECONDITION_FAILED,
        UNKNOWN_REFERENCE, EMAIL_NOT_VERIFIED, and FORBIDDEN if it is the
        caller's own role. So there is always an admin left, also if several admins do this at the
        same time.
        """
        if principal.user_id == user_id.bytes:
            raise refuse("FORBIDDEN", "You cannot change your own role.")
        if request.cinema_ids and request.role not in {STAFF, MANAGER}:
            raise refuse("VALIDATION_ERROR", NO_CINEMAS, path="$.cinema_ids")
        act = self._act(principal, client)
        user = found(
            await self._users.set_role(user_id, request.role, request.cinema_ids, act, seen)
        )
        self._admission.forget({user_id.bytes})
        return user

    async def change(
        self,
        principal: Principal,
        user_id: UUID,
        request: UserPatch,
        client: Client,
        seen: Seen = None,
    ) -> AdminUser:
        """Disable or enable an account, give it other cinemas; see `promote`.

        Refuses NOT_FOUND, PRECONDITION_FAILED, VALIDATION_ERROR, UNKNOWN_REFERENCE, and FORBIDDEN
        if callers would disable themselves.
        """
        if request.disabled is not None and principal.user_id == user_id.bytes:
            raise refuse("FORBIDDEN", "You cannot disable your own account.")
        act = self._act(principal, client)
        changed = await self._users.change(
            user_id, act, seen, disabled=request.disabled, cinema_ids=request.cinema_ids
        )
        self._admission.forget({user_id.bytes})
        return found(changed)

    async def reset_factor(self, principal: Principal, user_id: UUID, client: Client) -> AdminUser:
        """Take somebody's authenticator off; their sessions end at once.

        Refuses NOT_FOUND, MFA_NOT_ON, and FORBIDDEN to who would take off their own, for which a
        code is needed.
        """
        if principal.user_id == user_id.bytes:
            raise refuse("FORBIDDEN", "Nobody resets their own second factor: replace it.")
        if not found(await self._factors.reset(user_id, self._act(principal, client))):
            raise refuse("MFA_NOT_ON")
        self._admission.forget({user_id.bytes})
        return found(await self._users.find(user_id))

    async def audit(self, query: AuditQuery) -> Page[AuditRow]:
        """Rows of the audit log, newest first. Refuses VALIDATION_ERROR, RETRY."""
        wanted = AuditFilter(
            actor_id=query.actor,
            target_id=query.target,
            action=query.action,
            since=_moment(query.since, "from"),
            until=_moment(query.until, "to"),
        )
        rows = await self._audit.list(wanted, _position(query.cursor), query.limit + 1)
        return page(rows, query.limit, lambda one: (to_us(one.at), one.id))

    def _act(self, principal: Principal, client: Client) -> Act:
        at = datetime.fromtimestamp(self._clock(), UTC)
        return Act(by=UUID(bytes=principal.user_id), at=at, client=client, entry_id=self._new_id())


def _moment(text: str | None, name: str) -> datetime | None:
    if text is None:
        return None
    try:
        moment: datetime = msgspec.convert(text, _MOMENT)
        # Near the first and the last year there are times that no UTC time is the same as.
        return moment.astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        raise refuse(
            "VALIDATION_ERROR", "This is not a time with an offset from UTC.", path=f"$.{name}"
        ) from None


def _position(cursor: str | None) -> tuple[datetime, UUID] | None:
    position = granted(after(cursor, BY_MOMENT))
    return None if position is None else (from_us(position[0]), position[1])
