"""Plans over HTTP: made by a process of their own, looked at, applied, in conflict, given up.

Each plan takes a second of solving, the start of a process that imports a solver, and a look of the
job's worker: a dozen plans are more than half a minute, and none can be left out.
"""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psutil
import pytest

from cinema.demo.seed import DEMO_ACCOUNTS
from tests.e2e.api.house import UNKNOWN_ID, Answer, House, open_site
from tests.support.waiting import look_again

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

PRIME_PRICE = {"amount": 1300, "currency": "EUR"}
BASE_PRICE = {"amount": 1000, "currency": "EUR"}
RUNTIME = {"runtime_minutes": 100}
PLAN_PATIENCE_S = 240.0
"""A process of low priority starts and imports a solver, on a machine that tests keep busy."""

TODAY = datetime.now(UTC).date()
"""Read once: a plan is looked up by the same date, though midnight may have passed."""


def a_day(ahead: int) -> str:
    return (TODAY + timedelta(days=ahead)).isoformat()


def a_request(house: House, ahead: int = 20, **changes: Any) -> dict[str, Any]:
    return {
        "cinema_id": house.cinema_id,
        "date_from": a_day(ahead),
        "date_to": a_day(ahead),
        "films": [{"movie_id": house.movie_id, "visitors": 60, "prime_min": 1}],
        "base_price": BASE_PRICE,
        "prime_price": PRIME_PRICE,
        "seconds": 1,
        **changes,
    }


async def generate(house: House, **changes: Any) -> str:
    answer = await house.ask("manager", "POST", "schedule/generate", a_request(house, **changes))
    assert answer.status == 202
    assert answer.data["status"] == "queued"
    return str(answer.data["id"])


async def until(house: House, plan_id: str, *statuses: str) -> dict[str, Any]:
    """The plan when it has come so far."""
    async with asyncio.timeout(PLAN_PATIENCE_S):
        while True:
            plan = (await house.ask("manager", "GET", f"schedule/plans/{plan_id}")).data
            if plan["status"] in statuses:
                return dict(plan)
            assert plan["status"] in {"queued", "running"}, plan
            await look_again()


async def apply(house: House, plan_id: str, person: str = "manager") -> Answer:
    return await house.ask(person, "POST", f"schedule/plans/{plan_id}/apply")


async def shown(house: House, ahead: int = 20) -> list[dict[str, Any]]:
    path = f"showtimes?cinema_id={house.cinema_id}&date={a_day(ahead)}&limit=100"
    return list((await house.ask(None, "GET", path)).data)


def solvers() -> list[psutil.Process]:
    """The processes that solve for this one."""
    found = []
    for child in psutil.Process(os.getpid()).children():
        try:
            if "cinema.features.showtimes.planner" in child.cmdline():
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


async def test_a_plan_is_made_applied_and_shown(house: House) -> None:
    plan_id = await generate(house)
    plan = await until(house, plan_id, "done")
    assert (plan["progress"], plan["method"], plan["unmet"]) == (1.0, "solver", [])
    assert plan["objective"] <= plan["bound"]
    assert 0 <= plan["gap"] < 0.05
    assert await shown(house) == []
    applied = (await apply(house, plan_id)).data
    assert applied["status"] == "applied"
    there = await shown(house)
    keys = ("movie_id", "screen_id", "starts_at", "ends_at", "format", "language", "base_price")
    assert [{key: one[key] for key in keys} for one in there] == plan["shows"]
    prices = {one["base_price"]["amount"] for one in there}
    assert prices == {1000, 1300}
    schedule = (
        await house.ask(None, "GET", f"schedule/cinema/{house.cinema_id}?date={a_day(20)}")
    ).data
    assert [one["id"] for one in schedule["showtimes"]] == [one["id"] for one in there]
    assert {one["movie_title"] for one in schedule["showtimes"]} == {"Film"}
    assert schedule["showtimes"][0]["local_start"] == "10:00"
    # Such a showtime is sold like any other.
    await house.held("ada", there[0]["id"], "A1")


async def test_applied_again_a_plan_changes_nothing(house: House) -> None:
    plan_id = await generate(house)
    await until(house, plan_id, "done")
    answers = await asyncio.gather(*(apply(house, plan_id) for _ in range(3)))
    once = await shown(house)
    assert [answer.status for answer in answers] == [200] * 3
    assert all(answer.data == answers[0].data for answer in answers)
    assert (await apply(house, plan_id, "admin")).data == answers[0].data
    assert await shown(house) == once


