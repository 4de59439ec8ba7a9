"""A zip that is written as a stream, and given in pieces of one size."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from datetime import datetime
from typing import IO, Final, Self

FILE_MODE: Final = 0o600 << 16
"""How files are unpacked: for their owner only."""


class _Sink:
    """Takes what the zip writes; it cannot be gone back in, so sizes stand behind their files."""

    def __init__(self) -> None:
        self.waiting = bytearray()

    def write(self, data: bytes) -> int:
        self.waiting += data
        return len(data)

    def flush(self) -> None:
        """Nothing is kept from us."""

    def close(self) -> None:
        """Nothing is open."""


class ZipPieces:
    """A zip, of which full pieces can be taken while it is being written; to be used `with`."""

    def __init__(self, piece_bytes: int, at: datetime) -> None:
        self._piece_bytes = piece_bytes
        self._date = (at.year, at.month, at.day, at.hour, at.minute, at.second)
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(self._sink, "w")
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of one that was given up: half a zip is none."""
        if self._file is not None:
            self._file.close()
        self._zip.close()

    def begin(self, name: str) -> None:
        """Begin a file, after the one before has ended."""
        info = zipfile.ZipInfo(name, self._date)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = FILE_MODE
        self._file = self._zip.open(info, "w")

    def write(self, data: bytes) -> None:
        """Add to the file that was begun."""
        assert self._file is not None
        self._file.write(data)

    def end(self) -> None:
        """End the file that was begun."""
        assert self._file is not None
        self._file.close()
        self._file = None

    def full(self) -> Iterator[bytes]:
        """Take the pieces that are full."""
        waiting = self._sink.waiting
        while len(waiting) >= self._piece_bytes:
            piece = bytes(waiting[: self._piece_bytes])
            del waiting[: self._piece_bytes]
            yield piece

    def close(self) -> Iterator[bytes]:
        """End the zip, and take the rest."""
        self._zip.close()
        yield from self.full()
        rest = bytes(self._sink.waiting)
        self._sink.waiting.clear()
        if rest:
            yield rest
