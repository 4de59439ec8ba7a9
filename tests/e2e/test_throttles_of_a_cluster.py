"""What is too much is counted over all nodes while Redis is there, and by each node without it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

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
MAILS_TO_ONE, MAILS_FROM_ONE = 3, 6
"""In an hour (MAILS_PER_HOUR_PER_EMAIL, MAILS_PER_HOUR_PER_ADDRESS)."""
REFRESHES = 6
"""In a minute (REFRESHES_PER_MINUTE)."""
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
            MAILS_PER_HOUR_PER_EMAIL=str(MAILS_TO_ONE),
            MAILS_PER_HOUR_PER_ADDRESS=str(MAILS_FROM_ONE),
            REFRESHES_PER_MINUTE=str(REFRESHES),
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


class Asked:
    """Something that is counted: how often it may be, and what becomes of one more.

    What is refused counts too, unless it is a login, which then has tried no password.
    """

    def __init__(
        self, limit: int, ask: Callable[[ServerProcess], Awaitable[str]], *, refused: int = 1
    ) -> None:
        self.limit = limit
        self._ask = ask
        self._refused = refused

    async def over_all_nodes(self, nodes: list[ServerProcess]) -> None:
        """Up to the limit over the nodes in turn; then all refuse."""
        for number in range(self.limit):
            assert await self._ask(nodes[number % len(nodes)]) != "RATE_LIMITED"
        await self.refused_by(nodes)

    async def on_each_node(self, nodes: list[ServerProcess]) -> None:
        """Each has counted along what it was asked itself, and goes on from there."""
        for number, node in enumerate(nodes):
            counted = len(range(number, self.limit, len(nodes))) + self._refused
            for _ in range(self.limit - counted):
                assert await self._ask(node) != "RATE_LIMITED"
        await self.refused_by(nodes)

    async def refused_by(self, nodes: list[ServerProcess]) -> None:
        for node in nodes:
            assert await self._ask(node) == "RATE_LIMITED"


async def post(
    client: aiohttp.ClientSession, node: ServerProcess, path: str, body: Any, address: str
) -> tuple[str, Any]:
    """The code of a refusal, nothing for a success; and the data."""
    headers = {"X-Forwarded-For": address}
    url = f"{node.url}/api/v1/auth/{path}"
    async with client.post(url, json=body, headers=headers) as answer:
        told = await answer.json()
        if answer.status == 200:
            return "", told["data"]
        code = str(told["error"]["code"])
        assert (code == "RATE_LIMITED") == ("Retry-After" in answer.headers)
        return code, None


def guesses(client: aiohttp.ClientSession) -> Asked:
    """However the account is written: one count."""
    spellings = itertools.cycle([OWNER[0], OWNER[0].upper()])

    async def ask(node: ServerProcess) -> str:
        body = {"email": next(spellings), "password": "wrong horse"}
        return (await post(client, node, "login", body, GUESSER))[0]

    return Asked(PAIR_LIMIT, ask, refused=0)


def mails_to_one(client: aiohttp.ClientSession) -> Asked:
    """From wherever they are asked for, and whether or not there is an account."""
    addresses = (f"198.51.100.{number}" for number in itertools.count(1))

    async def ask(node: ServerProcess) -> str:
        body = {"email": "nobody@cinema.example"}
        return (await post(client, node, "forgot-password", body, next(addresses)))[0]

    return Asked(MAILS_TO_ONE, ask)


def mails_from_one(client: aiohttp.ClientSession) -> Asked:
    numbers = itertools.count(1)

    async def ask(node: ServerProcess) -> str:
        body = {"email": f"nobody{next(numbers)}@cinema.example"}
        return (await post(client, node, "forgot-password", body, "203.0.113.1"))[0]

    return Asked(MAILS_FROM_ONE, ask)


async def refreshes(client: aiohttp.ClientSession, node: ServerProcess) -> Asked:
    """Of one session, from wherever it is used."""
    body = {"email": OTHER[0], "password": OTHER[1]}
    addresses = (f"198.51.100.{number}" for number in itertools.count(101))
    _, signed = await post(client, node, "login?transport=body", body, HOME)

    async def ask(node: ServerProcess) -> str:
        nonlocal signed
        token = {"refresh_token": signed["refresh_token"]}
        code, data = await post(client, node, "refresh?transport=body", token, next(addresses))
        signed = data or signed
        return code

    return Asked(REFRESHES, ask)


def wrong_refreshes(client: aiohttp.ClientSession) -> Asked:
    """What is no token counts for the address."""

    async def ask(node: ServerProcess) -> str:
        token = {"refresh_token": "x"}
        return (await post(client, node, "refresh?transport=body", token, "203.0.113.2"))[0]

    return Asked(REFRESHES, ask)


async def test_what_is_too_much_counts_over_all_nodes_and_without_redis_on_each(
    nodes: list[ServerProcess], own_redis: LocalRedis, client: aiohttp.ClientSession
) -> None:
    """Failed logins, mails that are asked for, refreshes."""

    async def nobody_else_is_kept_out() -> None:
        for node in nodes:
            for (email, password), address in ((OWNER, HOME), (OTHER, GUESSER)):
                body = {"email": email, "password": password}
                assert (await post(client, node, "login", body, address))[0] == ""

    asked = [
        guesses(client),
        mails_to_one(client),
        mails_from_one(client),
        await refreshes(client, nodes[0]),
        wrong_refreshes(client),
    ]
    for one in asked:
        await one.over_all_nodes(nodes)
    await nobody_else_is_kept_out()
    body = {"email": OWNER[0], "password": OWNER[1]}
    for node in nodes:
        assert (await post(client, node, "login", body, GUESSER))[0] == "RATE_LIMITED"

    await asyncio.to_thread(own_redis.stop)
    # Those of a minute come last before, and first after.
    for one in reversed(asked):
        await one.on_each_node(nodes)
    await nobody_else_is_kept_out()
