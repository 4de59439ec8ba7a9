"""Tickets at the door: let in once, by whoever scans them, where and when they are for."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from cinema.features.tickets.rules import GROUP, ticket_id
from cinema.features.tickets.scan_store import ScansRepository
from cinema.features.tickets.signing import TicketKeys
from tests.e2e.api.books import TYPES, sells_by
from tests.e2e.api.doors import device, open_doors, scan, sold, tickets_of
from tests.e2e.api.house import UNKNOWN_ID, House
from tests.e2e.api.paying import reserve, verify
from tests.e2e.api.showtimes import cancel as cancel_showtime

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEYS = TicketKeys([bytes.fromhex("cd" * 32)])
"""The key of a house."""


async def logged(house: House, ticket: dict[str, Any]) -> list[tuple[str, str]]:
    """What was written down of a booking's tickets: which way, and what came of it."""
    rows = await house.database.fetch(
        "select direction, outcome from ticket_scans where booking_id = $1 order by id",
        ticket["booking_id"],
    )
    return sorted((row[0], row[1]) for row in rows)


async def elsewhere(house: House) -> str:
    """Another cinema, with the staff and the manager who are `elsewhere`."""
    cinema = {"name": "Elsewhere", "city": "Rome", "country": "IT", "time_zone": "Europe/Rome"}
    made = await house.ask("admin", "POST", "cinemas", {**cinema, "currency": "EUR"})
    await house.database.executemany(
        "insert into cinema_managers (user_id, cinema_id) values ($1, $2) on conflict do nothing",
        [(house.people[f"{one} elsewhere"], made.data["id"]) for one in ("staff", "manager")],
    )
    return str(made.data["id"])


async def test_a_ticket_is_let_in_once(house: House) -> None:
    showtime_id = await open_doors(house)
    (ticket,) = await sold(house, showtime_id, "A1")
    first = await scan(house, ticket["token"])
    assert first.status == 200, first
    assert (first.data["admitted"], first.data["direction"]) == (True, "entry")
    shown = first.data["ticket"]
    assert (shown["id"], shown["seat"], shown["status"]) == (ticket["id"], "A1", "used")
    assert first.data["tickets"] == [shown]
    assert (shown["token"], first.data["checks"], first.data["refused"]) == (None, [], [])
    second = await scan(house, ticket["token"], by="manager")
    assert second.error == (409, "ALREADY_USED")
    assert second.details == {
        "ticket_id": ticket["id"],
        "seat": "A1",
        "used_at": shown["used_at"],
        "scanner": "staff",
    }
    seen = (await house.ask("ada", "GET", f"tickets/{ticket['id']}")).data
    assert (seen["status"], seen["used_at"]) == ("used", shown["used_at"])
    assert await logged(house, ticket) == [("entry", "ALREADY_USED"), ("entry", "admitted")]


async def test_fifty_scanners_at_one_ticket_let_one_in(house: House) -> None:
    showtime_id = await open_doors(house)
    (ticket,) = await sold(house, showtime_id, "A1")
    doors = [await device(house, f"Door {number}") for number in range(5)]
    answers = await asyncio.gather(
        *(
            scan(house, ticket["token"], device=doors[number % 5]["token"], nonce=f"n{number}")
            for number in range(50)
        )
    )
    outcomes = Counter(one.status for one in answers)
    assert outcomes == {200: 1, 409: 49}
    (winner,) = [one for one in answers if one.status == 200]
    for one in answers:
        if one is not winner:
            assert one.error == (409, "ALREADY_USED")
            assert one.details["used_at"] == winner.data["ticket"]["used_at"]
    assert Counter(await logged(house, ticket)) == {
        ("entry", "admitted"): 1,
        ("entry", "ALREADY_USED"): 49,
    }


