"""Postgres's `restore_command`: hands it one file of the archive. Standard library only.

Run as a script: wal_fetch.py BACKUPS SEGMENT_BYTES ENDS NAME TARGET. ENDS tells of branches that
the wanted history left, as 00000001:7 (with commas): of timeline 1 nothing from segment 7 on, where
Postgres would read on in a history that was given up.

Exit code 1 says that there is no such file, which Postgres takes for the end of the log; whatever
else goes wrong must not look like that, and ends with a code above 125, at which Postgres stops.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

NOT_THERE = 1
BROKEN = 200

_SEGMENT_NAME_LENGTH = 24
_PLACES = ("wal/*", "timelines")


class DamagedError(Exception):
    """A file is there, and is not what it should be."""


def find(backups: Path, segment_bytes: int, ends: str, name: str) -> Path | None:
    """The file of that name; a segment that was still being received if there is no whole one."""
    if len(name) == _SEGMENT_NAME_LENGTH and _is_given_up(segment_bytes, ends, name):
        return None
    whole = [path for place in _PLACES for path in sorted(backups.glob(f"{place}/{name}"))]
    if len(name) != _SEGMENT_NAME_LENGTH:
        return whole[-1] if whole else None
    for path in whole:
        if path.stat().st_size != segment_bytes:
            raise DamagedError(f"{path} has {path.stat().st_size} bytes and not {segment_bytes}")
    # One of another size was being prepared, and has nothing yet.
    partial = [
        path
        for path in backups.glob(f"wal/*/{name}.partial")
        if path.stat().st_size == segment_bytes
    ]
    # They are filled with zeros up to their size: the fullest one has most of the log.
    return whole[-1] if whole else max(partial, key=_filled, default=None)


def _is_given_up(segment_bytes: int, ends: str, name: str) -> bool:
    number = int(name[8:16], 16) * ((1 << 32) // segment_bytes) + int(name[16:], 16)
    for branch in filter(None, ends.split(",")):
        timeline, _, end = branch.partition(":")
        if name.startswith(timeline) and number >= int(end):
            return True
    return False


def _filled(path: Path) -> int:
    return len(path.read_bytes().rstrip(b"\0"))


def main(arguments: list[str]) -> int:
    """Copy the file to where Postgres wants it; the exit code."""
    backups, segment_bytes, ends, name, target = arguments
    try:
        found = find(Path(backups), int(segment_bytes), ends, name)
        if found is None:
            return NOT_THERE
        shutil.copyfile(found, target)
        # A partly written copy must not be taken for the file if the machine stops now.
        handle = os.open(target, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
    except (DamagedError, OSError) as error:
        sys.stderr.write(f"cinema: cannot fetch {name}: {error}\n")
        return BROKEN
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
