"""What happened at showtimes, for later work: mails, tickets, partners.

A row is written with its event, so it exists exactly if the event does. A worker reads it, and
deletes it when all its work is done. Until then it may be handed out more than once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from cinema.domain.showtime.events import Event
from cinema.storage.database.transactions import Pool, changing
from cinema.storage.journal.branches import Happened, RowBranch

# Numbered in the order of the events: those of one showtime follow each other by id as by seq.
_INSERT: Final = """
    insert into outbox (showtime_id, seq, kind, payload)
    select r.showtime_id, r.seq, r.kind, r.payload from $rows r
    order by r.position, r.seq"""

# Nodes that do this at the same time take different rows.
_FORGET: Final = """
with gone as (
    delete from outbox where id = any(array(
        select id from outbox
        where id = any(array(select id from outbox order by id limit $2)) and written_at < $1
        for update skip locked
    ))
    returning 1
)
select count(*) from gone"""


class OutboxRow(msgspec.Struct, frozen=True, gc=False):
    """One thing to act on: `kind` says what happened, `payload` is its JSON."""

    kind: str
    payload: msgspec.Raw


def outbox_branch(
    name: str,
    events: tuple[type[Event], ...],
    rows: Callable[[Happened], Sequence[OutboxRow]],
) -> RowBranch:
    """A feature's branch into the outbox."""
    return RowBranch(
        name=name, events=events, rows=rows, columns="kind text, payload jsonb", sql=_INSERT
    )


class Outbox:
    """The rows, for jobs that work on them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def forget(self, before: datetime, limit: int) -> int:
        """Delete rows that no job has taken; looks at a bounded number, oldest first.

        Returns how many were old enough.
        """
        async with changing(self._pool) as writing:
            gone: int = await writing.fetchval(_FORGET, before, limit)
        return gone
