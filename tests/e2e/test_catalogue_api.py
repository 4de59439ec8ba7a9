"""Accounts and catalogue over HTTP, on a real Postgres with the demo's data.

All tests share one server: they add rows and look at those they know.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from cinema.app.node import running_node
from cinema.demo.posters import STYLES
from cinema.demo.seed import DEMO_ACCOUNTS
from cinema.settings import Secret, Settings
from cinema.telemetry.logging import LogSink

pytestmark = pytest.mark.asyncio(loop_scope="module")

Client = aiohttp.ClientSession
Answer = tuple[int, Any]

PATIENCE_S = 60.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(shared_database: str) -> AsyncIterator[Client]:
    """A client of a whole node."""
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory() as folder:
        sink = LogSink(log.fileno())
        settings = Settings(
            database_url=Secret(shared_database),
            data_dir=Path(folder),
            jwt_secret_key=Secret("0123456789abcdef" * 2),
            encryption_keys=Secret("ab" * 32),
            ticket_signing_keys=Secret("cd" * 32),
            bcrypt_cost=10,
        )
        async with running_node(settings, sink) as node:
            port = await node.edge.start("127.0.0.1", 0)
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}/api/v1/") as session:
                yield session
            await node.stop(1.0)
        sink.close()


async def ask(client: Client, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    """Status, and `data` or the error code."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.request(method, path, json=body, headers=named) as reply:
        envelope = msgspec.json.decode(await reply.read())
    if envelope["success"]:
        return reply.status, envelope["data"]
    return reply.status, envelope["error"]["code"]


async def signed_in(client: Client, role: str) -> str:
    email, password = DEMO_ACCOUNTS[role]
    _, data = await ask(client, "POST", "auth/login", {"email": email, "password": password})
    return f"Bearer {data['access_token']}"


async def test_account_is_opened_used_and_guarded(client: Client) -> None:
    account = {"email": "Ada@Example.com", "password": "correct horse"}
    status, opened = await ask(client, "POST", "auth/register", account, Idempotency_Key="k")
    assert (status, opened["token_type"], opened["user"]["role"]) == (201, "Bearer", "customer")
    status, me = await ask(
        client, "GET", "auth/me", Authorization=f"Bearer {opened['access_token']}"
    )
    assert (status, me) == (200, opened["user"])
    status, again = await ask(client, "POST", "auth/register", account, Idempotency_Key="k")
    assert (status, again["user"]["id"]) == (201, me["id"])
    assert await ask(client, "POST", "auth/register", account) == (409, "EMAIL_TAKEN")
    wrong = {**account, "password": "wrong horse"}
    assert await ask(client, "POST", "auth/login", wrong) == (401, "INVALID_CREDENTIALS")
    for _ in range(9):
        await ask(client, "POST", "auth/login", wrong)
    async with client.post("auth/login", json=wrong) as refused:
        assert refused.status == 429
        assert 0 < int(refused.headers["Retry-After"]) <= 300


async def test_catalogue_is_read_by_everyone_and_written_by_some(client: Client) -> None:
    admin, customer = await signed_in(client, "admin"), await signed_in(client, "customer")
    film = {"title": "Zardoz", "runtime_minutes": 105}
    assert await ask(client, "POST", "movies", film) == (401, "UNAUTHENTICATED")
    assert await ask(client, "POST", "movies", film, Authorization=customer) == (403, "FORBIDDEN")
    key = {"Authorization": admin, "Idempotency_Key": "one film"}
    status, made = await ask(client, "POST", "movies", film, **key)
    assert status == 201
    assert await ask(client, "POST", "movies", film, **key) == (201, made)
    other = {**film, "title": "Zodiac"}
    assert await ask(client, "POST", "movies", other, **key) == (422, "IDEMPOTENCY_MISMATCH")
    assert await ask(client, "GET", f"movies/{made['id'].upper()}") == (200, made)


async def test_list_is_walked_page_by_page(client: Client) -> None:
    titles: list[str] = []
    cursor = ""
    while cursor is not None:
        query = {"limit": "5", **({"cursor": cursor} if cursor else {})}
        async with client.get("movies", params=query) as reply:
            envelope = msgspec.json.decode(await reply.read())
        titles += [movie["title"] for movie in envelope["data"]]
        cursor = envelope["meta"]["next_cursor"]
    assert len(titles) == len(set(titles)) >= 12


