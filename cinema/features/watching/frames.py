"""WebSocket frames and the contract's messages in them, as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from typing import Any, Final

import msgspec

from cinema.domain.rejections import Rejection
from cinema.domain.seatmap import STATUS_NAMES, SeatPlan
from cinema.features.seats.shapes import Hold
from cinema.http.errors import ErrorTable

Ref = int | str

_TEXT: Final = 0x81  # FIN and the opcode of text (RFC 6455, 5.2); servers do not mask.
_SHORT: Final = 126
_MEDIUM: Final = 1 << 16
_HEAD_MEDIUM: Final = Struct("!BBH").pack
_HEAD_LONG: Final = Struct("!BBQ").pack

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


def snapshot_message(epoch: int, seq: int, layout_version: int, taken: Mapping[str, str]) -> bytes:
    """The snapshot from which a watcher starts: every seat that is not available."""
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


def queue_message(ref: Ref | None, room: Any) -> bytes:
    """A waiting room and a place in it, as they are now."""
    return _encode({"type": "queue", "ref": ref, "data": room})


def welcome_message(ref: Ref | None, user_id: str) -> bytes:
    """The answer to a sign-in on the socket."""
    return _encode({"type": "result", "ref": ref, "data": {"user_id": user_id}})


def error_message(errors: ErrorTable, ref: Ref | None, rejection: Rejection) -> bytes:
    """The refusal of a command, or of a message that was not one."""
    kind = errors[rejection.code]
    error: dict[str, Any] = {
        "code": rejection.code,
        "message": rejection.message or kind.message,
        "details": rejection.details or {},
    }
    if kind.retry_after_s is not None:
        known = rejection.details or {}
        error["retry_after_s"] = known.get("retry_after_s", kind.retry_after_s)
    return _encode({"type": "error", "ref": ref, "error": error})
