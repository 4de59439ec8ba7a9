"""Verifies a base backup against the manifest that Postgres wrote with it.

This is what pg_verifybackup does; the one in the embedded wheel does not run.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from cinema.backups.errors import BackupError
from cinema.backups.programs import Programs, run
from cinema.local.postgres_home import clean_environment

_NAME: Final = "backup_manifest"
_LAST_KEY: Final = b'"Manifest-Checksum"'
# Files that change after the copy or are not part of it; pg_verifybackup ignores them too.
_IGNORED: Final = frozenset(
    {_NAME, "postgresql.auto.conf", "recovery.signal", "standby.signal", "pg_wal"}
)
PROBLEMS_SHOWN: Final = 10
"""A damaged disk damages many files; the first few are enough for a report."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a base backup consists of."""

    timeline: int
    start_lsn: str
    stop_lsn: str
    files: dict[str, tuple[int, str]]

    @property
    def size_bytes(self) -> int:
        """The size of all files but the log."""
        return sum(size for size, _ in self.files.values())


class _ManifestFile(msgspec.Struct, rename={"path": "Path", "encoded": "Encoded-Path",
                                            "size": "Size", "checksum": "Checksum"}):  # fmt: skip
    size: int
    path: str = ""
    encoded: str = ""
    checksum: str = ""


class _Range(msgspec.Struct, rename={"timeline": "Timeline", "start": "Start-LSN",
                                     "end": "End-LSN"}):  # fmt: skip
    timeline: int
    start: str
    end: str


class _StoredManifest(msgspec.Struct, rename={"files": "Files", "ranges": "WAL-Ranges",
                                              "checksum": "Manifest-Checksum"}):  # fmt: skip
    files: list[_ManifestFile]
    ranges: list[_Range]
    checksum: str


def read_manifest(data: Path) -> Manifest:
    """The manifest of a base backup; raises `BackupError` if it is damaged."""
    path = data / _NAME
    try:
        text = path.read_bytes()
        stored = msgspec.json.decode(text, type=_StoredManifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise BackupError(f"{path} is damaged: {error}") from error
    if hashlib.sha256(text[: text.rindex(_LAST_KEY)]).hexdigest() != stored.checksum:
        raise BackupError(f"{path} is damaged: its checksum is another")
    last = stored.ranges[-1]
    return Manifest(
        timeline=last.timeline,
        start_lsn=stored.ranges[0].start,
        stop_lsn=last.end,
        files={
            file.path or bytes.fromhex(file.encoded).decode(errors="surrogateescape"): (
                file.size,
                file.checksum,
            )
            for file in stored.files
        },
    )


async def check_files(data: Path, programs: Programs) -> list[str]:
    """Problems of the files of a base backup, or of its log."""
    try:
        manifest = await asyncio.to_thread(read_manifest, data)
    except BackupError as error:
        return [str(error)]
    problems = await asyncio.to_thread(_problems, data, manifest)
    try:
        await run(
            programs,
            "pg_waldump",
            [
                "--quiet", f"--path={data / 'pg_wal'}", f"--timeline={manifest.timeline}",
                f"--start={manifest.start_lsn}", f"--end={manifest.stop_lsn}",
            ],
            clean_environment(),
        )  # fmt: skip
    except BackupError as error:
        problems.append(str(error))
    return problems


def _problems(data: Path, manifest: Manifest) -> list[str]:
    problems = []
    for name, (size, checksum) in manifest.files.items():
        if name.partition("/")[0] in _IGNORED:
            continue
        if (problem := _problem(data / name, size, checksum)) is not None:
            problems.append(f"{name} {problem}")
    problems.extend(f"{name} does not belong there" for name in _strangers(data, manifest))
    return problems[:PROBLEMS_SHOWN]


def _problem(path: Path, size: int, checksum: str) -> str | None:
    try:
        with path.open("rb") as file:
            if path.stat().st_size != size:
                return f"has {path.stat().st_size} bytes and not {size}"
            if hashlib.file_digest(file, "sha256").hexdigest() != checksum:
                return "has other content than was copied"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error}"
    return None


def _strangers(data: Path, manifest: Manifest) -> Iterator[str]:
    for path in data.rglob("*"):
        name = str(path.relative_to(data))
        if name.partition("/")[0] in _IGNORED or path.is_dir() or name in manifest.files:
            continue
        yield name
