"""Guests' bookings in Postgres: the mail that is owed for each, and the link in it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.rejections import Refused, refuse
from cinema.features.accounts.guest_rules import GuestTimes
from cinema.features.accounts.guest_store import give_email
from cinema.features.accounts.letters import AccountLetter, Post
from cinema.features.accounts.link_rules import MailLink
from cinema.storage.database.transactions import Pool, changing, connection, transaction

ORDER_LINK: Final = "order_link"

NOT_BOOKED_AFTER: Final = timedelta(hours=1)
"""What is not booked by then was refused: no command takes longer than minutes."""

_EXPECT: Final = """
insert into guest_orders (booking_id, guest_id, language, created_at, next_try_at)
values ($1, $2, $3, $4, $4)
"""

# A claimed one belongs to one worker until $2. Without a booking no mail is owed.
_CLAIM: Final = """
update guest_orders o set next_try_at = $2
from (
    select owed.booking_id from guest_orders owed join bookings b on b.id = owed.booking_id
    where owed.mailed_at is null and owed.next_try_at <= $1
    order by owed.next_try_at limit $3
    for update of owed skip locked
) due
where o.booking_id = due.booking_id
returning o.booking_id
"""

DUE: Final = """exists (
    select from guest_orders where mailed_at is null and next_try_at <= {0}::timestamptz
)"""

_MAIL: Final = """
update guest_orders set mailed_at = $2, digest = $3
where booking_id = $1 and mailed_at is null
returning guest_id, language
"""

_LETTER: Final = """
select g.email, b.code, m.title, c.name as cinema,
    to_char(t.starts_at at time zone c.time_zone, 'YYYY-MM-DD HH24:MI') as starts,
    (
        select string_agg(s.seat, ', ' order by s.position) from booking_seats s
        where s.booking_id = b.id and not s.given_back
    ) as seats
from bookings b
join guests g on g.id = $2
left join showtimes t on t.id = b.showtime_id
left join movies m on m.id = t.movie_id
left join cinemas c on c.id = t.cinema_id
where b.id = $1 and g.email is not null
"""

_IS_GOOD: Final = """
select true from guest_orders o
join bookings b on b.id = o.booking_id
left join showtimes t on t.id = b.showtime_id
where o.booking_id = $1 and o.digest = $2 and coalesce(t.ends_at, b.created_at) > $3
"""

# Nodes that do this at the same time take different rows.
_FORGET: Final = """
with gone as (
    delete from guest_orders where booking_id in (
        select o.booking_id from guest_orders o
        where o.mailed_at is null and o.created_at < $1
            and not exists (select from bookings b where b.id = o.booking_id)
        limit $2
        for update skip locked
    )
    returning 1
)
select count(*) from gone
"""


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A booking that a guest requests, and the address for its mail; `language` as accepted."""

    booking_id: UUID
    guest_id: UUID
    email: str
    email_key: str
    language: str
    at: datetime


class OrdersRepository:
    """What guests have booked or tried to book."""

    def __init__(self, pool: Pool, post: Post, *, times: GuestTimes) -> None:
        self._pool = pool
        self._post = post
        self._times = times

    async def expect(self, order: NewOrder) -> None:
        """Note that a mail is owed for a booking, if the booking is made.

        Refuses GUEST_HAS_EMAIL, UNAUTHENTICATED, RETRY. An unknown outcome is RETRY too, since
        nothing has been booked.
        """
        try:
            async with transaction(self._pool) as running:
                await give_email(running, order.guest_id, order.email, order.email_key)
                await running.execute(
                    _EXPECT, order.booking_id, order.guest_id, order.language, order.at
                )
        except Refused as refused:
            if refused.rejection.code == "OUTCOME_UNKNOWN":
                raise refuse("RETRY") from None
            raise

    async def claim(self, now: datetime, until: datetime, limit: int) -> Sequence[UUID]:
        """Claim bookings whose mail is owed, oldest first, until a time."""
        async with changing(self._pool) as writing:
            return [row["booking_id"] for row in await writing.fetch(_CLAIM, now, until, limit)]

    async def mail(self, booking_id: UUID, link: MailLink, now: datetime) -> None:
        """Enqueue the mail with a link, once; not if the guest's address was deleted."""
        async with transaction(self._pool) as running:
            owed = await running.fetchrow(_MAIL, booking_id, now, link.digest)
            if owed is None:
                return
            row = await running.fetchrow(_LETTER, booking_id, owed["guest_id"])
            if row is None:
                return
            payload = {name: row[name] or "" for name in ("code", "title", "cinema", "starts")}
            letter = AccountLetter(
                kind=ORDER_LINK,
                to=row["email"],
                language=owed["language"],
                payload={
                    **payload,
                    "seats": row["seats"] or "",
                    "url": link.url,
                    "booking_id": str(booking_id),
                },
                dedupe=f"{ORDER_LINK}:{booking_id}",
            )
            await self._post(running, letter)

    async def is_good(self, booking_id: UUID, digest: bytes, now: datetime) -> bool:
        """Whether this is the link to a booking, and still valid. Refuses RETRY."""
        async with connection(self._pool) as reading:
            since = now - self._times.kept
            return bool(await reading.fetchval(_IS_GOOD, booking_id, digest, since))

    async def forget(self, now: datetime, limit: int) -> int:
        """Delete a bounded number of requests that led to no booking; returns how many."""
        async with changing(self._pool) as writing:
            gone: int = await writing.fetchval(_FORGET, now - NOT_BOOKED_AFTER, limit)
        return gone
