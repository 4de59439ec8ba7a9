"""Seat maps as of any seq or moment agree with what was live then, whatever happened since."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from cinema.actors.dismissal import dismiss
from cinema.actors.messages import ReadSeats, SeatsSeen
from cinema.domain.rejections import Refused
from cinema.domain.seatmap import STATUS_NAMES, SeatPlan, grid_layout, parse_layout
from cinema.domain.showtime.commands import (
    BlockSeats,
    ChangePlan,
    PauseSales,
    ResumeSales,
    UnblockSeats,
)
from cinema.features.operations.history import HistoryService
from cinema.features.operations.history_shapes import (
    JournalQuery,
    SeatHistoryQuery,
    SeatsAt,
    SeatsAtQuery,
)
from cinema.features.operations.node import moment
from cinema.storage.journal.store import JournalRow, StoreUnavailable
from tests.support.actors.virtual_time import VirtualTimeLoop, in_virtual_time
from tests.support.actors.world import (
    ANNA,
    BERT,
    PLAN,
    Node,
    World,
    audited_world,
    book,
    cancel,
    extend,
    hold,
    release,
    some_id,
    stop,
)

WIDER = parse_layout(grid_layout(5, 25), 2)
NARROWER = parse_layout(grid_layout(4, 25), 3)
PLANS = {plan.version: plan for plan in (PLAN, WIDER, NARROWER)}


class Plans:
    """The terms of a world, and every plan its showtimes had."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.plans = dict(PLANS)

    async def load_terms(self, showtime_id: bytes) -> Any:
        return await self._world.terms.load_terms(showtime_id)

    async def load_plan(self, showtime_id: bytes, version: int) -> SeatPlan | None:
        return self.plans.get(version)


def history_of(world: World, node: Node) -> HistoryService:
    """The service as it reads the journal behind a node."""
    return HistoryService(node.store, Plans(world), node.kernel.read_seats, node.clock)


def shown(seen: SeatsAt) -> dict[str, str]:
    return {one.label: one.status for one in seen.seats}


async def live(node: Node, showtime_id: bytes) -> tuple[int, dict[str, str], int]:
    """What customers see now: seq, seats, and Postgres time."""
    seen = await node.kernel.read_seats(showtime_id, ReadSeats())
    assert isinstance(seen, SeatsSeen)
    seats = {
        label: STATUS_NAMES[status]
        for label, status in zip(seen.terms.plan.labels, seen.seats, strict=True)
    }
    return seen.seq, seats, node.clock.now_us()


class Story:
    """Commands as they come, and what was live after each."""

    def __init__(self, world: World, node: Node, showtime_id: bytes) -> None:
        self.world = world
        self.node = node
        self.showtime_id = showtime_id
        self.holds: list[bytes] = []
        self.bookings: list[bytes] = []
        self.live: dict[int, dict[str, str]] = {}
        self.moments: list[tuple[int, int]] = []

    async def step(self, what: str, number: int) -> None:  # noqa: C901
        """One thing that happens; `number` chooses whom and which."""
        label = PLAN.labels[number % len(PLAN.labels)]
        customer = (ANNA, BERT)[number % 2]
        chosen_hold = self.holds[number % len(self.holds)] if self.holds else some_id()
        chosen_booking = self.bookings[number % len(self.bookings)] if self.bookings else some_id()
        match what:
            case "hold":
                command = hold(customer, label, key=some_id() if number % 3 else None)
                self.holds.append(command.hold_id)
                await self.ask(command)
            case "release":
                await self.ask(release(customer, chosen_hold))
            case "extend":
                await self.ask(extend(customer, chosen_hold))
            case "book":
                command = book(customer, chosen_hold)
                self.bookings.append(command.booking_id)
                await self.ask(command)
            case "cancel":
                await self.ask(cancel(customer, chosen_booking))
            case "block":
                await self.ask(BlockSeats(command_id=some_id(), labels=[label]))
            case "unblock":
                await self.ask(UnblockSeats(command_id=some_id(), labels=[label]))
            case "pause":
                await self.ask(PauseSales(command_id=some_id()))
            case "resume":
                await self.ask(ResumeSales(command_id=some_id()))
            case "plan":
                plan = PLANS[1 + number % 3]
                prices = (900 + number,)
                await self.ask(ChangePlan(command_id=some_id(), plan=plan, prices_minor=prices))
                terms = self.world.terms.of[self.showtime_id]
                changed = msgspec.structs.replace(terms, plan=plan, prices_minor=prices)
                self.world.terms.of[self.showtime_id] = changed
            case "wait":
                await asyncio.sleep(number)
            case "passivate":
                await dismiss(self.node.kernel, self.showtime_id, patience_s=5.0)
        seq, seats, now_us = await live(self.node, self.showtime_id)
        self.live[seq] = seats
        self.moments.append((now_us, seq))
        await asyncio.sleep(0.01)

    async def ask(self, message: Any) -> None:
        await self.node.ask(self.showtime_id, message)


