"""`cinema reseal`: after a change of ENCRYPTION_KEYS, so that the old keys can be taken out."""

from __future__ import annotations

import asyncio
import sys
from typing import Final

from cinema.cli.database import running_database
from cinema.cli.report import report
from cinema.features.accounts.letters import no_post
from cinema.features.accounts.totp_store import FactorsRepository
from cinema.settings import Settings, encryption_keys, with_encryption_keys
from cinema.storage.database.migrate import migrate
from cinema.storage.database.pool import open_pool
from cinema.storage.encryption import Cipher

CONNECTIONS: Final = 2


def run_reseal(settings: Settings) -> None:
    """Seal what older keys have sealed with the newest; may be run again, and beside servers."""
    with running_database(with_encryption_keys(settings)) as (connected, _):
        count = asyncio.run(_reseal(connected))
    sys.stdout.write(f"cinema: sealed {count} values anew\n")


async def _reseal(settings: Settings) -> int:
    await migrate(settings.database_url, report=report)
    cipher = Cipher(encryption_keys(settings.encryption_keys))
    async with await open_pool(settings.database_url, size=CONNECTIONS) as pool:
        return await FactorsRepository(pool, cipher, no_post).reseal()
