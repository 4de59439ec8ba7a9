"""Addresses from which accounts were signed in to, as digests; kept in Postgres."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from cinema.domain.limits_catalog import (
    IDEMPOTENT_CLEANUP_PAGE,
    LOGIN_ADDRESS_DAYS,
    LOGIN_ADDRESS_NOTED_S,
    LOGIN_ADDRESSES_KEPT,
)
from cinema.storage.database.transactions import Pool, changing, connection

_KNOWS = """
select exists (
    select from login_addresses where account = $1 and address = $2 and last_at > $3
)
"""

# The delete does not see the inserted row, so it leaves one row fewer than the limit.
_NOTE = """
with noted as (
    insert into login_addresses as known (account, address, last_at) values ($1, $2, $3)
    on conflict (account, address) do update set last_at = excluded.last_at
    where known.last_at < $4
    returning 1
)
delete from login_addresses where account = $1 and address in (
    select address from login_addresses
    where account = $1 and address <> $2 and exists (select from noted)
    order by last_at desc offset $5
)
"""

FORGET_OTHERS: Final = "delete from login_addresses where account = $1 and address <> $2"

_CLEAN_UP = """
delete from login_addresses where (account, address) in (
    select account, address from login_addresses where last_at <= $1
    order by last_at limit $2
    for update skip locked
)
"""


class LoginAddresses:
    """Digests of addresses by digest of account: the latest ones, for half a year."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def knows(self, account: bytes, address: bytes, now: datetime) -> bool:
        """Whether the account was signed in to from this address."""
        async with connection(self._pool) as reading:
            return bool(await reading.fetchval(_KNOWS, account, address, _oldest(now)))

    async def note(self, account: bytes, address: bytes, now: datetime) -> None:
        """Remember a login; writes at most once a day for the same address."""
        noted_before = now - timedelta(seconds=LOGIN_ADDRESS_NOTED_S)
        async with changing(self._pool) as writing:
            await writing.execute(
                _NOTE, account, address, now, noted_before, LOGIN_ADDRESSES_KEPT - 1
            )
            await writing.execute(_CLEAN_UP, _oldest(now), IDEMPOTENT_CLEANUP_PAGE)


def _oldest(now: datetime) -> datetime:
    return now - timedelta(days=LOGIN_ADDRESS_DAYS)
