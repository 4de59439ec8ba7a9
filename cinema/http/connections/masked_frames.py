"""Frames of WebSocket clients on their way to a reader that does not ask for masks."""

from __future__ import annotations

from typing import Final

_SHORT: Final = 126
_MASKED: Final = 0x80
_LENGTH: Final = 0x7F
_HEAD_SHORT_BYTES: Final = 6
"""Opcode, length and mask of a client's frame with less than 126 bytes."""

_MASKED_SHORT: Final = _MASKED - _HEAD_SHORT_BYTES

_NO_FRAME: Final = b"\x70\x00"
"""Reserved bits are set: a reader answers with a protocol error."""


class MaskedFrames:
    """Lets the frames of a client pass as long as each is masked (RFC 6455, 5.1).

    The library's reader serves clients too and does not ask for masks.
    """

    __slots__ = ("_head", "_rest_bytes")

    def __init__(self) -> None:
        self._head = b""
        self._rest_bytes = 0

    def take(self, data: bytes) -> bytes:
        """What a reader gets of `data`: an error in place of the first frame without a mask.

        A frame's head is kept back until all of it except the mask is there.
        """
        # Mostly it is one whole short frame: what follows its head is as long as its length says.
        come = len(data)
        if (
            _HEAD_SHORT_BYTES <= come < _SHORT
            and data[1] == come + _MASKED_SHORT
            and not self._rest_bytes
            and not self._head
        ):
            return data
        return self._walk(data)

    def _walk(self, data: bytes) -> bytes:
        data = self._head + data
        come = len(data)
        at = self._rest_bytes
        while at + 1 < come:
            second = data[at + 1]
            if second < _MASKED:
                # The reader reads nothing behind an error.
                return data[:at] + _NO_FRAME
            if second < _MASKED + _SHORT:
                at += second - _MASKED_SHORT
                continue
            size = _size_of_long_frame(data, at)
            if size is None:
                break
            at += size
        self._rest_bytes = max(0, at - come)
        self._head = data[at:]
        return data[:at]


def _size_of_long_frame(data: bytes, at: int) -> int | None:
    """How long the frame is that begins at `at`; None if its length has not come whole."""
    start = at + 2
    width = 2 if data[at + 1] & _LENGTH == _SHORT else 8
    if start + width > len(data):
        return None
    return _HEAD_SHORT_BYTES + width + int.from_bytes(data[start : start + width])
