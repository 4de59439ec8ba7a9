"""Nodes as real processes behind the balancers of `deploy/`: nothing forwarded, nothing lost."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from cinema.cluster.ring import Ring, RingNode
from tests.support.balancers import BALANCERS, Balancer
from tests.support.durable_postgres import DurablePostgres
from tests.support.load import Customer, customers, enrol
from tests.support.server_process import SECRET, ServerProcess, serving_together

pytestmark = [pytest.mark.process, pytest.mark.slow]

NODES = 3
CUSTOMERS = 8
ANSWERS_BETWEEN_RESTARTS = 40
REQUEST_ID = re.compile(r'"request_id": ?"([^"]+)"')


@pytest.fixture(params=BALANCERS, ids=lambda kind: kind.name)
def balancer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Balancer]:
    folder = tmp_path / "balancer"
    folder.mkdir()
    balancer: Balancer = request.param(folder, limits_clients=False)
    yield balancer
    balancer.stop()


@pytest.fixture
async def nodes(
    durable_postgres: DurablePostgres, seeded: str, redis_url: str, tmp_path: Path
) -> AsyncIterator[list[ServerProcess]]:
    nodes = [
        ServerProcess(
            tmp_path / f"node-{number}",
            DATABASE_URL=durable_postgres.dsn(seeded),
            REDIS_URL=redis_url,
            CLUSTER_PORT="0",
            DEMO_DATA="false",
            # What the nodes did with a request that failed is in their logs.
            LOG_LEVEL="info",
        )
        for number in range(NODES)
    ]
    async with serving_together(nodes):
        yield nodes


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


async def showtimes(client: aiohttp.ClientSession, url: str) -> list[str]:
    async with client.get(f"{url}/api/v1/showtimes", params={"limit": "50"}) as answer:
        return [one["id"] for one in (await answer.json())["data"]]


async def somebody(number: int, nodes: list[ServerProcess]) -> list[Customer]:
    people = customers(SECRET, 40_000, number, now_s=time.time())
    await enrol(nodes[0].dsn, people)
    return people


async def hold(client: aiohttp.ClientSession, url: str, showtime: str, person: Customer) -> str:
    """Hold a seat; the address of the showtime's owner, as the answer names it."""
    body = {"best_available": {"quantity": 1}}
    headers = {"Authorization": f"Bearer {person.token}"}
    address = f"{url}/api/v1/showtimes/{showtime}/holds"
    async with client.post(address, json=body, headers=headers) as answer:
        assert answer.status == 201, await answer.text()
        return answer.headers["Cinema-Owner"]


async def forwarded(client: aiohttp.ClientSession, nodes: list[ServerProcess]) -> float:
    """Messages that any of the nodes sent to another."""
    total = 0.0
    for node in nodes:
        async with client.get(f"{node.url}/metrics") as answer:
            families = text_string_to_metric_families(await answer.text())
        total += sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == "cinema_forwarded_messages_total"
        )
    return total


def as_the_ring_sees(nodes: list[ServerProcess]) -> list[RingNode]:
    return [RingNode("127.0.0.1", node.port) for node in nodes]


async def test_behind_a_balancer_nothing_has_to_be_forwarded(
    balancer: Balancer, nodes: list[ServerProcess], client: aiohttp.ClientSession
) -> None:
    await balancer.start(as_the_ring_sees(nodes))
    (person,) = await somebody(1, nodes)
    found = await showtimes(client, balancer.url)
    ring = Ring(as_the_ring_sees(nodes))
    for showtime in found:
        owner = ring.owner_of(UUID(showtime).bytes)
        assert owner is not None
        assert await hold(client, balancer.url, showtime, person) == owner.address
    assert await forwarded(client, nodes) == 0
    for showtime in found:
        await hold(client, nodes[0].url, showtime, person)
    assert await forwarded(client, nodes) > len(found) / 3


class Customers:
    """People who hold a seat and give it back, without pause and without a second try."""

    def __init__(self, url: str, showtimes: list[str]) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self._url = url
        self._showtimes = showtimes

    async def visit(self, number: int, person: Customer, *, keep_alive: bool) -> None:
        headers = {"Authorization": f"Bearer {person.token}"}
        connector = aiohttp.TCPConnector(force_close=not keep_alive)
        async with aiohttp.ClientSession(connector=connector, headers=headers) as client:
            while True:
                number += 1
                showtime = self._showtimes[number % len(self._showtimes)]
                address = f"{self._url}/api/v1/showtimes/{showtime}/holds"
                body = {"best_available": {"quantity": 1}}
                held = await self._ask(client, "POST", address, json=body)
                if held is not None:
                    await self._ask(client, "DELETE", f"{address}/{held}")

    async def _ask(
        self, client: aiohttp.ClientSession, method: str, address: str, **body: object
    ) -> str | None:
        try:
            async with client.request(method, address, **body) as answer:  # type: ignore[arg-type]
                self.answered += 1
                if answer.status >= 400:
                    self.failures.append(f"{method}: {answer.status} {await answer.text()}")
                    return None
                return (await answer.json())["data"]["hold_id"]  # type: ignore[no-any-return]
        except aiohttp.ClientError as error:
            self.failures.append(f"{method}: {error!r}")
            return None

    async def more(self) -> None:
        """Wait until some more were answered."""
        goal = self.answered + ANSWERS_BETWEEN_RESTARTS
        async with asyncio.timeout(30):
            while True:
                if self.answered >= goal:
                    return
                await asyncio.sleep(0.01)


@asynccontextmanager
async def visited(
    url: str, showtimes: list[str], people: list[Customer]
) -> AsyncIterator[Customers]:
    """Customers, half of them on new connections each time."""
    visitors = Customers(url, showtimes)
    visits = [
        asyncio.ensure_future(visitors.visit(7 * number, person, keep_alive=number % 2 == 0))
        for number, person in enumerate(people)
    ]
    try:
        yield visitors
    finally:
        for visit in visits:
            visit.cancel()
        await asyncio.gather(*visits, return_exceptions=True)


async def test_a_rolling_restart_behind_a_balancer_fails_no_request(
    balancer: Balancer, nodes: list[ServerProcess], client: aiohttp.ClientSession
) -> None:
    await balancer.start(as_the_ring_sees(nodes))
    found = await showtimes(client, balancer.url)
    async with visited(balancer.url, found, await somebody(CUSTOMERS, nodes)) as visitors:
        for node in nodes:
            await visitors.more()
            node.send(signal.SIGTERM)
            assert await node.ended() == 0
            await node.start()
        await visitors.more()
    assert not visitors.failures, "\n".join([*visitors.failures, *heard_of(visitors, nodes)])


def heard_of(visitors: Customers, nodes: list[ServerProcess]) -> list[str]:
    """What the nodes' logs say about requests that failed, and all that they warn of."""
    failed = [re.escape(found) for found in REQUEST_ID.findall("\n".join(visitors.failures))]
    told = re.compile("|".join([*failed, "warning", "error", "view_changed"]))
    return [
        f"{node.url}: {line}"
        for node in nodes
        for line in node.log().splitlines()
        if told.search(line)
    ]
