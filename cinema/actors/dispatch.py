"""Where messages for showtimes go: to the kernel of a lone node, or to a cluster's forwarder."""

from __future__ import annotations

from typing import Protocol

from cinema.actors.messages import Message, OnOutcome, Outcome, ReadSeats, SeatFeed
from cinema.storage.journal.clock import Clock


class Dispatch(Protocol):
    """Reaches every showtime; `Kernel` documents each way."""

    clock: Clock

    def tell(
        self, showtime_id: bytes, message: Message, reply: OnOutcome, deadline_ns: int | None = None
    ) -> None:
        """Send a message; `reply` is called exactly once, maybe before this returns."""

    async def ask(self, showtime_id: bytes, message: Message) -> Outcome:
        """`tell`, and wait for the answer."""

    async def exists(self, showtime_id: bytes) -> bool:
        """Whether there is such a showtime; True if the store does not answer."""

    async def read_seats(self, showtime_id: bytes, query: ReadSeats) -> Outcome:
        """The seat map; one that is not in memory is read without waking it."""

    async def truncate(self, showtime_id: bytes) -> None:
        """Drop the journal of a showtime that is over, keeping its snapshot."""

    def unwatch(self, showtime_id: bytes, feed: SeatFeed) -> None:
        """Stop telling a feed."""
