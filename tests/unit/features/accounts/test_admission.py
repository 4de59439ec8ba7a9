"""Tokens are let in from memory only while the feed of changed accounts is current."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest
import structlog

from cinema.domain.ids import new_id
from cinema.domain.limits_catalog import (
    ACCOUNT_CHANGES_KEPT_S,
    ACCOUNT_CHANGES_OVERLAP_S,
    ACCOUNTS_CURRENT_S,
    REFUSED_TOKEN_KEPT_S,
    REFUSED_TOKENS_KEPT,
)
from cinema.domain.principal import InvalidToken, Principal
from cinema.domain.rejections import Refused, refuse
from cinema.features.accounts.admission import REVOCATIONS_UNREAD, TokenAdmission
from cinema.features.accounts.changes_store import AccountChanges, Standing
from cinema.features.accounts.shared_looks import Holder
from cinema.features.accounts.signing_keys import SigningKeys
from cinema.features.accounts.tokens import TokenIssuer, TokenVerifier
from tests.support import inspection

KEY = b"k" * 32
USER = new_id(1_000, 1)
OTHER_USER = new_id(1_000, 2)
SESSION = new_id(2_000, 1)
CINEMA = new_id(3_000, 1)
TTL_S = 900


class Clock:
    """The time of day, which somebody may set, and a clock that nobody sets."""

    def __init__(self) -> None:
        self.now_s = 1_790_000_000.0
        self.set_by_s = 0.0

    def __call__(self) -> float:
        return self.now_s + self.set_by_s

    def steady(self) -> float:
        return self.now_s


class Accounts:
    """A database: what it says, how often it was asked, and what happens while it answers."""

    def __init__(self) -> None:
        self.states = {
            one: Standing("customer", disabled=False, cinema_ids=frozenset())
            for one in (USER, OTHER_USER)
        }
        self.changed: set[bytes] = set()
        self.failures: list[Exception] = []
        self.deletions_that_fail: list[Exception] = []
        self.meanwhile: list[Callable[[], None]] = []
        self.looks = 0
        self.reads: list[tuple[str | None, float]] = []
        self.forgotten = 0
        self.old_pages = 0
        self.reads_before_forgetting: list[int] = []
        self.gate: asyncio.Event | None = None
        self.first_horizon = 0

    async def standings(self, holders: Sequence[Holder]) -> dict[Holder, Standing]:
        self.looks += 1
        found = {one: self.states[one[0]] for one in holders if one[0] in self.states}
        if self.meanwhile:
            self.meanwhile.pop(0)()
        return found

    async def changes(self, since: str | None, missed_s: float) -> AccountChanges:
        self.reads.append((since, missed_s))
        if self.gate is not None:
            await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        changed, self.changed = frozenset(self.changed), set()
        return AccountChanges(changed, str(self.first_horizon + len(self.reads)))

    async def forget_changes(self, kept_s: float) -> bool:
        self.forgotten += 1
        self.reads_before_forgetting.append(len(self.reads))
        if self.deletions_that_fail:
            raise self.deletions_that_fail.pop(0)
        self.old_pages = max(0, self.old_pages - 1)
        return self.old_pages > 0


class Door:
    """An admission with all that it depends on."""

    def __init__(self, cache_limit: int = 100) -> None:
        self.clock = Clock()
        self.accounts = Accounts()
        self.issuer = TokenIssuer(SigningKeys([KEY]), ttl_s=TTL_S, clock=self.clock)
        self.admission = TokenAdmission(
            TokenVerifier(SigningKeys([KEY]), clock=self.clock),
            self.accounts,
            clock=self.clock,
            steady=self.clock.steady,
            cache_limit=cache_limit,
        )

    def token(self, user_id: bytes = USER, session_id: bytes = SESSION) -> str:
        return self.issuer.issue(user_id=user_id, role="customer", session_id=session_id).text

    async def refusal(self, token: str) -> str:
        with pytest.raises(InvalidToken) as caught:
            await self.admission.look_up(token)
        return caught.value.code


@pytest.fixture
def door() -> Door:
    return Door()


async def test_token_is_looked_up_once_and_known_then(door: Door) -> None:
    token = door.token()
    assert door.admission.verify(token) is None
    principal = await door.admission.look_up(token)
    assert principal == Principal(USER, "customer", SESSION, door.clock.now_s + TTL_S)
    assert door.admission.verify(token) is principal
    assert await door.admission.look_up(token) is principal
    assert door.accounts.looks == 1


async def test_staff_bring_their_cinemas_along(door: Door) -> None:
    door.accounts.states[USER] = Standing("customer", False, frozenset({CINEMA}))
    assert (await door.admission.look_up(door.token())).cinema_ids == {CINEMA}


async def test_known_token_is_refused_from_its_expiry_on(door: Door) -> None:
    token = door.token()
    await door.admission.look_up(token)
    door.clock.now_s += TTL_S
    with pytest.raises(InvalidToken) as caught:
        door.admission.verify(token)
    assert caught.value.code == "TOKEN_EXPIRED"
    assert len(door.admission) == 0
    assert await door.refusal(token) == "TOKEN_EXPIRED"


async def test_what_is_no_token_does_not_reach_the_database(door: Door) -> None:
    assert await door.refusal("nonsense") == "INVALID_TOKEN"
    assert door.accounts.looks == 0


@pytest.mark.parametrize(
    "standing",
    [None, Standing("staff", False, frozenset()), Standing("customer", True, frozenset())],
    ids=["no account", "another role", "disabled"],
)
async def test_token_of_an_account_that_may_not_act_is_refused(
    door: Door, standing: Standing | None
) -> None:
    if standing is None:
        del door.accounts.states[USER]
    else:
        door.accounts.states[USER] = standing
    assert await door.refusal(door.token()) == "TOKEN_REVOKED"
    assert door.admission.verify(door.token()) is None


async def test_refused_token_asks_the_database_again_only_after_a_while(door: Door) -> None:
    token = door.token()
    standing = door.accounts.states.pop(USER)
    for _ in range(5):
        assert await door.refusal(token) == "TOKEN_REVOKED"
    assert door.accounts.looks == 1
    door.accounts.states[USER] = standing
    door.clock.now_s += REFUSED_TOKEN_KEPT_S
    assert (await door.admission.look_up(token)).user_id == USER


async def test_refused_tokens_are_bounded(door: Door) -> None:
    door.accounts.states.clear()
    for number in range(REFUSED_TOKENS_KEPT + 2):
        await door.refusal(door.token(session_id=new_id(2_000, number)))
    assert inspection.refusals_remembered(door.admission) == 2


async def test_change_of_an_account_has_its_tokens_looked_up_again_and_no_others(
    door: Door,
) -> None:
    token, other = door.token(), door.token(OTHER_USER)
    await door.admission.look_up(token)
    await door.admission.look_up(other)
    del door.accounts.states[USER]
    door.accounts.changed.add(USER)
    await door.admission.read_changes()
    assert door.admission.verify(token) is None
    assert door.admission.verify(other) is not None
    assert await door.refusal(token) == "TOKEN_REVOKED"
    door.accounts.states[USER] = Standing("customer", False, frozenset())
    door.accounts.changed.add(USER)
    await door.admission.read_changes()
    assert (await door.admission.look_up(token)).user_id == USER


async def test_change_told_while_a_token_is_looked_up_counts(door: Door) -> None:
    def change() -> None:
        del door.accounts.states[USER]
        door.admission.forget({USER, OTHER_USER})

    door.accounts.meanwhile = [change]
    assert await door.refusal(door.token()) == "TOKEN_REVOKED"
    assert door.accounts.looks == 2


async def test_change_of_somebody_else_during_a_look_does_not_matter(door: Door) -> None:
    door.accounts.meanwhile = [lambda: door.admission.forget({OTHER_USER})]
    await door.admission.look_up(door.token())
    assert door.accounts.looks == 1


async def test_account_that_never_stops_changing_is_refused_for_now(door: Door) -> None:
    door.accounts.meanwhile = [lambda: door.admission.forget({USER})] * 10
    with pytest.raises(Refused) as caught:
        await door.admission.look_up(door.token())
    assert caught.value.rejection.code == "RETRY"
    assert len(door.admission) == 0


async def test_without_news_of_changes_nobody_is_let_in_from_memory(door: Door) -> None:
    token = door.token()
    await door.admission.look_up(token)
    door.clock.now_s += ACCOUNTS_CURRENT_S - 0.001
    assert door.admission.verify(token) is not None
    door.clock.now_s += 0.001
    assert door.admission.verify(token) is None
    door.accounts.failures = [refuse("RETRY")]
    with structlog.testing.capture_logs() as events, pytest.raises(Refused) as caught:
        await door.admission.look_up(token)
    assert caught.value.rejection.code == "RETRY"
    assert [event["event"] for event in events] == [REVOCATIONS_UNREAD]
    # One look at the feed brings all tokens back, without looking up each.
    assert (await door.admission.look_up(token)).user_id == USER
    assert door.accounts.looks == 1


async def test_clock_that_is_set_back_lets_nobody_in_for_longer(door: Door) -> None:
    token = door.token()
    await door.admission.look_up(token)
    door.clock.now_s += ACCOUNTS_CURRENT_S
    door.clock.set_by_s = -600
    assert door.admission.verify(token) is None
    door.accounts.failures = [refuse("RETRY")]
    with structlog.testing.capture_logs(), pytest.raises(Refused):
        await door.admission.look_up(token)
    # What was missed is counted by the steady clock as well.
    await door.admission.read_changes()
    assert door.accounts.reads[-1][1] == ACCOUNTS_CURRENT_S + ACCOUNT_CHANGES_OVERLAP_S


async def test_clock_that_is_set_back_refuses_nobody_for_longer(door: Door) -> None:
    token = door.token()
    standing = door.accounts.states.pop(USER)
    assert await door.refusal(token) == "TOKEN_REVOKED"
    door.accounts.states[USER] = standing
    door.clock.now_s += REFUSED_TOKEN_KEPT_S
    door.clock.set_by_s = -600
    assert (await door.admission.look_up(token)).user_id == USER


async def test_answer_that_took_longer_than_the_news_is_good_for_lets_nobody_in(
    door: Door,
) -> None:
    def wait() -> None:
        door.clock.now_s += ACCOUNTS_CURRENT_S

    door.accounts.meanwhile = [wait]
    with pytest.raises(Refused) as caught:
        await door.admission.look_up(door.token())
    assert caught.value.rejection.code == "RETRY"
    assert len(door.admission) == 0


async def test_database_that_counts_from_further_back_has_everybody_looked_up(door: Door) -> None:
    token = door.token()
    door.accounts.first_horizon = 1000
    await door.admission.look_up(token)
    door.accounts.first_horizon = 900
    await door.admission.read_changes()
    assert door.admission.verify(token) is None
    assert (await door.admission.look_up(token)).user_id == USER
    assert door.accounts.looks == 2


async def test_failures_of_the_feed_are_logged_and_the_next_look_reaches_back(door: Door) -> None:
    await door.admission.read_changes()
    door.accounts.failures = [TimeoutError(), ConnectionError("a bug"), refuse("RETRY")]
    with structlog.testing.capture_logs() as events:
        for _ in range(3):
            door.clock.now_s += 10
            await door.admission.read_changes()
    assert [event.get("reason") for event in events] == ["TIMEOUT", None, "RETRY"]
    await door.admission.read_changes()
    await door.admission.read_changes()
    missed = [missed_s for _, missed_s in door.accounts.reads]
    assert missed == [0.0, 0.0, 80.0, 90.0, 90.0, 0.0]


async def test_first_look_that_fails_reaches_back_to_nothing(door: Door) -> None:
    door.accounts.failures = [refuse("RETRY")]
    await door.admission.read_changes()
    await door.admission.read_changes()
    assert door.accounts.reads == [(None, 0.0), (None, 0.0)]


async def test_node_that_could_not_look_for_too_long_forgets_everybody(door: Door) -> None:
    token = door.token()
    await door.admission.look_up(token)
    door.accounts.failures = [refuse("RETRY")]
    await door.admission.read_changes()
    door.clock.now_s += ACCOUNT_CHANGES_KEPT_S
    door.accounts.meanwhile = []
    await door.admission.read_changes()
    assert len(door.admission) == 0


async def test_looks_under_way_are_repeated_when_everybody_is_forgotten(door: Door) -> None:
    door.accounts.meanwhile = [lambda: inspection.forget_everybody(door.admission)]
    await door.admission.look_up(door.token())
    assert door.accounts.looks == 2


async def until(holds: Callable[[], object]) -> None:
    """Let the other tasks run until something holds."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110  # nobody tells when
            await asyncio.sleep(0)


