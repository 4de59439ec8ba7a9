"""What this node tells the watchers of other nodes: the changes of showtimes that it owns."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from cinema.actors.dispatch import Dispatch
from cinema.actors.messages import Outcome, SeatsSeen, Watch
from cinema.domain.showtime.events import AnyEvent
from cinema.domain.showtime.terms import ShowtimeTerms

RECENT_CHANGES: Final = 256
"""Changes kept to fill a gap: those of the few seconds that a node needs to notice one."""


class Change(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One durable event of a showtime, as its watchers need it; it follows `seq` - 1."""

    epoch: int
    seq: int
    event: AnyEvent


class SentPosition(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """How far a showtime's changes have been sent."""

    showtime_id: bytes
    epoch: int
    seq: int


encode_changes = msgspec.msgpack.Encoder().encode
decode_changes = msgspec.msgpack.Decoder(list[Change]).decode


class OutboundFeed:
    """The feed of one showtime for other nodes, as long as one of them is interested.

    `send` takes each change on its way; it must not block.
    """

    def __init__(
        self,
        showtime_id: bytes,
        kernel: Dispatch,
        owns: Callable[[bytes], bool],
        send: Callable[[bytes, Change], None],
        *,
        recent_limit: int = RECENT_CHANGES,
    ) -> None:
        self._showtime_id = showtime_id
        self._kernel = kernel
        self._owns = owns
        self._send = send
        self._recent: deque[Change] = deque(maxlen=recent_limit)
        self._began = False
        self._asking = False
        self._ended = False
        self._epoch = 0
        self._seq = 0
        self.interested_until_s = 0.0

    @property
    def position(self) -> SentPosition | None:
        """The position of the feed; None until the showtime has given one."""
        if not self._began:
            return None
        return SentPosition(self._showtime_id, self._epoch, self._seq)

    def begin(self) -> None:
        """Ask the showtime for its changes, unless they come already."""
        if self._began or self._asking:
            return
        self._asking = True
        self._kernel.tell(self._showtime_id, Watch(feed=self), self._begun)

    def end(self) -> None:
        """No node is interested: end the feed for good."""
        self._ended = True
        self._began = False
        self._kernel.unwatch(self._showtime_id, self)

    def since(self, seq: int) -> list[Change] | None:
        """The changes after `seq`; None if they are not here any more."""
        if not self._began or seq > self._seq:
            return None
        later = [change for change in self._recent if change.seq > seq]
        return later if len(later) == self._seq - seq else None

    def _begun(self, outcome: Outcome) -> None:
        self._asking = False
        if self._ended:
            # The showtime sends its changes from now on, but must not.
            self._kernel.unwatch(self._showtime_id, self)
        elif isinstance(outcome, SeatsSeen):
            self._began = True
            self._recent.clear()
            self._epoch, self._seq = outcome.epoch, outcome.seq

    def changed(
        self, epoch: int, _prev_seq: int, seq: int, event: AnyEvent, _terms: ShowtimeTerms
    ) -> None:
        """See `SeatFeed.changed`."""
        change = Change(epoch, seq, event)
        self._epoch, self._seq = epoch, seq
        self._recent.append(change)
        self._send(self._showtime_id, change)

    def lost(self) -> None:
        """See `SeatFeed.lost`: whoever is still interested asks again."""
        self._began = False
        if not self._ended and self._owns(self._showtime_id):
            self.begin()
