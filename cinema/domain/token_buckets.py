"""Token buckets by key, in one number each: the generic cell rate algorithm (ITU-T I.371)."""

from __future__ import annotations

from typing import Final

BUCKETS_KEPT: Final = 65_536
"""Buckets that are not full, about 150 bytes each; a full one is not kept."""


class TokenBuckets:
    """Each key may take `rate_per_s` on average, and `burst` at once.

    Kept is the moment at which a bucket will be full again; one that is full needs no entry. When
    more keys than `keys_limit` are in use, those nearest to full are forgotten, a quarter at once.
    """

    __slots__ = ("_burst_s", "_full_at", "_interval_s", "_keys_limit")

    def __init__(self, rate_per_s: float, burst: int, *, keys_limit: int = BUCKETS_KEPT) -> None:
        self._interval_s = 1 / rate_per_s
        self._burst_s = burst / rate_per_s
        self._keys_limit = keys_limit
        self._full_at: dict[bytes | str, float] = {}

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: bytes | str, now_s: float) -> float:
        """Take one; 0 if there was one, else the seconds until there will be."""
        full_at_s = self._full_at.get(key)
        if full_at_s is None:
            self._make_room(now_s)
            full_at_s = now_s
        elif full_at_s < now_s:
            full_at_s = now_s
        full_at_s += self._interval_s
        wait_s = full_at_s - now_s - self._burst_s
        # Sums of the interval differ from the burst by rounding.
        if wait_s > 1e-6:
            return wait_s
        self._full_at[key] = full_at_s
        return 0.0

    def _make_room(self, now_s: float) -> None:
        if len(self._full_at) < self._keys_limit:
            return
        used = sorted(self._full_at.items(), key=lambda item: item[1])
        keep_from = len(used) // 4
        self._full_at = {key: at_s for key, at_s in used[keep_from:] if at_s > now_s}
