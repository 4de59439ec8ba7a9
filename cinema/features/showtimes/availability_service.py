"""How full showtimes are, for whoever looks at lists of them.

The lists themselves say nothing of it, so they stay in their cache. A node looks at a seat map only
for who asks, and again only if its showtime has changed since; nothing is written, and no hold or
booking does anything more.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from cinema.actors.dispatch import Dispatch
from cinema.actors.messages import ReadSeats, SeatsSeen
from cinema.domain.limits_catalog import SCHEDULE_AHEAD_DAYS
from cinema.domain.times import to_us
from cinema.features.showtimes.availability_rules import best_of, level_of, may_change_by_itself
from cinema.features.showtimes.availability_store import AvailabilityRepository
from cinema.features.showtimes.shapes import (
    AvailabilityLevel,
    MovieAvailability,
    ShowtimeAvailability,
)

FRESH_S: Final = 5.0
"""What was seen is shown for as long, without a question to anybody. Shared caches may add ten."""

KEPT: Final = 4096
"""Most showtimes of which a node knows; those that nobody asked for the longest are forgotten."""

AT_ONCE: Final = 8
"""Seat maps that a node reads at the same time. One that is not in memory is one statement."""

PATIENCE_S: Final = 2.0
"""What is not known by then is left out: a mark is not worth more."""

SHOWS_PER_MOVIE: Final = 20
"""A film with more showtimes than these, all of them full, is not called sold out."""

_AHEAD: Final = timedelta(days=SCHEDULE_AHEAD_DAYS)


class _Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a look has shown. `level` is None if the showtime is not there, or did not answer.

    `lasts` until its showtime's seq moves; otherwise it is to be looked at again in any case.
    """

    at_s: float
    seq: int = -1
    lasts: bool = False
    level: AvailabilityLevel | None = None


class AvailabilityService:
    """Use cases of marks on showtimes and films."""

    def __init__(
        self,
        store: AvailabilityRepository,
        dispatch: Dispatch,
        *,
        now: Callable[[], datetime],
        steady_s: Callable[[], float],
    ) -> None:
        """`now` is the time of showtimes; `steady_s` never goes back, for the age of a look."""
        self._store = store
        self._dispatch = dispatch
        self._now = now
        self._steady_s = steady_s
        self._seen: OrderedDict[UUID, _Seen] = OrderedDict()
        self._looking = asyncio.Lock()
        self._places = asyncio.Semaphore(AT_ONCE)

    async def of_showtimes(self, showtime_ids: Sequence[UUID]) -> list[ShowtimeAvailability]:
        """What is known of each of these, in their order; the rest is left out. Refuses RETRY."""
        wanted = tuple(dict.fromkeys(showtime_ids))
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._look(wanted)
        except TimeoutError:
            pass
        known = ((one, self._level(one)) for one in wanted)
        return [
            ShowtimeAvailability(showtime_id=one, level=level)
            for one, level in known
            if level is not None
        ]

    async def of_movies(
        self, movie_ids: Sequence[UUID], *, day: date | None, cinema_id: UUID | None
    ) -> list[MovieAvailability]:
        """The best of the next showtimes of each film, where it is known. Refuses RETRY."""
        wanted = tuple(dict.fromkeys(movie_ids))
        shows: dict[UUID, list[UUID]] = {}
        try:
            async with asyncio.timeout(PATIENCE_S):
                shows = await self._store.next_of_movies(
                    wanted,
                    self._now(),
                    day=day,
                    cinema_id=cinema_id,
                    ahead=_AHEAD,
                    limit=SHOWS_PER_MOVIE + 1,
                )
                await self._look_until_decided(shows.values())
        except TimeoutError:
            pass
        found = ((one, self._best(shows.get(one, []))) for one in wanted)
        return [
            MovieAvailability(movie_id=one, level=level)
            for one, level in found
            if level is not None
        ]

    async def _look_until_decided(self, films: Collection[list[UUID]]) -> None:
        """Look at the first showtime of each film, then at the next of those without a seat yet."""
        for place in range(SHOWS_PER_MOVIE):
            open_ones = [
                shows
                for shows in films
                if place < len(shows) and self._best(shows[:place]) != "available"
            ]
            if not open_ones:
                return
            await self._look([shows[place] for shows in open_ones])

    def _best(self, shows: Sequence[UUID]) -> AvailabilityLevel | None:
        """The word for a film: "available" as soon as one showtime is; else all must be known."""
        levels = [self._level(one) for one in shows[:SHOWS_PER_MOVIE]]
        if "available" in levels:
            return "available"
        known = [level for level in levels if level is not None]
        if not known or len(known) < len(levels) or len(shows) > SHOWS_PER_MOVIE:
            return None
        return best_of(known)

    def _level(self, showtime_id: UUID) -> AvailabilityLevel | None:
        seen = self._seen.get(showtime_id)
        return seen.level if seen is not None and self._is_fresh(seen) else None

    def _is_fresh(self, seen: _Seen) -> bool:
        return self._steady_s() - seen.at_s < FRESH_S

    def _stale(self, showtime_ids: Sequence[UUID]) -> list[UUID]:
        return [
            one
            for one in showtime_ids
            if (seen := self._seen.get(one)) is None or not self._is_fresh(seen)
        ]

    async def _look(self, showtime_ids: Sequence[UUID]) -> None:
        """See to it that these are fresh, as far as can be. Two requests never ask twice."""
        # Who needs no look waits for nobody's.
        if not self._stale(showtime_ids):
            return
        async with self._looking:
            stale = self._stale(showtime_ids)
            if not stale:
                return
            at_s = self._steady_s()
            seqs = await self._store.seqs(stale, self._now())
            moved = []
            for one in stale:
                before, seq = self._seen.get(one), seqs.get(one)
                if seq is None:
                    self._keep(one, _Seen(at_s=at_s))
                elif before is not None and before.lasts and before.seq == seq:
                    self._keep(one, msgspec.structs.replace(before, at_s=at_s))
                else:
                    moved.append(one)
            await asyncio.gather(*(self._read(one, at_s) for one in moved))

    async def _read(self, showtime_id: UUID, at_s: float) -> None:
        async with self._places:
            try:
                query = ReadSeats(with_channels=True)
                outcome = await self._dispatch.read_seats(showtime_id.bytes, query)
            except asyncio.CancelledError:
                # Whoever asks next does not wait for it too: all looks wait for each other.
                self._keep(showtime_id, _Seen(at_s=at_s))
                raise
        if not isinstance(outcome, SeatsSeen):
            self._keep(showtime_id, _Seen(at_s=at_s))
            return
        seats, quotas, now_us = outcome.seats, outcome.terms.channels, to_us(self._now())
        self._keep(
            showtime_id,
            _Seen(
                at_s=at_s,
                seq=outcome.seq,
                lasts=not may_change_by_itself(seats, quotas, now_us),
                level=level_of(seats, quotas, outcome.channels, now_us),
            ),
        )

    def _keep(self, showtime_id: UUID, seen: _Seen) -> None:
        self._seen[showtime_id] = seen
        self._seen.move_to_end(showtime_id)
        while len(self._seen) > KEPT:
            self._seen.popitem(last=False)
