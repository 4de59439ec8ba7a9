"""WebSocket frames and the contract's messages in them, as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from typing import Any, Final

import msgspec

from cinema.domain.rejections import Rejection
from cinema.domain.reservations import Hold
from cinema.domain.seatmap import STATUS_NAMES, SeatPlan
from cinema.http.errors import ERROR_TABLE

Ref = int | str

_TEXT: Final = 0x81  # FIN and the opcode of text (RFC 6455, 5.2); servers do not mask.
_SHORT: Final = 126
_MEDIUM: Final = 1 << 16
_HEAD_MEDIUM: Final = Struct("!BBH").pack
_HEAD_LONG: Final = Struct("!BBQ").pack

_MASKED: Final = 0x80
_LENGTH: Final = 0x7F
_HEAD_SHORT_BYTES: Final = 6
"""Opcode, length and mask of a client's frame with less than 126 bytes."""

_MASKED_SHORT: Final = _MASKED - _HEAD_SHORT_BYTES

_NO_FRAME: Final = b"\x70\x00"
"""Reserved bits are set: a reader answers with a protocol error."""

_encode: Final = msgspec.json.Encoder().encode

RESYNC: Final = b'{"type":"resync"}'


def text_frame(payload: bytes) -> bytes:
    """One whole text message as the server sends it."""
    length = len(payload)
    if length < _SHORT:
        return bytes((_TEXT, length)) + payload
    if length < _MEDIUM:
        return _HEAD_MEDIUM(_TEXT, 126, length) + payload
    return _HEAD_LONG(_TEXT, 127, length) + payload


class MaskedFrames:
    """Lets the frames of a client pass as long as each is masked (RFC 6455, 5.1).

    The library's reader serves clients too and does not ask for masks.
    """

    __slots__ = ("_head", "_rest_bytes")

    def __init__(self) -> None:
        self._head = b""
        self._rest_bytes = 0

    def take(self, data: bytes) -> bytes:
        """What a reader is to get of `data`: an error in place of the first frame without a mask.

        A frame's head is kept back until all of it but the mask is there.
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


def snapshot_message(epoch: int, seq: int, layout_version: int, taken: Mapping[str, str]) -> bytes:
    """Where a watcher starts: every seat that is not available."""
    return _encode(
        {
            "type": "snapshot",
            "epoch": epoch,
            "seq": seq,
            "layout_version": layout_version,
            "taken": taken,
        }
    )


def taken_seats(plan: SeatPlan, seats: bytes | bytearray) -> dict[str, str]:
    """Label to status of every seat that is not available."""
    labels = plan.labels
    return {labels[seat]: STATUS_NAMES[status] for seat, status in enumerate(seats) if status}


def delta_message(epoch: int, prev_seq: int, seq: int, changes: Mapping[str, str]) -> bytes:
    """What changed between two seqs."""
    return _encode(
        {"type": "delta", "epoch": epoch, "prev_seq": prev_seq, "seq": seq, "changes": changes}
    )


def result_message(ref: Ref | None, hold: Hold) -> bytes:
    """The success of a command."""
    return b'{"type":"result","ref":%b,"data":%b}' % (_encode(ref), _encode(hold))


def welcome_message(ref: Ref | None, user_id: str) -> bytes:
    """The socket knows who is there."""
    return _encode({"type": "result", "ref": ref, "data": {"user_id": user_id}})


def error_message(ref: Ref | None, rejection: Rejection) -> bytes:
    """The refusal of a command, or of something that was none."""
    kind = ERROR_TABLE[rejection.code]
    error: dict[str, Any] = {
        "code": rejection.code,
        "message": rejection.message or kind.message,
        "details": rejection.details or {},
    }
    if kind.retry_after_s is not None:
        known = rejection.details or {}
        error["retry_after_s"] = known.get("retry_after_s", kind.retry_after_s)
    return _encode({"type": "error", "ref": ref, "error": error})
