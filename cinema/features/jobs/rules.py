"""How long an attempt at a job lasts, and when there is another one. Pure."""

from __future__ import annotations

from typing import Final

LEASE_S: Final = 30.0
"""How long a node has a job alone without saying that it still lives; as long as that others wait
for what a dead node was at."""

RENEW_S: Final = 10.0
"""Time between two renewals: two may fail before the lease ends."""

SILENCE_S: Final = 600.0
"""An attempt that reports nothing for so long is given up: it hangs."""

FIRST_BACKOFF_S: Final = 2.0
BACKOFF_LIMIT_S: Final = 300.0
"""After the n-th failure in a row a job waits 2 s · 2ⁿ⁻¹, up to five minutes."""

JITTER: Final = 0.2
"""By so much of itself a wait is shorter or longer: what failed together is not tried together."""

FAILURES_LIMIT: Final = 20
"""After so many failures without progress in between, in an hour or more, a job is given up:
somebody has to look."""


def backoff_s(failures: int, luck: float) -> float:
    """How long to wait after so many failures, at least one; `luck` is drawn from 0 to 1."""
    waited = min(BACKOFF_LIMIT_S, FIRST_BACKOFF_S * 2.0 ** min(failures - 1, 20))
    return waited * (1 + JITTER * (2 * luck - 1))
