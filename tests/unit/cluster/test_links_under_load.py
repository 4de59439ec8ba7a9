"""What goes over one connection when it is too much, or too new."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import structlog

from cinema.cluster import link as links
from cinema.cluster.link import ClusterSecrets, Identity, Link
from cinema.cluster.wire import Ask, Frame, Notice, decode_frames, encode_frames
from tests.support import inspection
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.unit.cluster.small_cluster import Cable, Network

ME, PEER = b"m" * 16, b"p" * 16


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """The log events of the test, instead of lines and tracebacks on the terminal."""
    with structlog.testing.capture_logs() as events:
        yield events


class Listener:
    """Keeps what comes."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.batches = 0
        self.lost = 0

    def opened(self, _link: Link) -> None:
        """Nothing to do."""

    def received(self, _link: Link, frames: list[Frame]) -> None:
        self.frames += frames
        self.batches += 1

    def closed(self, _link: Link) -> None:
        self.lost += 1


async def connected() -> tuple[Link, Listener]:
    """A link that dialled, and who listens at the other end."""
    here, there = Listener(), Listener()
    dials = Link(Identity(ME, ClusterSecrets([b"secret"]), lambda: b"c" * 16), here, PEER)
    listens = Link(Identity(PEER, ClusterSecrets([b"secret"]), lambda: b"d" * 16), there)
    cable = Cable(dials, listens, Network())
    for end in (cable.dialled, cable.accepted):
        end.protocol.connection_made(end)
    await settle()
    assert dials.is_open
    assert listens.is_open
    return dials, there


@in_virtual_time
async def test_more_than_one_batch_may_hold_is_sent_in_several(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(links, "BATCH_BYTES_MAX", 1000)
    link, there = await connected()
    asks = [Ask(ref, "topic", bytes(ref)) for ref in range(100)]
    for ask in asks:
        link.send(ask)
    await settle()
    assert there.frames == asks
    assert there.batches > 1
    assert not there.lost


@in_virtual_time
async def test_frame_that_is_too_large_for_any_batch_takes_nothing_else_along(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(links, "BATCH_BYTES_MAX", 1000)
    link, there = await connected()
    for frame in (Notice(1), Ask(1, "topic", bytes(2000)), Notice(2)):
        link.send(frame)
    await settle()
    assert there.frames == [Notice(1), Notice(2)]
    assert not there.lost


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux only")
async def test_system_ends_a_link_whose_other_machine_is_gone() -> None:
    loop = asyncio.get_running_loop()
    identity = Identity(PEER, ClusterSecrets([b"secret"]), lambda: b"d" * 16)
    server = await loop.create_server(lambda: Link(identity, Listener()), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport, _ = await loop.create_connection(
        lambda: Link(identity, Listener(), PEER), "127.0.0.1", port
    )
    sock = transport.get_extra_info("socket")
    try:
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 5000
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    finally:
        transport.abort()
        server.close()
        await server.wait_closed()


def test_frames_of_a_newer_version_are_left_out() -> None:
    known = [Notice(1), Ask(1, "topic", b""), Notice(2)]
    raw: list[Any] = msgspec.msgpack.decode(encode_frames(known))
    newer = [raw[0], [99, "a frame of tomorrow"], raw[1], [1, 7, 1, 500, b"s", [77]], raw[2]]
    assert decode_frames(msgspec.msgpack.encode(newer)) == known


@in_virtual_time
async def test_link_goes_on_after_frames_of_a_newer_version() -> None:
    link, there = await connected()
    inspection.write_frame(link, msgspec.msgpack.encode([[99, "a frame of tomorrow"], [7, 1]]))
    link.send(Notice(2))
    await settle()
    assert there.frames == [Notice(1), Notice(2)]
    assert not there.lost


def test_fields_of_a_newer_version_are_left_out() -> None:
    raw: list[Any] = msgspec.msgpack.decode(encode_frames([Notice(1)]))
    assert decode_frames(msgspec.msgpack.encode([[*raw[0], "more"]])) == [Notice(1)]


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x93\x01", msgspec.msgpack.encode({"a": 1})])
def test_what_is_no_list_of_frames_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_frames(body)
