"""Rows that Postgres writes in the statement of the event that causes them.

A feature defines branches: each makes the rows of an event for one table. `RowBranches` has all
branches of a node. It makes the rows of an event when the event is decided. The append statement
consists of the branches that have rows in a batch, with one parameter each
(docs/adr/037-rows-as-branches.md).
"""

# ruff: noqa: S608  (statements are put together from the constants of features alone)

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from cinema.domain.showtime.events import AnyEvent, Event
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.storage.journal import sql

BRANCHES_LIMIT: Final = 64
"""Branches of one node; each one is a parameter, and a statement may have 65,535 of them."""

STATEMENTS_LIMIT: Final = 32
"""Sets of branches with a statement of their own. Any other set uses the statement with all
branches, some of them without rows: it writes the same, and no lane has to keep more."""

ROWS_LIMIT_BYTES: Final = 262_144
"""Largest size of the rows of one event in one branch; a booking has about 120 bytes for each seat.
Postgres allows 256 MiB in one parameter, which is enough for a batch of a thousand such events."""

_PLACED: Final = ("showtime_id", "position", "seq")

_encode = msgspec.json.Encoder().encode


class Happened(msgspec.Struct, frozen=True, gc=False):
    """An event as rows are made from it.

    It was decided under `terms` at `at_us`; `request_key` is the client's, if it sent one.
    """

    event: AnyEvent
    terms: ShowtimeTerms
    at_us: int
    request_key: bytes | None


class RowBranch(msgspec.Struct, frozen=True, kw_only=True):
    """What some events write into one table.

    `rows` makes the rows of an event, pure. `columns` declares the fields of a row as Postgres does
    (`id uuid, seat text`). `sql` is one INSERT or UPDATE that reads them from `$rows`, where each
    also has the `showtime_id` and `seq` of its event: only showtimes whose heads matched have rows
    there, so a branch cannot step around the fence.

    Branches of one statement do not see each other's rows. `updates` says that the branch changes
    rows that are there, which earlier events of the statement might have to write first: its event
    then shares no statement with others of its showtime that have rows. It may change only rows
    that belong to the showtime; of two changes to one row a statement makes one.

    A branch that is `seldom` has rows for few of its events: no statement with it is kept ready.
    """

    name: str
    events: tuple[type[Event], ...]
    rows: Callable[[Happened], Sequence[msgspec.Struct]]
    columns: str
    sql: str
    updates: bool = False
    seldom: bool = False

    @property
    def column_names(self) -> tuple[str, ...]:
        """The fields of a row, in order."""
        return tuple(column.split()[0] for column in self.columns.split(","))


class EventRows(msgspec.Struct, frozen=True, gc=False):
    """The rows of one event, each as JSON behind the number of its branch.

    `branches` has a bit for each branch that is there. With `alone` it shares no statement with
    other events of its showtime that have rows.
    """

    branches: int
    alone: bool
    rows: tuple[tuple[int, bytes], ...]


class WithRows(Protocol):
    """An event on its way to the journal, with its rows."""

    @property
    def rows(self) -> EventRows | None:
        """The rows that it writes."""


class WithEvents(Protocol):
    """The part of a batch for one showtime."""

    @property
    def events(self) -> Sequence[WithRows]:
        """In the order of their seqs."""


class RowBranches:
    """All branches of a node, in the order of their clauses."""

    def __init__(self, branches: Sequence[RowBranch] = ()) -> None:
        assert len(branches) <= BRANCHES_LIMIT
        assert len({branch.name for branch in branches}) == len(branches)
        for branch in branches:
            assert branch.sql.count("$rows") == 1, branch.name
            assert branch.column_names
            assert not set(branch.column_names) & set(_PLACED), branch.name
        self.branches = tuple(branches)
        self.events: dict[type[Event], tuple[int, ...]] = {}
        for number, branch in enumerate(branches):
            for event in branch.events:
                self.events[event] = (*self.events.get(event, ()), number)
        self._all = (1 << len(branches)) - 1
        self._statements: dict[int, str] = {}

    def rows_of(self, seq: int, happened: Happened) -> EventRows | None:
        """The rows of an event with this `seq`; None if it writes none.

        Whatever a branch raises is a bug in it, of which only this event's command suffers.
        """
        present, alone = 0, False
        placed = b'"seq":%d,' % seq
        rows: list[tuple[int, bytes]] = []
        for number in self.events[type(happened.event)]:
            branch = self.branches[number]
            made = branch.rows(happened)
            if not made:
                continue
            size_bytes = 0
            for row in made:
                encoded = placed + _encode(row)[1:]
                size_bytes += len(encoded)
                rows.append((number, encoded))
            if size_bytes > ROWS_LIMIT_BYTES:
                raise ValueError(f"too many rows for {branch.name}")
            present |= 1 << number
            alone = alone or branch.updates
        return EventRows(present, alone, tuple(rows)) if rows else None

    def usual(self) -> list[int]:
        """The sets of branches to prepare for: all of each kind of event, and those that only add.

        A branch may have rows for some events of a kind only.
        """
        sets = {self._all} if self.branches else set()
        for of_event in self.events.values():
            numbers = [number for number in of_event if not self.branches[number].seldom]
            added = [number for number in numbers if not self.branches[number].updates]
            for some in (numbers, added):
                sets.add(sum(1 << number for number in some))
        return sorted(sets - {0})

    def statement(self, present: int) -> tuple[int, str]:
        """The append for batches with these branches, and the branches that it has."""
        text = self._statements.get(present)
        if text is None:
            if len(self._statements) >= STATEMENTS_LIMIT:
                present = self._all
            text = self._statements[present] = self._text(present)
        return present, text

    def arguments(self, branches: int, batch: Sequence[WithEvents]) -> list[str]:
        """The parameters of a statement with these branches: the rows of a batch, as JSON."""
        rows: dict[int, list[bytes]] = {number: [] for number in self._numbers(branches)}
        for position, part in enumerate(batch, 1):
            placed = b'{"position":%d,' % position
            for event in part.events:
                if event.rows is not None:
                    for number, row in event.rows.rows:
                        rows[number].append(placed + row)
        return [f"[{b','.join(some).decode()}]" for some in rows.values()]

    def _numbers(self, branches: int) -> list[int]:
        return [number for number in range(len(self.branches)) if branches >> number & 1]

    def _text(self, branches: int) -> str:
        clauses = [
            _clause(self.branches[number], parameter)
            for parameter, number in enumerate(self._numbers(branches), sql.EVENT_PARAMETERS + 1)
        ]
        return "".join([sql.APPEND_EVENTS, *clauses, sql.MATCHED])


def _clause(branch: RowBranch, parameter: int) -> str:
    rows = f"""(
        select heads.showtime_id, given.*
        from json_to_recordset(${parameter}::text::json)
            as given (position int, seq bigint, {branch.columns})
        join heads on heads.position = given.position
    )"""
    return f""", write_{branch.name} as ({branch.sql.replace("$rows", rows)}
)"""


NO_BRANCHES: Final = RowBranches()
"""For a journal that writes only events."""