async def test_two_looks_at_the_feed_at_once_are_one(door: Door) -> None:
    door.accounts.gate = asyncio.Event()
    looks = [asyncio.create_task(door.admission.look_up(door.token())) for _ in range(3)]
    await until(lambda: door.accounts.reads)
    door.accounts.gate.set()
    assert {one.user_id for one in await asyncio.gather(*looks)} == {USER}
    assert len(door.accounts.reads) == 1


async def test_client_that_leaves_takes_no_other_along(door: Door) -> None:
    door.accounts.gate = asyncio.Event()
    first = asyncio.create_task(door.admission.look_up(door.token()))
    second = asyncio.create_task(door.admission.look_up(door.token()))
    await until(lambda: door.accounts.reads)
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(Refused):
        await second
    door.accounts.gate.set()
    assert (await door.admission.look_up(door.token())).user_id == USER


async def test_feed_is_followed_whatever_happens_and_old_changes_are_deleted(door: Door) -> None:
    accounts = door.accounts
    accounts.failures = [refuse("RETRY")]
    accounts.deletions_that_fail = [refuse("RETRY"), ConnectionError("a bug")]
    with structlog.testing.capture_logs() as events:
        following = asyncio.create_task(door.admission.follow(every_s=0))
        for expected in (1, 2, 3):
            await until(lambda expected=expected: accounts.forgotten == expected)
            door.clock.now_s += ACCOUNT_CHANGES_KEPT_S / 2
        following.cancel()
    assert [event["event"] for event in events] == [REVOCATIONS_UNREAD] * 3


