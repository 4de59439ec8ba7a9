"""A process that has everything ready, and forks a process of its own for each file.

`python -m cinema.integrations.fork_server module:function …` calls each function once; it returns
what is to be done with a file. Standard input is a socket. On it come a number, which of these and
whether it can wait, and the socket to a process that is to be started: the file comes over that,
and the answer goes back. The server itself never sees a file, so nothing of one is left for the
next.

A process ends as soon as nobody waits for its answer, and all of them with the server. The server
ends when its standard input does, so with the node.
"""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import select
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Final, NoReturn

MEMORY_LIMIT_BYTES: Final = 1 << 30
CPU_LIMIT_S: Final = 20
"""What a process may use for a file; the largest of all takes a second."""

PATIENTLY: Final = 0x80
"""Added to the number of a program: its answer can wait while others need the processors."""

PATIENT_NICE: Final = 10
"""How much further such a process stands back, beside what all of them do. Where everybody wants a
processor it has a thirtieth of one, and else all of it."""

HEAD: Final = struct.Struct("!?I")
"""Before a file and an answer: whether it is one, or else says what went wrong; its bytes."""

Work = Callable[[bytes], bytes]

_PR_SET_PDEATHSIG: Final = 1


def main() -> None:
    """Get ready, then serve."""
    works = [_prepared(program) for program in sys.argv[1:]]
    # What is here by now stays for good: no process looks through it, and so it is not copied.
    gc.collect()
    gc.freeze()
    _Server(socket.socket(fileno=sys.stdin.fileno()), works).run()


def _prepared(program: str) -> Work:
    module, _, function = program.partition(":")
    work: Work = getattr(import_module(module), function)()
    return work


class _Server:
    """Starts processes, kills those that nobody waits for, and collects those that have ended."""

    def __init__(self, control: socket.socket, works: Sequence[Work]) -> None:
        self._control = control
        self._works = works
        self._pid = os.getpid()
        self._sockets: dict[int, socket.socket] = {}
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        # A process that ends is seen as a byte in this pipe.
        self._ended, self._waking = os.pipe()
        os.set_blocking(self._ended, False)
        os.set_blocking(self._waking, False)
        self._poll.register(self._ended, select.POLLIN)
        signal.set_wakeup_fd(self._waking, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # A terminal or a supervisor stops all processes at once; the node still has to answer.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def run(self) -> None:
        """Serve until standard input ends."""
        serving = True
        while serving:
            ready = {fd for fd, _ in self._poll.poll()}
            with suppress(BlockingIOError):
                os.read(self._ended, 1 << 10)
            for pid, waited in self._sockets.items():
                if waited.fileno() in ready:
                    self._poll.unregister(waited)
                    os.kill(pid, signal.SIGKILL)
            self._collect()
            if self._control.fileno() in ready:
                serving = self._begin()
        for pid in self._sockets:
            os.kill(pid, signal.SIGKILL)

    def _collect(self) -> None:
        """Note which processes have ended; whoever waits for one sees that its socket is closed."""
        for pid in list(self._sockets):
            if os.waitpid(pid, os.WNOHANG)[0]:
                waited = self._sockets.pop(pid)
                with suppress(KeyError):
                    self._poll.unregister(waited)
                waited.close()

    def _begin(self) -> bool:
        """Start the process that is asked for; False at the end of standard input."""
        asked, fds, _, _ = socket.recv_fds(self._control, 1, 1)
        if not asked:
            return False
        waited = socket.socket(fileno=fds[0])
        try:
            pid = os.fork()
        except OSError:
            waited.close()
            return True
        if not pid:
            self._work(waited, asked[0])
        self._sockets[pid] = waited
        # Only its end is of interest, which is told unasked.
        self._poll.register(waited, 0)
        return True

    def _work(self, waited: socket.socket, asked: int) -> NoReturn:
        """What a process does: it has its own socket and nothing else of the server's."""
        status = 1
        try:
            if asked & PATIENTLY:
                os.nice(PATIENT_NICE)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _end_with(self._pid)
            for other in (self._control, *self._sockets.values()):
                other.close()
            os.close(self._ended)
            os.close(self._waking)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            with waited.makefile("rb") as source:
                _, length = HEAD.unpack(source.read(HEAD.size))
                content = source.read(length)
            is_answer, answer = _answer(self._works[asked & ~PATIENTLY], content)
            waited.sendall(HEAD.pack(is_answer, len(answer)) + answer)
            status = 0
        finally:
            os._exit(status)


def _answer(work: Work, content: bytes) -> tuple[bool, bytes]:
    """The answer, or what went wrong and where: of the file itself nothing is told."""
    try:
        return True, work(content)
    except Exception as error:  # noqa: BLE001  (whatever it stumbles over)
        *_, last = traceback.extract_tb(error.__traceback__)
        return False, f"{type(error).__name__} at {last.filename}:{last.lineno}".encode()


def _end_with(server_pid: int) -> None:
    """End when the server does; on Linux at once, elsewhere when the answer is done."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != server_pid:
        os._exit(1)


if __name__ == "__main__":
    main()
