"""What processes that are forked do in tests: programs of a `ForkServer`."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
from collections.abc import Callable
from pathlib import Path

Work = Callable[[bytes], bytes]


def echoing() -> Work:
    """Say the file back."""
    return lambda content: content


def counting() -> Work:
    """Say the number of files that have left something where this one is worked on."""
    left: list[bytes] = []

    def work(content: bytes) -> bytes:
        left.append(content)
        return str(len(left)).encode()

    return work


def telling() -> Work:
    """Tell what the process is, may do and has open."""

    def work(_: bytes) -> bytes:
        names = (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_CORE)
        told = {
            "server": os.getppid(),
            "limits": [resource.getrlimit(name)[1] for name in names],
            "nice": os.nice(0),
            "open": _open_connections(),
        }
        return json.dumps(told).encode()

    return work


def _open_connections() -> list[str]:
    """The sockets and pipes of this process."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            where = str(descriptor.readlink())
        except FileNotFoundError:  # that of the list itself
            continue
        if where.startswith(("socket:", "pipe:")):
            found.append(where)
    return found


def meeting() -> Work:
    """Connect to the socket that the file names, and answer with the line that comes over it."""

    def work(content: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as meeting:
            meeting.connect(content)
            meeting.sendall(b"here\n")
            with meeting.makefile("rb") as lines:
                return lines.readline()

    return work


def stumbling() -> Work:
    """Fail over a file, and name it."""

    def work(content: bytes) -> bytes:
        raise ValueError(content.decode())

    return work


def endless() -> Work:
    """Say more than any document has."""
    return lambda _: bytes(64 << 20)


def swelling() -> Work:
    """Take more memory than there is for a file."""
    return lambda _: bytes(2 << 30)


def dying() -> Work:
    """Die over a file, after a sign in the file that it names."""

    def work(content: bytes) -> bytes:
        with Path(content.decode()).open("ab") as sign:
            sign.write(b".")
        os.kill(os.getpid(), signal.SIGKILL)
        return b""

    return work


def hanging() -> Work:
    """Never answer."""

    def work(_: bytes) -> bytes:
        signal.pause()
        return b""

    return work


def unready() -> Work:
    """Never get ready."""
    raise ValueError("no fonts")
