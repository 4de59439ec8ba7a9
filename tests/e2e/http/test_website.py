"""The web app's files over the wire: codings, caching, policies, and addresses of pages."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from cinema.features.website import routes
from cinema.features.website.service import WebsiteService
from cinema.features.website.shapes import DemoAccount, Site
from cinema.http.errors import error_table
from cinema.http.routes import bound
from cinema.http.server import Edge, EdgeOptions
from cinema.telemetry.metrics import Metrics

PAGE = "<!doctype html><title>the app</title>"
SCRIPT = "console.log('the app');"
WORKER = "addEventListener('fetch', () => {});"
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
SITE = Site(
    demo_accounts=(DemoAccount(role="customer", email="a@cinema.example", password="public"),),
    demo_payment=True,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text(PAGE)
    for name in ("scanner.js", "tickets.js"):
        (tmp_path / name).write_text(WORKER)
    (tmp_path / "assets" / "app-1a2b.js").write_text(SCRIPT)
    (tmp_path / "assets" / "app-1a2b.js.gz").write_bytes(gzip.compress(SCRIPT.encode()))
    (tmp_path / "assets" / "reader-1a2b.wasm").write_bytes(b"\0asm")
    (tmp_path / "assets" / "notes.txt").write_text("not for the public")
    return tmp_path


@pytest.fixture
async def site(folder: Path) -> AsyncIterator[aiohttp.ClientSession]:
    async for client in served(WebsiteService(SITE, folder)):
        yield client


async def served(website: WebsiteService) -> AsyncIterator[aiohttp.ClientSession]:
    edge = Edge(
        EdgeOptions(),
        errors=error_table(),
        verify_token=lambda _: None,
        metrics=Metrics(),
        write_log=lambda _: None,
    )
    edge.add_routes(bound(routes.ROUTES, website))
    for fallback in bound(routes.FALLBACK_ROUTES, website):
        edge.set_fallback(fallback)
    port = await edge.start("127.0.0.1", 0)
    try:
        async with asyncio.timeout(30):
            url = f"http://127.0.0.1:{port}"
            async with aiohttp.ClientSession(url, auto_decompress=False) as client:
                yield client
    finally:
        await edge.stop(1.0)


async def test_the_page_is_asked_for_each_time_and_runs_our_scripts_alone(
    site: aiohttp.ClientSession,
) -> None:
    async with site.get("/", headers=BROWSER) as reply:
        assert await reply.text() == PAGE
        assert reply.headers["Cache-Control"] == "no-cache"
        assert "script-src 'self';" in reply.headers["Content-Security-Policy"]
        assert "unsafe" not in reply.headers["Content-Security-Policy"]
        assert reply.headers["Permissions-Policy"].startswith("camera=(self)")
        tag = reply.headers["ETag"]
    async with site.get("/", headers={**BROWSER, "If-None-Match": tag}) as reply:
        assert (reply.status, await reply.read()) == (304, b"")


async def test_only_the_scanner_may_run_compiled_code(site: aiohttp.ClientSession) -> None:
    for path, may in (("/staff/scan", True), ("/staff/sales", False), ("/films/1", False)):
        async with site.get(path, headers=BROWSER) as reply:
            policy = reply.headers["Content-Security-Policy"]
            assert ("script-src 'self' 'wasm-unsafe-eval';" in policy) is may
            assert "'unsafe-eval'" not in policy


@pytest.mark.parametrize("name", ["scanner.js", "tickets.js"])
async def test_what_starts_a_page_offline_is_asked_for_each_time_and_fetches_ours_alone(
    site: aiohttp.ClientSession, tmp_path: Path, name: str
) -> None:
    async with site.get(f"/{name}") as reply:
        assert (reply.status, await reply.text()) == (200, WORKER)
        assert reply.headers["Content-Type"].startswith("text/javascript")
        assert reply.headers["Cache-Control"] == "no-cache"
        policy = reply.headers["Content-Security-Policy"]
        assert policy == "default-src 'none'; connect-src 'self'; script-src 'self'"
    async for client in served(WebsiteService(Site(), tmp_path / "nothing")):
        async with client.get(f"/{name}", headers=BROWSER) as reply:
            assert reply.status == 404


async def test_pages_that_an_earlier_version_has_built_are_served(folder: Path) -> None:
    (folder / "scanner.js").unlink()
    async for client in served(WebsiteService(Site(), folder)):
        async with client.get("/", headers=BROWSER) as reply:
            assert reply.status == 200
        async with client.get("/scanner.js", headers=BROWSER) as reply:
            assert reply.status == 404


async def test_only_a_checkout_that_takes_cards_may_run_the_script_of_stripe(folder: Path) -> None:
    for key in ("pk_test_x", None):
        async for client in served(WebsiteService(Site(stripe_key=key), folder)):
            for path in ("/showtimes/1/checkout", "/showtimes/1", "/showtimes/1/checkout/x", "/"):
                async with client.get(path, headers=BROWSER) as reply:
                    policy = reply.headers["Content-Security-Policy"]
                    may = key is not None and path == "/showtimes/1/checkout"
                    assert ("stripe.com" in policy) is may
                    assert "unsafe" not in policy
                    script = " https://js.stripe.com https://*.js.stripe.com" if may else ""
                    assert f"script-src 'self'{script};" in policy
            async with client.get("/api/v1/site") as reply:
                assert (await reply.json())["data"]["stripe_key"] == key


async def test_an_asset_is_kept_for_a_year_in_the_coding_that_the_client_takes(
    site: aiohttp.ClientSession,
) -> None:
    async with site.get("/assets/app-1a2b.js", headers={"Accept-Encoding": "br, gzip"}) as reply:
        assert reply.headers["Content-Encoding"] == "gzip"
        assert reply.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert gzip.decompress(await reply.read()).decode() == SCRIPT
        coded = reply.headers["ETag"]
    async with site.get("/assets/app-1a2b.js", headers={"Accept-Encoding": ""}) as reply:
        assert "Content-Encoding" not in reply.headers
        assert await reply.text() == SCRIPT
        assert reply.headers["ETag"] != coded
        assert "Accept-Encoding" in ", ".join(reply.headers.getall("Vary"))


@pytest.mark.parametrize("path", ["/films/1", "/showtimes/2/checkout?x=1", "/nowhere"])
async def test_an_address_that_no_route_begins_is_a_page_for_browsers_alone(
    site: aiohttp.ClientSession, path: str
) -> None:
    async with site.get(path, headers=BROWSER) as reply:
        assert (reply.status, await reply.text()) == (200, PAGE)
    async with site.get(path, headers={"Accept": "*/*"}) as reply:
        assert (reply.status, (await reply.json())["error"]["code"]) == (404, "NOT_FOUND")
    async with site.post(path, headers=BROWSER) as reply:
        assert reply.status == 404


@pytest.mark.parametrize(
    "path",
    ["/api/v1/nothing", "/api", "/assets/other.js", "/assets/notes.txt", "/%61ssets", "/x.php"],
)
async def test_beside_routes_and_for_files_nothing_is_a_page(
    site: aiohttp.ClientSession, path: str
) -> None:
    async with site.get(path, headers=BROWSER) as reply:
        assert (reply.status, (await reply.json())["error"]["code"]) == (404, "NOT_FOUND")


async def test_the_pages_learn_who_may_be_tried(site: aiohttp.ClientSession) -> None:
    async with site.get("/api/v1/site") as reply:
        (account,) = (await reply.json())["data"]["demo_accounts"]
    assert account == {"role": "customer", "email": "a@cinema.example", "password": "public"}


async def test_without_built_pages_the_first_one_says_so(tmp_path: Path) -> None:
    async for client in served(WebsiteService(Site(), tmp_path)):
        async with client.get("/", headers=BROWSER) as reply:
            assert "bin/web build" in await reply.text()
        async with client.get("/films/1", headers=BROWSER) as reply:
            assert reply.status == 404
