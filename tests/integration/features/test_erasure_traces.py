"""After erasure nothing in the whole database says who somebody was."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from cinema.features.accounts.passwords import PasswordHasher
from cinema.features.accounts.shapes import ChangeEmailInput, InvitationInput, LoginInput
from cinema.features.messages.store import MessagesRepository
from cinema.storage.database.transactions import Pool, transaction
from cinema.storage.encryption import Cipher
from tests.integration.features.accounts_house import ADMIN, HERE, THERE, Clock, House, ann

pytestmark = pytest.mark.postgres

MARK = "zyxwv"
"""Part of every name and address of somebody who is to be erased."""

_TABLES = """
select table_name from information_schema.tables
where table_schema = 'public' and table_type = 'BASE TABLE'"""


@pytest.fixture
async def house(pool: Pool) -> AsyncIterator[House]:
    hasher = PasswordHasher(10)
    yield House(pool, Clock(), hasher)
    hasher.close()


async def traces(pool: Pool) -> set[str]:
    """The tables with a row that has the mark in it, as text or as bytes."""
    found = set()
    for (table,) in await pool.fetch(_TABLES):
        rows = await pool.fetch(f"select row_to_json(t)::text as row from {table} t")
        for row in rows:
            text = row["row"].lower()
            if MARK in text or MARK.encode().hex() in text:
                found.add(table)
    return found


async def send(house: House, to: str, kind: str = "account_verification") -> None:
    """A mail that waits, as one does that the mail server has refused."""
    messages = MessagesRepository(
        house.pool,
        Cipher([b"k" * 32]),
        new_id=lambda: uuid4().bytes,
        now=lambda: datetime.fromtimestamp(house.clock.now_s, UTC),
    )
    async with transaction(house.pool) as running:
        await messages.enqueue(
            running, kind=kind, to=to, language="en", payload={}, dedupe_key=f"{kind}:{uuid4()}"
        )
    await house.pool.execute("update messages set last_error = 'no mailbox ' || recipient")


async def test_erasure_leaves_no_trace_of_name_or_address(house: House) -> None:
    first, second = f"{MARK}.one@example.com", f"{MARK}.two@example.com"
    made = await house.accounts.register(
        ann(email=first, first_name=f"A{MARK}", last_name=f"L{MARK}"), HERE
    )
    user_id = UUID(made.user.id)
    principal = await house.admission.look_up(made.access_token)
    await house.accounts.login(LoginInput(email=first, password="correct horse"), THERE)
    change = ChangeEmailInput(email=second, password="correct horse")
    await house.credentials.change_email(principal, change, HERE)
    await house.mails.round()
    await house.credentials.use_address_link(house.link("account_email_change"), HERE)
    await house.accounts.login(LoginInput(email=second, password="correct horse"), THERE)
    await house.credentials.forgot_password(second, HERE)
    await house.add_admin()
    invited = InvitationInput(email=f"{MARK}.three@example.com", role="admin", cinema_ids=[])
    await house.invitations.invite(ADMIN, invited, HERE)
    await house.pool.execute(
        "update account_links set email = $1, email_key = $1 where purpose = 'invitation'", second
    )
    for to in (first, second):
        await send(house, to)
    await house.pool.execute(
        "insert into account_exports (id, user_id, created_at) values (gen_random_uuid(), $1, $2)",
        user_id,
        datetime.fromtimestamp(house.clock.now_s, UTC),
    )
    await house.pool.execute(
        "with made as (insert into bookings (id, code, showtime_id, user_id, hold_id, status,"
        " total_minor, currency, created_at) values ($1, 'CODE', $1, $2, $1, 'pending', 0, 'EUR',"
        " now())), noted as (insert into booking_notes (id, booking_id, text, written_at)"
        " values ($1, $1, $3, now()))"
        " insert into booking_billing values ($1, $3, $3, $3, now())",
        *(uuid4(), user_id, MARK),
    )
    await house.pool.execute(
        "insert into reviews (id, movie_id, user_id, rating, text, status, created_at)"
        " values (gen_random_uuid(), gen_random_uuid(), $1, 5, $2, 'published', now())",
        *(user_id, MARK),
    )
    about = {"users", "account_links", "link_requests", "messages", "booking_billing", "reviews"}
    about |= {"booking_notes"}
    assert await traces(house.pool) == about
    await house.pool.execute(
        "update users set erase_at = $2 where id = $1",
        user_id,
        datetime.fromtimestamp(house.clock.now_s, UTC),
    )
    later = datetime.fromtimestamp(house.clock.now_s, UTC) + timedelta(seconds=1)
    assert await house.erasure.erase_due(later, 10) == 1
    assert await traces(house.pool) == set()
    assert await house.count("account_exports") == 0


async def test_what_others_wait_for_at_an_address_is_not_deleted(house: House) -> None:
    """An address need not have been proven: whoever claims it and leaves takes nothing along."""
    await send(house, "ann@example.com")
    house.clock.now_s += 60
    made = await house.accounts.register(ann(email="ann@example.com"), HERE)
    await send(house, "ann@example.com", "account_password_reset")
    await house.pool.execute("update messages set kind = 'order' where kind like '%reset'")
    await send(house, "ann@example.com", "account_password_changed")
    await house.pool.execute(
        "update users set erase_at = $2 where id = $1",
        UUID(made.user.id),
        datetime.fromtimestamp(house.clock.now_s, UTC),
    )
    await house.erasure.erase_due(datetime.fromtimestamp(house.clock.now_s, UTC), 10)
    kinds = await house.pool.fetch("select kind from messages order by kind")
    assert [row["kind"] for row in kinds] == ["account_verification", "order"]
