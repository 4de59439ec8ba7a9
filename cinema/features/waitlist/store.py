"""Offers of wait lists of which somebody has to be told, in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from cinema.storage.database.transactions import Pool, PooledConnection, changing, connection

_MINUTE: Final = "YYYY-MM-DD HH24:MI"
_DUE: Final = """
select hold_id, showtime_id, user_id, offered_at, expires_at from waitlist_offers
where $1::timestamptz is null or (offered_at, hold_id) > ($1, $2)
order by offered_at, hold_id limit $3"""
ANY: Final = "exists (select from waitlist_offers)"
_RELEASED: Final = """
select distinct q.showtime_id
from quota_releases q join showtimes s on s.id = q.showtime_id
where q.released_at > $1 and q.released_at <= $2 and q.showtime_id > $3
    and s.status <> 'cancelled' and s.ends_at > $1
order by q.showtime_id limit $4"""
_TAKE: Final = "delete from waitlist_offers where hold_id = $1 returning true"

# The account of a guest may be claimed by now.
_ADDRESSEE: Final = f"""
select coalesce(u.email, claimant.email) as email,
    coalesce(u.first_name, claimant.first_name, '') as first_name,
    coalesce(u.language, claimant.language, '') as language,
    m.title as film, c.name as cinema,
    to_char(t.starts_at at time zone c.time_zone, '{_MINUTE}') as starts,
    to_char($3::timestamptz at time zone c.time_zone, '{_MINUTE}') as until
from showtimes t
join movies m on m.id = t.movie_id
join cinemas c on c.id = t.cinema_id
left join users u on u.id = $2 and u.deleted_at is null
left join guests g on g.id = $2
left join users claimant on claimant.id = g.claimed_by and claimant.deleted_at is null
where t.id = $1 and coalesce(u.email, claimant.email) is not null"""  # noqa: S608  (a constant above)


class OfferToTell(msgspec.Struct, frozen=True, kw_only=True):
    """An offer of which its customer has not been told."""

    hold_id: UUID
    showtime_id: UUID
    user_id: UUID
    offered_at: datetime
    expires_at: datetime


class OfferAddressee(msgspec.Struct, frozen=True, kw_only=True):
    """To whom the mail about an offer goes, and what it says; times are those at the cinema."""

    email: str
    first_name: str
    language: str
    film: str
    cinema: str
    starts: str
    until: str


class OffersRepository:
    """Reads offers, and takes them away when their mails are written."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def due(self, after: OfferToTell | None, limit: int) -> Sequence[OfferToTell]:
        """The oldest offers behind `after`. Refuses RETRY."""
        offered_at, hold_id = (None, None) if after is None else (after.offered_at, after.hold_id)
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_DUE, offered_at, hold_id, limit)
        return [OfferToTell(**dict(row)) for row in rows]

    async def released(
        self, after: datetime, until: datetime, behind: UUID, limit: int
    ) -> Sequence[UUID]:
        """Showtimes with quotas that were released in this time, in order, from an id on.

        Refuses RETRY.
        """
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_RELEASED, after, until, behind, limit)
        return [row[0] for row in rows]

    async def take(self, running: PooledConnection, offer: OfferToTell) -> bool:
        """Take an offer away with the caller's transaction; False if somebody else has."""
        return bool(await running.fetchval(_TAKE, offer.hold_id))

    async def forget(self, offer: OfferToTell) -> None:
        """Take away an offer of which nobody need be told. Refuses RETRY, OUTCOME_UNKNOWN."""
        async with changing(self._pool) as writing:
            await writing.fetchval(_TAKE, offer.hold_id)

    async def addressee(
        self, running: PooledConnection, offer: OfferToTell
    ) -> OfferAddressee | None:
        """To whom to write; None if there is no address."""
        row = await running.fetchrow(_ADDRESSEE, offer.showtime_id, offer.user_id, offer.expires_at)
        return None if row is None else OfferAddressee(**dict(row))
