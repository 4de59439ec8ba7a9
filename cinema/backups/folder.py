"""The folder of backups: its contents, its lock, and how it is written.

    archive.json                       whose backups these are
    base/<id>/backup.json, postgres/   base backups; `<id>.incomplete` while one is made or removed
    wal/<first segment>/               one unbroken stream of log each, with status.json
    timelines/<timeline>.history       timelines that restores have begun
    uploads/objects, uploads/index     files beside the database

A file with its final name is complete: it was written under another name, flushed, and renamed.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from cinema.backups.errors import BackupError
from cinema.backups.wal import (
    Branch,
    Segment,
    history_name,
    lineage,
    parse_history_name,
    parse_lsn,
    parse_segment,
)

FORMAT: Final = 1
INCOMPLETE: Final = ".incomplete"
STATUS: Final = "status.json"
_MANIFEST: Final = "backup.json"
_IDENTITY: Final = "archive.json"
# What a new file system and an interrupted first backup may have left.
_HARMLESS: Final = frozenset({"lost+found", f"{_IDENTITY}.new"})

T = TypeVar("T")


class Archive(msgspec.Struct, frozen=True, kw_only=True):
    """The database whose backups a folder has."""

    format: int
    id: str
    system_identifier: str
    major: int
    segment_bytes: int


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """One base backup. Times from `ended_at` on (by the server's clock) can be restored from it."""

    format: int
    id: str
    began_at: datetime
    ended_at: datetime
    timeline: int
    start_lsn: str
    stop_lsn: str
    user: str
    database: str
    schema_revision: str
    cinema_version: str
    size_bytes: int
    uploads: str

    @property
    def start(self) -> int:
        """Where the log begins that it needs."""
        return parse_lsn(self.start_lsn)

    @property
    def stop(self) -> int:
        """Where it is consistent."""
        return parse_lsn(self.stop_lsn)


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How far a stream is certainly flushed: it has all that committed before `reached_at`."""

    timeline: int
    reached_at: datetime
    flushed_lsn: str


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """One unbroken run of segments; `status` is None until the first is certain."""

    folder: Path
    segments: tuple[Segment, ...]
    status: Status | None


class BackupFolder:
    """One folder of backups, of one database system."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.base = self.root / "base"
        self.wal = self.root / "wal"
        self.timelines = self.root / "timelines"
        self.uploads = self.root / "uploads"

    def archive(self) -> Archive:
        """The database of these backups; refuses a folder without backups of cinema."""
        found = _read(self.root / _IDENTITY, Archive)
        if found is None:
            raise BackupError(f"{self.root} holds no backups of cinema")
        if found.format != FORMAT:
            raise BackupError(f"{self.root} is of format {found.format}; this build reads {FORMAT}")
        return found

    def claim(self, system_identifier: str, major: int, segment_bytes: int) -> Archive:
        """Bind the folder to this database system, or check that it is bound to it."""
        if not (self.root / _IDENTITY).exists():
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if {entry.name for entry in self.root.iterdir()} - _HARMLESS:
                raise BackupError(f"{self.root} holds other files; choose an empty folder")
            archive = Archive(
                format=FORMAT,
                id=secrets.token_hex(4),
                system_identifier=system_identifier,
                major=major,
                segment_bytes=segment_bytes,
            )
            write_whole(self.root / _IDENTITY, archive)
        found = self.archive()
        if (found.system_identifier, found.major) != (system_identifier, major):
            raise BackupError(
                f"{self.root} holds backups of another database; choose another folder"
            )
        for folder in (self.base, self.wal, self.timelines, self.uploads):
            folder.mkdir(mode=0o700, exist_ok=True)
        return found

    @contextmanager
    def locked(self, name: str = "lock") -> Iterator[None]:
        """Lock the folder; the lock ends with the process in any case."""
        handle = os.open(self.root / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BackupError(
                    f"another backup or restore works in {self.root}; wait for it"
                ) from error
            yield
        finally:
            os.close(handle)

    # --- base backups

    def bases(self) -> list[Base]:
        """All complete base backups, oldest first."""
        if not self.base.exists():
            return []
        found = [
            base
            for entry in self.base.iterdir()
            if not entry.name.endswith(INCOMPLETE)
            and (base := _read(entry / _MANIFEST, Base)) is not None
        ]
        return sorted(found, key=lambda base: base.ended_at)

    def data_of(self, base: Base) -> Path:
        """Where the files of its database are."""
        return self.base / base.id / "postgres"

    def draft(self, base_id: str) -> Path:
        """The folder to make a base backup in; removes remains of earlier ones. Hold the lock."""
        for entry in list(self.base.iterdir()):
            if entry.name.endswith(INCOMPLETE):
                shutil.rmtree(entry)
        if (self.base / base_id).exists():
            raise BackupError(f"there is a base backup {base_id} already")
        draft = self.base / f"{base_id}{INCOMPLETE}"
        draft.mkdir(mode=0o700)
        return draft

    def finish(self, draft: Path, base: Base) -> None:
        """Give a draft its final name, once everything is on disk."""
        write_whole(draft / _MANIFEST, base)
        draft.rename(self.base / base.id)
        flush(self.base)

    def remove(self, base: Base) -> None:
        """Remove a base backup; it becomes incomplete at once. Hold the lock."""
        doomed = self.base / f"{base.id}{INCOMPLETE}"
        (self.base / base.id).rename(doomed)
        flush(self.base)
        shutil.rmtree(doomed)

    # --- the log

    def streams(self) -> list[Stream]:
        """All streams of log, oldest first."""
        if not self.wal.exists():
            return []
        segment_bytes = self.archive().segment_bytes
        return [
            Stream(
                folder=folder,
                segments=tuple(
                    segment
                    for entry in sorted(folder.iterdir())
                    if (segment := parse_segment(entry.name, segment_bytes)) is not None
                ),
                status=_read(folder / STATUS, Status),
            )
            for folder in sorted(self.wal.iterdir())
            if folder.is_dir()
        ]

    def lineage(self, timeline: int) -> list[Branch]:
        """The branches that lead to a timeline."""
        name = history_name(timeline)
        for place in ("timelines", "wal/*", "base/*/postgres/pg_wal"):
            for path in self.root.glob(f"{place}/{name}"):
                return lineage(timeline, path.read_text())
        if timeline == 1:
            return lineage(1, "")
        raise BackupError(f"{self.root} does not know where timeline {timeline} came from")

    def keep_timelines(self, folder: Path) -> None:
        """Remember the timelines whose history files lie in a folder of log.

        A restore begins the next timeline that is not known, so none is ever begun twice.
        """
        for entry in folder.iterdir():
            kept = self.timelines / entry.name
            if parse_history_name(entry.name) is not None and not kept.exists():
                write_whole(kept, entry.read_bytes())


def write_whole(path: Path, content: msgspec.Struct | bytes) -> None:
    """Write a file completely or not at all, even if the machine stops meanwhile."""
    if not isinstance(content, bytes):
        content = msgspec.json.format(msgspec.json.encode(content)) + b"\n"
    draft = path.with_name(f"{path.name}.new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(handle)
    draft.replace(path)
    flush(path.parent)


def flush(folder: Path) -> None:
    """Flush the names in a folder to disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise BackupError(f"{path} is damaged: {error}") from error
