"""Rows that showtimes write with their events: the plan that is sold, and whether sales pause."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from cinema.domain.showtime.events import PlanChanged, SalesPaused, SalesResumed
from cinema.storage.journal.branches import Happened, RowBranch


class Switched(msgspec.Struct, frozen=True, gc=False):
    """New values of a showtime; None leaves a value as it is."""

    layout_version: int | None = None
    paused: bool | None = None


def _switched(happened: Happened) -> Sequence[Switched]:
    event = happened.event
    if isinstance(event, PlanChanged):
        return [Switched(layout_version=event.layout_version)]
    return [Switched(paused=isinstance(event, SalesPaused))]


SWITCHED: Final = RowBranch(
    name="switched",
    events=(PlanChanged, SalesPaused, SalesResumed),
    rows=_switched,
    columns="layout_version int, paused boolean",
    sql="""
    update showtimes t
    set layout_version = coalesce(r.layout_version, t.layout_version),
        sales_paused = coalesce(r.paused, t.sales_paused)
    from $rows r
    where t.id = r.showtime_id""",
    updates=True,
)

SHOWTIME_BRANCHES: Final = (SWITCHED,)