async def test_of_two_plans_that_overlap_one_is_applied_and_the_other_refused(house: House) -> None:
    plans = [await generate(house), await generate(house)]
    made = [await until(house, plan_id, "done") for plan_id in plans]
    answers = await asyncio.gather(
        apply(house, plans[0], "manager"), apply(house, plans[1], "admin")
    )
    assert sorted(answer.status for answer in answers) == [200, 409]
    (refused,) = (answer for answer in answers if answer.status == 409)
    assert refused.error == (409, "SCHEDULE_CONFLICT")
    there = await shown(house)
    assert len(there) == len(made[0]["shows"])
    conflicts = refused.details["conflicts"]
    assert {one["reason"] for one in conflicts} == {"screen_occupied"}
    assert {one["showtime_id"] for one in conflicts} <= {one["id"] for one in there}


async def test_a_calendar_that_has_changed_refuses_the_whole_plan(house: House) -> None:
    plan_id = await generate(house)
    plan = await until(house, plan_id, "done")
    body = {
        "movie_id": house.movie_id,
        "screen_id": house.screen_id,
        "starts_at": plan["shows"][-1]["starts_at"],
        "base_price": BASE_PRICE,
        "language": "en",
    }
    added = (await house.ask("manager", "POST", "showtimes", body)).data
    refused = await apply(house, plan_id)
    assert refused.error == (409, "SCHEDULE_CONFLICT")
    (conflict,) = refused.details["conflicts"]
    assert conflict["showtime_id"] == added["id"]
    assert conflict["starts_at"] == plan["shows"][-1]["starts_at"]
    assert [one["id"] for one in await shown(house)] == [added["id"]]
    # The next plan leaves it where it is.
    again = await until(house, await generate(house), "done")
    assert (await apply(house, again["id"])).status == 200
    assert added["id"] in {one["id"] for one in await shown(house)}


async def long_plan(house: House, seconds: int) -> str:
    """A plan that takes as long as it may: two weeks, more screens and more films."""
    for _ in range(2):
        await house.screen(grid={"rows": 4, "columns": 10})
    movies = [
        (await house.ask("admin", "POST", "movies", {"title": f"M{number}", **RUNTIME})).data["id"]
        for number in range(6)
    ]
    films = [
        {"movie_id": movie_id, "visitors": 30 + 7 * place} for place, movie_id in enumerate(movies)
    ]
    return await generate(house, seconds=seconds, date_to=a_day(33), films=films)


async def a_solver(house: House) -> psutil.Process:
    """The process that solves, as soon as there is one."""
    async with asyncio.timeout(PLAN_PATIENCE_S):
        while not (found := solvers()):
            await look_again()
    return found[0]


async def test_a_plan_that_is_given_up_ends_its_process(house: House) -> None:
    plan_id = await long_plan(house, seconds=600)
    await a_solver(house)
    await until(house, plan_id, "running")
    cancelled = await house.ask("manager", "DELETE", f"schedule/plans/{plan_id}")
    assert cancelled.data["status"] == "cancelled"
    assert (await house.ask("manager", "DELETE", f"schedule/plans/{plan_id}")).status == 200
    refused = await apply(house, plan_id)
    assert refused.error == (409, "SCHEDULE_NOT_DONE")
    assert refused.details == {"status": "cancelled"}
    async with asyncio.timeout(PLAN_PATIENCE_S):
        while solvers():
            await look_again()
    assert await shown(house) == []


async def test_a_solver_that_is_killed_is_started_again(house: House) -> None:
    plan_id = await long_plan(house, seconds=3)
    (await a_solver(house)).kill()
    plan = await until(house, plan_id, "done")
    assert plan["shows"]
    assert (await apply(house, plan_id)).status == 200


async def test_only_those_who_manage_the_cinema_plan_for_it(house: House) -> None:
    body = a_request(house)
    for person in ("ada", "staff", "manager elsewhere"):
        answer = await house.ask(person, "POST", "schedule/generate", body)
        assert answer.error == (403, "FORBIDDEN")
    assert (await house.ask(None, "POST", "schedule/generate", body)).status == 401
    plan_id = await generate(house)
    await until(house, plan_id, "done")
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/apply")):
        answer = await house.ask("manager elsewhere", method, f"schedule/plans/{plan_id}{path}")
        assert answer.error == (404, "NOT_FOUND")
        answer = await house.ask("manager", method, f"schedule/plans/{UNKNOWN_ID}{path}")
        assert answer.error == (404, "NOT_FOUND")
    assert await shown(house) == []
    ended = await house.ask("manager", "DELETE", f"schedule/plans/{plan_id}")
    assert ended.error == (409, "SCHEDULE_ENDED")
    job_id = (await house.ask("admin", "GET", f"schedule/plans/{plan_id}")).data["job_id"]
    assert (await house.ask("manager", "GET", f"jobs/{job_id}")).data["status"] == "done"


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
async def test_days_far_away_are_refused(house: House, day: str) -> None:
    answer = await house.ask(None, "GET", f"schedule/cinema/{house.cinema_id}?date={day}")
    assert answer.error == (400, "VALIDATION_ERROR")


