"""Events that are in memory and not in the journal yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from cinema.actors.effects import may_share_batch
from cinema.domain.showtime.events import AnyEvent
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.storage.journal import Append, Effect

if TYPE_CHECKING:
    from cinema.actors.actor import ShowtimeActor


class Unwritten(msgspec.Struct, frozen=True, gc=False):
    """An event with what its append needs; `next_due_us` is the bound after it."""

    payload: bytes
    at_us: int
    next_due_us: int
    effect: Effect | None
    event: AnyEvent
    terms: ShowtimeTerms


class Part:
    """One actor's share of a batch: the rows for the store, the events for the watchers."""

    __slots__ = ("actor", "append", "events")

    def __init__(self, actor: ShowtimeActor, append: Append, events: list[Unwritten]) -> None:
        self.actor = actor
        self.append = append
        self.events = events


class Backlog:
    """One actor's events in order; at most one part of them is in flight.

    `in_flight_seq` is the last seq of that part, 0 with none.
    """

    __slots__ = ("_unwritten", "_written_seq", "in_flight_seq")

    def __init__(self) -> None:
        self._unwritten: list[Unwritten] = []
        self._written_seq = 0
        self.in_flight_seq = 0

    def __len__(self) -> int:
        return len(self._unwritten)

    def add(self, unwritten: Unwritten) -> None:
        """The next event."""
        self._unwritten.append(unwritten)

    def tighten_due(self, next_due_us: int) -> None:
        """Correct the bound that the last event leaves in the head row."""
        if self._unwritten:
            last = msgspec.structs.replace(self._unwritten[-1], next_due_us=next_due_us)
            self._unwritten[-1] = last

    def restart(self, durable_seq: int) -> None:
        """Begin anew behind a durable seq; what was not written never will be."""
        self._unwritten = []
        self._written_seq = durable_seq
        self.in_flight_seq = 0

    def take(self, actor: ShowtimeActor, quota: int) -> Part:
        """The next events for a batch, at most `quota`, as many as one statement can write."""
        append = Append(actor.showtime_id, actor.epoch, self._written_seq)
        events = self._unwritten
        if len(events) > quota:
            events = events[:quota]
        taken = 0
        for unwritten in events:
            if unwritten.effect is not None:
                if not may_share_batch(append.effects, unwritten.effect):
                    events = events[:taken]
                    break
                append.effects.append(unwritten.effect)
            append.payloads.append(unwritten.payload)
            append.recorded_at_us.append(unwritten.at_us)
            append.next_due_us = unwritten.next_due_us
            taken += 1
        self._unwritten = self._unwritten[taken:]
        self._written_seq += taken
        self.in_flight_seq = self._written_seq
        return Part(actor, append, events)

    def is_in_flight(self, part: Part) -> bool:
        """Whether the part is the one in flight, and not of a state discarded since."""
        return self.in_flight_seq == part.append.last_seq
