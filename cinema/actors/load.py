"""How much waits on a node: messages taken and not answered yet, and messages refused."""

from __future__ import annotations

from collections import Counter
from typing import Literal

Excess = Literal["showtime", "node", "age"]
"""Too much waits at the showtime, on the node, or has waited for too long."""


class NodeLoad:
    """Counts the messages of a node from when they are taken until they are answered.

    A message counts wherever it is: in a mailbox, on its way to the archive or the journal, at the
    output gate, in doubt, or under way to another node. `limit` bounds all of them,
    `showtime_limit` those of one showtime. Code that takes a message adds one to `waiting`, and
    code that answers it subtracts one. `mail` counts those in mailboxes, so that there is no need
    to ask all actors.
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
