"""What goes into a mailbox besides commands, and what comes out of the gate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from cinema.domain.rejections import Rejection
from cinema.domain.showtime.commands import AnyCommand, SentCommand
from cinema.domain.showtime.decisions import Recalled
from cinema.domain.showtime.events import AnyEvent
from cinema.domain.showtime.packed import SeatGroup
from cinema.domain.showtime.prices import PriceInputs
from cinema.domain.showtime.state import HoldStatus
from cinema.domain.showtime.terms import ShowtimeTerms

OVERLOADED: Final = "OVERLOADED"
RETRY: Final = "RETRY"
OUTCOME_UNKNOWN: Final = "OUTCOME_UNKNOWN"
INTERNAL: Final = "INTERNAL"


class SeatFeed(Protocol):
    """Who is told of every durable change of a watched showtime, in order. Must not block."""

    def changed(
        self, epoch: int, prev_seq: int, seq: int, event: AnyEvent, terms: ShowtimeTerms
    ) -> None:
        """One event became durable; `terms` are those it was decided under."""

    def lost(self) -> None:
        """Events were missed: watchers must start from a new snapshot."""


class ReadSeats(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag=101):
    """The seat map, linearizable, with the seats of `customer` marked as theirs.

    Seats of `guests` are marked too: the customer has claimed them. `with_holders` to know who
    holds seats, `with_channels` to know through which channels they were sold.
    """

    customer: bytes | None = None
    guests: tuple[bytes, ...] = ()
    with_holders: bool = False
    with_channels: bool = False


class ReadHold(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag=102):
    """One hold of one customer, live or ended; `with_price_inputs` to work out its prices."""

    hold_id: bytes
    customer: bytes
    with_price_inputs: bool = False


class ReadWaitlist(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag=103):
    """The entries of `customer`, and of the `guests` they have claimed, or all without one."""

    customer: bytes | None = None
    guests: tuple[bytes, ...] = ()


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """The seat map, and from exactly its seq on every change to `feed`."""

    feed: SeatFeed


class TruncateJournal(msgspec.Struct, frozen=True, kw_only=True):
    """Replace the events by a snapshot; skipped while the showtime is busy."""


Query = ReadSeats | ReadHold | ReadWaitlist | Watch | TruncateJournal
Message = AnyCommand | Query
SentMessage = SentCommand | ReadSeats | ReadHold | ReadWaitlist
"""What one node may send another; everything else is a node's own business."""


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """A command was carried out and is durable; `event` is None if nothing was to be done.

    `replayed`: it was carried out earlier under the same key, and this is that success.
    """

    event: AnyEvent | None
    seq: int
    epoch: int
    at_us: int
    terms: ShowtimeTerms
    replayed: bool = False


class SeatsSeen(msgspec.Struct, frozen=True, gc=False):
    """The seat map at `(epoch, seq)`: one status byte a seat, and the customer's own seats.

    `holders` are the customers with live holds, and `channels` one byte a seat (`channels.py`),
    for who asked for them; builds before the version that asks do not tell them.
    """

    epoch: int
    seq: int
    seats: bytes
    mine: frozenset[int]
    paused: bool
    terms: ShowtimeTerms
    holders: frozenset[bytes] = frozenset()
    channels: bytes = b""


class HoldSeen(msgspec.Struct, frozen=True, gc=False):
    """A hold at `(epoch, seq)`; `status` as the contract names it.

    `price_inputs` is there for who asked for it, if the hold is active.
    """

    hold_id: bytes
    status: HoldStatus
    group: SeatGroup
    epoch: int
    seq: int
    terms: ShowtimeTerms
    price_inputs: PriceInputs | None = None


class EntrySeen(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A customer who waits for seats, at `position` from 1; or was offered some, at 0.

    `offer` is the hold that the entry has become. It `is_paying` while that waits for its payment.
    """

    position: int
    customer: bytes
    entry_id: bytes
    joined_at_us: int
    quantity: int
    category: str | None
    accessible: bool
    together: bool
    offer: SeatGroup | None = None
    is_paying: bool = False


class WaitlistSeen(msgspec.Struct, frozen=True, gc=False):
    """The wait list at `(epoch, seq)`, or a part of it: who waits, in order, then open offers."""

    epoch: int
    seq: int
    entries: tuple[EntrySeen, ...]
    terms: ShowtimeTerms


class Unavailable(msgspec.Struct, frozen=True, gc=False):
    """The node cannot say now. `RETRY` and `OVERLOADED` had no effect."""

    code: str
    retry_after_s: int = 1


class NoShowtime(msgspec.Struct, frozen=True, gc=False):
    """There is no such showtime."""


Outcome = Accepted | SeatsSeen | HoldSeen | WaitlistSeen | Rejection | Unavailable | NoShowtime
OnOutcome = Callable[[Outcome], None]


class Letter(msgspec.Struct, frozen=True, gc=False):
    """One message in a mailbox; `deadline_ns` on the clock's boot time.

    `recalled` is what the archive has said about it so far.
    """

    message: Message
    reply: OnOutcome
    deadline_ns: int
    recalled: Recalled | None = None

    def forgetful(self) -> Letter:
        """The letter without what the archive said about a state that is gone."""
        if self.recalled is None:
            return self
        return msgspec.structs.replace(self, recalled=None)


TRY_AGAIN: Final = Unavailable(RETRY)
IN_DOUBT: Final = Unavailable(OUTCOME_UNKNOWN)
TOO_BUSY: Final = Unavailable(OVERLOADED)
BROKEN: Final = Unavailable(INTERNAL)
NO_SHOWTIME: Final = NoShowtime()
