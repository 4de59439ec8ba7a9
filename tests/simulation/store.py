"""One process's way to the simulated Postgres: the journal's interface over statements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cinema.domain.membership import NO_VIEW, View
from cinema.domain.seatmap import SeatPlan
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.storage.journal.branches import RowBranches
from cinema.storage.journal.store import (
    Append,
    ArchiveRow,
    HeldBy,
    JournalRow,
    LeftBehind,
    Loaded,
    SnapshotSave,
    StoreUnavailable,
    Takeover,
)
from cinema.storage.membership.views import ViewsUnavailable
from tests.simulation.database import Database, Sender
from tests.support.actors.scripted_store import RecordingLane, at_once


class SimulatedStore:
    """A `JournalStore`; `mine` says which due showtimes this node is to look after."""

    def __init__(self, database: Database, sender: Sender, mine: Callable[[bytes], bool]) -> None:
        self._database = database
        self._journal = database.journal
        self._sender = sender
        self._mine = mine

    @property
    def branches(self) -> RowBranches:
        return self._journal.branches

    def lane(self) -> SimulatedLane:
        return SimulatedLane(self._database, self._sender)

    async def take_over(
        self, showtime_id: bytes, owner: bytes | None = None, unless: Sequence[bytes] = ()
    ) -> Takeover | HeldBy | None:
        return await self._run(
            "take_over",
            _of(showtime_id),
            self._journal.take_over,
            showtime_id,
            owner,
            unless,
        )

    async def left_behind(
        self, living: Sequence[bytes], after: bytes | None, heads: int
    ) -> LeftBehind:
        return await self._run("left_behind", "", self._journal.left_behind, living, after, heads)

    async def inherit(
        self, showtime_ids: Sequence[bytes], living: Sequence[bytes], heir: bytes
    ) -> dict[bytes, int]:
        label = " ".join(map(_of, showtime_ids))
        return await self._run("inherit", label, self._journal.inherit, showtime_ids, living, heir)

    async def load(self, showtime_id: bytes) -> Loaded | None:
        return await self._run("load", _of(showtime_id), self._journal.load, showtime_id)

    async def confirmed(self) -> None:
        """There is no standby."""

    async def recall(self, showtime_id: bytes, key: bytes) -> ArchiveRow | None:
        return await self._run("recall", _of(showtime_id), self._journal.recall, showtime_id, key)

    async def due(
        self, before_us: int, after: tuple[int, bytes] | None, limit: int
    ) -> list[tuple[int, bytes]]:
        due = await self._run("due", "", self._journal.due, before_us, after, limit)
        return [one for one in due if self._mine(one[1])]

    async def history(
        self, showtime_id: bytes, after_seq: int, limit: int
    ) -> tuple[JournalRow, ...]:
        return await self._run(
            "history", _of(showtime_id), self._journal.history, showtime_id, after_seq, limit
        )

    async def keep_snapshots(self, saves: Sequence[SnapshotSave]) -> set[bytes]:
        """What befalls a lane's `save` befalls this one too."""
        label = " ".join(["beside", *(_shown(save) for save in saves)])
        return await self._database.run(self._sender, "save", label, lambda: self._kept(saves))

    def _kept(self, saves: Sequence[SnapshotSave]) -> set[bytes]:
        kept: set[bytes] = at_once(self._journal.keep_snapshots(saves))
        for save in saves:
            if save.showtime_id in kept:
                self._database.keepers.append(
                    (save.showtime_id, save.epoch, self._journal.heads[save.showtime_id].epoch)
                )
        return kept

    async def sweep_archive(self, kind: int, before_us: int, limit: int) -> int:
        return await self._run("sweep", "", self._journal.sweep_archive, kind, before_us, limit)

    async def _run(self, name: str, label: str, method: Callable[..., Any], *arguments: Any) -> Any:
        return await self._database.run(
            self._sender, name, label, lambda: at_once(method(*arguments))
        )


