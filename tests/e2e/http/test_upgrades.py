"""Requests for another protocol on routes that stay with HTTP, and what comes behind them."""

from __future__ import annotations

import pytest

from tests.e2e.http.edge import Server, request, until

GOOD = b'{"seats":["F7"]}'
ECHO = request("POST", "/echo", GOOD)
HEALTH = request("GET", "/healthz")
BAD = request("GET", "/nowhere")

PROTOCOLS = {
    "websocket": {"connection": "Upgrade", "upgrade": "websocket"},
    "h2c": {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2_settings": "AAMAAA"},
    "unknown": {"connection": "upgrade", "upgrade": "carrier-pigeon/1"},
}


def asking(protocol: str, method: str = "GET", path: str = "/healthz", *body: bytes) -> bytes:
    """A request that asks for a protocol too."""
    return request(method, path, *body, **PROTOCOLS[protocol])


async def statuses(server: Server, raw: bytes, count: int) -> list[int]:
    """What `count` requests in one packet are answered with, and that the connection goes on."""
    async with server.client() as client:
        client.send(raw)
        found = [(await client.answer()).status for _ in range(count)]
        assert (await client.ask(ECHO)).status == 201
        return found


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_requests_behind_an_upgrade_are_answered(server: Server, protocol: str) -> None:
    ask = asking(protocol)
    assert await statuses(server, ask + ECHO + BAD, 3) == [200, 201, 404]
    assert await statuses(server, HEALTH + ask + ECHO, 3) == [200, 200, 201]
    assert await statuses(server, ask + ask + ask + ECHO, 4) == [200, 200, 200, 201]
    assert await statuses(server, asking(protocol, "POST", "/echo", GOOD) + BAD, 2) == [201, 404]
    assert await statuses(server, b"\r\n" + ask + b"\r\n" + ECHO, 2) == [200, 201]


async def test_upgrades_of_both_kinds_may_follow_each_other(server: Server) -> None:
    mixed = [asking(protocol) for protocol in ("websocket", "h2c", "websocket", "unknown")]
    assert await statuses(server, b"".join(mixed) + ECHO, 5) == [200, 200, 200, 200, 201]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_requests_behind_an_upgrade_may_come_byte_by_byte(
    server: Server, protocol: str
) -> None:
    raw = asking(protocol) + ECHO
    async with server.client() as client:
        for at in range(len(raw)):
            client.send(raw[at : at + 1])
            await client.writer.drain()
        assert (await client.answer()).status == 200
        assert (await client.answer()).status == 201


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_end_of_an_upgrade_may_come_with_the_next_request(
    server: Server, protocol: str
) -> None:
    raw = asking(protocol) + ECHO
    for at in (1, 30, len(raw) - len(ECHO) - 1):
        async with server.client() as client:
            client.send(raw[:at])
            await until(lambda: bool(server.edge._server.connections))
            (connection,) = server.edge._server.connections
            await until(lambda: connection._head_timer is not None)  # noqa: B023
            client.send(raw[at:])
            assert (await client.answer()).status == 200
            assert (await client.answer()).status == 201
        await until(lambda: not server.edge._server.connections)


async def test_upgrade_whose_end_is_not_known_ends_the_connection(server: Server) -> None:
    """Behind a request under way nobody knows what the parser drops: the client is told."""
    async with server.client() as client:
        client.send(request("GET", "/slow"))
        await until(lambda: bool(server.edge._server.connections))
        (connection,) = server.edge._server.connections
        await until(lambda: connection._request_in_progress)
        client.send(asking("h2c") + ECHO)
        await until(lambda: bool(connection._messages))
        server.release.set()
        assert (await client.answer()).json["data"] == "slow"
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await client.ends()
    assert server.handled == [] or len(server.handled) == 1


async def test_body_of_an_upgrade_still_to_come_ends_the_connection(server: Server) -> None:
    raw = asking("h2c", "POST", "/echo", GOOD)
    async with server.client() as client:
        client.send(raw[:-5])
        await until(lambda: bool(server.edge._server.connections))
        (connection,) = server.edge._server.connections
        await until(lambda: connection._request_in_progress)
        client.send(raw[-5:] + HEALTH)
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (201, "close")
        assert await client.ends()


async def test_very_many_upgrades_in_a_row_are_answered_or_refused_aloud(server: Server) -> None:
    async with server.client() as client:
        client.send(asking("h2c") * 100)
        for _ in range(100):
            answer = await client.answer()
            assert answer.status == 200
            if answer.headers.get("connection") == "close":
                break
        assert await client.ends()


async def test_client_that_half_closes_behind_an_upgrade_is_answered(server: Server) -> None:
    for protocol in PROTOCOLS:
        async with server.client() as client:
            client.send(asking(protocol) + ECHO)
            client.writer.write_eof()
            assert (await client.answer()).status == 200
            assert (await client.answer()).status == 201
            assert await client.ends()


async def test_empty_lines_without_end_are_refused(server: Server) -> None:
    async with server.client() as client:
        try:
            for _ in range(600):
                client.send(b"\r\n" * 512)
                await client.writer.drain()
            answer = await client.answer()
        except ConnectionError:
            return
        assert answer.code in {"HEADERS_TOO_LARGE", "REQUEST_TIMEOUT"}
