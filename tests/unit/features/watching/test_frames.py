"""Frames of clients: let through as long as they are masked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinema.http.connections.masked_frames import MaskedFrames

ERROR = b"\x70\x00"


def frame(length: int, *, masked: bool = True, fill: int = 0) -> bytes:
    """A text frame with a payload, and a mask, of one byte over and over."""
    flag = 0x80 if masked else 0
    if length < 126:
        head = bytes([0x81, flag | length])
    elif length < 65_536:
        head = bytes([0x81, flag | 126]) + length.to_bytes(2)
    else:
        head = bytes([0x81, flag | 127]) + length.to_bytes(8)
    return head + bytes([fill]) * (4 * masked + length)


def taken(raw: bytes, cuts: list[int]) -> bytes:
    """What is let through of bytes that come in parts."""
    frames = MaskedFrames()
    ends = [*sorted(cuts), len(raw)]
    return b"".join(frames.take(raw[a:b]) for a, b in zip([0, *ends], ends, strict=False))


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1, 100, 119, 120, 125, 126, 300, 65_536]), st.integers(0, 255)
        ),
        max_size=5,
    ),
    st.lists(st.integers(0, 400), max_size=8),
)
def test_masked_frames_pass_unchanged_however_they_are_cut(
    shapes: list[tuple[int, int]], cuts: list[int]
) -> None:
    raw = b"".join(frame(length, fill=fill) for length, fill in shapes)
    assert taken(raw, [min(cut, len(raw)) for cut in cuts]) == raw


@given(
    st.lists(st.tuples(st.sampled_from([0, 1, 125, 126, 300]), st.integers(0, 255)), max_size=3),
    st.sampled_from([0, 1, 125, 126, 65_536]),
    st.lists(st.integers(0, 400), max_size=8),
)
def test_first_frame_without_a_mask_becomes_an_error(
    shapes: list[tuple[int, int]], length: int, cuts: list[int]
) -> None:
    good = b"".join(frame(size, fill=fill) for size, fill in shapes)
    raw = good + frame(length, masked=False)
    seen = taken(raw, [min(cut, len(raw)) for cut in cuts])
    assert seen.startswith(good + ERROR)


@pytest.mark.parametrize("length", [0, 5, 126, 65_536])
def test_frames_pass_byte_by_byte(length: int) -> None:
    raw = frame(length, fill=1) + frame(3)
    assert taken(raw, list(range(1, len(raw)))) == raw


def test_head_of_a_frame_is_kept_back_until_its_length_is_known() -> None:
    frames = MaskedFrames()
    assert frames.take(b"\x81") == b""
    assert frames.take(b"\xfe\x01") == b""
    assert frames.take(b"\x00") == b"\x81\xfe\x01\x00"