async def test_old_changes_are_deleted_a_page_after_each_look_until_none_is_left(
    door: Door,
) -> None:
    accounts = door.accounts
    accounts.old_pages = 5
    following = asyncio.create_task(door.admission.follow(every_s=0))
    await until(lambda: len(accounts.reads) >= 20)
    following.cancel()
    assert accounts.old_pages == 0
    assert accounts.reads_before_forgetting == [1, 2, 3, 4, 5]


async def test_memory_stays_within_its_bound_and_drops_the_oldest() -> None:
    door = Door(cache_limit=8)
    for number in range(30):
        token = door.token(session_id=new_id(3_000, number))
        last = await door.admission.look_up(token)
        assert len(door.admission) <= 8
        assert door.admission.verify(token) is last


async def test_expired_tokens_leave_memory_before_live_ones() -> None:
    door = Door(cache_limit=4)
    for number in range(3):
        await door.admission.look_up(door.token(session_id=new_id(3_000, number)))
    door.clock.now_s += TTL_S
    live = door.token()
    kept = await door.admission.look_up(live)
    await door.admission.look_up(door.token(OTHER_USER))
    assert len(door.admission) == 2
    assert door.admission.verify(live) is kept


async def test_token_whose_key_is_taken_out_while_it_is_looked_up_is_refused(door: Door) -> None:
    keys = SigningKeys([KEY])
    admission = TokenAdmission(
        TokenVerifier(keys, clock=door.clock),
        door.accounts,
        clock=door.clock,
        steady=door.clock.steady,
    )
    await admission.look_up(door.token())
    assert len(admission) == 1
    admission.forget_all()
    assert len(admission) == 0
    door.accounts.meanwhile = [lambda: keys.replace([b"n" * 32])]
    with pytest.raises(InvalidToken):
        await admission.look_up(door.token())
