"""Clients that leave: wherever that is, nobody is bothered and nothing is kept."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aiohttp.web import BaseRequest

from cinema.http.connections import connection as connections
from cinema.http.connections.connection import Connection, has_hung_up
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.server import EdgeOptions
from tests.e2e.http.edge import (
    BODY_LIMIT_BYTES,
    PATIENCE_S,
    Client,
    Server,
    request,
    route,
    serving,
    until,
)

GOOD = b'{"seats":["F7"]}'
HEAD = request("POST", "/echo", GOOD)[: -len(GOOD)]
CHUNKED = (
    b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n8\r\n"
)
SLOW = request("GET", "/slow")
UPGRADE = {"connection": "upgrade", "upgrade": "websocket"}

SENT = {
    "nothing": b"",
    "part of a line": HEAD[:5],
    "part of a head": HEAD[:40],
    "a head": HEAD,
    "part of a body": HEAD + GOOD[:-5],
    "part of a chunk": CHUNKED + GOOD[:4],
    "a chunk": CHUNKED + GOOD[:8] + b"\r\n",
    "part of a chunk's length": CHUNKED + GOOD[:8] + b"\r\n8",
    "a broken chunk": CHUNKED + GOOD[:8] + b"\r\nzz\r\n",
    "a body that waits for consent": request("POST", "/echo", GOOD, expect="100-continue")[:-16],
    "a body of another type": request("POST", "/echo", GOOD, content_type="text/plain")[:-3],
    "a body too large": request("POST", "/echo", b" ", content_length=str(10 * BODY_LIMIT_BYTES)),
    "a body from nobody": request("POST", "/staff", GOOD)[:-4],
    "a body to nowhere": request("POST", "/nowhere", GOOD)[:-4],
    "a body nobody asked for": request("GET", "/healthz", GOOD)[:-4],
    "a request": HEAD + GOOD,
    "a request that takes long": SLOW,
    "part of a line behind one": SLOW + HEAD[:5],
    "part of a body behind one": SLOW + HEAD + GOOD[:-5],
    "a request behind one": SLOW + HEAD + GOOD,
    "many requests behind one": SLOW + (HEAD + GOOD) * 50,
    "requests for much": request("GET", "/large") * 3,
    "an upgrade declined": request("GET", "/slow", **UPGRADE),
    "a request behind an upgrade declined": request("GET", "/slow", **UPGRADE) + HEAD + GOOD,
    "garbage": b"\x00\x01garbage\r\n\r\n",
    "a greeting of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32),
    "part of a greeting of TLS": b"\x16\x03",
    "a line of the PROXY protocol": b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n",
    "binary of the PROXY protocol": b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12),
}


class Complaints(logging.Handler):
    """What libraries and the loop complain about."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(f"{record.name}: {record.getMessage()} {record.exc_info}")

    def of_loop(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.heard.append(f"loop: {context}")


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    heard = Complaints()
    logging.getLogger().addHandler(heard)
    try:
        yield heard
    finally:
        logging.getLogger().removeHandler(heard)


@pytest.fixture(params=[False, True], ids=["in_a_task", "taskless"])
async def patient(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    """An edge that waits for clients as long as a test does."""
    options = EdgeOptions(body_limit_bytes=BODY_LIMIT_BYTES, request_timeout_s=2 * PATIENCE_S)
    async with serving(options, taskless=request.param) as running:
        yield running


def accepted(server: Server) -> Any:
    """The server's side of the only connection there is."""
    (connection,) = server.edge._server.connections
    return connection


async def send(server: Server, client: Client, raw: bytes) -> None:
    """Send, and wait until the server has begun to work on all of it."""
    client.send(raw)
    await client.writer.drain()
    await until(lambda: bool(server.edge._server.connections))
    if raw.startswith(b"GET /slow"):
        await until(lambda: accepted(server)._request_in_progress)
    for _ in range(20):
        await asyncio.sleep(0)


def reset(client: Client) -> None:
    """Be gone without a word to anybody, as a process that is killed."""
    raw = client.writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    client.writer.transport.abort()


@pytest.mark.parametrize("how", ["half-closes", "closes", "resets"])
async def test_client_that_leaves_is_no_error(
    patient: Server, complaints: Complaints, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    asyncio.get_running_loop().set_exception_handler(complaints.of_loop)
    for sent, raw in SENT.items():
        patient.release.clear()
        async with patient.client() as client:
            await send(patient, client, raw)
            if how == "half-closes":
                client.writer.write_eof()
                patient.release.set()
                async with asyncio.timeout(PATIENCE_S):
                    await client.reader.read()
            elif how == "closes":
                client.writer.close()
            else:
                reset(client)
        patient.release.set()
        await until(lambda: not patient.edge._server.connections)
        assert complaints.heard == [], sent
        assert capsys.readouterr().out == "", sent
        assert {line["level"] for line in patient.lines()} <= {"info"}, sent
    gc.collect()
    assert complaints.heard == []
    assert (await patient.ask(request("GET", "/healthz"))).status == 200


@pytest.mark.parametrize("sent", ["a head", "part of a body", "part of a chunk", "a chunk"])
async def test_client_gone_within_its_body_is_counted_as_gone(patient: Server, sent: str) -> None:
    async with patient.client() as client:
        await send(patient, client, SENT[sent])
        reset(client)
    await until(lambda: not patient.edge._server.connections)
    (line,) = patient.lines()
    assert (line["status"], line["error_code"]) == (499, "CANCELLED")
    assert patient.handled == []


@pytest.mark.parametrize("sent", ["a head", "part of a body", "part of a chunk", "a chunk"])
async def test_client_that_ends_its_body_early_is_told(patient: Server, sent: str) -> None:
    async with patient.client() as client:
        await send(patient, client, SENT[sent])
        client.writer.write_eof()
        answer = await client.answer()
        assert (answer.status, answer.code) == (400, "BAD_REQUEST")
        assert await client.ends()


async def test_body_ended_early_as_its_turn_comes_is_not_waited_for(patient: Server) -> None:
    async with patient.client() as client:
        await send(patient, client, SENT["part of a body behind one"])
        # Both in one turn of the loop: the request has left the queue, and its task not begun.
        patient.release.set()
        accepted(patient).eof_received()
        assert (await client.answer()).json["data"] == "slow"
        assert (await client.answer()).code == "BAD_REQUEST"
        assert await client.ends()


async def test_answer_that_nobody_reads_is_counted_once(patient: Server) -> None:
    async with patient.client() as client:
        client.writer.transport.pause_reading()
        client.send(request("GET", "/large") * 2)
        await until(lambda: bool(patient.edge._server.connections))
        await until(lambda: accepted(patient).writing_paused)
        written = len(patient.lines())
        reset(client)
    await until(lambda: not patient.edge._server.connections)
    assert [line["status"] for line in patient.lines()] == [200] * written


async def test_connection_lost_while_requests_wait_is_looked_at_no_more(
    patient: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Any] = []
    look = Connection._close_when_answered

    def counted(one: Connection) -> None:
        looks.append(one)
        look(one)

    monkeypatch.setattr(Connection, "_close_when_answered", counted)
    monkeypatch.setattr(connections, "HALF_CLOSED_PERIOD_S", 0.0)
    async with patient.client() as client:
        await send(patient, client, SLOW + (HEAD + GOOD) * 3)
        client.writer.write_eof()
        await until(lambda: len(looks) > 3)
        reset(client)
        patient.release.set()
        await until(lambda: not patient.edge._server.connections)
    for _ in range(5):
        await asyncio.sleep(0)
    looked = len(looks)
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(looks) == looked


@pytest.mark.parametrize("how", ["half-closes", "closes", "resets"])
async def test_handler_can_see_that_its_client_has_hung_up(how: str) -> None:
    seen: list[BaseRequest] = []
    release = asyncio.Event()

    async def wait(context: RequestContext) -> Reply:
        seen.append(context.request)
        await release.wait()
        return success("done")

    options = EdgeOptions(request_timeout_s=2 * PATIENCE_S)
    waiting = route("GET", "/waiting", wait)
    async with serving(options, taskless=False, more=[waiting]) as server:
        async with server.client() as client:
            client.send(request("GET", "/waiting"))
            await client.writer.drain()
            await until(lambda: bool(seen))
            assert has_hung_up(seen[0]) is False
            if how == "half-closes":
                client.writer.write_eof()
            elif how == "closes":
                client.writer.close()
            else:
                reset(client)
            expected = True if how == "resets" else None
            await until(lambda: has_hung_up(seen[0]) is expected)
        release.set()
