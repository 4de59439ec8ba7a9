"""Sessions on a real Postgres: rotation, the race of tabs, a stolen token, ends of all kinds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import structlog

from cinema.domain.limits_catalog import SESSIONS_KEPT
from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused
from cinema.features.accounts.letters import no_post
from cinema.features.accounts.passwords import PasswordHasher
from cinema.features.accounts.refresh_tokens import RefreshTokens
from cinema.features.accounts.session_rules import ROTATIONS_LIMIT
from cinema.features.accounts.session_service import SessionsService
from cinema.features.accounts.session_store import SessionsRepository
from cinema.features.accounts.shapes import LoginInput, SignedIn
from cinema.features.accounts.signing_keys import SigningKeys
from cinema.storage.database.transactions import Pool
from tests.integration.features.accounts_house import (
    HERE,
    KEY,
    THERE,
    TTL_S,
    Clock,
    House,
    ann,
    raw,
    refusal,
)

pytestmark = pytest.mark.postgres

CREDENTIALS = LoginInput(email="ann@example.com", password="correct horse")


@pytest.fixture
async def house(pool: Pool) -> AsyncIterator[House]:
    hasher = PasswordHasher(10)
    yield House(pool, Clock(), hasher)
    hasher.close()


async def signed_in(house: House) -> SignedIn:
    return await house.accounts.register(ann(), HERE)


async def principal_of(house: House, signed: SignedIn) -> Principal:
    return await house.admission.look_up(signed.access_token)


async def reason(call: Any) -> str:
    with pytest.raises(Refused) as caught:
        await call
    rejection = caught.value.rejection
    assert rejection.code == "UNAUTHENTICATED"
    return str((rejection.details or {})["reason"])


async def test_refresh_gives_the_next_tokens_of_the_same_session(house: House) -> None:
    first = await signed_in(house)
    house.clock.now_s += 600
    second = await house.sessions.refresh(first.refresh_token, THERE)
    assert second.user == first.user
    assert second.refresh_token != first.refresh_token
    assert (second.expires_in, second.refresh_expires_in) == (TTL_S, 7 * 86_400)
    one, other = await principal_of(house, first), await principal_of(house, second)
    assert (other.user_id, other.session_id) == (one.user_id, one.session_id)
    (session,) = await house.sessions.sessions(other)
    assert session.current
    assert session.last_used_at - session.created_at == timedelta(seconds=600)
    assert (session.address, session.user_agent) == (THERE.address, THERE.agent)


async def test_only_digests_of_refresh_tokens_are_in_the_database(house: House) -> None:
    first = await signed_in(house)
    second = await house.sessions.refresh(first.refresh_token, HERE)
    row = await house.pool.fetchrow("select sessions::text as whole, * from sessions")
    assert row is not None
    tokens = RefreshTokens(SigningKeys([KEY]))
    for token in (first.refresh_token, second.refresh_token):
        presented = tokens.read(token)
        assert presented is not None
        assert presented.secret.hex() not in row["whole"]
        assert token not in row["whole"]
    assert len(row["refresh_digest"]) == 32


@pytest.mark.parametrize("tabs", [2, 3, 8])
async def test_tabs_that_refresh_at_once_get_one_successor(house: House, tabs: int) -> None:
    first = await signed_in(house)
    answers = await asyncio.gather(
        *(house.sessions.refresh(first.refresh_token, HERE) for _ in range(tabs))
    )
    assert len({one.refresh_token for one in answers}) == 1
    assert answers[0].refresh_token != first.refresh_token
    assert house.sessions.refreshes == {
        "rotated": 1,
        "repeated": tabs - 1,
        "reused": 0,
        "refused": 0,
    }
    assert await house.count("sessions") == 1


async def test_lost_answer_is_given_again_and_the_session_goes_on(house: House) -> None:
    first = await signed_in(house)
    lost = await house.sessions.refresh(first.refresh_token, HERE)
    house.clock.now_s += 10
    again = await house.sessions.refresh(first.refresh_token, HERE)
    assert again.refresh_token == lost.refresh_token
    third = await house.sessions.refresh(again.refresh_token, HERE)
    assert await house.lives(third.access_token)


async def test_lost_answer_is_given_again_by_another_node(house: House) -> None:
    first = await signed_in(house)
    lost = await house.sessions.refresh(first.refresh_token, HERE)
    other = House(house.pool, house.clock, house.hasher)
    again = await other.sessions.refresh(first.refresh_token, HERE)
    assert again.refresh_token == lost.refresh_token


async def test_crash_between_rotation_and_its_commit_has_no_effect(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await signed_in(house)

    class Crash(BaseException):
        pass

    commit = asyncpg.transaction.Transaction.commit

    async def crash(_self: Any) -> None:
        raise Crash

    monkeypatch.setattr(asyncpg.transaction.Transaction, "commit", crash)
    with pytest.raises(Crash):
        await house.sessions.refresh(first.refresh_token, HERE)
    monkeypatch.setattr(asyncpg.transaction.Transaction, "commit", commit)
    house.clock.now_s += 3600
    assert await house.sessions.refresh(first.refresh_token, HERE)


async def stolen(house: House) -> tuple[SignedIn, SignedIn]:
    """What the owner had and has, while the thief kept the first."""
    first = await signed_in(house)
    house.clock.now_s += 60
    second = await house.sessions.refresh(first.refresh_token, HERE)
    house.clock.now_s += 11
    return first, second


async def test_refresh_family_attack_ends_the_session_for_thief_and_owner(house: House) -> None:
    first, second = await stolen(house)
    for one in (first, second):
        assert await house.lives(one.access_token)
    with structlog.testing.capture_logs() as events:
        assert await reason(house.sessions.refresh(first.refresh_token, THERE)) == (
            "REFRESH_TOKEN_REUSED"
        )
    for one in (first, second):
        assert house.admission.verify(one.access_token) is None
        assert not await house.lives(one.access_token)
        assert await reason(house.sessions.refresh(one.refresh_token, HERE)) == (
            "INVALID_REFRESH_TOKEN"
        )
    assert [event["event"] for event in events] == ["session_reused"]
    assert first.refresh_token not in str(events)
    assert "ann@example.com" not in str(events).lower()


async def test_refresh_family_attack_is_in_the_audit_log_and_the_owner_gets_one_mail(
    house: House,
) -> None:
    first, _ = await stolen(house)
    attempts = [house.sessions.refresh(first.refresh_token, THERE) for _ in range(3)]
    await asyncio.gather(*attempts, return_exceptions=True)
    (entry,) = await house.pool.fetch("select * from audit_log")
    assert (entry["action"], entry["actor_id"]) == ("session_reuse", None)
    assert entry["target_id"].bytes == raw(first.user.id)
    assert (entry["request_id"], entry["address"]) == (THERE.request_id, THERE.address)
    _welcome, letter = house.letters
    assert (letter.kind, letter.to) == ("account_session_reused", "Ann@Example.com")
    assert house.sessions.refreshes["reused"] == 1


async def test_refresh_family_attack_ends_the_access_tokens_on_other_nodes(house: House) -> None:
    first, second = await stolen(house)
    other = House(house.pool, house.clock, house.hasher)
    assert await other.lives(second.access_token)
    await reason(house.sessions.refresh(first.refresh_token, THERE))
    assert not await other.lives(second.access_token)


async def test_attack_leaves_other_sessions_of_the_owner_alone(house: House) -> None:
    first, _ = await stolen(house)
    elsewhere = await house.accounts.login(CREDENTIALS, THERE)
    await reason(house.sessions.refresh(first.refresh_token, THERE))
    assert await house.lives(elsewhere.access_token)
    assert await house.sessions.refresh(elsewhere.refresh_token, THERE)


async def test_made_up_secret_ends_nobodys_session(house: House) -> None:
    """The id of a session is no secret: it stands in every access token."""
    first = await signed_in(house)
    session_id = (await principal_of(house, first)).session_id
    made_up = RefreshTokens(SigningKeys([b"x" * 32]))
    token = made_up.token(session_id, made_up.new_secret())
    assert await reason(house.sessions.refresh(token, THERE)) == "INVALID_REFRESH_TOKEN"
    assert (await house.sessions.log_out(None, token)).ended == 0
    assert await house.sessions.refresh(first.refresh_token, HERE)


async def test_token_of_a_session_that_is_gone_is_refused(house: House) -> None:
    first = await signed_in(house)
    await house.pool.execute("delete from sessions")
    assert await reason(house.sessions.refresh(first.refresh_token, HERE)) == (
        "INVALID_REFRESH_TOKEN"
    )
    assert await reason(house.sessions.refresh("", HERE)) == "NO_REFRESH_TOKEN"


async def test_idle_session_ends_and_neither_token_outlives_it(house: House) -> None:
    first = await signed_in(house)
    opened_s = house.clock.now_s
    last = first
    for day in (6.9, 13, 19, 25):
        house.clock.now_s = opened_s + day * 86_400
        last = await house.sessions.refresh(last.refresh_token, HERE)
    assert last.refresh_expires_in == 5 * 86_400
    house.clock.now_s = opened_s + 30 * 86_400 - 100
    last = await house.sessions.refresh(last.refresh_token, HERE)
    assert (last.expires_in, last.refresh_expires_in) == (100, 100)
    house.clock.now_s += 100
    assert await reason(house.sessions.refresh(last.refresh_token, HERE)) == (
        "REFRESH_TOKEN_EXPIRED"
    )


async def test_disabled_account_gets_no_further_tokens(house: House) -> None:
    first = await signed_in(house)
    await house.pool.execute("update users set disabled_at = now()")
    assert await reason(house.sessions.refresh(first.refresh_token, HERE)) == (
        "INVALID_REFRESH_TOKEN"
    )


async def test_old_role_does_not_live_on_in_a_refreshed_token(house: House) -> None:
    first = await signed_in(house)
    await house.promote(first.user.id, "staff")
    assert await reason(house.sessions.refresh(first.refresh_token, HERE)) == (
        "INVALID_REFRESH_TOKEN"
    )


async def test_role_changed_by_hand_is_in_the_next_token(house: House) -> None:
    first = await signed_in(house)
    await house.pool.execute("update users set role = 'staff'")
    second = await house.sessions.refresh(first.refresh_token, HERE)
    assert (await principal_of(house, second)).role == "staff"


async def test_refreshes_of_one_session_are_limited_to_sixty_a_minute(house: House) -> None:
    first = await signed_in(house)
    elsewhere = await house.accounts.login(CREDENTIALS, THERE)
    for _ in range(60):
        await house.sessions.refresh(first.refresh_token, HERE)
    with pytest.raises(Refused) as caught:
        await house.sessions.refresh(first.refresh_token, THERE)
    assert caught.value.rejection.code == "RATE_LIMITED"
    assert caught.value.rejection.details == {"retry_after_s": 60}
    assert await house.sessions.refresh(elsewhere.refresh_token, HERE)


async def test_session_that_is_refreshed_too_fast_waits_and_goes_on(house: House) -> None:
    """As the throttle allows where it was set higher: no token of the grace is forgotten."""
    made = await house.accounts.register(ann(), HERE)
    await house.pool.execute(
        "update sessions set rotations = array_fill($1::timestamptz, array[$2::int])",
        datetime.fromtimestamp(house.clock.now_s, UTC),
        ROTATIONS_LIMIT,
    )
    with pytest.raises(Refused) as caught:
        await house.sessions.refresh(made.refresh_token, HERE)
    assert caught.value.rejection.code == "RATE_LIMITED"
    assert caught.value.rejection.details == {"retry_after_s": 10}
    house.clock.now_s += 11
    await house.sessions.refresh(made.refresh_token, HERE)


async def test_guesses_at_refresh_tokens_are_limited_by_address(house: House) -> None:
    for _ in range(60):
        await reason(house.sessions.refresh("x" * 86, HERE))
    assert await refusal(house.sessions.refresh("x" * 86, HERE)) == "RATE_LIMITED"
    assert await reason(house.sessions.refresh("x" * 86, THERE)) == "INVALID_REFRESH_TOKEN"


async def test_logout_ends_the_session_of_either_token(house: House) -> None:
    for by_access in (True, False):
        first = await house.accounts.register(ann(email=f"ann{by_access}@example.com"), HERE)
        principal = await principal_of(house, first)
        token = "" if by_access else first.refresh_token
        ended = await house.sessions.log_out(principal if by_access else None, token)
        assert ended.ended == 1
        assert not await house.lives(first.access_token)
        assert await reason(house.sessions.refresh(first.refresh_token, HERE)) == (
            "INVALID_REFRESH_TOKEN"
        )


async def test_logout_by_both_tokens_ends_one_session_or_two(house: House) -> None:
    first = await signed_in(house)
    principal = await principal_of(house, first)
    assert (await house.sessions.log_out(principal, first.refresh_token)).ended == 1
    assert (await house.sessions.log_out(principal, first.refresh_token)).ended == 0
    one, other = [await house.accounts.login(CREDENTIALS, HERE) for _ in range(2)]
    principal = await principal_of(house, one)
    assert (await house.sessions.log_out(principal, other.refresh_token)).ended == 2
    assert (await house.sessions.log_out(None, "")).ended == 0


async def test_logout_everywhere_ends_all_of_ones_sessions_and_nobody_elses(house: House) -> None:
    first = await signed_in(house)
    second = await house.accounts.login(CREDENTIALS, THERE)
    bob = await house.accounts.register(ann(email="bob@example.com"), HERE)
    ended = await house.sessions.log_out_everywhere(await principal_of(house, first))
    assert ended.ended == 2
    for one in (first, second):
        assert not await house.lives(one.access_token)
    assert await house.lives(bob.access_token)


async def test_sessions_are_listed_newest_first_and_ended_one_by_one(house: House) -> None:
    first = await signed_in(house)
    house.clock.now_s += 5
    second = await house.accounts.login(CREDENTIALS, THERE)
    bob = await house.accounts.register(ann(email="bob@example.com"), HERE)
    mine, his = await principal_of(house, first), await principal_of(house, bob)
    listed = await house.sessions.sessions(mine)
    assert [one.current for one in listed] == [False, True]
    assert [one.address for one in listed] == [THERE.address, HERE.address]
    assert await refusal(house.sessions.end(his, UUID(listed[0].id))) == "NOT_FOUND"
    assert (await house.sessions.end(mine, UUID(listed[0].id))).ended == 1
    assert await refusal(house.sessions.end(mine, UUID(listed[0].id))) == "NOT_FOUND"
    assert not await house.lives(second.access_token)
    assert await house.lives(first.access_token)
    assert len(await house.sessions.sessions(mine)) == 1


async def test_account_has_so_many_sessions_and_a_further_one_ends_the_oldest(
    house: House,
) -> None:
    first = await signed_in(house)
    user_id = first.user.id
    started = datetime.fromtimestamp(house.clock.now_s, UTC)
    await house.pool.executemany(
        "insert into sessions (id, user_id, created_at, expires_at)"
        " values (gen_random_uuid(), $1::text::uuid, $2, $3)",
        [
            (user_id, started + timedelta(seconds=number), started + timedelta(days=1))
            for number in range(1, SESSIONS_KEPT)
        ],
    )
    assert await house.lives(first.access_token)
    house.clock.now_s += 200
    second = await house.accounts.login(CREDENTIALS, HERE)
    assert not await house.lives(first.access_token)
    assert len(await house.sessions.sessions(await principal_of(house, second))) == SESSIONS_KEPT


async def test_expired_sessions_are_cleared_away_by_later_ones(house: House) -> None:
    await signed_in(house)
    house.clock.now_s += 7 * 86_400
    await house.accounts.login(CREDENTIALS, HERE)
    assert await house.count("sessions") == 1


async def test_ended_sessions_are_swept_after_an_hour_and_stay_ended(house: House) -> None:
    """Signing in and out again and again leaves nothing that grows."""
    made = await signed_in(house)
    for _ in range(3):
        signed = await house.accounts.login(CREDENTIALS, HERE)
        await house.sessions.log_out(None, signed.refresh_token)
    store = SessionsRepository(house.pool, no_post)
    moment = datetime.fromtimestamp(house.clock.now_s, UTC)
    assert await store.forget_ended(moment, 10) == 0
    moment += timedelta(hours=1)
    assert [await store.forget_ended(moment, 2) for _ in range(3)] == [2, 1, 0]
    assert await house.count("sessions") == 1
    assert await house.lives(made.access_token)
    assert not await house.lives(signed.access_token)
    assert await refusal(house.sessions.refresh(signed.refresh_token, HERE)) == "UNAUTHENTICATED"


async def test_session_of_an_older_build_has_no_refresh_token_and_can_be_ended(
    house: House,
) -> None:
    first = await signed_in(house)
    await house.pool.execute("update sessions set refresh_digest = null, last_used_at = null")
    assert await reason(house.sessions.refresh(first.refresh_token, HERE)) == (
        "INVALID_REFRESH_TOKEN"
    )
    (session,) = await house.sessions.sessions(await principal_of(house, first))
    assert session.last_used_at == session.created_at


@pytest.mark.parametrize(
    "meanwhile",
    [
        "update users set password_hash = 'x', password_version = password_version + 1",
        "update users set disabled_at = now()",
        "delete from users",
    ],
)
async def test_login_opens_no_session_for_an_account_that_changes_meanwhile(
    house: House, meanwhile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever knew the old password would outlive the reset otherwise."""
    await signed_in(house)
    open_session = SessionsService.open

    async def change_first(self: SessionsService, *arguments: Any) -> SignedIn | None:
        await house.pool.execute(meanwhile)
        return await open_session(self, *arguments)

    monkeypatch.setattr(SessionsService, "open", change_first)
    assert await refusal(house.accounts.login(CREDENTIALS, HERE)) == "INVALID_CREDENTIALS"


