"""Showtimes over HTTP that change while they are being sold."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from cinema.domain.showtime.commands import ChangeLayout
from tests.e2e.api.house import BASE_PRICE, LAYOUT, PATIENCE_S, UNKNOWN_ID, Answer, House
from tests.e2e.api.showtimes import cancel, change, moved, shown, wish
from tests.support import inspection
from tests.support.told import TOLD
from tests.support.waiting import look_again

pytestmark = pytest.mark.asyncio(loop_scope="module")


def price(minor: int) -> dict[str, Any]:
    return {"amount": minor, "currency": "EUR"}


async def test_a_change_is_what_everybody_sees_and_what_is_sold(house: House) -> None:
    showtime_id = await house.showtime()
    before = await shown(house, showtime_id)
    held = (await house.hold("ada", showtime_id, "A1")).data
    answer = await change(
        house,
        showtime_id,
        base_price=price(1500),
        price_overrides={"premium": 900},
        format="3D",
        language="de",
        rules={"seats_per_hold": 2, "protect_orphans": False},
        sales={"closes_at": moved(before, minutes=-5)},
    )
    assert answer.status == 200
    assert answer.headers["ETag"] == '"2"'
    assert answer.data == await shown(house, showtime_id)
    assert answer.data["price_overrides"] == {"premium": 900}
    assert (answer.data["format"], answer.data["language"]) == ("3D", "de")
    assert answer.data["rules"] == {"seats_per_hold": 2, "protect_orphans": False}
    assert answer.data["status"] == "scheduled"
    new = (await house.hold("ada", showtime_id, "A2", "B1")).data
    assert [seat["price"]["amount"] for seat in new["seats"]] == [1500, 900]
    assert (await house.hold("bob", showtime_id, "A3", "A4", "A5")).error == (409, "HOLD_LIMIT")
    booked = await house.book("ada", showtime_id, held["hold_id"])
    assert booked.data["total"] == BASE_PRICE
    seats = (await house.ask(None, "GET", f"showtimes/{showtime_id}/seats")).data["seats"]
    assert {seat["category"]: seat["price"]["amount"] for seat in seats} == {
        "regular": 1500,
        "premium": 900,
    }


_WHO = "select version, created_by, updated_by, updated_at from showtimes where id = $1"


async def test_a_row_says_who_made_it_and_who_changed_it_last(house: House) -> None:
    screen_id = await house.screen(grid={"rows": 2, "columns": 4})
    showtime_id = await house.showtime(screen_id=screen_id)

    async def is_changed(version: int, person: str) -> bool:
        row = await house.database.fetchrow(_WHO, UUID(showtime_id))
        assert row["updated_at"] is not None
        people = (UUID(house.people["admin"]), UUID(house.people[person]))
        return (row["version"], row["created_by"], row["updated_by"]) == (version, *people)

    made = await house.database.fetchrow(_WHO, UUID(showtime_id))
    assert tuple(made) == (1, UUID(house.people["admin"]), None, None)
    assert (await change(house, showtime_id, base_price=price(1500))).status == 200
    assert await is_changed(2, "manager")
    assert (await change(house, showtime_id, person="admin", format="3D")).status == 200
    assert await is_changed(3, "admin")
    await replace_layout(house, screen_id, 1, 3, 5)
    assert (await choose_layout(house, showtime_id, 2)).status == 200
    assert await is_changed(4, "manager")
    other_id = await house.screen(grid={"rows": 3, "columns": 5})
    assert (await change(house, showtime_id, person="admin", screen_id=other_id)).status == 200
    assert await is_changed(5, "admin")
    assert (await cancel(house, showtime_id, seen='"5"')).status == 200
    assert await is_changed(6, "manager")


async def test_a_change_survives_its_actor(house: House) -> None:
    showtime_id = await house.showtime()
    await house.held("ada", showtime_id, "A1")
    assert (await change(house, showtime_id, base_price=price(700))).status == 200
    await house.database.execute(
        "update showtime_heads set epoch = epoch + 1 where showtime_id = $1", showtime_id
    )
    for _ in range(2):
        # The first learns that somebody else was there.
        answer = await house.hold("bob", showtime_id, "A3", key="again")
    assert answer.data["total"] == price(700)


async def test_a_tag_is_wanted_and_must_be_of_the_last_version(house: House) -> None:
    showtime_id = await house.showtime()
    async with house.client.get(f"showtimes/{showtime_id}") as reply:
        tag = reply.headers["ETag"]
    same = await house.client.get(f"showtimes/{showtime_id}", headers={"If-None-Match": tag})
    assert same.status == 304
    assert (await change(house, showtime_id, seen="")).error == (428, "PRECONDITION_REQUIRED")
    assert (await change(house, showtime_id, seen="*")).error == (428, "PRECONDITION_REQUIRED")
    assert (await change(house, showtime_id, seen='"7"')).error == (412, "PRECONDITION_FAILED")
    assert (await change(house, showtime_id, seen=tag)).status == 200
    stale = await change(house, showtime_id, seen=tag)
    assert stale.error == (412, "PRECONDITION_FAILED")
    assert stale.details == {"version": 2}


async def test_of_two_managers_who_saw_the_same_one_changes_it(house: House) -> None:
    showtime_id = await house.showtime()
    answers = await asyncio.gather(
        *(
            change(house, showtime_id, seen='"1"', base_price=price(1000 + number))
            for number in range(8)
        )
    )
    assert sorted(answer.status for answer in answers) == [200] + [412] * 7
    (done,) = [answer.data for answer in answers if answer.status == 200]
    assert await shown(house, showtime_id) == done


@pytest.mark.parametrize(
    ("moved_minutes", "status"), [(30, "scheduled"), (31, "rescheduled"), (-31, "rescheduled")]
)
async def test_a_start_that_moves_far_gives_customers_a_week(
    house: House, moved_minutes: int, status: str
) -> None:
    showtime_id = await house.showtime()
    await house.booked("ada", showtime_id, "A1")
    before = await shown(house, showtime_id)
    now = datetime.now(UTC)
    answer = await change(house, showtime_id, starts_at=moved(before, minutes=moved_minutes))
    assert answer.data["status"] == status
    until = answer.data["free_refund_until"]
    if status == "scheduled":
        assert until is None
    else:
        week = datetime.fromisoformat(until) - now
        assert timedelta(days=7) - timedelta(minutes=1) < week < timedelta(days=7, minutes=1)
    assert answer.data == await shown(house, showtime_id)
    # Whoever books is found by the new time.
    listed = (await house.ask("ada", "GET", "bookings?when=upcoming")).data
    assert [one["showtime_id"] for one in listed] == [showtime_id]


async def told_of(house: House, showtime_id: str) -> tuple[list[str], list[Any], list[str]]:
    """What the outbox tells of a showtime, its jobs, and who has mails in their queue."""
    outbox = await house.database.fetch(
        f"select kind, payload from {TOLD} where showtime_id = $1 and kind like 'showtime.%'",
        showtime_id,
    )
    async with asyncio.timeout(PATIENCE_S):
        while await house.database.fetchval(
            "select exists (select from jobs where input->>'showtime_id' = $1"
            " and ended_at is null)",
            showtime_id,
        ):
            await look_again()
    mails = await house.database.fetch(
        "select recipient from messages where kind = 'showtime_moved' and dedupe_key like any("
        "select '%' || id || '%' from bookings where showtime_id = $1) order by id",
        showtime_id,
    )
    return (
        [row[0] for row in outbox],
        [msgspec.json.decode(row[1]) for row in outbox],
        [row[0].split("@")[0] for row in mails],
    )


async def test_whoever_has_booked_is_told_of_a_move_once_and_never_of_a_refused_one(
    house: House,
) -> None:
    small = await house.screen(grid={"rows": 1, "columns": 8})
    showtime_id = await house.showtime()
    await house.booked("ada", showtime_id, "A1")
    await house.booked("bob", showtime_id, "B1")
    before = await shown(house, showtime_id)
    for changes in (
        {"screen_id": small},
        {"starts_at": moved(before, hours=5), "seen": '"7"'},
        {"starts_at": moved(before, days=-400)},
        {"starts_at": moved(before, hours=5), "price_overrides": {"none": 1}},
    ):
        assert (await change(house, showtime_id, **changes)).status >= 400
    assert (await change(house, showtime_id, base_price=price(777))).status == 200
    assert (await change(house, showtime_id, starts_at=moved(before, minutes=30))).status == 200
    assert await told_of(house, showtime_id) == ([], [], [])
    far = await change(house, showtime_id, starts_at=moved(before, hours=5))
    kinds, payloads, mails = await told_of(house, showtime_id)
    assert (kinds, sorted(mails)) == (
        ["showtime.rescheduled"],
        sorted([house.people["ada"], house.people["bob"]]),
    )
    (payload,) = payloads
    assert payload["before"]["screen_id"] == payload["after"]["screen_id"] == house.screen_id
    for place, at in (("before", moved(before, minutes=30)), ("after", moved(before, hours=5))):
        assert datetime.fromisoformat(payload[place]["starts_at"]) == datetime.fromisoformat(at)
    assert datetime.fromisoformat(payload["free_refund_until"]) == datetime.fromisoformat(
        far.data["free_refund_until"]
    )
    large = await house.screen(layout=LAYOUT)
    assert (await change(house, showtime_id, screen_id=large)).status == 200
    kinds, payloads, mails = await told_of(house, showtime_id)
    assert (kinds, len(mails)) == (["showtime.rescheduled", "showtime.moved"], 4)
    assert payloads[1]["after"]["screen_id"] == large
    assert payloads[1]["free_refund_until"] is None
    assert payload["before"]["screen_id"] == house.screen_id


async def test_a_cancellation_is_told_to_partners_with_its_event(house: House) -> None:
    showtime_id = await house.showtime()
    await house.booked("ada", showtime_id, "A1")
    path = f"showtimes/{showtime_id}?reason=No+heating."
    for _ in range(2):
        await house.ask("manager", "DELETE", path, headers={"If-Match": '"1"'})
    assert await told_of(house, showtime_id) == (
        ["showtime.cancelled"],
        [{"reason": "No heating.", "bookings": 1}],
        [],
    )


async def test_a_showtime_that_was_moved_far_is_given_back_for_a_week_whatever_the_policy(
    house: House,
) -> None:
    """Even behind its start: it may be over when somebody reads of it. Not so for who knew."""
    settings = (await house.ask("manager", "GET", f"cinemas/{house.cinema_id}/settings")).data
    wanted = {**settings["settings"], "refund_policy": [{"hours_before": 48, "percent": 0}]}
    head = {"If-Match": f'"{settings["version"]}"'}
    path = f"cinemas/{house.cinema_id}/settings"
    assert (await house.ask("admin", "PUT", path, wanted, headers=head)).status == 200
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A3")
    before = await shown(house, showtime_id)
    soon = datetime.now(UTC) + timedelta(seconds=30)
    sales = {"closes_at": (soon + timedelta(minutes=50)).isoformat()}
    done = await change(house, showtime_id, starts_at=soon.isoformat(), sales=sales)
    assert done.data["status"] == "rescheduled"
    late = await house.booked("bob", showtime_id, "B1")
    # Its actor takes what the row says once it is loaded again: that it has begun.
    await house.database.execute(
        "update showtimes set starts_at = now() - interval '1 hour' where id = $1", showtime_id
    )
    await house.database.execute(
        "update showtime_heads set epoch = epoch + 1 where showtime_id = $1", showtime_id
    )
    for _ in range(2):
        refused = await house.ask("bob", "DELETE", f"bookings/{late}")
    assert refused.error == (409, "SHOWTIME_STARTED")
    given_back = await house.ask("ada", "DELETE", f"bookings/{booking_id}")
    payment = given_back.data["payment"]
    assert (given_back.data["status"], payment["status"]) == ("cancelled", "refunded")
    assert payment["refunded"] == payment["amount"] == {"amount": 2000, "currency": "EUR"}
    assert before["free_refund_until"] is None


async def test_a_screen_that_is_taken_then_refuses(house: House) -> None:
    first, second = await house.showtime(), await house.showtime()
    there = await shown(house, second)
    answer = await change(house, first, starts_at=moved(there, minutes=5))
    assert answer.error == (409, "SCREEN_OCCUPIED")
    assert (await shown(house, first))["version"] == 1
    # Its own time is no obstacle.
    before = await shown(house, first)
    assert (await change(house, first, starts_at=moved(before, minutes=5))).status == 200


async def test_showtimes_that_move_to_one_place_at_once_leave_one_there(house: House) -> None:
    """Behind the look ahead stands the constraint of the database, in the event's statement."""
    ids = [await house.showtime() for _ in range(5)]
    first = await shown(house, ids[0])
    there = moved(first, days=300)
    for showtime_id in ids:
        # In memory, so that all of them are sent to the database together.
        await house.held("ada", showtime_id, "A1")
        hold_id = await house.held("bob", showtime_id, "A3")
        path = f"showtimes/{showtime_id}/holds/{hold_id}"
        await house.ask("bob", "DELETE", path)
    sales = {"opens_at": first["sales"]["opens_at"]}
    answers = await asyncio.gather(
        *(change(house, one, starts_at=there, sales=sales) for one in ids)
    )
    codes = sorted(
        answer.envelope["error"]["code"] if answer.status != 200 else "" for answer in answers
    )
    assert codes == [""] + ["SCREEN_OCCUPIED"] * 4
    for showtime_id in ids:
        assert (await house.hold("ada", showtime_id, "A5")).status == 201


