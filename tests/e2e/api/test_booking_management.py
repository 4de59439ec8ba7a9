"""Bookings as staff of their cinemas find them, look after them, and write down what they did."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import pytest
import pytest_asyncio

from tests.e2e.api.guests import (
    FILES_EVERY_S,
    PRINTING_S,
    guest_of,
    link_in,
    mail_to,
    mails,
    new_email,
    text_of,
    token_of,
)
from tests.e2e.api.house import UNKNOWN_ID, House, open_house
from tests.e2e.api.paying import get, reserve, verify

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def posting(
    postgres_server: str, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[House, Path]]:
    """A house with a database and a mailbox of its own."""
    name = f"cinema_management_{os.getpid()}"
    server = await asyncpg.connect(postgres_server)
    await server.execute(f"create database {name} template {template_database} strategy file_copy")
    address = urlunsplit(urlsplit(postgres_server)._replace(path=f"/{name}"))
    folder = tmp_path_factory.mktemp("management")
    async with open_house(
        address, public_url="http://tickets.example", data_dir=folder, mails_per_hour_per_email=2
    ) as house:
        yield house, folder / "mailbox"
    await server.execute(f"drop database {name} with (force)")
    await server.close()


async def call(house: House, person: str, first: str, last: str) -> None:
    """Give somebody a name."""
    await house.database.execute(
        "update users set first_name = $2, last_name = $3 where id = $1",
        uuid.UUID(house.people[person]),
        first,
        last,
    )


async def found(house: House, person: str, query: str) -> list[str]:
    """The bookings that somebody finds."""
    answer = await house.ask(person, "GET", f"admin/bookings?{query}")
    assert answer.status == 200, answer
    return [one["booking"]["id"] for one in answer.data]


async def audited(house: House, booking_id: str) -> list[tuple[str, str]]:
    """What is in the audit log about a booking, and who did it, as it came."""
    names = {user_id: name for name, user_id in house.people.items()}
    rows = await house.database.fetch(
        "select action, actor_id::text from audit_log where target_id = $1 order by at, id",
        uuid.UUID(booking_id),
    )
    return [(action, names[actor]) for action, actor in rows]


async def mail_again(mailbox: Path, email: str) -> EmailMessage:
    """The mail that staff have sent to an address, once it is there."""
    async with asyncio.timeout(PRINTING_S):
        while True:
            for mail in mails(mailbox):
                sent_to = mail["To"].addresses[0].addr_spec
                if sent_to == email and mail["Subject"].startswith("Once more: "):
                    return mail
            await asyncio.sleep(FILES_EVERY_S)


# --- found


async def test_staff_find_bookings_by_code_address_name_and_showtime(house: House) -> None:
    showtime_id, other_id = await house.showtime(), await house.showtime()
    mark = uuid.uuid4().hex[:8]
    await call(house, "ada", "Ada Marie", f"Öztürk-{mark}")
    hers = await house.booked("ada", showtime_id, "A1", "A2")
    later = await house.booked("ada", other_id, "A1")
    his = await house.booked("bob", showtime_id, "A4")
    code = (await get(house, "ada", f"bookings/{hers}"))["code"]
    email = f"{house.people['ada']}@example.com"
    for person in ("staff", "manager", "admin"):
        assert await found(house, person, f"code={code}") == [hers]
        assert await found(house, person, f"code={code[:4].lower()}%20{code[4:]}") == [hers]
        assert await found(house, person, f"email={quote(email.upper())}") == [later, hers]
        assert await found(house, person, f"showtime_id={showtime_id}") == [his, hers]
    for name in (f"Ada Marie Öztürk-{mark}", f"{mark.upper()}, ozturk", f"ADA {mark}"):
        assert await found(house, "staff", f"name={quote(name)}") == [later, hers], name
    assert await found(house, "staff", f"name=bob%20{mark}") == []
    assert await found(house, "staff", f"name=ad%20{mark}") == [], "whole words count"
    both = f"name={mark}&showtime_id={showtime_id}"
    assert await found(house, "staff", both) == [hers]
    assert await found(house, "staff", f"{both}&code={code}") == [hers]
    assert await found(house, "staff", f"email={quote(email)}&showtime_id={other_id}") == [later]
    assert await found(house, "staff", f"code={code}&showtime_id={other_id}") == []
    assert await found(house, "staff", f"email={quote(new_email())}") == []


async def test_what_staff_see_shows_whose_booking_it_is_and_no_whole_address(house: House) -> None:
    showtime_id = await house.showtime()
    await call(house, "ada", "Ada", "Lovelace")
    booking_id = await house.booked("ada", showtime_id, "A1", "A2")
    seen = await get(house, "staff", f"admin/bookings/{booking_id}")
    assert seen["booking"] == await get(house, "ada", f"bookings/{booking_id}")
    first = house.people["ada"][0]
    masked = f"{first}***@example.com"
    assert seen["customer"] == {"kind": "account", "name": "Ada Lovelace", "email": masked}
    assert (seen["showtime"]["id"], seen["showtime"]["cinema"]) == (showtime_id, "House")
    assert (seen["showtime"]["film"], seen["notes"]) == ("Film", 0)
    assert [seen] == (
        await house.ask("staff", "GET", f"admin/bookings?showtime_id={showtime_id}")
    ).data


async def test_a_guests_booking_is_found_by_the_address_also_once_an_account_has_it(
    house: House,
) -> None:
    guest, showtime_id, email = await guest_of(house), await house.showtime(), new_email()
    booking_id = await guest.booked(showtime_id, email, "A1")
    assert await found(house, "staff", f"email={quote(email)}") == [booking_id]
    seen = await get(house, "staff", f"admin/bookings/{booking_id}")
    assert seen["customer"] == {"kind": "guest", "name": "", "email": f"{email[0]}***@example.com"}
    await call(house, "bob", "Bob", f"Claims{email[:8]}")
    await house.database.execute(
        "update guests set claimed_by = $2, claimed_at = now(), ended_at = now() where id = $1",
        uuid.UUID(guest.id),
        uuid.UUID(house.people["bob"]),
    )
    assert await found(house, "staff", f"email={quote(email)}") == []
    bobs = f"{house.people['bob']}@example.com"
    assert await found(house, "staff", f"email={quote(bobs)}") == [booking_id]
    assert await found(house, "staff", f"name=claims{email[:8]}") == [booking_id]
    narrowed = f"name=claims{email[:8]}&showtime_id={showtime_id}"
    assert await found(house, "staff", narrowed) == [booking_id]
    seen = await get(house, "staff", f"admin/bookings/{booking_id}")
    assert (seen["customer"]["kind"], seen["customer"]["name"][:4]) == ("account", "Bob ")


async def test_staff_of_another_cinema_find_and_see_nothing(house: House) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1")
    email = quote(f"{house.people['ada']}@example.com")
    path = f"admin/bookings/{booking_id}"
    for person in ("staff elsewhere", "manager elsewhere"):
        for query in (f"showtime_id={showtime_id}", f"email={email}"):
            assert await found(house, person, query) == []
        assert (await house.ask(person, "GET", path)).error == (404, "NOT_FOUND")
        assert (await house.ask(person, "POST", f"{path}/resend")).error == (404, "NOT_FOUND")
        assert (await house.ask(person, "GET", f"{path}/notes")).error == (404, "NOT_FOUND")
        note = await house.ask(person, "POST", f"{path}/notes", {"text": "Mine."})
        assert note.error == (404, "NOT_FOUND")
    for person in ("ada", "guest"):
        assert (await house.ask(person, "GET", path)).error == (403, "FORBIDDEN")
        everything = await house.ask(person, "GET", f"admin/bookings?showtime_id={showtime_id}")
        assert everything.error == (403, "FORBIDDEN")
    assert (await house.ask("admin", "GET", f"admin/bookings/{UNKNOWN_ID}")).status == 404
    assert await audited(house, booking_id) == []


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("", "$"),
        ("limit=5", "$"),
        ("code=%20", "$"),
        ("email=nobody", "$.email"),
        ("name=.%20-", "$.name"),
        ("code=", "$.code"),
        ("showtime_id=x", "$.showtime_id"),
        ("showtime_id=" + UNKNOWN_ID + "&cursor=x", "$.cursor"),
    ],
)
async def test_a_search_says_what_is_wrong_with_it(house: House, query: str, path: str) -> None:
    refused = await house.ask("staff", "GET", f"admin/bookings?{query}")
    assert refused.error == (400, "VALIDATION_ERROR")
    assert refused.details["path"].removeprefix("$.") == path.removeprefix("$.")


async def test_bookings_are_found_page_by_page(house: House) -> None:
    showtime_id = await house.showtime()
    made = [await house.booked("ada", showtime_id, f"A{seat}") for seat in (1, 3, 5, 7)]
    seen: list[str] = []
    cursor = ""
    while True:
        answer = await house.ask(
            "staff", "GET", f"admin/bookings?showtime_id={showtime_id}&limit=2{cursor}"
        )
        seen += [one["booking"]["id"] for one in answer.data]
        if answer.envelope["meta"]["next_cursor"] is None:
            break
        assert len(answer.data) == 2
        cursor = f"&cursor={answer.envelope['meta']['next_cursor']}"
    assert seen == made[::-1]


async def test_a_name_that_too_many_have_needs_more_beside_it(house: House) -> None:
    showtime_id, name = await house.showtime(), f"Smith{uuid.uuid4().hex[:8]}"
    await call(house, "ada", "Ada", name)
    booking_id = await house.booked("ada", showtime_id, "A1")
    assert await found(house, "staff", f"name={name}") == [booking_id]
    await house.database.execute(
        "insert into users (id, email, email_key, password_hash, last_name, created_at)"
        " select gen_random_uuid(), $1 || n || '@example.com', $1 || n || '@example.com', 'none',"
        " $1, now() from generate_series(1, 200) n",
        name,
    )
    refused = await house.ask("staff", "GET", f"admin/bookings?name={name}")
    assert refused.error == (400, "VALIDATION_ERROR")
    assert refused.details == {"path": "$.name"}
    assert await found(house, "staff", f"name=ada%20{name}") == [booking_id]
    assert await found(house, "staff", f"name={name}&showtime_id={showtime_id}") == [booking_id]


# --- written down


async def test_notes_are_added_and_stay(house: House) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1")
    await call(house, "staff", "Grace", "Hopper")
    path = f"admin/bookings/{booking_id}/notes"
    first, again = [
        await house.ask("staff", "POST", path, {"text": "Two\nlines."}, key="n") for _ in range(2)
    ]
    assert first.status == 201, first
    assert first.data == again.data
    second = await house.ask("manager", "POST", path, {"text": "x" * 1000})
    shown = await get(house, "admin", path)
    assert shown == [second.data, first.data]
    assert (first.data["text"], first.data["author"]) == ("Two\nlines.", "Grace Hopper")
    assert first.data["author_id"] == house.people["staff"]
    assert (await get(house, "staff", f"admin/bookings/{booking_id}"))["notes"] == 2
    page = await house.ask("staff", "GET", f"{path}?limit=1")
    rest = await house.ask(
        "staff", "GET", f"{path}?limit=1&cursor={page.envelope['meta']['next_cursor']}"
    )
    assert [*page.data, *rest.data] == shown
    assert rest.envelope["meta"]["next_cursor"] is None
    for text in ("", " \n", "x" * 1001, "a\u202eb"):
        refused = await house.ask("staff", "POST", path, {"text": text})
        assert refused.error == (400, "VALIDATION_ERROR"), text
    for method in ("PUT", "PATCH", "DELETE"):
        assert (await house.ask("admin", method, path, {"text": "Other."})).status == 405
    assert await audited(house, booking_id) == [
        ("booking_noted", "staff"),
        ("booking_noted", "manager"),
    ]
    kept = await house.database.fetchval(
        "select string_agg(a::text, '') from audit_log a where target_id = $1",
        uuid.UUID(booking_id),
    )
    assert "lines" not in kept


async def test_what_staff_do_with_a_booking_is_in_the_audit_log(house: House) -> None:
    showtime_id, later_id = await house.showtime(), await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A2")
    seats = {"from": ["A1"], "to": ["A4"]}
    changed = await house.ask("staff", "POST", f"bookings/{booking_id}/seats", seats)
    assert changed.status == 200, changed
    assert (await house.ask("staff", "DELETE", f"bookings/{booking_id}?seats=A2")).status == 200
    hold_id = await house.held("manager", later_id, "B1")
    body = {"showtime_id": later_id, "hold_id": hold_id, "payment": {"method": "demo"}}
    exchanged = await house.ask("manager", "POST", f"bookings/{booking_id}/exchange", body)
    assert exchanged.status == 200, exchanged
    assert await audited(house, booking_id) == [
        ("booking_seats_changed", "staff"),
        ("booking_cancelled", "staff"),
        ("booking_exchanged", "manager"),
    ]
    after = await house.database.fetchval(
        "select after::text from audit_log where target_id = $1 and action = 'booking_cancelled'",
        uuid.UUID(booking_id),
    )
    assert after == '{"seats": ["A2"]}'


async def test_what_customers_do_with_their_bookings_is_not(house: House) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A2")
    seats = {"from": ["A1"], "to": ["A4"]}
    assert (await house.ask("ada", "POST", f"bookings/{booking_id}/seats", seats)).status == 200
    assert (await house.ask("ada", "DELETE", f"bookings/{booking_id}")).status == 200
    assert await audited(house, booking_id) == []


# --- sent again


async def test_a_customer_gets_the_mail_with_the_tickets_again(
    posting: tuple[House, Path],
) -> None:
    house, mailbox = posting
    showtime_id = await house.showtime()
    await call(house, "ada", "Ada", "Lovelace")
    booking_id = await house.booked("ada", showtime_id, "A1", "A2")
    email = f"{house.people['ada']}@example.com"
    code = (await get(house, "ada", f"bookings/{booking_id}"))["code"]
    path = f"admin/bookings/{booking_id}/resend"
    sent = await house.ask("staff", "POST", path)
    assert sent.data == {"to": f"{email[0]}***@example.com"}
    mail = await mail_again(mailbox, email)
    assert mail["Subject"] == f"Once more: your booking {code}"
    text = text_of(mail)
    assert "Hello Ada," in text
    assert f"http://tickets.example/bookings/{booking_id}" in text
    assert "#token=" not in text
    names = [one.get_filename() for one in mail.iter_attachments()]
    assert names == ["tickets.pdf", "showtime.ics"]
    assert await audited(house, booking_id) == [("booking_mail_sent_again", "staff")]
    assert (await house.ask("manager", "POST", path)).status == 200
    third = await house.ask("admin", "POST", path)
    assert third.error == (429, "RATE_LIMITED")
    assert "Retry-After" in third.headers
    assert len(await audited(house, booking_id)) == 2


async def test_a_guest_gets_a_new_link_and_the_former_one_ends(
    posting: tuple[House, Path],
) -> None:
    house, mailbox = posting
    guest, showtime_id, email = await guest_of(house), await house.showtime(), new_email()
    booking_id = await guest.booked(showtime_id, email, "A1")
    former = token_of(await mail_to(mailbox, email))
    order = f"orders/{booking_id}"
    assert (await house.ask(None, "GET", order, headers=former)).status == 200
    assert (await house.ask("staff", "POST", f"admin/bookings/{booking_id}/resend")).status == 200
    assert (await house.ask(None, "GET", order, headers=former)).error == (410, "INVALID_LINK")
    mail = await mail_again(mailbox, email)
    assert f"/orders/{booking_id}#token=" in link_in(mail)
    assert "no longer work" in text_of(mail)
    assert (await house.ask(None, "GET", order, headers=token_of(mail))).status == 200


async def test_a_guest_whose_first_mail_was_not_written_yet_gets_one(
    posting: tuple[House, Path],
) -> None:
    """The mail that was owed is the one that staff have sent; and one without an order has one."""
    house, mailbox = posting
    guest, showtime_id, email = await guest_of(house), await house.showtime(), new_email()
    booking_id = await guest.booked(showtime_id, email, "A1")
    await mail_to(mailbox, email)
    await house.database.execute(
        "delete from guest_orders where booking_id = $1", uuid.UUID(booking_id)
    )
    assert (await house.ask("staff", "POST", f"admin/bookings/{booking_id}/resend")).status == 200
    header = token_of(await mail_again(mailbox, email))
    assert (await house.ask(None, "GET", f"orders/{booking_id}", headers=header)).status == 200


async def test_what_has_no_tickets_or_no_address_is_not_sent(posting: tuple[House, Path]) -> None:
    house, _ = posting
    showtime_id = await house.showtime()
    await verify(house, "ada")
    waiting: Any = await reserve(house, "ada", showtime_id, "A1")
    cancelled = await house.booked("bob", showtime_id, "A3")
    await house.ask("bob", "DELETE", f"bookings/{cancelled}")
    await house.till("staff")
    hold_id = await house.held("staff", showtime_id, "A5")
    sold = (await house.book("staff", showtime_id, hold_id, method="counter")).data["id"]
    guest, email = await guest_of(house), new_email()
    nobodys = await guest.booked(showtime_id, email, "A7")
    await house.database.execute(
        "update guests set email = null, email_key = null where id = $1", uuid.UUID(guest.id)
    )
    for booking_id, code in (
        (waiting["id"], "TICKET_UNPAID"),
        (cancelled, "BOOKING_ENDED"),
        (sold, "NO_EMAIL_ADDRESS"),
        (nobodys, "NO_EMAIL_ADDRESS"),
    ):
        refused = await house.ask("staff", "POST", f"admin/bookings/{booking_id}/resend")
        assert refused.error == (409, code)
    seen = await get(house, "staff", f"admin/bookings/{nobodys}")
    assert seen["customer"] == {"kind": "guest", "name": "", "email": None}