async def test_scanners_of_groups_and_of_tickets_meet_without_a_deadlock(house: House) -> None:
    showtime_id = await open_doors(house)
    tickets = await sold(house, showtime_id, *(f"A{number}" for number in range(1, 9)))
    tokens = [tickets[0]["group_token"]] * 8 + [one["token"] for one in reversed(tickets)]
    answers = await asyncio.gather(*(scan(house, token) for token in tokens))
    let_in = Counter(
        one["id"] for answer in answers if answer.status == 200 for one in answer.data["tickets"]
    )
    assert let_in == {one["id"]: 1 for one in tickets}
    assert {one.error for one in answers if one.status != 200} <= {(409, "ALREADY_USED")}


async def test_the_same_nonce_gets_the_same_answer(house: House) -> None:
    showtime_id = await open_doors(house)
    first, second = await sold(house, showtime_id, "A1", "A2")
    answers = await asyncio.gather(*(scan(house, first["token"], nonce="one") for _ in range(10)))
    assert [one.status for one in answers] == [200] * 10, answers
    assert all(one.data == answers[0].data for one in answers)
    assert await logged(house, first) == [("entry", "admitted")]
    refused = await scan(house, first["token"], nonce="two")
    again = await scan(house, first["token"], nonce="two")
    assert refused.error == again.error == (409, "ALREADY_USED")
    assert refused.details == again.details
    # Nothing that happens later changes what was answered.
    taken_back = {"reason": "Mistake."}
    path = f"tickets/{first['id']}/unscan"
    assert (await house.ask("staff", "POST", path, taken_back)).status == 200
    assert (await scan(house, first["token"], nonce="one")).data == answers[0].data
    assert (await scan(house, first["token"], nonce="two")).error == (409, "ALREADY_USED")
    # It is the nonce of one scan, and of one scanner.
    other = await scan(house, second["token"], nonce="one")
    assert other.error == (422, "IDEMPOTENCY_MISMATCH")
    assert (await scan(house, second["token"], nonce="one", by="manager")).status == 200


async def test_two_tickets_under_one_nonce_at_the_same_time_let_one_in(house: House) -> None:
    showtime_id = await open_doors(house)
    tickets = await sold(house, showtime_id, "A1", "A2")
    answers = await asyncio.gather(
        *(scan(house, one["token"], nonce=f"twins-{showtime_id}") for one in tickets)
    )
    assert sorted(one.status for one in answers) == [200, 422]
    used = [one["status"] for one in await tickets_of(house, "ada", tickets[0]["booking_id"])]
    assert sorted(used) == ["used", "valid"]


async def test_a_booking_is_let_in_by_one_code(house: House) -> None:
    showtime_id = await open_doors(house)
    tickets = await sold(house, showtime_id, "A1", "A2", "A3", "A4")
    early, blocked, *others = tickets
    assert (await scan(house, early["token"])).status == 200
    await house.ask("staff", "POST", f"tickets/{blocked['id']}/block", {"reason": "Stolen."})
    answer = await scan(house, early["group_token"])
    assert answer.status == 200, answer
    assert [one["id"] for one in answer.data["tickets"]] == [one["id"] for one in others]
    assert answer.data["ticket"]["id"] == others[0]["id"]
    assert {one["ticket_id"]: one["code"] for one in answer.data["refused"]} == {
        early["id"]: "ALREADY_USED",
        blocked["id"]: "TICKET_BLOCKED",
    }
    # Of several refusals the first in the order.
    again = await scan(house, early["group_token"])
    assert again.error == (409, "TICKET_BLOCKED")
    assert again.details["ticket_id"] == blocked["id"]
    out = await scan(house, early["group_token"], direction="exit")
    assert [one["id"] for one in out.data["tickets"]] == [
        one["id"] for one in tickets if one is not blocked
    ]


async def test_a_group_that_gave_seats_back_comes_in_with_the_others(house: House) -> None:
    showtime_id = await house.showtime()
    stays, gone = await sold(house, showtime_id, "A1", "A2")
    await house.ask("ada", "DELETE", f"bookings/{stays['booking_id']}?seats=A2")
    await house.move(showtime_id, starts_in=timedelta(minutes=10))
    assert (await scan(house, gone["token"])).error == (409, "TICKET_CANCELLED")
    answer = await scan(house, stays["group_token"])
    assert [one["id"] for one in answer.data["tickets"]] == [stays["id"]]
    assert answer.data["refused"] == []


