"""The one line of each request: encoded by msgspec, written in batches, nothing left out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import msgspec

from cinema.domain.ids import format_id

LOG_FLUSH_S: Final = 0.1
LOG_BATCH_LINES: Final = 1024
"""Lines are written together, after this time or this number, whichever comes first."""

REQUEST_FINISHED: Final = "request_finished"

PRINCIPAL_TEXTS_KEPT: Final = 10_000
"""Ids of callers kept as text; formatting one costs more than the rest of the line."""


class RequestLine(msgspec.Struct, gc=False, omit_defaults=True):
    """A finished request. Times are UTC; fields that do not apply are absent."""

    timestamp: str
    request_id: str
    method: str
    route: str
    status: int
    duration_us: int
    principal_id: str | None = None
    error_code: str | None = None
    showtime_id: str | None = None


class _Tagged(RequestLine, tag_field="event", tag=REQUEST_FINISHED):
    level: str = ""


class AccessLog:
    """Collects lines and hands them to `write` at most `LOG_FLUSH_S` later, oldest first."""

    def __init__(
        self,
        write: Callable[[bytes], None],
        call_later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._write = write
        self._call_later = call_later
        self._lines: list[RequestLine] = []
        self._texts: dict[bytes, str] = {}
        self._encode_lines = msgspec.json.Encoder().encode_lines
        self._second = -1
        self._second_text = ""

    def record(
        self,
        wall_s: float,
        request_id: str,
        method: str,
        route: str,
        status: int,
        duration_us: int,
        principal_id: bytes | None,
        error_code: str | None,
        showtime_id: str | None,
    ) -> None:
        """Add the line of a request that ended at `wall_s` (Unix time)."""
        second = int(wall_s)
        if second != self._second:
            self._second = second
            self._second_text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
        lines = self._lines
        lines.append(
            _Tagged(
                f"{self._second_text}{int((wall_s - second) * 1e6):06d}Z",
                request_id,
                method,
                route,
                status,
                duration_us,
                None
                if principal_id is None
                else self._texts.get(principal_id) or self._text(principal_id),
                error_code,
                showtime_id,
                # 503 is deliberate: too busy, or not now. Only 500 is a bug.
                "info" if status < 500 else "error" if status == 500 else "warning",
            )
        )
        if len(lines) == 1:
            self._call_later(LOG_FLUSH_S, self.flush)
        elif len(lines) >= LOG_BATCH_LINES:
            self.flush()

    def flush(self) -> None:
        """Write all lines collected so far."""
        if self._lines:
            self._write(self._encode_lines(self._lines))
            self._lines.clear()

    def _text(self, principal_id: bytes) -> str:
        if len(self._texts) >= PRINCIPAL_TEXTS_KEPT:
            self._texts.clear()
        text = self._texts[principal_id] = format_id(principal_id)
        return text