async def test_impossible_changes_are_refused(house: House) -> None:
    showtime_id = await house.showtime()
    before = await shown(house, showtime_id)
    past = datetime.now(UTC) - timedelta(hours=1)
    for changes, error in (
        ({"price_overrides": {"box": 1}}, (422, "UNKNOWN_CATEGORY")),
        ({"movie_id": UNKNOWN_ID}, (422, "UNKNOWN_REFERENCE")),
        ({"base_price": {"amount": 1, "currency": "USD"}}, (400, "VALIDATION_ERROR")),
        ({"base_price": price(-1)}, (400, "VALIDATION_ERROR")),
        ({"starts_at": past.isoformat()}, (400, "VALIDATION_ERROR")),
        ({"sales": {"closes_at": moved(before, days=-90)}}, (400, "VALIDATION_ERROR")),
        ({"what": 1}, (400, "VALIDATION_ERROR")),
    ):
        assert (await change(house, showtime_id, **changes)).error == error, changes
    assert await shown(house, showtime_id) == before
    body = wish(before)
    unknown = await house.ask(
        "admin", "PUT", f"showtimes/{UNKNOWN_ID}", body, headers={"If-Match": '"1"'}
    )
    assert unknown.error == (404, "NOT_FOUND")


async def test_who_may_change_a_showtime(house: House) -> None:
    showtime_id = await house.showtime()
    for person, error in (
        (None, (401, "UNAUTHENTICATED")),
        ("ada", (403, "FORBIDDEN")),
        ("staff", (403, "FORBIDDEN")),
        ("manager elsewhere", (403, "FORBIDDEN")),
    ):
        assert (await change(house, showtime_id, person=person)).error == error
    for person in ("manager", "admin"):
        assert (await change(house, showtime_id, person=person)).status == 200


