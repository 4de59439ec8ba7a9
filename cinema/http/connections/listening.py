"""Closes a listening socket without losing a connection."""

from __future__ import annotations

import asyncio
import ctypes
import select
import socket
import struct
import sys
from typing import Final, Protocol

HANDSHAKE_S: Final = 0.05
"""Time for handshakes under way to complete: several round trips within a data centre."""

ACCEPT_POLL_S: Final = 0.005
ACCEPT_LIMIT_S: Final = 1.0
"""How long a busy loop may take to accept all that waits."""

_SO_ATTACH_FILTER: Final = 26
_SYN_ALONE: Final = (
    # Classic BPF on a TCP socket sees the segment from its TCP header on; flags are its byte 13.
    (0x30, 0, 0, 13),  # load the byte at 13
    (0x45, 0, 1, 0x02),  # if SYN is set (nobody sends SYN with ACK to a listening socket)
    (0x06, 0, 0, 0),  # then drop the segment
    (0x06, 0, 0, 0xFFFFFFFF),  # else keep it
)


class Filterable(Protocol):
    """The part of a socket that is used here."""

    def fileno(self) -> int:
        """The descriptor."""

    def setsockopt(self, level: int, option: int, value: bytes, /) -> None:
        """Set an option."""


async def close_when_accepted(server: asyncio.Server) -> None:
    """Close a server's sockets after all connections made to them are accepted.

    The kernel completes handshakes on its own; a connection that waits to be accepted when its
    socket is closed is reset, although its client may have sent a request. So the first packets of
    new connections are dropped for a moment. Their clients send them again a second later and are
    refused, or have tried another node. Where that is not possible (outside Linux), connections
    made in the last instant are lost.
    """
    # A server whose accepting has failed for good may have closed them already.
    listening = [one for one in server.sockets if one.fileno() >= 0]
    for one in listening:
        ignore_new_connections(one)
    await asyncio.sleep(HANDSHAKE_S)
    waiting = select.poll()
    for one in listening:
        waiting.register(one.fileno(), select.POLLIN)
    for _ in range(int(ACCEPT_LIMIT_S / ACCEPT_POLL_S)):
        if not waiting.poll(0):
            break
        await asyncio.sleep(ACCEPT_POLL_S)
    server.close()


def ignore_new_connections(listening: Filterable) -> bool:
    """Let the kernel drop packets that would begin a new connection; returns whether it does."""
    if sys.platform != "linux":
        return False
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in _SYN_ALONE)
    buffer = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: the count of instructions, and where they are (aligned as a pointer).
    described = struct.pack("@HP", len(_SYN_ALONE), ctypes.addressof(buffer))
    try:
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)
    except (OSError, ValueError):
        return False
    return True
