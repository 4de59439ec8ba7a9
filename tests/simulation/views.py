"""Who believes which nodes to be there, and so which of them to own a showtime."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from hashlib import blake2b

from tests.simulation.scheduler import Scheduler

NEWS_DELAY_S = 1.5
"""Everybody hears of a change within this time, each at a moment of their own."""


class Views:
    """Observers (nodes and clients) and what each of them takes for the membership."""

    def __init__(self, scheduler: Scheduler, rng: random.Random, members: Iterable[str]) -> None:
        self.members = tuple(members)
        self._names = self.members
        self.seen: dict[str, tuple[str, ...]] = {}
        self._scheduler = scheduler
        self._rng = rng

    def join(self, observer: str) -> None:
        """One more observer; it knows the truth as it is now."""
        self.seen[observer] = self.members

    def owner(self, observer: str, showtime_id: bytes) -> str:
        """Who owns a showtime, as the observer sees it."""
        return min(self.seen[observer], key=lambda name: _weight(name, showtime_id))

    def change(self, members: Iterable[str]) -> None:
        """The truth changes; the news spreads."""
        self.members = tuple(members)
        for observer in self.seen:
            delay_ns = int(self._rng.uniform(0, NEWS_DELAY_S) * 1e9)
            self._scheduler.after(delay_ns, self._hear, observer)

    def confuse(self) -> None:
        """Some observers believe in something else for a while."""
        for observer in self.seen:
            if self._rng.random() < 0.5:
                count = self._rng.randint(1, len(self.members))
                self.seen[observer] = tuple(self._rng.sample(self.members, count))
                delay_ns = int(self._rng.uniform(0, 2 * NEWS_DELAY_S) * 1e9)
                self._scheduler.after(delay_ns, self._hear, observer)

    def tell_clients(self, members: Sequence[str]) -> None:
        """All who are no node themselves hear at once whom to ask."""
        for observer in self.seen:
            if observer not in self._names and members:
                self.seen[observer] = tuple(members)

    def agree(self) -> None:
        """Everybody knows the truth."""
        for observer in self.seen:
            self._hear(observer)

    def _hear(self, observer: str) -> None:
        self.seen[observer] = self.members


def _weight(name: str, showtime_id: bytes) -> bytes:
    return blake2b(name.encode() + showtime_id, digest_size=8).digest()
