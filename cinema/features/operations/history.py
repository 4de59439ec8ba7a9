"""The history of a showtime from its journal: events, and the seat map at any seq or time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

import msgspec

from cinema.actors.activation import TermsLoader
from cinema.actors.asking import refusal_of
from cinema.actors.messages import Outcome, ReadSeats, SeatsSeen
from cinema.domain.cursors import encode_cursor
from cinema.domain.paging import BY_MOMENT, after, page
from cinema.domain.rejections import refuse
from cinema.domain.seatmap import STATUS_NAMES, SeatPlan, letters_of
from cinema.domain.showtime.events import PlanChanged
from cinema.domain.showtime.packed import unpack
from cinema.domain.showtime.snapshot import SnapshotFormatError, decode_snapshot
from cinema.domain.showtime.state import ShowtimeState, evolve
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.domain.times import to_us
from cinema.features.operations.history_events import event_shown, recorded_in, seat_change
from cinema.features.operations.history_shapes import (
    EventShown,
    HistoryMeta,
    JournalQuery,
    SeatAt,
    SeatChange,
    SeatHistoryQuery,
    SeatsAt,
    SeatsAtQuery,
)
from cinema.features.operations.node import moment, seat_counts
from cinema.features.refusals import found, granted
from cinema.storage.journal.clock import Clock
from cinema.storage.journal.store import JournalRow, JournalStore, Loaded, StoreUnavailable

ROWS_AT_ONCE: Final = 500
"""Events that are read and replayed in one step, about one millisecond; then others get a turn."""

SCAN_LIMIT_ROWS: Final = 20_000
"""Events that one request for a seat's history reads; a page may end early, the next continues."""

SETTLED_S: Final = 150.0
"""After this time a decision is in the journal, or never will be: longer than two commits may take
at the longest `COMMAND_DEADLINE_MS`."""

ReadSeatMap = Callable[[bytes, ReadSeats], Awaitable[Outcome]]


class Plans(TermsLoader, Protocol):
    """Terms, and the former seat plans of a showtime."""

    async def load_plan(self, showtime_id: bytes, version: int) -> SeatPlan | None:
        """A version of the plan of the showtime's screen; None if there was never one."""


