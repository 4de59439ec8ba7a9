"""A latency histogram with buckets of constant relative width, as HdrHistogram has."""

from collections.abc import Iterable

import msgspec

PRECISION_BITS = 7
"""Sub-buckets per power of two, as a power of two: 2**7 bounds the error at 1/128 (0.8 %)."""

_SUB_BUCKETS = 1 << PRECISION_BITS


class Tail(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a distribution that a person reads, in milliseconds."""

    count: int
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


def bucket_of(value: int) -> int:
    """The bucket a non-negative value falls into; exact below 2**(PRECISION_BITS + 1)."""
    shift = value.bit_length() - PRECISION_BITS - 1
    if shift <= 0:
        return value
    return (shift << PRECISION_BITS) + (value >> shift)


def bucket_top(bucket: int) -> int:
    """The highest value of a bucket, so that a quantile read from it is never flattering."""
    shift = (bucket >> PRECISION_BITS) - 1
    if shift <= 0:
        return bucket
    mantissa = bucket - (shift << PRECISION_BITS)
    return ((mantissa + 1) << shift) - 1


class Histogram:
    """Counts of non-negative integers (nanoseconds here) by logarithmic bucket."""

    __slots__ = ("_counts", "_total", "count", "highest")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._total = 0
        self.count = 0
        self.highest = 0

    def record(self, value: int, times: int = 1) -> None:
        """Count a value; a negative one (clocks read in two processes) counts as zero."""
        value = max(value, 0)
        # bucket_of, inlined: this line runs once a request in the generators.
        shift = value.bit_length() - PRECISION_BITS - 1
        bucket = value if shift <= 0 else (shift << PRECISION_BITS) + (value >> shift)
        counts = self._counts
        counts[bucket] = counts.get(bucket, 0) + times
        self._total += value * times
        self.count += times
        self.highest = max(self.highest, value)

    def merge(self, other: "Histogram") -> None:
        """Add another histogram's counts to this one."""
        for bucket, times in other._counts.items():
            self._counts[bucket] = self._counts.get(bucket, 0) + times
        self._total += other._total
        self.count += other.count
        self.highest = max(self.highest, other.highest)

    def quantile(self, fraction: float) -> int:
        """The smallest recorded bucket top that at least `fraction` of the values do not exceed."""
        if not 0.0 <= fraction <= 1.0:
            raise ValueError(f"not a fraction: {fraction}")
        if self.count == 0:
            return 0
        wanted = max(1, -int(-fraction * self.count // 1))
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= wanted:
                return min(bucket_top(bucket), self.highest)
        return self.highest

    @property
    def mean(self) -> float:
        return self._total / self.count if self.count else 0.0

    def tail(self) -> Tail:
        """The usual quantiles, in milliseconds."""
        return Tail(
            count=self.count,
            mean_ms=self.mean / 1e6,
            p50_ms=self.quantile(0.50) / 1e6,
            p90_ms=self.quantile(0.90) / 1e6,
            p99_ms=self.quantile(0.99) / 1e6,
            p999_ms=self.quantile(0.999) / 1e6,
            max_ms=self.highest / 1e6,
        )

    def buckets(self) -> list[tuple[int, int]]:
        """The filled buckets in order, as (bucket, count): what crosses process borders."""
        return sorted(self._counts.items())

    @classmethod
    def restored(cls, buckets: Iterable[tuple[int, int]], total: int, highest: int) -> "Histogram":
        """The histogram whose `buckets()`, `total` and `highest` these are."""
        histogram = cls()
        histogram._counts = dict(buckets)
        histogram._total = total
        histogram.count = sum(histogram._counts.values())
        histogram.highest = highest
        return histogram

    @property
    def total(self) -> int:
        return self._total
