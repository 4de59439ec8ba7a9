"""Repetitions under one key, written in every way that means the same, over HTTP and the socket."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import pytest
from yarl import URL

from tests.e2e.api.house import BASE_PRICE, UNKNOWN_ID, Answer, House
from tests.e2e.api.sockets import watching

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUIET = "?deltas=false"


class Raw(NamedTuple):
    """A request just as it is written: the target below `/api/v1/`, and the body."""

    target: str
    body: str | None = None


async def send(house: House, person: str | None, method: str, raw: Raw, key: str = "k") -> Answer:
    headers = {"Idempotency-Key": key}
    if person is not None:
        headers["Authorization"] = f"Bearer {house.token(person)}"
    if raw.body is not None:
        headers["Content-Type"] = "application/json"
    url = URL(f"http://127.0.0.1:{house.port}/api/v1/{raw.target}", encoded=True)
    async with house.client.request(method, url, data=raw.body, headers=headers) as reply:
        return Answer(reply.status, reply.headers, msgspec.json.decode(await reply.read()))


async def expect_one_effect(
    house: House, method: str, same: list[Raw], other: list[Raw], person: str = "ada"
) -> Answer:
    """Send all that mean the same, then what means something else, under one key."""
    first = await send(house, person, method, same[0])
    assert first.status in {200, 201}, first.envelope
    for again in same[1:]:
        answer = await send(house, person, method, again)
        assert (answer.status, answer.data) == (first.status, first.data), again
    for another in other:
        answer = await send(house, person, method, another)
        assert answer.error == (422, "IDEMPOTENCY_MISMATCH"), another
    return first


async def test_hold_is_the_same_however_its_target_is_written(house: House) -> None:
    showtime_id = await house.showtime()
    body = '{"seats":["A1"]}'
    paths = [
        f"showtimes/{showtime_id}/holds",
        f"showtimes/{showtime_id}/holds/",
        f"showtimes/{showtime_id.upper()}/holds",
        f"showtimes/{showtime_id.upper()}/holds/",
        f"%73howtimes/{showtime_id}/hold%73",
        f"showtimes/{showtime_id.replace('-', '%2D')}/holds",
    ]
    other = [Raw(paths[0], '{"seats":["A2"]}'), Raw(paths[1], '{"seats":["A1","A2"]}')]
    await expect_one_effect(house, "POST", [Raw(path, body) for path in paths], other)
    assert await house.statuses(showtime_id) == {"A1": "held"}


async def test_hold_is_the_same_however_its_body_is_written(house: House) -> None:
    showtime_id = await house.showtime()
    path = f"showtimes/{showtime_id}/holds"
    same = [
        '{"seats":["B1","B2"]}',
        '{"seats":["B2","B1"]}',
        ' { "seats" : [ "B1" , "B2" ] }\r\n',
        '{"seats":["\\u0042\\u0031","B\\u0032"]}',
        '{"seats":["B1","B2"],"best_available":null}',
        '{"best_available":null,"seats":["B2","B1"]}',
    ]
    other = ['{"seats":["B1"]}', '{"seats":["B1","B3"]}', '{"best_available":{"quantity":2}}']
    await expect_one_effect(
        house, "POST", [Raw(path, body) for body in same], [Raw(path, body) for body in other]
    )
    assert await house.statuses(showtime_id) == {"B1": "held", "B2": "held"}


async def test_best_available_is_the_same_with_its_defaults_given(house: House) -> None:
    path = f"showtimes/{await house.showtime()}/holds"
    same = [
        '{"best_available":{"quantity":2,"category":"premium"}}',
        '{"best_available":{"category":"premium","quantity":2}}',
        '{"seats":null,"best_available":{"accessible":false,"category":"premium","quantity":2}}',
    ]
    other = [
        '{"best_available":{"quantity":2}}',
        '{"best_available":{"quantity":3,"category":"premium"}}',
        '{"best_available":{"quantity":2,"category":"premium","accessible":true}}',
    ]
    await expect_one_effect(
        house, "POST", [Raw(path, body) for body in same], [Raw(path, body) for body in other]
    )


async def test_parts_of_a_hold_are_the_same_in_any_order_and_escape(house: House) -> None:
    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "B1", "B2", "B3", "B4")
    path = f"showtimes/{showtime_id}/holds/{hold_id}"
    same = [
        f"{path}?seats=B1,B2",
        f"{path}?seats=B1%2CB2",
        f"{path}?seats=B2,B1",
        f"{path}/?seats=%42%31%2cB2",
        f"showtimes/{showtime_id.upper()}/holds/{hold_id.upper()}?seats=B2%2CB1",
        f"{path}?s%65ats=B1,B2",
    ]
    other = [f"{path}?seats=B1", f"{path}?seats=B1,B3", path]
    await expect_one_effect(house, "DELETE", [Raw(one) for one in same], [Raw(o) for o in other])
    assert await house.statuses(showtime_id) == {"B3": "held", "B4": "held"}


async def test_extension_is_the_same_however_written(house: House) -> None:
    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "B1")
    path = f"showtimes/{showtime_id}/holds/{hold_id}"
    same = [
        Raw(path, '{"extend":true}'),
        Raw(f"{path}/", ' {"extend": true}'),
        Raw(f"showtimes/{showtime_id}/holds/{hold_id.upper()}", '{"\\u0065xtend":true}'),
    ]
    await expect_one_effect(house, "PATCH", same, [])


async def test_booking_is_the_same_however_written(house: House) -> None:
    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    pay = '"payment":{"method":"demo"}'
    same = [
        Raw("bookings", f'{{"showtime_id":"{showtime_id}","hold_id":"{hold_id}",{pay}}}'),
        Raw("bookings/", f'{{{pay},"hold_id":"{hold_id}","showtime_id":"{showtime_id}"}}'),
        Raw(
            "bookings",
            f'{{"showtime_id":"{showtime_id.upper()}","hold_id":"{hold_id.upper()}",{pay},'
            '"promo_code":null}',
        ),
    ]
    other = [Raw("bookings", f'{{"showtime_id":"{showtime_id}","hold_id":"{UNKNOWN_ID}",{pay}}}')]
    made = await expect_one_effect(house, "POST", same, other)
    booking_id = made.data["id"]
    assert len((await house.ask("ada", "GET", "bookings")).data) == 1
    cancel = [f"bookings/{booking_id}", f"bookings/{booking_id}/", f"bookings/{booking_id.upper()}"]
    await expect_one_effect(
        house, "DELETE", [Raw(one) for one in cancel], [Raw(f"bookings/{booking_id}?seats=A1")]
    )


async def test_part_of_a_booking_is_cancelled_once_in_any_order(house: House) -> None:
    booking_id = await house.booked("ada", await house.showtime(), "A1", "A2", "A3")
    path = f"bookings/{booking_id}"
    same = [f"{path}?seats=A1,A2", f"{path}?seats=A2%2CA1", f"{path.upper()}/?seats=A2,A1"]
    same[2] = same[2].replace("BOOKINGS", "bookings").replace("SEATS", "seats")
    other = [f"{path}?seats=A2,A3", path]
    await expect_one_effect(house, "DELETE", [Raw(one) for one in same], [Raw(o) for o in other])


async def test_catalogue_requests_are_the_same_however_written(house: House) -> None:
    await expect_one_effect(
        house,
        "POST",
        [
            Raw("movies", '{"title":"Solaris","runtime_minutes":166}'),
            Raw("movies/", '{"runtime_minutes":166,"title":"\\u0053olaris","genres":[]}'),
            Raw("movies", '{"title":"Solaris","runtime_minutes":166,"release_date":null}'),
        ],
        [
            Raw("movies", '{"title":"Solaris","runtime_minutes":167}'),
            Raw("movies", '{"title":"Solaris","runtime_minutes":166,"genres":["drama"]}'),
        ],
        person="admin",
    )
    grid = '"grid":{"rows":2,"columns":3}'
    await expect_one_effect(
        house,
        "POST",
        [
            Raw("screens", f'{{"cinema_id":"{house.cinema_id}","name":"Same",{grid}}}'),
            Raw(
                "screens",
                f'{{"cinema_id":"{house.cinema_id.upper()}","name":"Same","rules":{{}},'
                '"layout":null,"grid":{"columns":3,"rows":2}}',
            ),
        ],
        [Raw("screens", f'{{"cinema_id":"{house.cinema_id}","name":"Other",{grid}}}')],
        person="admin",
    )


async def test_showtime_is_the_same_at_the_same_moment_and_prices(house: House) -> None:
    starts_at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=90)
    elsewhere = starts_at.astimezone(datetime.now(UTC).tzinfo).isoformat().replace("+00:00", "Z")
    body: dict[str, Any] = {
        "movie_id": house.movie_id,
        "screen_id": house.screen_id,
        "starts_at": starts_at.isoformat(),
        "base_price": BASE_PRICE,
        "price_overrides": {"regular": 900, "premium": 1900},
        "language": "en",
    }

    def raw(path: str = "showtimes", **changes: Any) -> Raw:
        return Raw(path, msgspec.json.encode({**body, **changes}).decode())

    same = [
        raw(),
        raw(starts_at=elsewhere),
        raw(movie_id=house.movie_id.upper(), screen_id=house.screen_id.upper()),
        raw(price_overrides={"premium": 1900, "regular": 900}),
        raw("showtimes/", sales={"opens_at": None}, rules={}, format="2D", cinema_id=None),
    ]
    other = [
        raw(starts_at=(starts_at + timedelta(minutes=1)).isoformat()),
        raw(price_overrides={"premium": 900, "regular": 1900}),
        raw(format="3D"),
    ]
    await expect_one_effect(house, "POST", same, other, person="admin")


async def test_account_is_the_same_however_written(house: House) -> None:
    email = f"{house.screen_id}@Example.com"
    password = '"password":"correct horse battery"'
    same = [
        Raw("auth/register", f'{{"email":"{email}",{password}}}'),
        Raw("auth/register/", f'{{{password},"first_name":"","email":" {email.lower()}"}}'),
    ]
    made = [await send(house, None, "POST", raw) for raw in same]
    assert [answer.status for answer in made] == [201, 201]
    assert made[0].data["user"] == made[1].data["user"]
    other = Raw("auth/register", f'{{"email":"{email}",{password},"last_name":"Else"}}')
    refused = await send(house, None, "POST", other)
    assert refused.error == (422, "IDEMPOTENCY_MISMATCH")


async def test_socket_holds_the_same_requests_for_the_same(house: House) -> None:
    showtime_id = await house.showtime()
    async with watching(house, showtime_id, QUIET, person="ada") as socket:
        first = await socket.ask(type="hold", seats=["B1", "B2", "B3"], key="k")
        again = await socket.ask(key="k", seats=["B3", "B1", "B2"], type="hold")
        assert again["data"] == first["data"]
        hold_id = first["data"]["hold_id"]
        parts = [
            await socket.ask(type="release", hold_id=one, seats=seats, key="k")
            for one, seats in ((hold_id, ["B1", "B2"]), (hold_id.upper(), ["B2", "B1"]))
        ]
        assert parts[0]["data"] == parts[1]["data"]
        other = await socket.ask(type="release", hold_id=hold_id, key="k")
        assert other["error"]["code"] == "IDEMPOTENCY_MISMATCH"
        longer = [
            await socket.ask(type="extend", hold_id=one, key="k")
            for one in (hold_id, hold_id.upper())
        ]
        assert longer[0]["data"] == longer[1]["data"]
    assert await house.statuses(showtime_id) == {"B3": "held"}


async def test_key_has_one_effect_over_socket_and_http_together(house: House) -> None:
    """Who loses the socket goes on over HTTP, and the other way round."""
    showtime_id = await house.showtime()
    path = f"showtimes/{showtime_id}/holds"
    async with watching(house, showtime_id, QUIET, person="ada") as socket:
        held = (await socket.ask(type="hold", seats=["B1", "B2"], key="k"))["data"]
        again = await house.ask("ada", "POST", path, {"seats": ["B2", "B1"]}, key="k")
        assert (again.status, again.data) == (201, held)
        hold = f"{path}/{held['hold_id']}"
        longer = (await house.ask("ada", "PATCH", hold, {"extend": True}, key="k")).data
        repeated = await socket.ask(type="extend", hold_id=held["hold_id"], key="k")
        assert repeated["data"] == longer
        part = (await house.ask("ada", "DELETE", f"{hold}?seats=B1", key="k")).data
        names = {"type": "release", "hold_id": held["hold_id"], "key": "k"}
        assert (await socket.ask(**names, seats=["B1"]))["data"] == part
        other = await socket.ask(**names)
        assert other["error"]["code"] == "IDEMPOTENCY_MISMATCH"
        whole = (await socket.ask(**{**names, "key": "l"}))["data"]
        assert (await house.ask("ada", "DELETE", hold, key="l")).data == whole
    assert await house.statuses(showtime_id) == {}
