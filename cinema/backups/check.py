"""Verifies everything in a folder of backups."""

from __future__ import annotations

import asyncio

from cinema.backups.folder import BackupFolder
from cinema.backups.manifest import check_files
from cinema.backups.programs import find_programs
from cinema.backups.uploads import check_uploads
from cinema.backups.wal import segment_name


async def check_folder(folder: BackupFolder) -> list[str]:
    """Everything that is wrong: damaged files, log or uploads."""
    archive = folder.archive()
    programs = find_programs(archive.major)
    problems: list[str] = []
    for base in folder.bases():
        found = await check_files(folder.data_of(base), programs)
        problems.extend(f"{base.id}: {problem}" for problem in found)
    for stream in folder.streams():
        for segment in stream.segments:
            if segment.partial:
                continue
            name = segment_name(segment.timeline, segment.number, archive.segment_bytes)
            path = stream.folder / name
            if path.stat().st_size != archive.segment_bytes:
                problems.append(f"{path} has {path.stat().st_size} bytes")
    return [*problems, *await asyncio.to_thread(check_uploads, folder)]
