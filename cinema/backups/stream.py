"""One stream of log: where it goes, the slot that keeps nothing from being missed, how far it is.

The slot makes the server keep what the archive has not flushed yet. Where it was lost, or the
server has begun a new timeline, a new stream begins in a folder of its own, and needs a base
backup of its own: nothing of an older stream is ever written over.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Final

import asyncpg
import msgspec

from cinema.backups.errors import BackupError
from cinema.backups.folder import STATUS, BackupFolder, Status, Stream, write_whole
from cinema.backups.programs import Programs, Running, Source, start
from cinema.backups.server import ServerFacts
from cinema.backups.wal import (
    PARTIAL,
    format_lsn,
    parse_lsn,
    parse_segment,
    segment_name,
)
from cinema.storage.database.pool import AnyConnection

APPLICATION_NAME: Final = "cinema_backup"

FLUSH_TIMEOUT_S: Final = 30.0
"""How long the archive may take to flush what the server has, before that is reported."""

_POLL_S: Final = 0.05

_WHERE: Final = """
select pg_walfile_name(pg_current_wal_flush_lsn()) as segment,
    pg_current_wal_flush_lsn()::text as flushed
"""
_SLOT: Final = """
select restart_lsn::text, wal_status, active from pg_replication_slots where slot_name = $1
"""
# With `true` it keeps from the last checkpoint on, at once.
_CREATE_SLOT: Final = "select lsn::text from pg_create_physical_replication_slot($1, true)"
_DROP_SLOT: Final = """
select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1
"""
# A commit of its own: a restore to a moment needs a commit after it to know where to stop.
_BEAT: Final = "select clock_timestamp(), pg_logical_emit_message(true, 'cinema.backup', '')"


class ArchiveLags(BackupError):
    """The archive does not keep up with the server, or its disk is slow."""


class OpenStream(msgspec.Struct, frozen=True, kw_only=True):
    """The stream that is being written."""

    folder: Path
    timeline: int
    begins: int
    slot: str


def slot_of(archive_id: str) -> str:
    """The name of the slot that serves an archive."""
    return f"{APPLICATION_NAME}_{archive_id}"


async def open_stream(
    connection: AnyConnection, folder: BackupFolder, facts: ServerFacts
) -> OpenStream:
    """Continue the stream of the server's timeline if nothing is missing, else begin a new one.

    Refuses while another process uses the slot, and a server that is behind its own archive.
    """
    slot = slot_of(folder.archive().id)
    where = await connection.fetchrow(_WHERE)
    assert where is not None, "a select without a from clause has one row"
    here = parse_segment(where["segment"], facts.segment_bytes)
    assert here is not None, "Postgres names its own files"
    found = await connection.fetchrow(_SLOT, slot)
    if found is not None and found["active"]:
        raise BackupError(f"the replication slot {slot} is in use: another `cinema backup` follows")
    last = _last_of(folder, here.timeline)
    if last is not None and last.status is not None:
        _refuse_a_server_behind(last.status, parse_lsn(where["flushed"]), folder)
    usable = found is not None and found["wal_status"] != "lost" and found["restart_lsn"]
    if found is not None and not usable:
        await connection.execute(_DROP_SLOT, slot)
    restart = parse_lsn(
        found["restart_lsn"]
        if usable and found is not None
        else await connection.fetchval(_CREATE_SLOT, slot)
    )
    kept_from = restart // facts.segment_bytes
    if usable and last is not None and kept_from <= _needed(last, facts.segment_bytes):
        target = last.folder
    else:
        name = segment_name(here.timeline, kept_from, facts.segment_bytes)
        target = folder.wal / name
        target.mkdir(mode=0o700, exist_ok=True)
    _remove_unprepared(target, facts.segment_bytes)
    begins = parse_segment(target.name, facts.segment_bytes)
    assert begins is not None, "streams are named for their first segment"
    return OpenStream(
        folder=target,
        timeline=here.timeline,
        begins=begins.number * facts.segment_bytes,
        slot=slot,
    )


async def drop_slot(connection: AnyConnection, archive_id: str) -> None:
    """Let the server no longer keep anything for an archive."""
    try:
        await connection.execute(_DROP_SLOT, slot_of(archive_id))
    except asyncpg.ObjectInUseError as error:
        raise BackupError(f"{slot_of(archive_id)} is in use: stop what follows first") from error


async def receive(source: Source, programs: Programs, stream: OpenStream) -> Running:
    """Start writing the stream: each piece is flushed before the server is told."""
    address, environment = source.for_programs()
    return await start(
        programs,
        "pg_receivewal",
        [
            f"--dbname={address}", f"--directory={stream.folder}", f"--slot={stream.slot}",
            "--synchronous", "--no-loop", "--no-password",
        ],
        {**environment, "PGAPPNAME": APPLICATION_NAME},
    )  # fmt: skip


async def note_reached(connection: AnyConnection, stream: OpenStream) -> datetime:
    """Commit a mark, wait until the archive has it on disk, and write down how far that is.

    Raises `ArchiveLags` when that takes too long, `BackupError` when the server is on another
    timeline by now.
    """
    moment: datetime = await connection.fetchval(_BEAT)
    where = await connection.fetchrow(_WHERE)
    assert where is not None, "a select without a from clause has one row"
    if int(where["segment"][:8], 16) != stream.timeline:
        raise BackupError("the server has begun a new timeline")
    flushed = parse_lsn(where["flushed"])
    try:
        async with asyncio.timeout(FLUSH_TIMEOUT_S):
            while True:
                if await _archived(connection, stream.slot) >= flushed:
                    break
                await asyncio.sleep(_POLL_S)
    except TimeoutError as error:
        raise ArchiveLags(f"{format_lsn(flushed)} of {moment} is not archived yet") from error
    status = Status(timeline=stream.timeline, reached_at=moment, flushed_lsn=format_lsn(flushed))
    await asyncio.to_thread(write_whole, stream.folder / STATUS, status)
    return moment


async def _archived(connection: AnyConnection, slot: str) -> int:
    found = await connection.fetchrow(_SLOT, slot)
    if found is None or found["restart_lsn"] is None:
        raise BackupError(f"the replication slot {slot} is gone")
    return parse_lsn(found["restart_lsn"])


def _last_of(folder: BackupFolder, timeline: int) -> Stream | None:
    mine = [one for one in folder.streams() if int(one.folder.name[:8], 16) == timeline]
    return mine[-1] if mine else None


def _needed(stream: Stream, segment_bytes: int) -> int:
    """The first segment that the stream does not have whole: it continues there."""
    whole = [segment.number for segment in stream.segments if not segment.partial]
    if whole:
        return max(whole) + 1
    first = parse_segment(stream.folder.name, segment_bytes)
    assert first is not None, "streams are named for their first segment"
    return first.number


def _remove_unprepared(folder: Path, segment_bytes: int) -> None:
    """Remove what a kill or a full disk left of a segment while it was filled with zeros.

    It has no log yet, for that comes after, and pg_receivewal stumbles over it.
    """
    for path in folder.glob(f"*{PARTIAL}"):
        if path.stat().st_size != segment_bytes:
            path.unlink()


def _refuse_a_server_behind(status: Status, flushed: int, folder: BackupFolder) -> None:
    if parse_lsn(status.flushed_lsn) > flushed:
        raise BackupError(
            f"the server is at {format_lsn(flushed)}, behind what {folder.root} has of it "
            f"({status.flushed_lsn}): it was put back by other means than `cinema restore`; "
            "follow it into a new folder"
        )