STEPS = ("hold", "hold", "hold", "release", "extend", "book", "cancel", "block", "unblock")
SELDOM = ("pause", "resume", "plan", "wait", "passivate")


@hypothesis.settings(max_examples=40)
@hypothesis.given(
    steps=st.lists(
        st.tuples(st.sampled_from([*STEPS, *SELDOM]), st.integers(0, 99)), min_size=1, max_size=40
    ),
    snapshot_every=st.sampled_from([1, 5, 1000]),
)
def test_the_past_is_what_was_live_then(steps: list[tuple[str, int]], snapshot_every: int) -> None:
    async def run() -> None:
        world = World()
        node = await world.node(snapshot_every_events=snapshot_every)
        story = Story(world, node, world.showtime())
        for what, number in steps:
            await story.step(what, number)
        history = history_of(world, node)
        for seq, seats in story.live.items():
            seen = await history.seats_at(story.showtime_id, SeatsAtQuery(seq=seq))
            assert seen.seq == seq
            assert shown(seen) == seats
        for now_us, seq in story.moments:
            seen = await history.seats_at(story.showtime_id, SeatsAtQuery(at=moment(now_us)))
            assert (seen.seq, shown(seen)) == (seq, story.live[seq])
        await stop(world)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())


async def code_of(work: Any) -> tuple[str, Any]:
    """The code and details of a refusal that must come."""
    with pytest.raises(Refused) as refused:
        await work
    return refused.value.rejection.code, refused.value.rejection.details


async def told(world: World, **settings: Any) -> tuple[Node, bytes, HistoryService]:
    """A showtime with six events: three holds, each booked."""
    showtime_id = world.showtime()
    node = await world.warm_node(showtime_id, **settings)
    for label in ("A1", "A2", "A3"):
        placed = hold(ANNA, label)
        await node.ask(showtime_id, placed)
        await node.ask(showtime_id, book(ANNA, placed.hold_id))
        await asyncio.sleep(1.0)
    return node, showtime_id, history_of(world, node)


@in_virtual_time
async def test_before_the_first_event_everything_is_free() -> None:
    async with audited_world() as world:
        _, showtime_id, history = await told(world)
        for query in (SeatsAtQuery(seq=0), SeatsAtQuery(at=moment(1))):
            seen = await history.seats_at(showtime_id, query)
            assert (seen.seq, seen.epoch, seen.at) == (0, None, None)
            assert set(shown(seen).values()) == {"available"}


@in_virtual_time
async def test_a_taken_seat_says_whose_it_was() -> None:
    async with audited_world() as world:
        _, showtime_id, history = await told(world)
        one = {
            seat.label: seat
            for seat in (await history.seats_at(showtime_id, SeatsAtQuery(seq=1))).seats
        }
        assert (one["A1"].status, one["A1"].booking_id) == ("held", None)
        assert one["A1"].hold_id is not None
        assert one["A1"].customer_id is not None
        two = {
            seat.label: seat
            for seat in (await history.seats_at(showtime_id, SeatsAtQuery(seq=2))).seats
        }
        assert (two["A1"].status, two["A1"].hold_id) == ("booked", None)
        assert two["A1"].booking_id is not None
        assert two["A2"].customer_id is None


@in_virtual_time
async def test_what_has_not_happened_yet_cannot_be_seen() -> None:
    async with audited_world() as world:
        node, showtime_id, history = await told(world)
        assert await code_of(history.seats_at(showtime_id, SeatsAtQuery(seq=7))) == (
            "IN_THE_FUTURE",
            {"last_seq": 6},
        )
        tomorrow = moment(node.clock.now_us()) + timedelta(days=1)
        code, _ = await code_of(history.seats_at(showtime_id, SeatsAtQuery(at=tomorrow)))
        assert code == "IN_THE_FUTURE"
        both = SeatsAtQuery(seq=1, at=moment(1))
        assert (await code_of(history.seats_at(showtime_id, both)))[0] == "VALIDATION_ERROR"


