"""Starts the embedded Postgres again when it dies."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

import structlog

POSTGRES_RESTARTED: Final = "postgres_restarted"
POSTGRES_RESTART_FAILED: Final = "postgres_restart_failed"

LOOK_S: Final = 0.5
"""Time between two checks whether Postgres still runs."""

log = structlog.get_logger(__name__)


class OwnPostgres(Protocol):
    """A Postgres that this process has started."""

    @property
    def running(self) -> bool:
        """Whether it has not ended."""

    def revive(self) -> None:
        """Start it again; blocks."""


async def keep_postgres(postgres: OwnPostgres) -> None:
    """Start it again each time it dies, until cancelled; committed data is there again."""
    while True:
        await asyncio.sleep(LOOK_S)
        if postgres.running:
            continue
        try:
            await asyncio.to_thread(postgres.revive)
        except Exception:
            log.exception(POSTGRES_RESTART_FAILED)
        else:
            log.warning(POSTGRES_RESTARTED)
