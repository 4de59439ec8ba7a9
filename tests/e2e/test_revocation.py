"""What one node revokes ends on the others too, with Redis gone."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from cinema.local.redis_server import LocalRedis
from tests.support.durable_postgres import DurablePostgres
from tests.support.load import Customer, customers, enrol
from tests.support.server_process import SECRET, ServerProcess, serving_together

pytestmark = [pytest.mark.process, pytest.mark.slow]

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
        )
        for number in range(2)
    ]
    async with serving_together(nodes):
        yield nodes


async def status(client: aiohttp.ClientSession, node: ServerProcess, person: Customer) -> int:
    headers = {"Authorization": f"Bearer {person.token}"}
    async with client.get(f"{node.url}/api/v1/bookings", headers=headers) as answer:
        return answer.status


async def test_demotion_and_deletion_end_tokens_on_a_second_node_without_redis(
    nodes: list[ServerProcess], own_redis: LocalRedis
) -> None:
    first = nodes[0]
    people = customers(SECRET, 50_000, 3, now_s=time.time())
    await enrol(first.dsn, people)
    demoted, deleted, other = people
    database = await asyncpg.connect(first.dsn)
    async with aiohttp.ClientSession() as client:
        for node in nodes:
            for person in people:
                assert await status(client, node, person) == 200
        await asyncio.to_thread(own_redis.stop)
        admin = {"email": "admin@cinema.example", "password": "demo-admin"}
        async with client.post(f"{first.url}/api/v1/auth/login", json=admin) as answer:
            token = (await answer.json())["data"]["access_token"]
        promote = f"{first.url}/api/v1/admin/users/{uuid.UUID(bytes=demoted.user_id)}/promote"
        headers = {"Authorization": f"Bearer {token}"}
        async with client.post(promote, json={"role": "customer"}, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
        await database.execute("delete from users where id = $1", deleted.user_id.hex())
        assert await status(client, first, demoted) == 401
        async with asyncio.timeout(PATIENCE_S):
            for node in nodes:
                for person in (demoted, deleted):
                    while await status(client, node, person) != 401:  # noqa: ASYNC110  # nobody tells when
                        await asyncio.sleep(0.05)
        for node in nodes:
            assert await status(client, node, other) == 200
    await database.close()
