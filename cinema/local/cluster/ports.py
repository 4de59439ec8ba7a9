"""Sockets of a local cluster: the shared one, and ports that no other program gets meanwhile."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Final

from cinema.settings import Settings

BACKLOG: Final = 1024
"""Connections the kernel queues for all nodes together."""

HIGHEST_PORT: Final = 65_535


class Ports:
    """Opens and keeps the sockets; `close` gives them all back."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def close(self) -> None:
        """Close everything that was opened here."""
        self._stack.close()

    def listen(self, host: str, port: int) -> list[socket.socket]:
        """Listening sockets of all addresses of `host`, on one port (a free one for 0)."""
        found: list[socket.socket] = []
        for family, address in _addresses(host):
            opened = self._open(family)
            _bind(opened, address, found[0].getsockname()[1] if found else port)
            opened.listen(BACKLOG)
            found.append(opened)
        return found

    def reserve(self, host: str, port: int) -> int:
        """Keep a port of `host` (a free one for 0) for a process that asks for SO_REUSEADDR.

        On Linux the bound socket keeps others from it, also while the node that listens there is
        restarted; elsewhere it would keep the node out too, and is closed.
        """
        family, address = _addresses(host)[0]
        bound = self._open(family)
        _bind(bound, address, port)
        number: int = bound.getsockname()[1]
        if sys.platform != "linux":
            bound.close()
        return number

    def reserve_from(self, host: str, first: int) -> int:
        """The first port from `first` on that is free; any free one from 0 on."""
        for port in range(first, HIGHEST_PORT + 1) if first else ():
            try:
                return self.reserve(host, port)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
        return self.reserve(host, 0)

    def _open(self, family: socket.AddressFamily) -> socket.socket:
        opened = self._stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        return opened


def refuse_used_ports(settings: Settings, environ: Mapping[str, str]) -> None:
    """Raise `OSError` if one of the ports asked for is another program's already.

    This early check reports the problem at once; the later listening finds it for certain. Sockets
    that were opened for this process (LISTEN_FDS) may have their ports.
    """
    ports = Ports()
    try:
        if settings.port and not environ.get("LISTEN_FDS"):
            ports.listen(settings.host, settings.port)
        if settings.control_port and settings.nodes == 1:
            ports.listen(settings.control_host, settings.control_port)
    finally:
        ports.close()


def _bind(opened: socket.socket, address: str, port: int) -> None:
    try:
        opened.bind((address, port))
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror} ({address} port {port})") from error


def _addresses(host: str) -> list[tuple[socket.AddressFamily, str]]:
    found = socket.getaddrinfo(host or None, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))
