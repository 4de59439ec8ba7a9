"""What a kernel knows of the other nodes: which node owns a showtime, and how to ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from cinema.actors.messages import Letter


class Neighbours(Protocol):
    """The cluster as a kernel sees it. The answers are proposals: the head row decides."""

    @property
    def node_id(self) -> bytes | None:
        """This node, as heads name their owner; None without a cluster."""

    @property
    def living_others(self) -> Sequence[bytes]:
        """The nodes that can be asked to give a showtime back."""

    def owns(self, showtime_id: bytes, /) -> bool:
        """Whether the showtime is this node's."""

    async def ask_back(self, owner: bytes, showtime_id: bytes, /) -> None:
        """Ask a showtime's owner to give it back, and wait for the answer; bounded."""

    def pass_on(self, showtime_id: bytes, letter: Letter, /) -> None:
        """Send a letter where its showtime is now. Never calls the kernel back at once."""


class _Nobody:
    """A node without a cluster owns everything."""

    node_id = None
    living_others: Sequence[bytes] = ()

    def owns(self, _showtime_id: bytes, /) -> bool:
        return True

    async def ask_back(self, _owner: bytes, _showtime_id: bytes, /) -> None:
        raise AssertionError("a node alone asks nobody")

    def pass_on(self, _showtime_id: bytes, _letter: Letter, /) -> None:
        raise AssertionError("a node alone passes nothing on")


ALONE: Final = _Nobody()
