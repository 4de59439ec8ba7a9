"""Events that are in memory and not in the journal yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from cinema.domain.showtime.events import AnyEvent
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.storage.journal.branches import EventRows
from cinema.storage.journal.store import Append, NewEvent

if TYPE_CHECKING:
    from cinema.actors.actor import ShowtimeActor


class Unwritten(NewEvent, frozen=True, gc=False):
    """An event with what its append and its watchers need."""

    event: AnyEvent
    terms: ShowtimeTerms


class Part(Append, frozen=True, gc=False):
    """One actor's share of a batch."""

    events: Sequence[Unwritten]
    actor: ShowtimeActor


class Backlog:
    """One actor's events in order; at most one part of them is in flight.

    `unwritten` are those for the next parts; `in_flight_seq` is the last seq of the part in
    flight, 0 with none.
    """

    __slots__ = ("_written_seq", "in_flight_seq", "unwritten")

    def __init__(self) -> None:
        self.unwritten: list[Unwritten] | tuple[()] = ()
        self._written_seq = 0
        self.in_flight_seq = 0

    def add(self, unwritten: Unwritten) -> bool:
        """Add the next event; returns whether it is the first: then the lane must be told."""
        if self.unwritten:
            self.unwritten.append(unwritten)
            return False
        self.unwritten = [unwritten]
        return True

    def tighten_due(self, next_due_us: int) -> None:
        """Correct the bound that the last event leaves in the head row."""
        if self.unwritten:
            last = msgspec.structs.replace(self.unwritten[-1], next_due_us=next_due_us)
            self.unwritten[-1] = last

    def restart(self, durable_seq: int) -> None:
        """Start again after a durable seq; events that were not written are dropped."""
        self.unwritten = ()
        self._written_seq = durable_seq
        self.in_flight_seq = 0

    def take(self, actor: ShowtimeActor, quota: int) -> Part:
        """The next events for a batch, at most `quota`, as many as one statement can write."""
        events: Sequence[Unwritten] = self.unwritten
        count = min(len(events), quota)
        for one in events:
            if one.rows is not None:
                count = _shareable(events, count)
                break
        if count == len(events):
            self.unwritten = ()
        else:
            events, self.unwritten = events[:count], list(events[count:])
        prev_seq = self._written_seq
        self._written_seq = self.in_flight_seq = last_seq = prev_seq + count
        return Part(actor.showtime_id, actor.epoch, prev_seq, last_seq, events, actor)


def _shareable(events: Sequence[Unwritten], count: int) -> int:
    """How many of the first `count` events one statement can write.

    Its branches do not see each other's rows. New rows may go together; an event that changes
    rows stands alone among those of its showtime that have any. What follows goes with the next
    batch.
    """
    before: EventRows | None = None
    for position, one in enumerate(events[:count]):
        rows = one.rows
        if rows is None:
            continue
        if before is not None and (before.alone or rows.alone):
            return position
        before = rows
    return count
