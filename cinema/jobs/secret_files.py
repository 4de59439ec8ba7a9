"""Reads files of secrets again when they change, without a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import structlog

RELOADED: Final = "secret_reloaded"
REFUSED: Final = "secret_refused"

EVERY_S: Final = 2.0
FILE_LIMIT_BYTES: Final = 64 << 10

log = structlog.get_logger(__name__)


class SecretFile(msgspec.Struct, frozen=True):
    """A setting whose `text` came from a file, and the function that takes a new text.

    `take` raises `ValueError` for a text that is not valid, and then changes nothing. Its message
    must not contain the secret.
    """

    variable: str
    file: Path
    text: str
    take: Callable[[str], None]


class SecretFiles:
    """Looks at the files periodically; a text that is not valid changes nothing."""

    def __init__(self, files: Sequence[SecretFile]) -> None:
        self._files = files
        self._seen = {one.variable: one.text for one in files}

    async def run(self, every_s: float = EVERY_S) -> None:
        """Run as long as the node runs."""
        while True:
            await asyncio.sleep(every_s)
            await self.look()

    async def look(self) -> None:
        """Look once at all files."""
        for one in self._files:
            try:
                text = await asyncio.to_thread(_text_of, one.file)
            except (OSError, UnicodeDecodeError) as error:
                self._refuse(one, f"unreadable: {error}", str(error))
                continue
            if text != self._seen[one.variable]:
                self._take(one, text)

    def _take(self, one: SecretFile, text: str) -> None:
        try:
            one.take(text)
        except ValueError as problem:
            self._refuse(one, text, str(problem))
            return
        self._seen[one.variable] = text
        log.info(RELOADED, variable=one.variable)

    def _refuse(self, one: SecretFile, seen: str, reason: str) -> None:
        """Log once that the file is not valid."""
        if self._seen[one.variable] != seen:
            self._seen[one.variable] = seen
            log.error(REFUSED, variable=one.variable, reason=reason)


def _text_of(file: Path) -> str:
    with file.open("rb") as opened:
        return opened.read(FILE_LIMIT_BYTES).decode().strip()
