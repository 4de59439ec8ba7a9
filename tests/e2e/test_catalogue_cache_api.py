"""The cache of whole servers over one database: what one writes, the others show at once."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from cinema.app.node import running_node
from cinema.demo.posters import STYLES
from cinema.demo.seed import DEMO_ACCOUNTS
from cinema.settings import Secret, Settings
from cinema.telemetry.logging import LogSink
from tests.support.local_cluster import LocalCluster
from tests.support.server_process import START_TIMEOUT_S

pytestmark = pytest.mark.postgres

Client = aiohttp.ClientSession

PATIENCE_S = 60.0
"""How long a test waits for what must come."""


@asynccontextmanager
async def served(database: str, cache_mb: int = 32) -> AsyncIterator[Client]:
    """A client of a whole node without Redis."""
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory() as folder:
        sink = LogSink(log.fileno())
        settings = Settings(
            database_url=Secret(database),
            data_dir=Path(folder),
            jwt_secret_key=Secret("0123456789abcdef" * 2),
            encryption_keys=Secret("ab" * 32),
            ticket_signing_keys=Secret("cd" * 32),
            bcrypt_cost=10,
            catalog_cache_mb=cache_mb,
        )
        async with running_node(settings, sink) as node:
            port = await node.edge.start("127.0.0.1", 0)
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}/") as session:
                yield session
            await node.stop(1.0)
        sink.close()


async def data(client: Client, method: str, path: str, **request: Any) -> Any:
    async with client.request(method, f"api/v1/{path}", **request) as reply:
        envelope = await reply.json()
        assert envelope["success"], envelope
        return envelope["data"]


async def posters_are_there(client: Client) -> None:
    """Wait until the demo's films have all their posters: each of them is a change of the lists."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            films = await data(client, "GET", "movies?limit=100")
            posters = {film["title"]: film["poster_url"] for film in films}
            if all(posters[title] is not None for title in STYLES):
                return
            await asyncio.sleep(0.1)


async def reads(client: Client) -> dict[tuple[str, str], int]:
    async with client.get("metrics") as reply:
        text = await reply.text()
    found = re.findall(
        r'cinema_catalog_cache_reads_total\{kind="(\w+)",outcome="(\w+)"\} ([0-9.]+)', text
    )
    return {(kind, outcome): int(float(count)) for kind, outcome, count in found}


async def test_what_one_node_writes_the_others_show_at_once(database: str) -> None:
    async with (
        served(database) as first,
        served(database) as second,
        served(database, cache_mb=0) as uncached,
    ):
        nodes = (first, second, uncached)
        await posters_are_there(uncached)
        email, password = DEMO_ACCOUNTS["admin"]
        login = {"email": email, "password": password}
        token = (await data(first, "POST", "auth/login", json=login))["access_token"]
        admin = {"Authorization": f"Bearer {token}"}
        film = {"title": "Version 1", "runtime_minutes": 90}
        made = await data(first, "POST", "movies", json=film, headers=admin)
        path = f"movies/{made['id']}"
        for version in range(1, 6):
            # Twice, so that everybody has it in memory when it changes.
            for _ in range(2):
                for node in nodes:
                    assert (await data(node, "GET", path))["title"] == f"Version {version}"
                    found = await data(node, "GET", "movies?q=version&sort=title")
                    assert [one["title"] for one in found] == [f"Version {version}"]
            writer = nodes[version % 3]
            film = {"title": f"Version {version + 1}", "runtime_minutes": 90}
            headers = {**admin, "If-Match": f'"{version}"'}
            await data(writer, "PUT", path, json=film, headers=headers)
        for node in (first, second):
            counted = await reads(node)
            # News of a change may come after a read that has seen it, and cost one hit.
            assert counted["movies", "hit"] > 0
            assert counted["movies", "changed"] > 0
        assert await reads(uncached) == {}


@pytest.mark.process
@pytest.mark.slow
async def test_nodes_of_a_cluster_share_answers_through_redis_and_do_without_it(
    tmp_path: Path,
) -> None:
    async with (
        LocalCluster(tmp_path / "cluster", nodes=2) as cluster,
        aiohttp.ClientSession(f"{cluster.node_urls[0]}/") as first,
        aiohttp.ClientSession(f"{cluster.node_urls[1]}/") as second,
    ):
        email, password = DEMO_ACCOUNTS["admin"]
        login = {"email": email, "password": password}
        token = (await data(first, "POST", "auth/login", json=login))["access_token"]
        admin = {"Authorization": f"Bearer {token}"}

        async def written(title: str) -> str:
            film = {"title": title, "runtime_minutes": 90}
            made: str = (await data(first, "POST", "movies", json=film, headers=admin))["id"]
            return made

        async def shown(node: Client) -> set[str]:
            return {one["id"] for one in await data(node, "GET", "movies?limit=100")}

        film_ids: set[str] = set()
        # On a busy machine Redis may be too late for an answer at times.
        async with asyncio.timeout(START_TIMEOUT_S):
            while ("movies", "hit") not in await reads(second):
                film_ids.add(await written("With Redis"))
                # What the second node shows then, it has not read itself: nobody else asks it.
                assert film_ids <= await shown(first)
                assert film_ids <= await shown(second)
        cluster.redis().suspend()
        for number in range(3):
            film_ids.add(await written(f"Without Redis {number}"))
            for node in (first, second):
                assert film_ids <= await shown(node)
        cluster.redis().resume()
        film_ids.add(await written("With Redis again"))
        for node in (first, second):
            assert film_ids <= await shown(node)
