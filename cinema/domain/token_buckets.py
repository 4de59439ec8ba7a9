"""Token buckets by key, in one number each: the generic cell rate algorithm (ITU-T I.371)."""

from __future__ import annotations

from typing import Final

BUCKETS_KEPT: Final = 65_536
"""Buckets that are not full, about 150 bytes each; a full one is not kept."""

ROUNDING_S: Final = 1e-6


class TokenBuckets:
    """Each key may take `rate_per_s` on average, and `burst` at once.

    An entry is the time when a bucket will be full again; a full bucket needs no entry. If there
    are more keys than `keys_limit`, the quarter that is nearest to full is forgotten.

    Callers that must save the call of `take` can do the same for a key that has an entry: take its
    `full_at`, or `now_s` if that is later, and add `interval_s`. If the sum is after
    `now_s + slack_s`, refuse; otherwise store it.
    """

    __slots__ = ("_keys_limit", "full_at", "interval_s", "slack_s")

    def __init__(self, rate_per_s: float, burst: int, *, keys_limit: int = BUCKETS_KEPT) -> None:
        self.interval_s = 1 / rate_per_s
        # Sums of the interval differ from the burst by rounding.
        self.slack_s = burst / rate_per_s + ROUNDING_S
        self._keys_limit = keys_limit
        self.full_at: dict[bytes | str, float] = {}

    def __len__(self) -> int:
        return len(self.full_at)

    def take(self, key: bytes | str, now_s: float) -> float:
        """Take one; returns 0, or the seconds until there will be one."""
        full_at_s = self.full_at.get(key)
        if full_at_s is None:
            self._make_room(now_s)
            full_at_s = now_s
        elif full_at_s < now_s:
            full_at_s = now_s
        full_at_s += self.interval_s
        if full_at_s > now_s + self.slack_s:
            return full_at_s - now_s - self.slack_s + ROUNDING_S
        self.full_at[key] = full_at_s
        return 0.0

    def _make_room(self, now_s: float) -> None:
        """Make room for one more key."""
        if len(self.full_at) < self._keys_limit:
            return
        used = sorted(self.full_at.items(), key=lambda item: item[1])
        keep_from = len(used) // 4
        kept = {key: at_s for key, at_s in used[keep_from:] if at_s > now_s}
        self.full_at.clear()
        self.full_at.update(kept)
