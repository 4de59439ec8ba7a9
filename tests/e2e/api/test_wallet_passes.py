"""Tickets for the wallets of telephones, over HTTP."""

from __future__ import annotations

import json
import zipfile
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import pytest
import pytest_asyncio

from cinema.settings import Secret
from tests.e2e.api.doors import scan, sold, tickets_of
from tests.e2e.api.guests import guest_of, new_email
from tests.e2e.api.house import House, open_house
from tests.support.passes import ec_key, office_for

pytestmark = pytest.mark.asyncio(loop_scope="function")


@pytest_asyncio.fixture(loop_scope="function")
async def house(database: str) -> AsyncIterator[House]:
    pem = Secret(office_for(ec_key()).pem)
    async with open_house(database, wallet_pass_certificate=pem) as house:
        yield house


async def wallet(house: House, token: str, ticket_id: str, query: str = "") -> Any:
    """What a pass says; it must be one."""
    headers = {"Authorization": f"Bearer {token}"}
    path = f"tickets/{ticket_id}/wallet.pkpass{query}"
    async with house.client.get(path, headers=headers) as reply:
        assert reply.status == 200, await reply.text()
        assert reply.headers["Content-Type"] == "application/vnd.apple.pkpass"
        assert "ticket.pkpass" in reply.headers["Content-Disposition"]
        with zipfile.ZipFile(BytesIO(await reply.read())) as zipped:
            assert zipped.testzip() is None
            assert {"pass.json", "manifest.json", "signature"} < set(zipped.namelist())
            return json.loads(zipped.read("pass.json"))


async def test_a_pass_has_the_code_that_the_door_reads(house: House) -> None:
    showtime_id = await house.showtime()
    ticket, other = await sold(house, showtime_id, "A1", "A2")
    shown = await wallet(house, house.token("ada"), ticket["id"])
    assert shown["barcodes"][0]["message"] == ticket["token"]
    assert shown["serialNumber"] == ticket["id"]
    assert shown["eventTicket"]["headerFields"][0] == {
        "key": "seat",
        "label": "Seat",
        "value": "A1",
    }
    early = await scan(house, shown["barcodes"][0]["message"])
    assert early.error == (409, "TOO_EARLY"), "the code is a good one"
    german = await wallet(house, house.token("ada"), other["id"], "?language=de")
    assert german["eventTicket"]["headerFields"][0]["label"] == "Platz"
    assert german["barcodes"][0]["message"] == other["token"]


async def test_a_ticket_that_is_issued_again_has_another_pass_in_the_same_place(
    house: House,
) -> None:
    showtime_id = await house.showtime()
    (ticket,) = await sold(house, showtime_id, "A1")
    before = await wallet(house, house.token("ada"), ticket["id"])
    again = (await house.ask("ada", "POST", f"tickets/{ticket['id']}/reissue")).data
    after = await wallet(house, house.token("ada"), ticket["id"])
    assert after["serialNumber"] == before["serialNumber"]
    assert after["barcodes"][0]["message"] == again["token"] != ticket["token"]


async def test_only_who_may_see_a_ticket_gets_its_pass_and_only_of_one_that_counts(
    house: House,
) -> None:
    showtime_id = await house.showtime()
    (ticket,) = await sold(house, showtime_id, "A1")
    path = f"tickets/{ticket['id']}/wallet.pkpass"
    assert (await house.ask("bob", "GET", path)).error == (404, "NOT_FOUND")
    assert (await house.ask("staff elsewhere", "GET", path)).error == (404, "NOT_FOUND")
    assert await wallet(house, house.token("staff"), ticket["id"])
    await house.ask("ada", "DELETE", f"bookings/{ticket['booking_id']}")
    assert (await house.ask("ada", "GET", path)).error == (409, "TICKET_CANCELLED")
    guest = await guest_of(house)
    booking_id = await guest.booked(showtime_id, new_email(), "A3")
    (theirs,) = await tickets_of(house, "admin", booking_id)
    assert (await wallet(house, guest.token, theirs["id"]))["serialNumber"] == theirs["id"]


async def test_without_a_certificate_there_are_none(database: str) -> None:
    async with open_house(database) as house:
        (ticket,) = await sold(house, await house.showtime(), "A1")
        answer = await house.ask("ada", "GET", f"tickets/{ticket['id']}/wallet.pkpass")
        assert answer.error == (404, "NOT_FOUND")
        assert answer.envelope["error"]["message"] == "This server makes no tickets for wallets."
