"""Guests: people who buy without an account, for a day or as long as they hold seats."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from cinema.domain.principal import (
    GUEST,
    TOKEN_EXPIRED,
    TOKEN_REVOKED,
    InvalidToken,
    Principal,
)
from cinema.domain.rejections import refuse
from cinema.features.accounts.admission import TokenAdmission
from cinema.features.accounts.guest_store import GuestsRepository, NotClaimed
from cinema.features.accounts.shapes import (
    Claim,
    ClaimInput,
    Client,
    Guest,
    GuestEnded,
    GuestToken,
)
from cinema.features.accounts.throttles import Throttles
from cinema.features.accounts.tokens import TokenIssuer, TokenVerifier

_REFUSALS = {"unverified": "EMAIL_NOT_VERIFIED", "gone": "GUEST_ENDED"}
_REFUSALS |= {"account": "NOT_FOUND", "other_email": "GUEST_HAS_EMAIL"}


class GuestsService:
    """Use cases of guests; each refuses with a code of `docs/errors.md`.

    `unpaid_seats` gives the number of seats that a customer holds, as far as this node knows.
    """

    def __init__(
        self,
        guests: GuestsRepository,
        issuer: TokenIssuer,
        verifier: TokenVerifier,
        admission: TokenAdmission,
        throttles: Throttles,
        *,
        unpaid_seats: Callable[[bytes], int],
        new_id: Callable[[], UUID],
        clock: Callable[[], float],
    ) -> None:
        self._guests = guests
        self._issuer = issuer
        self._verifier = verifier
        self._admission = admission
        self._throttles = throttles
        self._unpaid_seats = unpaid_seats
        self._new_id = new_id
        self._clock = clock

    async def begin(self, client: Client) -> GuestToken:
        """A new guest. Refuses RATE_LIMITED, RETRY, OUTCOME_UNKNOWN."""
        async with self._throttles.guest_start(client.address):
            now = self._now()
            guest_id = self._new_id()
            return self._signed_in(await self._guests.begin(guest_id, now, self._end(now)))

    async def renew(self, principal: Principal) -> GuestToken:
        """Another token of a guest; it lives for another day only if the guest holds seats.

        Refuses UNAUTHENTICATED, RATE_LIMITED, RETRY.
        """
        await self._throttles.count_write(principal)
        guest_id = UUID(bytes=principal.user_id)
        if self._unpaid_seats(principal.user_id):
            guest = await self._guests.renew(guest_id, self._end(self._now()))
        else:
            guest = await self._guests.find(guest_id)
        if guest is None:
            raise refuse("UNAUTHENTICATED", reason=TOKEN_REVOKED)
        return self._signed_in(guest)

    async def end(self, principal: Principal) -> GuestEnded:
        """End the caller's tokens; bookings stay, holds expire. Refuses RETRY."""
        await self._guests.end(UUID(bytes=principal.user_id), self._now())
        self._admission.forget({principal.user_id})
        return GuestEnded()

    async def claim(self, principal: Principal, request: ClaimInput, client: Client) -> Claim:
        """Claim guests for the caller: those with the account's address, and the token's guest.

        Refuses EMAIL_NOT_VERIFIED, GUEST_ENDED, GUEST_HAS_EMAIL, NOT_FOUND, RETRY,
        OUTCOME_UNKNOWN.
        """
        guest_id = None if request.guest_token is None else self._guest_of(request.guest_token)
        account = UUID(bytes=principal.user_id)
        claimed = await self._guests.claim(account, guest_id, client, self._now())
        if isinstance(claimed, NotClaimed):
            raise refuse(_REFUSALS[claimed.reason])
        self._admission.forget({principal.user_id, *(one.guest_id.bytes for one in claimed)})
        return Claim(guests=len(claimed), bookings=sum(one.bookings for one in claimed))

    def _guest_of(self, token: str) -> UUID:
        try:
            shown = self._verifier.verify(token)
        except InvalidToken:
            raise refuse("GUEST_ENDED") from None
        if shown.role != GUEST:
            raise refuse("GUEST_ENDED")
        return UUID(bytes=shown.user_id)

    def _signed_in(self, guest: Guest) -> GuestToken:
        """A token for the rest of the guest's time."""
        left_s = math.floor(guest.expires_at.timestamp() - self._clock())
        if left_s <= 0:
            raise refuse("UNAUTHENTICATED", reason=TOKEN_EXPIRED)
        token = self._issuer.issue(
            user_id=guest.id.bytes, role=GUEST, session_id=guest.id.bytes, longest_s=left_s
        )
        return GuestToken(guest=guest, access_token=token.text, expires_in=token.expires_in_s)

    def _end(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self._issuer.ttl_s)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)
