"""What Postgres does for a statement: its plan as the server's own connections get it."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

_MONTH = re.compile(r"showtime_journal_\d{4}_\d{2}")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The steps of a plan with their indexes, outermost first, and the pages it touched."""

    steps: list[str]
    pages: int

    def __str__(self) -> str:
        return ", ".join(self.steps)


async def plan_of(dsn: str, settings: Mapping[str, str], query: str, arguments: list[Any]) -> Plan:
    """Carry a statement out as a session with such settings would, and undo it."""
    connection = await asyncpg.connect(dsn, server_settings=dict(settings))
    try:
        await connection.execute(f"prepare looked_at as {query}")
        given = f"({', '.join(literal(one) for one in arguments)})" if arguments else ""
        explain = f"explain (analyze, buffers, timing off, format json) execute looked_at{given}"
        # The first execution reads the catalogue, which the pages would count.
        for _ in range(2):
            running = connection.transaction()
            await running.start()
            said = await connection.fetchval(explain)
            await running.rollback()
    finally:
        await connection.close()
    (whole,) = msgspec.json.decode(said)
    top = whole["Plan"]
    pages = top.get("Shared Hit Blocks", 0) + top.get("Shared Read Blocks", 0)
    return Plan(steps=list(_steps(top)), pages=pages)


def _steps(node: dict[str, Any]) -> Iterator[str]:
    on = node.get("Index Name") or node.get("Relation Name") or node.get("CTE Name") or ""
    yield f"{node['Node Type']} {_MONTH.sub('showtime_journal_MONTH', on)}".strip()
    for inner in node.get("Plans", ()):
        yield from _steps(inner)


def literal(value: Any) -> str:
    """A value as SQL text."""
    match value:
        case None:
            return "null"
        case bytes():
            return f"'\\x{value.hex()}'"
        case list():
            return f"'{{{','.join(str(one) for one in value)}}}'"
        case str() | UUID() | datetime():
            return f"'{value}'"
        case _:
            return str(value)
