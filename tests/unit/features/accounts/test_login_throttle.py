"""Guesses and mishaps at logins, against counts in memory on a clock of the test's."""

from datetime import datetime

import pytest

from cinema.domain.rejections import Refused, refuse
from cinema.features.accounts.login_throttle import LoginThrottle
from cinema.features.accounts.throttles import ThrottleRules, Throttles
from cinema.storage.redis.throttle_counts import ThrottleCounts

HOME, ELSEWHERE = "192.0.2.1", "198.51.100.9"


class Notebook:
    """Known addresses in a set."""

    def __init__(self) -> None:
        self.known: set[tuple[bytes, bytes]] = set()
        self.is_away = False

    async def knows(self, account: bytes, address: bytes, now: datetime) -> bool:
        if self.is_away:
            raise refuse("RETRY")
        return (account, address) in self.known

    async def note(self, account: bytes, address: bytes, now: datetime) -> None:
        if self.is_away:
            raise refuse("RETRY")
        self.known.add((account, address))


class Door:
    """A throttle, and what becomes of attempts at it."""

    def __init__(self) -> None:
        self.now_s = 1_790_000_000.0
        self.notebook = Notebook()
        rules = ThrottleRules(
            login_window_seconds=60,
            login_failures_per_account_and_address=3,
            login_failures_per_address=6,
            login_failures_per_account_per_hour=9,
        )
        self.counts = ThrottleCounts(lambda: self.now_s)
        self.throttles = Throttles(self.counts, rules)
        self.throttle = LoginThrottle(self.throttles, self.notebook, clock=lambda: self.now_s)

    async def attempt(
        self, email: str | None, address: str, ends: str = "INVALID_CREDENTIALS"
    ) -> str:
        """What a client is told whose attempt ends in a code, or with "ok"."""
        attempt = self.throttle.attempt_from(address)
        if email is not None:
            attempt = self.throttle.attempt(email, address)
        try:
            async with attempt:
                if ends == "crash":
                    raise RuntimeError(ends)
                if ends != "ok":
                    raise refuse(ends)
        except RuntimeError:
            return "crash"
        except Refused as refused:
            details = refused.rejection.details or {}
            return f"{refused.rejection.code} {details.get('retry_after_s', '')}".strip()
        return "ok"

    async def fails(self, count: int, email: str = "ann@example.com", address: str = HOME) -> None:
        for _ in range(count):
            assert await self.attempt(email, address) == "INVALID_CREDENTIALS"


@pytest.fixture
def door() -> Door:
    return Door()


async def test_failures_up_to_the_limit_pass_and_the_next_waits_for_the_window(door: Door) -> None:
    await door.fails(3)
    door.now_s += 10.5
    assert await door.attempt("ann@example.com", HOME, "ok") == "RATE_LIMITED 50"
    assert door.throttles.refused == {"login_account_address": 1}


async def test_refused_attempts_do_not_prolong_the_wait(door: Door) -> None:
    await door.fails(3)
    for _ in range(5):
        await door.attempt("ann@example.com", HOME)
        door.now_s += 10
    door.now_s += 10
    assert await door.attempt("ann@example.com", HOME, "ok") == "ok"


async def test_other_account_and_other_address_are_not_affected(door: Door) -> None:
    await door.fails(3)
    assert await door.attempt("ann@example.com", ELSEWHERE, "ok") == "ok"
    assert await door.attempt("bob@example.com", HOME, "ok") == "ok"


async def test_success_forgets_the_failures(door: Door) -> None:
    await door.fails(2)
    assert await door.attempt("ann@example.com", HOME, "ok") == "ok"
    await door.fails(3)


async def test_guesses_at_no_account_count_by_address_alone(door: Door) -> None:
    for _ in range(6):
        assert await door.attempt(None, HOME) == "INVALID_CREDENTIALS"
    assert await door.attempt(None, HOME, "ok") == "RATE_LIMITED 60"
    assert await door.attempt("ann@example.com", HOME, "ok") == "RATE_LIMITED 60"
    assert await door.attempt(None, ELSEWHERE, "ok") == "ok"
    assert door.throttles.refused == {"login_address": 2}
    door.now_s += 60
    assert await door.attempt(None, HOME, "ok") == "ok"


@pytest.mark.parametrize("ends", ["ok", "RETRY", "crash"])
async def test_what_is_no_wrong_guess_at_no_account_does_not_count(door: Door, ends: str) -> None:
    for _ in range(20):
        assert (await door.attempt(None, HOME, ends)).startswith(ends)
    assert len(door.counts.memory) == 0


@pytest.mark.parametrize("mishap", ["OVERLOADED", "RETRY", "OUTCOME_UNKNOWN", "crash"])
async def test_attempts_that_the_server_did_not_answer_lock_nobody_out(
    door: Door, mishap: str
) -> None:
    for _ in range(50):
        assert (await door.attempt("ann@example.com", HOME, mishap)).startswith(mishap)
    await door.fails(3)


@pytest.mark.parametrize(
    "spelling",
    ["ANN@EXAMPLE.COM", " ann@example.com", "\uff41nn@example.com", "ann\uff20example.com"],
)
async def test_all_spellings_of_an_account_count_as_one(door: Door, spelling: str) -> None:
    await door.fails(3)
    assert (await door.attempt(spelling, HOME)).startswith("RATE_LIMITED")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("2001:db8::1", "2001:0DB8:0:0:ffff::2"),
    ],
)
async def test_all_spellings_of_an_address_count_as_one(door: Door, one: str, other: str) -> None:
    await door.fails(3, address=one)
    assert (await door.attempt("ann@example.com", other)).startswith("RATE_LIMITED")


