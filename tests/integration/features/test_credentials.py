"""Links of mails, passwords and addresses on a real Postgres: what they do, once, and for whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused, refuse
from cinema.features.accounts.link_jobs import MailPreparation
from cinema.features.accounts.link_store import LinksRepository
from cinema.features.accounts.passwords import PasswordHasher
from cinema.features.accounts.shapes import (
    ChangeEmailInput,
    ChangePasswordInput,
    LoginInput,
    ResetInput,
    SignedIn,
)
from cinema.storage.database.transactions import Pool
from tests.integration.features.accounts_house import (
    HERE,
    PUBLIC_URL,
    THERE,
    Clock,
    House,
    ann,
    refusal,
)
from tests.support import inspection

pytestmark = pytest.mark.postgres

OLD = "correct horse"
NEW = "battery staple"


@pytest.fixture
async def house(pool: Pool) -> AsyncIterator[House]:
    hasher = PasswordHasher(10)
    yield House(pool, Clock(), hasher)
    hasher.close()


async def registered(house: House, **changes: str) -> SignedIn:
    return await house.accounts.register(ann(**changes), HERE)


async def principal_of(house: House, signed: SignedIn) -> Principal:
    return await house.admission.look_up(signed.access_token)


async def log_in(house: House, password: str, email: str = "ann@example.com") -> SignedIn:
    return await house.accounts.login(LoginInput(email=email, password=password), HERE)


async def forgotten(house: House, email: str = "ann@example.com") -> str:
    """The token of a link to a new password."""
    await house.credentials.forgot_password(email, HERE)
    await house.mails.round()
    return house.link("account_password_reset")


def reset(house: House, token: str, password: str = NEW) -> Any:
    return house.credentials.reset_password(ResetInput(token=token, new_password=password), HERE)


async def test_forgotten_password_is_replaced_by_the_link_of_a_mail(house: House) -> None:
    made = await registered(house)
    token = await forgotten(house)
    assert (await reset(house, token)).ended == 1
    assert not await house.lives(made.access_token)
    assert await refusal(log_in(house, OLD)) == "INVALID_CREDENTIALS"
    again = await log_in(house, NEW)
    assert again.user.email_verified
    assert house.kinds() == ["verification", "password_reset", "password_changed"]


async def test_link_leads_to_the_configured_address_alone(house: House) -> None:
    """Public reports: links built from the Host header lead to whoever sent it."""
    await registered(house)
    await forgotten(house)
    for letter in house.letters:
        assert str(letter.payload["url"]).startswith(PUBLIC_URL)
        assert letter.to == "Ann@Example.com"


@pytest.mark.parametrize(
    "spelling", ["ANN@EXAMPLE.COM", "ann@example.com ", "Ann@Example.com", "ａｎｎ@example.com"]
)
async def test_reset_is_found_by_any_spelling_of_the_address(house: House, spelling: str) -> None:
    """Public reports: resets that tell upper from lower case."""
    await registered(house)
    assert (await reset(house, await forgotten(house, spelling))).ended == 1


async def test_forgotten_password_of_nobody_is_answered_alike_and_sends_nothing(
    house: House,
) -> None:
    await registered(house)
    house.letters.clear()
    known = await house.credentials.forgot_password("ann@example.com", HERE)
    unknown = await house.credentials.forgot_password("bob@example.com", HERE)
    assert known == unknown
    rows = await house.pool.fetch("select email_key from link_requests order by email_key")
    # Both are answered before anybody has looked whether there is an account.
    assert [row["email_key"] for row in rows] == ["ann@example.com", "bob@example.com"]
    assert house.letters == []
    await house.mails.round()
    assert house.kinds() == ["password_reset"]
    assert await house.count("link_requests") == 0
    assert await refusal(house.credentials.forgot_password("nobody", HERE)) == "VALIDATION_ERROR"


async def test_asking_takes_the_same_statements_for_every_address(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await registered(house)
    asked: dict[str, list[str]] = {}
    for email in ("ann@example.com", "bob@example.com"):
        statements = asked[email] = list[str]()
        async with house.pool.acquire() as watched:
            with (
                monkeypatch.context() as patched,
                watched.query_logger(lambda record, to=statements: to.append(record.query)),
            ):
                inspection.ask_links_through(patched, house.links, OneConnection(watched))
                await house.credentials.forgot_password(email, HERE)
    assert len(asked["ann@example.com"]) == 1
    assert asked["ann@example.com"] == asked["bob@example.com"]


class OneConnection:
    """A pool of one connection, which somebody watches."""

    def __init__(self, watched: Any) -> None:
        self._watched = watched

    async def acquire(self, **_: Any) -> Any:
        return self._watched

    async def release(self, *_: Any, **__: Any) -> None:
        return None


async def test_link_is_good_once(house: House) -> None:
    await registered(house)
    token = await forgotten(house)
    outcomes = await asyncio.gather(
        *(reset(house, token, f"{NEW} {number}") for number in range(4)), return_exceptions=True
    )
    codes = [one.rejection.code for one in outcomes if isinstance(one, Refused)]
    assert codes == ["INVALID_LINK"] * 3
    assert await refusal(reset(house, token)) == "INVALID_LINK"


async def test_link_is_good_for_its_time(house: House) -> None:
    await registered(house)
    token = await forgotten(house)
    house.clock.now_s += 3600
    assert await refusal(reset(house, token)) == "INVALID_LINK"
    house.clock.now_s -= 1
    assert (await reset(house, token)).ended == 1


async def test_link_is_good_for_its_purpose_alone(house: House) -> None:
    await registered(house)
    verification = house.link("account_verification")
    assert await refusal(reset(house, verification)) == "INVALID_LINK"
    forgot = await forgotten(house)
    use = house.credentials.use_address_link(forgot, HERE)
    assert await refusal(use) == "INVALID_LINK"
    assert await refusal(reset(house, "made-up")) == "INVALID_LINK"


async def test_refused_password_leaves_the_link_good(house: House) -> None:
    await registered(house)
    token = await forgotten(house)
    for weak in ("password1", "ann@example.com"):
        assert await refusal(reset(house, token, weak)) == "VALIDATION_ERROR"
    assert (await reset(house, token)).ended == 1


async def test_reset_voids_all_other_links_to_a_password_or_an_address(house: House) -> None:
    made = await registered(house)
    first = await forgotten(house)
    second = await forgotten(house)
    change = ChangeEmailInput(email="thief@example.com", password=OLD)
    await house.credentials.change_email(await principal_of(house, made), change, HERE)
    await house.mails.round()
    await reset(house, second)
    assert await refusal(reset(house, first)) == "INVALID_LINK"
    thiefs = house.credentials.use_address_link(house.link("account_email_change"), HERE)
    assert await refusal(thiefs) == "INVALID_LINK"


async def test_link_to_an_address_that_changed_since_is_void(house: House) -> None:
    await registered(house)
    token = await forgotten(house)
    verification = house.link("account_verification")
    await house.pool.execute("update users set email = 'b@c.de', email_key = 'b@c.de'")
    assert await refusal(reset(house, token)) == "INVALID_LINK"
    use = house.credentials.use_address_link(verification, HERE)
    assert await refusal(use) == "INVALID_LINK"


async def test_disabled_account_gets_no_mail_and_its_links_are_void(house: House) -> None:
    await registered(house)
    token = await forgotten(house)
    await house.pool.execute("update users set disabled_at = now()")
    assert await refusal(reset(house, token)) == "INVALID_LINK"
    house.letters.clear()
    await house.credentials.forgot_password("ann@example.com", HERE)
    await house.mails.round()
    assert house.kinds() == []


async def test_mails_are_limited_by_address_of_the_account_whether_or_not_there_is_one(
    house: House,
) -> None:
    """Public reports: limits that count each spelling of an address for itself."""
    await registered(house)
    for email in ("ann@example.com", "nobody@example.com"):
        for spelling in (email, email.upper(), f" {email} "):
            await house.credentials.forgot_password(spelling, HERE)
        assert await refusal(house.credentials.forgot_password(email, THERE)) == "RATE_LIMITED"
        await house.credentials.resend_verification(email, HERE)
    house.clock.now_s += 3600
    await house.credentials.forgot_password("ann@example.com", HERE)


async def test_requests_that_could_not_be_stored_do_not_count(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whoever has tried while Postgres was away would have to wait for an hour."""

    async def away(*_: Any) -> None:
        raise refuse("RETRY")

    with monkeypatch.context() as patched:
        patched.setattr(LinksRepository, "ask", away)
        for _ in range(21):
            call = house.credentials.forgot_password("ann@example.com", HERE)
            assert await refusal(call) == "RETRY"
    for _ in range(3):
        await house.credentials.forgot_password("ann@example.com", HERE)
    call = house.credentials.forgot_password("ann@example.com", HERE)
    assert await refusal(call) == "RATE_LIMITED"


