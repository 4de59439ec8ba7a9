"""Files that are worked on in processes of their own, a few at a time: seats are sold meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

PATIENTLY: Final = ("nice", "-n", "5")
"""Before a command whose answer can wait a little where seats are sold meanwhile."""

_CHUNK_BYTES = 1 << 16


class ProcessesBusy(Exception):
    """More files wait than will be worked on soon."""


class ProcessTooSlow(Exception):
    """A process did not answer in its time, and was killed."""


class AnswerTooLong(Exception):
    """A process says more than an answer has: it has been broken into."""


class ProcessDied(Exception):
    """A process ended without an answer, or answers what went wrong in it."""


class Places:
    """Room for so many files at once; others wait, up to a limit."""

    def __init__(self, at_once: int, waiting_limit: int) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._asked = 0
        self._asked_limit = at_once + waiting_limit

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """A place, in the order in which they are asked for. Raises `ProcessesBusy`."""
        if self._asked >= self._asked_limit:
            raise ProcessesBusy("too many files wait")
        self._asked += 1
        try:
            async with self._places:
                yield
        finally:
            self._asked -= 1


class Processes:
    """Starts a program for each file, which it reads from its input; its output is the answer.

    `environment` None is that of this process. A process may take `time_limit_s`, its start and a
    busy machine included; then it is killed.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        at_once: int,
        waiting_limit: int,
        time_limit_s: float,
        answer_limit_bytes: int,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._command = command
        self._places = Places(at_once, waiting_limit)
        self._time_limit_s = time_limit_s
        self._answer_limit_bytes = answer_limit_bytes
        self._environment = environment

    async def answer(self, content: bytes) -> bytes:
        """What the program says of a file. When it is cancelled, its process is killed.

        Raises `ProcessesBusy`, `ProcessTooSlow` and `AnswerTooLong`. A program that died has said
        only a part, or nothing.
        """
        async with self._places.taken():
            return await self._answer(content)

    async def _answer(self, content: bytes) -> bytes:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=self._environment,
        )
        try:
            async with asyncio.timeout(self._time_limit_s):
                _, answer = await asyncio.gather(_feed(process, content), self._taken(process))
                await process.wait()
        except TimeoutError:
            raise ProcessTooSlow(f"no answer in {self._time_limit_s} s") from None
        finally:
            await _ended(process)
        return answer

    async def _taken(self, process: asyncio.subprocess.Process) -> bytes:
        assert process.stdout is not None
        taken = bytearray()
        while chunk := await process.stdout.read(_CHUNK_BYTES):
            taken += chunk
            if len(taken) > self._answer_limit_bytes:
                raise AnswerTooLong(f"more than {self._answer_limit_bytes} bytes")
        return bytes(taken)


async def _feed(process: asyncio.subprocess.Process, content: bytes) -> None:
    assert process.stdin is not None
    with suppress(ConnectionError):
        process.stdin.write(content)
        await process.stdin.drain()
        process.stdin.close()


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Kill it for good."""
    assert process.stdout is not None
    with suppress(ProcessLookupError):
        process.kill()
    # Its end is noticed only when nothing of what it said waits to be read.
    while await process.stdout.read(_CHUNK_BYTES):
        pass
    await process.wait()
