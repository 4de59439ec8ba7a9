"""Whatever comes over a socket: a clear answer or a close that says why, and nobody else hurt."""

from __future__ import annotations

import asyncio
import random
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from cinema.features.watching import feed as seat_feed
from tests.e2e.api.house import PATIENCE_S, House, open_house
from tests.e2e.api.sockets import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    Mirror,
    Socket,
    encode,
    frame,
    watching,
)
from tests.support import inspection
from tests.support.waiting import look_again

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUIET = "?deltas=false"
LIMIT_BYTES = 16_384
HOLD = {"type": "hold", "seats": ["A1"]}


async def is_served(house: House, showtime_id: str) -> bool:
    """Whether others can still see, hold and release."""
    hold_id = await house.held("bob", showtime_id, "B4")
    path = f"showtimes/{showtime_id}/holds/{hold_id}"
    return (await house.ask("bob", "DELETE", path)).status == 200


# --- messages that are none

GARBAGE = {
    b"": "MALFORMED_JSON",
    b"\x00": "MALFORMED_JSON",
    b"{": "MALFORMED_JSON",
    b"hello": "MALFORMED_JSON",
    b"\xff\xfe\xfd": "MALFORMED_JSON",
    b'{"type":"hold","seats":["\xff"]}': "MALFORMED_JSON",
    b'{"type":"\xff"}': "MALFORMED_JSON",
    b'{"type":"hold","ref":"\\ud800","seats":["A1"]}': "MALFORMED_JSON",
    b'{"x":' + b"[" * 8000: "MALFORMED_JSON",
    # How deep JSON may nest is Python's own limit, which 3.13 has raised.
    b'{"x":' + b"[" * 8000 + b"]" * 8000 + b"}": (
        "MALFORMED_JSON" if sys.version_info < (3, 13) else "VALIDATION_ERROR"
    ),
    b'{"type":"hold","seats":["A1"]}x': "MALFORMED_JSON",
    b"null": "VALIDATION_ERROR",
    b"[]": "VALIDATION_ERROR",
    b"7": "VALIDATION_ERROR",
    b'{"type":7}': "VALIDATION_ERROR",
    b'{"type":"hold","seats":["A1"],"ref":1e400}': "MALFORMED_JSON",
    b'{"type":"hold","seats":["A1"],"ref":1.5}': "VALIDATION_ERROR",
    b'{"type":"hold","seats":["A1"],"ref":[1]}': "VALIDATION_ERROR",
    b'{"type":"hold","seats":["A1"],"ref":99999999999999999999999}': "VALIDATION_ERROR",
    b'{"type":"auth","token":"' + b"x" * 5000 + b'"}': "VALIDATION_ERROR",
}


async def test_garbage_messages_are_answered_one_by_one(house: House) -> None:
    showtime_id = await house.showtime()
    async with watching(house, showtime_id, QUIET, person="ada") as socket:
        for payload, code in GARBAGE.items():
            socket.send_raw(frame(payload))
            answer = await socket.message()
            assert answer["type"] == "error", payload[:60]
            assert answer["error"]["code"] == code, payload[:60]
        assert "data" in await socket.ask(**HOLD)


async def test_seats_with_strange_characters_are_unknown(house: House) -> None:
    showtime_id = await house.showtime()
    async with watching(house, showtime_id, QUIET, person="ada") as socket:
        for label in ("\x00\x00", "😀😀", "A１", "' or 1"):
            answer = await socket.ask(type="hold", seats=[label])
            assert answer["error"]["code"] == "UNKNOWN_SEAT"
            assert answer["error"]["details"] == {"seats": [label]}


async def test_too_many_malformed_messages_end_the_conversation(house: House) -> None:
    showtime_id = await house.showtime()
    for raw in (frame(b"{"), frame(b"\xff", BINARY), frame(encode({"type": "x"})), frame(b"")):
        async with watching(house, showtime_id, QUIET, person="ada") as socket:
            socket.send_raw(raw * 500)
            assert await socket.ending() == (1008, "too many malformed messages")
    assert await is_served(house, showtime_id)


async def test_commands_without_a_token_are_not_answered_for_ever(house: House) -> None:
    showtime_id = await house.showtime()
    async with watching(house, showtime_id, QUIET) as socket:
        socket.send(*[HOLD] * 500)
        assert await socket.ending() == (1008, "too many malformed messages")