async def test_session_that_opens_while_a_password_changes_waits_and_is_refused(
    house: House,
) -> None:
    made = await signed_in(house)
    async with house.pool.acquire() as changing:
        change = changing.transaction()
        await change.start()
        await changing.execute("update users set password_version = password_version + 1")
        opening = asyncio.create_task(house.sessions.open(made.user.id, 0, HERE))
        await waits_for_a_lock(house)
        await change.commit()
    assert await opening is None


async def waits_for_a_lock(house: House) -> None:
    async with asyncio.timeout(10):
        while not await house.pool.fetchval(  # noqa: ASYNC110  # nobody tells when
            "select exists (select from pg_stat_activity where datname = current_database()"
            " and wait_event_type = 'Lock')"
        ):
            await asyncio.sleep(0)


AUDITED = "insert into audit_log (id, at, action) values (gen_random_uuid(), now(), 'something')"


@pytest.mark.parametrize(
    "change",
    ["update audit_log set action = 'nothing'", "delete from audit_log", "truncate audit_log"],
)
async def test_database_refuses_changes_of_the_audit_log(house: House, change: str) -> None:
    await house.pool.execute(AUDITED)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await house.pool.execute(change)
    assert await house.count("audit_log") == 1


@pytest.mark.parametrize("right", ["update", "delete", "truncate"])
async def test_owner_of_the_database_has_no_right_to_change_the_audit_log(
    house: House, right: str
) -> None:
    await house.pool.execute(AUDITED)
    granted = await house.pool.fetch(
        "select grantee from information_schema.role_table_grants"
        " where table_name = 'audit_log' and privilege_type = upper($1)",
        right,
    )
    assert granted == []
