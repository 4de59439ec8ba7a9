"""Jobs that are written with the event of a showtime that asks for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from cinema.domain.showtime.events import Event
from cinema.storage.journal.branches import Happened, RowBranch

_INSERT: Final = """
    insert into jobs (id, kind, cinema_id, input, total, due_at, created_at, updated_at)
    select r.id, r.kind, r.cinema_id, r.input, r.total, at.moment, at.moment, at.moment
    from $rows r
    cross join lateral (
        select 'epoch'::timestamptz + r.at_us * interval '1 microsecond'
    ) at (moment)"""


class JobRow(msgspec.Struct, frozen=True, gc=False):
    """One job, which the managers of the cinema can see; `input` is JSON, no names."""

    id: str
    kind: str
    cinema_id: str
    input: msgspec.Raw
    total: int | None
    at_us: int


def job_branch(
    name: str, events: tuple[type[Event], ...], rows: Callable[[Happened], Sequence[JobRow]]
) -> RowBranch:
    """A feature's branch into the jobs."""
    return RowBranch(
        name=name,
        events=events,
        rows=rows,
        columns="id uuid, kind text, cinema_id uuid, input jsonb, total int, at_us bigint",
        sql=_INSERT,
    )