async def test_guessing_tokens_ends_the_conversation(house: House) -> None:
    showtime_id = await house.showtime()
    async with watching(house, showtime_id, QUIET) as socket:
        socket.send(*({"type": "auth", "token": f"guess {n}"} for n in range(500)))
        assert await socket.ending() == (1008, "too many malformed messages")


@pytest.mark.parametrize("how", ["resets", "closes"])
async def test_client_that_leaves_before_it_is_let_in_is_no_error(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    showtime_id = await house.showtime()
    asked, left = asyncio.Event(), asyncio.Event()
    seats = type(house.node.hub.seats)
    exists = seats.exists

    async def slow(self: Any, showtime_id: bytes) -> bool:
        asked.set()
        await left.wait()
        return await exists(self, showtime_id)

    monkeypatch.setattr(seats, "exists", slow)
    _, writer = await asyncio.open_connection("127.0.0.1", house.port)
    head = "Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    path = f"/api/v1/showtimes/{showtime_id}/watch"
    writer.write(f"GET {path} HTTP/1.1\r\n{head}{key}\r\n".encode())
    await asked.wait()
    ours = writer.get_extra_info("sockname")
    (theirs,) = (one for one in inspection.connections_of(house.node.edge) if peer_of(one) == ours)
    before = counted(await metrics(house))
    capsys.readouterr()
    if how == "resets":
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    writer.transport.abort()
    await house.until(lambda: theirs.transport is None or inspection.is_half_closed(theirs))
    left.set()
    await house.until(lambda: theirs not in inspection.connections_of(house.node.edge))
    async with asyncio.timeout(PATIENCE_S):
        after = before
        while after == before:
            await look_again()
            after = counted(await metrics(house))
    assert set(after) - set(before) <= {"499", "101"}
    assert house.node.hub.socket_count == 0
    assert capsys.readouterr().out == ""


def counted(told: str) -> dict[str, float]:
    """How often the route of sockets gave each status."""
    route = 'cinema_http_requests_total{method="GET",route="/api/v1/showtimes/{showtime_id}/watch",'
    lines = (line for line in told.splitlines() if line.startswith(route))
    return {line.split('"')[-2]: float(line.split()[-1]) for line in lines}


def peer_of(connection: Any) -> object:
    """The client's address of a connection that stands."""
    transport = connection.transport
    return None if transport is None else transport.get_extra_info("peername")


async def metrics(house: House) -> str:
    """What the node exports."""
    async with house.client.get(f"http://127.0.0.1:{house.port}/metrics") as reply:
        return await reply.text()


# --- frames that are none

BROKEN = {
    "unmasked": (frame(encode(HOLD), masked=False), 1002),
    "reserved bits": (b"\xf1\x80" + bytes(4), 1002),
    "reserved opcode": (frame(b"", 3), 1002),
    "reserved control opcode": (frame(b"", 11), 1002),
    "long ping": (frame(b"x" * 126, PING), 1002),
    "fragmented ping": (frame(b"", PING, fin=False), 1002),
    "continuation of nothing": (frame(b"x", CONTINUATION), 1002),
    "text within a message": (frame(b"x", fin=False) + frame(b"x"), 1002),
    "close of one byte": (frame(b"x", CLOSE), 1002),
    "close with a bad code": (frame(b"\x00\x01", CLOSE), 1002),
    "plain http": (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1002),
    "too long": (frame(b"x" * (LIMIT_BYTES + 1)), 1009),
    "declared too long": (b"\x81\xff" + (2**40).to_bytes(8, "big") + bytes(4), 1009),
    "declared far too long": (b"\x81\xff" + b"\x7f" * 8 + bytes(4), 1009),
    "too long in pieces": (
        frame(b"x" * 4096, fin=False) + frame(b"x" * 4096, CONTINUATION, fin=False) * 8,
        1009,
    ),
}


async def test_broken_frames_close_the_socket_with_a_reason(house: House) -> None:
    showtime_id = await house.showtime()
    async with watching(house, showtime_id, QUIET) as other:
        for name, (raw, expected) in BROKEN.items():
            async with watching(house, showtime_id, QUIET, person="ada") as socket:
                socket.send_raw(raw)
                ending = await socket.ending()
                assert ending is not None, name
                code, reason = ending
                assert (code, bool(reason)) == (expected, True), name
            other.send_raw(frame(b"still here?", PING))
            assert await other.frame() == (PONG, b"still here?")
    assert await house.statuses(showtime_id) == {}
    await house.until(lambda: house.node.hub.socket_count == 0)


async def test_first_frame_sent_with_the_handshake_must_be_masked_too(house: House) -> None:
    showtime_id = await house.showtime()
    raw = frame(encode(HOLD), masked=False)
    async with watching(house, showtime_id, QUIET, person="ada", after_head=raw) as socket:
        ending = await socket.ending()
        assert ending is not None
        assert ending[0] == 1002
    assert await house.statuses(showtime_id) == {}


UNMASKED = {
    "text": frame(encode(HOLD), masked=False),
    "empty text": frame(b"", masked=False),
    "long text": frame(b" " * 300, masked=False),
    "very long text": frame(b" " * 70_000, masked=False),
    "ping": frame(b"x", PING, masked=False),
    "close": frame((1000).to_bytes(2, "big"), CLOSE, masked=False),
}


async def test_unmasked_frames_are_refused_at_any_time(house: House) -> None:
    showtime_id = await house.showtime()
    good = frame(encode({**HOLD, "seats": ["Z9"], "ref": 1}))
    before = {
        "nothing": b"",
        "a message": good,
        "many messages": good * 20,
        "a long message": frame(b" " * 300 + encode({"type": "sync"})),
        "part of a message": frame(b"{", fin=False),
        "a ping": frame(b"", PING),
    }
    for earlier, first in before.items():
        for name, raw in UNMASKED.items():
            for together in (True, False):
                async with watching(house, showtime_id, QUIET, person="ada") as socket:
                    socket.send_raw(first)
                    if not together:
                        await socket.writer.drain()
                        await asyncio.sleep(0)
                    socket.send_raw(raw + frame(encode(HOLD)))
                    ending = await socket.ending()
                    assert ending == (1002, "not a well-formed WebSocket frame"), (earlier, name)
    assert await house.statuses(showtime_id) == {}


async def test_unmasked_frame_is_refused_byte_by_byte(house: House) -> None:
    showtime_id = await house.showtime()
    async with watching(house, showtime_id, QUIET, person="ada") as socket:
        raw = frame(encode({"type": "hold", "seats": ["Z9"], "ref": 1})) + UNMASKED["text"]
        for at in range(len(raw)):
            socket.send_raw(raw[at : at + 1])
            await socket.writer.drain()
        ending = await socket.ending()
        assert ending is not None
        assert ending[0] == 1002


@pytest.mark.parametrize("mask", [b"\x00\x00\x00\x00", b"\x01\x02\x03\x04", b"\x7f\xff\x80\x00"])
async def test_first_frame_may_come_in_any_two_parts(house: House, mask: bytes) -> None:
    """A mask below 0x80 is no second byte of a frame."""
    showtime_id = await house.showtime()
    long = b" " * 200 + encode({"type": "hold", "seats": ["Z9"], "ref": 1})
    for payload in (encode({"type": "hold", "seats": ["Z9"], "ref": 1}), long):
        raw = frame(payload, mask=mask)
        for cut in (1, 2, 3, 4, 5, 6, 7, 9, len(raw) - 1):
            async with watching(house, showtime_id, QUIET, person="ada") as socket:
                socket.send_raw(raw[:cut])
                await socket.writer.drain()
                (mine,) = (
                    one
                    for one in inspection.connections_of(house.node.edge)
                    if peer_of(one) == socket.writer.get_extra_info("sockname")
                )
                await house.until(lambda: inspection.within_a_frame(mine))  # noqa: B023
                socket.send_raw(raw[cut:])
                assert (await socket.message())["ref"] == 1, cut


async def test_message_sent_with_the_handshake_is_taken(house: House) -> None:
    showtime_id = await house.showtime()
    async with watching(
        house, showtime_id, QUIET, person="ada", after_head=frame(encode({**HOLD, "ref": 1}))
    ) as socket:
        assert (await socket.message())["ref"] == 1


async def test_message_may_come_in_pieces(house: House) -> None:
    showtime_id = await house.showtime()
    payload = encode({**HOLD, "ref": 1})
    pieces = [payload[at : at + 3] for at in range(0, len(payload), 3)]
    async with watching(house, showtime_id, QUIET, person="ada") as socket:
        socket.send_raw(frame(pieces[0], fin=False))
        for piece in pieces[1:-1]:
            socket.send_raw(frame(piece, CONTINUATION, fin=False) + frame(b"", PING))
        raw = frame(pieces[-1], CONTINUATION)
        for at in range(len(raw)):
            socket.send_raw(raw[at : at + 1])
            await socket.writer.drain()
        assert (await socket.message())["ref"] == 1


async def test_client_may_leave_at_any_point(house: House) -> None:
    showtime_id = await house.showtime()
    whole = frame(encode(HOLD))
    for part in (b"", whole[:1], whole[:5], whole[:-1], frame(b"x", fin=False)):
        async with watching(house, showtime_id, person="ada") as socket:
            socket.send_raw(part)
            await socket.writer.drain()
    async with watching(house, showtime_id, person="ada") as socket:
        await socket.message()
        socket.send_raw(frame((1000).to_bytes(2, "big"), CLOSE))
        assert await socket.ending() == (1000, "")
    await house.until(lambda: house.node.hub.socket_count == 0)
    assert await house.statuses(showtime_id) == {}


async def test_random_bytes_never_hurt_the_server(house: House) -> None:
    showtime_id = await house.showtime()
    chance = random.Random(7)
    for _ in range(30):
        async with watching(house, showtime_id, QUIET, person="ada") as socket:
            for _ in range(chance.randrange(1, 6)):
                raw = chance.randbytes(chance.randrange(1, 400))
                # Half of it is well-formed frames of nonsense, to get behind the framing.
                socket.send_raw(raw if chance.random() < 0.5 else frame(raw))
    assert await is_served(house, showtime_id)
    assert await house.statuses(showtime_id) == {}


# --- floods


async def pour(socket: Socket, raw: bytes) -> None:
    """Send as much as the server takes, until it hangs up."""
    try:
        while True:
            socket.send_raw(raw)
            await socket.writer.drain()
            await asyncio.sleep(0)
    except ConnectionError:
        return


@asynccontextmanager
async def flooding(socket: Socket, raw: bytes) -> AsyncIterator[None]:
    """Send as much as the server takes, and throw away what it answers."""

    async def drink() -> None:
        try:
            while await socket.reader.read(65_536):
                pass
        except ConnectionError:
            return

    tasks = [asyncio.create_task(pour(socket, raw)), asyncio.create_task(drink())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


FLOODS = {
    "refused holds": frame(encode({"type": "hold", "seats": ["Z9"]})) * 200,
    "replayed holds": frame(encode({**HOLD, "key": "k"})) * 200,
    "snapshots": frame(encode({"type": "sync"})) * 200,
    "pings": frame(b"x" * 100, PING) * 200,
    "pongs": frame(b"", PONG) * 1000,
    "empty pieces": frame(b"{", fin=False) + frame(b"", CONTINUATION, fin=False) * 1000,
}


async def test_flood_hurts_nobody_else(house: House) -> None:
    for name, raw in FLOODS.items():
        showtime_id = await house.showtime(live_holds_per_customer=24)
        async with (
            watching(house, showtime_id) as watcher,
            watching(house, showtime_id, person="ada") as socket,
            flooding(socket, raw),
        ):
            mirror = Mirror()
            mirror.take(await watcher.message())
            async with asyncio.timeout(PATIENCE_S):
                for number in range(1, 9):
                    hold = (await house.hold("bob", showtime_id, f"B{number}")).data
                    await mirror.follow(watcher, hold["seq"])
            assert mirror.snapshots == 1, name


# --- clients that do not read


@pytest_asyncio.fixture(loop_scope="module")
async def narrow(database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """A house whose sockets hold little in the system's buffers, and whose patience is short."""
    monkeypatch.setattr(seat_feed, "SLOW_SECONDS", 0.2)
    monkeypatch.setattr(seat_feed, "SLOW_CHECK_S", 0.02)
    async with open_house(database, watch_coalesce_ms=0) as house:
        house.narrow()
        yield house


async def churn(house: House, showtime_id: str, rows: str, columns: int) -> Any:
    """Hold and release whole rows, so that every frame is a long one; the last hold."""
    for row in rows:
        labels = [f"{row}{number}" for number in range(1, columns + 1)]
        hold = (await house.hold("bob", showtime_id, *labels)).data
        path = f"showtimes/{showtime_id}/holds/{hold['hold_id']}"
        last = (await house.ask("bob", "DELETE", path)).data
    return last


async def test_watcher_that_never_reads_is_cut_off_and_delays_nobody(narrow: House) -> None:
    screen_id = await narrow.screen(grid={"rows": 20, "columns": 40})
    showtime_id = await narrow.showtime(screen_id=screen_id, seats_per_hold=100)
    hub = narrow.node.hub
    most_unsent = 0
    async with (
        watching(narrow, showtime_id, receive_buffer_bytes=2048) as _deaf,
        watching(narrow, showtime_id) as watcher,
    ):
        mirror = Mirror()
        mirror.take(await watcher.message())
        async with asyncio.timeout(PATIENCE_S):
            while hub.socket_count == 2:
                last = await churn(narrow, showtime_id, "ABCDEFGHIJ", 40)
                await mirror.follow(watcher, last["seq"])
                most_unsent = max(most_unsent, *(one.unsent_bytes for one in hub.sockets()))
        assert mirror.snapshots == 1
        assert 0 < most_unsent <= 2 * 65_536


async def test_watcher_that_was_slow_is_brought_up_to_date(
    narrow: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seat_feed, "SLOW_SECONDS", PATIENCE_S)
    screen_id = await narrow.screen(grid={"rows": 20, "columns": 40})
    showtime_id = await narrow.showtime(screen_id=screen_id, seats_per_hold=100)
    hub = narrow.node.hub
    async with watching(narrow, showtime_id, receive_buffer_bytes=2048) as slow:
        while max(one.unsent_bytes for one in hub.sockets()) <= 65_536:
            await churn(narrow, showtime_id, "ABCDEFGHIJ", 40)
        last = (await narrow.hold("ada", showtime_id, "T1")).data
        mirror = Mirror()
        await mirror.follow(slow, last["seq"])
        assert mirror.snapshots == 2
        assert mirror.taken == {"T1": "held"}
        more = (await narrow.hold("ada", showtime_id, "T3")).data
        await mirror.follow(slow, more["seq"])
        assert mirror.snapshots == 2


async def test_client_that_sends_and_never_reads_is_cut_off(database: str) -> None:
    async with open_house(database, ws_pending_limit_bytes=65_536) as house:
        house.narrow()
        showtime_id = await house.showtime()
        async with watching(
            house, showtime_id, QUIET, person="ada", receive_buffer_bytes=2048
        ) as socket:
            pouring = asyncio.ensure_future(pour(socket, FLOODS["refused holds"]))
            await house.until(lambda: house.node.hub.socket_count == 0)
            await pouring
        assert await is_served(house, showtime_id)


async def test_stopping_does_not_wait_for_clients_that_do_not_read(
    narrow: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seat_feed, "SLOW_SECONDS", PATIENCE_S)
    screen_id = await narrow.screen(grid={"rows": 20, "columns": 40})
    showtime_id = await narrow.showtime(screen_id=screen_id, seats_per_hold=100)
    async with watching(narrow, showtime_id, receive_buffer_bytes=2048):
        while max(one.unsent_bytes for one in narrow.node.hub.sockets()) <= 65_536:
            await churn(narrow, showtime_id, "ABCDEFGHIJ", 40)
        async with asyncio.timeout(1.0):
            await narrow.node.hub.close()


async def test_silent_peer_is_noticed(database: str) -> None:
    """A client that answers no ping is gone, whatever its system's buffers say."""
    async with open_house(database, ws_heartbeat_seconds=1) as house:
        showtime_id = await house.showtime()
        async with watching(house, showtime_id):
            async with asyncio.timeout(PATIENCE_S):
                await house.until(lambda: house.node.hub.socket_count == 0)