async def test_mails_are_limited_by_address_of_the_client(house: House) -> None:
    for number in range(20):
        await house.credentials.forgot_password(f"ann{number}@example.com", HERE)
    assert await refusal(house.credentials.forgot_password("eve@example.com", HERE)) == (
        "RATE_LIMITED"
    )
    await house.credentials.forgot_password("eve@example.com", THERE)


async def test_nodes_that_prepare_mails_together_prepare_each_once(house: House) -> None:
    for number in range(20):
        await registered(house, email=f"ann{number}@example.com")
        await house.credentials.forgot_password(f"ann{number}@example.com", HERE)
    other = House(house.pool, house.clock, house.hasher)
    house.letters.clear()
    await asyncio.gather(*(one.mails.round() for one in (house, other, house, other)))
    sent = [letter.to for letter in (*house.letters, *other.letters)]
    assert sorted(sent) == sorted(f"ann{number}@example.com" for number in range(20))


async def test_more_requests_than_one_transaction_takes_are_prepared_in_one_round(
    house: House,
) -> None:
    await registered(house)
    await house.pool.execute(
        "insert into link_requests (id, purpose, email, email_key, requested_at)"
        " select gen_random_uuid(), 'reset', 'x@example.com', 'x@example.com', now()"
        " from generate_series(1, 45)"
    )
    await house.mails.round()
    assert await house.count("link_requests") == 0


