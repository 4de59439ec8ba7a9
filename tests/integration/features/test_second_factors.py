"""Second factors on a real Postgres."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import msgspec
import pytest
import structlog

from cinema.app.features import SEALED_COLUMNS
from cinema.features.accounts.challenge_rules import (
    CHALLENGE_S,
    CHALLENGE_TRIES,
    CHALLENGES_KEPT,
    CHALLENGES_PER_ADDRESS,
)
from cinema.features.accounts.letters import no_post
from cinema.features.accounts.passwords import PasswordHasher
from cinema.features.accounts.shapes import (
    ChangeEmailInput,
    ChangePasswordInput,
    Client,
    DeleteInput,
    LoginInput,
)
from cinema.features.accounts.totp_rules import STEP_S, code_at
from cinema.features.accounts.totp_store import FactorsRepository
from cinema.storage.database.transactions import Pool, transaction
from cinema.storage.encryption import CannotOpen, Cipher
from cinema.storage.resealing import Resealed, reseal
from tests.integration.features.accounts_house import (
    HERE,
    THERE,
    Clock,
    House,
    ann,
    refusal,
    request_key,
)
from tests.integration.features.factors_house import (
    ENDED,
    PASSWORD,
    WRONG_CODE,
    Phone,
    answer,
    begin,
    challenged,
    details,
    enrolled,
    log_in,
    now_of,
    remove,
    spend,
    waits_for_locks,
)

pytestmark = pytest.mark.postgres


@pytest.fixture
async def house(pool: Pool) -> AsyncIterator[House]:
    hasher = PasswordHasher(10)
    yield House(pool, Clock(), hasher)
    hasher.close()


async def test_login_needs_a_code_once_an_authenticator_counts(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    principal = await house.admission.look_up(made.access_token)
    begun = await begin(house, principal)
    assert await log_in(house)
    phone = Phone(house, begun.secret)
    await house.factors.confirm(principal, phone.next_code(), HERE)
    assert await refusal(log_in(house)) == "MFA_REQUIRED"
    assert await refusal(log_in(house, phone.next_code(), "wrong")) == "INVALID_CREDENTIALS"
    assert (await log_in(house, phone.code())).user == made.user


async def test_each_code_counts_once_also_for_two_who_use_it_at_once(house: House) -> None:
    phone, _ = await enrolled(house, await house.accounts.register(ann(), HERE))
    assert await details(log_in(house, phone.code())) == WRONG_CODE
    code = phone.next_code()
    outcomes = await asyncio.gather(
        log_in(house, code), log_in(house, code), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in outcomes) == ["Refused", "SignedIn"]
    assert await details(log_in(house, phone.code(-1))) == WRONG_CODE


async def test_code_is_used_up_by_one_of_those_who_have_seen_it_unused(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    phone, _ = await enrolled(house, made)
    user_id, code = UUID(made.user.id), phone.next_code()
    async with transaction(house.pool) as first:
        assert await house.factor_store.spend(first, user_id, code, HERE, now_of(house))
        others = [asyncio.create_task(spend(house, user_id, code)) for _ in range(3)]
        await waits_for_locks(house, 3)
    assert await asyncio.gather(*others) == [False] * 3
    assert not await spend(house, user_id, phone.code(-1))


async def test_wrong_codes_count_as_failed_logins_and_a_missing_one_does_not(
    house: House,
) -> None:
    phone, _ = await enrolled(house, await house.accounts.register(ann(), HERE))
    for _ in range(5):
        assert await refusal(log_in(house)) == "MFA_REQUIRED"
    with structlog.testing.capture_logs() as events:
        for _ in range(3):
            assert await details(log_in(house, "000000")) == WRONG_CODE
    assert [event["event"] for event in events] == ["login_failed"] * 3
    assert await refusal(log_in(house, phone.next_code())) == "RATE_LIMITED"


async def test_recovery_code_stands_in_once(house: House) -> None:
    phone, codes = await enrolled(house, await house.accounts.register(ann(), HERE))
    assert await log_in(house, codes[0].lower())
    assert await details(log_in(house, codes[0])) == WRONG_CODE
    assert await log_in(house, codes[1])
    assert await log_in(house, phone.next_code())
    rows = await house.pool.fetch("select action from audit_log order by at, id")
    assert [row["action"] for row in rows] == ["second_factor_on", *["recovery_code_used"] * 2]


async def test_neither_secret_nor_recovery_codes_are_readable_in_the_database(
    house: House,
) -> None:
    made = await house.accounts.register(ann(), HERE)
    principal = await house.admission.look_up(made.access_token)
    begun = await begin(house, principal)
    secret = base64.b32decode(begun.secret)
    done = await house.factors.confirm(principal, Phone(house, begun.secret).next_code(), HERE)
    row = await house.pool.fetchrow("select *, totp_factors::text as whole from totp_factors")
    assert row is not None
    assert secret not in row["sealed"]
    for code in done.recovery_codes:
        assert code not in row["whole"]
        assert code.encode().hex() not in row["whole"]


async def test_setting_up_takes_the_password_and_a_code(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    principal = await house.admission.look_up(made.access_token)
    assert await refusal(begin(house, principal, password="wrong")) == "INVALID_CREDENTIALS"
    assert await refusal(house.factors.confirm(principal, "000000", HERE)) == "MFA_NOT_ON"
    first = await begin(house, principal)
    second = await begin(house, principal)
    assert first.secret != second.secret
    old = Phone(house, first.secret).next_code()
    assert await details(house.factors.confirm(principal, old, HERE)) == WRONG_CODE
    await house.factors.confirm(principal, Phone(house, second.secret).code(), HERE)
    assert await refusal(begin(house, principal)) == "MFA_ALREADY_ON"
    assert await refusal(house.factors.confirm(principal, old, HERE)) == "MFA_ALREADY_ON"


async def test_authenticator_is_taken_off_with_password_and_code(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    principal = await house.admission.look_up(made.access_token)
    assert await refusal(remove(house, principal, "000000")) == "MFA_NOT_ON"
    await begin(house, principal)
    assert await refusal(remove(house, principal, "000000")) == "MFA_NOT_ON"
    phone, _ = await enrolled(house, made)
    assert await details(remove(house, principal, "000000")) == WRONG_CODE
    assert await refusal(remove(house, principal, phone.next_code(), "wrong")) == (
        "INVALID_CREDENTIALS"
    )
    assert (await remove(house, principal, phone.code())).off
    assert await log_in(house)
    assert await house.count("totp_factors") == 0


async def test_guesses_at_a_code_while_taking_it_off_are_limited(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    principal = await house.admission.look_up(made.access_token)
    phone, _ = await enrolled(house, made)
    for _ in range(3):
        await refusal(remove(house, principal, "000000"))
    assert await refusal(remove(house, principal, phone.next_code())) == "RATE_LIMITED"


async def test_what_is_off_is_taken_off_once(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    _, codes = await enrolled(house, made)
    done = [
        await house.factor_store.remove(
            UUID(made.user.id), code, HERE, kept=UUID(int=0), now=now_of(house)
        )
        for code in codes[:2]
    ]
    assert done == [1, None]


async def test_other_sessions_end_when_an_authenticator_counts_and_when_it_is_taken_off(
    house: House,
) -> None:
    made = await house.accounts.register(ann(), HERE)
    stolen = await log_in(house)
    phone, codes = await enrolled(house, made)
    assert not await house.lives(stolen.access_token)
    assert await refusal(house.sessions.refresh(stolen.refresh_token, THERE)) == "UNAUTHENTICATED"
    assert await house.lives(made.access_token)
    other = await log_in(house, phone.next_code())
    await remove(house, await house.admission.look_up(made.access_token), codes[0])
    assert not await house.lives(other.access_token)
    assert await house.lives(made.access_token)
    rows = await house.pool.fetch("select action, after::text from audit_log")
    # All in one moment: their ids say nothing of their order.
    assert {tuple(row) for row in rows} == {
        ("second_factor_on", '{"ended": 1}'),
        ("recovery_code_used", "{}"),
        ("second_factor_off", '{"ended": 1}'),
    }


async def test_owner_is_told_of_each_change_and_of_a_used_recovery_code(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    house.kinds()
    _, codes = await enrolled(house, made)
    (letter,) = house.letters
    assert (letter.to, letter.payload["address"]) == (made.user.email, HERE.address)
    principal = await house.admission.look_up(made.access_token)
    await refusal(remove(house, principal, "000000"))
    await remove(house, principal, codes[0])
    assert house.kinds() == ["second_factor_on", "recovery_code_used", "second_factor_off"]
    rows = await house.pool.fetch("select address from audit_log")
    assert [row["address"] for row in rows] == [HERE.address] * 3


async def test_owner_is_told_of_a_code_that_is_used_again(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    phone, _ = await enrolled(house, made)
    code = phone.next_code()
    await log_in(house, code)
    house.kinds()
    for _ in range(2):
        assert await details(log_in(house, code)) == WRONG_CODE
    assert await details(log_in(house, "000000")) == WRONG_CODE
    first, second = house.letters
    assert first.kind == second.kind == "account_code_used_again"
    assert first.dedupe == second.dedupe
    assert (first.to, first.payload["address"]) == (made.user.email, HERE.address)
    actions = await house.pool.fetch("select action from audit_log order by at, id")
    assert [row["action"] for row in actions] == ["second_factor_on", *["code_used_again"] * 2]


@pytest.mark.parametrize("typed", ["{0[0]} {0[1]}", " {0[0]}-{0[1]} "])
async def test_code_may_be_typed_as_the_phone_shows_it(house: House, typed: str) -> None:
    phone, _ = await enrolled(house, await house.accounts.register(ann(), HERE))
    code = phone.next_code()
    await log_in(house, typed.format((code[:3], code[3:])))


async def test_login_under_way_opens_no_session_once_an_authenticator_counts(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    known = await house.accounts_store.credentials_by_id(UUID(made.user.id))
    assert known is not None
    assert await house.factors.needed(UUID(made.user.id), "", HERE) is None
    await enrolled(house, made)
    assert await house.sessions.open(made.user.id, known.password_version, THERE) is None


async def test_code_of_a_secret_that_was_replaced_meanwhile_counts_for_nothing(
    house: House,
) -> None:
    made = await house.accounts.register(ann(), HERE)
    principal = await house.admission.look_up(made.access_token)
    user_id = UUID(made.user.id)
    await begin(house, principal)
    begun = await house.factor_store.pending(user_id, now_of(house))
    assert begun is not None
    step = int(house.clock.now_s) // STEP_S

    def confirm() -> Any:
        return house.factor_store.confirm(
            user_id, begun, step, [], HERE, kept=UUID(int=0), now=now_of(house)
        )

    await begin(house, principal)
    assert await confirm() is None
    _, codes = await enrolled(house, made)
    assert await confirm() is None
    assert not await spend(house, user_id, code_at(begun.secret, int(house.clock.now_s) // STEP_S))
    await remove(house, principal, codes[0])
    await begin(house, principal)
    assert await confirm() is None
    assert not await spend(house, user_id, code_at(begun.secret, int(house.clock.now_s) // STEP_S))


async def test_challenge_becomes_one_session_for_a_code(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    phone, _ = await enrolled(house, made)
    token = await challenged(house)
    assert await details(answer(house, token, phone.code())) == WRONG_CODE
    signed = await answer(house, token, phone.next_code())
    assert signed.user == made.user
    assert await house.lives(signed.access_token)
    assert await details(answer(house, token, phone.next_code())) == ENDED
    assert await house.count("login_challenges") == 0


async def test_challenge_answered_twice_at_once_becomes_one_session(house: House) -> None:
    phone, codes = await enrolled(house, await house.accounts.register(ann(), HERE))
    token = await challenged(house)
    outcomes = await asyncio.gather(
        answer(house, token, phone.next_code()),
        answer(house, token, codes[0]),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in outcomes) == ["Refused", "SignedIn"]


async def test_challenge_that_is_used_up_meanwhile_opens_no_session(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    phone, codes = await enrolled(house, made)
    token, code = await challenged(house), phone.next_code()
    async with transaction(house.pool) as first:
        proof = house.factors.proof(UUID(made.user.id), codes[0], HERE, token=token)
        assert await proof(first) is None
        second = asyncio.create_task(details(answer(house, token, code)))
        await waits_for_locks(house, 1)
    assert await second == ENDED
    # Of the one who came too late nothing was used up.
    assert await log_in(house, code)


async def test_code_is_good_for_one_of_two_challenges(house: House) -> None:
    phone, _ = await enrolled(house, await house.accounts.register(ann(), HERE))
    tokens = [await challenged(house) for _ in range(2)]
    code = phone.next_code()
    assert await answer(house, tokens[0], code)
    assert await details(answer(house, tokens[1], code)) == WRONG_CODE


async def test_challenge_takes_no_code_of_another_account(house: House) -> None:
    phone, codes = await enrolled(house, await house.accounts.register(ann(), HERE))
    bob = await house.accounts.register(ann(email="bob@example.com"), HERE)
    await enrolled(house, bob)
    token = await challenged(house, "bob@example.com")
    for code in (phone.next_code(), codes[0]):
        assert await details(answer(house, token, code)) == WRONG_CODE
    assert await answer(house, await challenged(house), codes[0])


async def test_challenge_has_few_tries_from_however_many_addresses(house: House) -> None:
    phone, _ = await enrolled(house, await house.accounts.register(ann(), HERE))
    token = await challenged(house)
    for number in range(CHALLENGE_TRIES):
        there = Client(f"192.0.2.{10 + number}", "", "")
        assert await details(answer(house, token, "000000", there)) == WRONG_CODE
    assert await details(answer(house, token, phone.next_code(), THERE)) == ENDED
    user_id = UUID((await log_in(house, phone.code())).user.id)
    async with transaction(house.pool) as running:
        late = house.factors.proof(user_id, phone.code(), HERE, token=token)
        assert await late(running) == "CHALLENGE_ENDED"


async def test_wrong_codes_of_challenges_count_as_failed_logins(house: House) -> None:
    phone, _ = await enrolled(house, await house.accounts.register(ann(), HERE))
    with structlog.testing.capture_logs() as events:
        for _ in range(3):
            assert await details(answer(house, await challenged(house), "000000")) == WRONG_CODE
    assert [event["event"] for event in events] == ["login_failed"] * 3
    assert await refusal(log_in(house, phone.next_code())) == "RATE_LIMITED"


async def test_attempt_refused_as_one_too_many_uses_no_try_up(house: House) -> None:
    phone, _ = await enrolled(house, await house.accounts.register(ann(), HERE))
    token = await challenged(house)
    with structlog.testing.capture_logs() as events:
        for _ in range(3):
            await refusal(answer(house, token, "000000"))
        for _ in range(CHALLENGE_TRIES):
            assert await refusal(answer(house, token, phone.code())) == "RATE_LIMITED"
    assert len(events) == 3
    assert await answer(house, token, phone.next_code(), THERE)


async def test_challenge_ends_with_its_time(house: House) -> None:
    phone, _ = await enrolled(house, await house.accounts.register(ann(), HERE))
    early, late = await challenged(house), await challenged(house)
    house.clock.now_s += CHALLENGE_S - STEP_S - 1
    assert await answer(house, early, phone.next_code())
    house.clock.now_s += 1
    assert await details(answer(house, late, phone.next_code())) == ENDED
    await challenged(house)
    assert await house.count("login_challenges") == 1


async def test_clock_that_is_set_back_gives_no_code_a_second_time(house: House) -> None:
    phone, _ = await enrolled(house, await house.accounts.register(ann(), HERE))
    code = phone.next_code()
    assert await answer(house, await challenged(house), code)
    house.clock.now_s -= STEP_S
    for again in (code, phone.code()):
        assert await details(answer(house, await challenged(house), again)) == WRONG_CODE


async def test_challenge_is_void_once_the_authenticator_is_taken_off(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    phone, codes = await enrolled(house, made)
    token = await challenged(house)
    principal = await house.admission.look_up(made.access_token)
    await remove(house, principal, codes[0])
    assert await details(answer(house, token, phone.next_code())) == ENDED
    again, _ = await enrolled(house, made)
    assert await details(answer(house, token, again.next_code())) == ENDED


async def test_challenge_is_void_once_the_password_is_changed_or_the_account_disabled(
    house: House,
) -> None:
    made = await house.accounts.register(ann(), HERE)
    phone, _ = await enrolled(house, made)
    token = await challenged(house)
    principal = await house.admission.look_up(made.access_token)
    for before, after in ((PASSWORD, "battery staple"), ("battery staple", PASSWORD)):
        change = ChangePasswordInput(current_password=before, new_password=after)
        await house.credentials.change_password(principal, change, HERE)
        assert await details(answer(house, token, phone.next_code())) == ENDED
    token = await challenged(house)
    await house.pool.execute("update users set disabled_at = now()")
    assert await details(answer(house, token, phone.next_code())) == ENDED


async def test_challenges_of_an_account_are_bounded_and_the_oldest_go(house: House) -> None:
    phone, _ = await enrolled(house, await house.accounts.register(ann(), HERE))
    user_id = UUID((await log_in(house, phone.next_code())).user.id)
    version = await house.pool.fetchval("select password_version from users")
    for number in range(CHALLENGES_KEPT + 1):
        house.clock.now_s += 1
        await house.challenges.add(bytes([number] * 32), user_id, version, now_of(house))
    assert await house.count("login_challenges") == CHALLENGES_KEPT
    assert await house.challenges.find(bytes(32), now_of(house)) is None
    assert await house.challenges.find(bytes([1] * 32), now_of(house))


async def test_who_has_the_password_but_no_code_does_not_push_the_owners_login_out(
    house: House,
) -> None:
    phone, _ = await enrolled(house, await house.accounts.register(ann(), HERE))
    token = await challenged(house)
    request = LoginInput(email="ann@example.com", password=PASSWORD)
    for _ in range(CHALLENGES_PER_ADDRESS):
        assert await refusal(house.accounts.login(request, THERE)) == "MFA_REQUIRED"
    assert await refusal(house.accounts.login(request, THERE)) == "RATE_LIMITED"
    # Neither the way with the code at once nor another address waits for that.
    assert await challenged(house)
    assert await answer(house, token, phone.next_code())
    with_code = LoginInput(email="ann@example.com", password=PASSWORD, code="000000")
    assert await refusal(house.accounts.login(with_code, THERE)) == "INVALID_CREDENTIALS"
    house.clock.now_s += CHALLENGE_S
    assert await refusal(house.accounts.login(request, THERE)) == "MFA_REQUIRED"


async def test_neither_unknown_accounts_nor_wrong_passwords_get_a_challenge(house: House) -> None:
    await enrolled(house, await house.accounts.register(ann(), HERE))
    unknown = LoginInput(email="bob@example.com", password=PASSWORD)
    answers = [
        await details(log_in(house, password="wrong")),
        await details(house.accounts.login(unknown, HERE)),
    ]
    assert answers == [("INVALID_CREDENTIALS", None)] * 2
    assert await house.count("login_challenges") == 0
    assert await details(answer(house, "\ud800", "000000")) == ENDED


async def test_whoever_gives_an_account_up_keeps_it_by_a_challenge(house: House) -> None:
    phone, _ = await enrolled(house, await house.accounts.register(ann(), HERE))
    await house.pool.execute("update users set erase_at = now() + interval '1 day'")
    token = await challenged(house)
    assert await house.pool.fetchval("select erase_at from users")
    assert await answer(house, token, phone.next_code())
    assert await house.pool.fetchval("select erase_at from users") is None


async def test_token_of_a_challenge_is_not_readable_in_the_database(house: House) -> None:
    await enrolled(house, await house.accounts.register(ann(), HERE))
    token = await challenged(house)
    whole = await house.pool.fetchval("select login_challenges::text from login_challenges")
    assert token not in whole
    assert token.encode().hex() not in whole


async def test_repeated_registration_is_no_way_around_the_code(house: House) -> None:
    key = request_key(ann())
    made = await house.accounts.register(ann(), HERE, key)
    await enrolled(house, made)
    assert await refusal(house.accounts.register(ann(), HERE, key)) == "MFA_REQUIRED"


async def test_who_needs_a_second_factor_acts_as_a_customer_until_there_is_one(
    house: House,
) -> None:
    needs_it = frozenset({"staff", "manager", "admin"})
    strict, other = [House(house.pool, house.clock, house.hasher, needs_it) for _ in range(2)]
    made = await strict.accounts.register(ann(), HERE)
    cinema_id = await strict.add_cinema()
    await strict.promote(made.user.id, "staff", cinema_id)
    signed = await log_in(strict)
    for node in (strict, other):
        principal = await node.admission.look_up(signed.access_token)
        assert (principal.role, principal.cinema_ids) == ("customer", frozenset())
    phone, _ = await enrolled(strict, signed)
    await other.admission.read_changes()
    for node in (strict, other):
        principal = await node.admission.look_up(signed.access_token)
        assert (principal.role, principal.cinema_ids) == ("staff", {cinema_id.bytes})
        assert await refusal(remove(strict, principal, phone.next_code())) == "FORBIDDEN"


@pytest.mark.parametrize("role", ["staff", "admin"])
async def test_who_knows_only_the_password_of_staff_does_not_take_the_account_away(
    house: House, role: str
) -> None:
    strict = House(house.pool, house.clock, house.hasher, frozenset({"staff", "admin"}))
    made = await strict.accounts.register(ann(), HERE)
    await strict.promote(made.user.id, role)
    signed = await log_in(strict)
    principal = await strict.admission.look_up(signed.access_token)
    assert principal.role == "customer"
    change = ChangeEmailInput(email="thief@example.com", password=PASSWORD)
    leave = DeleteInput(password=PASSWORD)
    for call in (
        strict.credentials.change_email(principal, change, HERE),
        strict.profile.delete(principal, leave, HERE),
    ):
        assert await refusal(call) == "FORBIDDEN"
    assert await house.count("link_requests") == 0
    phone, _ = await enrolled(strict, signed)
    principal = await strict.admission.look_up(signed.access_token)
    await strict.credentials.change_email(principal, change, HERE)
    leaving = strict.profile.delete(
        principal, msgspec.structs.replace(leave, code=phone.next_code()), HERE
    )
    if role == "admin":
        assert await refusal(leaving) == "FORBIDDEN"
    else:
        await leaving


async def test_customers_do_without_where_staff_cannot(house: House) -> None:
    strict = House(house.pool, house.clock, house.hasher, frozenset({"staff"}))
    made = await strict.accounts.register(ann(), THERE)
    assert (await strict.admission.look_up(made.access_token)).role == "customer"


async def test_secrets_are_sealed_anew_with_the_newest_key(house: House) -> None:
    for number in range(4):
        made = await house.accounts.register(ann(email=f"ann{number}@example.com"), HERE)
        await enrolled(house, made)
    old, new = b"e" * 32, b"n" * 32
    rotated = Cipher([new, old])
    await house.pool.execute(
        "update totp_factors set sealed = 'spoilt'"
        " where user_id = (select max(id::text)::uuid from users)"
    )
    for renewed in (3, 0):
        done = await reseal(house.pool, rotated, SEALED_COLUMNS, page_rows=2)
        assert done == Resealed(renewed, 1)
    user_id = await house.pool.fetchval("select min(id::text)::uuid from users")
    with pytest.raises(CannotOpen):
        await spend(house, user_id, "000000")
    renewed = FactorsRepository(house.pool, Cipher([new]), no_post, new_id=lambda: bytes(16))
    async with transaction(house.pool) as running:
        assert not await renewed.spend(running, user_id, "000000", HERE, now_of(house))
