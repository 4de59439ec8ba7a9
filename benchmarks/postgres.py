"""The Postgres that the server under test started: where it is, and whether it is durable."""

from pathlib import Path
from urllib.parse import quote

import asyncpg
import msgspec

from cinema.local.postgres_home import DATABASE, USER

DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
"""Settings without which a rate says nothing."""

TOLD = ("server_version", *DURABLE, "wal_sync_method", "shared_buffers", "max_wal_size")

WAL_FLUSHES = "SELECT coalesce(sum(fsyncs), 0)::bigint FROM pg_stat_io WHERE object = 'wal'"


class NotDurableError(Exception):
    """Postgres would lose what it confirmed."""


class Postgres(msgspec.Struct, frozen=True, kw_only=True):
    """A running Postgres: its postmaster's pid, and how to reach it."""

    pid: int
    dsn: str


def find_postgres(data_dir: Path) -> Postgres:
    """The Postgres running somewhere under a data folder, by its postmaster.pid."""
    files = list(data_dir.rglob("postmaster.pid"))
    if len(files) != 1:
        raise FileNotFoundError(f"{len(files)} files named postmaster.pid under {data_dir}")
    # Lines: pid, data directory, start time, port, socket directory, listen address, ...
    pid, _, _, port, sockets, listen = (files[0].read_text().splitlines() + [""] * 6)[:6]
    host = sockets.strip() or listen.strip()
    return Postgres(
        pid=int(pid),
        dsn=f"postgresql://{USER}@/{DATABASE}?host={quote(host, safe='/')}&port={port.strip()}",
    )


async def describe_postgres(dsn: str) -> dict[str, str]:
    """The settings that matter, as Postgres shows them; raises NotDurableError if one is off."""
    connection = await asyncpg.connect(dsn)
    try:
        shown = {name: str(await connection.fetchval(f"SHOW {name}")) for name in TOLD}
    finally:
        await connection.close()
    off = [name for name in DURABLE if shown[name] != "on"]
    if off:
        raise NotDurableError(f"{', '.join(off)} must be on")
    return shown
