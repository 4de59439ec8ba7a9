"""What nodes say to each other, and outcomes without the terms that both sides can look up.

Nodes of neighbouring versions talk to each other: never reuse a tag, give new fields defaults and
append them. A node ignores a new frame or command that it does not know; the sender gives it up at
its deadline.
"""

from __future__ import annotations

from typing import Any, Final, assert_never

import msgspec
import structlog

from cinema.actors.messages import (
    NO_SHOWTIME,
    Accepted,
    EntrySeen,
    HoldSeen,
    NoShowtime,
    Outcome,
    SeatsSeen,
    SentMessage,
    Unavailable,
    WaitlistSeen,
)
from cinema.domain.rejections import Rejection
from cinema.domain.showtime.events import AnyEvent
from cinema.domain.showtime.packed import SeatGroup
from cinema.domain.showtime.prices import PriceInputs
from cinema.domain.showtime.state import HoldStatus
from cinema.domain.showtime.terms import ShowtimeTerms

FRAMES_UNKNOWN: Final = "frames_unknown"

log = structlog.get_logger(__name__)


class TermsVersion(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The part of a showtime's terms that an outcome shows, and how new they are.

    `version` is 0 from builds that did not say it.
    """

    layout_version: int
    prices_minor: tuple[int, ...]
    version: int = 0


class SentAccepted(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=1):
    """`Accepted` on its way."""

    event: AnyEvent | None
    seq: int
    epoch: int
    at_us: int
    replayed: bool
    terms_version: TermsVersion


class SentSeats(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=2):
    """`SeatsSeen` on its way."""

    epoch: int
    seq: int
    seats: bytes
    mine: frozenset[int]
    paused: bool
    terms_version: TermsVersion
    holders: frozenset[bytes] = frozenset()
    channels: bytes = b""


class SentHold(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=3):
    """`HoldSeen` on its way."""

    hold_id: bytes
    status: HoldStatus
    group: SeatGroup
    epoch: int
    seq: int
    terms_version: TermsVersion
    price_inputs: PriceInputs | None = None


class SentRejection(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """`Rejection` on its way."""

    code: str
    message: str
    details: dict[str, Any] | None


class SentUnavailable(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=5):
    """`Unavailable` on its way."""

    code: str
    retry_after_s: int


class SentNoShowtime(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=6):
    """`NoShowtime` on its way."""


class SentWaitlist(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=7):
    """`WaitlistSeen` on its way."""

    epoch: int
    seq: int
    entries: tuple[EntrySeen, ...]
    terms_version: TermsVersion


SentOutcome = (
    SentAccepted
    | SentSeats
    | SentHold
    | SentRejection
    | SentUnavailable
    | SentNoShowtime
    | SentWaitlist
)


class Tell(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=1):
    """A message for a showtime of the peer, by the view of `version`; `wait_ms` are left.

    `until_us` is the same in common time, 0 from a build that does not say it: what a broken link
    kept for longer must have no effect, for its sender was perhaps refused elsewhere meanwhile.
    """

    ref: int
    version: int
    wait_ms: int
    showtime_id: bytes
    message: SentMessage
    until_us: int = 0


class Told(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=2):
    """The answer to `Tell`."""

    ref: int
    outcome: SentOutcome


class NotOwner(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=3):
    """Not the owner by the view of `version`; `owner` is (its node's id), if anybody."""

    ref: int
    version: int
    owner: bytes | None


class Ask(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=4):
    """A question that is asked rarely; `topic` says what `payload` means."""

    ref: int
    topic: str
    payload: bytes


class Answered(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=5):
    """The answer to `Ask`."""

    ref: int
    payload: bytes


class Failed(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=6):
    """The peer could not answer an `Ask`."""

    ref: int
    reason: str


class Notice(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=7):
    """There is a view of `version`."""

    version: int


class Farewell(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=8):
    """The sender leaves: it answers what was sent to it, and waits for the other to hang up."""


Frame = Tell | Told | NotOwner | Ask | Answered | Failed | Notice | Farewell

encode_frames = msgspec.msgpack.Encoder().encode
_decode_all = msgspec.msgpack.Decoder(list[Frame]).decode
_decode_apart = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_decode_one = msgspec.msgpack.Decoder(Frame).decode


def decode_frames(body: bytes | memoryview) -> list[Frame]:
    """The frames of a batch, without those that this version does not know.

    Raises `MsgspecError` if `body` is not a list.
    """
    try:
        return _decode_all(body)
    except msgspec.ValidationError:
        frames = []
    unknown = 0
    for raw in _decode_apart(body):
        try:
            frames.append(_decode_one(raw))
        except msgspec.ValidationError:
            unknown += 1
    log.warning(FRAMES_UNKNOWN, frames=unknown)
    return frames


def sent(outcome: Outcome) -> SentOutcome:
    """An outcome as it goes over the wire."""
    match outcome:
        case Accepted(event, seq, epoch, at_us, terms, replayed):
            return SentAccepted(event, seq, epoch, at_us, replayed, _terms_version(terms))
        case SeatsSeen(epoch, seq, seats, mine, paused, terms, holders, channels):
            return SentSeats(
                *(epoch, seq, seats, mine, paused, _terms_version(terms), holders, channels)
            )
        case HoldSeen(hold_id, status, group, epoch, seq, terms, price_inputs):
            return SentHold(hold_id, status, group, epoch, seq, _terms_version(terms), price_inputs)
        case WaitlistSeen(epoch, seq, entries, terms):
            return SentWaitlist(epoch, seq, entries, _terms_version(terms))
        case Rejection():
            details = None if outcome.details is None else dict(outcome.details)
            return SentRejection(outcome.code, outcome.message, details)
        case Unavailable(code, retry_after_s):
            return SentUnavailable(code, retry_after_s)
        case NoShowtime():
            return SentNoShowtime()
        case _:
            assert_never(outcome)


def terms_version_of(outcome: SentOutcome) -> TermsVersion | None:
    """What terms an outcome needs to be received; None if it needs none."""
    if isinstance(outcome, SentAccepted | SentSeats | SentHold | SentWaitlist):
        return outcome.terms_version
    return None


def received(outcome: SentOutcome, terms: ShowtimeTerms | None) -> Outcome:
    """An outcome that came over the wire; `terms` are those of its version, if it has one."""
    match outcome:
        case SentRejection(code, message, details):
            return Rejection(code=code, message=message, details=details)
        case SentUnavailable(code, retry_after_s):
            return Unavailable(code, retry_after_s)
        case SentNoShowtime():
            return NO_SHOWTIME
    if terms is None:
        raise ValueError(f"{type(outcome).__name__} needs terms")
    match outcome:
        case SentAccepted(event, seq, epoch, at_us, replayed):
            return Accepted(event, seq, epoch, at_us, terms, replayed)
        case SentSeats(epoch, seq, seats, mine, paused, holders=holders, channels=channels):
            return SeatsSeen(epoch, seq, seats, mine, paused, terms, holders, channels)
        case SentHold(hold_id, status, group, epoch, seq, price_inputs=price_inputs):
            return HoldSeen(hold_id, status, group, epoch, seq, terms, price_inputs)
        case SentWaitlist(epoch, seq, entries):
            return WaitlistSeen(epoch, seq, entries, terms)
        case _:
            assert_never(outcome)


def _terms_version(terms: ShowtimeTerms) -> TermsVersion:
    return TermsVersion(terms.plan.version, terms.prices_minor, terms.version)
