"""What accounts know of somebody, for the export: no digests, no secrets, nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from cinema.domain.times import EPOCH
from cinema.features.personal import PAGE_ROWS, PersonalFile, json_list, json_object
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import Pool, connection

_PROFILE: Final = """
select users.id, email, email_verified, first_name, last_name, language, role,
    disabled_at is not null as disabled, users.created_at, updated_at, erase_at,
    array(
        select name from cinema_managers join cinemas on cinemas.id = cinema_id
        where user_id = users.id order by name
    ) as cinemas,
    factor.confirmed_at as authenticator_since,
    coalesce(cardinality(factor.recovery), 0) as recovery_codes_left
from users left join totp_factors factor
    on factor.user_id = users.id and factor.confirmed_at is not null
where users.id = $1"""
_SESSIONS: Final = """
select id, created_at, last_used_at, expires_at, revoked_at, address, agent
from sessions where user_id = $1 and id > $2 order by id limit $3"""
# Links are counted: they have digests for keys.
_LINKS: Final = """
select purpose, email, created_at, expires_at, used_at
from account_links where user_id = $1 order by created_at, digest offset $2 limit $3"""
# Who else acted on the account, and from where, is theirs.
_AUDIT: Final = """
select id, at, action, before::text as before, after::text as after,
    coalesce(actor_id = $1, false) as by_yourself,
    case when actor_id = $1 then request_id end as request_id,
    case when actor_id = $1 then address end as address
from audit_log where target_id = $1 and (at, id) > ($2, $3) order by at, id limit $4"""

_GUESTS: Final = """
select id, email, created_at, expires_at, claimed_at
from guests where claimed_by = $1 and id > $2 order by id limit $3"""

_NOBODY: Final = UUID(int=0)


class AccountFacts:
    """Reads what accounts know of one of them, a page at a time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def disclose(self, user_id: UUID) -> AsyncIterator[PersonalFile]:
        """Profile, sessions, links, guests and the audit log about the account."""
        async with connection(self._pool) as reading:
            profile = await reading.fetchrow(_PROFILE, user_id)
        yield PersonalFile("profile.json", json_object(dict(profile or {})))
        yield PersonalFile("sessions.json", json_list(self._by_id(_SESSIONS, user_id)))
        yield PersonalFile("links.json", json_list(self._links(user_id)))
        yield PersonalFile("guests.json", json_list(self._by_id(_GUESTS, user_id)))
        yield PersonalFile("audit.json", json_list(self._audit(user_id)))

    async def _by_id(self, query: str, user_id: UUID) -> AsyncIterator[Sequence[Any]]:
        last_id = _NOBODY
        while rows := await self._page(query, user_id, last_id):
            yield [dict(row) for row in rows]
            last_id = rows[-1]["id"]

    async def _links(self, user_id: UUID) -> AsyncIterator[Sequence[Any]]:
        seen = 0
        while rows := await self._page(_LINKS, user_id, seen):
            yield [dict(row) for row in rows]
            seen += len(rows)

    async def _audit(self, user_id: UUID) -> AsyncIterator[Sequence[Any]]:
        at, last_id = EPOCH, _NOBODY
        while rows := await self._page(_AUDIT, user_id, at, last_id):
            yield [
                {
                    **row,
                    "before": msgspec.json.decode(row["before"]),
                    "after": msgspec.json.decode(row["after"]),
                }
                for row in rows
            ]
            at, last_id = rows[-1]["at"], rows[-1]["id"]

    async def _page(self, query: str, *values: Any) -> Sequence[Record]:
        async with connection(self._pool) as reading:
            return await reading.fetch(query, *values, PAGE_ROWS)
