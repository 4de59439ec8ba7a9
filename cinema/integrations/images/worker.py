"""Makes pictures in processes of their own, a few at a time."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from cinema.integrations.images import WIDTHS, ImagesBusy, UnusableImage
from cinema.integrations.processes import AnswerTooLong, Processes, ProcessesBusy, ProcessTooSlow

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


class _AnswerHead(msgspec.Struct):
    sizes: list[int] = []
    reason: str = ""
    message: str = ""


class ImageProcesses:
    """See `ImageMaker`."""

    def __init__(
        self, program: Sequence[str] = (str(PROGRAM),), *, time_limit_s: float = TIME_LIMIT_S
    ) -> None:
        self._processes = Processes(
            [sys.executable, "-I", *program, *map(str, WIDTHS)],
            at_once=AT_ONCE,
            waiting_limit=WAITING_LIMIT,
            time_limit_s=time_limit_s,
            answer_limit_bytes=ANSWER_LIMIT_BYTES,
            environment=_ENVIRONMENT,
        )

    async def make(self, content: bytes) -> list[bytes]:
        """See `ImageMaker.make`. When it is cancelled, its process is killed."""
        try:
            answer = await self._processes.answer(content)
        except ProcessesBusy as busy:
            raise ImagesBusy("too many pictures wait") from busy
        except ProcessTooSlow as slow:
            # A costly picture uses up its time on a processor first: the machine is busy.
            raise ImagesBusy("the machine is too busy for a picture") from slow
        except AnswerTooLong:
            raise UnusableImage("DAMAGED", "This file is damaged or cut off.") from None
        return _pictures(answer)


def _pictures(answer: bytes) -> list[bytes]:
    """The pictures of an answer; a process that died has not said all of it."""
    line, _, rest = answer.partition(b"\n")
    try:
        head = msgspec.json.decode(line, type=_AnswerHead)
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
