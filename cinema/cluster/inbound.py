"""What this node hears of showtimes that are watched here and owned by other nodes."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from cinema.actors.messages import SeatFeed, SeatsSeen
from cinema.actors.publisher import FEED_FAILED
from cinema.cluster.outbound import Change
from cinema.domain.showtime.events import PlanChanged
from cinema.domain.showtime.terms import ShowtimeTerms

log = structlog.get_logger(__name__)


class InboundFeed:
    """Hands changes on in order, each once; says when some are missing.

    Until `begin` there is no position, and changes are kept: the snapshot may be older or newer.
    """

    def __init__(self, showtime_id: bytes, feed: SeatFeed) -> None:
        self.showtime_id = showtime_id
        self.feed = feed
        self.seq = 0
        self.has_begun = False
        self.heals = False
        self.is_unplaced = False
        self._terms: ShowtimeTerms
        self._early: list[Change] = []

    def begin(self, seen: SeatsSeen) -> None:
        """The snapshot that the feed starts from; what came before it is known now."""
        self._terms = seen.terms
        self.seq = seen.seq
        self.has_begun = True

    def take_early(self) -> bool:
        """Hand on what came before the snapshot; False if something is missing."""
        early, self._early = self._early, []
        return self.take(early)

    def take(self, changes: Iterable[Change]) -> bool:
        """Hand on what follows; False if something is missing in between.

        What was heard already is dropped: messages may come twice or late.
        """
        for change in changes:
            if not self.has_begun:
                self._early.append(change)
            elif change.seq == self.seq + 1:
                self.seq = change.seq
                if isinstance(change.event, PlanChanged) or not self._tell(change):
                    self.lose()
                    return True
            elif change.seq > self.seq:
                return False
        return True

    def _tell(self, change: Change) -> bool:
        """Whether the feed has taken it: a bug of one must not keep the others from hearing."""
        try:
            self.feed.changed(change.epoch, change.seq - 1, change.seq, change.event, self._terms)
        except Exception:
            log.exception(FEED_FAILED, showtime=self.showtime_id.hex())
            return False
        return True

    def lose(self) -> None:
        """Watchers have to start again."""
        self.end()
        try:
            self.feed.lost()
        except Exception:
            log.exception(FEED_FAILED, showtime=self.showtime_id.hex())

    def end(self) -> None:
        """Tell nothing more, not even the answer to a question that is under way."""
        self.has_begun = False
