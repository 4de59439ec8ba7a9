"""Files beside the database, each content kept once under its digest.

An index tells which file had which content at a moment. Files are seldom changed once they are
there, so copying at any moment is fine; what a restore brings back is what there was at the last
index before its moment and at the first one after: nothing the database speaks of is missing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from cinema.backups.errors import BackupError
from cinema.backups.folder import BackupFolder, flush, write_whole
from cinema.integrations.objects.folder import PART

_INDEX_NAME: Final = "%Y%m%dT%H%M%S.%fZ.json"


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file as it was."""

    digest: str
    size_bytes: int
    modified_ns: int


class _Index(msgspec.Struct, frozen=True, kw_only=True):
    taken_at: datetime
    files: dict[str, StoredFile]


def store_uploads(folder: BackupFolder, uploads: Path, now: datetime) -> str:
    """Copy what is new or changed in `uploads`; the name of the index that says what there is.

    Writes nothing where nothing has changed since the last one.
    """
    objects, indexes = _folders(folder)
    names = _index_names(indexes)
    known = _read(indexes / names[-1]).files if names else {}
    found = {}
    for path in sorted(uploads.rglob("*")) if uploads.is_dir() else ():
        if path.is_symlink() or not path.is_file() or path.name.endswith(PART):
            continue
        name = str(path.relative_to(uploads))
        stored = _store(path, objects, known.get(name))
        if stored is not None:
            found[name] = stored
    if names and found == known:
        return names[-1]
    index = now.astimezone(UTC).strftime(_INDEX_NAME)
    write_whole(indexes / index, _Index(taken_at=now, files=found))
    return index


def restore_uploads(folder: BackupFolder, moment: datetime | None, target: Path) -> int:
    """Bring back into the new folder `target` what there was at a moment; how many files."""
    objects, indexes = _folders(folder)
    wanted: dict[str, StoredFile] = {}
    for index in _around(indexes, moment):
        wanted = index.files | wanted
    target.mkdir(mode=0o755, parents=True)
    for name, stored in wanted.items():
        path = target / name
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        shutil.copyfile(_object(objects, stored.digest), path)
        os.utime(path, ns=(stored.modified_ns, stored.modified_ns))
    return len(wanted)


def check_uploads(folder: BackupFolder) -> list[str]:
    """What is wrong with the stored contents."""
    objects, indexes = _folders(folder)
    return [
        f"upload {digest} is damaged"
        for digest in sorted(_digests(indexes))
        if not _sound(objects, digest)
    ]


def prune_uploads(folder: BackupFolder, kept: Sequence[str]) -> None:
    """Remove indexes older than all of `kept`, and the contents that no index names any more."""
    objects, indexes = _folders(folder)
    if not kept:
        return
    for name in _index_names(indexes):
        if name < min(kept):
            (indexes / name).unlink()
    live = _digests(indexes)
    for path in objects.glob("*/*"):
        if path.name not in live:
            path.unlink()


def _store(path: Path, objects: Path, known: StoredFile | None) -> StoredFile | None:
    """Keep one file's content; None if it vanished meanwhile."""
    try:
        status = path.stat()
        if known is not None and (known.size_bytes, known.modified_ns) == (
            status.st_size,
            status.st_mtime_ns,
        ):
            return known
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    digest = hashlib.sha256(content).hexdigest()
    kept = _object(objects, digest)
    if not kept.exists():
        kept.parent.mkdir(mode=0o700, exist_ok=True)
        write_whole(kept, content)
        flush(objects)
    return StoredFile(digest=digest, size_bytes=len(content), modified_ns=status.st_mtime_ns)


def _around(indexes: Path, moment: datetime | None) -> list[_Index]:
    """The last index before a moment and the first one after it; without one, the last."""
    found = [_read(indexes / name) for name in _index_names(indexes)]
    if moment is None:
        return found[-1:]
    before = [index for index in found if index.taken_at <= moment]
    after = [index for index in found if index.taken_at > moment]
    return [*before[-1:], *after[:1]]


def _sound(objects: Path, digest: str) -> bool:
    try:
        with _object(objects, digest).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == digest
    except OSError:
        return False


def _object(objects: Path, digest: str) -> Path:
    return objects / digest[:2] / digest


def _folders(folder: BackupFolder) -> tuple[Path, Path]:
    made = folder.uploads / "objects", folder.uploads / "index"
    for one in made:
        one.mkdir(mode=0o700, exist_ok=True)
    return made


def _digests(indexes: Path) -> set[str]:
    return {
        stored.digest
        for name in _index_names(indexes)
        for stored in _read(indexes / name).files.values()
    }


def _index_names(indexes: Path) -> list[str]:
    return sorted(entry.name for entry in indexes.iterdir() if entry.suffix == ".json")


def _read(path: Path) -> _Index:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Index)
    except msgspec.MsgspecError as error:
        raise BackupError(f"{path} is damaged: {error}") from error