async def test_screen_gets_seats_and_a_showtime(client: Client) -> None:
    admin = await signed_in(client, "admin")
    _, cinemas = await ask(client, "GET", "cinemas")
    _, movies = await ask(client, "GET", "movies?limit=1")
    plan = {"cinema_id": cinemas[0]["id"], "name": "New", "grid": {"rows": 2, "columns": 3}}
    status, screen = await ask(client, "POST", "screens", plan, Authorization=admin)
    assert (status, screen["seat_count"]) == (201, 6)
    _, screens = await ask(client, "GET", f"cinemas/{cinemas[0]['id']}/screens")
    assert screen in screens
    wanted = {
        "movie_id": movies[0]["id"],
        "screen_id": screen["id"],
        "starts_at": _in_two_days(),
        "base_price": {"amount": 900, "currency": cinemas[0]["currency"]},
        "language": "en",
    }
    status, made = await ask(client, "POST", "showtimes", wanted, Authorization=admin)
    assert (status, made["layout_version"]) == (201, 1)
    occupied = await ask(client, "POST", "showtimes", wanted, Authorization=admin)
    assert occupied == (409, "SCREEN_OCCUPIED")
    assert await ask(client, "GET", f"showtimes/{made['id']}") == (200, made)
    _, seats = await ask(client, "GET", f"showtimes/{made['id']}/seats")
    assert [seat["label"] for seat in seats["seats"]] == ["A1", "A2", "A3", "B1", "B2", "B3"]


SHARED = "public, max-age=0, s-maxage=10"


async def test_lists_for_everybody_may_be_shared_for_a_moment(client: Client) -> None:
    admin = await signed_in(client, "admin")
    _, cinemas = await ask(client, "GET", "cinemas")
    _, movies = await ask(client, "GET", "movies")
    house = cinemas[0]["id"]
    for path in (
        "movies?limit=2",
        "cinemas",
        f"cinemas/{house}/screens",
        "showtimes?limit=2",
        f"movies/{movies[0]['id']}/showtimes",
        f"schedule/cinema/{house}",
    ):
        async with client.get(path) as first:
            assert (first.status, first.headers["Cache-Control"]) == (200, SHARED), path
            assert first.headers["Vary"] == "Origin"
            tag, body = first.headers["ETag"], await first.read()
        async with client.get(path, headers={"If-None-Match": tag}) as second:
            assert (second.status, await second.read()) == (304, b"")
            assert second.headers["Cache-Control"] == SHARED
        # It is the same for everybody, or nobody could share it.
        async with client.get(path, headers={"Authorization": admin}) as third:
            assert (third.headers["ETag"], await third.read()) == (tag, body)


async def test_a_change_gives_a_list_another_tag(client: Client) -> None:
    admin = await signed_in(client, "admin")
    async with client.get("movies?limit=100") as before:
        tag = before.headers["ETag"]
    film = {"title": "A new one", "runtime_minutes": 90}
    _, made = await ask(client, "POST", "movies", film, Authorization=admin)
    async with client.get("movies?limit=100", headers={"If-None-Match": tag}) as after:
        assert after.status == 200
        assert made["id"] in {one["id"] for one in (await after.json())["data"]}


async def test_nobody_keeps_what_depends_on_the_caller_or_on_the_moment(client: Client) -> None:
    admin, customer = await signed_in(client, "admin"), await signed_in(client, "customer")
    _, showtimes = await ask(client, "GET", "showtimes?limit=1")
    seats = f"showtimes/{showtimes[0]['id']}/seats"
    for path, caller in (
        (seats, None),
        (seats, customer),
        ("bookings", customer),
        ("admin/users", admin),
        ("auth/me", customer),
    ):
        headers = {} if caller is None else {"Authorization": caller}
        async with client.get(path, headers=headers) as reply:
            assert (reply.status, reply.headers["Cache-Control"]) == (200, "no-store"), path
            tag = reply.headers.get("ETag")
        if tag is not None:
            async with client.get(path, headers={**headers, "If-None-Match": tag}) as again:
                assert (again.status, again.headers["Cache-Control"]) == (304, "no-store")


