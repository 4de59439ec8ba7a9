"""Lists what a folder of backups can restore."""

from __future__ import annotations

from datetime import datetime

import msgspec

from cinema.backups.folder import BackupFolder
from cinema.backups.plan import newest_timeline, span_of


class ListedBackup(msgspec.Struct, frozen=True, kw_only=True):
    """One base backup and the times it can restore; `until` is None if only its own end."""

    id: str
    timeline: int
    size_bytes: int
    cinema_version: str
    schema_revision: str
    since: datetime
    until: datetime | None
    hole: str | None


class BackupList(msgspec.Struct, frozen=True, kw_only=True):
    """All base backups; `behind_s` is how long ago the archive certainly had everything."""

    backups: list[ListedBackup]
    timeline: int | None
    behind_s: float | None


def list_backups(folder: BackupFolder, now: datetime) -> BackupList:
    """The base backups, oldest first."""
    folder.archive()
    bases, streams = folder.bases(), folder.streams()
    listed = []
    for base in bases:
        span = span_of(folder, base, folder.lineage(base.timeline), streams)
        listed.append(
            ListedBackup(
                id=base.id,
                timeline=base.timeline,
                size_bytes=base.size_bytes,
                cinema_version=base.cinema_version,
                schema_revision=base.schema_revision,
                since=base.ended_at,
                until=span.until,
                hole=span.hole,
            )
        )
    reached = [stream.status.reached_at for stream in streams if stream.status is not None]
    return BackupList(
        backups=listed,
        timeline=newest_timeline(bases, streams) if bases else None,
        behind_s=(now - max(reached)).total_seconds() if reached else None,
    )
