"""Waiting rooms over HTTP and the socket: places, their order, who comes in, and who may hold."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from cinema.actors.kernel import Kernel
from cinema.actors.messages import Outcome, ReadSeats, Unavailable
from cinema.features.waitingroom.place_store import HANDED_ON_MAX
from cinema.features.waitingroom.rules import shuffled
from cinema.features.waitingroom.store import KEPT, RoomsRepository
from cinema.storage.encryption import Cipher
from tests.e2e.api.house import LABELS, PATIENCE_S, UNKNOWN_ID, Answer, Clocks, House, open_house
from tests.e2e.api.sockets import watching
from tests.support.waiting import look_again

pytestmark = pytest.mark.asyncio(loop_scope="module")

BEHIND = (403, "FORBIDDEN")
NEEDED = (409, "QUEUE_REQUIRED")


@pytest_asyncio.fixture(loop_scope="module")
async def clocked(database: str, clocks: Clocks) -> AsyncIterator[House]:
    """A house whose time the test moves."""
    async with open_house(database, clocks=clocks) as house:
        yield house


async def put(house: House, showtime_id: str, person: str = "manager", **room: Any) -> Answer:
    body = {"mode": "on", **room}
    return await house.ask(person, "PUT", f"showtimes/{showtime_id}/queue", body)


async def join(house: House, person: str | None, showtime_id: str, **body: Any) -> Answer:
    return await house.ask(person, "POST", f"showtimes/{showtime_id}/queue", body)


async def look(house: House, showtime_id: str, token: str | None = None) -> Any:
    query = "" if token is None else f"?token={token}"
    return (await house.ask(None, "GET", f"showtimes/{showtime_id}/queue{query}")).data


async def enter(
    house: House, person: str, showtime_id: str, token: str, secret: str | None = None
) -> Answer:
    body = {"token": token} if secret is None else {"token": token, "device_secret": secret}
    return await house.ask(person, "POST", f"showtimes/{showtime_id}/queue/entry", body)


async def until(seen: Callable[[], Awaitable[bool]]) -> None:
    """Look again until it is so: rounds come once a second."""
    async with asyncio.timeout(3 * PATIENCE_S):
        while not await seen():
            await look_again()


async def status_is(house: House, showtime_id: str, token: str, status: str) -> None:
    async def seen() -> bool:
        place = (await look(house, showtime_id, token))["place"]
        return bool(place["status"] == status)

    await until(seen)


async def admitted(house: House, person: str, showtime_id: str, **body: Any) -> str:
    """The token of a place of somebody whose turn it is."""
    token = str((await join(house, person, showtime_id, **body)).data["place"]["token"])
    await status_is(house, showtime_id, token, "admitted")
    return token


async def test_who_has_waited_holds_and_books_and_is_done(house: House) -> None:
    showtime_id = await house.showtime()
    assert (await look(house, showtime_id))["status"] == "off"
    opened = (await put(house, showtime_id)).data
    assert opened["status"] == "gathering"
    assert (opened["seed"], opened["place"]) == (None, None)
    assert (await house.hold("ada", showtime_id, "A1")).error == NEEDED
    joined = await join(house, "ada", showtime_id)
    assert joined.status == 201
    token = joined.data["place"]["token"]
    assert (joined.data["place"]["status"], joined.data["place"]["position"]) == ("waiting", None)
    assert (await join(house, "ada", showtime_id)).data["place"]["id"] == joined.data["place"]["id"]
    await status_is(house, showtime_id, token, "admitted")
    assert (await house.hold("ada", showtime_id, "A1")).error == NEEDED
    entered = await enter(house, "ada", showtime_id, token)
    assert entered.data["place"]["status"] == "inside"
    again = await enter(house, "ada", showtime_id, token)
    assert again.data["place"]["until"] == entered.data["place"]["until"]
    booking = await house.booked("ada", showtime_id, "A1")
    assert booking
    await status_is(house, showtime_id, token, "ended")
    seen = await look(house, showtime_id, token)
    assert seen["place"]["ended_by"] == "booked"
    room = opened["commitment"]
    assert sha256(bytes.fromhex(seen["seed"])).hexdigest() == room

    async def out() -> bool:
        answer = await house.hold("ada", showtime_id, "A2")
        return answer.status == 409 and answer.error == NEEDED

    await until(out)
    assert (await enter(house, "ada", showtime_id, token)).error == (409, "QUEUE_PLACE_ENDED")


async def test_settings_are_changed_by_who_has_seen_them_as_they_are(house: House) -> None:
    showtime_id = await house.showtime()
    path = f"showtimes/{showtime_id}/queue/settings"
    usual = await house.ask("manager", "GET", path)
    assert (usual.data["mode"], usual.data["version"]) == ("off", 0)
    assert (usual.data["shoppers"], usual.headers["ETag"]) == (200, '"0"')
    wish = {
        "mode": "by_load",
        "shoppers": 50,
        "entry_seconds": 90,
        "shopping_seconds": 900,
        "places_per_address": 7,
        "work_bits": 4,
        "holds_per_second": 30,
    }
    assert (await house.ask("manager", "PUT", path, wish)).error == (428, "PRECONDITION_REQUIRED")
    none = {"If-Match": '"0"'}
    made = await house.ask("manager", "PUT", path, wish, headers=none)
    assert made.data == {
        "showtime_id": showtime_id,
        "starts_at": None,
        "version": made.data["version"],
        **wish,
    }
    assert made.headers["ETag"] == f'"{made.data["version"]}"'
    assert (await house.ask("manager", "GET", path)).data == made.data
    # Another manager has seen that there was none.
    lost = await house.ask("admin", "PUT", path, {**wish, "shoppers": 1}, headers=none)
    assert lost.error == (412, "PRECONDITION_FAILED")
    assert lost.details == {"version": made.data["version"]}
    closing = await house.ask("admin", "PUT", path, {"mode": "off"}, headers=none)
    assert closing.error == (412, "PRECONDITION_FAILED")
    # Who asks for no version in between changes it all the same.
    await put(house, showtime_id, shoppers=60)
    seen = {"If-Match": made.headers["ETag"]}
    assert (await house.ask("manager", "PUT", path, wish, headers=seen)).status == 412
    newest = await house.ask("manager", "GET", path)
    assert (newest.data["mode"], newest.data["shoppers"]) == ("on", 60)
    seen = {"If-Match": newest.headers["ETag"]}
    closed = await house.ask("manager", "PUT", path, {"mode": "off"}, headers=seen)
    assert closed.data == usual.data
    # A room that is opened anew is none that somebody has seen before.
    again = await house.ask("manager", "PUT", path, wish, headers=none)
    assert again.data["version"] > newest.data["version"]
    assert (await house.ask("manager", "PUT", path, wish, headers=seen)).status == 412


async def test_of_two_who_open_a_room_at_once_one_has_seen_it(house: House) -> None:
    showtime_id = await house.showtime()
    path, none = f"showtimes/{showtime_id}/queue/settings", {"If-Match": '"0"'}
    answers = await asyncio.gather(
        *(
            house.ask("manager", "PUT", path, {"mode": "on", "shoppers": n}, headers=none)
            for n in range(1, 5)
        )
    )
    assert sorted(answer.status for answer in answers) == [200, 412, 412, 412]
    (won,) = [answer.data for answer in answers if answer.status == 200]
    assert (await house.ask("manager", "GET", path)).data == won


async def test_places_of_before_the_start_are_shuffled_by_the_seed_and_later_ones_follow(
    clocked: House, clocks: Clocks
) -> None:
    showtime_id = await clocked.showtime()
    start = datetime.now(UTC) + timedelta(minutes=30)
    opened = (await put(clocked, showtime_id, starts_at=start.isoformat(), shoppers=1)).data
    tokens: dict[str, str] = {}
    for number in range(12):
        place = (await join(clocked, None, showtime_id, device_secret=f"{number:022}")).data[
            "place"
        ]
        tokens[place["id"]] = place["token"]
    order = await clocked.ask(None, "GET", f"showtimes/{showtime_id}/queue/order")
    assert order.data == []
    clocks.ahead_s = 31 * 60

    async def is_open() -> bool:
        return bool((await look(clocked, showtime_id))["status"] == "open")

    await until(is_open)
    seed = bytes.fromhex((await look(clocked, showtime_id))["seed"])
    assert sha256(seed).hexdigest() == opened["commitment"]
    late = (await join(clocked, "ada", showtime_id)).data["place"]
    tokens[late["id"]] = late["token"]
    first = await clocked.ask(None, "GET", f"showtimes/{showtime_id}/queue/order?limit=5")
    cursor = first.envelope["meta"]["next_cursor"]
    rest = await clocked.ask(None, "GET", f"showtimes/{showtime_id}/queue/order?cursor={cursor}")
    listed = [UUID(one["id"]) for one in [*first.data, *rest.data]]
    assert listed == shuffled(seed, [UUID(one) for one in tokens if one != late["id"]])
    assert [one["number"] for one in [*first.data, *rest.data]] == list(range(1, 13))

    async def numbered() -> bool:
        return (await look(clocked, showtime_id, late["token"]))["place"]["position"] is not None

    await until(numbered)
    positions = [
        (await look(clocked, showtime_id, tokens[str(place)]))["place"]["position"]
        for place in [*listed, UUID(late["id"])]
    ]
    assert positions == [None, *range(1, 13)]


async def test_a_place_is_its_owners_and_is_used_once(house: House) -> None:
    showtime_id, other = await house.showtime(), await house.showtime()
    for one in (showtime_id, other):
        await put(house, one)
    secret = "s" * 22
    of_device = (await join(house, None, showtime_id, device_secret=secret)).data["place"]["token"]
    of_bob = await admitted(house, "bob", showtime_id)
    await status_is(house, showtime_id, of_device, "admitted")
    for stranger, token, with_secret in (
        ("ada", of_bob, None),
        ("ada", of_bob, secret),
        ("ada", of_device, None),
        ("ada", of_device, "t" * 22),
    ):
        answer = await enter(house, stranger, showtime_id, token, with_secret)
        assert answer.error == (404, "NOT_FOUND")
    assert (await enter(house, "bob", other, of_bob)).error == (404, "NOT_FOUND")
    assert (await enter(house, "bob", showtime_id, of_bob[:-2] + "xx")).error == (404, "NOT_FOUND")
    assert (await enter(house, "ada", showtime_id, of_device, secret)).status == 200
    sold = await enter(house, "guest", showtime_id, of_device, secret)
    assert sold.error == (409, "QUEUE_PLACE_ENDED")
    assert (await house.hold("ada", showtime_id, "A1")).status == 201
    assert (await house.hold("guest", showtime_id, "A3")).error == NEEDED
    assert (await enter(house, "bob", showtime_id, of_bob)).status == 200


async def test_a_guest_who_is_another_one_on_the_same_device_goes_on_in_its_place(
    house: House,
) -> None:
    showtime_id = await house.showtime()
    await put(house, showtime_id)
    secret = "s" * 22
    token = (await join(house, None, showtime_id, device_secret=secret)).data["place"]["token"]
    await status_is(house, showtime_id, token, "admitted")
    first = (await enter(house, "guest", showtime_id, token, secret)).data["place"]
    made = await house.ask(None, "POST", "auth/guest")
    again = {"Authorization": f"Bearer {made.data['access_token']}"}

    async def go_in(with_secret: str) -> Answer:
        body = {"token": token, "device_secret": with_secret}
        path = f"showtimes/{showtime_id}/queue/entry"
        return await house.ask(None, "POST", path, body, headers=again)

    assert (await go_in("t" * 22)).error == (409, "QUEUE_PLACE_ENDED")
    with_account = await enter(house, "ada", showtime_id, token, secret)
    assert with_account.error == (409, "QUEUE_PLACE_ENDED")
    entered = (await go_in(secret)).data["place"]
    assert (entered["status"], entered["until"]) == ("inside", first["until"])
    assert (await enter(house, "guest", showtime_id, token)).error == (409, "QUEUE_PLACE_ENDED")
    held = await house.ask(
        None, "POST", f"showtimes/{showtime_id}/holds", {"seats": ["A1"]}, headers=again
    )
    assert held.status == 201


async def test_a_guest_who_has_booked_leaves_no_place_to_another_one_on_the_same_device(
    house: House,
) -> None:
    showtime_id = await house.showtime()
    await put(house, showtime_id)
    secret = "s" * 22
    token = (await join(house, None, showtime_id, device_secret=secret)).data["place"]["token"]
    await status_is(house, showtime_id, token, "admitted")
    await enter(house, "guest", showtime_id, token, secret)
    made = await house.ask(None, "POST", "auth/guest")
    again = {"Authorization": f"Bearer {made.data['access_token']}"}
    await house.booked("guest", showtime_id, "A1")
    body = {"token": token, "device_secret": secret}
    path = f"showtimes/{showtime_id}/queue/entry"
    entered = await house.ask(None, "POST", path, body, headers=again)
    assert entered.error == (409, "QUEUE_PLACE_ENDED")


async def test_a_guest_who_holds_seats_leaves_no_place_to_another_one_on_the_same_device(
    house: House,
) -> None:
    """And one place does not go on for ever, though nobody holds anything."""
    showtime_id = await house.showtime()
    await put(house, showtime_id)
    secret = "s" * 22
    token = (await join(house, None, showtime_id, device_secret=secret)).data["place"]["token"]
    await status_is(house, showtime_id, token, "admitted")
    await enter(house, "guest", showtime_id, token, secret)
    held = await house.held("guest", showtime_id, "A1")

    async def another() -> Answer:
        made = await house.ask(None, "POST", "auth/guest")
        headers = {"Authorization": f"Bearer {made.data['access_token']}"}
        body = {"token": token, "device_secret": secret}
        path = f"showtimes/{showtime_id}/queue/entry"
        return await house.ask(None, "POST", path, body, headers=headers)

    assert (await another()).error == (409, "QUEUE_PLACE_ENDED")
    await house.ask("guest", "DELETE", f"showtimes/{showtime_id}/holds/{held}")
    for _ in range(HANDED_ON_MAX):
        assert (await another()).status == 200
    assert (await house.hold("guest", showtime_id, "A3")).error == NEEDED
    assert (await another()).error == (409, "QUEUE_PLACE_ENDED")


async def test_one_place_used_by_many_at_once_lets_one_in(house: House) -> None:
    showtime_id = await house.showtime()
    await put(house, showtime_id)
    secret = "s" * 22
    place = (await join(house, None, showtime_id, device_secret=secret)).data["place"]
    await status_is(house, showtime_id, place["token"], "admitted")
    people = ["ada", "bob", "guest", "ada", "bob", "guest"]
    answers = await asyncio.gather(
        *(enter(house, one, showtime_id, place["token"], secret) for one in people)
    )
    winners = {one for one, answer in zip(people, answers, strict=True) if answer.status == 200}
    assert len(winners) == 1
    assert {answer.status for answer in answers} == {200, 409}


async def test_no_more_shop_than_the_room_allows_and_who_goes_makes_room(
    clocked: House, clocks: Clocks
) -> None:
    showtime_id = await clocked.showtime()
    await put(clocked, showtime_id, shoppers=1, shopping_seconds=60)
    first = await admitted(clocked, "ada", showtime_id)
    await enter(clocked, "ada", showtime_id, first)
    second = (await join(clocked, "bob", showtime_id)).data["place"]["token"]

    async def numbered() -> bool:
        return (await look(clocked, showtime_id, second))["place"]["position"] == 1

    await until(numbered)
    assert (await enter(clocked, "bob", showtime_id, second)).error == (409, "QUEUE_NOT_YET")
    left = await clocked.ask("ada", "DELETE", f"showtimes/{showtime_id}/queue")
    assert left.data["status"] == "ended"
    assert (await clocked.hold("ada", showtime_id, "A1")).error == NEEDED
    await status_is(clocked, showtime_id, second, "admitted")
    third = (await join(clocked, "guest", showtime_id)).data["place"]["token"]
    # Bob does not come, and then the guest runs out of time.
    clocks.ahead_s += 61
    await status_is(clocked, showtime_id, third, "admitted")
    assert (await look(clocked, showtime_id, second))["place"]["ended_by"] == "missed"
    assert (await enter(clocked, "bob", showtime_id, second)).error == (409, "QUEUE_PLACE_ENDED")
    await enter(clocked, "guest", showtime_id, third)
    assert (await clocked.hold("guest", showtime_id, "A1")).status == 201
    clocks.ahead_s += 61
    assert (await clocked.hold("guest", showtime_id, "A2")).error == NEEDED
    await status_is(clocked, showtime_id, third, "ended")
    assert (await look(clocked, showtime_id, third))["place"]["ended_by"] == "time"


async def test_nobody_is_called_before_there_are_seats(house: House) -> None:
    showtime_id = await house.showtime()
    hold_id = await house.held("admin", showtime_id, *LABELS)
    await put(house, showtime_id)
    token = (await join(house, "ada", showtime_id)).data["place"]["token"]

    async def numbered() -> bool:
        return (await look(house, showtime_id, token))["place"]["position"] == 1

    await until(numbered)
    assert (await look(house, showtime_id, token))["place"]["status"] == "waiting"
    await house.ask("admin", "DELETE", f"showtimes/{showtime_id}/holds/{hold_id}")
    await status_is(house, showtime_id, token, "admitted")


async def test_staff_of_the_cinema_hold_without_a_place_and_others_need_one(house: House) -> None:
    showtime_id = await house.showtime()
    await put(house, showtime_id)
    for person, seat in (("staff", "A1"), ("manager", "A3"), ("admin", "A5")):
        assert (await house.hold(person, showtime_id, seat)).status == 201
    for person in ("ada", "guest", "staff elsewhere", "manager elsewhere"):
        assert (await house.hold(person, showtime_id, "B1")).error == NEEDED
    async with watching(house, showtime_id, person="ada") as socket:
        answer = await socket.ask(type="hold", ref=1, seats=["B1"])
        assert (answer["ref"], answer["error"]["code"]) == (1, "QUEUE_REQUIRED")
    other = await house.showtime()
    assert (await house.hold("ada", other, "A1")).status == 201


async def test_a_socket_is_told_of_a_place_whenever_it_changes(house: House) -> None:
    showtime_id = await house.showtime()
    await put(house, showtime_id, shoppers=1)
    first = await admitted(house, "ada", showtime_id)
    await enter(house, "ada", showtime_id, first)
    token = (await join(house, "bob", showtime_id)).data["place"]["token"]
    async with watching(house, showtime_id, "?deltas=false") as socket:
        wrong = await socket.ask(type="queue", ref=1, token="AAAA")
        assert (wrong["ref"], wrong["error"]["code"]) == (1, "NOT_FOUND")
        socket.send({"type": "queue", "ref": 2, "token": token})
        told = await socket.message("queue")
        assert (told["ref"], told["data"]["place"]["status"]) == (2, "waiting")
        while told["data"]["place"]["position"] != 1:
            told = await socket.message("queue")
        await house.ask("ada", "DELETE", f"showtimes/{showtime_id}/queue")
        while told["data"]["place"]["status"] != "admitted":
            told = await socket.message("queue")
        socket.send({"type": "queue", "ref": 3, "token": first})
        while told["ref"] != 3:
            told = await socket.message("queue")
        assert told["data"]["place"]["status"] == "ended"


async def test_a_room_that_is_closed_lets_everybody_hold_and_begins_anew(house: House) -> None:
    showtime_id = await house.showtime()
    first = (await put(house, showtime_id)).data
    token = await admitted(house, "ada", showtime_id)
    assert (await put(house, showtime_id, mode="off")).data["status"] == "off"
    assert (await house.hold("bob", showtime_id, "A1")).status == 201
    assert (await join(house, "bob", showtime_id)).error == (409, "QUEUE_CLOSED")
    second = (await put(house, showtime_id)).data
    assert second["id"] != first["id"]
    assert second["commitment"] != first["commitment"]
    assert (await look(house, showtime_id, token))["place"]["status"] == "ended"
    assert (await enter(house, "ada", showtime_id, token)).error == (409, "QUEUE_PLACE_ENDED")


async def test_load_opens_a_room_and_its_emptiness_closes_it(
    clocked: House, clocks: Clocks
) -> None:
    showtime_id = await clocked.showtime()
    armed = (await put(clocked, showtime_id, mode="by_load", holds_per_second=1)).data
    assert armed["status"] == "armed"

    async def refused() -> bool:
        answers = await asyncio.gather(*(clocked.hold("ada", showtime_id, "A1") for _ in range(4)))
        return any(one.status == 409 and one.error == NEEDED for one in answers)

    await until(refused)
    token = await admitted(clocked, "bob", showtime_id)
    await enter(clocked, "bob", showtime_id, token)
    await clocked.ask("bob", "DELETE", f"showtimes/{showtime_id}/queue")
    clocks.ahead_s += 61

    async def is_armed() -> bool:
        seen = await look(clocked, showtime_id)
        return bool(seen["status"] == "armed" and seen["id"] != armed["id"])

    await until(is_armed)
    assert (await clocked.hold("bob", showtime_id, "B1")).status == 201


async def test_an_address_has_its_share_and_work_is_asked_for(house: House) -> None:
    showtime_id = await house.showtime()
    room = (await put(house, showtime_id, places_per_address=2, work_bits=8)).data
    without = await join(house, "ada", showtime_id)
    assert without.error == (422, "PROOF_REQUIRED")
    assert without.details == {"room_id": room["id"], "work_bits": 8}

    def work(bound_to: str) -> str:
        return next(
            str(number)
            for number in range(100_000)
            if sha256(f"{room['id']}:{bound_to}:{number}".encode()).digest()[0] == 0
        )

    secret = "s" * 22
    proof = work(sha256(secret.encode()).hexdigest())
    assert (await join(house, None, showtime_id, device_secret=secret, proof=proof)).status == 201
    ada = work(house.people["ada"])
    assert (await join(house, "ada", showtime_id, proof=ada)).status == 201
    more = await join(house, "bob", showtime_id, proof=work(house.people["bob"]))
    assert more.error == (429, "RATE_LIMITED")
    assert (await join(house, "ada", showtime_id, proof=ada)).status == 201


async def test_what_cannot_be_is_refused(house: House) -> None:
    showtime_id = await house.showtime()
    assert (await put(house, showtime_id, "manager elsewhere")).error == BEHIND
    assert (await put(house, UNKNOWN_ID)).error == (404, "NOT_FOUND")
    unknown = await house.ask(None, "GET", f"showtimes/{UNKNOWN_ID}/queue")
    assert unknown.error == (404, "NOT_FOUND")
    assert (await put(house, showtime_id, shoppers=0)).error == (400, "VALIDATION_ERROR")
    await put(house, showtime_id)
    assert (await join(house, None, showtime_id)).error == (400, "VALIDATION_ERROR")
    forged = await house.ask(None, "GET", f"showtimes/{showtime_id}/queue?token=AAAA")
    assert forged.error == (404, "NOT_FOUND")
    gone = await house.ask("ada", "DELETE", f"showtimes/{showtime_id}/queue")
    assert gone.error == (404, "NOT_FOUND")
    cursor = await house.ask(None, "GET", f"showtimes/{showtime_id}/queue/order?cursor=x")
    assert cursor.error == (400, "VALIDATION_ERROR")


async def film(house: House, showtimes: int = 2) -> tuple[str, list[str]]:
    """The path of the room of a film of its own, and its showtimes."""
    body = {"title": "Solaris", "runtime_minutes": 60}
    movie_id = (await house.ask("admin", "POST", "movies", body)).data["id"]
    path = f"cinemas/{house.cinema_id}/movies/{movie_id}/queue"
    return path, [await house.showtime(movie_id=movie_id) for _ in range(showtimes)]


async def test_a_films_room_has_one_place_for_all_its_showtimes(house: House) -> None:
    path, (first, second) = await film(house)
    assert (await house.ask(None, "GET", path)).data["status"] == "off"
    opened = (await house.ask("manager", "PUT", path, {"mode": "on"})).data
    assert (opened["status"], opened["showtime_ids"]) == ("gathering", [first, second])
    for showtime_id in (first, second):
        assert (await house.hold("ada", showtime_id, "A1")).error == NEEDED
    joined = (await join(house, "ada", first)).data
    assert (joined["movie_id"], joined["id"]) == (opened["movie_id"], opened["id"])
    again = (await join(house, "ada", second)).data
    assert (again["showtime_id"], again["place"]["id"]) == (second, joined["place"]["id"])
    token = joined["place"]["token"]
    await status_is(house, second, token, "admitted")
    assert (await enter(house, "ada", second, token)).data["place"]["status"] == "inside"
    assert (await house.hold("ada", first, "A1")).status == 201
    assert (await house.hold("bob", second, "A3")).error == NEEDED
    await house.booked("ada", second, "A1")
    await status_is(house, first, token, "ended")
    assert (await look(house, first, token))["place"]["ended_by"] == "booked"
    seen = (await house.ask(None, "GET", path)).data
    assert sha256(bytes.fromhex(seen["seed"])).hexdigest() == opened["commitment"]
    # A showtime that is planned now is behind the room within a round; another film's is not.
    third = await house.showtime(movie_id=opened["movie_id"])

    async def is_behind() -> bool:
        return bool((await look(house, third))["status"] == "open")

    await until(is_behind)
    assert (await look(house, await house.showtime()))["status"] == "off"
    assert (await house.ask("manager", "PUT", path, {"mode": "off"})).data["status"] == "off"
    assert (await house.hold("bob", second, "A3")).status == 201


async def test_a_films_room_lets_in_as_many_as_its_showtimes_have_seats_for(house: House) -> None:
    path, (first, second) = await film(house)
    for showtime_id in (first, second):
        await house.booked("admin", showtime_id, *LABELS[:-1])
    await house.ask("manager", "PUT", path, {"mode": "on"})
    people = ("ada", "bob", "guest")
    tokens = [
        (await join(house, one, showtime_id)).data["place"]["token"]
        for one, showtime_id in zip(people, (first, first, second), strict=True)
    ]

    async def states() -> list[str]:
        return [(await look(house, first, one))["place"]["status"] for one in tokens]

    async def two_are_called() -> bool:
        return sorted(await states()) == ["admitted", "admitted", "waiting"]

    await until(two_are_called)


async def test_seats_that_staff_hold_let_nobody_in(house: House) -> None:
    showtime_id = await house.showtime()
    await house.held("admin", showtime_id, *LABELS[:-1])
    await put(house, showtime_id)
    for one in ("ada", "bob"):
        await join(house, one, showtime_id)

    async def rounds_behind(shopping: int) -> tuple[int, int]:
        """How many are called after two more rounds."""
        paced = "select paced_at, shopping from waiting_rooms where showtime_id = $1"
        seen: set[datetime] = set()
        while True:
            row = await house.database.fetchrow(paced, UUID(showtime_id))
            if row["shopping"] >= shopping:
                seen.add(row["paced_at"])
            if len(seen) == 3:
                return row["shopping"], len(seen)

    async with asyncio.timeout(3 * PATIENCE_S):
        assert (await rounds_behind(1))[0] == 1


async def test_a_room_of_a_kind_that_is_not_known_yet_leaves_the_others_alone(
    house: House,
) -> None:
    """As the next version may have them while both run."""
    showtime_id, later = await house.showtime(), await house.showtime()
    await put(house, showtime_id)
    await put(house, later)
    await house.database.execute("alter table waiting_rooms drop constraint waiting_rooms_of_one")
    drawn = "update waiting_rooms set showtime_id = null where showtime_id = $1"
    try:
        await house.database.execute(drawn, UUID(later))
        await admitted(house, "ada", showtime_id)
    finally:
        await house.database.execute(
            "delete from waiting_rooms where showtime_id is null and movie_id is null"
        )
        await house.database.execute(
            "alter table waiting_rooms add constraint waiting_rooms_of_one"
            " check (num_nonnulls(showtime_id, movie_id) = 1) not valid"
        )


async def test_a_showtime_that_cannot_be_read_leaves_its_films_room_the_others(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, (first, second) = await film(house)
    read_seats = Kernel.read_seats

    async def read(kernel: Kernel, showtime_id: bytes, query: ReadSeats) -> Outcome:
        if showtime_id == UUID(second).bytes:
            return Unavailable("RETRY")
        return await read_seats(kernel, showtime_id, query)

    monkeypatch.setattr(Kernel, "read_seats", read)
    await house.ask("manager", "PUT", path, {"mode": "on"})
    await admitted(house, "ada", first)


async def test_a_showtimes_own_room_comes_before_its_films(house: House) -> None:
    path, (first, second) = await film(house)
    await house.ask("manager", "PUT", path, {"mode": "on"})
    own = (await put(house, first)).data
    assert own["movie_id"] is None
    seen = (await house.ask(None, "GET", path)).data
    assert seen["showtime_ids"] == [second]
    assert (await look(house, first))["id"] == own["id"]
    assert (await look(house, second))["id"] == seen["id"] != own["id"]
    await put(house, first, mode="off")
    assert (await look(house, first))["id"] == seen["id"]


async def test_only_managers_of_the_cinema_switch_a_films_room_and_it_needs_showtimes(
    house: House,
) -> None:
    path, _ = await film(house, 1)
    on = {"mode": "on"}
    assert (await house.ask("manager elsewhere", "PUT", path, on)).error == BEHIND
    elsewhere = f"cinemas/{house.cinema_id}/movies/{UNKNOWN_ID}/queue"
    for method, body in (("PUT", on), ("GET", None)):
        answer = await house.ask("manager", method, elsewhere, body)
        assert answer.error == (404, "NOT_FOUND")
    assert (await house.ask("manager", "PUT", elsewhere, {"mode": "off"})).data["status"] == "off"


async def test_the_page_is_light_and_needs_nothing_else(house: House) -> None:
    sizes = 0
    for name in ("queue.html", "queue.css", "queue.js"):
        address = f"http://127.0.0.1:{house.port}/{name}"
        async with house.client.get(address) as reply:
            body = await reply.read()
            assert reply.status == 200
            assert "'unsafe-inline'" not in reply.headers["Content-Security-Policy"]
            tag = {"If-None-Match": reply.headers["ETag"]}
        async with house.client.get(address, headers=tag) as reply:
            assert reply.status == 304
        sizes += len(body)
        text = body.decode().replace("https://tickets.example", "")
        assert "http://" not in text
        assert "https://" not in text
        assert not re.search(r"<script>|<style>|style=|onclick=|innerHTML", text)
    assert sizes < 20_000


async def test_the_room_is_full_at_its_bound(house: House) -> None:
    showtime_id = await house.showtime()
    start = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    room = (await put(house, showtime_id, starts_at=start)).data
    connection = await asyncpg.connect(house.address)
    # As if so many had come; the next round counts them again.
    async with connection.transaction():
        await connection.execute(
            "update waiting_rooms set places = 100000, shuffled_at = now() where id = $1",
            UUID(room["id"]),
        )
    await connection.close()
    assert (await join(house, "ada", showtime_id)).error == (409, "QUEUE_FULL")


async def test_another_node_lets_in_who_entered_here_and_knows_all_places(
    clocked: House, database: str, clocks: Clocks
) -> None:
    showtime_id = await clocked.showtime()
    await put(clocked, showtime_id, shoppers=1)
    token = await admitted(clocked, "ada", showtime_id)
    await enter(clocked, "ada", showtime_id, token)
    waiting = (await join(clocked, "bob", showtime_id)).data["place"]
    # A node that starts now has seen nothing of all that.
    async with open_house(database, clocks=clocks) as other:
        other.people = clocked.people
        assert (await other.hold("ada", showtime_id, "A1")).status == 201
        assert (await other.hold("bob", showtime_id, "A3")).error == NEEDED
        seen = await look(other, showtime_id, waiting["token"])
        assert seen["place"]["id"] == waiting["id"]
        assert (await look(other, showtime_id, token))["place"]["status"] == "inside"


async def test_old_rooms_are_forgotten_and_the_past_closes_rooms(
    clocked: House, clocks: Clocks
) -> None:
    showtime_id = await clocked.showtime()
    await put(clocked, showtime_id)
    path, _ = await film(clocked)
    await clocked.ask("manager", "PUT", path, {"mode": "on"})
    await join(clocked, "ada", showtime_id)
    async with asyncpg.create_pool(clocked.address, min_size=1, max_size=1) as pool:
        store = RoomsRepository(pool, Cipher([bytes.fromhex("ab" * 32)]))
        now = datetime.now(UTC) + timedelta(days=400)
        await store.close_past(now)
        assert await store.rooms() == []
        assert await store.forget(now + KEPT, 10) == 0
        assert await store.forget(now + KEPT + timedelta(seconds=1), 10) == 1
        assert await store.forget(now + KEPT + timedelta(seconds=1), 10) == 1
        assert await pool.fetchval("select count(*) from waiting_places") == 0
