"""Messages that a client may send on the watch socket, and the description of the protocol."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from cinema.features.seats.shapes import SeatLabels
from cinema.features.watching.frames import Ref
from cinema.http.decoding import UNREADABLE

PROTOCOL: Final = """
The server sends JSON messages:

- `{"type": "snapshot", "epoch", "seq", "layout_version", "taken": {"F7": "held"}}` at first
- `{"type": "delta", "epoch", "prev_seq", "seq", "changes": {"F7": "available"}}` for each \
change; apply it only if `prev_seq` is the last seq that you have
- `{"type": "resync"}` when something was left out; a snapshot follows
- `{"type": "queue", "ref", "data"}` for a place in the waiting room, when it changes
- `{"type": "result", "ref", "data"}` or `{"type": "error", "ref", "error"}` for each command

With a token in the header, or after `{"type": "auth", "token"}`, it takes commands, pipelined; \
`ref` and `key` (as `Idempotency-Key`) are optional:

- `{"type": "hold", "ref": 1, "seats": ["F7"], "key"}`
- `{"type": "release", "ref": 2, "hold_id", "seats", "key"}`, without `seats` the whole hold
- `{"type": "extend", "ref": 3, "hold_id", "key"}`
- `{"type": "queue", "token"}` to be told of a place in the waiting room; without a token, too
- `{"type": "sync", "since": "3:41"}` for what was missed since that epoch and seq

It closes with 1001 when the server stops, 1002 and 1009 for frames that are broken or too big, \
1008 after too many malformed messages, 1013 if it cannot answer now.

The number of open sockets is limited for each address and each user; one more is refused with 429.
"""

_Key = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[\x20-\x7e]+\Z")]
_Id = Annotated[str, Meta(min_length=36, max_length=36)]
_Ref = Annotated[int, Meta(ge=-(2**53), le=2**53)] | Annotated[str, Meta(max_length=64)] | None


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    ref: _Ref = None


class AuthMessage(_Message, frozen=True, kw_only=True, tag="auth", forbid_unknown_fields=True):
    """Sign in on the socket; also renews a token later."""

    token: Annotated[str, Meta(max_length=4096)]


class HoldMessage(_Message, frozen=True, kw_only=True, tag="hold", forbid_unknown_fields=True):
    """Hold the named seats."""

    seats: SeatLabels
    key: _Key | None = None


class ReleaseMessage(
    _Message, frozen=True, kw_only=True, tag="release", forbid_unknown_fields=True
):
    """Release a hold, or only `seats` of it."""

    hold_id: _Id
    seats: SeatLabels | None = None
    key: _Key | None = None


class ExtendMessage(_Message, frozen=True, kw_only=True, tag="extend", forbid_unknown_fields=True):
    """Give a hold its full time again."""

    hold_id: _Id
    key: _Key | None = None


class SyncMessage(_Message, frozen=True, kw_only=True, tag="sync", forbid_unknown_fields=True):
    """Ask for the changes since `epoch:seq`, or for a snapshot."""

    since: Annotated[str, Meta(max_length=40)] | None = None


class QueueMessage(_Message, frozen=True, kw_only=True, tag="queue", forbid_unknown_fields=True):
    """Ask to be told of a place in the waiting room, now and whenever it changes."""

    token: Annotated[str, Meta(min_length=1, max_length=128)]


SocketCommand = HoldMessage | ReleaseMessage | ExtendMessage
Incoming = AuthMessage | HoldMessage | ReleaseMessage | ExtendMessage | SyncMessage | QueueMessage

decode_message: Final = msgspec.json.Decoder(Incoming).decode


class WatchQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to resume, as `epoch:seq`; with `deltas=false` the socket is for commands only."""

    since: (
        Annotated[
            str,
            Meta(
                pattern=r"^\d{1,18}:\d{1,18}$",
                description="Epoch and seq to resume from.",
                examples=["3:1042"],
            ),
        ]
        | None
    ) = None
    deltas: Annotated[bool, Meta(description="Whether seat maps are sent at all.")] = True


def position(since: str | None) -> tuple[int, int] | None:
    """The epoch and seq in `epoch:seq`; None for any other text."""
    epoch, _, seq = (since or "").partition(":")
    if not (epoch.isdecimal() and seq.isdecimal()):
        return None
    return int(epoch), int(seq)


class _OnlyRef(msgspec.Struct, frozen=True):
    ref: _Ref = None


def ref_of(payload: bytes) -> Ref | None:
    """The `ref` of a malformed message, so that its sender knows which one it was."""
    try:
        return msgspec.json.decode(payload, type=_OnlyRef).ref
    except UNREADABLE:
        return None