@in_virtual_time
async def test_what_the_journal_no_longer_has_is_gone_and_the_rest_remains() -> None:
    async with audited_world() as world:
        node, showtime_id, history = await told(world)
        before = (await history.seats_at(showtime_id, SeatsAtQuery())).at
        await node.kernel.truncate(showtime_id)
        await asyncio.sleep(0.1)
        await node.ask(showtime_id, hold(BERT, "B1"))
        assert world.journal.journal[showtime_id][0].seq == 7
        for query in (SeatsAtQuery(seq=0), SeatsAtQuery(seq=5), SeatsAtQuery(at=moment(1))):
            assert await code_of(history.seats_at(showtime_id, query)) == (
                "HISTORY_TRUNCATED",
                {"first_seq": 7},
            )
        six = await history.seats_at(showtime_id, SeatsAtQuery(seq=6))
        assert (six.seq, six.epoch, six.at) == (6, None, before)
        assert six.counts.booked == 3
        seven = await history.seats_at(showtime_id, SeatsAtQuery(seq=7))
        assert (seven.epoch, seven.counts.held) == (1, 1)
        events, meta = await history.events(showtime_id, JournalQuery())
        assert [one.seq for one in events] == [7]
        assert (meta.first_seq, meta.last_seq) == (7, 7)


@in_virtual_time
async def test_a_moment_just_past_waits_for_what_is_on_its_way_to_the_disk() -> None:
    async with audited_world() as world:
        node, showtime_id, history = await told(world)
        node.store.held.add("append")
        mail = node.tell(showtime_id, hold(BERT, "B1"))
        append = await node.store.next("append")
        now = moment(node.clock.now_us())
        asked = asyncio.ensure_future(history.seats_at(showtime_id, SeatsAtQuery(at=now)))
        await asyncio.sleep(0.5)
        assert not asked.done()
        node.store.held.clear()
        append.finish()
        assert (await asked).seq == 7
        assert mail.code == "OK"


@in_virtual_time
async def test_a_showtime_that_cannot_be_read_now_still_has_its_past() -> None:
    async with audited_world() as world:
        node, showtime_id, history = await told(world)
        then = moment(node.clock.now_us())
        await asyncio.sleep(200.0)
        node.store.down["confirm"] = node.store.down["append"] = StoreUnavailable("gone")
        assert (await history.seats_at(showtime_id, SeatsAtQuery(at=then))).seq == 6
        assert (await code_of(history.seats_at(showtime_id, SeatsAtQuery())))[0] == "RETRY"


@in_virtual_time
async def test_the_journal_is_read_in_pages_from_either_end() -> None:
    async with audited_world() as world:
        _, showtime_id, history = await told(world)
        names = ["SeatsHeld", "HoldBooked"] * 3
        found: list[Any] = []
        cursor = None
        while True:
            page, meta = await history.events(showtime_id, JournalQuery(limit=4, cursor=cursor))
            found += page
            cursor = meta.next_cursor
            if cursor is None:
                break
        assert [one.event for one in found] == names
        assert [one.seq for one in found] == [1, 2, 3, 4, 5, 6]
        assert all(one.seats for one in found)
        assert [one.at for one in found] == sorted(one.at for one in found)
        last, meta = await history.events(showtime_id, JournalQuery(last=2))
        assert [one.seq for one in last] == [5, 6]
        assert meta.next_cursor is None
        from_four, _ = await history.events(showtime_id, JournalQuery(from_seq=4))
        assert [one.seq for one in from_four] == [4, 5, 6]


@in_virtual_time
async def test_events_are_shown_with_the_labels_of_their_own_plan() -> None:
    async with audited_world() as world:
        showtime_id = world.showtime()
        node = await world.node()
        story = Story(world, node, showtime_id)
        await story.step("block", 26)  # B2
        await story.step("unblock", 26)
        await story.step("plan", 1)
        await node.ask(showtime_id, BlockSeats(command_id=some_id(), labels=["E25"]))
        await node.ask(showtime_id, UnblockSeats(command_id=some_id(), labels=["E25"]))
        await story.step("plan", 2)
        await dismiss(node.kernel, showtime_id, patience_s=5.0)
        history = history_of(world, node)
        events, _ = await history.events(showtime_id, JournalQuery())
        assert [one.seats for one in events] == [["B2"], ["B2"], [], ["E25"], ["E25"], []]
        assert [one.layout_version for one in events] == [None, None, 2, None, None, 3]
        (middle,), _ = await history.events(showtime_id, JournalQuery(from_seq=4, limit=1))
        assert middle.seats == ["E25"]
        seat, meta = await history.seat(showtime_id, "E25", SeatHistoryQuery())
        assert [(one.event, one.status) for one in seat] == [
            ("SeatsBlocked", "blocked"),
            ("SeatsUnblocked", "available"),
            ("PlanChanged", None),
        ]
        assert meta.next_cursor is None
        code, _ = await code_of(history.seat(showtime_id, "Z9", SeatHistoryQuery()))
        assert code == "NOT_FOUND"


