"""Deleting an account: the request, and the erasure; a session that opens cancels it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec

from cinema.features.accounts.audit_store import AuditEntry, note
from cinema.features.accounts.export_revocation import revoke_exports
from cinema.features.accounts.guest_store import ERASE_CLAIMED, ERASE_UNCLAIMED
from cinema.features.accounts.letters import DELETION_SCHEDULED, AccountLetter, Post
from cinema.features.accounts.passwords import NO_PASSWORD
from cinema.features.accounts.session_store import END_ALL_SESSIONS, Proof, Unproven
from cinema.features.accounts.shapes import Client
from cinema.features.accounts.throttles import account_digest
from cinema.storage.database.locks import ISSUING_LOCK
from cinema.storage.database.transactions import Pool, PooledConnection, transaction

_THEIRS: Final = """
(booking.user_id = users.id
    or booking.user_id in (select id from guests where claimed_by = users.id))
"""
# Money that has come and is not settled yet buys seats, or goes back.
_STILL_OPEN: Final = f"""
case
    when exists (
        select from bookings booking
        left join showtimes showtime on showtime.id = booking.showtime_id
        where booking.status in ('pending', 'confirmed') and {_THEIRS}
            and coalesce(showtime.ends_at > $1, false)
    ) then 'booking'
    when exists (
        select from bookings booking join payments payment on payment.booking_id = booking.id
        where {_THEIRS} and (
            (booking.status = 'pending' and payment.status in ('created', 'pending'))
            or exists (
                select from stripe_tasks task
                where task.kind = 'settle' and task.name = payment.id::text
                    and task.ended_at is null
            )
        )
    ) then 'payment'
    when exists (
        select from bookings booking join refunds refund on refund.booking_id = booking.id
        where {_THEIRS} and refund.status in ('pending', 'at_counter', 'failed')
    ) then 'refund'
    when exists (
        select from gift_card_orders card_order
        where card_order.buyer_id = users.id and card_order.status = 'open'
    ) then 'payment'
    when exists (
        select from gift_card_orders card_order
        where card_order.buyer_id = users.id
            and card_order.status in ('refunding', 'refund_failed')
    ) then 'refund'
end
"""  # noqa: S608  (a constant of this module)

# What is begun at the same time may be missed here; the erasure itself checks again.
_LOCK: Final = f"""
select email, first_name, language, {_STILL_OPEN} as still_open from users
where id = $2 and deleted_at is null for update
"""  # noqa: S608  (columns named above)

_SCHEDULE: Final = "update users set erase_at = $2, updated_at = $3, updated_by = $1 where id = $1"

_DUE: Final = f"""
select id, email, email_key, email_verified, created_at from users
where erase_at <= $1 and {_STILL_OPEN} is null
order by erase_at limit $2 for update skip locked
"""  # noqa: S608

# The row stays because other rows refer to it, but nothing in it tells who it was.
_ERASE: Final = """
update users set email = 'erased-' || id::text || '@invalid',
    email_key = 'erased-' || id::text || '@invalid',
    password_hash = $3, password_version = password_version + 1, first_name = '', last_name = '',
    email_verified = false, role = 'customer', disabled_at = coalesce(disabled_at, $2),
    deleted_at = $2, deleted_by = $1, updated_at = $2, updated_by = $1, erase_at = null
where id = $1
"""

# To the address, and to those that it had before. What others may wait for at such an address is
# left to be sent: it need not have been proven.
_FORGET_MAILS: Final = """
delete from messages
where created_at >= $3 and (status <> 'waiting' or kind like 'account\\_%')
    and (recipient = $2 or recipient in (
        select email from account_links
        where user_id = $1 and (purpose = 'email_undo' or used_at is not null)
    ))
