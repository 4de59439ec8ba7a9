"""`cinema check-invoices`: no number is missing, and no booking lacks its invoice."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from cinema.cli.database import running_database
from cinema.cli.report import report
from cinema.domain.times import from_us
from cinema.features.ids import IdSource
from cinema.features.invoices.checking_jobs import Checking
from cinema.features.invoices.checking_store import ChecksRepository, Gap, Unbilled
from cinema.features.invoices.metrics import CheckCounts
from cinema.features.invoices.store import InvoicesRepository
from cinema.settings import Settings
from cinema.storage.database.migrate import migrate
from cinema.storage.database.pool import open_pool
from cinema.storage.database.reads import PrimaryReads

CONNECTIONS: Final = 2


def run_check_invoices(settings: Settings) -> int:
    """Check, and make the invoices that are missing; 1 if there are gaps."""
    with running_database(settings) as (connected, _):
        gaps, unbilled = asyncio.run(_check(connected))
    for gap in gaps:
        numbers = ", ".join(map(str, gap.numbers))
        sys.stderr.write(
            f"cinema: {gap.kind} {gap.year} of cinema {gap.cinema_id}: {gap.missing} numbers have "
            f"no document ({numbers}), {gap.beyond} documents have numbers not given\n"
        )
    sys.stdout.write(f"cinema: {len(gaps)} counters with gaps, {len(unbilled)} missing invoices\n")
    return 1 if gaps else 0


async def _check(settings: Settings) -> tuple[Sequence[Gap], Sequence[Unbilled]]:
    await migrate(settings.database_url, report=report)
    ids = IdSource(_now_us)
    async with await open_pool(settings.database_url, size=CONNECTIONS) as pool:
        invoices = InvoicesRepository(
            pool,
            PrimaryReads(pool),
            new_id=lambda: UUID(bytes=ids.next_id()),
            now=lambda: from_us(_now_us()),
        )
        checking = Checking(
            ChecksRepository(pool), invoices, CheckCounts(), now=lambda: from_us(_now_us())
        )
        return await checking.check()


def _now_us() -> int:
    return time.time_ns() // 1000
