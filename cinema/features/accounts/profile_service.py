"""Changes that people make to their own account, and its deletion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from cinema.domain.principal import ADMIN, Principal
from cinema.domain.rejections import refuse
from cinema.features.accounts.admission import TokenAdmission
from cinema.features.accounts.confirmation import Confirmation
from cinema.features.accounts.erasure_store import ErasureRepository, StillOpen
from cinema.features.accounts.session_store import Unproven
from cinema.features.accounts.shapes import Client, DeleteInput, Deletion, ProfilePatch, User
from cinema.features.accounts.store import AccountsRepository
from cinema.features.accounts.totp_service import FactorsService, unproven
from cinema.features.refusals import found

STILL_OPEN: Final[Mapping[str, str]] = {
    "payment": "A payment of yours is not finished yet: wait until it is.",
    "refund": "A refund to you is still open: wait until you have the money.",
}
"""What else than a coming booking an account has to stay for, as people are told."""


class ProfileService:
    """Use cases of the caller's own account; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        accounts: AccountsRepository,
        erasure: ErasureRepository,
        confirmation: Confirmation,
        factors: FactorsService,
        admission: TokenAdmission,
        *,
        grace_s: int,
        clock: Callable[[], float],
    ) -> None:
        self._accounts = accounts
        self._erasure = erasure
        self._confirmation = confirmation
        self._factors = factors
        self._admission = admission
        self._grace_s = grace_s
        self._clock = clock

    async def change(self, principal: Principal, request: ProfilePatch) -> User:
        """Change name and language; missing fields stay. Refuses NOT_FOUND, RETRY."""
        changed = await self._accounts.change_profile(
            UUID(bytes=principal.user_id),
            first_name=None if request.first_name is None else request.first_name.strip(),
            last_name=None if request.last_name is None else request.last_name.strip(),
            language=request.language,
            now=self._now(),
        )
        return found(changed)

    async def delete(self, principal: Principal, request: DeleteInput, client: Client) -> Deletion:
        """Erase the account after the grace period, and end its sessions now.

        Refuses INVALID_CREDENTIALS, MFA_REQUIRED, FORBIDDEN to admins and to those whose role needs
        a second factor that they do not have, BOOKING_AHEAD, and with the codes of a login.
        """
        user_id = UUID(bytes=principal.user_id)
        # Not the role of the principal: without a second factor that may be less.
        user = found(await self._accounts.find_user(user_id))
        if user.role == ADMIN:
            raise refuse("FORBIDDEN", "Another admin has to take your role away first.")
        await self._factors.require(user)
        now = self._now()
        erase_at = now + timedelta(seconds=self._grace_s)

        async def scheduled() -> None:
            proof = await self._factors.needed(user_id, request.code, client)
            done = found(await self._erasure.schedule(user_id, erase_at, client, now, proof))
            if isinstance(done, Unproven):
                raise unproven(done.reason)
            if isinstance(done, StillOpen):
                raise refuse("BOOKING_AHEAD", STILL_OPEN.get(done.what, ""), reason=done.what)

        await self._confirmation.confirmed(principal, request.password, client, scheduled)
        self._admission.forget({principal.user_id})
        return Deletion(erase_at=erase_at)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)
