"""Names and numbers of write-ahead log: positions, segments, timelines. No I/O.

A timeline is a line of history; a restore to an earlier moment, and a promoted standby, begin a
new one that branches off at a position of the old one. Names of segments begin with the timeline.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

import msgspec

from cinema.backups.errors import BackupError

PARTIAL: Final = ".partial"
_SEGMENT: Final = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(\.partial)?")
_HISTORY: Final = re.compile(r"([0-9A-F]{8})\.history")
_BRANCH: Final = re.compile(r"\s*(\d+)\s+([0-9A-F]+/[0-9A-F]+)")
_LSN: Final = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")


class Segment(NamedTuple):
    """A file of the log; `partial` while it is being received."""

    timeline: int
    number: int
    partial: bool


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """The part of one timeline that a history runs along; `ends` is None on the last one."""

    timeline: int
    begins: int
    ends: int | None


def parse_lsn(text: str) -> int:
    """The position in bytes of `16/B374D848`."""
    match = _LSN.fullmatch(text)
    if match is None:
        raise BackupError(f"{text!r} is not a position in a log")
    return (int(match[1], 16) << 32) + int(match[2], 16)


def format_lsn(position: int) -> str:
    """A position as Postgres writes it."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def segment_name(timeline: int, number: int, segment_bytes: int) -> str:
    """The name of a segment's file."""
    high, low = divmod(number, (1 << 32) // segment_bytes)
    return f"{timeline:08X}{high:08X}{low:08X}"


def parse_segment(name: str, segment_bytes: int) -> Segment | None:
    """What a file's name says; None for any other file."""
    match = _SEGMENT.fullmatch(name)
    if match is None:
        return None
    number = int(match[2], 16) * ((1 << 32) // segment_bytes) + int(match[3], 16)
    return Segment(int(match[1], 16), number, match[4] is not None)


def history_name(timeline: int) -> str:
    """The name of the file that says where a timeline came from."""
    return f"{timeline:08X}.history"


def parse_history_name(name: str) -> int | None:
    """The timeline of a history file; None for any other file."""
    match = _HISTORY.fullmatch(name)
    return None if match is None else int(match[1], 16)


def lineage(timeline: int, history: str) -> list[Branch]:
    """The branches that lead to a timeline, the oldest first, from its history file's text."""
    branches = []
    begins = 0
    for line in history.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _BRANCH.match(line)
        if match is None:
            raise BackupError(f"the history of timeline {timeline} is damaged: {line!r}")
        ends = parse_lsn(match[2])
        branches.append(Branch(timeline=int(match[1]), begins=begins, ends=ends))
        begins = ends
    return [*branches, Branch(timeline=timeline, begins=begins, ends=None)]


class Reach(NamedTuple):
    """How far an archive goes without a hole, in numbers of segments.

    `last` is the last segment before the first hole, or before the first one asked for if that
    is missing; `beyond` is the first one after the hole, None if there is no hole.
    """

    last: int
    beyond: int | None


def reach(
    segments: Iterable[Segment], branches: Collection[Branch], first: int, segment_bytes: int
) -> Reach:
    """How far the segments reach from number `first` on, along a history.

    Where a branch ends, the next one has the segment: the old one's goes on in the history that
    was given up.
    """
    there = {
        segment.number
        for segment in segments
        for branch in branches
        if segment.timeline == branch.timeline
        and segment.number >= branch.begins // segment_bytes
        and (branch.ends is None or segment.number < branch.ends // segment_bytes)
    }
    last = first - 1
    while last + 1 in there:
        last += 1
    return Reach(last, min((number for number in there if number > last), default=None))
