"""`cinema serve --nodes 3` as real processes: nodes killed and restarted, everything stopped."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from tests.support.load import Customer, customers, enrol
from tests.support.local_cluster import LocalCluster
from tests.support.server_process import SECRET, START_TIMEOUT_S, STOP_TIMEOUT_S, embedded_dsn

pytestmark = [pytest.mark.process, pytest.mark.slow]

STREAMS = 8


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[LocalCluster]:
    async with LocalCluster(tmp_path / "data", DEMO_DATA="false") as running:
        yield running


class Stream:
    """Requests one after the other, each on a new connection, or all on kept ones."""

    def __init__(self) -> None:
        self.answered = 0
        self.failures: list[str] = []

    async def ask(self, url: str, *, keep_alive: bool) -> None:
        connector = aiohttp.TCPConnector(force_close=not keep_alive)
        async with aiohttp.ClientSession(connector=connector) as session:
            while True:
                try:
                    async with session.get(f"{url}/api/v1/movies") as reply:
                        await reply.read()
                        if reply.status != 200:
                            self.failures.append(f"status {reply.status}")
                except aiohttp.ClientError as error:
                    self.failures.append(repr(error))
                self.answered += 1


@asynccontextmanager
async def asked(url: str) -> AsyncIterator[Stream]:
    """Clients that ask without pause, half of them on new connections."""
    stream = Stream()
    asking = [
        asyncio.ensure_future(stream.ask(url, keep_alive=number % 2 == 0))
        for number in range(STREAMS)
    ]
    try:
        yield stream
    finally:
        for one in asking:
            one.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


class HoldStream:
    """Customers who hold seats and give them back, two in each showtime."""

    def __init__(self, url: str, showtimes: list[str]) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self._url = url
        self._showtimes = showtimes

    async def hold(self, number: int, customer: Customer) -> None:
        showtime = self._showtimes[number % len(self._showtimes)]
        holds = f"{self._url}/api/v1/showtimes/{showtime}/holds"
        body = {"best_available": {"quantity": 2}}
        # Half of the customers come on a new connection each time.
        connector = aiohttp.TCPConnector(force_close=number % 2 == 0)
        headers = {"Authorization": f"Bearer {customer.token}"}
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
            while True:
                hold = await self._send(session, "POST", holds, 201, body)
                if hold is not None:
                    await self._send(session, "DELETE", f"{holds}/{hold['hold_id']}", 200)

    async def _send(
        self,
        session: aiohttp.ClientSession,
        method: str,
        url: str,
        status: int,
        body: object = None,
    ) -> dict[str, Any] | None:
        try:
            async with session.request(method, url, json=body) as reply:
                told = await reply.json()
        except aiohttp.ClientError as error:
            self.failures.append(f"{method}: {error!r}")
            return None
        self.answered += 1
        if reply.status != status:
            self.failures.append(f"{method}: {reply.status} {told}")
            return None
        return told["data"]


async def test_holds_go_on_through_a_rolling_restart_without_a_failed_request(
    tmp_path: Path,
) -> None:
    buyers = customers(SECRET, 1, 24, now_s=time.time())
    async with LocalCluster(tmp_path / "data", LOG_LEVEL="info") as cluster:
        await enrol(embedded_dsn(cluster.folder), buyers)
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{cluster.url}/api/v1/showtimes?limit=12") as reply,
        ):
            showtimes = [one["id"] for one in (await reply.json())["data"]]
        stream = HoldStream(cluster.url, showtimes)
        holding = [
            asyncio.ensure_future(stream.hold(number, buyer)) for number, buyer in enumerate(buyers)
        ]
        try:
            await cluster.until(lambda: stream.answered > 500)
            cluster.process.send_signal(signal.SIGUSR1)
            await cluster.until(lambda: '"rolling_restart_finished"' in cluster.log())
            enough = stream.answered + 500
            await cluster.until(
                lambda: stream.answered > enough or any(one.done() for one in holding)
            )
        finally:
            for one in holding:
                one.cancel()
            await asyncio.gather(*holding, return_exceptions=True)
    assert stream.failures == []


async def is_ready(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/readyz") as reply:
            return reply.status == 200
    except aiohttp.ClientError:
        return False


async def await_ready(url: str) -> None:
    async with asyncio.timeout(START_TIMEOUT_S):
        while True:
            if await is_ready(url):
                return
            await asyncio.sleep(0.05)


async def test_a_killed_node_comes_back_at_its_address(cluster: LocalCluster) -> None:
    first = cluster.nodes()
    assert len(first) == 3
    first[1].kill()
    await cluster.until(lambda: len(set(cluster.nodes()) - set(first)) == 1)
    for url in [cluster.url, *cluster.node_urls]:
        await await_ready(url)
    assert set(cluster.nodes()) & set(first) == {first[0], first[2]}


async def test_a_node_that_was_declared_dead_comes_back_as_a_new_member(
    cluster: LocalCluster,
) -> None:
    frozen = cluster.nodes()[0]
    frozen.suspend()
    await cluster.until(lambda: '"member_silent"' in cluster.log())
    await cluster.until(lambda: '"answers":false' in cluster.log())
    frozen.resume()
    await cluster.until(lambda: '"exit_code":70' in cluster.log())
    await cluster.until(lambda: len(cluster.nodes()) == 3 and frozen not in cluster.nodes())
    for url in cluster.node_urls:
        await await_ready(url)


async def test_a_killed_redis_comes_back(cluster: LocalCluster) -> None:
    before = cluster.redis()
    before.kill()
    await cluster.until(lambda: '"redis_restarted"' in cluster.log())
    assert cluster.redis() != before


async def test_a_killed_postgres_comes_back(cluster: LocalCluster, tmp_path: Path) -> None:
    postmaster = (tmp_path / "data" / "postgres" / "postmaster.pid").read_text().split()[0]
    nodes = cluster.nodes()
    psutil.Process(int(postmaster)).kill()
    await cluster.until(lambda: '"postgres_restarted"' in cluster.log())
    async with aiohttp.ClientSession() as session, asyncio.timeout(START_TIMEOUT_S):
        status = 0
        while status != 200:
            async with session.get(f"{cluster.url}/api/v1/movies") as reply:
                status = reply.status
            assert status in {200, 503}
    assert cluster.nodes() == nodes


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_stop_leaves_no_process(tmp_path: Path, how: signal.Signals) -> None:
    async with LocalCluster(tmp_path / "data", DEMO_DATA="false") as cluster:
        assert len(cluster.left_behind()) >= 6
        nodes = cluster.nodes()
        cluster.process.send_signal(how)
        assert await cluster.ended() == 0
        assert not cluster.left_behind()
        assert not any(node.is_running() for node in nodes)
        assert cluster.log().count('"server_stopping"') == 3, "each node has stopped in order"


async def test_nothing_but_postgres_survives_a_killed_supervisor(tmp_path: Path) -> None:
    async with LocalCluster(tmp_path / "data", DEMO_DATA="false") as cluster:
        children = [*cluster.nodes(), cluster.redis()]
        cluster.process.kill()
        await cluster.ended()
        gone, alive = await asyncio.to_thread(psutil.wait_procs, children, STOP_TIMEOUT_S)
        assert len(gone) == 4
        assert not alive
        assert not cluster.left_behind(without="postgres")
        # The next start takes everything over, the Postgres that was left included.
        async with cluster:
            assert await is_ready(cluster.url)
    assert not cluster.left_behind()


async def test_a_rolling_restart_fails_no_request(cluster: LocalCluster) -> None:
    before = cluster.nodes()
    async with asked(cluster.url) as stream:
        cluster.process.send_signal(signal.SIGUSR1)
        await cluster.until(lambda: '"rolling_restart_finished"' in cluster.log())
        enough = stream.answered + 100
        await cluster.until(lambda: stream.answered > enough)
    assert stream.failures == []
    assert not set(cluster.nodes()) & set(before)
    # Of the supervisor alone: the lines of several processes need not come in the order of events.
    lives = [
        (line["event"], line["node"])
        for line in cluster.events()
        if line.get("event") in {"node_process_ended", "node_process_started"}
    ]
    assert lives[-6:] == [
        (f"node_process_{what}", node) for node in (1, 2, 3) for what in ("ended", "started")
    ], "one after the other"
    assert cluster.log().count('"server_stopping"') == 3, "each node has stopped in order"


async def test_a_connection_that_waits_for_its_first_request_is_served(
    cluster: LocalCluster,
) -> None:
    """Every node has accepted some of them before it is told to stop."""
    host, port = cluster.url.removeprefix("http://").split(":")
    opened = [await asyncio.open_connection(host, int(port)) for _ in range(30)]
    cluster.process.send_signal(signal.SIGUSR1)
    await cluster.until(lambda: '"server_stopping"' in cluster.log())
    for reader, writer in opened:
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        writer.close()
    await cluster.until(lambda: '"rolling_restart_finished"' in cluster.log())


async def test_wrong_settings_end_the_start_with_their_exit_code(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path / "data", SEAT_HOLD_MAX_SECONDS="1")
    cluster.launch()
    assert await cluster.ended() == 2
    assert "SEAT_HOLD_MAX_SECONDS is less" in cluster.log()


async def test_a_port_that_is_taken_ends_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        cluster = LocalCluster(tmp_path / "data", PORT=port, DEMO_DATA="false")
        cluster.launch()
        assert await cluster.ended() == 1
    assert "choose a port" in cluster.log()
    assert not cluster.left_behind()