async def test_what_is_no_ticket_of_ours_is_forged(house: House) -> None:
    showtime_id = await open_doors(house)
    (ticket,) = await sold(house, showtime_id, "A1")
    strangers = TicketKeys([b"x" * 32])
    nobody = ticket_id(uuid4(), 0)
    for token in (
        "nonsense",
        ticket["token"][:-1],
        strangers.token(UUID(ticket["id"]), UUID(showtime_id), 1),
        KEYS.token(nobody, UUID(showtime_id), 1),
        KEYS.token(UUID(ticket["id"]), UUID(UNKNOWN_ID), 1),
        KEYS.token(ticket_id(UUID(ticket["booking_id"]), 1), UUID(showtime_id), 1),
    ):
        refused = await scan(house, token)
        assert refused.error == (422, "TICKET_FORGED"), token
        assert refused.details == {}
    assert (await scan(house, ticket["token"].lower())).status == 200


async def test_a_forged_ticket_is_kept_under_its_nonce_like_any_other_answer(house: House) -> None:
    showtime_id = await open_doors(house)
    (ticket,) = await sold(house, showtime_id, "A1")
    nobodys = KEYS.token(ticket_id(uuid4(), 0), UUID(showtime_id), 1)
    for token in ("nonsense", nobodys):
        nonce = f"forged-{token[:8]}"
        for _ in range(2):
            assert (await scan(house, token, nonce=nonce)).error == (422, "TICKET_FORGED")
        other = await scan(house, ticket["token"], nonce=nonce)
        assert other.error == (422, "IDEMPOTENCY_MISMATCH")
    assert (await scan(house, ticket["token"], nonce="another")).status == 200


async def test_wrong_doors_and_wrong_times(house: House) -> None:
    showtime_id, other = await open_doors(house), await house.showtime()
    (ticket,) = await sold(house, showtime_id, "A1")
    (later,) = await sold(house, other, "A1")
    wrong = await scan(house, ticket["token"], showtime_id=other)
    assert wrong.error == (409, "WRONG_SHOWTIME")
    assert wrong.details["showtime_id"] == showtime_id
    screen_id = await house.screen(grid={"rows": 2, "columns": 2})
    assert (await scan(house, ticket["token"], screen_id=screen_id)).error == (
        409,
        "WRONG_SHOWTIME",
    )
    early = await scan(house, later["token"])
    assert early.error == (409, "TOO_EARLY")
    starts_at = (await house.ask(None, "GET", f"showtimes/{other}")).data["starts_at"]
    opens_at = datetime.fromisoformat(early.details["opens_at"])
    assert datetime.fromisoformat(starts_at) - opens_at == timedelta(minutes=30)
    for minutes, code in ((-136, "TOO_LATE"), (-134, None), (29, None), (31, "TOO_EARLY")):
        hall = await house.screen(grid={"rows": 2, "columns": 2})
        (one,) = await sold(house, moved := await house.showtime(screen_id=hall), "A1")
        await house.move(moved, starts_in=timedelta(minutes=minutes))
        answer = await scan(house, one["token"])
        assert answer.error[1:] == (code,) if code else answer.status == 200, minutes
    # A scan that waited for its connection counts as of when it was shown, never as of later.
    hall = await house.screen(grid={"rows": 2, "columns": 2})
    soon = await house.showtime(screen_id=hall)
    (one,) = await sold(house, soon, "A1")
    await house.move(soon, starts_in=timedelta(minutes=-140))
    shown_at = datetime.now(UTC) - timedelta(minutes=10)
    answer = await scan(house, one["token"], at=shown_at.isoformat())
    assert datetime.fromisoformat(answer.data["ticket"]["used_at"]) == shown_at
    ahead = datetime.now(UTC) + timedelta(days=30)
    assert (await scan(house, later["token"], at=ahead.isoformat())).error == (409, "TOO_EARLY")
    at_its_door = await scan(
        house, ticket["token"], showtime_id=showtime_id, screen_id=house.screen_id
    )
    assert at_its_door.status == 200


