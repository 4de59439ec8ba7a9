"""`cinema reseal`: after a change of ENCRYPTION_KEYS, so that the old keys can be removed."""

from __future__ import annotations

import asyncio
import sys
from typing import Final

from cinema.app.features import SEALED_COLUMNS
from cinema.cli.database import running_database
from cinema.cli.report import report
from cinema.settings import Settings, encryption_keys, with_encryption_keys
from cinema.storage.database.migrate import migrate
from cinema.storage.database.pool import open_pool
from cinema.storage.encryption import Cipher
from cinema.storage.resealing import Resealed, reseal

CONNECTIONS: Final = 2


def run_reseal(settings: Settings) -> None:
    """Seal values of older keys with the newest; it may run again, and while servers run."""
    with running_database(with_encryption_keys(settings)) as (connected, _):
        done = asyncio.run(_reseal(connected))
    sys.stdout.write(f"cinema: sealed {done.renewed} values again\n")
    if done.unreadable:
        sys.stderr.write(f"cinema: no key of ENCRYPTION_KEYS opens {done.unreadable} values\n")
        sys.exit(1)


async def _reseal(settings: Settings) -> Resealed:
    await migrate(settings.database_url, report=report)
    cipher = Cipher(encryption_keys(settings.encryption_keys))
    async with await open_pool(settings.database_url, size=CONNECTIONS) as pool:
        return await reseal(pool, cipher, SEALED_COLUMNS)
