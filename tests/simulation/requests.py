"""What clients asked, and all that is known of each time they did."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from cinema.actors.messages import Message, Outcome, Unavailable
from cinema.domain.rejections import Rejection
from cinema.domain.showtime.commands import ChangeLayout, ChangePlan, ChangeTerms, Command
from cinema.domain.showtime.events import BookingCancelled, HoldReleased

NEVER_NS: Final = 2**62

DENIALS: Final = frozenset({"RETRY", "OVERLOADED"})
"""No effect, and no word about the state."""


class Attempt:
    """One message sent to one node.

    `outcome` is what the node said, `heard` what the client got. Moments are true time: `left_ns`
    is when the answer left the node, `answered_ns` when the client had it (`NEVER_NS`: never);
    `ended_ns` is when the message was lost with the only process that had it.
    `from_seq` was durable when the client sent the message, `to_seq` when the answer left.
    """

    __slots__ = (
        "answered_ns",
        "arrived_us",
        "clock_error_us",
        "ended_ns",
        "from_seq",
        "heard",
        "left_ns",
        "message",
        "node",
        "outcome",
        "refused",
        "sent_ns",
        "serial",
        "showtime_id",
        "to_seq",
    )

    def __init__(
        self, serial: int, showtime_id: bytes, message: Message, sent_ns: int, from_seq: int
    ) -> None:
        self.serial = serial
        self.showtime_id = showtime_id
        self.message = message
        self.node = ""
        self.sent_ns = sent_ns
        self.from_seq = from_seq
        self.arrived_us = 0
        self.clock_error_us = 0
        self.left_ns = NEVER_NS
        self.ended_ns = NEVER_NS
        self.to_seq = -1
        self.answered_ns = NEVER_NS
        self.outcome: Outcome | None = None
        self.heard: Outcome | None = None
        self.refused = False

    @property
    def command_id(self) -> bytes:
        """Empty for a question."""
        return self.message.command_id if isinstance(self.message, Command) else b""

    @property
    def denied(self) -> bool:
        """Whether whoever heard the answer may be sure that nothing happened."""
        if self.refused:
            return True
        if isinstance(self.outcome, Unavailable):
            return self.outcome.code in DENIALS
        return isinstance(self.outcome, Rejection)

    @property
    def is_refused(self) -> bool:
        """Whether the showtime itself said no: nothing has happened, and nothing will."""
        outcome = self.outcome
        return isinstance(outcome, Rejection) and outcome.code != "IDEMPOTENCY_MISMATCH"

    @property
    def over_ns(self) -> int:
        """From here on the message waits nowhere, so that no turn of it can come."""
        return min(self.left_ns, self.ended_ns)

    def __repr__(self) -> str:
        return (
            f"#{self.serial} {asked(self.message)} at {self.showtime_id.hex()[-4:]} "
            f"on {self.node or 'no node'} -> {told(self.outcome)}"
        )


def asked(message: Message) -> str:
    """A message in a few words."""
    parts = [type(message).__name__]
    if isinstance(message, Command):
        parts.append(f"{message.command_id.hex()[-4:]}{'*' if message.fingerprint else ''}")
    for name in ("hold_id", "booking_id"):
        value = getattr(message, name, None)
        if value:
            parts.append(f"{name}={value.hex()[-4:]}")
    if isinstance(message, ChangePlan):
        parts.append(f"to {message.plan.version}")
    if isinstance(message, ChangeLayout):
        parts.append(f"to {message.layout_version}")
    if isinstance(message, ChangeTerms):
        parts.append(f"of {message.seen[0]} to {message.conditions.base_price_minor}")
    labels = getattr(message, "labels", None)
    if labels:
        parts.append(",".join(labels))
    return " ".join(parts)


def told(outcome: Any) -> str:
    """An outcome in a few words."""
    if outcome is None:
        return "no answer"
    name = type(outcome).__name__
    if isinstance(outcome, Unavailable):
        return outcome.code
    if isinstance(outcome, Rejection):
        return f"{outcome.code} {msgspec.json.encode(outcome.details).decode()}"
    if hasattr(outcome, "seq"):
        event = getattr(outcome, "event", None)
        what = type(event).__name__ if event is not None else name
        if isinstance(event, HoldReleased | BookingCancelled) and event.seats:
            what += "InPart"
        again = " again" if getattr(outcome, "replayed", False) else ""
        return f"{what}{again} {outcome.epoch}:{outcome.seq}"
    return name