async def test_the_window_is_what_the_cinema_says(house: House) -> None:
    showtime_id = await house.showtime()
    (ticket,) = await sold(house, showtime_id, "A1")
    await house.move(showtime_id, starts_in=timedelta(minutes=50))
    assert (await scan(house, ticket["token"])).error == (409, "TOO_EARLY")
    window = "update cinemas set ticket_early_minutes = $2 where id = $1"
    await house.database.execute(window, house.cinema_id, 60)
    try:
        assert (await scan(house, ticket["token"])).status == 200
    finally:
        await house.database.execute(window, house.cinema_id, 30)


async def test_tickets_of_other_cinemas_are_not_let_in(house: House) -> None:
    showtime_id = await open_doors(house)
    (ticket,) = await sold(house, showtime_id, "A1")
    cinema_id = await elsewhere(house)
    path = f"cinemas/{cinema_id}/scanners"
    foreign = (await house.ask("manager elsewhere", "POST", path, {"name": "Door"})).data["token"]
    for answer in (
        await scan(house, ticket["token"], by="staff elsewhere"),
        await scan(house, ticket["token"], by="manager elsewhere", force=True),
        await scan(house, ticket["token"], device=foreign),
    ):
        assert answer.error == (409, "WRONG_CINEMA")
        assert answer.details == {}
    assert (await scan(house, ticket["token"], by="admin")).status == 200


async def test_what_is_not_paid_or_was_cancelled_is_not_let_in(house: House) -> None:
    await verify(house, "bob")
    showtime_id = await house.showtime()
    booking = await reserve(house, "bob", showtime_id, "A1")
    unpaid = KEYS.token(ticket_id(UUID(booking["id"]), 0), UUID(showtime_id), 1)
    assert (await scan(house, unpaid)).error == (409, "TICKET_UNPAID")
    whole = KEYS.token(ticket_id(UUID(booking["id"]), GROUP), UUID(showtime_id), 1)
    assert (await scan(house, whole)).error == (409, "TICKET_UNPAID")
    (cancelled,) = await sold(house, showtime_id, "A3")
    await house.ask("ada", "DELETE", f"bookings/{cancelled['booking_id']}")
    assert (await scan(house, cancelled["token"])).error == (409, "TICKET_CANCELLED")
    called_off = await house.showtime()
    (ticket,) = await sold(house, called_off, "A1")
    assert (await cancel_showtime(house, called_off)).status == 202
    assert (await scan(house, ticket["token"])).error == (409, "TICKET_CANCELLED")


async def test_blocked_tickets_wait_until_they_are_unblocked(house: House) -> None:
    showtime_id = await open_doors(house)
    (ticket,) = await sold(house, showtime_id, "A1")
    path = f"tickets/{ticket['id']}"
    blocked = await house.ask("staff", "POST", f"{path}/block", {"reason": "Stolen."})
    assert blocked.data["blocked"] is True
    assert (await house.ask("staff", "POST", f"{path}/block", {"reason": "Again."})).status == 200
    assert (await scan(house, ticket["token"])).error == (409, "TICKET_BLOCKED")
    assert (await house.ask("staff", "POST", f"{path}/unblock")).data["blocked"] is False
    assert (await house.ask("staff", "POST", f"{path}/unblock")).status == 200
    assert (await scan(house, ticket["token"])).status == 200
    # Neither is done to tickets of other cinemas, nor by their owners.
    for person, error in (("staff elsewhere", (404, "NOT_FOUND")), ("ada", (403, "FORBIDDEN"))):
        answer = await house.ask(person, "POST", f"{path}/block", {"reason": "No."})
        assert answer.error == error
    audited = await house.database.fetch(
        "select action, after::text from audit_log where target_id = $1 order by at, id",
        ticket["id"],
    )
    assert [(row[0], "Stolen." in row[1]) for row in audited] == [
        ("ticket_blocked", True),
        ("ticket_unblocked", False),
    ]


