"""How many connections to Postgres a node takes."""

from __future__ import annotations

from typing import Final

from cinema.settings.fields import Settings

FOR_QUESTIONS: Final = 2
"""For what must not wait behind other work: changes of accounts, and versions of the catalogue."""

FOR_SESSIONS: Final = 3
"""Behind a pooler: for work that needs a session of its own. One may build a model for a minute,
and another copy a month of the journal meanwhile: views of the cluster must not wait for both."""

FOR_LOOKS: Final = 1
"""For the look at the server's settings every 30 s, which needs a connection of its own."""


def connections_of_node(settings: Settings) -> int:
    """The most that a node has open at a time, once it has started.

    Those to a replica are others, and so are those to a pooler.
    """
    for_work = FOR_SESSIONS if settings.database_pooler_url else settings.database_pool_size
    pools = for_work + settings.kernel_pool_size + FOR_QUESTIONS
    return pools + settings.commit_lanes + FOR_LOOKS
