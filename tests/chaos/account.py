"""What the faults cost the clients: shares of failed requests, and gaps without any success."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import msgspec

from tests.chaos.faults import Slot
from tests.support.history import EXPECTED_REFUSALS, UNSENT, Attempt, History

STEP_S = 0.5
"""Width of a bar of the plot."""

LOST = "no answer"


class ChaosHistory(History):
    """Also keeps the time when a client gave up waiting for an answer."""

    def __init__(self, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        super().__init__()
        self._clock_ns = clock_ns
        self._lost_ns: dict[int, int] = {}

    def lose(self, attempt: Attempt) -> None:
        """See `History.lose`."""
        super().lose(attempt)
        self._lost_ns[id(attempt)] = self._clock_ns()

    def ended_ns(self, attempt: Attempt) -> int | None:
        """When the answer came, or its client knew that none would; None if it was stopped."""
        return attempt.answered_ns or self._lost_ns.get(id(attempt))

    def outcome(self, attempt: Attempt) -> str | None:
        """What went wrong: empty for a success or a refusal of the usual kind, None if unknown."""
        if attempt.acknowledged or attempt.code in EXPECTED_REFUSALS:
            return ""
        if attempt.code is not None:
            return attempt.code
        return LOST if id(attempt) in self._lost_ns else None


class SlotAccount(msgspec.Struct, frozen=True, kw_only=True):
    """One slot as the clients saw it; times in seconds since the first slot of all."""

    kind: str
    what: str
    began_s: float
    over_s: float
    healed_s: float
    ended_s: float
    requests: int
    failed: dict[str, int]
    longest_gap_s: float
    median_gap_s: float

    @property
    def failed_count(self) -> int:
        return sum(self.failed.values())


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One bar of the plot."""

    at_s: float
    served: int
    failed: int
    refused: int


class SlotTimes:
    """When a slot began, when what was done was over, when all was well, when the next began."""

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.began_ns = self.over_ns = self.healed_ns = self.ended_ns = time.monotonic_ns()


def account_of(
    history: ChaosHistory, times: SlotTimes, showtimes: Iterable[str], start_ns: int
) -> SlotAccount:
    """The requests that ended in a slot, and each showtime's longest time without a success."""
    requests = 0
    failed: dict[str, int] = {}
    successes: dict[str, list[int]] = {showtime: [] for showtime in showtimes}
    for attempt in history.attempts:
        outcome = history.outcome(attempt)
        ended_ns = history.ended_ns(attempt)
        if outcome is None or ended_ns is None:
            continue
        if not outcome:
            successes[attempt.request.showtime_id].append(ended_ns)
        if times.began_ns <= ended_ns < times.ended_ns:
            requests += 1
            if outcome:
                failed[outcome] = failed.get(outcome, 0) + 1
    gaps = sorted(
        longest_gap_s(moments, times.began_ns, times.ended_ns) for moments in successes.values()
    )
    return SlotAccount(
        kind=times.slot.kind,
        what=str(times.slot),
        began_s=(times.began_ns - start_ns) / 1e9,
        over_s=(times.over_ns - start_ns) / 1e9,
        healed_s=(times.healed_ns - start_ns) / 1e9,
        ended_s=(times.ended_ns - start_ns) / 1e9,
        requests=requests,
        failed=failed,
        longest_gap_s=gaps[-1],
        median_gap_s=gaps[len(gaps) // 2],
    )


def longest_gap_s(moments: Sequence[int], began_ns: int, ended_ns: int) -> float:
    """The longest stretch of a slot without any of the moments."""
    within = sorted(moment for moment in moments if began_ns < moment < ended_ns)
    edges = [began_ns, *within, ended_ns]
    return max(later - earlier for earlier, later in pairwise(edges)) / 1e9


def steps_of(history: ChaosHistory, start_ns: int) -> list[Step]:
    """How many requests were served, failed, or refused by a port without a listener, over time."""
    counts: dict[int, list[int]] = {}
    for attempt in history.attempts:
        outcome, ended_ns = history.outcome(attempt), history.ended_ns(attempt)
        if outcome is None or ended_ns is None:
            continue
        step = counts.setdefault(int((ended_ns - start_ns) / 1e9 // STEP_S), [0, 0, 0])
        step[2 if outcome == UNSENT else 1 if outcome else 0] += 1
    return [
        Step(at_s=number * STEP_S, served=served, failed=failed, refused=refused)
        for number, (served, failed, refused) in sorted(counts.items())
    ]
