"""Bookings as staff look for them, and what they write down about them, in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.idempotency import IdempotencyKey
from cinema.features.accounts.letters import AccountLetter, Post
from cinema.features.accounts.link_rules import MailLink
from cinema.features.accounts.user_store import Act
from cinema.features.bookings.shapes import BookedShowtime, BookingNote
from cinema.features.bookings.store import audited
from cinema.features.ledger.methods import AT_COUNTER
from cinema.storage.database.driver import Record
from cinema.storage.database.reads import PrimaryReads, Reads
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    changing,
    connection,
    run_once,
    transaction,
)

AGAIN: Final = "booking_again"

PEOPLE_LIMIT: Final = 200
"""Most accounts with a name whose bookings are looked through; with more, staff say more."""

NOTES_KEPT: Final = timedelta(days=730)
"""How long a note is kept: complaints come within months."""

_BUYER: Final = """
left join users u on u.id = b.user_id and u.deleted_at is null
left join guests g on g.id = b.user_id
left join users claimant on claimant.id = g.claimed_by and claimant.deleted_at is null"""
# Fewer tables than below: of what is found only a page is shown.
_SEARCH: Final = f"""
select b.id, b.created_at
from bookings b join showtimes t on t.id = b.showtime_id{_BUYER}
where """  # noqa: S608  (a constant of this module)
_OF_EMAIL: Final = """b.user_id = any(array(
    select id from users where email_key = {0} and deleted_at is null
    union all
    select mine.id from users one join guests mine on mine.claimed_by = one.id
    where one.email_key = {0} and one.deleted_at is null
    union all
    select id from guests where email_key = {0} and claimed_by is null
))"""
# A look at the index of names, for those that nothing else has narrowed down.
_OF_NAME: Final = """b.user_id = any(array(
    with named as (
        select id from users
        where deleted_at is null and name_words(first_name, last_name) @> name_words({0}, '')
    )
    select id from named
    union all
    select mine.id from named join guests mine on mine.claimed_by = named.id
))"""
_HAS_NAME: Final = """name_words(
    coalesce(u.first_name, claimant.first_name, ''), coalesce(u.last_name, claimant.last_name, '')
) @> name_words({0}, '')"""
_WORDS: Final = "select name_words($1, '') <> '{}'"
_NAMESAKES: Final = """
select count(*) from (
    select from users
    where deleted_at is null and name_words(first_name, last_name) @> name_words($1, '')
    limit $2
) one"""
_SHOWN: Final = f"""
select b.id, b.user_id, b.code, b.status, t.id as showtime_id, m.title as film, t.starts_at,
    t.cinema_id, c.name as cinema, c.time_zone, s.name as screen,
    g.id is not null and claimant.id is null as is_guest,
    concat_ws(' ', nullif(coalesce(u.first_name, claimant.first_name), ''),
        nullif(coalesce(u.last_name, claimant.last_name), '')) as name,
    coalesce(u.first_name, claimant.first_name, '') as first_name,
    coalesce(u.email, claimant.email, g.email) as email,
    coalesce(u.language, claimant.language, o.language, '') as language,
    coalesce(u.role <> 'customer', false) and exists (
        select from payments p where p.booking_id = b.id and p.method = any($2)
    ) as by_counter,
    (
        select string_agg(seat.seat, ', ' order by seat.position) from booking_seats seat
        where seat.booking_id = b.id and seat.live
    ) as seats,
    (select count(*) from booking_notes n where n.booking_id = b.id)::int as notes
from bookings b
join showtimes t on t.id = b.showtime_id
join movies m on m.id = t.movie_id
join cinemas c on c.id = t.cinema_id
join screens s on s.id = t.screen_id{_BUYER}
left join guest_orders o on o.booking_id = b.id
where b.id = any($1)"""  # noqa: S608  (a constant of this module)
# The former link ends here. One whose mail is still owed is not written beside this.
_NEW_LINK: Final = """
insert into guest_orders as o (booking_id, guest_id, language, created_at, next_try_at, mailed_at,
    digest)
select $1, g.id, $5, $3, $3, $3, $2 from guests g where g.id = $4 and g.email is not null
on conflict (booking_id) do update set digest = excluded.digest, mailed_at = excluded.mailed_at
returning true"""
_NOTES: Final = """
select n.id, n.booking_id, n.text, n.written_at, n.author_id,
    concat_ws(' ', nullif(u.first_name, ''), nullif(u.last_name, '')) as author
from booking_notes n left join users u on u.id = n.author_id"""
_NOTES_OF: Final = f"""{_NOTES}
where n.booking_id = $1 and ($2::timestamptz is null or (n.written_at, n.id) < ($2, $3))
order by n.written_at desc, n.id desc limit $4"""
_NOTE: Final = f"{_NOTES} where n.id = $1"
_ADD_NOTE: Final = """
insert into booking_notes (id, booking_id, author_id, text, written_at)
values ($1, $2, $3, $4, $5)"""
# Nodes that do this at the same time take different rows.
_FORGET: Final = """
with gone as (
    delete from booking_notes where id = any(array(
        select id from booking_notes where written_at < $1 order by written_at limit $2
        for update skip locked
    ))
    returning 1
)
select count(*) from gone"""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which bookings; `cinema_ids` None means those of all cinemas."""

    cinema_ids: Sequence[UUID] | None
    code: str | None
    email_key: str | None
    name: str | None
    showtime_id: UUID | None

    @property
    def has_name_alone(self) -> bool:
        """Whether nothing but a name narrows the search down."""
        others = (self.code, self.email_key, self.showtime_id)
        return self.name is not None and all(one is None for one in others)


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """A booking as staff look at it, its customer by name and address.

    `by_counter`: it is on the account of whoever sold it.
    """

    id: UUID
    user_id: UUID
    code: str
    status: str
    showtime_id: UUID
    film: str
    starts_at: datetime
    cinema_id: UUID
    cinema: str
    time_zone: str
    screen: str
    is_guest: bool
    name: str
    first_name: str
    email: str | None
    language: str
    by_counter: bool
    seats: str | None
    notes: int

    @property
    def showtime(self) -> BookedShowtime:
        """What it is for."""
        return BookedShowtime(
            id=self.showtime_id,
            film=self.film,
            starts_at=self.starts_at,
            cinema_id=self.cinema_id,
            cinema=self.cinema,
            screen=self.screen,
        )


