"""A refresh token that turns up again ends its session on every node, Redis up or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from cinema.local.redis_server import LocalRedis
from tests.support.durable_postgres import DurablePostgres
from tests.support.server_process import ServerProcess, serving_together

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.postgres]

OWNER = {"email": "customer@cinema.example", "password": "demo-customer"}
PATIENCE_S = 30.0


@pytest.fixture
async def nodes(
    durable_postgres: DurablePostgres, seeded: str, own_redis: LocalRedis, tmp_path: Path
) -> AsyncIterator[list[ServerProcess]]:
    nodes = [
        ServerProcess(
            tmp_path / f"node-{number}",
            DATABASE_URL=durable_postgres.dsn(seeded),
            REDIS_URL=own_redis.url,
            CLUSTER_PORT="0",
            DEMO_DATA="false",
            # A second use is misuse at once: nothing here waits for time to pass.
            REFRESH_GRACE_SECONDS="0",
        )
        for number in range(2)
    ]
    async with serving_together(nodes):
        yield nodes


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


async def post(
    client: aiohttp.ClientSession, node: ServerProcess, path: str, body: Any
) -> tuple[int, Any]:
    url = f"{node.url}/api/v1/auth/{path}?transport=body"
    async with client.post(url, json=body) as answer:
        told = await answer.json()
        return answer.status, told["data"] if answer.status == 200 else told["error"]


async def is_let_in(client: aiohttp.ClientSession, node: ServerProcess, signed: Any) -> bool:
    headers = {"Authorization": f"Bearer {signed['access_token']}"}
    async with client.get(f"{node.url}/api/v1/auth/me", headers=headers) as answer:
        assert answer.status in {200, 401}
        return answer.status == 200


async def test_refresh_token_that_is_used_again_ends_its_session_on_both_nodes(
    nodes: list[ServerProcess], own_redis: LocalRedis, client: aiohttp.ClientSession
) -> None:
    database = await asyncpg.connect(nodes[0].dsn)
    for times, with_redis in ((1, True), (2, False)):
        if not with_redis:
            await asyncio.to_thread(own_redis.stop)
        _, first = await post(client, nodes[0], "login", OWNER)
        _, other = await post(client, nodes[0], "login", OWNER)
        family = [first]
        for node in (nodes[1], nodes[0], nodes[1]):
            used = {"refresh_token": family[-1]["refresh_token"]}
            status, successor = await post(client, node, "refresh", used)
            assert status == 200
            family.append(successor)
        for node in nodes:
            for signed in (*family, other):
                assert await is_let_in(client, node, signed)

        # The thief has an older one, and comes to the node that the owner did not use last.
        stolen = {"refresh_token": family[1]["refresh_token"]}
        status, error = await post(client, nodes[0], "refresh", stolen)
        assert (status, error["details"]) == (401, {"reason": "REFRESH_TOKEN_REUSED"})
        for node in nodes:
            for signed in family:
                used = {"refresh_token": signed["refresh_token"]}
                assert (await post(client, node, "refresh", used))[0] == 401
        assert not await is_let_in(client, nodes[0], first)
        async with asyncio.timeout(PATIENCE_S):
            for node in nodes:
                for signed in family:
                    while await is_let_in(client, node, signed):  # noqa: ASYNC110  # nobody tells when
                        await asyncio.sleep(0.05)
        # Nobody else's, and no other session of the owner.
        for node in nodes:
            assert await is_let_in(client, node, other)
        rows = await database.fetch("select from audit_log where action = 'session_reuse'")
        mails = await database.fetch("select from messages where kind = 'account_session_reused'")
        assert (len(rows), len(mails)) == (times, times)
    await database.close()