async def test_staff_elsewhere_do_not_touch_what_they_bought_here(house: House) -> None:
    """Who works at another cinema is a customer at this one."""
    showtime_id = await open_doors(house)
    (ticket,) = await sold(house, showtime_id, "A1", person="staff elsewhere")
    for what in ("block", "unscan"):
        path = f"tickets/{ticket['id']}/{what}"
        answer = await house.ask("staff elsewhere", "POST", path, {"reason": "Mine."})
        assert answer.error == (404, "NOT_FOUND")


async def test_who_goes_out_comes_in_again(house: House) -> None:
    showtime_id = await open_doors(house)
    (ticket,) = await sold(house, showtime_id, "A1")
    outside = await scan(house, ticket["token"], direction="exit")
    assert outside.error == (409, "TICKET_NOT_INSIDE")
    assert (await scan(house, ticket["token"])).status == 200
    leaving = await asyncio.gather(
        *(scan(house, ticket["token"], direction="exit") for _ in range(8))
    )
    assert Counter(one.status for one in leaving) == {200: 1, 409: 7}
    back = await asyncio.gather(*(scan(house, ticket["token"]) for _ in range(8)))
    assert Counter(one.status for one in back) == {200: 1, 409: 7}


async def test_a_scan_by_mistake_is_taken_back(house: House) -> None:
    showtime_id = await open_doors(house)
    (ticket,) = await sold(house, showtime_id, "A1")
    path, reason = f"tickets/{ticket['id']}/unscan", {"reason": "Wrong door."}
    assert (await house.ask("staff", "POST", path, reason)).error == (409, "TICKET_NOT_INSIDE")
    assert (await scan(house, ticket["token"])).status == 200
    assert (await house.ask("staff", "POST", path, {})).error == (400, "VALIDATION_ERROR")
    assert (await house.ask("staff elsewhere", "POST", path, reason)).status == 404
    taken_back = await house.ask("staff", "POST", path, reason)
    assert (taken_back.data["status"], taken_back.data["used_at"]) == ("valid", None)
    assert (await scan(house, ticket["token"])).status == 200
    row = await house.database.fetchrow(
        "select actor_id::text, after->>'reason' as reason from audit_log"
        " where action = 'ticket_unscanned' and target_id = $1",
        ticket["id"],
    )
    assert tuple(row) == (house.people["staff"], "Wrong door.")


async def test_managers_force_what_does_not_fit(house: House) -> None:
    showtime_id = await open_doors(house)
    (ticket,) = await sold(house, showtime_id, "A1")
    (later,) = await sold(house, await house.showtime(), "A1")
    assert (await scan(house, ticket["token"])).status == 200
    for token in (ticket["token"], later["token"]):
        refused = await scan(house, token, force=True)
        assert refused.error == (403, "FORBIDDEN")
        assert (await scan(house, token, by="manager", force=True)).status == 200
    door = await device(house)
    refused = await scan(house, ticket["token"], device=door["token"], force=True)
    assert refused.error == (403, "FORBIDDEN")
    audited = await house.database.fetchval(
        "select count(*) from audit_log where action = 'ticket_forced' and target_id = any($1)"
        " and actor_id = $2",
        [ticket["id"], later["id"]],
        house.people["manager"],
    )
    assert audited == 2
    await house.ask("staff", "DELETE", f"bookings/{later['booking_id']}")
    refused = await scan(house, later["token"], by="manager", force=True)
    assert refused.error == (409, "TICKET_CANCELLED")


