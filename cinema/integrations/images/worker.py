"""Makes pictures in processes of their own, a few at a time."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from cinema.integrations.images import WIDTHS, ImagesBusy, UnusableImage

PROGRAM: Final = Path(__file__).with_name("decoding.py")

TIME_LIMIT_S: Final = 15.0
"""How long a process may take for a file, its start and a busy machine included; then it is
killed. It may use a processor for `CPU_LIMIT_S` of that (`decoding.py`)."""

AT_ONCE: Final = 2
"""Processes at a time: pictures must leave processors to the seats."""

WAITING_LIMIT: Final = 8
"""Files that wait for a process, some seconds' work; each is in memory."""

ANSWER_LIMIT_BYTES: Final = 32 << 20
"""More than three pictures ever have: a process that sends more has been broken into."""

_ENVIRONMENT: Final = {"MALLOC_ARENA_MAX": "1"}


class _Head(msgspec.Struct):
    sizes: list[int] = []
    reason: str = ""
    message: str = ""


class ImageProcesses:
    """See `ImageMaker`."""

    def __init__(
        self, program: Sequence[str] = (str(PROGRAM),), *, time_limit_s: float = TIME_LIMIT_S
    ) -> None:
        self._command = [sys.executable, "-I", *program, *map(str, WIDTHS)]
        self._time_limit_s = time_limit_s
        self._places = asyncio.Semaphore(AT_ONCE)
        self._asked = 0

    async def make(self, content: bytes) -> list[bytes]:
        """See `ImageMaker.make`. When it is cancelled, its process is killed."""
        if self._asked >= AT_ONCE + WAITING_LIMIT:
            raise ImagesBusy("too many pictures wait")
        self._asked += 1
        try:
            async with self._places:
                answer = await self._answer(content)
        finally:
            self._asked -= 1
        return _pictures(answer)

    async def _answer(self, content: bytes) -> bytes:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=_ENVIRONMENT,
        )
        try:
            async with asyncio.timeout(self._time_limit_s):
                _, answer = await asyncio.gather(_feed(process, content), _taken(process))
                await process.wait()
        except TimeoutError:
            raise UnusableImage("TOO_COSTLY", "This picture takes too long.") from None
        finally:
            await _ended(process)
        return answer


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Kill it for good."""
    assert process.stdout is not None
    with suppress(ProcessLookupError):
        process.kill()
    # Its end is noticed only when nothing of what it said waits to be read.
    while await process.stdout.read(1 << 16):
        pass
    await process.wait()


async def _feed(process: asyncio.subprocess.Process, content: bytes) -> None:
    assert process.stdin is not None
    with suppress(ConnectionError):
        process.stdin.write(content)
        await process.stdin.drain()
        process.stdin.close()


async def _taken(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    taken = bytearray()
    while chunk := await process.stdout.read(1 << 16):
        taken += chunk
        if len(taken) > ANSWER_LIMIT_BYTES:
            raise UnusableImage("DAMAGED", "This file is damaged or cut off.")
    return bytes(taken)


def _pictures(answer: bytes) -> list[bytes]:
    """The pictures of an answer; a process that died has not said all of it."""
    line, _, rest = answer.partition(b"\n")
    try:
        head = msgspec.json.decode(line, type=_Head)
    except msgspec.DecodeError:
        raise UnusableImage("TOO_COSTLY", "This picture takes too much time or memory.") from None
    if head.reason:
        raise UnusableImage(head.reason, head.message)
    if len(head.sizes) != len(WIDTHS) or sum(head.sizes) != len(rest):
        raise UnusableImage("TOO_COSTLY", "This picture takes too much time or memory.")
    pictures, start = [], 0
    for size in head.sizes:
        pictures.append(rest[start : start + size])
        start += size
    return pictures
