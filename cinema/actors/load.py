"""How much waits on a node: what it has taken and not answered yet, and what it turned away."""

from __future__ import annotations

from collections import Counter
from typing import Literal

Excess = Literal["showtime", "node", "age"]
"""Too much waits at the showtime, on the node, or has waited for too long."""


class NodeLoad:
    """Counts the messages of a node from when they are taken until they are answered.

    A message counts wherever it is: in a mailbox, on its way to the archive or the journal, at the
    output gate, in doubt, or under way to another node. `limit` bounds all of them,
    `showtime_limit` those of one showtime. Whoever takes a message adds one to `waiting`, and
    whoever answers it takes one away; `mail` counts those of them that are in mailboxes, so that
    nobody has to ask all actors.
    """

    __slots__ = ("limit", "mail", "refused", "showtime_limit", "waiting")

    def __init__(self, *, limit: int, showtime_limit: int) -> None:
        self.limit = limit
        self.showtime_limit = showtime_limit
        self.waiting = 0
        self.mail = 0
        self.refused: Counter[Excess] = Counter()

    def is_full(self) -> bool:
        """Whether the node refuses one more message, which then counts as refused."""
        if self.waiting < self.limit:
            return False
        self.refused["node"] += 1
        return True
