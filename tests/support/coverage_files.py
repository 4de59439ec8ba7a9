"""What processes have measured of the code that they ran, file by file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

UNFINISHED = ("-journal", "-wal", "-shm")
"""Ends of names under which SQLite keeps what it has not finished."""


def drop_broken_files(folder: Path) -> list[str]:
    """Delete the files that killed processes left half written; returns their names.

    Nothing could be read from them, and each would be warned of in this run and all later ones.
    """
    dropped = []
    for path in sorted(folder.glob(".coverage.*")):
        if not path.name.endswith(UNFINISHED) and not _is_whole(path):
            path.unlink()
            dropped.append(path.name)
    return dropped


def _is_whole(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(path)) as database:
            versions = database.execute("select version from coverage_schema").fetchall()
            database.execute("select count(*) from file").fetchall()
            return len(versions) == 1
    except sqlite3.Error:
        return False
