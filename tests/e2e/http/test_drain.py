"""The end of an edge that others take over from: no connection that was made is lost."""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import ExitStack

import pytest

from cinema.http.connections.listening import ignore_new_connections
from cinema.http.server import EdgeOptions
from tests.e2e.http.edge import request, serving
from tests.support.waiting import look_again

ASK = request("GET", "/healthz")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's filters of Linux")


async def read_all(client: socket.socket) -> bytes:
    """What comes until the server closes."""
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    got = b""
    async with asyncio.timeout(10):
        while more := await loop.sock_recv(client, 65536):
            got += more
    return got


async def accepts(port: int) -> bool:
    """Whether a new connection is made (within a moment) or refused."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 0.2)
    except TimeoutError:
        return True  # neither: it is ignored for now
    except ConnectionRefusedError:
        return False
    writer.close()
    await asyncio.sleep(0.01)
    return True


async def test_connections_that_wait_to_be_accepted_are_served() -> None:
    async with serving(EdgeOptions()) as server:
        with ExitStack() as stack:
            waiting = []
            for _ in range(20):
                # The loop does not turn here: the kernel makes these, and nobody accepts them.
                client = socket.create_connection(("127.0.0.1", server.port))
                waiting.append(stack.enter_context(client))
                client.sendall(ASK)
            draining = asyncio.ensure_future(server.edge.drain(5.0))
            for client in waiting:
                answer = await read_all(client)
                assert answer.startswith(b"HTTP/1.1 200 ")
                assert b"Connection: close" in answer
            await draining


async def test_after_the_end_connections_are_refused() -> None:
    async with serving(EdgeOptions()) as server:
        await server.edge.drain(5.0)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.port)


async def test_a_kept_connection_is_answered_once_more_and_told() -> None:
    async with serving(EdgeOptions()) as server, server.client() as client:
        assert "connection" not in (await client.ask(ASK)).headers
        draining = asyncio.ensure_future(server.edge.drain(5.0))
        while await accepts(server.port):
            await look_again()
        assert not draining.done()
        assert (await client.ask(ASK)).headers["connection"] == "close"
        assert await client.ends()
        await draining


@linux_only
async def test_what_is_ignored_is_what_begins_a_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
        with socket.create_connection(address) as made:
            assert ignore_new_connections(listening)
            with pytest.raises(TimeoutError):
                socket.create_connection(address, timeout=0.2)
            made.sendall(b"before")
            accepted, _ = listening.accept()
            with accepted:
                assert accepted.recv(10) == b"before"


def test_where_filters_are_not_to_be_had_the_socket_is_left_as_it_is() -> None:
    closed = socket.socket()
    closed.close()
    assert not ignore_new_connections(closed)