async def test_a_film_that_seats_were_sold_for_stays(house: House) -> None:
    film = {"title": "Other", "runtime_minutes": 60}
    other = (await house.ask("admin", "POST", "movies", film)).data["id"]
    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    assert (await change(house, showtime_id, movie_id=other)).error == (409, "SHOWTIME_IN_USE")
    await house.ask("ada", "DELETE", f"showtimes/{showtime_id}/holds/{hold_id}")
    changed = (await change(house, showtime_id, movie_id=other)).data
    starts, ends = (datetime.fromisoformat(changed[name]) for name in ("starts_at", "ends_at"))
    assert ends - starts == timedelta(minutes=20 + 60)


# --- what is in memory is what is loaded


async def same_in_memory_and_in_the_catalogue(house: House, showtime_id: str) -> Any:
    """The terms of a showtime, which must be the same for its actor and for whoever comes next."""
    kernel, key = house.node.kernel, UUID(showtime_id).bytes
    actor = inspection.actors_of(kernel)[key]
    loaded = await inspection.terms_loaded(kernel, key)
    assert actor.terms == loaded
    return loaded


async def test_each_change_leaves_the_terms_that_the_next_owner_loads(house: House) -> None:
    dear = {"label": "V", "seats": [{"number": 1, "category": "vip"}]}
    layout = {"rows": [*LAYOUT["rows"][:2], dear]}
    screen_id, other_id = await house.screen(layout=layout), await house.screen(layout=LAYOUT)
    showtime_id = await house.showtime(screen_id=screen_id)
    await house.held("ada", showtime_id, "A1")
    await same_in_memory_and_in_the_catalogue(house, showtime_id)
    before = await shown(house, showtime_id)
    for changes in (
        {"base_price": price(1234), "price_overrides": {"premium": 5}},
        # Postgres orders the keys of an object by their length first.
        {"price_overrides": {"premium": 5, "vip": 6}},
        {"rules": {"hold_ttl_s": 30, "hold_max_s": 60, "protect_orphans": True}},
        {"starts_at": moved(before, minutes=20), "sales": {"opens_at": moved(before, days=-90)}},
        {"starts_at": moved(before, days=2)},
        {"screen_id": other_id, "base_price": price(777)},
    ):
        assert (await change(house, showtime_id, **changes)).status == 200
        await same_in_memory_and_in_the_catalogue(house, showtime_id)
    wider = {"layout": {"rows": [*LAYOUT["rows"], {**LAYOUT["rows"][0], "label": "D"}]}}
    tag = {"If-Match": '"1"'}
    replaced = await house.ask("manager", "PUT", f"screens/{other_id}/layout", wider, headers=tag)
    version = replaced.data["layout_version"]
    assert (await choose_layout(house, showtime_id, version)).status == 200
    terms = await same_in_memory_and_in_the_catalogue(house, showtime_id)
    assert (terms.plan.version, terms.version) == (version, 8)
    assert (await house.hold("bob", showtime_id, "D1")).status == 201