async def test_what_cannot_be_planned_is_refused(house: House) -> None:
    film = {"movie_id": house.movie_id, "visitors": 60}
    german = {"format": "2D", "language": "de", "share": 0.6}
    for changes, code in (
        ({"films": [film, film]}, "VALIDATION_ERROR"),
        ({"films": [film | {"shows_min": 3, "shows_max": 2}]}, "VALIDATION_ERROR"),
        ({"films": [film | {"versions": [german, german]}]}, "VALIDATION_ERROR"),
        (
            {"films": [film | {"versions": [german, german | {"language": "en"}]}]},
            "VALIDATION_ERROR",
        ),
        ({"films": [film | {"movie_id": UNKNOWN_ID}]}, "UNKNOWN_REFERENCE"),
        ({"screens": [{"screen_id": UNKNOWN_ID, "formats": ["3D"]}]}, "UNKNOWN_REFERENCE"),
        ({"base_price": {"amount": 1000, "currency": "USD"}}, "VALIDATION_ERROR"),
        ({"prime_price": {"amount": 1000, "currency": "USD"}}, "VALIDATION_ERROR"),
        ({"base_price": {"amount": 10**9, "currency": "EUR"}}, "VALIDATION_ERROR"),
        ({"date_from": a_day(-2)}, "VALIDATION_ERROR"),
        ({"date_from": a_day(800), "date_to": a_day(800)}, "VALIDATION_ERROR"),
        ({"date_to": a_day(19)}, "VALIDATION_ERROR"),
        ({"date_to": a_day(40)}, "VALIDATION_ERROR"),
    ):
        answer = await house.ask(
            "manager", "POST", "schedule/generate", a_request(house, **changes)
        )
        assert answer.envelope["error"]["code"] == code, changes
    unknown = await house.ask(
        "admin", "POST", "schedule/generate", a_request(house, cinema_id=UNKNOWN_ID)
    )
    assert unknown.error == (422, "UNKNOWN_REFERENCE")


async def test_the_same_request_again_is_one_plan(house: House) -> None:
    body = a_request(house)
    one, other = [
        await house.ask("manager", "POST", "schedule/generate", body, key="a-week")
        for _ in range(2)
    ]
    assert one.data == other.data
    await until(house, one.data["id"], "done")


async def test_plans_that_wait_are_bounded(house: House) -> None:
    first = await long_plan(house, seconds=600)
    plans = [first, *[await generate(house) for _ in range(4)]]
    refused = await house.ask("manager", "POST", "schedule/generate", a_request(house))
    assert refused.error == (409, "SCHEDULE_LIMIT")
    for plan_id in plans:
        answer = await house.ask("manager", "DELETE", f"schedule/plans/{plan_id}")
        assert answer.data["status"] == "cancelled"
    await until(house, await generate(house), "done")


async def test_a_plan_of_a_week_for_the_demo(database: str) -> None:
    """As a manager would: the demo's cinema, days beyond its programme."""
    async with open_site(database, demo_data=True) as site:
        email, password = DEMO_ACCOUNTS["manager"]
        async with site.client.post(
            "auth/login", json={"email": email, "password": password}
        ) as it:
            token = (await it.json())["data"]["access_token"]
        headers = {"Authorization": f"Bearer {token}"}

        async def ask(method: str, path: str, body: Any = None) -> Any:
            async with site.client.request(method, path, json=body, headers=headers) as reply:
                envelope = msgspec.json.decode(await reply.read())
                assert envelope["success"], envelope
                return envelope["data"]

        cinemas = await ask("GET", "cinemas")
        (aurora,) = (one for one in cinemas if one["name"] == "Kino Aurora")
        movies = (await ask("GET", "movies?limit=8"))[:8]
        request = {
            "cinema_id": aurora["id"],
            "date_from": a_day(30),
            "date_to": a_day(32),
            "films": [{"movie_id": one["id"], "visitors": 90} for one in movies],
            "base_price": BASE_PRICE,
            "seconds": 6,
        }
        plan = await ask("POST", "schedule/generate", request)
        async with asyncio.timeout(PLAN_PATIENCE_S):
            while plan["status"] in {"queued", "running"}:
                await look_again()
                plan = await ask("GET", f"schedule/plans/{plan['id']}")
        assert plan["status"] == "done"
        assert len(plan["shows"]) > 20
        assert (await ask("POST", f"schedule/plans/{plan['id']}/apply"))["status"] == "applied"
        found = []
        for ahead in (30, 31, 32, 33):
            path = f"showtimes?cinema_id={aurora['id']}&date={a_day(ahead)}&limit=100"
            found += await ask("GET", path)
        starts = [(one["screen_id"], one["starts_at"]) for one in found]
        assert sorted(starts) == sorted(
            (one["screen_id"], one["starts_at"]) for one in plan["shows"]
        )