class HistoryService:
    """Reads the journal of any showtime, whoever owns it. Each method raises `Refused`.

    `read_seats` is a strong read of the seat map, wherever the showtime lives.
    """

    def __init__(
        self, journal: JournalStore, plans: Plans, read_seats: ReadSeatMap, clock: Clock
    ) -> None:
        self._journal = journal
        self._plans = plans
        self._read_seats = read_seats
        self._clock = clock

    # --- the journal

    async def events(
        self, showtime_id: bytes, query: JournalQuery
    ) -> tuple[list[EventShown], HistoryMeta]:
        """One page of events, in order."""
        loaded, terms = await self._load(showtime_id)
        from_seq = query.from_seq
        position = granted(after(query.cursor, BY_MOMENT))
        if position is not None:
            from_seq = position[0] + 1
        elif query.last is not None:
            from_seq = loaded.seq - query.last + 1
        limit = query.limit if query.last is None else query.last
        rows = await self._rows(showtime_id, max(0, from_seq - 1), limit + 1)
        trail = await self._trail(loaded, terms, from_seq)
        shown = []
        for row in rows:
            shown.append(event_shown(row, trail.plan, terms.currency))
            await trail.step(row)
        part = page(shown, limit, lambda one: (one.seq, UUID(bytes=showtime_id)))
        return part.items, await self._meta(loaded, part.next_cursor, terms.showtime_id)

    async def seat(
        self, showtime_id: bytes, label: str, query: SeatHistoryQuery
    ) -> tuple[list[SeatChange], HistoryMeta]:
        """One page of a seat's history, in order; the label is that of the plan at each time."""
        loaded, terms = await self._load(showtime_id)
        position = granted(after(query.cursor, BY_MOMENT))
        from_seq = 1 if position is None else position[0] + 1
        trail = await self._trail(loaded, terms, from_seq)
        known = label in terms.plan.index or label in trail.plan.index
        changes: list[SeatChange] = []
        seq = from_seq - 1
        async for row in self._all(showtime_id, from_seq - 1):
            if len(changes) == query.limit or row.seq >= from_seq + SCAN_LIMIT_ROWS:
                break
            seq = row.seq
            recorded = recorded_in(row)
            seat = trail.plan.index.get(label)
            if recorded is not None and seat is not None:
                known = True
                change = seat_change(row, recorded.event, seat)
                if change is not None:
                    changes.append(change)
            await trail.step(row)
        if not known:
            raise refuse("NOT_FOUND", "This showtime has never had such a seat.")
        cursor = encode_cursor(seq, UUID(bytes=showtime_id)) if seq < loaded.seq else None
        return changes, await self._meta(loaded, cursor, showtime_id)

    async def _meta(
        self, loaded: Loaded, next_cursor: str | None, showtime_id: bytes
    ) -> HistoryMeta:
        first = await self._rows(showtime_id, 0, 1)
        first_seq = first[0].seq if first else loaded.seq + 1
        return HistoryMeta(next_cursor=next_cursor, first_seq=first_seq, last_seq=loaded.seq)

    # --- the seat map of a moment

    async def seats_at(self, showtime_id: bytes, query: SeatsAtQuery) -> SeatsAt:
        """The seat map at a seq or a time, replayed.

        A time means what the journal said then: a hold whose time was over shows as held until
        the event that ended it.
        """
        if query.seq is not None and query.at is not None:
            raise refuse("VALIDATION_ERROR", "Give seq or at, not both.", path="at")
        until = await self._until(showtime_id, query.seq, query.at)
        loaded, terms = await self._load(showtime_id)
        if until.seq is not None and until.seq > loaded.seq:
            raise refuse("IN_THE_FUTURE", last_seq=loaded.seq)
        state = _from_snapshot(loaded, until)
        if state is None:
            state = await self._from_the_beginning(loaded, terms)
        last = await self._replay(showtime_id, state, until)
        plan = await self.plan(terms, state.layout_version)
        return _seats_at(showtime_id, state, plan, last)

    async def _until(self, showtime_id: bytes, seq: int | None, at: datetime | None) -> _Until:
        if seq is not None:
            return _Until(seq=seq)
        now_us = self._clock.now_us()
        at_us = now_us if at is None else to_us(at)
        if at_us > now_us:
            raise refuse("IN_THE_FUTURE", now=moment(now_us).isoformat())
        if at_us > now_us - SETTLED_S * 1e6:
            # A decision made before now may still be on its way to the disk; this waits for it.
            outcome = await self._read_seats(showtime_id, ReadSeats())
            seen = granted(outcome if isinstance(outcome, SeatsSeen) else refusal_of(outcome))
            if at is None:
                return _Until(seq=seen.seq)
        return _Until(at_us=at_us)

    async def _from_the_beginning(self, loaded: Loaded, terms: ShowtimeTerms) -> ShowtimeState:
        """The state before the first event, if the journal still has all of them."""
        showtime_id = terms.showtime_id
        first = await self._rows(showtime_id, 0, 1)
        if loaded.seq and (not first or first[0].seq != 1):
            first_seq = first[0].seq if first else loaded.seq + 1
            raise refuse("HISTORY_TRUNCATED", first_seq=max(first_seq, loaded.snapshot_seq))
        plan = (await self._trail(loaded, terms, 1)).plan
        return ShowtimeState(plan.seat_count, plan.version)

    async def _replay(
        self, showtime_id: bytes, state: ShowtimeState, until: _Until
    ) -> JournalRow | None:
        """Evolve up to the requested end; returns the last row, if there is one."""
        last = None
        if state.seq:
            before = await self._rows(showtime_id, state.seq - 1, 1)
            last = next((row for row in before if row.seq == state.seq), None)
        async for row in self._all(showtime_id, state.seq):
            if until.is_before(row):
                break
            if row.seq != state.seq + 1:
                # It was truncated while we were reading.
                raise refuse("HISTORY_TRUNCATED", first_seq=row.seq)
            _apply(state, row)
            last = row
        return last

    # --- reading

    async def _load(self, showtime_id: bytes) -> tuple[Loaded, ShowtimeTerms]:
        try:
            loaded = await self._journal.load(showtime_id)
            terms = await self._plans.load_terms(showtime_id)
        except StoreUnavailable:
            raise refuse("RETRY") from None
        return found(loaded), found(terms)

    async def _rows(self, showtime_id: bytes, after_seq: int, limit: int) -> tuple[JournalRow, ...]:
        try:
            return await self._journal.history(showtime_id, after_seq, limit)
        except StoreUnavailable:
            raise refuse("RETRY") from None

    async def _all(self, showtime_id: bytes, after_seq: int) -> AsyncIterator[JournalRow]:
        rows: tuple[JournalRow, ...] | None = None
        while rows is None or len(rows) == ROWS_AT_ONCE:
            rows = await self._rows(showtime_id, after_seq, ROWS_AT_ONCE)
            for row in rows:
                yield row
                after_seq = row.seq

    async def plan(self, terms: ShowtimeTerms, version: int) -> SeatPlan:
        """A version of a showtime's plan. Refuses RETRY."""
        if version == terms.plan.version:
            return terms.plan
        try:
            plan = await self._plans.load_plan(terms.showtime_id, version)
        except StoreUnavailable:
            raise refuse("RETRY") from None
        if plan is None:
            raise refuse(
                "HISTORY_TRUNCATED", "The seat plan of that time is gone.", version=version
            )
        return plan

    async def _trail(self, loaded: Loaded, terms: ShowtimeTerms, from_seq: int) -> _PlanTrail:
        """The plans under which events were recorded, from a seq on.

        The next change of plan says which plan was pinned before it; without a change it is the
        present one.
        """
        version = terms.plan.version
        if not _never_changed_plan(loaded):
            async for row in self._all(terms.showtime_id, max(0, from_seq - 1)):
                recorded = recorded_in(row)
                if recorded is not None and isinstance(recorded.event, PlanChanged):
                    version = recorded.event.old_layout_version
                    break
        return _PlanTrail(self, terms, await self.plan(terms, version))


