"""Wait lists for one caller: join, look, leave; and the whole list for staff."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from cinema.actors.asking import NOT_FOUND, command_key, refusal_of
from cinema.actors.dispatch import Dispatch
from cinema.actors.messages import (
    Accepted,
    EntrySeen,
    HoldSeen,
    Outcome,
    ReadWaitlist,
    WaitlistSeen,
)
from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.principal import Principal
from cinema.domain.rejections import refuse
from cinema.domain.showtime.commands import JoinWaitlist, LeaveWaitlist
from cinema.domain.showtime.events import WaitlistJoined, WaitlistLeft
from cinema.domain.showtime.state import HoldStatus
from cinema.domain.times import from_us
from cinema.features.accounts.authority import serves
from cinema.features.refusals import granted
from cinema.features.seats.service import UnpaidLimits, hold_of
from cinema.features.waitlist.shapes import (
    ListedEntry,
    WaitlistEnded,
    WaitlistEntry,
    WaitlistInput,
)


class WaitlistService:
    """Use cases of wait lists; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self, dispatch: Dispatch, *, unpaid: UnpaidLimits, next_id: Callable[[], bytes]
    ) -> None:
        self._dispatch = dispatch
        self._unpaid = unpaid
        self._next_id = next_id

    async def join(
        self, showtime_id: UUID, by: Principal, request: WaitlistInput, key: IdempotencyKey | None
    ) -> WaitlistEntry:
        """Begin to wait, behind all others.

        Who waits is a customer, also staff. Refuses what a showtime refuses.
        """
        entry_id = self._next_id()
        command_id, fingerprint = command_key(key)
        limits = self._unpaid
        command = JoinWaitlist(
            command_id=command_id,
            fingerprint=fingerprint,
            entry_id=entry_id,
            customer=by.user_id,
            quantity=request.quantity,
            category=request.category,
            accessible=request.accessible,
            together=request.together,
            unpaid_limit=(
                limits.unpaid_seats_per_customer
                if by.verified
                else limits.unpaid_seats_per_unverified
            ),
        )
        outcome = await self._dispatch.ask(showtime_id.bytes, command)
        accepted = granted(outcome if isinstance(outcome, Accepted) else refusal_of(outcome))
        event = accepted.event
        assert isinstance(event, WaitlistJoined)
        return WaitlistEntry(
            id=UUID(bytes=event.entry_id),
            showtime_id=showtime_id,
            status="waiting",
            position=event.position,
            quantity=event.quantity,
            category=event.category,
            accessible=event.accessible,
            together=event.together,
            joined_at=from_us(accepted.at_us),
            offer=None,
        )

    async def own(self, showtime_id: UUID, by: Principal) -> WaitlistEntry:
        """The caller's place, or the offer that came of it. Refuses NOT_FOUND."""
        query = ReadWaitlist(customer=by.user_id, guests=by.guest_ids)
        seen = await self._read(showtime_id, query)
        if not seen.entries:
            raise refuse("NOT_FOUND", "You do not wait for seats of this showtime.")
        # Those whom the caller was as a guest may wait too: what was offered counts first.
        entry = max(seen.entries, key=lambda one: one.offer is not None)
        return WaitlistEntry(**_fields(showtime_id, seen, entry))

    async def leave(
        self, showtime_id: UUID, by: Principal, key: IdempotencyKey | None
    ) -> WaitlistEnded:
        """Wait no longer. Refuses NOT_FOUND, also for who was offered seats already."""
        command_id, fingerprint = command_key(key)
        outcome: Outcome = NOT_FOUND
        for customer in (by.user_id, *by.guest_ids):
            command = LeaveWaitlist(
                command_id=command_id, fingerprint=fingerprint, customer=customer
            )
            outcome = await self._dispatch.ask(showtime_id.bytes, command)
            if outcome != NOT_FOUND:
                break
        accepted = granted(outcome if isinstance(outcome, Accepted) else refusal_of(outcome))
        event = accepted.event
        assert isinstance(event, WaitlistLeft)
        return WaitlistEnded(id=UUID(bytes=event.entry_id), showtime_id=showtime_id, status="left")

    async def all(self, showtime_id: UUID, by: Principal) -> list[ListedEntry]:
        """Who waits, in order, and then open offers. Refuses NOT_FOUND, FORBIDDEN."""
        seen = await self._read(showtime_id, ReadWaitlist())
        if not serves(by, UUID(bytes=seen.terms.cinema_id)):
            raise refuse("FORBIDDEN", "You do not work at this cinema.")
        return [
            ListedEntry(**_fields(showtime_id, seen, entry), customer_id=UUID(bytes=entry.customer))
            for entry in seen.entries
        ]

    async def _read(self, showtime_id: UUID, query: ReadWaitlist) -> WaitlistSeen:
        outcome = await self._dispatch.ask(showtime_id.bytes, query)
        return granted(outcome if isinstance(outcome, WaitlistSeen) else refusal_of(outcome))


def _fields(showtime_id: UUID, seen: WaitlistSeen, entry: EntrySeen) -> dict[str, Any]:
    offer = None
    if entry.offer is not None:
        status: HoldStatus = "paying" if entry.is_paying else "active"
        held = HoldSeen(entry.entry_id, status, entry.offer, seen.epoch, seen.seq, seen.terms)
        offer = granted(hold_of(held))
    return {
        "id": UUID(bytes=entry.entry_id),
        "showtime_id": showtime_id,
        "status": "waiting" if offer is None else "offered",
        "position": entry.position or None,
        "quantity": entry.quantity,
        "category": entry.category,
        "accessible": entry.accessible,
        "together": entry.together,
        "joined_at": from_us(entry.joined_at_us),
        "offer": offer,
    }
