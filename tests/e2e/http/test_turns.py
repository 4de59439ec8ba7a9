"""A crowd before the edge: served in order of arrival, probes between, late ones turned away."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from cinema.http.connections.connection import Connection
from cinema.http.server import EdgeOptions
from cinema.http.turns import LATE_S, Turns
from tests.e2e.http.edge import BODY_LIMIT_BYTES, Client, Server, request, serving, until
from tests.support.steps import Steps

PER_STEP = 2
OPTIONS = EdgeOptions(body_limit_bytes=BODY_LIMIT_BYTES, request_timeout_s=5.0)


class Crowd:
    """A server that takes a step only when told to, and all who have come to it."""

    def __init__(self, server: Server, loop: Steps, turns: Turns, stack: AsyncExitStack) -> None:
        self.server = server
        self.loop = loop
        self.turns = turns
        self._stack = stack

    async def client(self) -> Client:
        return await self._stack.enter_async_context(self.server.client())

    async def comes(self, raw: bytes, client: Client | None = None) -> Client:
        """Somebody comes with a request and stands in line."""
        client = client or await self.client()
        before = self.turns.waiting
        self.turns.left = 0
        client.send(raw)
        await until(lambda: self.turns.waiting > before)
        return client

    def seats(self) -> list[str]:
        """What reached a handler, in order."""
        return [call.body.seats[0] for call in self.server.handled]

    def connection(self) -> Connection:
        (only,) = self.server.edge._server.connections
        assert isinstance(only, Connection)
        return only


@pytest.fixture(params=[False, True], ids=["in_a_task", "taskless"])
async def crowd(request: pytest.FixtureRequest) -> AsyncIterator[Crowd]:
    loop = Steps()
    turns = Turns(loop, per_step=PER_STEP)
    async with (
        serving(OPTIONS, taskless=request.param, turns=turns) as server,
        AsyncExitStack() as stack,
    ):
        yield Crowd(server, loop, turns, stack)


def wish(seat: str, **headers: str) -> bytes:
    return request("POST", "/echo", b'{"seats":["%s"]}' % seat.encode(), **headers)


async def test_crowd_is_answered_in_order_of_arrival_and_a_probe_before_it(crowd: Crowd) -> None:
    clients = [await crowd.comes(wish(seat)) for seat in ("A1", "A2", "A3", "A4", "A5")]
    probe = await crowd.comes(request("GET", "/healthz"))
    assert crowd.seats() == []
    crowd.loop.step()
    assert (await probe.answer()).status == 200
    assert (await clients[0].answer()).status == 201
    assert crowd.seats() == ["A1"]
    crowd.loop.step()
    await clients[2].answer()
    assert crowd.seats() == ["A1", "A2", "A3"]
    crowd.loop.step()
    assert [(await client.answer()).status for client in clients[3:]] == [201, 201]
    assert crowd.seats() == ["A1", "A2", "A3", "A4", "A5"]


async def test_late_request_is_refused_in_the_form_of_the_contract_and_has_no_effect(
    crowd: Crowd,
) -> None:
    client = await crowd.comes(wish("A1", x_request_id="mine"))
    crowd.loop.now_s += LATE_S + 0.01
    crowd.loop.step()
    answer = await client.answer()
    assert (answer.status, answer.code) == (503, "OVERLOADED")
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["x-request-id"] == "mine"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (crowd.seats(), crowd.turns.refused) == ([], 1)
    (line,) = crowd.server.lines()
    assert (line["request_id"], line["status"], line["error_code"]) == ("mine", 503, "OVERLOADED")
    rendered = crowd.server.edge.metrics.render().decode()
    assert (
        'cinema_http_errors_total{code="OVERLOADED",method="POST",route="(none)"} 1.0' in rendered
    )
    await crowd.comes(wish("A2"), client)
    crowd.loop.step()
    assert (await client.answer()).status == 201


async def test_late_request_whose_body_is_still_coming_is_refused_too(crowd: Crowd) -> None:
    whole = wish("A1")
    client = await crowd.comes(whole[:-4])
    crowd.loop.now_s += 2 * LATE_S
    crowd.loop.step()
    assert (await client.answer()).code == "OVERLOADED"
    client.send(whole[-4:])
    await crowd.comes(wish("A2"), client)
    crowd.loop.step()
    assert (await client.answer()).status == 201
    assert crowd.seats() == ["A2"]


async def test_request_behind_another_waits_for_a_turn_of_its_own(crowd: Crowd) -> None:
    client = await crowd.comes(wish("A1") + wish("A2"))
    crowd.loop.now_s += 2 * LATE_S
    crowd.loop.step()
    assert (await client.answer()).code == "OVERLOADED"
    crowd.turns.left = 0
    await until(lambda: crowd.turns.waiting == 1 or bool(crowd.seats()))
    if crowd.turns.waiting:
        crowd.loop.step()
    assert (await client.answer()).status == 201
    assert crowd.seats() == ["A2"]


async def test_long_pipeline_takes_no_more_turns_than_there_are(crowd: Crowd) -> None:
    seats = [f"A{number}" for number in range(1, 6)]
    client = await crowd.comes(b"".join(map(wish, seats)))
    other = await crowd.comes(wish("B1"))
    steps = 0
    while len(crowd.seats()) < 6:
        await until(lambda: bool(crowd.loop.scheduled))
        crowd.loop.step()
        steps += 1
        done = 2 * steps
        await until(lambda: crowd.turns.waiting > 0 or len(crowd.seats()) == 6)
        assert len(crowd.seats()) <= done
    assert (await other.answer()).status == 201
    assert [(await client.answer()).status for _ in seats] == [201] * 5
    assert crowd.seats().index("B1") <= 2


async def test_half_closed_connection_in_line_is_answered(crowd: Crowd) -> None:
    client = await crowd.comes(wish("A1"))
    client.writer.write_eof()
    connection = crowd.connection()
    await until(lambda: connection._ended_in_line)
    crowd.loop.step()
    assert (await client.answer()).status == 201
    assert await client.ends()


async def test_half_closed_connection_that_is_late_is_refused_and_closed(crowd: Crowd) -> None:
    client = await crowd.comes(wish("A1"))
    client.writer.write_eof()
    connection = crowd.connection()
    await until(lambda: connection._ended_in_line)
    crowd.loop.now_s += 2 * LATE_S
    crowd.loop.step()
    assert (await client.answer()).code == "OVERLOADED"
    assert await client.ends()


async def test_no_timeout_of_the_connection_ends_it_while_it_stands_in_line(crowd: Crowd) -> None:
    whole = wish("A1")
    client = await crowd.client()
    crowd.turns.left = 1
    client.send(whole[:30])
    await until(lambda: bool(crowd.server.edge._server.connections))
    connection = crowd.connection()
    await until(lambda: connection._head_timer is not None)
    await crowd.comes(whole[30:], client)
    connection._head_is_late()
    connection._next_keepalive_close_time = 0.0
    connection._process_keepalive()
    crowd.loop.step()
    assert (await client.answer()).status == 201


async def test_client_that_has_left_the_line_takes_nobodys_turn(crowd: Crowd) -> None:
    leaving = [await crowd.comes(wish(f"A{number}")) for number in (1, 2, 3)]
    for client in leaving:
        # With a reset; who just closes could still be waiting for the answer.
        opened = client.writer.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.writer.transport.abort()
    await until(lambda: not crowd.server.edge._server.connections)
    staying = [await crowd.comes(wish("B1")), await crowd.comes(wish("B2"))]
    crowd.loop.step()
    assert [(await client.answer()).status for client in staying] == [201, 201]
    assert crowd.seats() == ["B1", "B2"]


async def test_no_more_than_a_share_is_read_of_a_connection_in_line(crowd: Crowd) -> None:
    client = await crowd.comes(request("POST", "/echo", b"x" * 3_000_000))
    connection = crowd.connection()
    await until(lambda: connection._buffer_paused)
    crowd.loop.step()
    assert (await client.answer()).code == "PAYLOAD_TOO_LARGE"
    assert not connection._buffer_paused


async def test_stopping_server_answers_those_in_line_first(crowd: Crowd) -> None:
    client = await crowd.comes(wish("A1"))
    stopping = asyncio.ensure_future(crowd.server.edge.stop(1.0))
    await until(lambda: crowd.server.edge.writer.draining)
    crowd.loop.step()
    answer = await client.answer()
    assert (answer.status, answer.headers["connection"]) == (201, "close")
    await stopping


async def test_connection_whose_share_was_full_is_read_on_after_a_refusal(crowd: Crowd) -> None:
    whole = request("POST", "/echo", b"x" * 70_000)
    client = await crowd.comes(whole[:1000])
    connection = crowd.connection()
    client.send(whole[1000:])
    await until(lambda: connection._buffer_paused)
    crowd.loop.now_s += 2 * LATE_S
    crowd.loop.step()
    assert (await client.answer()).code == "OVERLOADED"
    await crowd.comes(wish("A2"), client)
    crowd.loop.step()
    assert (await client.answer()).status == 201
