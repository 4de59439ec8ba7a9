"""How many connections to Postgres a node takes."""

from __future__ import annotations

from typing import Final

from cinema.settings.fields import Settings

FOR_QUESTIONS: Final = 2
"""For what must not wait behind other work: changes of accounts, and versions of the catalogue."""

FOR_LOOKS: Final = 1
"""For the look at the server's settings every 30 s, which needs a connection of its own."""


def connections_of_node(settings: Settings) -> int:
    """The most that a node has open at a time, once it has started; a replica's are others."""
    pools = settings.database_pool_size + settings.kernel_pool_size + FOR_QUESTIONS
    return pools + settings.commit_lanes + FOR_LOOKS
