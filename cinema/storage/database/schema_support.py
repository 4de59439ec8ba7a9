"""Which builds can serve a database: migrations add things, and rarely one removes something.

Versions N and N+1 share a database while N+1 is deployed, and N comes back in a rollback, so a
build also serves schemas that are newer than it knows. That holds until a migration removes what
older builds use; its file says from which revision on builds do without:

    -- contract: 0007

The table `schema_support` keeps the highest such revision for builds that do not have the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import asyncpg

_CONTRACT: Final = re.compile(r"^-- contract: (\d{4})\b", re.MULTILINE)

CREATE_SUPPORT: Final = """
create table if not exists schema_support (
    only_row boolean primary key default true check (only_row),
    oldest text not null
)
"""
RECORD_SUPPORT: Final = """
insert into schema_support (oldest) values ($1)
on conflict (only_row) do update set oldest = excluded.oldest
"""


def oldest_supported(files: Mapping[str, Path]) -> str:
    """The last revision of the oldest build that still works after all `files` are applied."""
    contracts = (contract_of(path.read_text(encoding="utf-8")) for path in files.values())
    return max((one for one in contracts if one is not None), default=min(files))


def contract_of(sql: str) -> str | None:
    """The revision from which builds do not need what a migration removes; None if it only adds."""
    match = _CONTRACT.search(sql)
    return match[1] if match else None


async def supports(connection: asyncpg.Connection, newest: str) -> bool:
    """Whether a build whose last migration is `newest` can serve this newer database."""
    try:
        oldest = await connection.fetchval("select oldest from schema_support")
    except asyncpg.UndefinedTableError:
        return False
    return oldest is not None and newest >= str(oldest)