async def test_one_address_may_not_go_through_many_accounts(door: Door) -> None:
    for number in range(6):
        await door.fails(1, f"{number}@example.com")
    assert await door.attempt("ann@example.com", HOME, "ok") == "RATE_LIMITED 60"
    assert await door.attempt("ann@example.com", ELSEWHERE, "ok") == "ok"
    assert door.throttles.refused == {"login_address": 1}


async def test_successes_of_an_address_are_no_failures_of_it(door: Door) -> None:
    """Many people sign in from behind one carrier's address."""
    for number in range(100):
        assert await door.attempt(f"{number}@example.com", HOME, "ok") == "ok"


async def test_what_one_throttle_refuses_counts_in_no_other(door: Door) -> None:
    await door.fails(3)
    for _ in range(50):
        await door.attempt("ann@example.com", HOME)
    await door.fails(3, "bob@example.com")
    assert await door.attempt("ann@example.com", ELSEWHERE, "ok") == "ok"


async def test_guesses_at_an_account_from_everywhere_stop_only_strangers(door: Door) -> None:
    assert await door.attempt("ann@example.com", HOME, "ok") == "ok"
    for number in range(9):
        await door.fails(1, address=f"203.0.113.{number}")
    stranger = await door.attempt("ann@example.com", ELSEWHERE, "ok")
    assert stranger == "RATE_LIMITED 3600"
    assert door.throttles.refused == {"login_account": 1}
    assert await door.attempt("ann@example.com", HOME, "ok") == "ok"
    door.now_s += 3600
    assert await door.attempt("ann@example.com", ELSEWHERE, "ok") == "ok"


async def test_address_from_which_an_account_was_opened_is_no_stranger(door: Door) -> None:
    await door.throttle.remember("Ann@example.com", HOME)
    for number in range(9):
        await door.fails(1, address=f"203.0.113.{number}")
    assert await door.attempt("ann@example.com", HOME, "ok") == "ok"
    assert (await door.attempt("ann@example.com", ELSEWHERE)).startswith("RATE_LIMITED")


async def test_known_address_of_one_account_is_a_stranger_at_another(door: Door) -> None:
    assert await door.attempt("bob@example.com", HOME, "ok") == "ok"
    for number in range(9):
        await door.fails(1, address=f"203.0.113.{number}")
    assert (await door.attempt("ann@example.com", HOME)).startswith("RATE_LIMITED")


async def test_database_that_is_away_stops_nobody_by_itself(door: Door) -> None:
    for number in range(9):
        await door.fails(1, address=f"203.0.113.{number}")
    door.notebook.is_away = True
    assert await door.attempt("ann@example.com", ELSEWHERE, "RETRY") == "RETRY"
    assert await door.attempt("ann@example.com", ELSEWHERE, "ok") == "ok"


async def test_registrations_of_an_address_are_bounded_and_untried_ones_do_not_count(
    door: Door,
) -> None:
    async def register(ends: str, address: str = HOME) -> str:
        try:
            async with door.throttles.registration(address):
                if ends != "ok":
                    raise refuse(ends)
        except Refused as refused:
            return refused.rejection.code
        return "ok"

    for code in ("VALIDATION_ERROR", "OVERLOADED", "RETRY"):
        for _ in range(5):
            assert await register(code) == code
    tried = [await register(code) for code in ("ok", "EMAIL_TAKEN", "ok", "ok", "EMAIL_TAKEN")]
    assert tried == ["ok", "EMAIL_TAKEN", "ok", "ok", "EMAIL_TAKEN"]
    assert await register("ok") == "RATE_LIMITED"
    assert await register("ok", ELSEWHERE) == "ok"
    door.now_s += 3600
    assert await register("ok") == "ok"


async def test_crowd_that_knows_its_passwords_does_not_lock_its_address(door: Door) -> None:
    """Who comes while too many are at it is refused, which is no failure of anybody."""
    crowd = [door.throttle.attempt(f"{one}@example.com", HOME) for one in range(6)]
    for attempt in crowd:
        await attempt.__aenter__()
    for one in range(20):
        assert (await door.attempt(f"late{one}@example.com", HOME)).startswith("RATE_LIMITED")
    for attempt in crowd:
        await attempt.__aexit__(None, None, None)
    assert await door.attempt("ann@example.com", HOME, "ok") == "ok"


async def test_attempts_that_were_not_answered_push_no_failures_out_of_memory(door: Door) -> None:
    """Else whoever fills the queue for passwords could wipe out what is counted."""
    await door.fails(3)
    for one in range(20):
        await door.attempt(f"{one}@example.com", ELSEWHERE, "OVERLOADED")
    assert len(door.counts.memory) == 3


@pytest.mark.parametrize(("ends", "kept"), [("OUTCOME_UNKNOWN", 1), ("RETRY", 0)])
async def test_sale_of_which_nobody_knows_counts_for_its_guest(
    door: Door, ends: str, kept: int
) -> None:
    with pytest.raises(Refused):
        async with door.throttles.guest_sale("ann@example.com"):
            raise refuse(ends)
    assert len(door.counts.memory) == kept
