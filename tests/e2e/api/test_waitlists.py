"""Wait lists over HTTP: places in line, offers, who may see what, and the mail about an offer."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import pytest_asyncio

from cinema.domain.limits import OFFER_TTL_S
from tests.e2e.api.guests import FILES_EVERY_S, mails, text_of
from tests.e2e.api.house import LABELS, PATIENCE_S, UNKNOWN_ID, Answer, Clocks, House, open_house
from tests.e2e.api.sockets import watching

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def posting(
    postgres_server: str, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[House, Path]]:
    """A house with a database of its own, which another node would take the mails of."""
    name = f"cinema_waitlists_{os.getpid()}"
    server = await asyncpg.connect(postgres_server)
    await server.execute(f"create database {name} template {template_database} strategy file_copy")
    address = urlunsplit(urlsplit(postgres_server)._replace(path=f"/{name}"))
    folder = tmp_path_factory.mktemp("waitlists")
    async with open_house(address, data_dir=folder) as house:
        yield house, folder / "mailbox"
    await server.execute(f"drop database {name} with (force)")
    await server.close()


async def full(house: House) -> tuple[str, str]:
    """A showtime whose seats are all held, in one hold of the admin."""
    showtime_id = await house.showtime()
    return showtime_id, await house.held("admin", showtime_id, *LABELS)


async def join(
    house: House, person: str, showtime_id: str, key: str | None = None, **wish: Any
) -> Answer:
    body = {"quantity": 1, **wish}
    return await house.ask(person, "POST", f"showtimes/{showtime_id}/waitlist", body, key=key)


async def own(house: House, person: str, showtime_id: str) -> Answer:
    return await house.ask(person, "GET", f"showtimes/{showtime_id}/waitlist")


async def listed(house: House, person: str, showtime_id: str) -> Answer:
    return await house.ask(person, "GET", f"showtimes/{showtime_id}/waitlist/entries")


async def release(house: House, showtime_id: str, hold_id: str, *labels: str) -> None:
    path = f"showtimes/{showtime_id}/holds/{hold_id}?seats={','.join(labels)}"
    assert (await house.ask("admin", "DELETE", path)).status == 200


async def test_who_waits_is_offered_seats_and_books_them(house: House) -> None:
    showtime_id, hold_id = await full(house)
    joined = await join(house, "ada", showtime_id, quantity=2, category="premium", together=True)
    assert joined.status == 201
    entry = joined.data
    assert datetime.fromisoformat(entry.pop("joined_at")) <= datetime.now(UTC)
    assert entry == {
        "id": entry["id"],
        "showtime_id": showtime_id,
        "status": "waiting",
        "position": 1,
        "quantity": 2,
        "category": "premium",
        "accessible": False,
        "together": True,
        "offer": None,
    }
    before = datetime.now(UTC)
    await release(house, showtime_id, hold_id, "A1", "B1", "B3")
    assert (await own(house, "ada", showtime_id)).data["status"] == "waiting"
    await release(house, showtime_id, hold_id, "B2", "A2")
    seen = (await own(house, "ada", showtime_id)).data
    offer = seen["offer"]
    assert (seen["id"], seen["status"], seen["position"]) == (entry["id"], "offered", None)
    assert (offer["hold_id"], offer["status"]) == (entry["id"], "active")
    assert [seat["label"] for seat in offer["seats"]] in (["B1", "B2"], ["B2", "B3"])
    left = datetime.fromisoformat(offer["expires_at"]) - before
    assert timedelta(seconds=0) < left < timedelta(seconds=OFFER_TTL_S + PATIENCE_S)
    held = await house.ask("ada", "GET", f"showtimes/{showtime_id}/holds/{entry['id']}")
    assert held.data["seats"] == offer["seats"]
    booked = await house.book("ada", showtime_id, entry["id"])
    assert booked.status == 201
    assert (await own(house, "ada", showtime_id)).error == (404, "NOT_FOUND")


async def test_offers_are_made_in_the_order_of_the_list(house: House) -> None:
    showtime_id, hold_id = await full(house)
    for position, person in enumerate(("bob", "ada", "guest"), 1):
        assert (await join(house, person, showtime_id)).data["position"] == position
    await house.ask("ada", "DELETE", f"showtimes/{showtime_id}/waitlist")
    assert (await join(house, "ada", showtime_id)).data["position"] == 3
    await release(house, showtime_id, hold_id, "A1")
    assert (await own(house, "bob", showtime_id)).data["status"] == "offered"
    assert (await own(house, "guest", showtime_id)).data["position"] == 1
    await release(house, showtime_id, hold_id, "A2", "A3")
    for person in ("guest", "ada"):
        assert (await own(house, person, showtime_id)).data["status"] == "offered"


async def test_who_leaves_is_offered_nothing(house: House) -> None:
    showtime_id, hold_id = await full(house)
    entry = (await join(house, "ada", showtime_id)).data
    left = await house.ask("ada", "DELETE", f"showtimes/{showtime_id}/waitlist")
    assert left.data == {"id": entry["id"], "showtime_id": showtime_id, "status": "left"}
    again = await house.ask("ada", "DELETE", f"showtimes/{showtime_id}/waitlist")
    assert again.error == (404, "NOT_FOUND")
    await release(house, showtime_id, hold_id, "A1")
    assert "A1" not in await house.statuses(showtime_id)


async def test_watchers_never_see_an_offered_seat_free(house: House) -> None:
    showtime_id, hold_id = await full(house)
    await join(house, "ada", showtime_id)
    async with watching(house, showtime_id) as socket:
        await socket.message("snapshot")
        await release(house, showtime_id, hold_id, "A1", "A2")
        frame = await socket.message("delta")
    changes = frame["changes"]
    assert list(changes.values()) == ["available"]
    assert set(changes) < {"A1", "A2"}


async def test_a_repeated_key_joins_once(house: House) -> None:
    showtime_id, _ = await full(house)
    first = await join(house, "ada", showtime_id, key="k1")
    again = await join(house, "ada", showtime_id, key="k1")
    assert (again.status, again.data) == (201, first.data)
    other = await join(house, "ada", showtime_id, key="k1", quantity=2)
    assert other.error == (422, "IDEMPOTENCY_MISMATCH")
    assert (await join(house, "ada", showtime_id)).error == (409, "ALREADY_WAITING")


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        ({"quantity": 0}, (400, "VALIDATION_ERROR")),
        ({"quantity": 101}, (400, "VALIDATION_ERROR")),
        ({"quantity": 1, "x": 1}, (400, "VALIDATION_ERROR")),
        ({}, (400, "VALIDATION_ERROR")),
        ({"quantity": 1, "category": "sofa"}, (422, "UNKNOWN_CATEGORY")),
        ({"quantity": 11}, (409, "HOLD_LIMIT")),
        ({"quantity": 9, "category": "premium"}, (409, "NOT_ENOUGH_SEATS")),
    ],
)
async def test_some_wishes_are_refused(
    house: House, wish: dict[str, Any], error: tuple[int, str]
) -> None:
    showtime_id, _ = await full(house)
    answer = await house.ask("ada", "POST", f"showtimes/{showtime_id}/waitlist", wish)
    assert answer.error == error


async def test_seats_that_are_there_are_not_waited_for(house: House) -> None:
    showtime_id = await house.showtime()
    assert (await join(house, "ada", showtime_id)).error == (409, "SEATS_AVAILABLE")
    assert (await join(house, "ada", UNKNOWN_ID)).error == (404, "NOT_FOUND")
    assert (await own(house, "ada", UNKNOWN_ID)).error == (404, "NOT_FOUND")


async def test_a_list_has_ended_half_an_hour_before_the_start(house: House) -> None:
    showtime_id = await house.showtime()
    await house.move(showtime_id, starts_in=timedelta(minutes=29))
    await house.held("admin", showtime_id, *LABELS)
    refused = await join(house, "ada", showtime_id)
    assert refused.error == (409, "WAITLIST_CLOSED")
    assert set(refused.details) == {"closed_at"}


async def test_staff_of_the_cinema_see_who_waits(house: House) -> None:
    showtime_id, hold_id = await full(house)
    for person in ("ada", "bob"):
        await join(house, person, showtime_id)
    await release(house, showtime_id, hold_id, "A1")
    for person in ("staff", "manager", "admin"):
        entries = (await listed(house, person, showtime_id)).data
        assert [(one["customer_id"], one["status"]) for one in entries] == [
            (house.people["bob"], "waiting"),
            (house.people["ada"], "offered"),
        ]
    assert (await listed(house, "staff elsewhere", showtime_id)).error == (403, "FORBIDDEN")
    assert (await listed(house, "ada", showtime_id)).error == (403, "FORBIDDEN")
    assert (await listed(house, "admin", UNKNOWN_ID)).error == (404, "NOT_FOUND")


async def mail_about(mailbox: Path, email: str) -> EmailMessage:
    """The mail about an offer, once it is there."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            for mail in mails(mailbox):
                if mail["To"].addresses[0].addr_spec == email:
                    return mail
            await asyncio.sleep(FILES_EVERY_S)


