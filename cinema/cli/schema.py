"""`cinema migrate` and `cinema seed`: the tables, and the demo's rows in them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from cinema.app.settings_parts import object_store
from cinema.cli.database import running_database
from cinema.cli.report import report
from cinema.demo.seed import seed
from cinema.settings import Settings, SettingsError
from cinema.storage.database.migrate import migrate
from cinema.storage.database.pool import open_pool


def run_migrate(settings: Settings) -> None:
    """Migrate the database to this version's schema."""
    with running_database(settings) as (connected, _):
        asyncio.run(migrate(connected.database_url, report=report))


def run_seed(settings: Settings) -> None:
    """Add the demo data, or top up its showtimes."""
    if not settings.demo_data:
        raise SettingsError(["DEMO_DATA is off, and there is nothing else to seed"])
    with running_database(settings) as (connected, _):
        asyncio.run(_seeded(connected))


async def _seeded(settings: Settings) -> None:
    await migrate(settings.database_url, report=report)
    async with await open_pool(settings.database_url, size=settings.database_pool_size) as pool:
        objects = object_store(settings)
        await seed(pool, settings, datetime.now(UTC), report=report, objects=objects)
