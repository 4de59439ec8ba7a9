"""Every operation for every role: 401 without a token, 403 for the wrong role, else let in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from tests.e2e.api.house import BASE_PRICE, GUEST_EMAIL, UNKNOWN_ID, House

pytestmark = pytest.mark.asyncio(loop_scope="module")

ELSEWHERE = frozenset({"staff elsewhere", "manager elsewhere"})
ANYBODY = frozenset({None, "guest", "ada", "staff", "manager", "admin", *ELSEWHERE})
GUESTS = frozenset({"guest"})
BUYERS = ANYBODY - {None}
SIGNED_IN = BUYERS - GUESTS
MANAGERS = frozenset({"manager", "admin"})
ADMINS = frozenset({"admin"})
PLANNERS = MANAGERS | {"manager elsewhere"}

ENDS_SESSIONS = frozenset({"logout", "logoutEverywhere", "endSession", "endGuest"})

AT_THE_COUNTER = frozenset({"staff", "manager", "admin"})
OF_ANOTHER = {
    "getHold": frozenset[str](),
    "extendHold": frozenset[str](),
    "releaseHold": frozenset[str](),
    "createBooking": frozenset[str](),
    "getBooking": AT_THE_COUNTER,
    "cancelBooking": AT_THE_COUNTER,
    "endSession": frozenset[str](),
    "getJob": frozenset({"admin"}),
}
"""Operations on what belongs to somebody, and who else may do them; all others get 404."""

OWNED = ("{hold_id}", "{booking_id}", "{session_id}", "{job_id}")
"""Ends of paths to what belongs to somebody."""


def later(days: int) -> str:
    """A moment on which the house has nothing on its screens yet."""
    return (datetime.now(UTC) + timedelta(days=60 + days)).isoformat()


class Call(NamedTuple):
    """An operation that succeeds for `allowed`; `{…}` in the path and body are filled in."""

    method: str
    path: str
    allowed: frozenset[str | None]
    status: int = 200
    body: Any = None
    headers: dict[str, str] = {}  # noqa: RUF012  (nobody changes it)


def calls(house: House, facts: dict[str, str], number: int) -> dict[str, Call]:
    """Operation to call; `number` keeps names and times of repeated calls apart."""
    account = {"email": f"new{number}-{house.cinema_id}@example.com", "password": "correct horse"}
    address = {"email": account["email"]}
    link = {"token": "x"}
    reset = {**link, "new_password": "battery staple"}
    accepted = {**link, "password": "battery staple"}
    invited = {"email": f"invited-{account['email']}", "role": "staff"}
    wrong, code = {"password": "wrong"}, {"code": "000000"}
    change = {"current_password": "wrong", "new_password": "battery staple"}
    showtime = {
        "movie_id": house.movie_id,
        "screen_id": house.screen_id,
        "starts_at": later(number),
        "base_price": BASE_PRICE,
        "language": "en",
    }
    screen = {"cinema_id": house.cinema_id, "name": f"New {number}"}
    grid = {"grid": {"rows": 2, "columns": 2 + number}}
    cinema = {"name": f"New {number}", "city": "Rome", "country": "IT"}
    zone = {"time_zone": "Europe/Rome", "currency": "EUR"}
    schedule = {
        "cinema_id": house.cinema_id,
        "date_from": later(0)[:10],
        "date_to": later(0)[:10],
        "films": [{"movie_id": house.movie_id, "visitors": 0}],
        "base_price": BASE_PRICE,
        "seconds": 1,
    }
    plan = f"schedule/plans/{UNKNOWN_ID}"
    shown = f"showtimes/{facts['showtime']}"
    held = f"{shown}/holds/{facts['hold']}"
    booking: dict[str, Any] = {
        "showtime_id": facts["showtime"],
        "hold_id": facts["hold"],
        "payment": {"method": "demo"},
    }
    if facts["person"] == "guest":
        booking["email"] = GUEST_EMAIL
    order, with_link = f"orders/{facts['booking']}", {"Link-Token": "x"}
    return {
        "register": Call("POST", "auth/register", ANYBODY, 201, account),
        "login": Call("POST", "auth/login", ANYBODY, 200, account),
        "refresh": Call("POST", "auth/refresh", ANYBODY, 401),
        "logout": Call("POST", "auth/logout", ANYBODY - GUESTS),
        "beginGuest": Call("POST", "auth/guest", GUESTS | {None}, 201),
        "endGuest": Call("DELETE", "auth/guest", GUESTS),
        "claimGuest": Call("POST", "auth/guest/claim", SIGNED_IN, 409),
        "logoutEverywhere": Call("POST", "auth/logout-all", SIGNED_IN),
        "listSessions": Call("GET", "auth/sessions", SIGNED_IN),
        "endSession": Call("DELETE", f"auth/sessions/{facts['session']}", SIGNED_IN),
        "forgotPassword": Call("POST", "auth/forgot-password", ANYBODY, 200, address),
        "resendVerification": Call("POST", "auth/verify-email/resend", ANYBODY, 200, address),
        "resetPassword": Call("POST", "auth/reset-password", ANYBODY, 410, reset),
        "verifyEmail": Call("POST", "auth/verify-email", ANYBODY, 410, link),
        "changePassword": Call("POST", "auth/change-password", SIGNED_IN, 401, change),
        "changeEmail": Call("POST", "auth/change-email", SIGNED_IN, 401, {**address, **wrong}),
        "answerChallenge": Call("POST", "auth/mfa/login", ANYBODY, 401, {"mfa_token": "x", **code}),
        "beginSecondFactor": Call("POST", "auth/mfa/totp", SIGNED_IN, 401, wrong),
        "verifySecondFactor": Call("POST", "auth/mfa/verify", SIGNED_IN, 409, code),
        "renewRecoveryCodes": Call(
            "POST", "auth/mfa/recovery-codes", SIGNED_IN, 409, {**wrong, **code}
        ),
        "resetSecondFactor": Call(
            "POST", f"admin/users/{house.people['bob']}/reset-mfa", ADMINS, 409
        ),
        "removeSecondFactor": Call("DELETE", "auth/mfa/totp", SIGNED_IN, 409, {**wrong, **code}),
        "changeMe": Call("PATCH", "auth/me", SIGNED_IN, 200, {"language": "de"}),
        "deleteMe": Call("DELETE", "auth/me", SIGNED_IN - ADMINS, 401, wrong),
        "me": Call("GET", "auth/me", SIGNED_IN),
        "exportMe": Call("POST", "auth/me/export", SIGNED_IN, 403),
        "downloadExport": Call(
            *("GET", f"auth/exports/{UNKNOWN_ID}", ANYBODY, 410), headers={"Link-Token": "x"}
        ),
        "acceptInvitation": Call("POST", "auth/accept-invitation", ANYBODY, 410, accepted),
        "listUsers": Call("GET", "admin/users?q=x", ADMINS),
        "getUser": Call("GET", f"admin/users/{house.people['bob']}", ADMINS),
        "changeUser": Call(
            "PATCH", f"admin/users/{house.people['bob']}", ADMINS, 200, {"cinema_ids": []}
        ),
        "invite": Call("POST", "admin/invitations", ADMINS, 201, invited),
        "listAudit": Call("GET", "admin/audit", ADMINS),
        "listMessages": Call("GET", "admin/messages", ADMINS),
        "retryMessage": Call("POST", f"admin/messages/{UNKNOWN_ID}/retry", ADMINS, 404),
        "getJob": Call("GET", f"jobs/{facts['job']}", SIGNED_IN),
        "listJobs": Call("GET", "admin/jobs", ADMINS),
        "retryJob": Call("POST", f"admin/jobs/{UNKNOWN_ID}/retry", ADMINS, 404),
        "promoteUser": Call(
            "POST", f"admin/users/{house.people['bob']}/promote", ADMINS, 200, {"role": "customer"}
        ),
        "listMovies": Call("GET", "movies", ANYBODY),
        "getMovie": Call("GET", f"movies/{house.movie_id}", ANYBODY),
        "listShowtimesOfMovie": Call("GET", f"movies/{house.movie_id}/showtimes", ANYBODY),
        "createMovie": Call("POST", "movies", ADMINS, 201, {"title": "M", "runtime_minutes": 9}),
        "replaceMovie": Call(
            *("PUT", f"movies/{facts['movie']}", ADMINS, 200),
            {"title": "N", "runtime_minutes": 9},
            headers={"If-Match": '"1"'},
        ),
        # A form without a picture: who may send one is told so.
        "setPoster": Call("POST", f"movies/{facts['movie']}/poster", ADMINS, 415, {}),
        "getPicture": Call("GET", "/media/x", ANYBODY, 404),
        "deleteMovie": Call(
            *("DELETE", f"movies/{facts['movie']}", ADMINS, 200), headers={"If-Match": '"1", "2"'}
        ),
        "listCinemas": Call("GET", "cinemas", ANYBODY),
        "replaceCinema": Call(
            *("PUT", f"cinemas/{facts['cinema']}", ADMINS, 200),
            {**cinema, **zone},
            headers={"If-Match": '"1"'},
        ),
        "deleteCinema": Call(
            *("DELETE", f"cinemas/{facts['cinema']}", ADMINS, 200),
            headers={"If-Match": '"1", "2"'},
        ),
        "getCinema": Call("GET", f"cinemas/{house.cinema_id}", ANYBODY),
        "getCinemaSettings": Call("GET", f"cinemas/{house.cinema_id}/settings", MANAGERS),
        "changeCinemaSettings": Call(
            *("PUT", f"cinemas/{house.cinema_id}/settings", MANAGERS, 200, {}),
            headers={"If-Match": '"1"'},
        ),
        "listScreensOfCinema": Call("GET", f"cinemas/{house.cinema_id}/screens", ANYBODY),
        "createCinema": Call("POST", "cinemas", ADMINS, 201, {**cinema, **zone}),
        "getScreen": Call("GET", f"screens/{house.screen_id}", ANYBODY),
        "getLayout": Call("GET", f"screens/{house.screen_id}/layout", ANYBODY),
        "createScreen": Call("POST", "screens", MANAGERS, 201, {**screen, **grid}),
        "replaceLayout": Call(
            *("PUT", f"screens/{facts['screen']}/layout", MANAGERS, 200, grid),
            headers={"If-Match": '"1", "2"'},
        ),
        "replaceScreen": Call(
            *("PUT", f"screens/{facts['screen']}", MANAGERS, 200),
            {"name": f"Renamed {number} {facts['screen']}"},
            headers={"If-Match": '"1", "2"'},
        ),
        "deleteScreen": Call(
            *("DELETE", f"screens/{facts['screen']}", MANAGERS, 200),
            headers={"If-Match": '"1", "2", "3"'},
        ),
        "listShowtimes": Call("GET", "showtimes", ANYBODY),
        "getShowtime": Call("GET", shown, ANYBODY),
        "createShowtime": Call("POST", "showtimes", MANAGERS, 201, showtime),
        "changeShowtime": Call(
            *("PUT", shown, MANAGERS, 200),
            {**showtime, "screen_id": facts["hall"], "sales": {"opens_at": later(-70)}},
            headers={"If-Match": '"1", "2"'},
        ),
        "changeShowtimeLayout": Call(
            *("PUT", f"{shown}/layout", MANAGERS, 200, {"layout_version": 1}),
            headers={"If-Match": '"1", "2"'},
        ),
        "cancelShowtime": Call(
            *("DELETE", f"showtimes/{facts['other']}", MANAGERS, 200),
            headers={"If-Match": '"1"'},
        ),
        "generateSchedule": Call("POST", "schedule/generate", MANAGERS, 202, schedule),
        "getSchedulePlan": Call("GET", plan, PLANNERS, 404),
        "cancelSchedulePlan": Call("DELETE", plan, PLANNERS, 404),
        "applySchedulePlan": Call("POST", f"{plan}/apply", PLANNERS, 404),
        "getCinemaSchedule": Call("GET", f"schedule/cinema/{house.cinema_id}", ANYBODY),
        "getScreeningEvent": Call("GET", f"{shown}/screening-event", ANYBODY),
        "scheduleShowtime": Call(
            *("POST", "schedule/showtime", MANAGERS, 201),
            {**showtime, "starts_at": later(number + 100)},
        ),
        "rescheduleShowtime": Call(
            *("PUT", f"schedule/showtime/{facts['third']}", MANAGERS, 200),
            {**showtime, "starts_at": later(number + 200)},
            headers={"If-Match": '"1"'},
        ),
        "unscheduleShowtime": Call(
            *("DELETE", f"schedule/showtime/{facts['third']}", MANAGERS, 200),
            headers={"If-Match": '"2"'},
        ),
        "getSeats": Call("GET", f"{shown}/seats", ANYBODY),
        "placeHold": Call("POST", f"{shown}/holds", BUYERS, 201, {"seats": [facts["seat"]]}),
        "getHold": Call("GET", held, BUYERS),
        "extendHold": Call("PATCH", held, BUYERS, 200, {"extend": True}),
        "releaseHold": Call("DELETE", f"{held}?seats={facts['part']}", BUYERS),
        "createBooking": Call("POST", "bookings", BUYERS, 201, booking),
        "listBookings": Call("GET", "bookings", BUYERS),
        "getBooking": Call("GET", f"bookings/{facts['booking']}", BUYERS),
        "cancelBooking": Call("DELETE", f"bookings/{facts['booking']}", BUYERS),
        "getOrder": Call("GET", order, ANYBODY, 410, headers=with_link),
        "cancelOrder": Call("DELETE", order, ANYBODY, 410, headers=with_link),
        "watchShowtime": Call("GET", f"{shown}/watch", ANYBODY, 426),
        "healthz": Call("GET", "/healthz", ANYBODY),
        "readyz": Call("GET", "/readyz", ANYBODY),
        "metrics": Call("GET", "/metrics", ANYBODY),
    }


async def documented(house: House) -> dict[str, tuple[str, Any]]:
    """Operation to its path and what the document says of it."""
    document = await (await house.client.get("openapi.json")).json()
    return {
        operation["operationId"]: (path, operation)
        for path, methods in document["paths"].items()
        for operation in methods.values()
    }


async def facts_of(house: House, owner: str, person: str | None = None) -> dict[str, str]:
    """What an owner has: a hold, a booking, a session, a job; a seat that is free; and who asks."""
    screen_id = await house.screen(grid={"rows": 2, "columns": 20})
    showtime_id = await house.showtime(screen_id=screen_id)
    film = {"title": "Of the roles", "runtime_minutes": 9}
    cinema = {"name": "Of the roles", "city": "Rome", "country": "IT"}
    zone = {"time_zone": "Europe/Rome", "currency": "EUR"}
    return {
        "movie": (await house.ask("admin", "POST", "movies", film)).data["id"],
        "cinema": (await house.ask("admin", "POST", "cinemas", {**cinema, **zone})).data["id"],
        "showtime": showtime_id,
        "hall": screen_id,
        "other": await house.showtime(),
        "third": await house.showtime(),
        "screen": await house.screen(grid={"rows": 2, "columns": 2}),
        "hold": await house.held(owner, showtime_id, "A1", "A2"),
        "booking": await house.booked(owner, showtime_id, "A3"),
        "seat": "A4",
        "part": "A2",
        "session": house.people[owner],
        "person": person or owner,
        "job": await house.job(owner),
    }


async def test_table_has_every_operation_of_the_server(house: House) -> None:
    operations = await documented(house)
    assert set(calls(house, await facts_of(house, "ada"), 0)) == set(operations)
    personal = {
        name
        for name, (path, operation) in operations.items()
        if path.endswith(OWNED) and operation["security"] != [{"link": []}]
    }
    assert set(OF_ANOTHER) == personal | {"createBooking"}


@pytest.mark.parametrize("person", sorted(ANYBODY, key=str), ids=str)
async def test_each_operation_lets_in_whom_it_should(house: House, person: str | None) -> None:
    operations = await documented(house)
    table = calls(house, await facts_of(house, person or "ada"), 1)
    wrong: list[str] = []
    for name, call in table.items():
        path = call.path if call.path[0] != "/" else f"http://127.0.0.1:{house.port}{call.path}"
        headers = dict(call.headers)
        if person:
            headers["Authorization"] = f"Bearer {house.token(person)}"
        reply = await house.client.request(call.method, path, json=call.body, headers=headers)
        raw = await reply.text()
        if name in ENDS_SESSIONS:
            await house.database.execute("update sessions set revoked_at = null")
            await house.database.execute("update guests set ended_at = null")
        expected = call.status if person in call.allowed else 401 if person is None else 403
        if reply.status != expected:
            wrong.append(f"{name} as {person}: {reply.status}, not {expected}: {raw[:300]}")
        if str(reply.status) not in operations[name][1]["responses"]:
            wrong.append(f"{name} answers {reply.status}, which is not documented")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("person", sorted({"bob", "guest", *ELSEWHERE, *AT_THE_COUNTER}))
async def test_what_is_a_customers_is_unknown_to_all_but_the_staff_of_its_cinema(
    house: House, person: str
) -> None:
    table = calls(house, await facts_of(house, "ada", person), 1)
    wrong: list[str] = []
    for name, allowed in OF_ANOTHER.items():
        call = table[name]
        answer = await house.ask(person, call.method, call.path, call.body)
        expected = call.status if person in allowed else 404
        if person == "guest" and person not in call.allowed:
            expected = 403
        if answer.status != expected:
            wrong.append(f"{name} as {person}: {answer.status}, not {expected}")
    assert not wrong, "\n".join(wrong)


async def test_change_of_role_ends_tokens_at_once(house: House) -> None:
    bearer = {"Authorization": f"Bearer {house.token('bob')}"}
    assert (await house.ask(None, "GET", "bookings", headers=bearer)).status == 200
    bob = house.people["bob"]
    promotion = await house.ask("admin", "POST", f"admin/users/{bob}/promote", {"role": "staff"})
    assert promotion.data["role"] == "staff"
    refused = await house.ask(None, "GET", "bookings", headers=bearer)
    assert refused.error == (401, "UNAUTHENTICATED")
    assert refused.details == {"reason": "TOKEN_REVOKED"}