async def test_a_mail_tells_of_the_offer_once(posting: tuple[House, Path]) -> None:
    house, mailbox = posting
    ada = house.people["ada"]
    await house.database.execute("update users set language = 'de' where id = $1", ada)
    showtime_id, hold_id = await full(house)
    for person in ("ada", "guest", "bob"):
        await join(house, person, showtime_id)
    await release(house, showtime_id, hold_id, "A1")
    mail = await mail_about(mailbox, f"{ada}@example.com")
    assert "A1" in text_of(mail)
    assert "Plätze für Sie bis" in mail["Subject"]
    # The guest has no address, and is not waited for.
    await release(house, showtime_id, hold_id, "A2", "A3")
    bob = house.people["bob"]
    assert "seats for you" in (await mail_about(mailbox, f"{bob}@example.com"))["Subject"]
    assert await house.database.fetchval("select count(*) from waitlist_offers") == 0
    kinds = await house.database.fetch("select kind, status, dedupe_key from messages")
    assert [row["kind"] for row in kinds] == ["waitlist_offer"] * 2


async def test_what_a_quota_leaves_when_its_time_comes_is_offered_to_who_waits(
    database: str, clocks: Clocks
) -> None:
    async with open_house(database, clocks=clocks) as house:
        released_at = datetime.now(UTC) + timedelta(hours=2)
        kept = {"channel": "box_office", "seats": len(LABELS)}
        showtime_id = await house.showtime(
            channels=[{**kept, "released_at": released_at.isoformat()}]
        )
        path = f"showtimes/{showtime_id}/waitlist"
        assert (await house.ask("ada", "POST", path, {"quantity": 2})).status == 201
        clocks.ahead_s += 7210
        async with asyncio.timeout(3 * PATIENCE_S):
            while (await house.ask("ada", "GET", path)).data["status"] != "offered":
                pass