# --- another layout


async def choose_layout(
    house: House, showtime_id: str, version: int, *, person: str = "manager", seen: str = ""
) -> Answer:
    """An attempt to sell a version of the layout of the showtime's screen."""
    tag = seen or f'"{(await shown(house, showtime_id))["version"]}"'
    body = {"layout_version": version}
    path = f"showtimes/{showtime_id}/layout"
    return await house.ask(person, "PUT", path, body, headers={"If-Match": tag})


async def replace_layout(house: House, screen_id: str, seen: int, rows: int, columns: int) -> int:
    """Give a screen a new layout; its version."""
    body = {"grid": {"rows": rows, "columns": columns}}
    tag = {"If-Match": f'"{seen}"'}
    answer = await house.ask("manager", "PUT", f"screens/{screen_id}/layout", body, headers=tag)
    return int(answer.data["layout_version"])


async def test_a_showtime_sells_a_new_layout_once_it_is_asked_for(house: House) -> None:
    screen_id = await house.screen(grid={"rows": 2, "columns": 4})
    showtime_id = await house.showtime(screen_id=screen_id)
    booked = await house.booked("ada", showtime_id, "B4")
    assert await replace_layout(house, screen_id, 1, 3, 5) == 2
    assert (await house.hold("bob", showtime_id, "C1")).error == (422, "UNKNOWN_SEAT")
    answer = await choose_layout(house, showtime_id, 2)
    assert answer.data == {"id": showtime_id, "layout_version": 2, "version": 2}
    assert answer.headers["ETag"] == '"2"'
    assert (await shown(house, showtime_id))["layout_version"] == 2
    assert await house.statuses(showtime_id) == {"B4": "booked"}
    assert (await house.hold("bob", showtime_id, "C1")).status == 201
    # Again there is nothing to do; a layout that is not current is none to choose.
    assert (await choose_layout(house, showtime_id, 2)).data["version"] == 2
    assert (await choose_layout(house, showtime_id, 1)).error == (422, "UNKNOWN_REFERENCE")
    assert (await choose_layout(house, showtime_id, 2, seen='"9"')).error == (
        412,
        "PRECONDITION_FAILED",
    )
    given_back = await house.ask("ada", "DELETE", f"bookings/{booked}")
    assert given_back.data["seats"][0]["label"] == "B4"