async def test_layout_is_sent_once(client: Client) -> None:
    _, cinemas = await ask(client, "GET", "cinemas")
    _, screens = await ask(client, "GET", f"cinemas/{cinemas[0]['id']}/screens")
    path = f"screens/{screens[0]['id']}/layout"
    async with client.get(path) as first:
        assert first.headers["Cache-Control"] == "private, no-cache"
        tag = first.headers["ETag"]
    async with client.get(path, headers={"If-None-Match": tag}) as second:
        assert (second.status, await second.read()) == (304, b"")
    async with client.get(path, params={"version": "1"}) as pinned:
        assert "immutable" in pinned.headers["Cache-Control"]
    assert await ask(client, "GET", f"{path}?version=99") == (404, "NOT_FOUND")


async def test_layout_is_replaced_only_by_who_has_seen_it(client: Client) -> None:
    admin = await signed_in(client, "admin")
    _, cinemas = await ask(client, "GET", "cinemas")
    plan = {"cinema_id": cinemas[0]["id"], "name": "Seen", "grid": {"rows": 1, "columns": 1}}
    _, screen = await ask(client, "POST", "screens", plan, Authorization=admin)
    path = f"screens/{screen['id']}/layout"
    async with client.get(path) as shown:
        tag = shown.headers["ETag"]

    async def replace(columns: int, **headers: str) -> Answer:
        grid = {"grid": {"rows": 1, "columns": columns}}
        return await ask(client, "PUT", path, grid, Authorization=admin, **headers)

    for without in ({}, {"If_Match": "*"}):
        assert await replace(2, **without) == (428, "PRECONDITION_REQUIRED")
    for stale in ('"0"', f"W/{tag}", "1", '"x"'):
        assert await replace(2, If_Match=stale) == (412, "PRECONDITION_FAILED")
    status, replaced = await replace(2, If_Match=tag)
    assert (status, replaced["layout_version"], replaced["seat_count"]) == (200, 2, 2)
    assert await replace(3, If_Match=tag) == (412, "PRECONDITION_FAILED")
    status, replaced = await replace(3, If_Match=f'"9", "{replaced["layout_version"]}"')
    assert (status, replaced["seat_count"]) == (200, 3)
    wrong = {"grid": {"rows": 1}}
    refused = await ask(client, "PUT", path, wrong, Authorization=admin)
    assert refused == (400, "VALIDATION_ERROR")
    nowhere = f"screens/{cinemas[0]['id']}/layout"
    gone = await ask(client, "PUT", nowhere, {"grid": plan["grid"]}, Authorization=admin)
    assert gone == (404, "NOT_FOUND")


async def test_rows_are_changed_and_deleted_only_by_who_has_seen_them(client: Client) -> None:
    admin = await signed_in(client, "admin")
    house = {"name": "New", "city": "Rome", "country": "IT"}
    zone = {"time_zone": "Europe/Rome", "currency": "EUR"}
    film = {"title": "Zardoz", "runtime_minutes": 105}
    _, movie = await ask(client, "POST", "movies", film, Authorization=admin)
    _, cinema = await ask(client, "POST", "cinemas", {**house, **zone}, Authorization=admin)
    plan = {"cinema_id": cinema["id"], "name": "One", "grid": {"rows": 1, "columns": 1}}
    _, screen = await ask(client, "POST", "screens", plan, Authorization=admin)
    for path, body in (
        (f"movies/{movie['id']}", {**film, "title": "Zodiac"}),
        (f"screens/{screen['id']}", {"name": "Two"}),
        (f"cinemas/{cinema['id']}", {**house, **zone, "name": "Newer"}),
    ):
        async with client.get(path) as shown:
            tag = shown.headers["ETag"]
        async with client.get(path, headers={"If-None-Match": tag}) as known:
            assert (known.status, known.headers["ETag"]) == (304, tag)
        for method in ("PUT", "DELETE"):
            sent = body if method == "PUT" else None
            for without in ({}, {"If_Match": "*"}):
                refused = await ask(client, method, path, sent, Authorization=admin, **without)
                assert refused == (428, "PRECONDITION_REQUIRED"), (method, path)
            for stale in ('"0"', f"W/{tag}", "1", '"2"'):
                refused = await ask(client, method, path, sent, Authorization=admin, If_Match=stale)
                assert refused == (412, "PRECONDITION_FAILED"), (method, path, stale)
        headers = {"Authorization": admin, "If-Match": tag}
        async with client.put(path, json=body, headers=headers) as changed:
            tag = changed.headers["ETag"]
            told = msgspec.json.decode(await changed.read())["data"]
        assert (told["version"], tag) == (2, '"2"')
        assert body.items() <= told.items()
        status, gone = await ask(client, "DELETE", path, Authorization=admin, If_Match=tag)
        assert (status, gone["id"]) == (200, told["id"])
        assert await ask(client, "GET", path) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "/admin", "//elsewhere.example/x", "ftp://x", "http://a b"]
)
async def test_links_are_those_of_the_web(client: Client, link: str) -> None:
    admin = await signed_in(client, "admin")
    film = {"title": "Zardoz", "runtime_minutes": 105}
    for field in ("poster_url", "trailer_url"):
        refused = await ask(client, "POST", "movies", {**film, field: link}, Authorization=admin)
        assert refused == (400, "VALIDATION_ERROR")


