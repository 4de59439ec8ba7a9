"""One's own account on a real Postgres: changed, given up, taken back, erased."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused
from cinema.features.accounts.passwords import PasswordHasher
from cinema.features.accounts.session_store import Unproven
from cinema.features.accounts.shapes import DeleteInput, LoginInput, ProfilePatch, SignedIn
from cinema.storage.database.transactions import Pool, PooledConnection
from tests.integration.features.accounts_house import (
    ADMIN,
    HERE,
    THERE,
    Clock,
    House,
    ann,
    refusal,
    request_key,
)

pytestmark = pytest.mark.postgres

LOGIN = LoginInput(email="ann@example.com", password="correct horse")
DAYS_7 = 7 * 86_400


@pytest.fixture
async def house(pool: Pool) -> AsyncIterator[House]:
    hasher = PasswordHasher(10)
    yield House(pool, Clock(), hasher)
    hasher.close()


async def principal_of(house: House, signed: SignedIn) -> Principal:
    return await house.admission.look_up(signed.access_token)


def now_of(house: House) -> datetime:
    return datetime.fromtimestamp(house.clock.now_s, UTC)


async def give_up(house: House, signed: SignedIn, **request: str) -> Any:
    body = DeleteInput(**{"password": "correct horse", **request})
    return await house.profile.delete(await principal_of(house, signed), body, THERE)


async def test_name_and_language_change_and_what_is_left_out_stays(house: House) -> None:
    made = await house.accounts.register(ann(last_name="Lee"), HERE)
    principal = await principal_of(house, made)
    changed = await house.profile.change(principal, ProfilePatch(first_name=" Anna "))
    assert (changed.first_name, changed.last_name) == ("Anna", "Lee")
    changed = await house.profile.change(principal, ProfilePatch(last_name="", language="de"))
    assert (changed.first_name, changed.last_name) == ("Anna", "")
    row = await house.pool.fetchrow("select language, updated_by, id from users")
    assert row is not None
    assert (row["language"], row["updated_by"]) == ("de", row["id"])


async def test_account_that_is_gone_has_no_name_to_change(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    principal = await principal_of(house, made)
    await house.pool.execute("delete from users")
    assert await refusal(house.profile.change(principal, ProfilePatch())) == "NOT_FOUND"
    assert await refusal(house.profile.delete(principal, DeleteInput(password="x"), HERE)) == (
        "NOT_FOUND"
    )


async def test_given_up_account_ends_its_sessions_and_is_erased_after_seven_days(
    house: House,
) -> None:
    made = await house.accounts.register(ann(last_name="Lee"), HERE)
    await house.accounts.login(LOGIN, THERE)
    deletion = await give_up(house, made)
    assert deletion.erase_at == now_of(house) + timedelta(days=7)
    assert not await house.lives(made.access_token)
    letter = house.letters[-1]
    assert (letter.kind, letter.payload["at"]) == (
        *("account_deletion_scheduled", deletion.erase_at),
    )
    assert await house.erasure.erase_due(now_of(house) + timedelta(days=6), 10) == 0
    assert await house.erasure.erase_due(now_of(house) + timedelta(days=7), 10) == 1
    whole = await house.pool.fetchval("select users::text from users")
    for personal in ("ann", "lee", "$2b$"):
        assert personal not in whole.lower()
    row = await house.pool.fetchrow("select deleted_at, deleted_by, id, erase_at from users")
    assert row is not None
    assert row["deleted_at"] is not None
    assert (row["deleted_by"], row["erase_at"]) == (row["id"], None)
    for table in ("sessions", "account_links", "link_requests", "totp_factors", "login_addresses"):
        assert await house.count(table) == 0, table
    assert await refusal(house.accounts.login(LOGIN, HERE)) == "INVALID_CREDENTIALS"
    actions = await house.pool.fetch("select action from audit_log order by at, id")
    assert [one["action"] for one in actions] == ["erasure_scheduled", "erased"]


async def test_address_of_an_erased_account_is_free_again(house: House) -> None:
    await give_up(house, await house.accounts.register(ann(), HERE))
    await house.erasure.erase_due(now_of(house) + timedelta(days=7), 10)
    again = await house.accounts.register(ann(), HERE)
    await give_up(house, again)
    assert await house.erasure.erase_due(now_of(house) + timedelta(days=7), 10) == 1
    assert await house.count("users") == 2


async def test_signing_in_before_keeps_the_account(house: House) -> None:
    await give_up(house, await house.accounts.register(ann(), HERE))
    house.clock.now_s += DAYS_7 - 1
    again = await house.accounts.login(LOGIN, HERE)
    assert await house.lives(again.access_token)
    assert await house.erasure.erase_due(now_of(house) + timedelta(days=99), 10) == 0
    actions = await house.pool.fetch("select action from audit_log order by at, id")
    assert [one["action"] for one in actions] == ["erasure_scheduled", "erasure_withdrawn"]


async def test_each_session_that_opens_keeps_the_account(house: House) -> None:
    """Also that of a login that had looked at the account before it was given up."""
    made = await house.accounts.register(ann(), HERE)
    await give_up(house, made)
    assert await house.sessions.open(UUID(made.user.id), 0, HERE)
    assert await house.erasure.erase_due(now_of(house) + timedelta(days=99), 10) == 0


async def test_repeated_registration_keeps_the_account_as_a_login_does(house: House) -> None:
    key = request_key(ann())
    await give_up(house, await house.accounts.register(ann(), HERE, key))
    again = await house.accounts.register(ann(), HERE, key)
    assert await house.lives(again.access_token)
    assert await house.erasure.erase_due(now_of(house) + timedelta(days=99), 10) == 0


async def test_session_that_does_not_open_keeps_nothing(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    await give_up(house, made)

    async def wrong_code(_: PooledConnection) -> str:
        return "INVALID_CODE"

    user_id = UUID(made.user.id)
    assert await house.sessions.open(user_id, 0, HERE, wrong_code) == Unproven("INVALID_CODE")
    assert await house.sessions.open(user_id, 1, HERE) is None
    assert await house.erasure.erase_due(now_of(house) + timedelta(days=7), 10) == 1


async def test_signing_in_twice_at_once_withdraws_once(house: House) -> None:
    await give_up(house, await house.accounts.register(ann(), HERE))
    both = await asyncio.gather(*(house.accounts.login(LOGIN, HERE) for _ in range(2)))
    assert len({one.refresh_token for one in both}) == 2
    actions = await house.pool.fetch("select action from audit_log order by at, id")
    assert [one["action"] for one in actions] == ["erasure_scheduled", "erasure_withdrawn"]


async def test_giving_up_takes_the_password(house: House) -> None:
    made = await house.accounts.register(ann(), HERE)
    assert await refusal(give_up(house, made, password="wrong")) == "INVALID_CREDENTIALS"
    assert await house.lives(made.access_token)


async def test_admins_do_not_give_up_what_somebody_has_to_do(house: House) -> None:
    await house.add_admin()
    request = DeleteInput(password="x")
    assert await refusal(house.profile.delete(ADMIN, request, HERE)) == "FORBIDDEN"


async def test_account_that_goes_while_it_is_given_up_is_not_found(house: House) -> None:
    later = now_of(house)
    assert await house.erasure.schedule(uuid4(), later, HERE, later) is None


async def test_nodes_that_erase_together_erase_each_once(house: House) -> None:
    for number in range(6):
        email = f"ann{number}@example.com"
        await give_up(house, await house.accounts.register(ann(email=email), HERE))
    due = now_of(house) + timedelta(days=7)
    counts = await asyncio.gather(*(house.erasure.erase_due(due, 10) for _ in range(3)))
    assert sum(counts) == 6
    erased = await house.pool.fetchval("select count(*) from audit_log where action = 'erased'")
    assert erased == 6


async def booked_once(house: House, user_id: UUID, booking: str, payment: str) -> UUID:
    """A booking for a showtime that is over, and an attempt to pay it."""
    booking_id = uuid4()
    await house.pool.execute(
        "insert into bookings (id, code, showtime_id, user_id, hold_id, status, total_minor,"
        " currency, created_at) values ($1, $1::uuid::text, $1, $2, $1, $3, 1000, 'EUR', now())",
        *(booking_id, user_id, booking),
    )
    await house.pool.execute(
        "insert into payments (id, booking_id, method, status, amount_minor, currency, created_at)"
        " values ($1, $1, 'stripe', $2, 1000, 'EUR', now())",
        *(booking_id, payment),
    )
    return booking_id


async def refunded(house: House, booking_id: UUID, status: str) -> None:
    await house.pool.execute(
        "insert into refunds (id, payment_id, booking_id, showtime_id, kind, amount_minor,"
        " currency, status, next_try_at, created_at)"
        " values ($1, $1, $1, $1, 'cancellation', 1000, 'EUR', $2, now(), now())"
        " on conflict (id) do update set status = $2",
        *(booking_id, status),
    )


async def settling(house: House, booking_id: UUID, ended_at: datetime | None) -> None:
    """The money of an attempt has come; its showtime has decided if it has an end."""
    await house.pool.execute(
        "insert into stripe_tasks (kind, name, due_at, created_at, ended_at)"
        " values ('settle', $1, now(), now(), $2)"
        " on conflict (kind, name) do update set ended_at = $2",
        *(str(booking_id), ended_at),
    )


async def still_open(house: House, made: SignedIn) -> str:
    """Why an account is not given up; it stays signed in, and is not erased if it is due."""
    with pytest.raises(Refused) as caught:
        await give_up(house, made)
    assert caught.value.rejection.code == "BOOKING_AHEAD"
    assert await house.lives(made.access_token)
    await house.pool.execute("update users set erase_at = $1", now_of(house))
    assert await house.erasure.erase_due(now_of(house), 10) == 0
    await house.pool.execute("update users set erase_at = null")
    return str((caught.value.rejection.details or {})["reason"])


@pytest.mark.parametrize("status", ["pending", "at_counter", "failed"])
@pytest.mark.parametrize("claimed", [False, True])
async def test_account_stays_while_money_is_on_its_way_back(
    house: House, status: str, claimed: bool
) -> None:
    made = await house.accounts.register(ann(), HERE)
    buyer_id = user_id = UUID(made.user.id)
    if claimed:
        buyer_id = uuid4()
        await house.pool.execute(
            "insert into guests (id, created_at, expires_at, claimed_by, claimed_at)"
            " values ($1, now(), now() + interval '1 day', $2, now())",
            *(buyer_id, user_id),
        )
    booking_id = await booked_once(house, buyer_id, "cancelled", "refunded")
    await refunded(house, await booked_once(house, uuid4(), "cancelled", "refunded"), status)
    await refunded(house, booking_id, status)
    assert await still_open(house, made) == "refund"
    await refunded(house, booking_id, "succeeded")
    await give_up(house, made)
    assert await house.erasure.erase_due(now_of(house) + timedelta(days=7), 10) == 1


@pytest.mark.parametrize("status", ["created", "pending"])
async def test_account_stays_while_a_payment_is_not_decided(house: House, status: str) -> None:
    made = await house.accounts.register(ann(), HERE)
    booking_id = await booked_once(house, UUID(made.user.id), "pending", status)
    assert await still_open(house, made) == "payment"
    await house.pool.execute("update bookings set status = 'expired'")
    await house.pool.execute("update payments set status = 'failed'")
    # It came too late: either it buys the seats still, or it goes back.
    await settling(house, booking_id, None)
    assert await still_open(house, made) == "payment"
    await settling(house, booking_id, now_of(house))
    await give_up(house, made)
