"""Another phone, other recovery codes, and no phone at all any more; on a real Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import structlog

from cinema.domain.principal import Principal
from cinema.features.accounts.passwords import PasswordHasher
from cinema.features.accounts.shapes import (
    ChangePasswordInput,
    DeleteInput,
    FactorInput,
    LoginInput,
    PromoteInput,
    ResetInput,
    SignedIn,
)
from cinema.features.accounts.totp_rules import REPLACEMENT_S, STEP_S
from cinema.storage.database.transactions import Pool
from tests.integration.features.accounts_house import (
    ADMIN,
    HERE,
    THERE,
    Clock,
    House,
    ann,
    refusal,
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
)

pytestmark = pytest.mark.postgres

STAFF_AND_ABOVE = frozenset({"staff", "manager", "admin"})
NOBODY = UUID(int=1)


@pytest.fixture
async def house(pool: Pool) -> AsyncIterator[House]:
    hasher = PasswordHasher(10)
    yield House(pool, Clock(), hasher)
    hasher.close()


@pytest.fixture
async def strict(pool: Pool) -> AsyncIterator[House]:
    """Where nobody works without a second factor."""
    hasher = PasswordHasher(10)
    house = House(pool, Clock(), hasher, STAFF_AND_ABOVE)
    await house.add_admin()
    yield house
    hasher.close()


async def principal_of(house: House, signed: SignedIn) -> Principal:
    return await house.admission.look_up(signed.access_token)


async def replaced(house: House, signed: SignedIn, code: str) -> tuple[Phone, list[str]]:
    """The phone that has taken the place of the one before, with its recovery codes."""
    principal = await principal_of(house, signed)
    phone = Phone(house, (await begin(house, principal, code)).secret)
    done = await house.factors.confirm(principal, phone.next_code(), HERE)
    return phone, done.recovery_codes


def renew(house: House, principal: Principal, code: str, password: str = PASSWORD) -> Any:
    request = FactorInput(password=password, code=code)
    return house.factors.renew_recovery(principal, request, HERE)


async def test_who_needs_a_second_factor_changes_phones_and_has_one_all_the_time(
    strict: House,
) -> None:
    made = await strict.accounts.register(ann(), HERE)
    await strict.promote(made.user.id, "staff", await strict.add_cinema())
    signed = await log_in(strict)
    old, old_codes = await enrolled(strict, signed)
    principal = await principal_of(strict, signed)
    assert principal.role == "staff"
    new = Phone(strict, (await begin(strict, principal, old.next_code())).secret)
    # Until the new phone has shown a code, the old one counts, and no other.
    assert await details(log_in(strict, new.next_code())) == WRONG_CODE
    assert await log_in(strict, old.code())
    codes = (await strict.factors.confirm(principal, new.next_code(), HERE)).recovery_codes
    assert await details(log_in(strict, old.next_code())) == WRONG_CODE
    assert await details(log_in(strict, old_codes[0])) == WRONG_CODE
    other = await log_in(strict, new.code())
    assert (await principal_of(strict, other)).role == "staff"
    assert await log_in(strict, codes[0])
    assert await strict.count("totp_factors") == 1


async def test_recovery_code_stands_in_for_the_phone_that_is_replaced(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    _, codes = await enrolled(house, made)
    phone, _ = await replaced(house, made, codes[0])
    assert await log_in(house, phone.next_code())


async def test_replacement_takes_the_password_and_a_code_of_the_phone_before(
    house: House,
) -> None:
    made = await house.accounts.register(ann(), HERE)
    phone, codes = await enrolled(house, made)
    principal = await principal_of(house, made)
    assert await refusal(begin(house, principal)) == "MFA_ALREADY_ON"
    assert await details(begin(house, principal, "000000")) == WRONG_CODE
    code = phone.next_code()
    assert await refusal(begin(house, principal, code, "wrong")) == "INVALID_CREDENTIALS"
    assert await begin(house, principal, code)
    assert await details(begin(house, principal, code)) == WRONG_CODE
    await begin(house, principal, codes[0])
    assert await details(begin(house, principal, codes[0])) == WRONG_CODE


async def test_guesses_at_a_code_before_a_replacement_are_limited(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    phone, _ = await enrolled(house, made)
    principal = await principal_of(house, made)
    for _ in range(3):
        assert await details(begin(house, principal, "000000")) == WRONG_CODE
    assert await refusal(begin(house, principal, phone.next_code())) == "RATE_LIMITED"


async def test_replacement_that_is_not_verified_in_time_ends_and_the_old_phone_goes_on(
    house: House,
) -> None:
    made = await house.accounts.register(ann(), HERE)
    phone, codes = await enrolled(house, made)
    principal = await principal_of(house, made)
    late = Phone(house, (await begin(house, principal, codes[0])).secret)
    begun_at_s = house.clock.now_s
    house.clock.now_s = begun_at_s + REPLACEMENT_S
    assert await refusal(house.factors.confirm(principal, late.code(), HERE)) == "MFA_ALREADY_ON"
    assert await log_in(house, phone.code())
    house.clock.now_s = begun_at_s + REPLACEMENT_S - 1
    assert await house.factors.confirm(principal, late.code(), HERE)


async def test_second_replacement_takes_the_place_of_the_first_and_each_is_verified_once(
    house: House,
) -> None:
    made = await house.accounts.register(ann(), HERE)
    _, codes = await enrolled(house, made)
    principal = await principal_of(house, made)
    first = Phone(house, (await begin(house, principal, codes[0])).secret)
    second = Phone(house, (await begin(house, principal, codes[1])).secret)
    assert await details(house.factors.confirm(principal, first.code(), HERE)) == WRONG_CODE
    pending = await house.factor_store.pending(UUID(made.user.id), now_of(house))
    assert pending is not None
    await house.factors.confirm(principal, second.code(), HERE)
    call = house.factors.confirm(principal, second.next_code(), HERE)
    assert await refusal(call) == "MFA_ALREADY_ON"
    again = await house.factor_store.confirm(
        *(UUID(made.user.id), pending, int(house.clock.now_s) // STEP_S, [], HERE),
        kept=UUID(int=0),
        now=now_of(house),
    )
    assert again is None


async def test_code_that_verified_a_phone_counts_once(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    _, codes = await enrolled(house, made)
    phone, _ = await replaced(house, made, codes[0])
    assert await details(log_in(house, phone.code())) == WRONG_CODE
    assert await log_in(house, phone.next_code())


async def test_replacement_ends_the_other_sessions_is_noted_and_the_owner_is_told(
    house: House,
) -> None:
    made = await house.accounts.register(ann(), HERE)
    phone, codes = await enrolled(house, made)
    other = await log_in(house, phone.next_code())
    token = await challenged(house)
    house.kinds()
    new, _ = await replaced(house, made, codes[0])
    assert not await house.lives(other.access_token)
    assert await house.lives(made.access_token)
    assert await details(answer(house, token, new.next_code())) == ENDED
    (letter,) = [one for one in house.letters if one.kind.endswith("_replaced")]
    assert (letter.to, letter.payload["address"]) == (made.user.email, HERE.address)
    assert house.kinds() == ["recovery_code_used", "second_factor_replaced"]
    rows = await house.pool.fetch("select action, after::text from audit_log order by at, id")
    assert [tuple(row) for row in rows][1:] == [
        ("recovery_code_used", "{}"),
        ("second_factor_replaced", '{"ended": 1}'),
    ]


async def test_begun_replacement_ends_with_the_phone_that_it_was_to_replace(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    _, codes = await enrolled(house, made)
    principal = await principal_of(house, made)
    new = Phone(house, (await begin(house, principal, codes[0])).secret)
    await remove(house, principal, codes[1])
    assert await refusal(house.factors.confirm(principal, new.code(), HERE)) == "MFA_NOT_ON"


@pytest.mark.parametrize("how", ["change", "reset"])
@pytest.mark.parametrize("is_on", [True, False])
async def test_what_is_begun_with_a_password_ends_with_it(
    house: House, how: str, *, is_on: bool
) -> None:
    """Whoever knew the old password may have begun; a token of theirs lives on for seconds."""
    made = await house.accounts.register(ann(), HERE)
    await house.verify(made.user.id)
    principal = await principal_of(house, made)
    codes = (await enrolled(house, made))[1] if is_on else [""]
    phone = Phone(house, (await begin(house, principal, codes[0])).secret)
    if how == "change":
        change = ChangePasswordInput(current_password=PASSWORD, new_password="battery staple")
        await house.credentials.change_password(principal, change, HERE)
    else:
        await house.credentials.forgot_password("ann@example.com", HERE)
        await house.mails.round()
        reset = ResetInput(
            token=house.link("account_password_reset"), new_password="battery staple"
        )
        await house.credentials.reset_password(reset, HERE)
    verify = house.factors.confirm(principal, phone.next_code(), THERE)
    assert await refusal(verify) == ("MFA_ALREADY_ON" if is_on else "MFA_NOT_ON")


async def test_wrong_codes_while_verifying_count_as_failed_logins(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    principal = await principal_of(house, made)
    phone = Phone(house, (await begin(house, principal)).secret)
    for _ in range(3):
        assert await details(house.factors.confirm(principal, "000000", HERE)) == WRONG_CODE
    right = phone.code()
    assert await refusal(house.factors.confirm(principal, right, HERE)) == "RATE_LIMITED"
    assert await refusal(log_in(house)) == "RATE_LIMITED"
    assert await house.factors.confirm(principal, right, THERE)


async def test_there_being_nothing_to_verify_counts_for_nothing(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    principal = await principal_of(house, made)
    for _ in range(5):
        assert await refusal(house.factors.confirm(principal, "000000", HERE)) == "MFA_NOT_ON"
    await enrolled(house, made)
    for _ in range(5):
        assert await refusal(house.factors.confirm(principal, "000000", HERE)) == "MFA_ALREADY_ON"


async def test_renewed_recovery_codes_void_those_before(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    phone, old = await enrolled(house, made)
    principal = await principal_of(house, made)
    house.kinds()
    new = (await renew(house, principal, phone.next_code())).recovery_codes
    assert len(set(new) - set(old)) == len(old) == 10
    assert house.kinds() == ["recovery_codes_renewed"]
    assert await details(log_in(house, old[0])) == WRONG_CODE
    assert await log_in(house, new[0])
    assert (await renew(house, principal, new[1])).recovery_codes
    assert await details(log_in(house, new[2])) == WRONG_CODE
    # Whoever is signed in stays so.
    assert await house.lives(made.access_token)
    rows = await house.pool.fetch("select action from audit_log order by at, id")
    assert [row["action"] for row in rows].count("recovery_codes_renewed") == 2


async def test_renewing_recovery_codes_takes_the_password_and_a_code(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    principal = await principal_of(house, made)
    assert await refusal(renew(house, principal, "000000")) == "MFA_NOT_ON"
    phone, codes = await enrolled(house, made)
    assert await refusal(renew(house, principal, phone.next_code(), "wrong")) == (
        "INVALID_CREDENTIALS"
    )
    for _ in range(2):
        assert await details(renew(house, principal, "000000")) == WRONG_CODE
    assert await refusal(renew(house, principal, phone.code())) == "RATE_LIMITED"
    # What was refused has changed nothing, nor used anything up.
    assert await house.accounts.login(
        LoginInput(email="ann@example.com", password=PASSWORD, code=codes[0]), THERE
    )


async def test_admin_lets_somebody_in_who_has_lost_phone_and_codes(strict: House) -> None:
    made = await strict.accounts.register(ann(), HERE)
    user_id = UUID(made.user.id)
    await strict.promote(made.user.id, "staff", await strict.add_cinema())
    signed = await log_in(strict)
    phone, codes = await enrolled(strict, signed)
    token = await challenged(strict)
    assert (await strict.users.user(user_id)).mfa_on
    strict.kinds()
    other = House(strict.pool, strict.clock, strict.hasher, STAFF_AND_ABOVE)
    assert await other.lives(signed.access_token)

    reset = await strict.users.reset_factor(ADMIN, user_id, THERE)
    assert not reset.mfa_on
    for node in (strict, other):
        assert not await node.lives(signed.access_token)
    assert await details(answer(strict, token, codes[0])) == ENDED
    again = await log_in(strict)
    # The role demands a factor: its rights come back with the next one.
    assert (await principal_of(strict, again)).role == "customer"
    await enrolled(strict, again)
    assert (await principal_of(strict, again)).role == "staff"
    assert await details(log_in(strict, codes[0])) == WRONG_CODE
    assert await details(log_in(strict, phone.next_code())) == WRONG_CODE


async def test_reset_is_noted_and_told_without_the_address_of_the_admin(strict: House) -> None:
    made = await strict.accounts.register(ann(), HERE)
    await enrolled(strict, made)
    await strict.users.reset_factor(ADMIN, UUID(made.user.id), THERE)
    letter = strict.letters[-1]
    assert (letter.kind, letter.to) == ("account_second_factor_reset", made.user.email)
    assert set(letter.payload) == {"first_name", "at"}
    row = await strict.pool.fetchrow("select * from audit_log where action = 'second_factor_reset'")
    assert row is not None
    assert (row["actor_id"].bytes, str(row["target_id"])) == (ADMIN.user_id, made.user.id)
    assert (row["address"], row["request_id"]) == (THERE.address, THERE.request_id)
    assert row["after"] == '{"ended": 1}'


async def test_nobody_resets_their_own_second_factor_nor_one_that_is_not_there(
    strict: House,
) -> None:
    own = UUID(bytes=ADMIN.user_id)
    assert await refusal(strict.users.reset_factor(ADMIN, own, HERE)) == "FORBIDDEN"
    assert await refusal(strict.users.reset_factor(ADMIN, NOBODY, HERE)) == "NOT_FOUND"
    made = await strict.accounts.register(ann(), HERE)
    user_id = UUID(made.user.id)
    principal = await principal_of(strict, made)
    assert await refusal(strict.users.reset_factor(ADMIN, user_id, HERE)) == "MFA_NOT_ON"
    await begin(strict, principal)
    assert await refusal(strict.users.reset_factor(ADMIN, user_id, HERE)) == "MFA_NOT_ON"
    assert await strict.lives(made.access_token)


async def test_who_is_an_admin_no_more_resets_nothing(strict: House) -> None:
    made = await strict.accounts.register(ann(), HERE)
    await enrolled(strict, made)
    fallen = Principal(b"o" * 16, "admin", b"o" * 16, 0.0)
    await strict.add_admin(fallen)
    await strict.users.promote(
        ADMIN, UUID(bytes=fallen.user_id), PromoteInput(role="customer"), HERE
    )
    call = strict.users.reset_factor(fallen, UUID(made.user.id), HERE)
    assert await refusal(call) == "FORBIDDEN"
    assert await strict.count("totp_factors") == 1


async def test_unknown_challenges_are_throttled_by_address_and_good_ones_are_not(
    house: House,
) -> None:
    phone, _ = await enrolled(house, await house.accounts.register(ann(), HERE))
    token = await challenged(house)
    with structlog.testing.capture_logs() as events:
        for _ in range(100):
            assert await details(answer(house, "nobody's", "000000", THERE)) == ENDED
    assert events == []
    assert await refusal(answer(house, "nobody's", "000000", THERE)) == "RATE_LIMITED"
    assert await refusal(answer(house, token, phone.next_code(), THERE)) == "RATE_LIMITED"
    assert await answer(house, token, phone.code())


async def test_attempt_that_could_not_be_answered_uses_nothing_up(house: House) -> None:
    """Neither a try, nor the code, nor the challenge: RETRY has no effect."""
    made = await house.accounts.register(ann(), HERE)
    phone, codes = await enrolled(house, made)
    token, code = await challenged(house), phone.next_code()
    principal = await principal_of(house, made)
    before = await whole(house)
    await house.pool.execute(
        "create function away() returns trigger language plpgsql as"
        " $$ begin raise exception 'too many' using errcode = '53300'; end $$"
    )
    for table, calls in {
        "sessions": (
            lambda: log_in(house, code),
            lambda: log_in(house, codes[0]),
            lambda: answer(house, token, code),
            lambda: answer(house, token, codes[0]),
            lambda: remove(house, principal, codes[0]),
        ),
        "totp_factors": (
            lambda: begin(house, principal, codes[0]),
            lambda: renew(house, principal, codes[0]),
            lambda: answer(house, token, code),
        ),
    }.items():
        await house.pool.execute(
            f"create trigger away after insert or update or delete on {table}"
            " for each statement execute function away()"
        )
        for call in calls:
            assert await refusal(call()) == "RETRY"
        await house.pool.execute(f"drop trigger away on {table}")
    assert await whole(house) == before
    assert await answer(house, token, code)


async def whole(house: House) -> list[Any]:
    """What might have been used up."""
    return [
        await house.pool.fetch(f"select * from {table}")
        for table in ("totp_factors", "login_challenges", "audit_log")
    ]


async def test_account_is_given_up_with_a_right_code_alone(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    _, codes = await enrolled(house, made)
    principal = await principal_of(house, made)

    def give_up(code: str) -> Any:
        return house.profile.delete(principal, DeleteInput(password=PASSWORD, code=code), HERE)

    assert await refusal(give_up("")) == "MFA_REQUIRED"
    assert await details(give_up("000000")) == WRONG_CODE
    assert await house.lives(made.access_token)
    assert await give_up(codes[0])
    assert not await house.lives(made.access_token)


async def test_proof_for_another_version_of_the_password_is_not_looked_at(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    _, codes = await enrolled(house, made)
    proof = house.factors.proof(UUID(made.user.id), codes[0], HERE)
    assert await house.sessions.open(made.user.id, 99, HERE, proof) is None
    assert await log_in(house, codes[0])
