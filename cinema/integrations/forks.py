"""Files that are worked on in processes of their own, forked from one that has all ready.

A program that is started for each file (`processes.py`) imports everything each time, which costs
more than many a file. Here that is done once, when the first file comes.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from cinema.integrations.fork_server import HEAD
from cinema.integrations.fork_server import PATIENTLY as PATIENT_PROGRAM
from cinema.integrations.processes import (
    PATIENTLY,
    AnswerTooLong,
    Places,
    ProcessDied,
    ProcessTooSlow,
)

IDLE_S: Final = 300.0
"""How long the server stays without files: it has 90 MB, and a start takes a second."""

TRIES: Final = 2
"""How often a file is tried when the server dies over it."""

_COMMAND: Final = (*PATIENTLY, sys.executable, "-m", "cinema.integrations.fork_server")

_CHUNK_BYTES: Final = 1 << 16

_ENVIRONMENT: Final = {"OPENBLAS_NUM_THREADS": "1"}
"""A process that forks has no threads; numpy, where it is installed, would start some."""


class _ServerEnded(Exception):
    """The server is dead: the file may be tried with another."""


class ForkServer:
    """The process that forks, `fork_server.py`: started with the first file, ended when it is idle.

    `programs` are functions, `module:function`, that get ready in it and return what is done with
    a file. `environment` is beside that of this process.
    """

    def __init__(
        self,
        programs: Sequence[str],
        *,
        idle_s: float = IDLE_S,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        assert len(programs) <= PATIENT_PROGRAM
        self._programs = programs
        self._idle_s = idle_s
        self._environment = environment or {}
        self._starting = asyncio.Lock()
        self._control: socket.socket | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._asked = 0
        self._resting: asyncio.TimerHandle | None = None

    @property
    def process(self) -> asyncio.subprocess.Process | None:
        """The server, or the one that there was last."""
        return self._process

    async def answer(
        self, program: str, content: bytes, limit_bytes: int, *, patiently: bool = False
    ) -> bytes:
        """What a program says of a file. When it is cancelled, the process is killed.

        If the server dies over it, the file is tried once more. `patiently`, it leaves the
        processors to everybody else. Raises `ProcessDied` and `AnswerTooLong`.
        """
        number = self._programs.index(program) | (PATIENT_PROGRAM if patiently else 0)
        self._asked += 1
        if self._resting is not None:
            self._resting.cancel()
        try:
            for _ in range(TRIES):
                with suppress(_ServerEnded):
                    return await self._answer(await self._running(), number, content, limit_bytes)
            raise ProcessDied("the server of processes has died")
        finally:
            self._asked -= 1
            if not self._asked:
                loop = asyncio.get_running_loop()
                self._resting = loop.call_later(self._idle_s, self._let_go)

    async def close(self) -> None:
        """End the server, and what it is doing."""
        if self._resting is not None:
            self._resting.cancel()
        self._let_go()
        await self._end()

    async def _end(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    def _let_go(self) -> None:
        """Close the server's standard input, at which it ends by itself."""
        if self._control is not None:
            self._control.close()
            self._control = None

    async def _running(self) -> socket.socket:
        async with self._starting:
            if self._control is None:
                await self._end()
                ours, theirs = socket.socketpair()
                try:
                    self._process = await asyncio.create_subprocess_exec(
                        *_COMMAND,
                        *self._programs,
                        stdin=theirs.fileno(),
                        stdout=asyncio.subprocess.DEVNULL,
                        stderr=asyncio.subprocess.DEVNULL,
                        env={**os.environ, **_ENVIRONMENT, **self._environment},
                    )
                except BaseException:
                    ours.close()
                    raise
                finally:
                    theirs.close()
                ours.setblocking(False)
                self._control = ours
            return self._control

    async def _answer(
        self, control: socket.socket, number: int, content: bytes, limit_bytes: int
    ) -> bytes:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            try:
                socket.send_fds(control, [bytes([number])], [theirs.fileno()])
            except OSError:
                self._lose(control)
                raise _ServerEnded from None
            theirs.close()
            ours.setblocking(False)
            said = await _exchanged(ours, content, HEAD.size + limit_bytes)
        if len(said) >= HEAD.size:
            is_answer, length = HEAD.unpack_from(said)
            if len(said) == HEAD.size + length:
                if is_answer:
                    return said[HEAD.size :]
                raise ProcessDied(said[HEAD.size :].decode())
        if _has_ended(control):
            self._lose(control)
            raise _ServerEnded
        raise ProcessDied("a process ended without an answer")

    def _lose(self, control: socket.socket) -> None:
        """Have another server started for the next file."""
        if self._control is control:
            self._let_go()


async def _exchanged(process: socket.socket, content: bytes, limit_bytes: int) -> bytes:
    """All that a process says of a file until it ends."""
    loop = asyncio.get_running_loop()
    said = bytearray()
    # One that dies over its file has not read it, or not all.
    with suppress(ConnectionError):
        await loop.sock_sendall(process, HEAD.pack(True, len(content)) + content)
        while chunk := await loop.sock_recv(process, _CHUNK_BYTES):
            said += chunk
            if len(said) > limit_bytes:
                raise AnswerTooLong(f"more than {limit_bytes} bytes")
    return bytes(said)


def _has_ended(control: socket.socket) -> bool:
    """Whether the server is dead: its end of the socket is closed before its processes are killed.

    It never sends anything.
    """
    try:
        return control.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


class Forks:
    """Has one program of a `ForkServer` work on files, a few at a time.

    `patiently`, if nobody waits for the answers: they come later where others need the processors.
    """

    def __init__(
        self,
        server: ForkServer,
        program: str,
        *,
        at_once: int,
        waiting_limit: int,
        time_limit_s: float,
        answer_limit_bytes: int,
        patiently: bool = False,
    ) -> None:
        self._server = server
        self._program = program
        self._places = Places(at_once, waiting_limit)
        self._time_limit_s = time_limit_s
        self._answer_limit_bytes = answer_limit_bytes
        self._patiently = patiently

    async def answer(self, content: bytes) -> bytes:
        """What the program says of a file. When it is cancelled, its process is killed.

        Raises `ProcessesBusy`, `ProcessTooSlow`, `AnswerTooLong` and `ProcessDied`.
        """
        async with self._places.taken():
            try:
                async with asyncio.timeout(self._time_limit_s):
                    return await self._server.answer(
                        self._program,
                        content,
                        self._answer_limit_bytes,
                        patiently=self._patiently,
                    )
            except TimeoutError:
                raise ProcessTooSlow(f"no answer in {self._time_limit_s} s") from None
