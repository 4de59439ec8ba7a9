"""Makes exports from what every feature knows about an account, a page at a time.

An attempt that did not end is started again, because a zip cannot be continued. Bounds: the sizes
in `rules.py`; a page of rows in `cinema/features/personal.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from cinema.features.feature import JobAttempt, JobFailed
from cinema.features.personal import Disclose
from cinema.features.privacy.rules import PIECE_BYTES, SIZE_LIMIT_BYTES, export_link
from cinema.features.privacy.store import ExportsRepository, MadeFile
from cinema.features.privacy.zip_pieces import ZipPieces

STEP_BYTES: Final = 64 * 1024
"""Bytes that are deflated in one step of the event loop, in about two milliseconds."""

TOO_LARGE: Final = "There is more than fits into one file: ask us for it."


class ExportMaker:
    """Makes the files; `disclosures` are those of the features, `base_url` where links lead."""

    def __init__(
        self,
        exports: ExportsRepository,
        disclosures: Sequence[Disclose],
        *,
        base_url: str,
        link_days: int,
        now: Callable[[], datetime],
        piece_bytes: int = PIECE_BYTES,
        size_limit_bytes: int = SIZE_LIMIT_BYTES,
    ) -> None:
        self._exports = exports
        self._disclosures = disclosures
        self._base_url = base_url
        self._link_days = link_days
        self._now = now
        self._piece_bytes = piece_bytes
        self._size_limit_bytes = size_limit_bytes

    async def run(self, attempt: JobAttempt) -> Mapping[str, Any]:
        """One attempt; the job's parts are the features."""
        user_id = attempt.owner_id
        if user_id is None:
            raise JobFailed("This job is about no account.")
        made = await self._exports.begin(attempt, user_id, self._now())
        if made is None:
            await attempt.report(total=len(self._disclosures))
            size_bytes = await self._write(attempt, user_id)
            made = MadeFile(size_bytes, self._now() + timedelta(days=self._link_days))
            await self._exports.finish(
                attempt, user_id, export_link(self._base_url, attempt.id), made, self._now()
            )
        return {"size_bytes": made.size_bytes, "expires_at": made.expires_at}

    async def _write(self, attempt: JobAttempt, user_id: UUID) -> int:
        number = size_bytes = 0

        async def keep(pieces: Iterable[bytes]) -> None:
            nonlocal number, size_bytes
            for piece in pieces:
                size_bytes += len(piece)
                if size_bytes > self._size_limit_bytes:
                    raise JobFailed(TOO_LARGE)
                await self._exports.add(attempt, number, piece)
                number += 1

        with ZipPieces(self._piece_bytes, self._now()) as zipped:
            for done, disclose in enumerate(self._disclosures, 1):
                async for file in disclose(user_id):
                    zipped.begin(file.name)
                    async for data in file.pieces:
                        for start in range(0, len(data), STEP_BYTES):
                            zipped.write(data[start : start + STEP_BYTES])
                            await asyncio.sleep(0)
                        await keep(zipped.full())
                    zipped.end()
                await attempt.report(done=done)
            await keep(zipped.close())
        return size_bytes
