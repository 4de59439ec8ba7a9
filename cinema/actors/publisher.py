"""Telling a showtime's watchers of its durable changes, each once and in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from cinema.actors.messages import SeatFeed
from cinema.actors.restore import RestoredShowtime
from cinema.domain.showtime.events import AnyEvent, PlanChanged
from cinema.domain.showtime.terms import ShowtimeTerms

FEED_FAILED: Final = "feed_failed"

log = structlog.get_logger(__name__)


class Watched:
    """Counts the watched showtimes of a node, up to a bound, since they all stay in memory.

    `freed` is called with each showtime that is no longer watched.
    """

    def __init__(self, limit: int, freed: Callable[[bytes], None]) -> None:
        self.count = 0
        self._limit = limit
        self._freed = freed

    @property
    def is_full(self) -> bool:
        """Whether no further showtime may be watched."""
        return self.count >= self._limit

    def begin(self) -> None:
        """One more is watched."""
        self.count += 1

    def end(self, showtime_id: bytes) -> None:
        """Its last feed has left it."""
        self.count -= 1
        self._freed(showtime_id)


class Publisher:
    """The feeds of an actor, and how far the showtime's changes have been published.

    There are at most two: this node's watchers', and the one for the watchers of other nodes.
    `joining` counts the snapshots on their way to a feed; `published_seq` goes on without a feed.
    """

    __slots__ = ("_showtime_id", "_watched", "feeds", "joining", "published_seq")

    def __init__(self, showtime_id: bytes, watched: Watched) -> None:
        self._showtime_id = showtime_id
        self._watched = watched
        self.feeds: tuple[SeatFeed, ...] = ()
        self.joining = 0
        self.published_seq = 0

    @property
    def takes_feeds(self) -> bool:
        """Whether this showtime is watched already, or one more may be."""
        return bool(self.feeds) or not self._watched.is_full

    def begin(self, feed: SeatFeed, seq: int) -> bool:
        """Start `feed` at a snapshot of `seq`, if exactly all up to it has been published."""
        if seq != self.published_seq:
            return False
        if not self.feeds:
            self._watched.begin()
        if feed not in self.feeds:
            self.feeds = (*self.feeds, feed)
        return True

    def leave(self, feed: SeatFeed) -> None:
        """Stop telling `feed`."""
        if self.feeds == (feed,):
            self.feeds = ()
            self._watched.end(self._showtime_id)
        else:
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

    def catch_up(self, restored: RestoredShowtime) -> None:
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
