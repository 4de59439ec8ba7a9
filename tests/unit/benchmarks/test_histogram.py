"""The latency histogram."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.load.histogram import PRECISION_BITS, Histogram, bucket_of, bucket_top
from benchmarks.load.specs import Latencies

values = st.integers(min_value=0, max_value=10**15)


@given(values)
def test_a_value_lies_in_its_bucket_within_the_promised_error(value: int) -> None:
    bucket = bucket_of(value)
    top = bucket_top(bucket)
    assert value <= top <= value + value / 2**PRECISION_BITS
    assert bucket == 0 or bucket_top(bucket - 1) < value


@given(st.lists(values, min_size=1, max_size=200), st.floats(min_value=0.01, max_value=1.0))
def test_a_quantile_is_the_exact_one_rounded_up_to_its_bucket(
    recorded: list[int], fraction: float
) -> None:
    histogram = Histogram()
    for value in recorded:
        histogram.record(value)
    rank = max(1, -int(-fraction * len(recorded) // 1))
    exact = sorted(recorded)[rank - 1]
    assert exact <= histogram.quantile(fraction) <= exact + exact / 2**PRECISION_BITS


def test_the_highest_quantile_is_the_highest_value() -> None:
    histogram = Histogram()
    for value in (3, 999_999_937, 12):
        histogram.record(value)
    assert histogram.quantile(1.0) == histogram.highest == 999_999_937


def test_negative_values_count_as_zero() -> None:
    histogram = Histogram()
    histogram.record(-5)
    assert (histogram.count, histogram.quantile(1.0), histogram.mean) == (1, 0, 0.0)


def test_an_empty_histogram_has_zeros() -> None:
    assert Histogram().tail().p99_ms == 0.0


def test_a_quantile_must_be_a_fraction() -> None:
    with pytest.raises(ValueError, match="not a fraction"):
        Histogram().quantile(99)


def test_merging_equals_recording_everything_in_one() -> None:
    chance = random.Random(1)
    parts = [Histogram(), Histogram()]
    whole = Histogram()
    for _ in range(1000):
        value = chance.randrange(10**9)
        chance.choice(parts).record(value)
        whole.record(value)
    merged = Histogram()
    for part in parts:
        merged.merge(part)
    assert merged.buckets() == whole.buckets()
    assert merged.tail() == whole.tail()


def test_recording_several_times_equals_recording_one_by_one() -> None:
    once, each = Histogram(), Histogram()
    once.record(12_345, times=3)
    for _ in range(3):
        each.record(12_345)
    assert once.tail() == each.tail()


def test_a_histogram_survives_the_way_between_processes() -> None:
    histogram = Histogram()
    for value in (0, 255, 256, 1_000_000, 77_777_777):
        histogram.record(value)
    assert Latencies.of(histogram).histogram().tail() == histogram.tail()
