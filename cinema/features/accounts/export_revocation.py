"""Takes back what `features/privacy` has made of an account, within somebody's transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from cinema.storage.database.transactions import PooledConnection

# In the order in which the maker of an export locks: the account (the caller has), job, export.
_CALL_OFF: Final = """
update jobs set status = 'cancelled', ended_at = $2, updated_at = $2, node = ''
where owner_id = $1 and kind = 'account_export' and status in ('queued', 'running')
"""
_DROP: Final = """
delete from account_exports
where user_id = $1 and ($2::timestamptz is null or created_at >= $2)
"""


async def revoke_exports(
    running: PooledConnection, user_id: UUID, now: datetime, *, since: datetime | None = None
) -> None:
    """Call off the export under way, and delete those that were begun from `since` on."""
    await running.execute(_CALL_OFF, user_id, now)
    await running.execute(_DROP, user_id, since)
