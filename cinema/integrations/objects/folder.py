"""Objects as files in a folder; several nodes need one that they share."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from cinema.integrations.objects import ObjectsUnavailable, checked

PART: Final = ".part"
"""The end of the names of files that are being written; backups leave them out."""

ABANDONED_S: Final = 3600.0
"""A file that is being written for longer is left from a process that was killed."""


class FolderObjects:
    """See `ObjectStore`. A file appears under its name when all of it is on the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, name: str, content: bytes, media_type: str) -> None:  # noqa: ARG002
        """See `ObjectStore.put`. A file has no media type; its name tells it."""
        path = self._folder / checked(name)
        try:
            await asyncio.to_thread(self._write, path, content)
        except OSError as error:
            raise ObjectsUnavailable(f"{self._folder}: {error.strerror}") from error

    async def get(self, name: str) -> bytes | None:
        """See `ObjectStore.get`."""
        path = self._folder / checked(name)
        try:
            return await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ObjectsUnavailable(f"{self._folder}: {error.strerror}") from error

    async def delete(self, name: str) -> None:
        """See `ObjectStore.delete`."""
        path = self._folder / checked(name)
        try:
            await asyncio.to_thread(path.unlink, missing_ok=True)
        except OSError as error:
            raise ObjectsUnavailable(f"{self._folder}: {error.strerror}") from error

    def _write(self, path: Path, content: bytes) -> None:
        self._folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._tidy()
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}{PART}")
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _tidy(self) -> None:
        """Remove what processes left that were killed while they wrote."""
        for part in self._folder.glob(f"*{PART}"):
            with suppress(FileNotFoundError):
                if part.stat().st_mtime < time.time() - ABANDONED_S:
                    part.unlink()