async def test_a_layout_without_a_category_that_has_a_price_is_refused(house: House) -> None:
    """The price would stay, and count again for whatever is called so later."""
    dear = {"label": "V", "seats": [{"number": 1, "category": "vip"}]}
    screen_id = await house.screen(layout={"rows": [*LAYOUT["rows"], dear]})
    showtime_id = await house.showtime(screen_id=screen_id)
    overrides = {"vip": 2500, "premium": 1500}
    assert (await change(house, showtime_id, price_overrides=overrides)).status == 200
    body, tag = {"layout": LAYOUT}, {"If-Match": '"1"'}
    replaced = await house.ask("manager", "PUT", f"screens/{screen_id}/layout", body, headers=tag)
    version = replaced.data["layout_version"]
    refused = await choose_layout(house, showtime_id, version)
    assert refused.error == (422, "UNKNOWN_CATEGORY")
    assert refused.details["category"] == "vip"
    assert "premium" in refused.details["categories"]
    assert (await change(house, showtime_id, price_overrides={"premium": 1500})).status == 200
    assert (await choose_layout(house, showtime_id, version)).status == 200
    assert (await shown(house, showtime_id))["price_overrides"] == {"premium": 1500}


async def test_a_layout_without_seats_that_are_taken_is_refused(house: House) -> None:
    screen_id = await house.screen(grid={"rows": 2, "columns": 4})
    showtime_id = await house.showtime(screen_id=screen_id)
    hold_id = await house.held("ada", showtime_id, "B3")
    version = await replace_layout(house, screen_id, 1, 1, 4)
    refused = await choose_layout(house, showtime_id, version)
    assert refused.error == (409, "PLAN_IN_USE")
    assert refused.details == {"seats": ["B3"]}
    await house.ask("ada", "DELETE", f"showtimes/{showtime_id}/holds/{hold_id}")
    assert (await choose_layout(house, showtime_id, version)).status == 200
    elsewhere = await choose_layout(house, showtime_id, version, person="manager elsewhere")
    assert elsewhere.error == (403, "FORBIDDEN")


