"""Clients that never try twice, against servers that close connections in every way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from benchmarks.load.histogram import Histogram
from benchmarks.load.specs import Latencies, Report, Usage
from benchmarks.load.steady import Line
from benchmarks.scenarios.across import together

REQUEST = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
LAST_ANSWER = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"


class Server:
    """Answers each request with the next of `answers`; an empty one ends the connection."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.connections: list[asyncio.StreamWriter] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer)
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                answer = self.answers.pop(0)
                if not answer:
                    return
                writer.write(answer)
        except asyncio.IncompleteReadError:
            return
        finally:
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    yield server
    listener.close()
    await listener.wait_closed()


async def test_a_kept_connection_is_used_until_the_server_says_close(server: Server) -> None:
    server.answers = [ANSWER, LAST_ANSWER, ANSWER]
    line = Line("127.0.0.1", server.port, kept=True)
    for connections in (1, 1, 2):
        assert await line.ask(REQUEST) == (200, b"{}")
        assert len(server.connections) == connections
    line.close()


async def test_a_connection_that_is_not_kept_is_new_each_time(server: Server) -> None:
    server.answers = [ANSWER, ANSWER]
    line = Line("127.0.0.1", server.port, kept=False)
    await line.ask(REQUEST)
    await line.ask(REQUEST)
    assert len(server.connections) == 2


async def test_an_end_before_the_request_is_no_failure(server: Server) -> None:
    server.answers = [ANSWER, ANSWER]
    line = Line("127.0.0.1", server.port, kept=True)
    await line.ask(REQUEST)
    assert line.reader is not None
    server.connections[0].close()
    await line.reader.read()
    assert await line.ask(REQUEST) == (200, b"{}")
    line.close()


async def test_an_end_instead_of_an_answer_is_a_failure_and_not_tried_again(
    server: Server,
) -> None:
    server.answers = [b"", ANSWER]
    line = Line("127.0.0.1", server.port, kept=True)
    with pytest.raises(EOFError):
        await line.ask(REQUEST)
    assert (server.answers, len(server.connections)) == ([ANSWER], 1)


def report(seconds: float, held: int, node: str) -> Report:
    return Report(
        seconds=seconds,
        outcomes={"201": held},
        latency=Latencies.of(Histogram()),
        generator_cpu_s=0.5,
        machine_cpu_s=3.0,
        usage={node: Usage(cpu_s=1.0, rss_bytes=1)},
        dropped=1,
    )


def test_load_processes_side_by_side_are_one_report() -> None:
    both = together([report(2.0, 10, "node1"), report(2.5, 5, "node2")])
    assert (both.seconds, both.outcomes, both.dropped) == (2.5, {"201": 15}, 2)
    assert (both.generator_cpu_s, both.machine_cpu_s) == (1.0, 3.0)
    assert set(both.usage) == {"node1", "node2"}
