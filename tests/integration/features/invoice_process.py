"""A process that issues documents until it is killed: run as `python -m … DATABASE [stay]`.

It says `issued N` after each round. With `stay` it says `numbers taken` and stays there, when it
has moved the counters and inserted nothing yet.
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, datetime
from uuid import UUID

from cinema.features.ids import IdSource
from cinema.features.invoices import store
from cinema.features.invoices.rules import MadeDocument
from cinema.features.invoices.store import InvoicesRepository
from cinema.storage.database.pool import open_pool
from cinema.storage.database.reads import PrimaryReads

AT_ONCE = 3


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _stay(_made: MadeDocument) -> tuple[object, ...]:
    say("numbers taken")
    time.sleep(600)  # Until it is killed.
    raise AssertionError


async def _main(database: str, stay: str) -> None:
    if stay:
        store.columns_of = _stay
    ids = IdSource(lambda: time.time_ns() // 1000)
    async with await open_pool(database, size=2) as pool:
        invoices = InvoicesRepository(
            pool,
            PrimaryReads(pool),
            new_id=lambda: UUID(bytes=ids.next_id()),
            now=lambda: datetime.now(UTC),
        )
        while due := await invoices.due(AT_ONCE):
            say(f"issued {len((await invoices.issue(due)).issued)}")
    say("nothing is due")


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""))
