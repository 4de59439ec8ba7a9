"""`cinema rebuild-reports`: the figures of all showtimes, counted anew."""

from __future__ import annotations

import asyncio
import sys
from typing import Final

from cinema.cli.database import running_database
from cinema.cli.report import report
from cinema.features.reports.projection_store import ProjectionRepository
from cinema.settings import Settings
from cinema.storage.database.migrate import migrate
from cinema.storage.database.pool import open_pool

CONNECTIONS: Final = 1

TOLD_EVERY: Final = 1000
"""Showtimes between two lines that say how far it is."""


def run_rebuild_reports(settings: Settings) -> None:
    """Count everything anew. A server may run meanwhile, and helps."""
    with running_database(settings) as (connected, _):
        counted = asyncio.run(_rebuild(connected))
    sys.stdout.write(f"cinema: the figures of {counted} showtimes were counted here\n")


async def _rebuild(settings: Settings) -> int:
    await migrate(settings.database_url, report=report)
    counted = told = 0
    async with await open_pool(settings.database_url, size=CONNECTIONS) as pool:
        projection = ProjectionRepository(pool)
        await projection.begin_rebuild()
        is_full = True
        while is_full:
            followed = await projection.rebuild(wait=True)
            assert followed is not None, "it waits for whoever counts"
            counted, is_full = counted + followed.showtimes, followed.is_full
            if counted >= told + TOLD_EVERY:
                told = counted
                report(f"{counted} showtimes")
    return counted
