import pytest

from cinema.services.login_throttle import LoginThrottle


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def throttle(clock: Clock, pairs_limit: int = 100) -> LoginThrottle:
    return LoginThrottle(clock, failures_limit=3, window_s=60, pairs_limit=pairs_limit)


def test_failures_up_to_the_limit_pass_and_the_next_waits_for_the_window(clock: Clock) -> None:
    guard = throttle(clock)
    assert [guard.attempt("a@b.c", "ip") for _ in range(3)] == [None] * 3
    clock.now_s += 10.5
    assert guard.attempt("a@b.c", "ip") == 50


def test_refused_attempts_do_not_prolong_the_wait(clock: Clock) -> None:
    guard = throttle(clock)
    for _ in range(10):
        guard.attempt("a@b.c", "ip")
    clock.now_s += 60
    assert guard.attempt("a@b.c", "ip") is None


def test_other_email_and_other_address_are_not_affected(clock: Clock) -> None:
    guard = throttle(clock)
    for _ in range(4):
        guard.attempt("a@b.c", "ip")
    assert guard.attempt("a@b.c", "other") is None
    assert guard.attempt("x@b.c", "ip") is None


def test_success_forgets_the_failures(clock: Clock) -> None:
    guard = throttle(clock)
    for _ in range(3):
        guard.attempt("a@b.c", "ip")
    guard.succeeded("a@b.c", "ip")
    assert [guard.attempt("a@b.c", "ip") for _ in range(3)] == [None] * 3


def test_pairs_remembered_are_bounded(clock: Clock) -> None:
    guard = throttle(clock, pairs_limit=5)
    for _ in range(4):
        guard.attempt("old@b.c", "ip")
    for number in range(5):
        guard.attempt(f"{number}@b.c", "ip")
    assert guard.attempt("old@b.c", "ip") is None
