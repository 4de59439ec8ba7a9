"""Requests served without a task: nobody can tell, except by the time it takes."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp.web_protocol import RequestHandler

from cinema.http.connections import taskless_connection
from cinema.http.connections.taskless_connection import TasklessConnection
from cinema.http.context import Call
from cinema.http.responses import Reply, success
from cinema.http.routes import TasklessHandler
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
ID = "019A0C1E-7000-7000-8000-0000000000E1"
ORIGIN = "https://tickets.example"
OPTIONS = EdgeOptions(
    body_limit_bytes=BODY_LIMIT_BYTES, request_timeout_s=0.2, allowed_origins=(ORIGIN,)
)


class Desk:
    """A taskless route whose callbacks the test calls itself."""

    def __init__(self) -> None:
        self.replies: list[Callable[[Any], None]] = []

    def ask(self, _: Call, reply: Callable[[Any], None]) -> None:
        self.replies.append(reply)

    def show(self, answer: Any) -> Reply:
        return success(answer)

    async def reply(self, number: int = 0) -> Callable[[Any], None]:
        """The callback of a request that must come."""
        await until(lambda: len(self.replies) > number)
        return self.replies[number]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def taskless(desk: Desk) -> AsyncIterator[Server]:
    more = [route("GET", "/desk", TasklessHandler(desk.ask, desk.show))]
    async with serving(OPTIONS, taskless=True, more=more) as running:
        yield running


def connection_of(server: Server) -> TasklessConnection:
    """The server's side of the only connection there is."""
    (connection,) = server.edge._server.connections
    assert isinstance(connection, TasklessConnection)
    return connection


# --- which way


async def test_whole_request_on_an_idle_connection_needs_no_task(taskless: Server) -> None:
    async with taskless.client() as client:
        for _ in range(100):
            await until(lambda: connection_of(taskless)._waiter is not None)
            assert (await client.ask(request("POST", "/echo", GOOD))).status == 201
    assert taskless.in_a_task == [False] * 100
    assert taskless.edge._server.requests_count == 100


@pytest.mark.parametrize(
    ("raw", "rest"),
    [
        (request("POST", "/echo", GOOD), request("POST", "/echo", GOOD)),
        (request("POST", "/echo", GOOD)[:-5], GOOD[-5:]),
        (request("POST", "/echo", GOOD)[: -len(GOOD)], GOOD),
    ],
    ids=["two at once", "body in parts", "head before body"],
)
async def test_unusual_request_is_served_in_a_task(
    taskless: Server, raw: bytes, rest: bytes
) -> None:
    connections = taskless.edge._server.connections
    async with taskless.client() as client:
        if rest == raw:
            client.send(raw + rest)
        else:
            client.send(raw)
            await until(lambda: connections != taskless.edge._server.connections)
            await until(lambda: connection_of(taskless)._request_in_progress)
            client.send(rest)
        assert (await client.answer()).status == 201
    assert taskless.in_a_task[0]