async def test_doors_are_told_what_to_look_at(house: House) -> None:
    showtime_id = await open_doors(house)
    child = {"code": "child", "name": "Child", "proof": "Student card"}
    await sells_by(house, showtime_id, ticket_types=[TYPES[0], child])
    body = {
        "showtime_id": showtime_id,
        "hold_id": await house.held("ada", showtime_id, "A1", "A2"),
        "payment": {"method": "demo"},
        "tickets": [{"seat": "A2", "type": "child"}],
    }
    booking = await house.ask("ada", "POST", "bookings", body)
    assert booking.status == 201, booking
    tickets = await tickets_of(house, "ada", booking.data["id"])
    rating = "update movies set age_rating = $2 where id = $1"
    await house.database.execute(rating, house.movie_id, "16")
    try:
        first = await scan(house, tickets[0]["token"])
        assert first.data["checks"] == ["age 16"]
        second = await scan(house, tickets[0]["group_token"])
        assert second.data["checks"] == ["age 16", "Student card"]
    finally:
        await house.database.execute(rating, house.movie_id, None)


async def test_scanners_do_nothing_but_scan(house: House) -> None:
    made = await device(house, "Side door")
    token, scanner = made["token"], made["device"]
    assert token.startswith("scanner_")
    assert (scanner["name"], scanner["cinema_id"]) == ("Side door", house.cinema_id)
    kept = await house.database.fetchval("select string_agg(d::text, '') from scanner_devices d")
    assert token not in kept
    showtime_id = await open_doors(house)
    first, second = await sold(house, showtime_id, "A1", "A2")
    let_in = await scan(house, first["token"], device=token)
    assert let_in.status == 200
    used = await scan(house, first["token"])
    assert used.details["scanner"] == "Side door"
    # Staff who stand at it name it; a scanner is itself.
    assert (await scan(house, second["token"], device_id=scanner["id"])).status == 200
    assert (await scan(house, second["token"])).details["scanner"] == "Side door"
    other = (await device(house))["device"]["id"]
    for answer in (
        await scan(house, first["token"], device=token, device_id=other),
        await scan(house, first["token"], device_id=UNKNOWN_ID),
        await scan(house, first["token"], by="staff elsewhere", device_id=scanner["id"]),
    ):
        assert answer.error == (422, "UNKNOWN_REFERENCE")
    document = await (await house.client.get("openapi.json")).json()
    taken = set()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if {"device": []} in operation.get("security", []):
                taken.add(operation["operationId"])
            elif operation.get("security") == [{"bearer": []}]:
                shown = path.removeprefix("/api/v1/").replace("{", "").replace("}", "")
                for headers in ({"Device-Token": token}, {"Authorization": f"Bearer {token}"}):
                    refused = await house.ask(None, method.upper(), shown, headers=headers)
                    assert refused.status in {401, 404}, (method, path)
    assert taken == {"scanTicket", "uploadScans", "getScanList"}


async def test_a_scanner_that_was_revoked_scans_no_more(house: House) -> None:
    made = await device(house)
    showtime_id = await open_doors(house)
    (ticket,) = await sold(house, showtime_id, "A1")
    path = f"scanners/{made['device']['id']}"
    assert (await house.ask("manager elsewhere", "DELETE", path)).error == (404, "NOT_FOUND")
    assert (await house.ask("staff", "DELETE", path)).error == (403, "FORBIDDEN")
    revoked = await house.ask("manager", "DELETE", path)
    assert revoked.data["revoked_at"] is not None
    assert (await house.ask("manager", "DELETE", path)).data == revoked.data
    for token in (made["token"], "scanner_x", ""):
        refused = await scan(house, ticket["token"], device=token or " ")
        assert refused.error == (401, "UNAUTHENTICATED")
        assert refused.details == {"reason": "UNKNOWN_DEVICE"}
    for number in range(3):
        await device(house, f"Door {number}")
    listed: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await house.ask(
            "manager", "GET", f"cinemas/{house.cinema_id}/scanners?limit=3{cursor}"
        )
        listed += page.data
        after = page.envelope["meta"]["next_cursor"]
        cursor = None if after is None else f"&cursor={after}"
    assert revoked.data in listed
    assert len({one["id"] for one in listed}) == len(listed) > 3
    for person in ("manager elsewhere",):
        path = f"cinemas/{house.cinema_id}/scanners"
        assert (await house.ask(person, "GET", path)).error == (403, "FORBIDDEN")
        assert (await house.ask(person, "POST", path, {"name": "X"})).error == (403, "FORBIDDEN")
    missing = await house.ask("admin", "POST", f"cinemas/{UNKNOWN_ID}/scanners", {"name": "X"})
    assert missing.error == (404, "NOT_FOUND")