def search_statement(
    wanted: Wanted, after: tuple[datetime, UUID] | None, limit: int
) -> tuple[str, list[object]]:
    """Only the conditions that are asked for, so that each has its index; and their values."""
    values: list[object] = []
    conditions: list[str] = []

    def put(condition: str, *given: object) -> None:
        begin = len(values)
        values.extend(given)
        places = [f"${begin + place}" for place in range(1, len(given) + 1)]
        conditions.append(condition.format(*places))

    if wanted.cinema_ids is not None:
        put("t.cinema_id = any({0})", list(wanted.cinema_ids))
    if wanted.code is not None:
        put("b.code = {0}", wanted.code)
    if wanted.showtime_id is not None:
        put("b.showtime_id = {0}", wanted.showtime_id)
    if wanted.email_key is not None:
        put(_OF_EMAIL, wanted.email_key)
    if wanted.name is not None:
        put(_OF_NAME if wanted.has_name_alone else _HAS_NAME, wanted.name)
    if after is not None:
        put("(b.created_at, b.id) < ({0}, {1})", *after)
    values.append(limit)
    order = f"order by b.created_at desc, b.id desc limit ${len(values)}"
    return f"{_SEARCH}{' and '.join(conditions)}\n{order}", values


class StaffBookingsRepository:
    """Finds bookings, and keeps notes about them."""

    def __init__(self, pool: Pool, post: Post, reads: Reads | None = None) -> None:
        self._pool = pool
        self._post = post
        self._reads = reads or PrimaryReads(pool)

    async def search(
        self, wanted: Wanted, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[tuple[UUID, datetime]]:
        """Bookings with the times at which they were made, newest first. Refuses RETRY."""
        statement, values = search_statement(wanted, after, limit)
        rows = await self._reads.fetch(statement, *values)
        return [(row["id"], row["created_at"]) for row in rows]

    async def is_name(self, name: str) -> bool:
        """Whether there is a word in it."""
        row = await self._reads.fetchrow(_WORDS, name)
        return row is not None and bool(row[0])

    async def has_too_many(self, name: str) -> bool:
        """Whether more accounts have a name than are looked through."""
        row = await self._reads.fetchrow(_NAMESAKES, name, PEOPLE_LIMIT + 1)
        return row is not None and row[0] > PEOPLE_LIMIT

    async def look(self, booking_ids: Sequence[UUID]) -> dict[UUID, Looked]:
        """Bookings by their ids. Refuses RETRY."""
        rows = await self._reads.fetch(_SHOWN, list(booking_ids), list(AT_COUNTER))
        return {row["id"]: Looked(**dict(row)) for row in rows}

    async def send_again(
        self, looked: Looked, letter: AccountLetter, link: MailLink | None, act: Act
    ) -> bool:
        """Enqueue a mail about a booking; with a `link`, a guest's, which replaces the former.

        False if the guest was erased meanwhile. Refuses RETRY, OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as running:
            if link is not None:
                values = (looked.id, link.digest, act.at, looked.user_id, looked.language)
                if not await running.fetchval(_NEW_LINK, *values):
                    return False
            await self._post(running, letter)
            await audited(running, looked.id, "booking_mail_sent_again", act, {})
        return True

    async def add_note(
        self, booking_id: UUID, note_id: UUID, text: str, act: Act, key: IdempotencyKey | None
    ) -> BookingNote:
        """A new note. Refuses RETRY, OUTCOME_UNKNOWN."""

        async def insert(running: PooledConnection) -> BookingNote:
            await running.execute(_ADD_NOTE, note_id, booking_id, act.by, text, act.at)
            # Not what it says: the log is for ever.
            await audited(running, booking_id, "booking_noted", act, {"note": note_id})
            row = await running.fetchrow(_NOTE, note_id)
            assert row is not None
            return _note(row)

        return await run_once(self._pool, key, act.at, BookingNote, insert)

    async def notes(
        self, booking_id: UUID, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[BookingNote]:
        """Notes about a booking, newest first. Refuses RETRY."""
        moment, last_id = after or (None, None)
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_NOTES_OF, booking_id, moment, last_id, limit)
        return [_note(row) for row in rows]

    async def forget(self, now: datetime, limit: int) -> int:
        """Delete a bounded number of old notes; how many."""
        async with changing(self._pool) as writing:
            gone: int = await writing.fetchval(_FORGET, now - NOTES_KEPT, limit)
        return gone


def _note(row: Record) -> BookingNote:
    return BookingNote(**dict(row))
