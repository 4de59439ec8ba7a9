"""How soon a node that ended is started again."""

from __future__ import annotations

from typing import Final

DECLARED_DEAD: Final = 70
"""Exit code of a node that the others removed: it has to come back as a new member, at once."""

STEADY_S: Final = 10.0
"""A node that ran this long was well; what happened before no longer slows its restart."""

FIRST_DELAY_S: Final = 0.1
LONGEST_DELAY_S: Final = 10.0


class Pace:
    """Delays that double from one quick end to the next; the first restart is nearly at once."""

    def __init__(self) -> None:
        self._next_s = FIRST_DELAY_S

    def delay_s(self, exit_code: int, ran_s: float) -> float:
        """How long to wait before the next start, after a run of `ran_s` seconds."""
        if ran_s >= STEADY_S:
            self._next_s = FIRST_DELAY_S
            if exit_code == DECLARED_DEAD:
                return 0.0
        delay_s = self._next_s
        self._next_s = min(delay_s * 2, LONGEST_DELAY_S)
        return delay_s