async def test_films_are_searched_and_filtered(client: Client) -> None:
    async def titles(query: str) -> list[str]:
        status, movies = await ask(client, "GET", f"movies?{query}")
        assert status == 200, movies
        return [movie["title"] for movie in movies]

    assert await titles("q=godfahter") == ["The Godfather"]
    assert await titles("q=amelie&genre=ROMANCE") == ["Amélie"]
    assert (await titles("sort=release_date"))[0] == "Dune: Part Two"
    _, cinemas = await ask(client, "GET", "cinemas")
    _, shows = await ask(client, "GET", f"showtimes?cinema_id={cinemas[0]['id']}&limit=100")
    _, movie = await ask(client, "GET", f"movies/{shows[0]['movie_id']}")
    same = f"language={shows[0]['language']}&format={shows[0]['format']}"
    assert movie["title"] in await titles(f"cinema_id={cinemas[0]['id']}&{same}&limit=100")
    assert await titles("date=1999-01-01") == []
    for wrong in ("sort=relevance", "sort=x", "date=1999-13-01", "language=e", "q=a&x=1"):
        status, code = await ask(client, "GET", f"movies?{wrong}")
        assert (status, code) == (400, "VALIDATION_ERROR"), wrong


async def test_films_of_the_demo_get_posters_while_the_server_serves(client: Client) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            _, movies = await ask(client, "GET", "movies?limit=100")
            posters = {one["title"]: one["poster_url"] for one in movies}
            if all(posters[title] is not None for title in STYLES):
                break
            await asyncio.sleep(0.1)
    async with client.get(posters["Metropolis"]) as reply:
        assert (reply.status, reply.content_type) == (200, "image/webp")


async def test_prices_are_only_for_categories_of_the_screen(client: Client) -> None:
    admin = await signed_in(client, "admin")
    _, movies = await ask(client, "GET", "movies?limit=1")
    # Of a cinema without rules for its prices.
    plain = {"name": "Plain", "city": "Rome", "country": "IT", "time_zone": "Europe/Rome"}
    _, cinema = await ask(
        client, "POST", "cinemas", {**plain, "currency": "EUR"}, Authorization=admin
    )
    plan = {"cinema_id": cinema["id"], "name": "Priced", "grid": {"rows": 1, "columns": 1}}
    _, screen = await ask(client, "POST", "screens", plan, Authorization=admin)
    wanted = {
        "movie_id": movies[0]["id"],
        "screen_id": screen["id"],
        "starts_at": _in_two_days(),
        "base_price": {"amount": 900, "currency": "EUR"},
        "language": "en",
    }
    sofas = {**wanted, "price_overrides": {"sofa": 5000}}
    refused = await ask(client, "POST", "showtimes", sofas, Authorization=admin)
    assert refused == (422, "UNKNOWN_CATEGORY")
    named = {**wanted, "price_overrides": {"regular": 5000}}
    status, made = await ask(client, "POST", "showtimes", named, Authorization=admin)
    assert status == 201
    _, seats = await ask(client, "GET", f"showtimes/{made['id']}/seats")
    assert seats["seats"][0]["price"]["amount"] == 5000


def _in_two_days() -> str:
    return (datetime.now(UTC) + timedelta(days=2)).isoformat()
