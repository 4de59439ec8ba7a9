"""The balancers of `deploy/`, each a real program before nodes that tell what they got."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from functools import cache
from pathlib import Path
from uuid import UUID

import aiohttp
import pytest
from yarl import URL

from cinema.app.features import ERRORS
from cinema.cluster.ring import Ring, RingNode
from cinema.http.connections.listening import ignore_new_connections
from tests.deploy.nodes import StandIn, stand_ins
from tests.support.balancers import BALANCERS, Balancer, HAProxy, HAProxyOfPods, Nginx

pytestmark = pytest.mark.process

_RANDOM = random.Random(18)
SHOWTIMES = [UUID(bytes=_RANDOM.randbytes(16)) for _ in range(100)]
POLL_S = 0.05
TIMEOUT = aiohttp.ClientTimeout(total=20)
LIMITED = ERRORS["RATE_LIMITED"]


@pytest.fixture
async def nodes() -> AsyncIterator[list[StandIn]]:
    nodes = await stand_ins()
    yield nodes
    for node in nodes:
        await node.stop()


@pytest.fixture(params=BALANCERS, ids=lambda kind: kind.name)
def balancer(
    request: pytest.FixtureRequest, tmp_path: Path, nodes: list[StandIn]
) -> Iterator[Balancer]:
    # It ends before them: else its checks connect while they stop, and nobody closes that.
    assert nodes
    balancer: Balancer = request.param(tmp_path)
    yield balancer
    balancer.stop()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=TIMEOUT) as client:
        yield client


def seats(showtime: UUID) -> str:
    return f"/api/v1/showtimes/{showtime}/seats"


def holds(showtime: UUID) -> str:
    return f"/api/v1/showtimes/{showtime}/holds"


@cache
def ring_of(nodes: tuple[RingNode, ...]) -> Ring:
    return Ring(nodes)


def owner(nodes: Sequence[StandIn], showtime: UUID) -> StandIn:
    chosen = ring_of(tuple(node.node for node in nodes)).owner_of(showtime.bytes)
    return next(node for node in nodes if node.node == chosen)


async def chosen(client: aiohttp.ClientSession, url: str, method: str = "GET") -> str:
    async with client.request(method, url) as answer:
        assert answer.status == 200, await answer.text()
        return answer.headers["Cinema-Owner"]


async def until(holds_now: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(15):
        while True:
            if await holds_now():
                return
            await asyncio.sleep(POLL_S)


async def test_requests_about_a_showtime_reach_its_owner(
    balancer: Balancer, nodes: list[StandIn], client: aiohttp.ClientSession
) -> None:
    await balancer.start(node.node for node in nodes)
    for showtime in SHOWTIMES:
        address = await chosen(client, balancer.url + seats(showtime))
        assert address == owner(nodes, showtime).node.address
        assert await chosen(client, balancer.url + holds(showtime), "POST") == address
    assert len({node.node.port for node in nodes if node.received}) == 3


async def test_weights_count_as_in_the_ring(
    balancer: Balancer, client: aiohttp.ClientSession
) -> None:
    nodes = await stand_ins(100, 200, 50)
    try:
        await balancer.start(node.node for node in nodes)
        for showtime in SHOWTIMES:
            address = await chosen(client, balancer.url + seats(showtime))
            assert address == owner(nodes, showtime).node.address
    finally:
        for node in nodes:
            await node.stop()


async def test_requests_about_no_showtime_are_spread(
    balancer: Balancer, nodes: list[StandIn], client: aiohttp.ClientSession
) -> None:
    await balancer.start(node.node for node in nodes)
    for path in ("/api/v1/movies", "/api/v1/showtimes", "/api/v1/bookings"):
        answers = Counter([await chosen(client, balancer.url + path) for _ in range(30)])
        assert answers.keys() == {node.node.address for node in nodes}


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_node_that_refuses_is_passed_over(
    balancer: Balancer, nodes: list[StandIn], client: aiohttp.ClientSession, method: str
) -> None:
    await balancer.start(node.node for node in nodes)
    gone, *left = nodes
    await gone.stop()
    for showtime in SHOWTIMES[:40]:
        address = await chosen(client, balancer.url + holds(showtime), method)
        assert address in {node.node.address for node in left}


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's filters of Linux")
async def test_a_node_whose_machine_is_gone_is_passed_over(
    balancer: Balancer, nodes: list[StandIn], client: aiohttp.ClientSession
) -> None:
    gone, *left = nodes
    its_own = [one for one in SHOWTIMES if owner(nodes, one) is gone]
    await balancer.start(node.node for node in nodes)
    await gone.stop()
    with socket.create_server((gone.node.host, gone.node.port)) as silent:
        assert ignore_new_connections(silent)
        for showtime in its_own[:3]:
            address = await chosen(client, balancer.url + holds(showtime), "POST")
            assert address in {node.node.address for node in left}


async def test_nodes_that_restart_soon_after_each_other_are_not_all_taken_for_dead(
    balancer: Balancer, nodes: list[StandIn], client: aiohttp.ClientSession
) -> None:
    await balancer.start(node.node for node in nodes)
    for node in nodes:
        await node.stop()
        for showtime in SHOWTIMES:
            await chosen(client, balancer.url + holds(showtime), "POST")
        await node.start()
    for showtime in SHOWTIMES:
        await chosen(client, balancer.url + holds(showtime), "POST")


async def test_showtimes_of_a_node_that_is_down_go_where_the_ring_moves_them(
    balancer: Balancer, nodes: list[StandIn], client: aiohttp.ClientSession
) -> None:
    await balancer.start(node.node for node in nodes)
    gone, *left = nodes
    await gone.stop()

    async def all_moved() -> bool:
        addresses = [await chosen(client, balancer.url + seats(one)) for one in SHOWTIMES[:40]]
        return addresses == [owner(left, showtime).node.address for showtime in SHOWTIMES[:40]]

    await until(all_moved)


async def test_a_request_that_may_have_happened_is_sent_once(
    balancer: Balancer, nodes: list[StandIn], client: aiohttp.ClientSession
) -> None:
    await balancer.start(node.node for node in nodes)
    for node in nodes:
        node.breaks_off = True
    kind = ERRORS["OUTCOME_UNKNOWN"]
    async with client.post(balancer.url + holds(SHOWTIMES[0]), json={"seats": ["A1"]}) as answer:
        body = await answer.json()
        assert answer.status == kind.status
        assert answer.headers["Retry-After"] == str(kind.retry_after_s)
    assert sum(len(node.received) for node in nodes) == 1
    assert body == {
        "success": False,
        "error": {"code": "OUTCOME_UNKNOWN", "message": kind.message, "details": {}},
        "request_id": answer.headers["X-Request-ID"],
    }


async def test_where_no_node_answers_the_refusal_has_the_form_of_the_contract(
    balancer: Balancer, nodes: list[StandIn], client: aiohttp.ClientSession
) -> None:
    await balancer.start(node.node for node in nodes)
    for node in nodes:
        await node.stop()
    async with client.post(balancer.url + holds(SHOWTIMES[0])) as answer:
        error = (await answer.json())["error"]
        kind = ERRORS[error["code"]]
        assert error["code"] in {"RETRY", "OUTCOME_UNKNOWN"}
        assert (answer.status, error["message"]) == (kind.status, kind.message)
        assert answer.headers["Retry-After"] == str(kind.retry_after_s)


async def test_a_watcher_is_with_the_owner_and_talks_both_ways(
    balancer: Balancer, nodes: list[StandIn], client: aiohttp.ClientSession
) -> None:
    await balancer.start(node.node for node in nodes)
    for showtime in SHOWTIMES[:10]:
        address = balancer.url + f"/api/v1/showtimes/{showtime}/watch?since=1:2"
        async with client.ws_connect(address) as socket:
            assert await socket.receive_str() == owner(nodes, showtime).node.address
            await socket.send_str("ping")
            assert await socket.receive_str() == "ping"


async def test_what_a_client_claims_of_its_address_is_replaced(
    balancer: Balancer, nodes: list[StandIn], client: aiohttp.ClientSession
) -> None:
    await balancer.start(node.node for node in nodes)
    claims = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"}
    async with client.get(balancer.url + seats(SHOWTIMES[0]), headers=claims):
        pass
    received = owner(nodes, SHOWTIMES[0]).received[0]
    assert received.headers["X-Forwarded-For"] == "127.0.0.1"
    assert received.headers["X-Forwarded-Proto"] == "http"
    assert received.headers["Host"] == f"127.0.0.1:{balancer.port}"


async def test_tls_ends_at_the_balancer_once_its_lines_are_taken_in(
    balancer: Balancer, nodes: list[StandIn], client: aiohttp.ClientSession
) -> None:
    await balancer.start((node.node for node in nodes), with_tls=True)
    trusted = ssl.create_default_context(cafile=str(balancer.folder / "tls.crt"))
    async with client.get(balancer.tls_url + seats(SHOWTIMES[0]), ssl=trusted) as answer:
        assert answer.status == 200
    received = owner(nodes, SHOWTIMES[0]).received[0]
    assert received.headers["X-Forwarded-Proto"] == "https"


async def test_figures_are_not_shown_outside(
    balancer: Balancer, nodes: list[StandIn], client: aiohttp.ClientSession
) -> None:
    await balancer.start(node.node for node in nodes)
    async with client.get(balancer.url + "/metrics") as answer:
        assert answer.status == 404
    assert not any(node.received for node in nodes)


@pytest.mark.parametrize(
    "target",
    [
        "/metrics?x", "/metrics/", "/%6detrics", "//metrics", "/./metrics", "/x/../metrics",
        "/metrics%3fx", "http://test/metrics", "http://test//metrics", "/metrics/.", "/metrics;x",
    ],
)  # fmt: skip
async def test_no_spelling_of_the_figures_path_comes_to_a_node_as_it_answers_it(
    balancer: Balancer, nodes: list[StandIn], target: str
) -> None:
    """A node knows its literal path alone, and only from who asks it directly."""
    await balancer.start(node.node for node in nodes)
    reader, writer = await asyncio.open_connection("127.0.0.1", balancer.port)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(10):
        await reader.read()
    writer.close()
    for node in nodes:
        for received in node.received:
            assert received.raw_path.partition("?")[0] != "/metrics"
            assert "X-Forwarded-For" in received.headers


async def test_haproxy_gives_a_node_that_is_not_ready_nothing_new(
    tmp_path: Path, nodes: list[StandIn], client: aiohttp.ClientSession
) -> None:
    haproxy = HAProxy(tmp_path)
    await haproxy.start(node.node for node in nodes)
    try:
        draining, *left = nodes
        showtime = next(one for one in SHOWTIMES if owner(nodes, one) is draining)

        async def is_with(node: StandIn) -> bool:
            return await chosen(client, haproxy.url + seats(showtime)) == node.node.address

        url = haproxy.url + f"/api/v1/showtimes/{showtime}/watch"
        async with client.ws_connect(url) as watcher:
            assert await watcher.receive_str() == draining.node.address
            draining.ready = False
            await until(lambda: is_with(owner(left, showtime)))
            await watcher.send_str("still here")
            assert await watcher.receive_str() == "still here"
            draining.ready = True
            await until(lambda: is_with(draining))
    finally:
        haproxy.stop()


async def test_the_balancer_of_pods_goes_by_the_names_of_those_that_are_there(
    tmp_path: Path, nodes: list[StandIn], client: aiohttp.ClientSession
) -> None:
    haproxy = HAProxyOfPods(tmp_path)
    await haproxy.start(node.node for node in nodes)
    try:
        ring = Ring(RingNode(f"cinema-{number}.cinema-nodes", 8080) for number in range(len(nodes)))
        by_name = dict(zip(ring.nodes, nodes, strict=True))

        async def all_found() -> bool:
            owners = [ring.owner_of(showtime.bytes) for showtime in SHOWTIMES]
            wanted = [by_name[one].node.address for one in owners if one is not None]
            found = [await chosen(client, haproxy.url + seats(one)) for one in SHOWTIMES]
            return found == wanted

        await until(all_found)
    finally:
        haproxy.stop()


async def test_nginx_repeats_a_read_elsewhere(
    tmp_path: Path, nodes: list[StandIn], client: aiohttp.ClientSession
) -> None:
    nginx = Nginx(tmp_path)
    await nginx.start(node.node for node in nodes)
    try:
        broken = owner(nodes, SHOWTIMES[0])
        broken.breaks_off = True
        address = await chosen(client, nginx.url + seats(SHOWTIMES[0]))
        left = [node for node in nodes if node is not broken]
        assert address == owner(left, SHOWTIMES[0]).node.address
        assert len(broken.received) == 1
    finally:
        nginx.stop()


async def statuses_of(
    client: aiohttp.ClientSession, method: str, urls: Iterable[str | URL], bound: int
) -> Counter[int]:
    """What many requests sent at once are answered; a refusal has the form of the contract."""
    statuses: Counter[int] = Counter()

    async def ask(url: str | URL) -> None:
        async with asyncio.timeout(60), at_once, client.request(method, url, json={}) as answer:
            statuses[answer.status] += 1
            if answer.status == LIMITED.status:
                assert answer.headers["Retry-After"] == "1"
                assert await answer.json() == {
                    "success": False,
                    "error": {"code": "RATE_LIMITED", "message": LIMITED.message, "details": {}},
                    "request_id": answer.headers["X-Request-ID"],
                }

    at_once = asyncio.Semaphore(bound)
    await asyncio.gather(*(ask(url) for url in urls))
    return statuses


@pytest.mark.parametrize("path", ["auth/login", "auth/login/", "auth/%6Cogin", "auth/register"])
async def test_what_one_address_asks_of_passwords_is_bounded(
    balancer: Balancer, nodes: list[StandIn], client: aiohttp.ClientSession, path: str
) -> None:
    """A flood of logins is refused however the path is written, and all else goes on."""
    await balancer.start(node.node for node in nodes)
    url = URL(f"{balancer.url}/api/v1/{path}", encoded=True)
    statuses = await statuses_of(client, "POST", [url] * 400, 100)
    assert statuses[LIMITED.status] > 0
    assert statuses[200] >= 51
    assert statuses.total() == statuses[LIMITED.status] + statuses[200]
    assert (await client.get(f"{balancer.url}/api/v1/movies")).status == 200


async def test_haproxy_bounds_the_holds_of_one_address(
    tmp_path: Path, nodes: list[StandIn], client: aiohttp.ClientSession
) -> None:
    """Changes count, over all showtimes and nodes; looking at a hold goes on."""
    haproxy = HAProxy(tmp_path, forgets=False)
    try:
        await haproxy.start(node.node for node in nodes)
        urls = [haproxy.url + holds(SHOWTIMES[number % 100]) for number in range(1700)]
        statuses = await statuses_of(client, "POST", urls, 100)
        assert statuses == {200: 1600, LIMITED.status: 100}
        url = haproxy.url + holds(SHOWTIMES[0])
        assert (await client.delete(f"{url}/7?seats=A1")).status == LIMITED.status
        assert (await client.get(f"{url}/7")).status == 200
    finally:
        haproxy.stop()


async def test_haproxy_bounds_the_sockets_of_one_address(
    tmp_path: Path, nodes: list[StandIn]
) -> None:
    """As many as are open count: one that ends makes room for another."""
    haproxy = HAProxy(tmp_path)

    def url(number: int) -> str:
        return f"{haproxy.url}/api/v1/showtimes/{SHOWTIMES[number % 100]}/watch"

    try:
        await haproxy.start(node.node for node in nodes)
        async with AsyncExitStack() as stack:
            connector = aiohttp.TCPConnector(limit=0)
            client = aiohttp.ClientSession(timeout=TIMEOUT, connector=connector)
            await stack.enter_async_context(client)
            sockets = [
                await stack.enter_async_context(client.ws_connect(url(number)))
                for number in range(200)
            ]
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await client.ws_connect(url(0))
            assert refused.value.status == LIMITED.status
            await sockets[0].close()

            async def there_is_room() -> bool:
                with suppress(aiohttp.WSServerHandshakeError):
                    await stack.enter_async_context(client.ws_connect(url(0)))
                    return True
                return False

            await until(there_is_room)
            assert (await client.get(haproxy.url + seats(SHOWTIMES[0]))).status == 200
    finally:
        haproxy.stop()


async def test_haproxy_bounds_the_connections_of_one_address(
    tmp_path: Path, nodes: list[StandIn]
) -> None:
    """One connection too many is answered why, whatever the others do."""
    haproxy = HAProxy(tmp_path)
    question = b"GET /api/v1/movies HTTP/1.1\r\nHost: test\r\n\r\n"
    try:
        await haproxy.start(node.node for node in nodes)
        async with AsyncExitStack() as stack:
            for allowed in (True, False):
                for _ in range(500 if allowed else 1):
                    reader, writer = await asyncio.open_connection("127.0.0.1", haproxy.port)
                    stack.callback(writer.close)
                writer.write(question)
                async with asyncio.timeout(15):
                    line = await reader.readline()
                assert line.split()[1] == (b"200" if allowed else b"429")
    finally:
        haproxy.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 needs no set-up on Linux alone")
async def test_nginx_counts_ipv4_clients_of_a_listener_of_both_one_by_one(
    tmp_path: Path, nodes: list[StandIn]
) -> None:
    """There they come as ::ffff:127.0.0.2, which the /64 of all of them begins with."""
    nginx = Nginx(tmp_path)
    nginx.of_both = True
    try:
        await nginx.start(node.node for node in nodes)
        for address in ("127.0.0.2", "127.0.0.3"):
            connector = aiohttp.TCPConnector(local_addr=(address, 0))
            async with aiohttp.ClientSession(timeout=TIMEOUT, connector=connector) as client:
                answer = await client.get(f"{nginx.url}/client")
                assert await answer.text() == address
    finally:
        nginx.stop()
