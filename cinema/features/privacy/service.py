"""Exports: request one, and download it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from uuid import UUID

from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused, refuse
from cinema.features.accounts.shapes import Client
from cinema.features.accounts.throttles import HOUR_S, Throttles
from cinema.features.jobs.service import JobsService
from cinema.features.jobs.shapes import Job
from cinema.features.privacy.rules import DOWNLOADS_AT_ONCE, DOWNLOADS_PER_HOUR, digest_of
from cinema.features.privacy.shapes import Download, Ready
from cinema.features.privacy.store import ExportsRepository
from cinema.storage.redis.throttle_counts import limit_of


class ExportsService:
    """Use cases of exports; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        exports: ExportsRepository,
        jobs: JobsService,
        throttles: Throttles,
        *,
        per_day: int,
        clock: Callable[[], float],
    ) -> None:
        self._exports = exports
        self._jobs = jobs
        self._throttles = throttles
        self._per_day = per_day
        self._clock = clock
        self._of_link = limit_of("export_link", DOWNLOADS_PER_HOUR, HOUR_S)
        self._under_way = 0

    async def ask(self, principal: Principal, client: Client) -> Job:
        """Begin an export of the caller's account, or return the one that is being made.

        Refuses NOT_FOUND, FORBIDDEN, RATE_LIMITED, RETRY, OUTCOME_UNKNOWN.
        """
        user_id = UUID(bytes=principal.user_id)
        try:
            job = await self._exports.ask(user_id, client, self._now(), per_day=self._per_day)
        except Refused as refusal:
            details = refusal.rejection.details or {}
            if refusal.rejection.code == "RATE_LIMITED":
                raise self._throttles.refusal("exports", details["retry_after_s"]) from None
            raise
        return await self._jobs.job(principal, job.id)

    async def download(self, export_id: UUID, token: str, client: Client) -> Download:
        """The file of a link. Refuses INVALID_LINK, RATE_LIMITED, OVERLOADED, RETRY."""
        now, digest = self._now(), digest_of(export_id, token)
        export = await self._exports.open(digest, now)
        if export is None:
            raise refuse("INVALID_LINK")
        await self._throttles.count(self._of_link, digest.hex())
        pieces = await self._place(export)
        try:
            await self._exports.note_download(export, client, now)
        except BaseException:
            await pieces.aclose()
            raise
        return Download(
            name=f"cinema-{export.created_at:%Y-%m-%d}.zip",
            size_bytes=export.size_bytes,
            pieces=pieces,
        )

    async def _place(self, export: Ready) -> AsyncGenerator[bytes, None]:
        """The pieces, with a place among those that are handed out. Refuses OVERLOADED."""
        if self._under_way >= DOWNLOADS_AT_ONCE:
            raise refuse("OVERLOADED")
        pieces = self._counted(export)
        # Begun, so that closing it gives the place back; it has not read anything yet.
        await anext(pieces)
        return pieces

    async def _counted(self, export: Ready) -> AsyncGenerator[bytes, None]:
        self._under_way += 1
        try:
            yield b""
            async for piece in self._exports.pieces(export):
                yield piece
        finally:
            self._under_way -= 1

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)
