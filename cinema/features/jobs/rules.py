"""How long an attempt at a job lasts, and when there is another one. Pure."""

from __future__ import annotations

from typing import Final

LEASE_S: Final = 30.0
"""How long a lease lasts without a renewal; for as long other nodes wait for the jobs of a dead
node."""

RENEW_S: Final = 10.0
"""Time between two renewals: two may fail before the lease ends."""

SILENCE_S: Final = 600.0
"""An attempt without a report for this long hangs and is given up."""

FIRST_BACKOFF_S: Final = 2.0
BACKOFF_LIMIT_S: Final = 300.0
"""After the n-th failure in a row a job waits 2 s · 2ⁿ⁻¹, up to five minutes."""

JITTER: Final = 0.2
"""The share by which a wait may be shorter or longer, so that jobs that failed together are not
tried together again."""

FAILURES_LIMIT: Final = 20
"""A job is given up after this many failures without progress, in an hour or more; somebody has to
look."""


def backoff_s(failures: int, luck: float) -> float:
    """How long to wait after this many failures (at least one); `luck` is random, from 0 to 1."""
    waited = min(BACKOFF_LIMIT_S, FIRST_BACKOFF_S * 2.0 ** min(failures - 1, 20))
    return waited * (1 + JITTER * (2 * luck - 1))
