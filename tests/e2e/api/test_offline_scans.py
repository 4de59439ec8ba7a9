"""Scanners without a connection: what they take with them, and what they bring back."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from cinema.features.tickets.rules import bytes_of, claim_in
from tests.e2e.api.doors import device, open_doors, scan, sold, tickets_of
from tests.e2e.api.house import UNKNOWN_ID, Answer, House

pytestmark = pytest.mark.asyncio(loop_scope="module")

MINUTE = timedelta(minutes=1)


def offline(ticket: dict[str, Any], at: datetime, **more: Any) -> dict[str, Any]:
    """A scan that a scanner has made by itself."""
    return {"token": ticket["token"], "at": at.isoformat(), "nonce": uuid4().hex, **more}


async def upload(
    house: House, *scans: dict[str, Any], by: str | None = "staff", **more: Any
) -> Answer:
    headers = {"Device-Token": token} if (token := more.pop("device", None)) else {}
    body = {"scans": list(scans), **more}
    person = None if headers else by
    return await house.ask(person, "POST", "tickets/scans", body, headers=headers)


def at_of(text: str) -> datetime:
    return datetime.fromisoformat(text)


def from_base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


async def test_the_list_of_a_showtime_is_signed_and_names_nobody(house: House) -> None:
    showtime_id = await open_doors(house)
    first, second = await sold(house, showtime_id, "A1", "A2")
    (blocked,) = await sold(house, showtime_id, "B1")
    (cancelled,) = await sold(house, await house.showtime(), "B2")
    await house.ask("staff", "POST", f"tickets/{blocked['id']}/block", {"reason": "Stolen."})
    await house.ask("ada", "POST", f"tickets/{second['id']}/reissue")
    await scan(house, first["token"])
    door = await device(house)
    path = f"showtimes/{showtime_id}/scan-list"
    answer = await house.ask(None, "GET", path, headers={"Device-Token": door["token"]})
    assert answer.status == 200, answer
    made, signed = answer.data["list"], answer.data
    assert {one["seat"]: (one["generation"], one["state"]) for one in made["tickets"]} == {
        "A1": (1, "used"),
        "A2": (2, "valid"),
        "B1": (1, "blocked"),
    }
    (group,) = made["groups"]
    assert group["ticket_ids"] == [first["id"], second["id"]]
    assert group["generation"] == 2
    assert (made["showtime_id"], made["film"], made["cancelled"]) == (showtime_id, "Film", False)
    assert at_of(made["starts_at"]) - at_of(made["opens_at"]) == 30 * MINUTE
    assert at_of(made["closes_at"]) - at_of(made["ends_at"]) == 15 * MINUTE
    text = msgspec.json.encode(signed).decode()
    assert cancelled["id"] not in text
    for person in house.people.values():
        assert person not in text
    assert "@" not in text
    # A scanner checks it, and each ticket, by the public key alone.
    (key,) = [one for one in made["keys"] if one["key_id"] == signed["key_id"]]
    public = Ed25519PublicKey.from_public_bytes(from_base64url(key["public_key"]))
    content = msgspec.json.encode(made, order="sorted")
    public.verify(from_base64url(signed["signature"]), content)
    with pytest.raises(InvalidSignature):
        public.verify(from_base64url(signed["signature"]), content.replace(b"used", b"fine"))
    raw = bytes_of(first["token"]) or b""
    public.verify(raw[27:], raw[:27])
    assert str(claim_in(raw).ticket_id) in {one["id"] for one in made["tickets"]}


async def test_a_list_that_a_scanner_has_is_not_sent_again(house: House) -> None:
    showtime_id = await open_doors(house)
    (ticket,) = await sold(house, showtime_id, "A1")
    path = f"showtimes/{showtime_id}/scan-list"
    tag = (await house.ask("staff", "GET", path)).headers["ETag"]
    seen = {"If-None-Match": tag}
    assert (await house.ask("staff", "GET", path, headers=seen)).status == 304
    assert (await house.ask("admin", "GET", path, headers=seen)).status == 304
    await scan(house, ticket["token"])
    assert (await house.ask("staff", "GET", path, headers=seen)).status == 200
    for person, error in (
        ("staff elsewhere", (404, "NOT_FOUND")),
        ("ada", (403, "FORBIDDEN")),
        (None, (401, "UNAUTHENTICATED")),
    ):
        assert (await house.ask(person, "GET", path)).error == error
    nowhere = await house.ask("admin", "GET", f"showtimes/{UNKNOWN_ID}/scan-list")
    assert nowhere.error == (404, "NOT_FOUND")


async def test_what_was_scanned_without_a_connection_counts(house: House) -> None:
    showtime_id = await open_doors(house)
    first, second, third = await sold(house, showtime_id, "A1", "A2", "A3")
    now = datetime.now(UTC)
    scans = [
        offline(first, now - 5 * MINUTE),
        offline(second, now - 4 * MINUTE),
        offline(second, now - 3 * MINUTE, direction="exit"),
        {**offline(third, now - 2 * MINUTE), "token": "nonsense"},
    ]
    door = await device(house, "Cellar")
    answer = await upload(house, *scans, device=door["token"])
    assert answer.status == 200, answer
    assert [one["nonce"] for one in answer.data["scans"]] == [one["nonce"] for one in scans]
    assert [(one["outcome"], one["code"]) for one in answer.data["scans"]] == [
        ("admitted", None),
        ("admitted", None),
        ("admitted", None),
        ("refused", "TICKET_FORGED"),
    ]
    assert answer.data["scans"][0]["ticket_ids"] == [first["id"]]
    assert answer.data["conflicts"] == []
    seen = (await house.ask("staff", "GET", f"showtimes/{showtime_id}/attendance")).data
    assert [
        (one["seat"], one["inside"], at_of(one["entered_at"]), one["scanner"])
        for one in seen["entries"]
    ] == [
        ("A1", True, now - 5 * MINUTE, "Cellar"),
        ("A2", False, now - 4 * MINUTE, "Cellar"),
    ]
    # Uploaded again, because the answer was lost: nothing new, and the same answer.
    assert (await upload(house, *scans, device=door["token"])).data == answer.data
    rows = await house.database.fetch(
        "select outcome, offline from ticket_scans where booking_id = $1", first["booking_id"]
    )
    assert Counter(map(tuple, rows)) == {("admitted", True): 3}
    wrong = await upload(house, {**scans[0], "token": third["token"]}, device=door["token"])
    assert wrong.error == (422, "IDEMPOTENCY_MISMATCH")


async def test_of_two_entries_the_earlier_counts_whoever_uploads_first(house: House) -> None:
    showtime_id = await open_doors(house)
    now = datetime.now(UTC)
    early, late = now - 9 * MINUTE, now - 2 * MINUTE
    for seat, order in (("A1", (early, late)), ("A3", (late, early))):
        (ticket,) = await sold(house, showtime_id, seat)
        doors = {early: await device(house, "Early"), late: await device(house, "Late")}
        answers = [
            await upload(house, offline(ticket, at), device=doors[at]["token"]) for at in order
        ]
        assert answers[0].data["scans"][0]["outcome"] == "admitted"
        assert answers[1].data["scans"][0]["outcome"] == "conflict"
        (conflict,) = answers[1].data["conflicts"]
        assert (conflict["ticket_id"], conflict["seat"]) == (ticket["id"], seat)
        assert (at_of(conflict["first_at"]), conflict["first_by"]) == (early, "Early")
        assert (at_of(conflict["also_at"]), conflict["also_by"]) == (late, "Late")
        seen = (await house.ask("ada", "GET", f"tickets/{ticket['id']}")).data
        assert at_of(seen["used_at"]) == early
        refused = await scan(house, ticket["token"])
        assert refused.error == (409, "ALREADY_USED")
        assert refused.details["scanner"] == "Early"


async def test_scans_of_one_upload_are_taken_in_the_order_of_their_times(house: House) -> None:
    showtime_id = await open_doors(house)
    (ticket,) = await sold(house, showtime_id, "A1")
    now = datetime.now(UTC)
    scans = [
        offline(ticket, now - 1 * MINUTE),
        offline(ticket, now - 2 * MINUTE, direction="exit"),
        offline(ticket, now - 3 * MINUTE),
        offline(ticket, now - 150 * timedelta(seconds=1)),
    ]
    answer = await upload(house, *scans)
    assert [one["outcome"] for one in answer.data["scans"]] == [
        "admitted",
        "admitted",
        "admitted",
        "conflict",
    ]


async def test_two_scanners_that_upload_at_the_same_time_agree(house: House) -> None:
    showtime_id = await open_doors(house)
    seats = [f"{row}{number}" for row in "AB" for number in range(1, 9)]
    tickets = await sold(house, showtime_id, *seats[:8])
    now = datetime.now(UTC)
    doors = [await device(house, f"Door {number}") for number in range(4)]
    batches = [
        [offline(one, now - (number + 1) * MINUTE) for one in tickets[:: 1 if number % 2 else -1]]
        for number in range(4)
    ]
    answers = await asyncio.gather(
        *(
            upload(house, *batch, device=door["token"])
            for door, batch in zip(doors, batches, strict=True)
        )
    )
    assert [one.status for one in answers] == [200] * 4
    outcomes = Counter(one["outcome"] for answer in answers for one in answer.data["scans"])
    assert outcomes == {"admitted": 8, "conflict": 24}
    for ticket in await tickets_of(house, "ada", tickets[0]["booking_id"]):
        assert at_of(ticket["used_at"]) == now - 4 * MINUTE


@pytest.mark.parametrize("minutes", [-11, 11])
async def test_a_clock_that_is_wrong_by_minutes_is_put_right(house: House, minutes: int) -> None:
    showtime_id = await open_doors(house)
    (ticket,) = await sold(house, showtime_id, "A1")
    (later,) = await sold(house, showtime_id, "A3")
    wrong, now = minutes * MINUTE, datetime.now(UTC)
    # By a right clock the first was scanned five minutes ago, and the second online a minute ago.
    assert (await scan(house, later["token"])).status == 200
    answer = await upload(
        house,
        offline(ticket, now - 5 * MINUTE + wrong),
        offline(later, now - 5 * MINUTE + wrong),
        sent_at=(now + wrong).isoformat(),
    )
    first, second = answer.data["scans"]
    assert (first["outcome"], second["outcome"]) == ("admitted", "conflict")
    for one in (first, second):
        apart = at_of(one["at"]) - (now - 5 * MINUTE)
        assert timedelta(0) <= apart < MINUTE
    (conflict,) = answer.data["conflicts"]
    assert at_of(conflict["first_at"]) == at_of(second["at"])


async def test_what_must_not_be_let_in_is_listed_and_changes_nothing(house: House) -> None:
    showtime_id = await open_doors(house)
    gone, blocked, lost, good = await sold(house, showtime_id, "A1", "A2", "A3", "A4")
    (later,) = await sold(house, await house.showtime(), "A1")
    await house.ask("staff", "POST", f"tickets/{blocked['id']}/block", {"reason": "Stolen."})
    await house.ask("ada", "POST", f"tickets/{lost['id']}/reissue")
    await house.database.execute(
        "update booking_seats set live = false, given_back = true where booking_id = $1"
        " and seat = 'A1'",
        gone["booking_id"],
    )
    now = datetime.now(UTC)
    answer = await upload(house, *(offline(one, now) for one in (gone, blocked, lost, later, good)))
    assert [(one["outcome"], one["code"]) for one in answer.data["scans"]] == [
        ("refused", "TICKET_CANCELLED"),
        ("refused", "TICKET_BLOCKED"),
        ("refused", "TICKET_REVOKED"),
        ("refused", "TOO_EARLY"),
        ("admitted", None),
    ]
    elsewhere = await upload(house, offline(good, now), by="staff elsewhere")
    (refused,) = elsewhere.data["scans"]
    assert (refused["code"], refused["ticket_ids"]) == ("WRONG_CINEMA", [])
    used = [
        one["seat"]
        for one in await tickets_of(house, "ada", good["booking_id"])
        if one["status"] == "used"
    ]
    assert used == ["A4"]


async def test_the_code_of_a_booking_counts_for_all_of_its_tickets(house: House) -> None:
    showtime_id = await open_doors(house)
    tickets = await sold(house, showtime_id, "A1", "A2", "A3")
    now = datetime.now(UTC)
    assert (await scan(house, tickets[1]["token"])).status == 200
    whole = {**tickets[0], "token": tickets[0]["group_token"]}
    answer = await upload(house, offline(whole, now - MINUTE))
    (outcome,) = answer.data["scans"]
    assert outcome["ticket_ids"] == [one["id"] for one in tickets]
    assert outcome["outcome"] == "conflict"
    assert [one["seat"] for one in answer.data["conflicts"]] == ["A2"]
    seen = (await house.ask("staff", "GET", f"showtimes/{showtime_id}/attendance")).data
    assert seen["inside"] == 3


async def test_five_hundred_scans_are_uploaded_at_once_and_no_more(house: House) -> None:
    showtime_id = await open_doors(house)
    tickets = await sold(house, showtime_id, "A1", "A2")
    now = datetime.now(UTC)
    many = [offline(tickets[number % 2], now - MINUTE) for number in range(501)]
    assert (await upload(house, *many)).error == (400, "VALIDATION_ERROR")
    assert (await upload(house)).error == (400, "VALIDATION_ERROR")
    answer = await upload(house, *many[:500])
    outcomes = Counter(one["outcome"] for one in answer.data["scans"])
    assert outcomes == {"admitted": 2, "conflict": 498}


async def test_a_scan_whose_answer_was_lost_may_be_uploaded_with_its_nonce(house: House) -> None:
    showtime_id = await open_doors(house)
    first, second, third = await sold(house, showtime_id, "A1", "A2", "A3")
    door = await device(house, "Cellar")
    now = datetime.now(UTC)
    # The scanner was told of none of these answers, and went on by itself.
    mine = offline(first, now)
    asked = await scan(house, first["token"], device=door["token"], nonce=mine["nonce"])
    assert asked.status == 200, asked
    await scan(house, second["token"])
    twice = offline(second, now + MINUTE)
    asked = await scan(house, second["token"], device=door["token"], nonce=twice["nonce"])
    assert asked.error == (409, "ALREADY_USED")
    scans = [mine, twice, offline(third, now)]
    answer = await upload(house, *scans, device=door["token"])
    assert answer.status == 200, answer
    told = [(one["outcome"], one["ticket_ids"]) for one in answer.data["scans"]]
    assert told == [
        ("admitted", [first["id"]]),
        ("conflict", [second["id"]]),
        ("admitted", [third["id"]]),
    ]
    (conflict,) = answer.data["conflicts"]
    assert conflict["ticket_id"] == second["id"]
    assert (await upload(house, *scans, device=door["token"])).data == answer.data