async def test_mails_wait_while_postgres_is_away(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await registered(house)
    await house.credentials.forgot_password("ann@example.com", HERE)

    async def away(*_: Any) -> int:
        raise refuse("RETRY")

    with monkeypatch.context() as patched, structlog.testing.capture_logs() as events:
        patched.setattr(LinksRepository, "prepare", away)
        await house.mails.round()
    assert [event["event"] for event in events] == ["mails_unprepared"]
    await house.mails.round()
    assert "password_reset" in house.kinds()


async def test_job_wakes_when_somebody_asks(house: House) -> None:
    await registered(house)
    job = asyncio.create_task(house.mails.run())
    await house.credentials.forgot_password("ann@example.com", HERE)
    async with asyncio.timeout(4):
        while await house.count("link_requests"):  # noqa: ASYNC110  # nobody tells when
            await asyncio.sleep(0)
    job.cancel()


async def test_job_looks_by_itself_after_a_while(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = asyncio.Event()

    async def looked(*_: Any) -> int:
        rounds.set()
        return 0

    monkeypatch.setattr(LinksRepository, "prepare", looked)
    job = asyncio.create_task(MailPreparation(house.links, clock=house.clock, period_s=0.0).run())
    async with asyncio.timeout(10):
        await rounds.wait()
    job.cancel()


async def test_registration_sends_a_link_that_verifies_the_address(house: House) -> None:
    made = await registered(house)
    assert not (await principal_of(house, made)).verified
    other = House(house.pool, house.clock, house.hasher)
    assert not (await other.admission.look_up(made.access_token)).verified
    user = await house.credentials.use_address_link(house.link("account_verification"), HERE)
    assert user.email_verified
    assert (await principal_of(house, made)).verified
    # Other nodes remember what they have looked up, and are told.
    await other.admission.read_changes()
    assert (await other.admission.look_up(made.access_token)).verified


async def test_verification_is_sent_again_until_it_is_done(house: House) -> None:
    await registered(house)
    first = house.link("account_verification")
    await house.credentials.resend_verification("ann@example.com", HERE)
    await house.mails.round()
    second = house.link("account_verification")
    assert first != second
    assert (await house.credentials.use_address_link(first, HERE)).email_verified
    house.letters.clear()
    await house.credentials.resend_verification("ann@example.com", HERE)
    await house.mails.round()
    assert house.kinds() == []


async def test_name_is_in_no_mail_to_an_address_that_may_be_a_strangers(house: House) -> None:
    """Else a stranger gets what the sender has written as a name, from our address."""
    made = await registered(house)
    await house.credentials.resend_verification("ann@example.com", HERE)
    await house.credentials.forgot_password("ann@example.com", HERE)
    await house.mails.round()
    principal = await principal_of(house, made)
    request = ChangeEmailInput(email="eve@example.com", password=OLD)
    await house.credentials.change_email(principal, request, HERE)
    await house.mails.round()
    named = [(one.kind, one.payload["first_name"]) for one in house.letters]
    assert sorted(named) == [
        ("account_email_change", ""),
        ("account_password_reset", ""),
        *[("account_verification", "")] * 2,
    ]
    house.letters.clear()
    await house.verify(made.user.id)
    await house.credentials.forgot_password("ann@example.com", HERE)
    await house.mails.round()
    assert [one.payload["first_name"] for one in house.letters] == ["Ann"]


async def test_changes_of_the_password_are_bounded_since_each_sends_a_mail(house: House) -> None:
    made = await registered(house)
    for _ in range(3):
        await change_password(house, made, OLD, OLD)
    assert await refusal(change_password(house, made, OLD)) == "RATE_LIMITED"
    house.clock.now_s += 3600
    signed = await house.accounts.login(LoginInput(email="ann@example.com", password=OLD), HERE)
    assert await change_password(house, signed, OLD) == 1


async def change_password(house: House, signed: SignedIn, old: str, new: str = NEW) -> int:
    principal = await principal_of(house, signed)
    request = ChangePasswordInput(current_password=old, new_password=new)
    return (await house.credentials.change_password(principal, request, HERE)).ended


async def test_change_of_the_password_ends_all_other_sessions(house: House) -> None:
    made = await registered(house)
    elsewhere = await log_in(house, OLD)
    assert await change_password(house, made, OLD) == 1
    assert await house.lives(made.access_token)
    assert not await house.lives(elsewhere.access_token)
    assert await house.sessions.refresh(made.refresh_token, HERE)
    assert await refusal(log_in(house, OLD)) == "INVALID_CREDENTIALS"
    assert await log_in(house, NEW)
    assert house.kinds()[-1] == "password_changed"
    (entry,) = await house.pool.fetch("select * from audit_log")
    assert (entry["action"], entry["actor_id"]) == ("password_change", entry["target_id"])


async def test_wrong_present_password_counts_as_a_failed_login(house: House) -> None:
    made = await registered(house)
    for _ in range(3):
        assert await refusal(change_password(house, made, "wrong")) == "INVALID_CREDENTIALS"
    assert await refusal(change_password(house, made, OLD)) == "RATE_LIMITED"
    assert await refusal(log_in(house, OLD)) == "RATE_LIMITED"


async def test_weak_new_password_is_refused(house: House) -> None:
    made = await registered(house)
    assert await refusal(change_password(house, made, OLD, "ann@example.com")) == (
        "VALIDATION_ERROR"
    )
    assert await refusal(change_password(house, made, OLD, "password")) == "VALIDATION_ERROR"


async def test_of_two_changes_at_once_one_is_lost_and_says_so(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await registered(house)
    change = LinksRepository.change_password

    async def later(self: LinksRepository, *arguments: Any, **named: Any) -> int | None:
        await house.pool.execute("update users set password_version = password_version + 1")
        return await change(self, *arguments, **named)

    monkeypatch.setattr(LinksRepository, "change_password", later)
    assert await refusal(change_password(house, made, OLD)) == "INVALID_CREDENTIALS"


async def test_account_that_is_gone_has_nothing_to_change(house: House) -> None:
    made = await registered(house)
    principal = await principal_of(house, made)
    await house.pool.execute("delete from users")
    request = ChangePasswordInput(current_password=OLD, new_password=NEW)
    assert await refusal(house.credentials.change_password(principal, request, HERE)) == (
        "NOT_FOUND"
    )


async def ask_for(house: House, signed: SignedIn, email: str, password: str = OLD) -> None:
    principal = await principal_of(house, signed)
    request = ChangeEmailInput(email=email, password=password)
    await house.credentials.change_email(principal, request, HERE)
    await house.mails.round()


async def test_address_changes_with_its_link_and_can_be_changed_back(house: House) -> None:
    made = await registered(house)
    house.letters.clear()
    await ask_for(house, made, "New@Example.com")
    (letter,) = house.letters
    assert letter.to == "New@Example.com"
    assert (await log_in(house, OLD)).user.email == "Ann@Example.com"
    user = await house.credentials.use_address_link(house.link("account_email_change"), HERE)
    assert (user.email, user.email_verified) == ("New@Example.com", True)
    notice = house.letters[-1]
    assert (notice.kind, notice.to) == ("account_email_changed", "Ann@Example.com")
    assert await refusal(log_in(house, OLD)) == "INVALID_CREDENTIALS"
    thief = await log_in(house, OLD, "new@example.com")
    house.clock.now_s += 7 * 86_400 - 1
    restored = await house.credentials.use_address_link(house.link("account_email_changed"), HERE)
    assert restored.email == "Ann@Example.com"
    assert not await house.lives(thief.access_token)
    assert await refusal(house.sessions.refresh(thief.refresh_token, HERE)) == "UNAUTHENTICATED"
    # Whoever changed it knew the password: it is good no more, and there is a link to another.
    assert await refusal(log_in(house, OLD)) == "INVALID_CREDENTIALS"
    assert house.letters[-1].to == "Ann@Example.com"
    await reset(house, house.link("account_password_reset"))
    assert await log_in(house, NEW)


async def test_changes_of_password_and_address_say_when_and_by_whom(house: House) -> None:
    made = await registered(house)

    async def assert_told() -> None:
        row = await house.pool.fetchrow("select id, updated_at, updated_by from users")
        assert row is not None
        assert row["updated_by"] == row["id"]
        assert row["updated_at"] == datetime.fromtimestamp(house.clock.now_s, UTC)
        house.clock.now_s += 60

    await house.credentials.use_address_link(house.link("account_verification"), HERE)
    await assert_told()
    await change_password(house, made, OLD)
    await assert_told()
    await ask_for(house, made, "new@example.com", NEW)
    await house.credentials.use_address_link(house.link("account_email_change"), HERE)
    await assert_told()
    await house.credentials.use_address_link(house.link("account_email_changed"), HERE)
    await assert_told()
    await reset(house, await forgotten(house), "another staple")
    await assert_told()


async def test_undoing_is_possible_for_seven_days_and_once(house: House) -> None:
    made = await registered(house)
    await ask_for(house, made, "new@example.com")
    await house.credentials.use_address_link(house.link("account_email_change"), HERE)
    undo = house.link("account_email_changed")
    house.clock.now_s += 7 * 86_400
    assert await refusal(house.credentials.use_address_link(undo, HERE)) == "INVALID_LINK"
    house.clock.now_s -= 1
    await house.credentials.use_address_link(undo, HERE)
    assert await refusal(house.credentials.use_address_link(undo, HERE)) == "INVALID_LINK"


async def test_address_that_can_be_taken_back_is_nobody_elses(house: House) -> None:
    made = await registered(house)
    await ask_for(house, made, "new@example.com")
    await house.credentials.use_address_link(house.link("account_email_change"), HERE)
    assert await refusal(registered(house)) == "EMAIL_TAKEN"
    house.clock.now_s += 7 * 86_400
    assert (await registered(house)).user.email == "Ann@Example.com"


async def test_change_to_a_taken_address_is_answered_alike_and_sends_nothing(
    house: House,
) -> None:
    made = await registered(house)
    await registered(house, email="bob@example.com")
    house.letters.clear()
    await ask_for(house, made, "BOB@example.com")
    assert house.kinds() == []
    await ask_for(house, made, "new@example.com")
    token = house.link("account_email_change")
    await registered(house, email="new@example.com")
    assert await refusal(house.credentials.use_address_link(token, HERE)) == "INVALID_LINK"


async def test_address_is_not_restored_over_somebody_elses(house: House) -> None:
    made = await registered(house)
    await ask_for(house, made, "new@example.com")
    await house.credentials.use_address_link(house.link("account_email_change"), HERE)
    await registered(house, email="bob@example.com")
    await house.pool.execute(
        "update users set email_key = 'ann@example.com' where email_key = 'bob@example.com'"
    )
    undo = house.link("account_email_changed")
    assert await refusal(house.credentials.use_address_link(undo, HERE)) == "INVALID_LINK"


async def test_change_of_address_takes_the_password(house: House) -> None:
    made = await registered(house)
    assert await refusal(ask_for(house, made, "new@example.com", "wrong")) == (
        "INVALID_CREDENTIALS"
    )
    assert await refusal(ask_for(house, made, "nowhere")) == "VALIDATION_ERROR"


@pytest.mark.parametrize("gone", ["delete from users", "update users set disabled_at = now()"])
async def test_change_of_address_of_an_account_that_is_gone_does_nothing(
    house: House, gone: str
) -> None:
    made = await registered(house)
    await ask_for(house, made, "new@example.com")
    token = house.link("account_email_change")
    house.letters.clear()
    await house.pool.execute(
        "insert into link_requests (id, purpose, email, email_key, user_id, requested_at)"
        " values (gen_random_uuid(), 'email_change', 'x@example.com', 'x@example.com', $1, now())",
        made.user.id,
    )
    await house.pool.execute(gone)
    await house.mails.round()
    assert house.kinds() == []
    assert await refusal(house.credentials.use_address_link(token, HERE)) == "INVALID_LINK"


async def test_expired_links_are_deleted(house: House) -> None:
    await registered(house)
    house.clock.now_s += 86_400
    await house.mails.round()
    assert await house.count("account_links") == 0


async def test_no_token_is_in_the_database_or_the_log(house: House) -> None:
    with structlog.testing.capture_logs() as events:
        await registered(house)
        token = await forgotten(house)
        rows = await house.pool.fetch("select account_links::text as whole from account_links")
        assert all(token not in row["whole"] for row in rows)
        await reset(house, token)
    assert token not in str(events)
    audit = await house.pool.fetchval("select json_agg(audit_log)::text from audit_log")
    assert "password_reset" in audit
    assert "ann" not in audit.lower()