"""

_FORGET: Final = (
    "delete from sessions where user_id = $1",
    "delete from account_links where user_id = $1",
    "delete from link_requests where user_id = $1",
    "delete from totp_factors where user_id = $1",
    "delete from login_challenges where user_id = $1",
    "delete from cinema_managers where user_id = $1",
    "delete from reviews where user_id = $1",
    "delete from review_reports where user_id = $1",
    "delete from recommendation_preferences where user_id = $1",
    "delete from recommendation_feedback where user_id = $1",
    """
    delete from recommendation_exposures
    where user_id = $1 or user_id in (select id from guests where claimed_by = $1)""",
    """
    delete from recommendation_events
    where user_id = $1 or user_id in (select id from guests where claimed_by = $1)""",
    # Whoever is to get a card gets it now, if somebody has paid it.
    """
    update gift_card_orders set deliver_at = now(), due_at = now()
    where buyer_id = $1 and status = 'paid' and delivered_at is null and due_at is not null""",
    """
    update gift_card_orders
    set recipient_email = '', recipient_name = '', sender_name = '', message = '',
        forgotten_at = now()
    where buyer_id = $1 and (status <> 'paid' or delivered_at is not null)""",
    """
    delete from waiting_places
    where customer_id = $1 or customer_id in (select id from guests where claimed_by = $1)""",
    """
    delete from booking_notes where booking_id in (
        select id from bookings
        where user_id = $1 or user_id in (select id from guests where claimed_by = $1)
    )""",
)
"""Rows that belong to the account alone."""

_GUESTS: Final = "select id from guests where claimed_by = $1"
_FORGET_BILLING: Final = """
delete from booking_billing
where booking_id in (select id from bookings where user_id = any($1))"""
# A document for a business has to name it as long as documents are kept.
_REPLACE_BUYERS: Final = """
update invoices set content = without_buyer(content)
where booking_id in (select id from bookings where user_id = any($1))
    and coalesce(content::json -> 'buyer' ->> 'tax_number', '') = ''"""
# A document that is being made has the name of before.
_AWAIT_DOCUMENTS: Final = "select pg_advisory_xact_lock_shared($1)"

_FORGET_ADDRESSES: Final = "delete from login_addresses where account = $1"

_FORGET_KEYS: Final = (
    "delete from account_links where email_key = $1",
    "delete from link_requests where email_key = $1",
)
"""What somebody else has begun with the address: an invitation, a mail that was asked for."""


class StillOpen(msgspec.Struct, frozen=True):
    """What an account still has to stay for: a `booking`, a `payment` or a `refund`."""

    what: str


class ErasureRepository:
    """Accounts that their owners delete."""

    def __init__(self, pool: Pool, post: Post, *, new_id: Callable[[], UUID]) -> None:
        self._pool = pool
        self._post = post
        self._new_id = new_id

    async def schedule(
        self,
        user_id: UUID,
        erase_at: datetime,
        client: Client,
        now: datetime,
        proof: Proof | None = None,
    ) -> Literal[True] | StillOpen | Unproven | None:
        """Note when to erase an account, and end its sessions now.

        None if there is no such account. Refuses RETRY, OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as running:
            row = await running.fetchrow(_LOCK, now, user_id)
            if row is None:
                return None
            if row["still_open"] is not None:
                return StillOpen(row["still_open"])
            missing = None if proof is None else await proof(running)
            if missing is not None:
                return Unproven(missing)
            await running.execute(_SCHEDULE, user_id, erase_at, now)
            await running.fetch(END_ALL_SESSIONS, user_id, now, None)
            entry_id = await self._note(running, "erasure_scheduled", user_id, client, now)
            letter = AccountLetter(
                kind=DELETION_SCHEDULED,
                to=row["email"],
                language=row["language"],
                payload={"first_name": row["first_name"], "at": erase_at},
                dedupe=f"{DELETION_SCHEDULED}:{entry_id.hex}",
            )
            await self._post(running, letter)
        return True

    async def erase_due(self, now: datetime, limit: int) -> int:
        """Erase some accounts that are due, and for which nothing is open; returns how many.

        Bookings, payments and documents stay, and refer to a row without personal data. So do those
        of guests with the account's proven address, unless a booking of theirs lies ahead. Two
        nodes never take the same account.
        """
        async with transaction(self._pool) as running:
            rows = await running.fetch(_DUE, now, limit)
            if rows:
                await running.execute(_AWAIT_DOCUMENTS, ISSUING_LOCK)
            for row in rows:
                user_id: UUID = row["id"]
                await running.execute(_ERASE, user_id, now, NO_PASSWORD)
                await revoke_exports(running, user_id, now)
                await running.execute(_FORGET_MAILS, user_id, row["email"], row["created_at"])
                buyer_ids = [user_id, *(one["id"] for one in await running.fetch(_GUESTS, user_id))]
                for statement in (*_FORGET, *ERASE_CLAIMED):
                    await running.execute(statement, user_id)
                for statement in _FORGET_KEYS:
                    await running.execute(statement, row["email_key"])
                if row["email_verified"]:
                    # Before that anybody may have given the address of somebody else.
                    theirs = await running.fetch(ERASE_UNCLAIMED, row["email_key"], now)
                    buyer_ids += [one["id"] for one in theirs]
                for statement in (_FORGET_BILLING, _REPLACE_BUYERS):
                    await running.execute(statement, buyer_ids)
                await running.execute(_FORGET_ADDRESSES, account_digest(row["email"]))
                await self._note(running, "erased", user_id, Client(), now)
        return len(rows)

    async def _note(
        self,
        running: PooledConnection,
        action: str,
        user_id: UUID,
        client: Client,
        now: datetime,
    ) -> UUID:
        entry = AuditEntry(
            id=self._new_id(),
            at=now,
            action=action,
            actor_id=user_id,
            target_id=user_id,
        )
        await note(running, entry, client)
        return entry.id
