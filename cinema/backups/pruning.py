"""Removes base backups that are too old, and the log that only they needed."""

from __future__ import annotations

import shutil

import msgspec

from cinema.backups.folder import BackupFolder
from cinema.backups.uploads import prune_uploads
from cinema.backups.wal import PARTIAL, segment_name


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed."""

    bases: list[str]
    segments: int


def prune(folder: BackupFolder, keep: int) -> Pruned:
    """Keep the newest base backups, at least one, and all log from the oldest of them on.

    Positions only grow along a history, so a segment before the first that any kept backup
    needs is needed by none, whatever its timeline.
    """
    assert keep >= 1, "the last base backup stays"
    with folder.locked():
        bases = folder.bases()
        doomed, kept = bases[:-keep], bases[-keep:]
        for base in doomed:
            folder.remove(base)
        if not kept:
            return Pruned(bases=[], segments=0)
        segments = _prune_log(folder, min(base.start for base in kept))
        prune_uploads(folder, [base.uploads for base in kept])
        return Pruned(bases=[base.id for base in doomed], segments=segments)


def _prune_log(folder: BackupFolder, start: int) -> int:
    segment_bytes = folder.archive().segment_bytes
    first = start // segment_bytes
    streams = folder.streams()
    removed = 0
    for stream in streams:
        old = [segment for segment in stream.segments if segment.number < first]
        for segment in old:
            name = segment_name(segment.timeline, segment.number, segment_bytes)
            (stream.folder / f"{name}{PARTIAL if segment.partial else ''}").unlink()
        removed += len(old)
        if len(old) == len(stream.segments) and old and stream is not streams[-1]:
            folder.keep_timelines(stream.folder)
            shutil.rmtree(stream.folder)
    return removed
