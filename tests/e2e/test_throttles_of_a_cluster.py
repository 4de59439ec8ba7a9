"""Failed logins are counted over all nodes while Redis is there, and by each node without it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from cinema.local.redis_server import LocalRedis
from tests.support.durable_postgres import DurablePostgres
from tests.support.server_process import ServerProcess, serving_together

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.postgres]

OWNER = ("customer@cinema.example", "demo-customer")
OTHER = ("staff@cinema.example", "demo-staff")
PAIR_LIMIT = 10
"""Failures of one account and address (LOGIN_FAILURES_PER_ACCOUNT_AND_ADDRESS)."""
GUESSER = "192.0.2.1"
HOME = "192.0.2.2"


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
            # The clients of this test come from the addresses that they name.
            TRUSTED_PROXIES="127.0.0.1/32",
            LOGIN_FAILURES_PER_ACCOUNT_AND_ADDRESS=str(PAIR_LIMIT),
            # No window ends within the test, however slow the machine is.
            LOGIN_WINDOW_SECONDS="3600",
        )
        for number in range(3)
    ]
    async with serving_together(nodes):
        yield nodes


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


async def login(
    client: aiohttp.ClientSession,
    node: ServerProcess,
    credentials: tuple[str, str],
    address: str,
) -> str:
    """The code of a refusal; nothing for a success."""
    email, password = credentials
    body = {"email": email, "password": password}
    headers = {"X-Forwarded-For": address}
    url = f"{node.url}/api/v1/auth/login"
    async with client.post(url, json=body, headers=headers) as answer:
        told = await answer.json()
        if answer.status == 200:
            return ""
        code = str(told["error"]["code"])
        assert (code == "RATE_LIMITED") == ("Retry-After" in answer.headers)
        return code


async def test_failed_logins_count_over_all_nodes_and_without_redis_on_each(
    nodes: list[ServerProcess], own_redis: LocalRedis, client: aiohttp.ClientSession
) -> None:
    wrong = (OWNER[0], "wrong horse")
    # However the address is written, and whichever node is asked: one count.
    spellings = [OWNER[0], OWNER[0].upper()]
    for number in range(PAIR_LIMIT):
        guess = (spellings[number % 2], "wrong horse")
        assert await login(client, nodes[number % 3], guess, GUESSER) == "INVALID_CREDENTIALS"
    for node in nodes:
        assert await login(client, node, OWNER, GUESSER) == "RATE_LIMITED"
        # Nobody else is kept out: neither the owner elsewhere, nor another account from there.
        assert await login(client, node, OWNER, HOME) == ""
        assert await login(client, node, OTHER, GUESSER) == ""

    await asyncio.to_thread(own_redis.stop)
    # Each has counted along what it was asked itself, and goes on from there.
    counted = [len(range(number, PAIR_LIMIT, 3)) for number in range(3)]
    for node, before in zip(nodes, counted, strict=True):
        for _ in range(PAIR_LIMIT - before):
            assert await login(client, node, wrong, GUESSER) == "INVALID_CREDENTIALS"
        for credentials in (wrong, OWNER):
            assert await login(client, node, credentials, GUESSER) == "RATE_LIMITED"
        assert await login(client, node, OWNER, HOME) == ""
        assert await login(client, node, OTHER, GUESSER) == ""
