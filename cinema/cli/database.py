"""The database for a command: the given one, or the embedded one."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import msgspec

from cinema.cli.report import report
from cinema.local.cluster.plan import connections_needed
from cinema.settings import Secret, Settings, SettingsError

if TYPE_CHECKING:
    from cinema.local.embedded_postgres import EmbeddedPostgres


@contextmanager
def running_database(settings: Settings) -> Iterator[tuple[Settings, EmbeddedPostgres | None]]:
    """The settings with the address of a database that runs while the block does."""
    if settings.database_url:
        yield settings, None
        return
    try:
        from cinema.local.embedded_postgres import EmbeddedPostgres
    except ImportError as error:
        raise SettingsError(
            ["DATABASE_URL is not set, and the embedded Postgres (cinema[embedded]) not installed"]
        ) from error
    if not (settings.data_dir / "postgres").exists():
        report(f"making a database in {settings.data_dir} (some seconds, only once)")
    # Until the loop handles signals, a stop has to run the `finally` below.
    signal.signal(signal.SIGTERM, _interrupt)
    postgres = EmbeddedPostgres(settings.data_dir, connections=connections_needed(settings))
    try:
        address = postgres.start()
        yield msgspec.structs.replace(settings, database_url=Secret(address)), postgres
    finally:
        # A second signal would leave Postgres behind; the stop is bounded in time.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        postgres.stop()


def _interrupt(signum: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)
