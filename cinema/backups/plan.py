"""Chooses the base backup for a restore, and the conditions for its end."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

from cinema.backups.errors import BackupError
from cinema.backups.folder import BackupFolder, Base, Stream
from cinema.backups.wal import Branch, format_lsn, parse_lsn, reach

NOT_NOTED: Final = timedelta(minutes=1)
"""How much an archive may have after the last time that it noted; only Postgres can check a target
in there. The same is true at a hole in the log, whose time was not noted."""


class RestorePlan(msgspec.Struct, frozen=True, kw_only=True):
    """From `base` along `timeline` to `to_time`, or to the end, which is at `least` or later."""

    base: Base
    timeline: int
    to_time: datetime | None
    least: int


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """The times that can be restored from one base backup; `until` is None if only its end."""

    base: Base
    until: datetime | None
    hole: str | None


def plan_restore(
    folder: BackupFolder,
    *,
    to_time: datetime | None,
    timeline: int | None = None,
    base_id: str | None = None,
) -> RestorePlan:
    """Choose a plan; a refusal says what is possible instead.

    Without a timeline it is the one that was archived last. Postgres's own `latest` would be the
    highest number, which may belong to an abandoned restore.
    """
    folder.archive()
    bases, streams = folder.bases(), folder.streams()
    if not bases:
        raise BackupError(f"{folder.root} has no base backup")
    wanted = timeline or newest_timeline(bases, streams)
    branches = folder.lineage(wanted)
    leading = [base for base in bases if _leads_to(base, branches)]
    if base_id is not None:
        leading = [base for base in leading if base.id == base_id]
    if not leading:
        raise BackupError(f"no base backup{f' {base_id}' * bool(base_id)} leads to {wanted}")
    if to_time is not None:
        earliest = leading[0].ended_at
        leading = [base for base in leading if base.ended_at <= to_time]
        if not leading:
            raise BackupError(
                f"{to_time.isoformat()} is before the first base backup; "
                f"the earliest moment is {earliest.isoformat()}"
            )
    base = leading[-1]
    span = span_of(folder, base, branches, streams)
    if to_time is not None and span.hole is None:
        _refuse_what_is_later(to_time, span.until)
    if to_time is None and span.hole is not None:
        raise BackupError(f"{span.hole}; restore to a moment before that with --to-time")
    return RestorePlan(
        base=base, timeline=wanted, to_time=to_time, least=_least(base, wanted, streams)
    )


def _refuse_what_is_later(to_time: datetime, until: datetime | None) -> None:
    if until is None or to_time >= until + NOT_NOTED:
        reaches = "ends with its base backup" if until is None else f"ends at {until.isoformat()}"
        raise BackupError(
            f"{to_time.isoformat()} is after the archive, which {reaches}; "
            "leave --to-time out to restore all there is"
        )


def newest_timeline(bases: list[Base], streams: list[Stream]) -> int:
    """The timeline that was backed up last."""
    seen = [(base.ended_at, base.timeline) for base in bases]
    seen.extend(
        (stream.status.reached_at, stream.status.timeline) for stream in streams if stream.status
    )
    return max(seen)[1]


def span_of(
    folder: BackupFolder, base: Base, branches: list[Branch], streams: list[Stream]
) -> Span:
    """How far the log behind a base backup reaches along a history."""
    segment_bytes = folder.archive().segment_bytes
    segments = [segment for stream in streams for segment in stream.segments]
    # The backup itself has its log up to where it is consistent.
    first = base.stop // segment_bytes
    found = reach(segments, branches, first, segment_bytes)
    end = (found.last + 1) * segment_bytes
    until = max(
        (
            stream.status.reached_at
            for stream in streams
            if stream.status is not None
            and base.stop <= parse_lsn(stream.status.flushed_lsn) <= end
            and _on(stream.status.timeline, parse_lsn(stream.status.flushed_lsn), branches)
        ),
        default=None,
    )
    hole = None
    # A backup from before the first `--follow` has only its own log, and nothing is missing.
    if found.beyond is not None and found.last >= first:
        hole = (
            f"the log behind base backup {base.id} has a hole from {format_lsn(end)} "
            f"to {format_lsn(found.beyond * segment_bytes)}"
        )
    return Span(base=base, until=until, hole=hole)


def _leads_to(base: Base, branches: list[Branch]) -> bool:
    return any(
        branch.timeline == base.timeline and (branch.ends is None or base.stop <= branch.ends)
        for branch in branches
    )


def _on(timeline: int, position: int, branches: list[Branch]) -> bool:
    return any(
        branch.timeline == timeline and (branch.ends is None or position <= branch.ends)
        for branch in branches
    )


def _least(base: Base, timeline: int, streams: list[Stream]) -> int:
    flushed = [
        parse_lsn(stream.status.flushed_lsn)
        for stream in streams
        if stream.status is not None and stream.status.timeline == timeline
    ]
    return max([base.stop, *flushed])
