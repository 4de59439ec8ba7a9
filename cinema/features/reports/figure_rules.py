"""How reports are written as CSV, and how much is counted at a time: pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from cinema.features.reports.rules import cell


def rows_as_csv(kind: type[msgspec.Struct], rows: Sequence[Any]) -> bytes:
    """Rows as CSV (RFC 4180), with the names of their fields above them."""
    names = [field.encode_name for field in msgspec.structs.fields(kind)]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(names)
    for row in rows:
        writer.writerow([_shown(value) for value in msgspec.structs.astuple(row)])
    return text.getvalue().encode()


def _shown(value: Any) -> Any:
    if value is None:
        return ""
    return cell(value) if isinstance(value, str) else value


def percent(part: int, whole: int) -> float | None:
    """How much of a whole a part is, with one decimal."""
    return round(100 * part / whole, 1) if whole else None


def taken_together(
    events: Sequence[tuple[int, UUID]], showtimes_limit: int
) -> tuple[list[UUID], int]:
    """The showtimes of the first events, at most so many, and the position up to which they are.

    Many events of one showtime are one piece of work.
    """
    showtimes: dict[UUID, None] = {}
    reached = 0
    for position, showtime_id in events:
        if showtime_id not in showtimes and len(showtimes) == showtimes_limit:
            break
        showtimes[showtime_id] = None
        reached = position
    return list(showtimes), reached
