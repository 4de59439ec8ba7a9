import pytest

from cinema.domain.token_buckets import TokenBuckets


def test_burst_passes_at_once_and_then_the_rate() -> None:
    buckets = TokenBuckets(5, 10)
    assert [buckets.take("a", 100.0) for _ in range(10)] == [0.0] * 10
    assert buckets.take("a", 100.0) == pytest.approx(0.2)
    assert buckets.take("a", 100.1) == pytest.approx(0.1)
    assert buckets.take("a", 100.2) == 0.0
    assert buckets.take("a", 100.2) > 0


def test_what_is_refused_takes_nothing() -> None:
    buckets = TokenBuckets(1, 1)
    buckets.take("a", 0.0)
    for _ in range(100):
        assert buckets.take("a", 0.5) == pytest.approx(0.5)
    assert buckets.take("a", 1.0) == 0.0


def test_keys_have_buckets_of_their_own_that_fill_up_and_no_further() -> None:
    buckets = TokenBuckets(1, 2)
    assert [buckets.take(key, 0.0) for key in ("a", "a", "b")] == [0.0] * 3
    assert [buckets.take("a", 1000.0) for _ in range(3)] == [0.0, 0.0, pytest.approx(1.0)]


def test_buckets_kept_are_bounded_and_the_emptiest_stay() -> None:
    buckets = TokenBuckets(1, 10, keys_limit=8)
    for _ in range(10):
        buckets.take("greedy", 0.0)
    for number in range(1000):
        buckets.take(f"{number}", 0.0)
    assert len(buckets) <= 8
    assert buckets.take("greedy", 0.0) > 0


def test_full_buckets_are_forgotten_when_room_is_needed() -> None:
    buckets = TokenBuckets(1, 10, keys_limit=4)
    for number in range(4):
        buckets.take(f"{number}", 0.0)
    buckets.take("late", 50.0)
    assert len(buckets) == 1