class SimulatedLane:
    """One lane of a `SimulatedStore`."""

    def __init__(self, database: Database, sender: Sender) -> None:
        self._database = database
        self._sender = sender
        self._inner: RecordingLane = database.journal.lane()

    async def append(self, batch: Sequence[Append]) -> set[bytes]:
        label = " ".join(
            f"{_of(part.showtime_id)}@{part.epoch}:{part.prev_seq}+{len(part.events)}"
            for part in batch
        )
        return await self._database.run(
            self._sender, "append", label, lambda: self._inner.append_now(batch)
        )

    async def confirm(self, claims: Sequence[tuple[bytes, int]]) -> set[bytes]:
        label = " ".join(f"{_of(showtime_id)}@{epoch}" for showtime_id, epoch in claims)
        return await self._database.run(
            self._sender, "confirm", label, lambda: at_once(self._inner.confirm(claims))
        )

    async def save_snapshots(self, saves: Sequence[SnapshotSave]) -> set[bytes]:
        label = " ".join(_shown(save) for save in saves)
        return await self._database.run(
            self._sender, "save", label, lambda: at_once(self._inner.save_snapshots(saves))
        )

    async def truncate(self, showtime_id: bytes, epoch: int, limit: int) -> int | None:
        return await self._database.run(
            self._sender,
            "truncate",
            f"{_of(showtime_id)}@{epoch}",
            lambda: at_once(self._inner.truncate(showtime_id, epoch, limit)),
        )

    async def close(self) -> None:
        """The connection needs no farewell."""


class SimulatedTerms:
    """A `TermsSource`."""

    def __init__(
        self,
        database: Database,
        sender: Sender,
        terms: dict[bytes, ShowtimeTerms],
        plans: Sequence[SeatPlan],
    ) -> None:
        self._database = database
        self._sender = sender
        self._terms = terms
        self._plans = {plan.version: plan for plan in plans}

    async def load_terms(self, showtime_id: bytes) -> ShowtimeTerms | None:
        return await self._database.run(
            self._sender, "terms", _of(showtime_id), lambda: self._terms.get(showtime_id)
        )

    async def load_layout(self, screen_id: bytes, version: int) -> SeatPlan | None:
        return await self._database.run(
            self._sender, "layout", _of(screen_id), lambda: self._plans.get(version)
        )

    async def load_plan(self, showtime_id: bytes, version: int) -> SeatPlan | None:
        return await self._database.run(
            self._sender, "plan", _of(showtime_id), lambda: self._plans.get(version)
        )


class ViewTable:
    """The table of views."""

    def __init__(self) -> None:
        self.newest = NO_VIEW

    def propose(self, view: View) -> bool:
        """Take a view whose turn it is."""
        taken = view.version == self.newest.version + 1
        if taken:
            self.newest = view
        return taken


class SimulatedViews:
    """A `ViewStore`."""

    def __init__(self, database: Database, sender: Sender, table: ViewTable) -> None:
        self._database = database
        self._sender = sender
        self._table = table

    async def latest(self) -> View:
        return await self._run("view", "", lambda: self._table.newest)

    async def propose(self, view: View, _node_id: bytes) -> bool:
        names = " ".join(f"{one.host}{'-' if one.draining else ''}" for one in view.members)
        label = f"{view.version}: {names}"
        return await self._run("propose", label, lambda: self._table.propose(view))

    async def _run(self, name: str, label: str, execute: Callable[[], Any]) -> Any:
        try:
            return await self._database.run(self._sender, name, label, execute)
        except StoreUnavailable as error:
            raise ViewsUnavailable(str(error)) from error


def _of(showtime_id: bytes) -> str:
    return showtime_id.hex()[-4:]


def _shown(save: SnapshotSave) -> str:
    marks = "".join(
        mark
        for mark, there in (
            ("s", save.payload is not None),
            ("r", save.release),
            ("t", save.truncate),
        )
        if there
    )
    return f"{_of(save.showtime_id)}@{save.epoch}:{save.seq}{marks}"
