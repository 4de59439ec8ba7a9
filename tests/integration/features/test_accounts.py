import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import bcrypt
import pytest
import structlog

from cinema.domain.ids import new_id
from cinema.domain.limits_catalog import ACCOUNT_CHANGES_PAGE
from cinema.domain.principal import InvalidToken
from cinema.domain.rejections import Refused, refuse
from cinema.features.accounts.changes_store import AccountStandings
from cinema.features.accounts.login_addresses_store import LoginAddresses
from cinema.features.accounts.passwords import PasswordHasher
from cinema.features.accounts.shapes import LoginInput, RegisterInput
from cinema.features.accounts.signing_keys import SigningKeys
from cinema.features.accounts.throttles import account_digest, pair_digest
from cinema.features.accounts.tokens import TokenIssuer
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
    request_key,
)

pytestmark = pytest.mark.postgres


@pytest.fixture
async def house(pool: Pool) -> AsyncIterator[House]:
    hasher = PasswordHasher(10)
    yield House(pool, Clock(), hasher)
    hasher.close()


async def test_registered_customer_is_signed_in_and_can_log_in(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    assert (made.user.email, made.user.role, made.expires_in) == (
        "Ann@Example.com",
        "customer",
        TTL_S,
    )
    principal = await house.admission.look_up(made.access_token)
    assert await house.accounts.me(principal) == made.user
    again = await house.accounts.login(
        LoginInput(email="ann@EXAMPLE.com", password="correct horse"), HERE
    )
    assert again.user == made.user
    assert (await house.admission.look_up(again.access_token)).session_id != principal.session_id


async def test_address_of_a_registration_is_known_as_that_of_a_login_is(house: House) -> None:
    """Else guesses from everywhere could lock a new customer out, who has not signed in again."""
    await house.accounts.register(ann(), HERE)
    account = account_digest("ann@example.com")
    pair, now = pair_digest(account, HERE.address), datetime.fromtimestamp(house.clock.now_s, UTC)
    assert await LoginAddresses(house.pool).knows(account, pair, now)


async def test_second_account_on_one_email_is_refused_whatever_its_case(house: House) -> None:
    await house.accounts.register(ann(), HERE)
    assert (
        await refusal(house.accounts.register(ann(email="ANN@example.COM"), HERE)) == "EMAIL_TAKEN"
    )


async def test_of_concurrent_registrations_of_one_email_one_succeeds(house: House) -> None:
    results = await asyncio.gather(
        *(house.accounts.register(ann(first_name=f"Ann {n}"), HERE) for n in range(6)),
        return_exceptions=True,
    )
    codes = [one.rejection.code for one in results if isinstance(one, Refused)]
    assert codes == ["EMAIL_TAKEN"] * 5
    assert await house.count("users") == 1


async def test_what_is_no_email_is_refused(house: House) -> None:
    assert await refusal(house.accounts.register(ann(email="ann"), HERE)) == "VALIDATION_ERROR"


async def test_nul_character_is_refused_and_not_an_error(house: House) -> None:
    assert (
        await refusal(house.accounts.register(ann(first_name="A\x00"), HERE)) == "VALIDATION_ERROR"
    )


async def test_repeated_registration_signs_the_same_customer_in_again(house: House) -> None:
    key = request_key(ann())
    first = await house.accounts.register(ann(), HERE, key)
    second = await house.accounts.register(ann(), HERE, key)
    assert second.user == first.user
    assert (await house.admission.look_up(second.access_token)).user_id == raw(first.user.id)
    assert await house.count("users") == 1


async def test_concurrent_repeats_of_a_registration_make_one_account(house: House) -> None:
    key = request_key(ann())
    made = await asyncio.gather(*(house.accounts.register(ann(), HERE, key) for _ in range(4)))
    assert len({one.user.id for one in made}) == 1
    assert await house.count("users") == 1


@pytest.mark.parametrize(
    "other", [ann(email="bob@example.com"), ann(first_name="Bob"), ann(password="another horse")]
)
async def test_other_registration_under_the_key_is_a_mismatch(
    house: House, other: RegisterInput
) -> None:
    await house.accounts.register(ann(), HERE, request_key(ann()))
    assert await refusal(house.accounts.register(other, HERE, request_key(other))) == (
        "IDEMPOTENCY_MISMATCH"
    )
    assert await house.count("users") == 1


async def test_fingerprint_in_the_database_does_not_depend_on_the_password(house: House) -> None:
    await house.accounts.register(ann(), HERE, request_key(ann()))
    one = await house.pool.fetchval("select fingerprint from idempotent_requests")
    await house.pool.execute("delete from idempotent_requests; delete from users cascade")
    other = ann(password="another horse")
    await house.accounts.register(other, HERE, request_key(other))
    assert await house.pool.fetchval("select fingerprint from idempotent_requests") == one


async def test_refused_registration_leaves_its_key_free(house: House) -> None:
    await house.accounts.register(ann(), HERE)
    key = request_key(ann())
    assert await refusal(house.accounts.register(ann(), HERE, key)) == "EMAIL_TAKEN"
    assert await house.count("idempotent_requests") == 0


async def test_key_is_free_again_after_its_time_and_expired_ones_are_cleared(house: House) -> None:
    await house.accounts.register(ann(), HERE, request_key(ann()))
    house.clock.now_s += 24 * 3600 + 1
    bob = ann(email="bob@example.com")
    made = await house.accounts.register(bob, HERE, request_key(bob))
    assert made.user.email == "bob@example.com"
    house.clock.now_s += 24 * 3600 + 1
    eve = ann(email="eve@example.com")
    await house.accounts.register(eve, HERE, request_key(eve, "other"))
    assert await house.count("idempotent_requests") == 1


async def test_wrong_password_and_unknown_email_are_refused_alike(house: House) -> None:
    await house.accounts.register(ann(), HERE)
    for email, password in (
        ("ann@example.com", "wrong horse"),
        ("bob@example.com", "correct horse"),
        ("not an address", "correct horse"),
    ):
        request = LoginInput(email=email, password=password)
        assert await refusal(house.accounts.login(request, HERE)) == "INVALID_CREDENTIALS"


async def test_guessing_is_limited_per_email_and_address(house: House) -> None:
    await house.accounts.register(ann(), HERE)
    wrong = LoginInput(email="ann@example.com", password="wrong horse")
    right = LoginInput(email="Ann@example.com", password="correct horse")
    for _ in range(3):
        await refusal(house.accounts.login(wrong, HERE))
    with pytest.raises(Refused) as caught:
        await house.accounts.login(right, HERE)
    assert caught.value.rejection.code == "RATE_LIMITED"
    assert caught.value.rejection.details == {"retry_after_s": 300}
    assert (await house.accounts.login(right, THERE)).user.email == "Ann@Example.com"
    house.clock.now_s += 300
    await house.accounts.login(right, HERE)


async def test_promotion_ends_the_tokens_there_are_and_the_next_has_the_role(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    assert await house.lives(made.access_token)
    promoted = await house.promote(made.user.id, "staff")
    assert promoted.role == "staff"
    assert house.admission.verify(made.access_token) is None
    with pytest.raises(InvalidToken):
        await house.admission.look_up(made.access_token)
    login = LoginInput(email="ann@example.com", password="correct horse")
    again = await house.accounts.login(login, HERE)
    assert (await house.admission.look_up(again.access_token)).role == "staff"


async def test_revocations_outlive_the_process(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    await house.promote(made.user.id, "staff")
    assert not await House(house.pool, house.clock, house.hasher).lives(made.access_token)


REVOKING = {
    "demotion": "update users set role = 'staff' where id = $1::text::uuid",
    "disabling": "update users set disabled_at = now() where id = $1::text::uuid",
    "deletion": "delete from users where id = $1::text::uuid",
    "end of the session": "update sessions set revoked_at = now() where user_id = $1::text::uuid",
    "loss of the session": "delete from sessions where user_id = $1::text::uuid",
}


@pytest.mark.parametrize("how", REVOKING)
async def test_whoever_changes_an_account_in_the_database_all_nodes_learn_it(
    house: House, how: str
) -> None:
    house.clock.now_s = time.time()
    made = await house.accounts.register(ann(), HERE)
    bob = await house.accounts.register(ann(email="bob@example.com"), HERE)
    assert await house.lives(made.access_token)
    assert await house.lives(bob.access_token)
    await house.pool.execute(REVOKING[how], made.user.id)
    assert not await house.lives(made.access_token)
    assert house.admission.verify(bob.access_token) is not None


async def test_account_that_is_enabled_again_may_act_again(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    await house.pool.execute("update users set disabled_at = now()")
    assert not await house.lives(made.access_token)
    await house.pool.execute("update users set disabled_at = null")
    assert await house.lives(made.access_token)


async def test_disabled_account_cannot_sign_in_and_does_not_say_why(house: House) -> None:
    await house.accounts.register(ann(), HERE)
    await house.pool.execute("update users set disabled_at = now()")
    request = LoginInput(email="ann@example.com", password="correct horse")
    assert await refusal(house.accounts.login(request, HERE)) == "INVALID_CREDENTIALS"


async def test_signed_token_of_nobody_is_refused(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    issuer = TokenIssuer(SigningKeys([KEY]), ttl_s=TTL_S, clock=house.clock)
    (session_id,) = [
        raw(str(row["id"])) for row in await house.pool.fetch("select id from sessions")
    ]
    nobody = new_id(1, 9)
    for user_id, session in ((nobody, nobody), (nobody, session_id), (raw(made.user.id), nobody)):
        token = issuer.issue(user_id=user_id, role="customer", session_id=session)
        assert not await house.lives(token.text)


async def test_one_statement_tells_accounts_apart(house: House) -> None:
    made = [await house.accounts.register(ann(email=f"{one}@example.com"), HERE) for one in "abcd"]
    await house.pool.execute("update users set disabled_at = now() where email = 'b@example.com'")
    rows = await house.pool.fetch("select user_id, id from sessions")
    sessions = {str(row["user_id"]): row["id"].bytes for row in rows}
    holders = [(raw(one.user.id), sessions[one.user.id]) for one in made]
    a, b, c, d = holders
    await house.pool.execute(
        "update sessions set revoked_at = now() where id = $1", UUID(bytes=c[1])
    )
    standings = await AccountStandings(house.pool, house.pool).standings(
        [*holders, (a[0], d[1]), (new_id(1, 9), d[1])]
    )
    assert {one: standing.disabled for one, standing in standings.items()} == {
        a: False,
        b: True,
        d: False,
    }


async def test_change_that_commits_late_is_learnt_by_who_looked_in_between(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    bob = await house.accounts.register(ann(email="bob@example.com"), HERE)
    async with house.pool.acquire() as slow:
        late = slow.transaction()
        await late.start()
        await slow.execute(
            "update users set disabled_at = now() where id = $1::text::uuid", made.user.id
        )
        await house.pool.execute(
            "update users set disabled_at = now() where id = $1::text::uuid", bob.user.id
        )
        assert await house.lives(made.access_token)
        assert not await house.lives(bob.access_token)
        await late.commit()
    assert not await house.lives(made.access_token)


async def test_after_a_failed_look_the_time_counts_too(house: House) -> None:
    """As on a standby that was promoted, whose transactions may have the numbers of lost ones."""
    house.clock.now_s = time.time()
    made = await house.accounts.register(ann(), HERE)
    assert await house.lives(made.access_token)
    await house.pool.execute("update users set disabled_at = now()")
    far = await AccountStandings(house.pool, house.pool).changes(None, 0.0)
    assert far.user_ids == frozenset()
    ahead = str(int(far.horizon) + 1000)
    standings = AccountStandings(house.pool, house.pool)
    assert (await standings.changes(ahead, 0.0)).user_ids == frozenset()
    assert (await standings.changes(ahead, 60.0)).user_ids == {raw(made.user.id)}


async def test_old_changes_are_deleted(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    await house.pool.execute("update users set disabled_at = now()")
    standings = AccountStandings(house.pool, house.pool)
    await standings.forget_changes(3600)
    assert await house.count("account_changes") == 1
    await house.pool.execute("update account_changes set changed_at = now() - interval '2 hours'")
    await standings.forget_changes(3600)
    assert await house.count("account_changes") == 0
    assert made.user.id


async def test_a_full_page_of_old_changes_says_that_there_may_be_more(house: House) -> None:
    await house.pool.execute(
        "insert into account_changes (user_id, changed_at) "
        "select gen_random_uuid(), now() - interval '2 hours' from generate_series(1, $1::int)",
        ACCOUNT_CHANGES_PAGE + 1,
    )
    standings = AccountStandings(house.pool, house.pool)
    assert await standings.forget_changes(3600)
    assert await house.count("account_changes") == 1
    assert not await standings.forget_changes(3600)
    assert await house.count("account_changes") == 0


async def test_repetition_with_a_wrong_password_spoils_the_key_and_counts_as_a_guess(
    house: House,
) -> None:
    await house.accounts.register(ann(), HERE, request_key(ann()))
    guess = ann(password="another horse")
    for request in (guess, ann(), guess, ann()):
        call = house.accounts.register(request, THERE, request_key(request))
        assert await refusal(call) == "IDEMPOTENCY_MISMATCH"
    assert house.accounts.logins == {"succeeded": 0, "failed": 1}
    login = LoginInput(email="ann@example.com", password="correct horse")
    assert (await house.accounts.login(login, HERE)).user.email == "Ann@Example.com"


@pytest.mark.parametrize("password", ["password1", "ANN@example.com"])
async def test_weak_password_is_refused(house: House, password: str) -> None:
    call = house.accounts.register(ann(password=password), HERE)
    assert await refusal(call) == "VALIDATION_ERROR"
    assert await house.count("users") == 0


async def test_failed_login_leaves_address_and_a_keyed_hash_of_the_account(house: House) -> None:
    await house.accounts.register(ann(), HERE)
    emails = ("ann@example.com", "ANN@Example.com", "bob@example.com", "not an address")
    with structlog.testing.capture_logs() as events:
        for email in emails:
            wrong = LoginInput(email=email, password="wrong horse")
            await refusal(house.accounts.login(wrong, HERE))
    lines = [event for event in events if event["event"] == "login_failed"]
    assert {line["address"] for line in lines} == {"192.0.2.1"}
    accounts = [line["account"] for line in lines]
    assert accounts[0] == accounts[1]
    assert len(set(accounts)) == 3
    assert "example" not in str(lines)
    assert house.accounts.logins["failed"] == 4


@pytest.fixture
async def dearer(pool: Pool, house: House) -> AsyncIterator[House]:
    """The same database, served at a higher cost of hashes."""
    hasher = PasswordHasher(11)
    yield House(pool, house.clock, hasher)
    hasher.close()


async def hash_of(house: House, email: str) -> str:
    stored = await house.pool.fetchval(
        "select password_hash from users where email_key = $1", email.lower()
    )
    return str(stored)


CREDENTIALS = LoginInput(email="ann@example.com", password="correct horse")
WRONG = LoginInput(email="ann@example.com", password="wrong horse")


async def test_login_after_a_change_of_cost_hashes_the_password_again_once(
    house: House, dearer: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.accounts.register(ann(), HERE)
    old = await hash_of(house, "ann@example.com")
    assert await refusal(dearer.accounts.login(WRONG, HERE)) == "INVALID_CREDENTIALS"
    assert await hash_of(house, "ann@example.com") == old
    await dearer.accounts.login(CREDENTIALS, HERE)
    renewed = await hash_of(house, "ann@example.com")
    assert (old[:7], renewed[:7]) == ("$2b$10$", "$2b$11$")
    made: list[bytes] = []
    hashpw = bcrypt.hashpw

    def make(password: bytes, salt: bytes) -> bytes:
        made.append(salt)
        return hashpw(password, salt)

    monkeypatch.setattr(bcrypt, "hashpw", make)
    await dearer.accounts.login(CREDENTIALS, HERE)
    assert made == []
    assert await hash_of(house, "ann@example.com") == renewed


async def test_logins_at_once_leave_one_new_hash_and_all_succeed(
    house: House, dearer: House
) -> None:
    await house.accounts.register(ann(), HERE)
    signed_in = await asyncio.gather(*(dearer.accounts.login(CREDENTIALS, HERE) for _ in range(3)))
    assert len({one.access_token for one in signed_in}) == 3
    assert (await hash_of(house, "ann@example.com")).startswith("$2b$11$")
    await dearer.accounts.login(CREDENTIALS, HERE)


async def test_password_that_changed_during_a_login_is_not_overwritten(
    house: House, dearer: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.accounts.register(ann(), HERE)
    changed = await house.hasher.hash("another horse", HERE.address)
    hash_again = dearer.hasher.hash

    async def change_first(password: str, address: str, _: object) -> str:
        await house.pool.execute("update users set password_hash = $1", changed)
        return await hash_again(password, address)

    monkeypatch.setattr(dearer.hasher, "hash", change_first)
    await dearer.accounts.login(CREDENTIALS, HERE)
    assert await hash_of(house, "ann@example.com") == changed


async def test_no_room_to_hash_again_keeps_nobody_out(
    house: House, dearer: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.accounts.register(ann(), HERE)
    old = await hash_of(house, "ann@example.com")

    async def no_room(*_: object) -> str:
        raise refuse("OVERLOADED", retry_after_s=2)

    monkeypatch.setattr(dearer.hasher, "hash", no_room)
    await dearer.accounts.login(CREDENTIALS, HERE)
    assert await hash_of(house, "ann@example.com") == old
