"""Guests in Postgres: who they are, which account has claimed them, and their deletion."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.principal import TOKEN_REVOKED
from cinema.domain.rejections import refuse
from cinema.features.accounts.audit_store import AuditEntry, note
from cinema.features.accounts.guest_rules import LOOKED_AT_AFTER, GuestTimes
from cinema.features.accounts.shapes import Client, Guest
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    changing,
    connection,
    transaction,
)

_BEGIN: Final = """
insert into guests (id, created_at, expires_at, look_at) values ($1, $2, $3, $4)
"""

_RENEW: Final = """
update guests set expires_at = greatest(expires_at, $2), look_at = greatest(look_at, $3)
where id = $1 and ended_at is null and claimed_by is null
returning id, email, expires_at
"""

_FIND: Final = """
select id, email, expires_at from guests
where id = $1 and ended_at is null and claimed_by is null
"""

_END: Final = """
update guests set ended_at = $2 where id = $1 and ended_at is null and claimed_by is null
"""

# An address counts from the first booking on; before that it may have been a typing error.
_GIVE_EMAIL: Final = """
update guests set email = $2, email_key = $3
where id = $1 and ended_at is null and claimed_by is null
    and (email_key is null or email_key = $3
        or not exists (select from bookings where user_id = guests.id))
returning true
"""

# A shared lock, so that neither the address nor the account changes before this is written.
_CLAIMANT: Final = """
select email_key, email_verified from users
where id = $1 and disabled_at is null and deleted_at is null for share
"""

_GUEST: Final = """
select email_key, claimed_by from guests where id = $1 and ended_at is null for update
"""

_CLAIM: Final = """
update guests set claimed_by = $1, claimed_at = $4
where claimed_by is null and (email_key = $2 or id = $3)
returning id, (select count(*) from bookings where user_id = guests.id) as bookings
"""

# By their bookings; for a showtime that was deleted, the time of the booking counts.
_DUE: Final = """
select id, email is not null as has_email, (
    select max(coalesce(showtime.ends_at, booking.created_at))
    from bookings booking left join showtimes showtime on showtime.id = booking.showtime_id
    where booking.user_id = guests.id
) as last_at
from guests where look_at <= $1
order by look_at limit $2 for update skip locked
"""

_LOOK_AGAIN: Final = "update guests set look_at = $2 where id = $1"

_FORGET: Final = "delete from guests where id = $1"

# Of a guest only this remains: that somebody has booked, and which account has claimed it.
_ERASE: Final = (
    "delete from guest_orders where guest_id = $1",
    """
    delete from booking_notes
    where booking_id in (select id from bookings where user_id = $1)""",
    "update guests set email = null, email_key = null, look_at = null where id = $1",
)

ERASE_CLAIMED: Final = (
    "delete from guest_orders where guest_id in (select id from guests where claimed_by = $1)",
    "update guests set email = null, email_key = null where claimed_by = $1",
)
"""The statements that erase the guests of an account."""

# Who may still act keeps the address, and so does who needs the link to a coming booking: retention
# comes to them later. Otherwise a stranger who books with somebody's address could delay the
# erasure. Retention deletes guests without bookings; so they are due now.
ERASE_UNCLAIMED: Final = """
with theirs as (
    select id from guests
    where claimed_by is null and email_key = $1 and (ended_at is not null or expires_at <= $2)
        and not exists (
            select from bookings booking
            join showtimes showtime on showtime.id = booking.showtime_id
            where booking.user_id = guests.id and booking.status in ('pending', 'confirmed')
                and showtime.ends_at > $2
        )
    for update
), orders as (
    delete from guest_orders where guest_id in (select id from theirs)
), notes as (
    delete from booking_notes where booking_id in (
        select booking.id from bookings booking join theirs on theirs.id = booking.user_id
    )
)
update guests set email = null, email_key = null, look_at = $2
where id in (select id from theirs)
returning id
"""
"""Erases guests with the address of an account that have not been claimed and have ended."""


class ClaimedGuest(msgspec.Struct, frozen=True):
    """A guest that an account has claimed, and how many bookings it has."""

    guest_id: UUID
    bookings: int


class NotClaimed(msgspec.Struct, frozen=True):
    """Why nothing was claimed.

    `account`: it is gone or disabled; `unverified`: its address is; `gone`: the guest has ended or
    was claimed; `other_email`: the guest has another address.
    """

    reason: str


class GuestsRepository:
    """Guests; their holds and bookings have their ids as customers, as those of accounts do."""

    def __init__(self, pool: Pool, *, new_id: Callable[[], UUID], times: GuestTimes) -> None:
        self._pool = pool
        self._new_id = new_id
        self._times = times

    async def begin(self, guest_id: UUID, now: datetime, expires_at: datetime) -> Guest:
        """A new guest. Refuses RETRY, OUTCOME_UNKNOWN."""
        async with transaction(self._pool) as running:
            look_at = expires_at + LOOKED_AT_AFTER
            await running.execute(_BEGIN, guest_id, now, expires_at, look_at)
        return Guest(id=guest_id, expires_at=expires_at)

    async def renew(self, guest_id: UUID, expires_at: datetime) -> Guest | None:
        """Extend a guest until then; None if it has ended. Refuses RETRY."""
        async with changing(self._pool) as writing:
            row = await writing.fetchrow(_RENEW, guest_id, expires_at, expires_at + LOOKED_AT_AFTER)
        return _guest(row)

    async def find(self, guest_id: UUID) -> Guest | None:
        """A guest; None if it has ended or was claimed. Refuses RETRY."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_FIND, guest_id)
        return _guest(row)

    async def end(self, guest_id: UUID, now: datetime) -> None:
        """End a guest: its tokens become invalid. Refuses RETRY."""
        async with changing(self._pool) as writing:
            await writing.execute(_END, guest_id, now)

    async def claim(
        self, account: UUID, guest_id: UUID | None, client: Client, now: datetime
    ) -> list[ClaimedGuest] | NotClaimed:
        """Claim the guests with the address of an account, and the given one, for the account.

        Refuses RETRY, OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as running:
            claimant = await running.fetchrow(_CLAIMANT, account)
            if claimant is None:
                return NotClaimed("account")
            if not claimant["email_verified"]:
                return NotClaimed("unverified")
            key = claimant["email_key"]
            if guest_id is not None:
                guest = await running.fetchrow(_GUEST, guest_id)
                if guest is None or guest["claimed_by"] not in {None, account}:
                    return NotClaimed("gone")
                if guest["email_key"] not in {None, key}:
                    return NotClaimed("other_email")
            rows = await running.fetch(_CLAIM, account, key, guest_id, now)
            claimed = [ClaimedGuest(row["id"], row["bookings"]) for row in rows]
            for one in claimed:
                await self._note(
                    *(running, "guest_claimed", account, one.guest_id, client, now), one.bookings
                )
        return claimed

    async def forget_due(self, now: datetime, limit: int) -> int:
        """Delete the data of some guests that have ended; returns how many were checked.

        Guests without bookings are deleted. Of the others the address is deleted, some time after
        the last showtime that they booked. Nodes that run this at the same time take different
        rows.
        """
        async with transaction(self._pool) as running:
            rows = await running.fetch(_DUE, now, limit)
            for row in rows:
                guest_id, last_at = row["id"], row["last_at"]
                if last_at is None:
                    await running.execute(_FORGET, guest_id)
                elif now < last_at + self._times.kept:
                    await running.execute(_LOOK_AGAIN, guest_id, last_at + self._times.kept)
                else:
                    for statement in _ERASE:
                        await running.execute(statement, guest_id)
                    if row["has_email"]:
                        await self._note(running, "guest_erased", None, guest_id, Client(), now)
        return len(rows)

    async def _note(
        self,
        running: PooledConnection,
        action: str,
        actor: UUID | None,
        guest_id: UUID,
        client: Client,
        now: datetime,
        bookings: int | None = None,
    ) -> None:
        entry = AuditEntry(
            id=self._new_id(),
            at=now,
            action=action,
            actor_id=actor,
            target_id=guest_id,
            after={} if bookings is None else {"bookings": bookings},
        )
        await note(running, entry, client)


async def give_email(running: PooledConnection, guest_id: UUID, email: str, email_key: str) -> None:
    """Note a guest's address for mails. Refuses GUEST_HAS_EMAIL, UNAUTHENTICATED."""
    if await running.fetchval(_GIVE_EMAIL, guest_id, email, email_key):
        return
    if await running.fetchrow(_FIND, guest_id) is None:
        raise refuse("UNAUTHENTICATED", reason=TOKEN_REVOKED)
    raise refuse("GUEST_HAS_EMAIL")


def _guest(row: Record | None) -> Guest | None:
    if row is None:
        return None
    return Guest(id=row["id"], email=row["email"], expires_at=row["expires_at"])