class _Until(msgspec.Struct, frozen=True, kw_only=True):
    """Where a replay ends: after a seq, or after a time."""

    seq: int | None = None
    at_us: int = 0

    def is_before(self, row: JournalRow) -> bool:
        """Whether the row is beyond the end."""
        return row.recorded_at_us > self.at_us if self.seq is None else row.seq > self.seq

    def is_before_state(self, state: ShowtimeState) -> bool:
        """Whether a state is already beyond the end."""
        return state.at_us > self.at_us if self.seq is None else state.seq > self.seq


class _PlanTrail:
    """The pinned plan at each place of the journal."""

    def __init__(self, history: HistoryService, terms: ShowtimeTerms, plan: SeatPlan) -> None:
        self.plan = plan
        self._history = history
        self._terms = terms

    async def step(self, row: JournalRow) -> None:
        """Go past a row."""
        recorded = recorded_in(row)
        if recorded is not None and isinstance(recorded.event, PlanChanged):
            self.plan = await self._history.plan(self._terms, recorded.event.layout_version)


def _never_changed_plan(loaded: Loaded) -> bool:
    """Whether all events were recorded under the present plan; False if that is not certain."""
    try:
        changed = loaded.snapshot is not None and bool(decode_snapshot(loaded.snapshot).old_plans)
    except SnapshotFormatError:
        return False
    if changed:
        return False
    tail = (recorded_in(row) for row in loaded.tail)
    return not any(one is None or isinstance(one.event, PlanChanged) for one in tail)


def _apply(state: ShowtimeState, row: JournalRow) -> None:
    recorded = recorded_in(row)
    try:
        if recorded is None:
            raise ValueError("unreadable")
        evolve(
            state,
            row.seq,
            row.epoch,
            row.recorded_at_us,
            recorded.command_id,
            recorded.fingerprint,
            recorded.event,
            row.payload,
        )
    except Exception as error:
        # Whatever the error is, the journal does not tell the state after this event.
        told = f"An event of the journal makes no sense ({type(error).__name__})."
        raise refuse("HISTORY_TRUNCATED", told, seq=row.seq) from error


def _from_snapshot(loaded: Loaded, until: _Until) -> ShowtimeState | None:
    """The state of the snapshot, unless the end is before it."""
    if loaded.snapshot is None:
        return None
    try:
        state = decode_snapshot(loaded.snapshot)
    except SnapshotFormatError:
        return None
    return None if until.is_before_state(state) else state


def _seats_at(
    showtime_id: bytes, state: ShowtimeState, plan: SeatPlan, last: JournalRow | None
) -> SeatsAt:
    owners = {
        seat: {name: UUID(bytes=one_id), "customer_id": UUID(bytes=group.customer)}
        for name, groups in (("hold_id", state.holds), ("booking_id", state.bookings))
        for one_id, packed in groups.items()
        for group in (unpack(packed),)
        for seat in group.seats
    }
    return SeatsAt(
        showtime_id=UUID(bytes=showtime_id),
        seq=state.seq,
        epoch=None if last is None else last.epoch,
        at=moment(state.at_us) if state.seq else None,
        layout_version=plan.version,
        paused=state.paused,
        counts=seat_counts(bytes(state.seats)),
        seats=[
            SeatAt(
                label=plan.labels[seat],
                row=plan.row_labels[plan.row_of[seat]],
                number=plan.numbers[seat],
                category=plan.categories[plan.category_of[seat]],
                status=STATUS_NAMES[status],
                letter=letters_of(plan.numbers[seat]) if plan.lettered[seat] else None,
                **owners.get(seat, {}),
            )
            for seat, status in enumerate(state.seats)
        ],
    )