async def test_who_is_in_is_seen_by_the_staff(house: House) -> None:
    showtime_id = await open_doors(house)
    tickets = await sold(house, showtime_id, "A1", "A2", "A3")
    (other,) = await sold(house, showtime_id, "B1", person="bob")
    door = await device(house, "Main door")
    assert (await scan(house, tickets[0]["token"], device=door["token"])).status == 200
    assert (await scan(house, other["token"])).status == 200
    assert (await scan(house, other["token"], direction="exit")).status == 200
    path = f"showtimes/{showtime_id}/attendance"
    seen = (await house.ask("staff", "GET", path)).data
    assert (seen["sold"], seen["used"], seen["inside"]) == (4, 2, 1)
    first, second = seen["entries"]
    assert (first["seat"], first["inside"], first["scanner"]) == ("A1", True, "Main door")
    assert (second["seat"], second["inside"], second["scanner"]) == ("B1", False, "staff")
    assert first["left_at"] is None
    assert second["left_at"] > second["entered_at"]
    assert (await house.ask("staff elsewhere", "GET", path)).error == (404, "NOT_FOUND")
    refused = await house.ask(None, "GET", path, headers={"Device-Token": door["token"]})
    assert refused.status == 401


async def test_old_scans_are_forgotten_and_who_was_in_is_not(house: House) -> None:
    showtime_id = await open_doors(house)
    (ticket,) = await sold(house, showtime_id, "A1")
    assert (await scan(house, ticket["token"], nonce=f"old-{ticket['id']}")).status == 200
    now = datetime.now(UTC)
    async with asyncpg.create_pool(house.address, min_size=1, max_size=1) as pool:
        scans = ScansRepository(pool)
        assert await scans.forget(now + timedelta(days=89), 1000) == 0
        assert await logged(house, ticket) == [("entry", "admitted")]
        while await scans.forget(now + timedelta(days=91), 3):
            pass
    assert await logged(house, ticket) == []
    assert await house.database.fetchval("select count(*) from ticket_scan_answers") == 0
    assert (await house.ask("ada", "GET", f"tickets/{ticket['id']}")).data["status"] == "used"


async def test_who_was_let_in_gives_nothing_back(house: House) -> None:
    showtime_id = await open_doors(house)
    used, other = await sold(house, showtime_id, "A1", "A2")
    path = f"bookings/{used['booking_id']}"
    assert (await scan(house, used["token"])).status == 200
    for query in ("", "?seats=A1", "?seats=A2,A1"):
        refused = await house.ask("ada", "DELETE", f"{path}{query}")
        assert (refused.error, refused.details) == ((409, "ALREADY_USED"), {"seats": ["A1"]})
    later = await house.showtime()
    wanted = {"showtime_id": later, "hold_id": await house.held("ada", later, "B1")}
    refused = await house.ask("ada", "POST", f"{path}/exchange", wanted)
    assert (refused.error, refused.details) == ((409, "ALREADY_USED"), {"seats": ["A1"]})
    # Also outside, and with another seat: the ticket was used.
    assert (await scan(house, used["token"], direction="exit")).status == 200
    changed = await house.ask("ada", "POST", f"{path}/seats", {"from": ["A1"], "to": ["A3"]})
    assert changed.status == 200, changed
    refused = await house.ask("ada", "DELETE", f"{path}?seats=A3")
    assert (refused.error, refused.details) == ((409, "ALREADY_USED"), {"seats": ["A3"]})
    part = await house.ask("ada", "DELETE", f"{path}?seats={other['seat']}")
    assert part.status == 200, part
    # Staff see who stands before them.
    assert (await house.ask("staff", "DELETE", path)).data["status"] == "cancelled"
