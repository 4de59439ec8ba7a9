"""Listening sockets that another program opened: systemd's socket activation, or our supervisor.

The protocol is that of sd_listen_fds(3): LISTEN_FDS sockets from descriptor 3 on, meant for the
process LISTEN_PID.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, MutableMapping
from typing import Final

FIRST_FD: Final = 3
SOCKETS_LIMIT: Final = 16
"""More would be a mistake; one for each address family of one port is usual."""

_VARIABLES: Final = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")


def inherited_sockets(environ: MutableMapping[str, str]) -> list[socket.socket]:
    """The sockets handed to this process; the variables are removed, so that no child claims them.

    Raises `OSError` when a descriptor is not a listening stream socket.
    """
    count, pid, _ = (environ.pop(name, "") for name in _VARIABLES)
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    found: list[socket.socket] = []
    try:
        for fd in range(FIRST_FD, FIRST_FD + min(int(count), SOCKETS_LIMIT)):
            os.set_inheritable(fd, False)
            found.append(_listening(socket.socket(fileno=fd)))
    except BaseException:
        for one in found:
            one.close()
        raise
    return found


def ports_of(sockets: Iterable[socket.socket]) -> set[int]:
    """The ports on which they listen."""
    return {one.getsockname()[1] for one in sockets}


def _listening(opened: socket.socket) -> socket.socket:
    if opened.type != socket.SOCK_STREAM or not opened.getsockopt(
        socket.SOL_SOCKET, socket.SO_ACCEPTCONN
    ):
        opened.close()
        raise OSError("an inherited descriptor is not a listening stream socket")
    return opened
