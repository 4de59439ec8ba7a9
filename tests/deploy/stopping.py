"""How long a node may take to stop, as those who stop it have to know."""

from __future__ import annotations

from cinema.local.cluster.plan import STEPS_WITH_GRACE, STOP_MARGIN_S
from cinema.settings import Settings


def longest_stop_s(settings: Settings) -> float:
    """From SIGTERM to the end of the process."""
    graces_s = STEPS_WITH_GRACE * settings.shutdown_grace_seconds
    return settings.drain_seconds + graces_s + STOP_MARGIN_S