# --- known heads


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What has come to a parser."""
    seen: list[bytes] = []
    parse = RequestHandler.data_received

    def data_received(connection: RequestHandler, data: bytes) -> None:
        parse(connection, data)
        seen.append(data)

    monkeypatch.setattr(RequestHandler, "data_received", data_received)
    return seen


async def test_a_head_is_parsed_once(taskless: Server, parsed: list[bytes]) -> None:
    for _ in range(2):
        async with taskless.client() as client:
            await until(lambda: bool(taskless.edge._server.connections))
            await until(lambda: connection_of(taskless)._waiter is not None)
            for number in range(10):
                body = b'{"seats":["F%d"]}' % number
                asked = request("POST", "/echo", body, idempotency_key=f"k{number}")
                answer = await client.ask(asked)
                assert answer.json["data"]["seats"] == [f"F{number}"]
        await until(lambda: not taskless.edge._server.connections)
    assert len(parsed) == 1
    assert taskless.in_a_task == [False] * 20
    assert taskless.edge._server.requests_count == 20


async def test_a_known_head_for_a_route_with_a_task_is_parsed(
    taskless: Server, parsed: list[bytes]
) -> None:
    async with taskless.client() as client:
        await until(lambda: bool(taskless.edge._server.connections))
        await until(lambda: connection_of(taskless)._waiter is not None)
        for path, status in (("/me", 401), ("/healthz", 200), ("/nowhere", 404), ("/me", 401)):
            assert (await client.ask(request("GET", path))).status == status
    assert [data.split()[1] for data in parsed] == [b"/me", b"/healthz", b"/nowhere"]


async def test_revoked_token_behind_a_known_head_is_refused(
    taskless: Server, parsed: list[bytes]
) -> None:
    token = taskless.token()
    asked = request("GET", "/me", authorization=f"Bearer {token}")
    async with taskless.client() as client:
        await until(lambda: bool(taskless.edge._server.connections))
        await until(lambda: connection_of(taskless)._waiter is not None)
        assert (await client.ask(asked)).status == 200
        taskless.gatekeeper.revoked.add(token)
        assert (await client.ask(asked)).code == "UNAUTHENTICATED"
    assert len(parsed) == 1


@pytest.mark.parametrize("begun", [b"GET /desk HTTP/1.1\r\nHost: test\r\nX: ", b"PUT"])
async def test_no_known_head_is_seen_within_another_request(
    taskless: Server, desk: Desk, parsed: list[bytes], begun: bytes
) -> None:
    known = request("POST", "/echo", GOOD)
    async with taskless.client() as client:
        for _ in range(2):
            await until(lambda: bool(taskless.edge._server.connections))
            await until(lambda: connection_of(taskless)._waiter is not None)
            assert (await client.ask(known)).status == 201
        client.send(request("GET", "/desk"))
        reply = await desk.reply()
        client.send(begun)
        await until(lambda: begun in parsed)
        reply("first")
        assert (await client.answer()).json["data"] == "first"
        client.send(known)
        assert (await client.answer()).code == "BAD_REQUEST"
        assert await client.ends()


# --- the same bytes

TOKEN = "Bearer {token}"
ASKED = {
    "success": request("POST", "/echo", GOOD),
    "success in a chunk": request(
        "POST", "/echo", content_type="application/json", transfer_encoding="chunked"
    )
    + b"10\r\n"
    + GOOD
    + b"\r\n0\r\n\r\n",
    "success with a key": request("POST", "/echo", GOOD, idempotency_key="k"),
    "success with a query": request("GET", "/me?limit=7", authorization=TOKEN),
    "success with a body where none is asked": request("GET", "/me", GOOD, authorization=TOKEN),
    "trailing slash": request("POST", "/echo/", GOOD),
    "head": request("HEAD", "/me", authorization=TOKEN),
    "origin": request("POST", "/echo", GOOD, origin=ORIGIN),
    "other origin": request("POST", "/echo", GOOD, origin="https://evil.example"),
    "close": request("POST", "/echo", GOOD, connection="close"),
    "expect": request("POST", "/echo", GOOD, expect="100-continue"),
    "http 1.0": request("POST", "/echo", GOOD, version="1.0"),
    "http 1.0, kept": request("POST", "/echo", GOOD, version="1.0", connection="keep-alive"),
    "harmful id": request("POST", "/echo", GOOD, x_request_id="a b<c>"),
    "upgrade": request("GET", f"/showtimes/{ID}/seats", connection="upgrade", upgrade="websocket"),
    "no token": request("GET", "/me"),
    "other scheme": request("GET", "/me", authorization="Basic dTpw"),
    "bad token": request("GET", "/me", authorization="Bearer nonsense"),
    "wrong role": request("GET", "/staff", authorization=TOKEN),
    "token before body": request("POST", "/staff", b"{"),
    "media type": request("POST", "/echo", GOOD, content_type="text/plain"),
    "no media type": request("POST", "/echo"),
    "compressed": request("POST", "/echo", GOOD, content_encoding="gzip"),
    "too large": request("POST", "/echo", b" " * (BODY_LIMIT_BYTES + 1)),
    "no json": request("POST", "/echo", b"{"),
    "no body": request("POST", "/echo", b""),
    "wrong form": request("POST", "/echo", b'{"seats":7}'),
    "nul": request("POST", "/echo", b'{"seats":["\\u0000"]}'),
    "bad key": request("POST", "/echo", GOOD, idempotency_key="x" * 129),
    "bad query": request("GET", "/me?limit=x", authorization=TOKEN),
    "refused by the handler": request("GET", f"/showtimes/{ID}/seats"),
    "refusal raised by the handler": request("GET", "/overloaded"),
    "failed": request("GET", "/broken"),
    "bad id": request("GET", "/showtimes/7/seats"),
    "wrong method": request("DELETE", "/echo"),
    "nowhere": request("GET", "/nowhere"),
}


@pytest.mark.parametrize("options", [OPTIONS, EdgeOptions(require_https=True)])
async def test_both_ways_give_the_same_bytes(options: EdgeOptions) -> None:
    async with (
        serving(options) as usual,
        serving(options, taskless=True) as taskless,
    ):
        # The second time heads are known.
        for name, raw in [*ASKED.items()] * 2:
            given = raw.replace(TOKEN.encode(), f"Bearer {usual.token()}".encode())
            answers = [await _whole_answer(server, given) for server in (usual, taskless)]
            assert answers[0] == answers[1], name
            lines = [_steady(server.lines()[-1]) for server in (usual, taskless)]
            assert lines[0] == lines[1], name
        counts = [_counts(server) for server in (usual, taskless)]
        assert counts[0] == counts[1]
    assert False not in usual.in_a_task
    assert taskless.in_a_task.count(True) == 0


async def _whole_answer(server: Server, raw: bytes) -> bytes:
    """All that comes until the server or, after one reply, the client closes."""
    async with server.client() as client:
        await until(lambda: bool(server.edge._server.connections))
        await until(lambda: connection_of(server)._waiter is not None)
        client.send(raw)
        async with asyncio.timeout(PATIENCE_S):
            head = await client.reader.readuntil(b"\r\n\r\n")
            if b"Connection: close" not in head:
                client.send(request("GET", "/nowhere", connection="close"))
            everything = head + await client.reader.read()
    await until(lambda: not server.edge._server.connections)
    everything = re.sub(rb"Date: [^\r]+", b"Date:", everything)
    return re.sub(rb"[0-9a-f]{24}", b"<id>", everything)


def _steady(line: dict[str, Any]) -> dict[str, Any]:
    varying = ("timestamp", "request_id", "duration_us")
    return {name: value for name, value in line.items() if name not in varying}


def _counts(server: Server) -> list[str]:
    text = server.edge.metrics.render().decode()
    return [one for one in text.splitlines() if re.match(r"cinema_http_(requests|errors)", one)]


# --- failures


async def test_handler_that_fails_at_once_or_later_is_a_500_with_its_stack(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("the secret of the house")

    def succeed(_: Call, reply: Callable[[Any], None]) -> None:
        reply(None)

    more = [
        route("GET", "/asking", TasklessHandler(fail, success)),
        route("GET", "/showing", TasklessHandler(succeed, fail)),
    ]
    async with serving(OPTIONS, taskless=True, more=more) as server, server.client() as client:
        for path in ("/asking", "/showing", "/misspelt"):
            answer = await client.ask(request("GET", path, x_request_id="find-me"))
            assert (answer.status, answer.code) == (500, "INTERNAL")
            assert b"secret" not in answer.body
            written = capsys.readouterr().out
            assert "find-me" in written
            assert "Traceback" in written
        assert [line["status"] for line in server.lines()] == [500, 500, 500]


async def test_second_answer_to_one_request_is_dropped(taskless: Server, desk: Desk) -> None:
    async with taskless.client() as client:
        client.send(request("GET", "/desk"))
        first = await desk.reply()
        first("once")
        first("twice")
        assert (await client.answer()).json["data"] == "once"
        client.send(request("GET", "/desk"))
        second = await desk.reply(1)
        first("thrice")
        second("next")
        assert (await client.answer()).json["data"] == "next"
    assert len(taskless.lines()) == 2


async def test_handler_that_fails_behind_its_answer_has_answered() -> None:
    def answer_and_fail(_: Call, reply: Callable[[Any], None]) -> None:
        reply("answered")
        raise RuntimeError("too late to tell")

    more = [route("GET", "/both", TasklessHandler(answer_and_fail, success))]
    async with serving(OPTIONS, taskless=True, more=more) as server, server.client() as client:
        for _ in range(2):
            assert (await client.ask(request("GET", "/both"))).json["data"] == "answered"
        assert [line["status"] for line in server.lines()] == [200, 200]


# --- while the answer is awaited


async def test_requests_sent_meanwhile_are_answered_afterwards_in_order(
    taskless: Server, desk: Desk
) -> None:
    async with taskless.client() as client:
        client.send(request("GET", "/desk"))
        reply = await desk.reply()
        bodies = [b'{"seats":["A%d"]}' % number for number in range(100)]
        for body in bodies:
            client.send(request("POST", "/echo", body))
        await until(lambda: len(connection_of(taskless)._messages) >= 32)
        assert taskless.handled == []
        reply("first")
        assert (await client.answer()).json["data"] == "first"
        for number in range(100):
            assert (await client.answer()).json["data"]["seats"] == [f"A{number}"]
        assert (await client.ask(request("POST", "/echo", GOOD))).status == 201
    assert taskless.in_a_task == [True] * 100 + [False]


async def test_garbage_sent_meanwhile_is_refused_afterwards(taskless: Server, desk: Desk) -> None:
    async with taskless.client() as client:
        client.send(request("GET", "/desk"))
        reply = await desk.reply()
        client.send(b"\x00garbage\r\n\r\n")
        await until(lambda: bool(connection_of(taskless)._messages))
        reply("first")
        assert (await client.answer()).json["data"] == "first"
        assert (await client.answer()).code == "BAD_REQUEST"
        assert await client.ends()


async def test_client_that_half_closes_meanwhile_is_answered(taskless: Server, desk: Desk) -> None:
    async with taskless.client() as client:
        client.send(request("GET", "/desk"))
        reply = await desk.reply()
        client.writer.write_eof()
        await until(lambda: connection_of(taskless)._close)
        reply("late")
        assert (await client.answer()).json["data"] == "late"
        assert await client.ends()
    await until(lambda: not taskless.edge._server.connections)


async def test_answer_for_a_client_that_is_gone_is_dropped(taskless: Server, desk: Desk) -> None:
    async with taskless.client() as client:
        client.send(request("GET", "/desk"))
        reply = await desk.reply()
        connection = connection_of(taskless)
        raw = client.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        client.writer.transport.abort()
        await until(lambda: connection.transport is None)
    assert taskless.lines() == []
    reply("for nobody")
    assert [line["status"] for line in taskless.lines()] == [200]
    await until(lambda: not taskless.edge._server.connections)
    assert (await taskless.ask(request("GET", "/healthz"))).status == 200


async def test_keep_alive_does_not_end_a_connection_meanwhile(taskless: Server, desk: Desk) -> None:
    async with taskless.client() as client:
        client.send(request("GET", "/desk"))
        reply = await desk.reply()
        connection = connection_of(taskless)
        connection._next_keepalive_close_time = 0.0
        connection._process_keepalive()
        assert connection._keepalive_handle is None
        reply("kept")
        assert (await client.answer()).json["data"] == "kept"
        due_s = connection._next_keepalive_close_time - asyncio.get_running_loop().time()
        assert due_s == pytest.approx(taskless_connection.KEEP_ALIVE_S, abs=5)
        assert connection._keepalive_handle is not None
        connection._next_keepalive_close_time = 0.0
        connection._process_keepalive()
        assert await client.ends()


# --- stopping


async def test_stop_waits_for_an_answer_under_way(taskless: Server, desk: Desk) -> None:
    async with taskless.client() as client:
        client.send(request("GET", "/desk"))
        reply = await desk.reply()
        stopping = asyncio.ensure_future(taskless.edge.stop(5.0))
        await until(lambda: connection_of(taskless)._handler_waiter is not None)
        reply("last")
        answer = await client.answer()
        assert (answer.json["data"], answer.headers["connection"]) == ("last", "close")
        assert await client.ends()
        async with asyncio.timeout(2.5):
            await stopping


async def test_request_unanswered_at_the_end_is_cancelled(taskless: Server, desk: Desk) -> None:
    async with taskless.client() as client:
        client.send(request("GET", "/desk"))
        reply = await desk.reply()
        await taskless.edge.stop(0.01)
        assert await client.ends()
    reply("too late")
    (line,) = taskless.lines()
    assert (line["status"], line["error_code"]) == (499, "CANCELLED")


# --- clients that do not read


async def _ask_and_not_read(server: Server, client: Client) -> int:
    """Ask until the server has more to say than the system takes; how often that was."""
    client.writer.transport.pause_reading()
    asked = 0
    while not asked or not connection_of(server).writing_paused:
        client.send(request("GET", "/large"))
        asked += 1
        await until(lambda asked=asked: len(server.lines()) == asked)
    return asked


async def test_client_that_does_not_read_gets_no_further(taskless: Server) -> None:
    async with taskless.client() as client:
        asked = await _ask_and_not_read(taskless, client)
        connection = connection_of(taskless)
        client.send(request("POST", "/echo", GOOD))
        await until(lambda: bool(connection._messages))
        assert taskless.handled == []
        client.writer.transport.resume_reading()
        for _ in range(asked):
            assert len((await client.answer()).json["data"]) == 3_000_000
        assert (await client.answer()).status == 201
        await until(lambda: not connection._request_in_progress)
        assert connection._unread is None


async def test_client_that_never_reads_loses_its_connection(
    taskless: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taskless_connection, "WRITE_TIMEOUT_S", 0.01)
    async with taskless.client() as client:
        await _ask_and_not_read(taskless, client)
        await until(lambda: not taskless.edge._server.connections)
