"""Telling a showtime's watchers of its durable changes, each once and in order."""

from __future__ import annotations

from typing import Final

import structlog

from cinema.actors.messages import SeatFeed
from cinema.actors.restore import Restored
from cinema.domain.showtime.events import AnyEvent, PlanChanged
from cinema.domain.showtime.terms import ShowtimeTerms

FEED_FAILED: Final = "feed_failed"

log = structlog.get_logger(__name__)


class Publisher:
    """The feeds of an actor, and how far the showtime's changes have been published.

    There are at most two: this node's watchers', and the one for the watchers of other nodes.
    `joining` counts the snapshots on their way to a feed; `published_seq` goes on without a feed.
    """

    __slots__ = ("_showtime_id", "feeds", "joining", "published_seq")

    def __init__(self, showtime_id: bytes) -> None:
        self._showtime_id = showtime_id
        self.feeds: tuple[SeatFeed, ...] = ()
        self.joining = 0
        self.published_seq = 0

    def begin(self, feed: SeatFeed, seq: int) -> bool:
        """Start `feed` at a snapshot of `seq`, if exactly all up to it has been published."""
        if seq != self.published_seq:
            return False
        if feed not in self.feeds:
            self.feeds = (*self.feeds, feed)
        return True

    def leave(self, feed: SeatFeed) -> None:
        """Stop telling `feed`."""
        self.feeds = tuple(one for one in self.feeds if one is not feed)

    def publish(self, epoch: int, seq: int, event: AnyEvent, terms: ShowtimeTerms) -> None:
        """One durable change, decided under `terms`."""
        self.published_seq = seq
        for feed in self.feeds:
            try:
                feed.changed(epoch, seq - 1, seq, event, terms)
            except Exception:
                log.exception(FEED_FAILED, showtime=self._showtime_id.hex())
                self._lose(feed)

    def catch_up(self, restored: Restored) -> None:
        """What became durable while the actor had no memory; a gap or a new plan ends the feed."""
        missed = [
            (row, recorded.event) for row, recorded in restored.tail if row.seq > self.published_seq
        ]
        replanned = any(isinstance(event, PlanChanged) for _, event in missed)
        if restored.snapshot_seq > self.published_seq or replanned:
            self.lose()
        else:
            for row, event in missed:
                self.publish(row.epoch, row.seq, event, restored.terms)
        self.published_seq = restored.state.seq

    def lose(self) -> None:
        """Watchers have to start again; a feed asks anew if it wants to go on."""
        for feed in self.feeds:
            self._lose(feed)

    def _lose(self, feed: SeatFeed) -> None:
        self.leave(feed)
        try:
            feed.lost()
        except Exception:
            log.exception(FEED_FAILED, showtime=self._showtime_id.hex())
