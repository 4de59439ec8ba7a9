"""Sessions over HTTP: the cookie of browsers, the body of native clients, pages of others."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from typing import Any

import pytest

from cinema.features.accounts.erasure_store import ErasureRepository
from cinema.features.accounts.letters import no_post
from cinema.storage.database.pool import open_pool
from tests.e2e.api.house import ORIGIN, Answer, House, open_house

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSWORD = "correct horse"
OURS = {"X-Requested-With": "fetch"}


async def register(house: House, query: str = "", **headers: str) -> Answer:
    body = {"email": f"{uuid.uuid4()}@example.com", "password": PASSWORD}
    return await house.ask(None, "POST", f"auth/register{query}", body, headers=headers)


def cookie_of(answer: Answer, name: str = "refresh") -> Any:
    return SimpleCookie(answer.headers["Set-Cookie"])[name]


def sent(answer: Answer, **headers: str) -> dict[str, str]:
    """The headers a browser sends after this answer."""
    return {"Cookie": f"a=b; refresh={cookie_of(answer).value}", **OURS, **headers}


def bearer(answer: Answer) -> dict[str, str]:
    return {"Authorization": f"Bearer {answer.data['access_token']}"}


async def me(house: House, answer: Answer) -> int:
    return (await house.ask(None, "GET", "auth/me", headers=bearer(answer))).status


async def test_browser_gets_the_refresh_token_in_a_cookie_and_nowhere_else(house: House) -> None:
    made = await register(house)
    cookie = cookie_of(made)
    assert "refresh_token" not in made.data
    assert "refresh_expires_in" not in made.data
    assert made.data["expires_in"] == 900
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
    assert cookie["max-age"] == str(7 * 86_400)
    assert not cookie["secure"]
    assert made.headers["Cache-Control"] == "no-store"
    refreshed = await house.ask(None, "POST", "auth/refresh", headers=sent(made))
    assert refreshed.data["user"] == made.data["user"]
    assert "refresh_token" not in refreshed.data
    assert cookie_of(refreshed).value != cookie.value
    assert await me(house, refreshed) == 200


async def test_native_client_sends_and_gets_the_refresh_token_in_the_body(house: House) -> None:
    made = await register(house, "?transport=body")
    assert "Set-Cookie" not in made.headers
    body = {"refresh_token": made.data["refresh_token"]}
    refreshed = await house.ask(None, "POST", "auth/refresh?transport=body", body)
    assert "Set-Cookie" not in refreshed.headers
    assert refreshed.data["refresh_token"] != made.data["refresh_token"]
    assert refreshed.data["refresh_expires_in"] == 7 * 86_400
    assert await me(house, refreshed) == 200


async def test_cookie_is_never_answered_in_the_body(house: House) -> None:
    """A script in our page could read a body, and never a cookie that it may not see."""
    made = await register(house)
    for body in (None, {}, {"refresh_token": ""}):
        asked = await house.ask(
            None, "POST", "auth/refresh?transport=body", body, headers=sent(made)
        )
        assert asked.error == (401, "UNAUTHENTICATED")
        assert asked.details == {"reason": "NO_REFRESH_TOKEN"}
    native = await register(house, "?transport=body")
    body = {"refresh_token": native.data["refresh_token"]}
    mixed = await house.ask(None, "POST", "auth/refresh", body)
    assert mixed.error == (400, "VALIDATION_ERROR")
    assert mixed.details == {"path": "$.refresh_token"}


async def test_csrf_pages_of_other_sites_cannot_use_the_cookie(house: House) -> None:
    made = await register(house)
    for path in ("auth/refresh", "auth/logout"):
        evil = sent(made, Origin="https://evil.example")
        refused = await house.ask(None, "POST", path, headers=evil)
        assert refused.error == (403, "ORIGIN_NOT_ALLOWED")
        form = sent(made, Origin=ORIGIN)
        del form["X-Requested-With"]
        refused = await house.ask(None, "POST", path, headers=form)
        assert refused.error == (403, "CSRF_HEADER_REQUIRED")
    assert await me(house, made) == 200
    ours = sent(made, Origin=ORIGIN)
    refreshed = await house.ask(None, "POST", "auth/refresh", headers=ours)
    assert refreshed.status == 200
    assert refreshed.headers["Access-Control-Allow-Credentials"] == "true"


async def test_preflight_lets_pages_of_ours_send_the_header(house: House) -> None:
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-requested-with",
    }
    async with house.client.options("auth/refresh", headers=asked) as answer:
        assert "X-Requested-With" in answer.headers["Access-Control-Allow-Headers"]


async def test_stolen_refresh_token_ends_the_session(house: House) -> None:
    async with open_house(house.address, refresh_grace_seconds=0) as strict:
        made = await register(strict)
        refreshed = await strict.ask(None, "POST", "auth/refresh", headers=sent(made))
        assert await me(strict, refreshed) == 200
        thief = await strict.ask(None, "POST", "auth/refresh", headers=sent(made))
        assert thief.error == (401, "UNAUTHENTICATED")
        assert thief.details == {"reason": "REFRESH_TOKEN_REUSED"}
        for token in (made, refreshed):
            assert await me(strict, token) == 401
        owner = await strict.ask(None, "POST", "auth/refresh", headers=sent(refreshed))
        assert owner.details == {"reason": "INVALID_REFRESH_TOKEN"}


@pytest.mark.parametrize("how", ["access token", "cookie", "body", "nothing"])
async def test_logout_ends_the_session_and_clears_the_cookie(house: House, how: str) -> None:
    made = await register(house, "?transport=body" if how == "body" else "")
    headers, body, query = dict[str, str](), None, ""
    if how == "access token":
        headers = bearer(made)
    elif how == "cookie":
        headers = sent(made)
    elif how == "body":
        body, query = {"refresh_token": made.data["refresh_token"]}, "?transport=body"
    answer = await house.ask(None, "POST", f"auth/logout{query}", body, headers=headers)
    assert answer.data == {"ended": 0 if how == "nothing" else 1}
    assert cookie_of(answer)["max-age"] == "0"
    assert await me(house, made) == (200 if how == "nothing" else 401)


@pytest.mark.parametrize("token", ["made up", "of a session that has ended"])
async def test_logout_with_an_access_token_that_has_ended_still_ends_what_the_cookie_names(
    house: House, token: str
) -> None:
    """A page that was open for long has such a token; who signs out there must be signed out."""
    made = await register(house)
    login = {"email": made.data["user"]["email"], "password": PASSWORD}
    ended = await house.ask(None, "POST", "auth/login", login)
    await house.ask(None, "POST", "auth/logout", headers=bearer(ended))
    dead = {"Authorization": "Bearer x"} if token == "made up" else bearer(ended)
    answer = await house.ask(None, "POST", "auth/logout", headers={**sent(made), **dead})
    assert answer.data == {"ended": 1}
    assert cookie_of(answer)["max-age"] == "0"
    assert await me(house, made) == 401
    again = await house.ask(None, "POST", "auth/logout", headers=dead)
    assert again.data == {"ended": 0}


async def test_sessions_are_seen_and_ended_by_their_owner_alone(house: House) -> None:
    made = await register(house, **{"User-Agent": "a phone\u00e9"})
    login = {"email": made.data["user"]["email"], "password": PASSWORD}
    elsewhere = await house.ask(
        None, "POST", "auth/login", login, headers={"User-Agent": "x" * 999}
    )
    listed = await house.ask(None, "GET", "auth/sessions", headers=bearer(made))
    assert [one["current"] for one in listed.data] == [False, True]
    assert listed.data[0]["user_agent"] == "x" * 200
    assert listed.data[0]["address"] == "127.0.0.1"
    path = f"auth/sessions/{listed.data[0]['id']}"
    assert (await house.ask("ada", "DELETE", path)).error == (404, "NOT_FOUND")
    assert (await house.ask(None, "DELETE", path, headers=bearer(made))).data == {"ended": 1}
    assert await me(house, elsewhere) == 401
    everywhere = await house.ask(None, "POST", "auth/logout-all", headers=bearer(made))
    assert everywhere.data == {"ended": 1}
    assert await me(house, made) == 401


async def test_cookie_over_tls_is_a_host_cookie(house: House) -> None:
    async with open_house(house.address, public_url="https://tickets.example") as behind:
        made = await register(behind)
        cookie = cookie_of(made, "__Host-refresh")
        assert (cookie["secure"], cookie["domain"], cookie["path"]) == (True, "", "/")
        headers = {"Cookie": f"__Host-refresh={cookie.value}", **OURS}
        asked = {**headers, "Origin": "https://tickets.example"}
        assert (await behind.ask(None, "POST", "auth/refresh", headers=asked)).status == 200
        tossed = {"Cookie": f"refresh={cookie.value}", **OURS}
        refused = await behind.ask(None, "POST", "auth/refresh", headers=tossed)
        assert refused.details == {"reason": "NO_REFRESH_TOKEN"}


async def test_wrong_transport_and_unknown_fields_are_refused(house: House) -> None:
    assert (await register(house, "?transport=pigeon")).error == (400, "VALIDATION_ERROR")
    unknown = await house.ask(None, "POST", "auth/refresh", {"token": "x"})
    assert unknown.error == (400, "VALIDATION_ERROR")
    not_json = {"Content-Type": "text/plain"}
    async with house.client.post("auth/refresh", data=b"x", headers=not_json) as answer:
        assert answer.status == 415


async def test_account_with_a_booking_ahead_cannot_be_given_up(house: House) -> None:
    """Public reports: accounts with orders that cannot be deleted, or take the orders along."""
    made = await register(house)
    showtime_id = await house.showtime()
    holding = await house.ask(
        None, "POST", f"showtimes/{showtime_id}/holds", {"seats": ["A1"]}, headers=bearer(made)
    )
    booking = {
        "showtime_id": showtime_id,
        "hold_id": holding.data["hold_id"],
        "payment": {"method": "demo"},
    }
    booked = await house.ask(None, "POST", "bookings", booking, headers=bearer(made))
    body = {"password": PASSWORD}
    refused = await house.ask(None, "DELETE", "auth/me", body, headers=bearer(made))
    assert refused.error == (409, "BOOKING_AHEAD")
    assert refused.details == {"reason": "booking"}
    user_id = made.data["user"]["id"]
    await house.database.execute("update users set erase_at = now() where id = $1", user_id)
    async with await open_pool(house.address, size=2) as pool:
        erasure = ErasureRepository(pool, no_post, new_id=uuid.uuid4)
        assert await erasure.erase_due(datetime.now(UTC) + timedelta(minutes=1), 10) == 0
    path = f"bookings/{booked.data['id']}"
    assert (await house.ask(None, "DELETE", path, headers=bearer(made))).status == 200
    given_up = await house.ask(None, "DELETE", "auth/me", body, headers=bearer(made))
    assert given_up.status == 200
    assert cookie_of(given_up)["max-age"] == "0"
    assert await me(house, made) == 401
