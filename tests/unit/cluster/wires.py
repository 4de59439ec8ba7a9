"""Connections in memory: what one side writes, the other reads when the test lets it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from cinema.cluster.link import CHALLENGE_BYTES, ClusterSecrets, Identity, Link
from cinema.cluster.wire import Frame
from tests.unit.cluster.members import node_id

SECRET = b"known to all nodes of a cluster"


class End(asyncio.Transport):
    """One end of a connection; keeps what was written until it is carried over."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.written = bytearray()
        self.said = bytearray()
        self.is_gone = False
        self.was_closed = ""

    def write(self, data: Any) -> None:
        assert not self.is_gone, "written to a connection that is gone"
        self.written += data
        self.said += data

    def close(self) -> None:
        self.was_closed = self.was_closed or "close"

    def abort(self) -> None:
        self.was_closed = "abort"
        self.written.clear()

    def is_closing(self) -> bool:
        return bool(self.was_closed)


class Listener:
    """A `LinkUser` that keeps what happened."""

    def __init__(self) -> None:
        self.opened_links: list[Link] = []
        self.closed_links: list[Link] = []
        self.frames: list[Frame] = []
        self.batches = 0

    def opened(self, link: Link) -> None:
        self.opened_links.append(link)

    def received(self, link: Link, frames: list[Frame]) -> None:
        self.batches += 1
        self.frames += frames

    def closed(self, link: Link) -> None:
        self.closed_links.append(link)


class Wire:
    """A connection between two links; `carry` takes bytes across, in pieces of any size."""

    def __init__(self, dials: Link, listens: Link) -> None:
        self.ends = (End(dials), End(listens))
        for end, link in zip(self.ends, (dials, listens), strict=True):
            link.connection_made(end)

    def carry(self, piece_bytes: int = 1 << 30) -> None:
        """Carry everything over, and all that is written in answer, until both are silent."""
        while any(end.written or (end.was_closed and not end.is_gone) for end in self.ends):
            for sender, receiver in (self.ends, self.ends[::-1]):
                piece = bytes(sender.written[:piece_bytes])
                del sender.written[:piece_bytes]
                if piece and not receiver.is_gone and not receiver.was_closed:
                    receiver.protocol.data_received(piece)
                if sender.was_closed and not sender.written:
                    self.cut()

    def cut(self) -> None:
        """The connection is gone; each side is told once."""
        for end in self.ends:
            if not end.is_gone:
                end.is_gone = True
                end.protocol.connection_lost(None)


def identity(
    number: int,
    *,
    secret: bytes = SECRET,
    secrets: Sequence[bytes] | None = None,
    challenge: bytes | None = None,
) -> Identity:
    """A node of the cluster; its challenges are all the same, so that a test can foretell them."""
    drawn = bytes([100 + number]) * CHALLENGE_BYTES if challenge is None else challenge
    return Identity(node_id(number), ClusterSecrets(secrets or [secret]), lambda: drawn)
