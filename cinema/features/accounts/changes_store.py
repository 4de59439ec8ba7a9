"""What accounts may do now, and a feed of the accounts for which that has changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from cinema.domain.limits_catalog import ACCOUNT_CHANGES_PAGE, GUESTS_OF_ACCOUNT
from cinema.storage.database.driver import UUID
from cinema.storage.database.transactions import Pool, changing, connection

# Each holder by the indexes alone: a join of all at once could be planned as a scan of the tables.
_STANDINGS: Final = """
select asked.user_id, asked.session_id, found.*
from unnest($1::uuid[], $2::uuid[]) as asked (user_id, session_id)
cross join lateral (
    select account.role, account.disabled_at is not null as disabled,
        account.email_verified as verified,
        array(select cinema_id from cinema_managers where user_id = account.id) as cinema_ids,
        exists (
            select from totp_factors where user_id = account.id and confirmed_at is not null
        ) as has_factor,
        array(
            select id from guests where claimed_by = account.id and look_at is not null
            order by claimed_at desc limit $3
        ) as guest_ids
    from users account
    join sessions session on session.user_id = account.id
    where account.id = asked.user_id and session.id = asked.session_id
        and session.revoked_at is null
    union all
    select 'guest', false, false, '{}', false, '{}' from guests
    where id = asked.user_id and id = asked.session_id and ended_at is null and claimed_by is null
) found
"""

# The last look saw all transactions below its horizon. After a look that failed, the server may be
# another one with other transaction numbers; then the time decides.
_CHANGES: Final = """
select pg_snapshot_xmin(pg_current_snapshot())::text as horizon,
    array(
        select user_id from account_changes where changed_in >= $1::text::xid8
        union
        select user_id from account_changes
        where changed_at > now() - $2::float8 * interval '1 second' and $2 > 0
    ) as user_ids
"""

_FORGET: Final = """
with gone as (
    delete from account_changes where (changed_in, user_id) in (
        select changed_in, user_id from account_changes
        where changed_at < now() - $1::float8 * interval '1 second'
        order by changed_in limit $2
        for update skip locked
    )
    returning 1
)
select count(*) from gone
"""


class Standing(msgspec.Struct, frozen=True):
    """The present state of an account with an open session."""

    role: str
    disabled: bool
    cinema_ids: frozenset[bytes]
    verified: bool = False
    has_factor: bool = False
    guest_ids: tuple[bytes, ...] = ()

    def allows(self, role: str) -> bool:
        """Whether the role in a token is still true."""
        return not self.disabled and self.role == role


class AccountChanges(msgspec.Struct, frozen=True):
    """Accounts that changed (some may be repeated), and where the next look begins."""

    user_ids: frozenset[bytes]
    horizon: str


class AccountStandings:
    """Reads on the primary; the feed has a pool of its own, so that it never waits for others."""

    def __init__(self, pool: Pool, feed: Pool) -> None:
        self._pool = pool
        self._feed = feed

    async def standings(
        self, holders: Sequence[tuple[bytes, bytes]]
    ) -> dict[tuple[bytes, bytes], Standing]:
        """The states of accounts by their own id and that of a session of theirs.

        Those are missing whose account or session has ended. Refuses RETRY.
        """
        async with connection(self._pool) as reading:
            rows = await reading.fetch(
                _STANDINGS,
                [UUID(user_id) for user_id, _ in holders],
                [UUID(session_id) for _, session_id in holders],
                GUESTS_OF_ACCOUNT,
            )
        return {
            (row["user_id"].bytes, row["session_id"].bytes): Standing(
                row["role"],
                row["disabled"],
                _raw(row["cinema_ids"]),
                row["verified"],
                row["has_factor"],
                tuple(one.bytes for one in row["guest_ids"]),
            )
            for row in rows
        }

    async def changes(self, since: str | None, missed_s: float) -> AccountChanges:
        """Accounts that changed since a horizon (None: no account), or in the last `missed_s`.

        A look that begins at the horizon of this one sees all that commits after it. Refuses RETRY.
        """
        async with connection(self._feed) as reading:
            row = await reading.fetchrow(_CHANGES, since, missed_s)
        assert row is not None, "a select without a from clause has one row"
        return AccountChanges(_raw(row["user_ids"]), row["horizon"])

    async def forget_changes(self, kept_s: float) -> bool:
        """Delete a page of changes older than that; True if there may be more. Refuses RETRY."""
        async with changing(self._feed) as writing:
            gone = await writing.fetchval(_FORGET, kept_s, ACCOUNT_CHANGES_PAGE)
        return bool(gone == ACCOUNT_CHANGES_PAGE)


def _raw(ids: list[UUID]) -> frozenset[bytes]:
    return frozenset(one.bytes for one in ids)