@in_virtual_time
async def test_a_plan_that_is_gone_takes_its_part_of_the_past_with_it() -> None:
    async with audited_world() as world:
        showtime_id = world.showtime()
        node = await world.node()
        story = Story(world, node, showtime_id)
        await story.step("block", 26)
        await story.step("plan", 1)
        plans = Plans(world)
        del plans.plans[1]
        history = HistoryService(node.store, plans, node.kernel.read_seats, node.clock)
        code, details = await code_of(history.seats_at(showtime_id, SeatsAtQuery(seq=1)))
        assert (code, details) == ("HISTORY_TRUNCATED", {"version": 1})


@in_virtual_time
async def test_the_life_of_a_seat_comes_in_pages() -> None:
    async with audited_world() as world:
        node, showtime_id, history = await told(world)
        (booking_id,) = {one.booking_id for one in await changes(history, showtime_id, "A1")} - {
            None
        }
        await node.ask(showtime_id, cancel(ANNA, booking_id.bytes))
        assert [one.status for one in await changes(history, showtime_id, "A1")] == [
            "held",
            "booked",
            "available",
        ]
        assert [one.status for one in await changes(history, showtime_id, "B7")] == []


async def changes(history: HistoryService, showtime_id: bytes, label: str) -> list[Any]:
    """All of a seat's history, one change a page."""
    found: list[Any] = []
    query = SeatHistoryQuery(limit=1)
    while True:
        page, meta = await history.seat(showtime_id, label, query)
        found += page
        assert len(page) <= 1
        if meta.next_cursor is None:
            return found
        query = SeatHistoryQuery(limit=1, cursor=meta.next_cursor)


@in_virtual_time
async def test_damaged_events_are_shown_as_such_and_end_a_replay() -> None:
    async with audited_world() as world:
        _, showtime_id, history = await told(world)
        rows = world.journal.journal[showtime_id]
        sound = list(rows)
        rows[2] = JournalRow(3, 1, rows[2].recorded_at_us, b"\xc1")
        events, _ = await history.events(showtime_id, JournalQuery())
        assert [one.event for one in events][1:4] == ["HoldBooked", "Unreadable", "HoldBooked"]
        assert (await history.seats_at(showtime_id, SeatsAtQuery(seq=2))).counts.booked == 1
        code, details = await code_of(history.seats_at(showtime_id, SeatsAtQuery(seq=4)))
        assert (code, details) == ("HISTORY_TRUNCATED", {"seq": 3})
        del rows[2]
        code, details = await code_of(history.seats_at(showtime_id, SeatsAtQuery(seq=4)))
        assert (code, details) == ("HISTORY_TRUNCATED", {"first_seq": 4})
        rows[:] = sound


@in_virtual_time
async def test_a_showtime_nobody_knows_and_a_store_that_is_away_are_told_apart() -> None:
    async with audited_world() as world:
        node, showtime_id, history = await told(world)
        unknown = some_id()
        for work in (
            history.events(unknown, JournalQuery()),
            history.seat(unknown, "A1", SeatHistoryQuery()),
            history.seats_at(unknown, SeatsAtQuery(seq=0)),
            history.seats_at(unknown, SeatsAtQuery()),
        ):
            assert (await code_of(work))[0] == "NOT_FOUND"
        for name in ("load", "history"):
            node.store.down = {name: StoreUnavailable("gone")}
            code, _ = await code_of(history.seats_at(showtime_id, SeatsAtQuery(seq=1)))
            assert code == "RETRY"
        node.store.down = {}


def test_a_moment_has_a_time_zone() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"at": "2026-06-01T18:00:00"}, SeatsAtQuery, strict=False)
    read = msgspec.convert({"at": "2026-06-01T18:00:00Z"}, SeatsAtQuery, strict=False)
    assert isinstance(read.at, datetime)
