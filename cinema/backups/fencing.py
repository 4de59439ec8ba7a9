"""Makes a restored database safe from nodes and watchers that remember its lost future.

A node that still runs after the restore, or a watcher, may know epochs and seqs that the restored
database has not reached yet and will use again. So every head row gets an epoch of a new era. Eras
are numbered by Postgres's timelines, and each restore begins a new one.
"""

from __future__ import annotations

from typing import Final

import asyncpg

from cinema.backups.errors import BackupError
from cinema.domain.epochs import EPOCHS_PER_ERA, LAST_ERA

# `released` is cleared: the next owner waits one lease, as after any owner that just vanished.
_FENCE: Final = """
update showtime_heads
set epoch = greatest(epoch + 1, $1::bigint * $2::bigint), released = false
"""


_HAS_VIEWS: Final = "select to_regclass('cluster_views') is not null"
# An empty view that is newer than all others, so that a node that still runs finds it was removed.
_EMPTY_VIEW: Final = """
insert into cluster_views (version, members, proposed_by)
select greatest(coalesce(max(version), 0) + 1, $1::bigint * $2::bigint), '\\x90', $3
from cluster_views
"""
_NOBODY: Final = bytes(16)


async def fence(dsn: str, timeline: int) -> int:
    """Raise epochs and the cluster's view into the era of a timeline; returns how many showtimes.

    Both in one transaction, before anybody else can connect.
    """
    if timeline > LAST_ERA:
        raise BackupError(f"timeline {timeline} is beyond the last era, {LAST_ERA}")
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            done = await connection.execute(_FENCE, timeline, EPOCHS_PER_ERA)
            if await connection.fetchval(_HAS_VIEWS):
                await connection.execute(_EMPTY_VIEW, timeline, EPOCHS_PER_ERA, _NOBODY)
    finally:
        await connection.close()
    return int(done.rpartition(" ")[2])