async def test_a_layout_is_that_of_the_screen_that_its_number_was_looked_up_for(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The showtime moves meanwhile, and the caller has named the version behind that, too."""
    small, large = await house.screen(layout=LAYOUT), await house.screen(layout=LAYOUT)
    showtime_id = await house.showtime(screen_id=small)
    for screen_id, last in ((small, 3), (large, 4)):
        for seen in range(1, last):
            await replace_layout(house, screen_id, seen, 2, 3 + seen)
    kernel = house.node.kernel
    ask = kernel.ask

    async def behind_a_move(showtime: bytes, message: Any) -> Any:
        if isinstance(message, ChangeLayout):
            assert (await change(house, showtime_id, screen_id=large)).status == 200
        return await ask(showtime, message)

    monkeypatch.setattr(kernel, "ask", behind_a_move)
    answer = await choose_layout(house, showtime_id, 3, seen='"1", "2"')
    assert answer.error == (412, "PRECONDITION_FAILED")
    assert (await shown(house, showtime_id))["layout_version"] == 4


# --- another screen


async def screen_shown(house: House, screen_id: str) -> Any:
    return (await house.ask(None, "GET", f"screens/{screen_id}")).data


async def test_a_showtime_moves_to_a_screen_that_has_the_seats_that_are_taken(
    house: House,
) -> None:
    small, large = (
        await house.screen(grid={"rows": 2, "columns": 4}),
        await house.screen(grid={"rows": 4, "columns": 6}),
    )
    for seen, rows in ((1, 3), (2, 2)):
        await replace_layout(house, small, seen, rows, 4)
    showtime_id = await house.showtime(screen_id=small)
    assert (await shown(house, showtime_id))["layout_version"] == 3
    hold_id = await house.held("ada", showtime_id, "A4")
    booking_id = await house.booked("bob", showtime_id, "B2")
    answer = await change(house, showtime_id, screen_id=large)
    assert answer.status == 200
    # The plan there has a number of its own for this showtime, higher than all it had before.
    assert (answer.data["screen_id"], answer.data["layout_version"]) == (large, 4)
    assert answer.data == await shown(house, showtime_id)
    assert await house.statuses(showtime_id) == {"A4": "held", "B2": "booked"}
    assert (await house.hold("bob", showtime_id, "D6")).status == 201
    assert (await house.book("ada", showtime_id, hold_id)).status == 201
    assert (await house.ask("bob", "DELETE", f"bookings/{booking_id}")).status == 200
    # The screen that it left is free, and the one that it has is not.
    there = await shown(house, showtime_id)
    body = wish(there)
    body["screen_id"] = small
    assert (await house.ask("manager", "POST", "showtimes", body)).status == 201
    body["screen_id"] = large
    assert (await house.ask("manager", "POST", "showtimes", body)).error == (409, "SCREEN_OCCUPIED")
    # And back: no seat that is taken is beyond it but D6.
    refused = await change(house, showtime_id, screen_id=small, starts_at=moved(there, days=3))
    assert refused.error == (409, "SHOWTIME_IN_USE")
    assert refused.details == {"field": "screen_id", "seats": ["D6"]}


async def test_a_move_leaves_the_screen_as_it_is_whether_it_is_refused_or_not(
    house: House,
) -> None:
    small, large = (
        await house.screen(grid={"rows": 2, "columns": 4}),
        await house.screen(grid={"rows": 4, "columns": 6}),
    )
    for seen, rows in ((1, 3), (2, 2)):
        await replace_layout(house, small, seen, rows, 4)
    one = await house.showtime(screen_id=large)
    other = await house.showtime(screen_id=small)
    await house.held("ada", one, "D6")
    screens = [await screen_shown(house, screen_id) for screen_id in (small, large)]
    refused = await change(house, one, screen_id=small)
    assert refused.error == (409, "SHOWTIME_IN_USE")
    done = await change(house, other, screen_id=large)
    assert (done.status, done.data["layout_version"]) == (200, 4)
    assert [await screen_shown(house, screen_id) for screen_id in (small, large)] == screens
    for screen_id, versions in ((small, [3, 2, 1]), (large, [4, 1])):
        listed = (await house.ask("manager", "GET", f"screens/{screen_id}/layouts")).data
        assert [one["layout_version"] for one in listed] == versions
    # What it has there is the current layout, under a number of its own.
    same = await choose_layout(house, other, 4)
    assert (same.status, same.data["layout_version"]) == (200, 4)
    assert (await choose_layout(house, other, 1)).error == (422, "UNKNOWN_REFERENCE")
    # The next one of the screen has a number that nobody had.
    version = await replace_layout(house, large, 1, 5, 6)
    assert version == 5
    assert (await choose_layout(house, other, version)).status == 200
    assert (await house.hold("bob", other, "E6")).status == 201


async def test_a_layout_that_is_replaced_while_a_showtime_moves_gets_a_number_of_its_own(
    house: House,
) -> None:
    """Both need the next number of the screen at the same moment."""
    for _ in range(5):
        small, large = (
            await house.screen(grid={"rows": 2, "columns": 4}),
            await house.screen(grid={"rows": 2, "columns": 4}),
        )
        showtime_id = await house.showtime(screen_id=small)
        body = {"grid": {"rows": 3, "columns": 4}}
        path = f"screens/{large}/layout"
        answers = await asyncio.gather(
            change(house, showtime_id, screen_id=large),
            house.ask("manager", "PUT", path, body, headers={"If-Match": '"1"'}),
        )
        assert [answer.status for answer in answers] == [200, 200]
        seats = (await house.ask(None, "GET", f"showtimes/{showtime_id}/seats")).data
        layout = f"screens/{large}/layout?version={seats['layout_version']}"
        there = (await house.ask(None, "GET", layout)).data
        assert there["seat_count"] == len(seats["seats"])
        assert (await screen_shown(house, large))["seat_count"] == 12


@pytest.mark.parametrize("kind", ["movies", "screens"])
async def test_a_showtime_is_not_moved_onto_what_was_deleted_a_moment_ago(
    house: House, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Behind the look ahead stands the database, in the event's statement."""
    screen_id = await house.screen(layout=LAYOUT)
    film = {"title": "Stalker", "runtime_minutes": 161}
    movie_id = (await house.ask("admin", "POST", "movies", film)).data["id"]
    showtime_id = await house.showtime()
    before = await shown(house, showtime_id)
    kernel = house.node.kernel
    ask = kernel.ask

    async def behind_a_deletion(showtime: bytes, message: Any) -> Any:
        path = f"{kind}/{movie_id if kind == 'movies' else screen_id}"
        gone = await house.ask("admin", "DELETE", path, headers={"If-Match": '"1"'})
        assert gone.status == 200
        return await ask(showtime, message)

    monkeypatch.setattr(kernel, "ask", behind_a_deletion)
    refused = await change(house, showtime_id, movie_id=movie_id, screen_id=screen_id)
    monkeypatch.undo()
    assert refused.error == (422, "UNKNOWN_REFERENCE")
    assert refused.details == {"path": f"$.{kind[:-1]}_id"}
    assert await shown(house, showtime_id) == before
    assert (await house.hold("ada", showtime_id, "A1")).status == 201


async def test_a_move_and_the_deletion_of_its_screen_do_not_both_succeed(house: House) -> None:
    for _ in range(8):
        screen_id = await house.screen(layout=LAYOUT)
        showtime_id = await house.showtime()
        path = f"screens/{screen_id}"
        answers = await asyncio.gather(
            change(house, showtime_id, screen_id=screen_id),
            house.ask("admin", "DELETE", path, headers={"If-Match": '"1"'}),
        )
        assert 200 in [answer.status for answer in answers]
        deleted, where = await house.database.fetchrow(
            "select screen.deleted_at is not null, showtime.screen_id::text "
            "from screens screen, showtimes showtime where screen.id = $1 and showtime.id = $2",
            screen_id,
            showtime_id,
        )
        assert not (deleted and where == screen_id), [answer.error for answer in answers]


async def test_a_screen_of_another_cinema_is_none_to_move_to(house: House) -> None:
    showtime_id = await house.showtime()
    cinema = {
        "name": "Other",
        "city": "Rome",
        "country": "IT",
        "time_zone": "Europe/Rome",
        "currency": "EUR",
    }
    cinema_id = (await house.ask("admin", "POST", "cinemas", cinema)).data["id"]
    body = {"cinema_id": cinema_id, "name": "There", "grid": {"rows": 9, "columns": 9}}
    there = (await house.ask("admin", "POST", "screens", body)).data["id"]
    for screen_id in (there, UNKNOWN_ID):
        refused = await change(house, showtime_id, screen_id=screen_id)
        assert refused.error == (422, "UNKNOWN_REFERENCE")


async def test_the_history_of_a_showtime_that_moved_is_told_in_the_seats_of_each_screen(
    house: House,
) -> None:
    """Both screens have a layout of version 1, with other seats under each index."""
    first = await house.screen(grid={"rows": 1, "columns": 3})
    second = await house.screen(grid={"rows": 3, "columns": 5})
    showtime_id = await house.showtime(screen_id=first)
    await house.held("ada", showtime_id, "A3")
    assert (await change(house, showtime_id, screen_id=second)).status == 200
    await house.held("bob", showtime_id, "B3")
    kernel, key = house.node.kernel, UUID(showtime_id).bytes
    plans = [await inspection.plan_loaded(kernel, key, version) for version in (1, 2)]
    assert [plan.seat_count for plan in plans] == [3, 15]


# --- for search engines, and under other names


async def test_a_showtime_is_told_to_search_engines(house: House) -> None:
    showtime_id = await house.showtime()
    before = await shown(house, showtime_id)
    async with house.client.get(f"showtimes/{showtime_id}/screening-event") as reply:
        assert reply.headers["Content-Type"] == "application/ld+json"
        event = msgspec.json.decode(await reply.read())
    assert (event["@context"], event["@type"]) == ("https://schema.org", "ScreeningEvent")
    assert event["name"] == "Film"
    starts_at = datetime.fromisoformat(event["startDate"])
    assert starts_at == datetime.fromisoformat(before["starts_at"]).replace(microsecond=0)
    assert starts_at.utcoffset() in {timedelta(hours=1), timedelta(hours=2)}
    assert event["eventStatus"] == "https://schema.org/EventScheduled"
    assert event["workPresented"] == {"@type": "Movie", "name": "Film", "duration": "PT90M"}
    assert event["location"]["name"].startswith("House, Screen")
    assert (event["offers"]["price"], event["offers"]["priceCurrency"]) == ("10.00", "EUR")
    await house.booked("ada", showtime_id, "A1")
    await change(house, showtime_id, starts_at=moved(before, days=1))
    async with house.client.get(f"showtimes/{showtime_id}/screening-event") as reply:
        event = msgspec.json.decode(await reply.read())
    assert event["eventStatus"] == "https://schema.org/EventRescheduled"
    await house.database.execute("update movies set title = '</script><b>'")
    async with house.client.get(f"showtimes/{showtime_id}/screening-event") as reply:
        text = await reply.read()
    assert b"<" not in text
    assert msgspec.json.decode(text)["name"] == "</script><b>"
    unknown = await house.ask(None, "GET", f"showtimes/{UNKNOWN_ID}/screening-event")
    assert unknown.error == (404, "NOT_FOUND")


async def test_schedules_have_names_of_their_own_for_the_same(house: House) -> None:
    before = await shown(house, await house.showtime())
    body = wish(before, starts_at=moved(before, days=250))
    made = await house.ask("manager", "POST", "schedule/showtime", body)
    assert made.status == 201
    path = f"schedule/showtime/{made.data['id']}"
    changed = await house.ask(
        "manager", "PUT", path, body | {"base_price": price(5)}, headers={"If-Match": '"1"'}
    )
    assert changed.data["base_price"] == price(5)
    cancelled = await house.ask("manager", "DELETE", path, headers={"If-Match": '"2"'})
    assert cancelled.data["status"] == "cancelled"
