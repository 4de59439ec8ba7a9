"""Random histories of several owners, compared step by step between the two journals."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cinema.domain.showtime.events import HoldBooked
from cinema.domain.showtime.state import NEVER_US
from cinema.storage.journal.branches import Happened
from cinema.storage.journal.store import (
    ENDED_HOLD,
    STORED_REPLY,
    CommitAborted,
)
from tests.support.stores import (
    Stage,
    append,
    archive_row,
    batch,
    booking,
    cancellation,
    memory_stage,
    postgres_stage,
    snapshot,
    some_id,
    switch,
)

pytestmark = pytest.mark.postgres

SHOWTIMES = 3
LABELS = ("A1", "A2", "A3")


class Claim(NamedTuple):
    """What a caller believes of one head, as a difference from what is so."""

    showtime: int
    epoch_off: int
    seq_off: int


class TakeOver(NamedTuple):
    showtime: int


class Write(NamedTuple):
    parts: tuple[tuple[Claim, int, int, str], ...]


class Save(NamedTuple):
    parts: tuple[tuple[Claim, bool, bool, bool, int], ...]


class Confirm(NamedTuple):
    claims: tuple[Claim, ...]


class Sweep(NamedTuple):
    kind: int
    before_us: int


# Mostly right beliefs, so that histories get long; and each way of being wrong.
_off = st.sampled_from([0, 0, 0, 0, 0, -1, 1])
_claims = st.builds(Claim, st.integers(0, SHOWTIMES - 1), _off, _off)
_deadlines = st.sampled_from([NEVER_US, 100, 200])
_effects = st.sampled_from(
    [
        *["none", "book", "book two", "cancel", "pause"] * 2,
        *["same code", "same code twice", "same seat twice"],
    ]
)
_writes = st.lists(
    st.tuples(_claims, st.integers(1, 3), _deadlines, _effects),
    min_size=1,
    max_size=SHOWTIMES,
    unique_by=lambda part: part[0].showtime,
).map(lambda parts: Write(tuple(parts)))
_saves = st.lists(
    st.tuples(_claims, st.booleans(), st.booleans(), st.booleans(), _deadlines),
    min_size=1,
    max_size=SHOWTIMES,
    unique_by=lambda part: part[0].showtime,
).map(lambda parts: Save(tuple(parts)))
_confirms = st.lists(
    _claims, min_size=1, max_size=SHOWTIMES, unique_by=lambda claim: claim.showtime
).map(lambda claims: Confirm(tuple(claims)))
_steps = st.lists(
    st.one_of(
        _writes,
        _writes,
        _writes,
        _saves,
        st.builds(TakeOver, st.integers(0, SHOWTIMES - 1)),
        _confirms,
        st.builds(
            Sweep, st.sampled_from([ENDED_HOLD, STORED_REPLY]), st.sampled_from([0, 150, 10_000])
        ),
    ),
    min_size=4,
    max_size=14,
)


class Pair:
    """Both journals under the same steps."""

    def __init__(self, stages: tuple[Stage, Stage], showtimes: list[bytes]) -> None:
        self._stages = stages
        self._showtimes = showtimes
        self._keys: list[bytes] = []
        self._bookings: list[tuple[bytes, Happened]] = []
        self._marker = 0

    async def both(self, run: Any) -> Any:
        """The common answer of both; an abort is one too, whichever of several indexes it names."""
        answers = []
        for stage in self._stages:
            try:
                answers.append(await run(stage))
            except CommitAborted as aborted:
                answers.append(("aborted", aborted.sqlstate))
        assert answers[0] == answers[1]
        return answers[0]

    async def compare(self) -> None:
        """All that can be read is equal."""
        for showtime_id in self._showtimes:
            await self.both(lambda stage, of=showtime_id: stage.journal.load(of))
            await self.both(lambda stage, of=showtime_id: stage.journal.history(of, 0, 100))
            for key in self._keys:
                await self.both(
                    lambda stage, of=showtime_id, key=key: stage.journal.recall(of, key)
                )

        async def due(stage: Stage) -> list[tuple[int, bytes]]:
            page = await stage.journal.due(150, None, 1000)
            return [one for one in page if one[1] in self._showtimes]

        await self.both(due)
        await self.both(self._told)

    async def _told(self, stage: Stage) -> list[Any]:
        return [one for one in await stage.outbox() if one[0] in self._showtimes]

    async def step(self, step: Any) -> None:
        """Do one thing in both."""
        match step:
            case TakeOver(showtime):
                target = self._showtimes[showtime]
                await self.both(lambda stage: stage.journal.take_over(target))
            case Write(parts):
                await self._write(parts)
            case Save(parts):
                await self._save(parts)
            case Confirm(claims):
                claimed = [(await self._claimed(claim))[:2] for claim in claims]
                await self.both(lambda stage: stage.lane.confirm(claimed))
            case Sweep(kind, before_us):
                await self.both(lambda stage: stage.journal.sweep_archive(kind, before_us, 100))

    async def _claimed(self, claim: Claim) -> tuple[bytes, int, int]:
        showtime_id = self._showtimes[claim.showtime]
        epoch, seq = await self._stages[0].where(showtime_id)
        return showtime_id, max(0, epoch + claim.epoch_off), max(0, seq + claim.seq_off)

    async def _write(self, parts: tuple[tuple[Claim, int, int, str], ...]) -> None:
        appends, made = [], []
        for claim, events, due_us, kind in parts:
            showtime_id, epoch, seq = await self._claimed(claim)
            effects = self._effects(showtime_id, kind)
            made.extend((showtime_id, one) for one in effects if isinstance(one.event, HoldBooked))
            count = max(events, len(effects))
            appends.append(
                append(showtime_id, epoch, seq, *effects, events=count, next_due_us=due_us)
            )
        matched = await self.both(lambda stage: stage.lane.append(batch(*appends)))
        if isinstance(matched, set):
            self._bookings.extend(pair for pair in made if pair[0] in matched)

    def _effects(self, showtime_id: bytes, kind: str) -> list[Happened]:
        mine = [made for of, made in self._bookings if of == showtime_id]
        self._marker += 1
        label = LABELS[self._marker % len(LABELS)]
        match kind:
            case "book":
                return [booking(label)]
            case "book two":
                return [booking("A1"), booking("A2", "A3")]
            case "cancel" if mine:
                return [cancellation(mine[-1])]
            case "pause":
                return [switch(paused=True)]
            case "same code" if self._bookings:
                return [booking(f"B{self._marker}", code=self._bookings[-1][1].event.code)]
            case "same code twice":
                code = some_id().hex()
                return [booking(f"{row}{self._marker}", code=code) for row in "CD"]
            case "same seat twice":
                return [booking(f"E{self._marker}"), booking(f"E{self._marker}")]
            case _:
                return []

    async def _save(self, parts: tuple[tuple[Claim, bool, bool, bool, int], ...]) -> None:
        saves = []
        for claim, with_payload, release, truncate, due_us in parts:
            showtime_id, epoch, seq = await self._claimed(claim)
            self._marker += 1
            key = some_id()
            self._keys.append(key)
            kind = STORED_REPLY if self._marker % 2 else ENDED_HOLD
            row = archive_row(key, kind, at_us=100 + self._marker)
            saves.append(
                snapshot(
                    showtime_id,
                    epoch,
                    seq,
                    next_due_us=due_us,
                    payload=b"%d" % self._marker if with_payload else None,
                    archive=[row] if with_payload else [],
                    release=release,
                    truncate=truncate,
                )
            )
        await self.both(lambda stage: stage.lane.save_snapshots(saves))
        for save in saves:
            if save.truncate:
                one, epoch = save.showtime_id, save.epoch
                await self.both(lambda stage, a=one, b=epoch: stage.lane.truncate(a, b, 2))


@pytest.fixture
async def stages(database: str) -> AsyncIterator[tuple[Stage, Stage]]:
    """The twin and Postgres."""
    async with memory_stage() as memory, postgres_stage(database) as postgres:
        yield memory, postgres


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=_steps)
async def test_both_journals_answer_every_history_alike(
    stages: tuple[Stage, Stage], steps: list[Any]
) -> None:
    showtimes = [some_id() for _ in range(SHOWTIMES)]
    for stage in stages:
        for showtime_id in showtimes:
            await stage.create(showtime_id)
    pair = Pair(stages, showtimes)
    for step in steps:
        await pair.step(step)
        await pair.compare()
