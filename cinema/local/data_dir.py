"""One server at a time per data folder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

_FILE = "lock"


class DataDirInUse(Exception):
    """Another process works on the data folder."""


class DataDirLock:
    """An advisory lock that ends with the process, however it ends."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / _FILE
        self._handle: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object has the lock."""
        return self._handle is not None

    def acquire(self) -> None:
        """Take the lock, or raise `DataDirInUse` naming who has it."""
        if self._handle is not None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
            os.close(handle)
            raise DataDirInUse(
                f"{self._path.parent} is in use by another cinema process ({holder}); "
                "stop it, or give this one another DATA_DIR"
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"pid {os.getpid()}\n".encode(), 0)
        self._handle = handle

    def release(self) -> None:
        """Let the next one in; harmless when the lock is not held."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
