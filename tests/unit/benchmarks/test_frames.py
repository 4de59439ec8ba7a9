"""The load generators' WebSocket frames."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.load.frames import (
    CLOSE,
    PING,
    TEXT,
    FrameReader,
    UnreadableFrameError,
    client_frame,
    close_code,
)

SIZES = (0, 1, 125, 126, 127, 255, 256, 65_535, 65_536, 65_537)

payloads = st.builds(
    lambda size, byte: bytes([byte]) * size, st.sampled_from(SIZES), st.integers(0, 255)
)


def server_frame(payload: bytes, first: int = 0x80 | TEXT) -> bytes:
    """A frame as RFC 6455 has servers send it, written without the code under test."""
    if len(payload) < 126:
        return bytes([first, len(payload)]) + payload
    if len(payload) < 65_536:
        return bytes([first, 126]) + len(payload).to_bytes(2, "big") + payload
    return bytes([first, 127]) + len(payload).to_bytes(8, "big") + payload


@given(st.lists(payloads, max_size=4), st.data())
def test_messages_are_the_same_however_the_stream_is_cut(
    messages: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(server_frame(message) for message in messages)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    places = [0, *sorted(cuts), len(stream)]
    reader = FrameReader()
    found = [
        message
        for start, end in itertools.pairwise(places)
        for message in reader.feed(stream[start:end])
    ]
    assert found == [(TEXT, message) for message in messages]


def test_fragments_are_joined_and_a_ping_between_them_is_kept_apart() -> None:
    stream = server_frame(b"one ", TEXT) + server_frame(b"?", 0x80 | PING)
    stream += server_frame(b"two ", 0x00) + server_frame(b"three", 0x80)
    assert FrameReader().feed(stream) == [(PING, b"?"), (TEXT, b"one two three")]


@pytest.mark.parametrize(
    "stream",
    [
        bytes([0x80 | TEXT, 0x80 | 1]) + b"\0\0\0\0a",
        server_frame(b"a", 0xC0 | TEXT),
        server_frame(b"a", 0x80),
        server_frame(b"a", TEXT) + server_frame(b"b", 0x80 | TEXT),
    ],
    ids=["masked", "reserved bit", "continuation of nothing", "a second start"],
)
def test_what_it_cannot_read_is_an_error(stream: bytes) -> None:
    with pytest.raises(UnreadableFrameError):
        FrameReader().feed(stream)


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (125, bytes([0x81, 0x80 | 125])),
        (126, bytes([0x81, 0x80 | 126, 0, 126])),
        (65_536, bytes([0x81, 0x80 | 127, 0, 0, 0, 0, 0, 1, 0, 0])),
    ],
)
def test_a_client_frame_is_masked_with_zeros(size: int, head: bytes) -> None:
    payload = b"x" * size
    assert client_frame(payload) == head + b"\0\0\0\0" + payload


def test_a_close_has_a_code_or_none() -> None:
    ((opcode, payload),) = FrameReader().feed(server_frame((1008).to_bytes(2) + b"why", 0x88))
    assert (opcode, close_code(payload)) == (CLOSE, 1008)
    assert close_code(b"") == 1005
