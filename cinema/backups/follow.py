"""Follows a server: archives its log while it is written, and takes base backups when due."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec
import structlog

from cinema.backups.base import take_base
from cinema.backups.errors import BackupError
from cinema.backups.folder import BackupFolder
from cinema.backups.programs import Running, Source, find_programs
from cinema.backups.pruning import prune
from cinema.backups.server import (
    UNREACHABLE,
    connected,
    read_facts,
    read_now,
    read_revision,
)
from cinema.backups.stream import (
    ArchiveLags,
    OpenStream,
    note_reached,
    open_stream,
    receive,
)
from cinema.backups.uploads import store_uploads
from cinema.storage.database.pool import AnyConnection

STREAM_STARTED: Final = "wal_stream_started"
STREAM_ENDED: Final = "wal_stream_ended"
ARCHIVE_LAGGED: Final = "wal_archive_lagged"
BACKUP_TAKEN: Final = "backup_taken"
BACKUP_FAILED: Final = "backup_failed"

BEAT_S: Final = 5.0
"""How often the position of the archive is noted; times up to it can be restored."""

UPLOADS_EVERY_S: Final = 60.0
"""How often uploaded files are searched for changes."""

DUE_CHECK_S: Final = 30.0
"""Time between two checks whether a base backup is due, and until a failed one is repeated."""

RETRY_S: Final = (1.0, 30.0)
"""The shortest and the longest wait before a lost stream is started again."""

log = structlog.get_logger()


class BackupSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """When base backups are taken, and how many stay."""

    every: timedelta
    keep: int


class _Stopped(Exception):
    """A stop was requested, and everything up to it is archived."""


class ArchiveFollower:
    """Archives one server until it is stopped; `find_source` says where the server is now."""

    def __init__(
        self,
        find_source: Callable[[], Source],
        folder: BackupFolder,
        uploads: Path,
        schedule: BackupSchedule,
    ) -> None:
        self._find_source = find_source
        self._folder = folder
        self._uploads = uploads
        self._schedule = schedule
        self._streaming = False
        self._working = asyncio.Lock()

    async def run(self, stopping: asyncio.Event) -> None:
        """Follow until `stopping` is set; wait for a server that is away."""
        shortest_s, longest_s = RETRY_S
        wait_s = shortest_s
        while not stopping.is_set():
            self._streaming = False
            try:
                await self._follow(stopping)
            except* _Stopped:
                stopping.set()
            except* (BackupError, *UNREACHABLE) as failures:
                reasons = [str(one) or repr(one) for one in _leaves(failures)]
                log.warning(STREAM_ENDED, reason="; ".join(reasons))
            wait_s = shortest_s if self._streaming else min(2 * wait_s, longest_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), wait_s)

    async def _follow(self, stopping: asyncio.Event) -> None:
        source = self._find_source()
        async with connected(source) as connection:
            facts = await read_facts(connection)
            await read_revision(connection)
            programs = find_programs(facts.major)
            self._folder.claim(facts.system_identifier, facts.major, facts.segment_bytes)
            with self._folder.locked("wal.lock"):
                stream = await open_stream(connection, self._folder, facts)
                receiver = await receive(source, programs, stream)
                log.info(STREAM_STARTED, timeline=stream.timeline, folder=str(stream.folder))
                try:
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(_fail_at_end(receiver), name="receiver")
                        tasks.create_task(self._beat(connection, stream, stopping), name="beat")
                        tasks.create_task(self._take_bases(source, stream), name="bases")
                        tasks.create_task(self._keep_uploads(source), name="uploads")
                finally:
                    await receiver.stop()

    async def _beat(
        self, connection: AnyConnection, stream: OpenStream, stopping: asyncio.Event
    ) -> None:
        while True:
            last = stopping.is_set()
            try:
                await note_reached(connection, stream)
                self._streaming = True
            except ArchiveLags as error:
                log.warning(ARCHIVE_LAGGED, reason=str(error))
            if last:
                raise _Stopped
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), BEAT_S)

    async def _take_bases(self, source: Source, stream: OpenStream) -> None:
        while True:
            try:
                if await self._due(source, stream):
                    async with self._working:
                        base = await take_base(source, self._folder, self._uploads)
                        pruned = await asyncio.to_thread(prune, self._folder, self._schedule.keep)
                    log.info(
                        BACKUP_TAKEN,
                        backup=base.id,
                        size_bytes=base.size_bytes,
                        pruned=pruned.bases,
                        pruned_segments=pruned.segments,
                    )
            except (BackupError, *UNREACHABLE) as error:
                log.warning(BACKUP_FAILED, reason=str(error))
            await asyncio.sleep(DUE_CHECK_S)

    async def _due(self, source: Source, stream: OpenStream) -> bool:
        """Whether the newest base backup is too old, or this stream does not continue it."""
        bases = await asyncio.to_thread(self._folder.bases)
        if not bases:
            return True
        newest = bases[-1]
        if newest.timeline != stream.timeline or newest.start < stream.begins:
            return True
        async with connected(source) as connection:
            return await read_now(connection) - newest.ended_at >= self._schedule.every

    async def _keep_uploads(self, source: Source) -> None:
        while True:
            await asyncio.sleep(UPLOADS_EVERY_S)
            try:
                async with self._working, connected(source) as connection:
                    now = await read_now(connection)
                    with self._folder.locked():
                        await asyncio.to_thread(store_uploads, self._folder, self._uploads, now)
            except (BackupError, *UNREACHABLE) as error:
                log.warning(BACKUP_FAILED, reason=str(error))


async def _fail_at_end(receiver: Running) -> None:
    raise BackupError(await receiver.ended() or "the server ended the stream")


def _leaves(failures: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for one in failures.exceptions:
        found.extend(_leaves(one) if isinstance(one, BaseExceptionGroup) else [one])
    return found
