"""No step of the loop does much, however many showtimes are in memory; work is counted by step."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from cinema.actors import actor as actor_module
from cinema.actors import snapshots
from cinema.actors.actor import HOLDS_A_LOOK, Phase
from cinema.actors.inspection import phases
from cinema.actors.kernel import PASSIVATION_FAILED
from cinema.actors.messages import SeatsSeen, Watch
from cinema.actors.recency import Recency
from cinema.actors.slices import Slices
from cinema.domain.limits import (
    DUE_PER_STEP,
    PASSIVATING_AT_ONCE,
    PASSIVATIONS_PER_STEP,
    SLICE_NS,
    SLICE_PIECES,
    SURPLUS_PAUSE_TICKS,
    TICK_S,
    TURN_COMMANDS,
)
from cinema.domain.showtime.commands import HoldBestAvailable
from cinema.storage.journal.store import StoreUnavailable
from tests.support import inspection
from tests.support.actors.auditor import Feed
from tests.support.actors.bugs import break_down_once
from tests.support.actors.neighbourhood import pair
from tests.support.actors.step_counts import StepCounts
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import (
    ANNA,
    HOLD_TTL_S,
    PLAN,
    Node,
    World,
    accepted,
    audited_world,
    hold,
    release,
    some_id,
)

MANY = 3 * PASSIVATIONS_PER_STEP + 5
IDLE_S = 1.0


async def residents(world: World, count: int, **settings: Any) -> tuple[Node, list[bytes]]:
    """A node with that many showtimes in memory, each with a hold to be snapshot."""
    node = await world.node(**settings)
    showtimes = [world.showtime() for _ in range(count)]
    mails = [node.tell(showtime, hold(ANNA, "A1")) for showtime in showtimes]
    await asyncio.gather(*(mail.answered.wait() for mail in mails))
    assert node.kernel.resident_count == count
    return node, showtimes


def stepper(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> StepCounts:
    """Counts the calls of a function of a module."""
    steps = StepCounts()
    monkeypatch.setattr(module, name, steps.counted(getattr(module, name)))
    return steps


# --- leaving memory


@in_virtual_time
async def test_showtimes_that_fall_idle_together_are_encoded_over_many_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        node, _ = await residents(world, MANY, idle_passivation_s=IDLE_S)
        steps = stepper(monkeypatch, snapshots, "encode_snapshot")
        await asyncio.sleep(3 * IDLE_S)
        assert steps.most <= PASSIVATIONS_PER_STEP
        assert steps.total == MANY
        assert node.kernel.resident_count == 0


@in_virtual_time
async def test_a_stop_encodes_over_many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    async with audited_world() as world:
        node, showtimes = await residents(world, MANY)
        steps = stepper(monkeypatch, snapshots, "encode_snapshot")
        await node.kernel.stop(5)
        assert steps.most <= PASSIVATIONS_PER_STEP
        assert steps.total == MANY
        assert all(world.journal.heads[one].released for one in showtimes)


@in_virtual_time
async def test_a_stop_encodes_no_more_than_its_time_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        node, _ = await residents(world, MANY)
        clock: Any = node.clock
        real = clock.boot_ns

        def later(*arguments: Any) -> Any:
            clock.boot_ns = lambda: real() + 2_000_000_000
            return encode(*arguments)

        encode = snapshots.encode_snapshot
        monkeypatch.setattr(snapshots, "encode_snapshot", later)
        await node.kernel.stop(1)
        assert node.kernel.resident_count == MANY - 1


@in_virtual_time
async def test_few_showtimes_are_on_their_way_out_at_once() -> None:
    count = PASSIVATING_AT_ONCE + 40
    for stops in (False, True):
        async with audited_world() as world:
            node, _ = await residents(world, count, idle_passivation_s=IDLE_S)
            node.store.held.add("save")
            stopping = asyncio.ensure_future(node.kernel.stop(5)) if stops else None
            await asyncio.sleep(2 * IDLE_S)
            leaving = Counter(one.phase for one in inspection.actors_of(node.kernel).values())
            assert leaving[Phase.PASSIVATING] == PASSIVATING_AT_ONCE
            node.store.held.clear()
            for call in node.store.calls:
                call.finish()
            await asyncio.sleep(1)
            assert node.kernel.resident_count == 0
            if stopping is not None:
                await stopping


@in_virtual_time
async def test_a_large_showtime_has_a_step_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    async with audited_world() as world:
        node, _ = await residents(world, 5)
        clock: Any = node.clock
        real, late_ns = clock.boot_ns, 0

        def slow(*arguments: Any) -> Any:
            nonlocal late_ns
            late_ns += 2 * SLICE_NS
            return encode(*arguments)

        encode = snapshots.encode_snapshot
        clock.boot_ns = lambda: real() + late_ns
        monkeypatch.setattr(snapshots, "encode_snapshot", slow)
        steps = stepper(monkeypatch, snapshots, "encode_snapshot")
        await node.kernel.stop(5)
        assert steps.most == 1
        assert steps.total == 5


@in_virtual_time
async def test_a_showtime_that_could_not_be_given_back_leaves_at_the_next_look() -> None:
    async with audited_world() as world:
        node, (showtime,) = await residents(world, 1, idle_passivation_s=IDLE_S)
        node.store.held.add("save")
        save = await node.store.next("save")
        node.tell(showtime, release(ANNA, some_id()))
        node.store.held.clear()
        save.fail(StoreUnavailable("gone"))
        await settle()
        assert node.kernel.is_resident(showtime)
        await asyncio.sleep(2 * IDLE_S)
        assert not node.kernel.is_resident(showtime)


@in_virtual_time
async def test_a_showtime_that_meets_a_bug_on_its_way_out_stays_and_harms_nobody(
    monkeypatch: pytest.MonkeyPatch, logged: list[Any]
) -> None:
    async with audited_world() as world:
        node, showtimes = await residents(world, 3, idle_passivation_s=IDLE_S)
        break_down_once(monkeypatch, actor_module, "prepare_snapshot")
        await asyncio.sleep(1.3 * IDLE_S)
        (stays,) = (one for one in showtimes if node.kernel.is_resident(one))
        errors = [one["event"] for one in logged if one["log_level"] == "error"]
        assert errors == [PASSIVATION_FAILED]
        assert accepted(await node.ask(stays, hold(ANNA, "A2"))).epoch == 1
        await asyncio.sleep(2 * IDLE_S)
        assert node.kernel.resident_count == 0


@in_virtual_time
async def test_a_surplus_that_cannot_leave_is_not_looked_at_all_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        node = await world.node(max_resident_showtimes=1)
        node.store.held.add("append")
        for _ in range(3):
            node.tell(world.showtime(), hold(ANNA, "A1"))
        await settle()
        looks = StepCounts()
        inspection.count_looks(monkeypatch, node.kernel, looks.counted)
        await asyncio.sleep(20.5 * SURPLUS_PAUSE_TICKS * TICK_S)
        assert 3 * 19 <= looks.total <= 3 * 21
        for call in node.store.calls:
            call.finish()
        node.store.held.clear()
        await asyncio.sleep(2 * SURPLUS_PAUSE_TICKS * TICK_S)
        assert node.kernel.resident_count == 1


# --- watched showtimes


@in_virtual_time
async def test_no_more_showtimes_are_watched_than_may_be_in_memory() -> None:
    async with audited_world() as world:
        showtimes = [world.showtime() for _ in range(4)]
        node = await world.node(max_resident_showtimes=2, max_watched_showtimes=2)
        feeds = [(await node.watch(one))[0] for one in showtimes[:2]]
        third = node.tell(showtimes[2], Watch(feed=Feed(world.auditor, showtimes[2])))
        await settle()
        assert third.code == "OVERLOADED"
        # One that is watched already takes more watchers, and others are served.
        await node.watch(showtimes[0])
        assert accepted(await node.ask(showtimes[3], hold(ANNA, "A1"))).seq == 1
        await asyncio.sleep(1)
        assert node.kernel.resident_count == 2
        node.kernel.unwatch(showtimes[1], feeds[1])
        _, seen = await node.watch(showtimes[2])
        assert isinstance(seen, SeatsSeen)
        await asyncio.sleep(2)
        assert {one for one in showtimes if node.kernel.is_resident(one)} == {
            showtimes[0],
            showtimes[2],
        }


@in_virtual_time
async def test_a_watched_showtime_that_breaks_while_the_node_stops_is_counted_no_more() -> None:
    async with audited_world() as world:
        node = await world.node()
        showtime = world.showtime()
        feed, _ = await node.watch(showtime)
        assert node.kernel.watched.count == 1
        node.store.held.add("append")
        mail = node.tell(showtime, hold(ANNA, "A1"))
        await node.store.next("append")
        stopping = asyncio.ensure_future(node.kernel.stop(1))
        await settle()
        assert node.actor(showtime).phase is Phase.SERVING
        node.actor(showtime).fail("a bug")
        await stopping
        assert mail.code == "OUTCOME_UNKNOWN"
        assert node.kernel.watched.count == 0
        assert feed.times_lost == 1


@in_virtual_time
async def test_watched_showtimes_are_looked_at_once_and_then_when_they_are_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        node = await world.node(idle_passivation_s=IDLE_S)
        showtime = world.showtime()
        feed, _ = await node.watch(showtime)
        looks = StepCounts()
        inspection.count_looks(monkeypatch, node.kernel, looks.counted)
        await asyncio.sleep(20 * IDLE_S)
        assert looks.total == 1
        node.kernel.unwatch(showtime, feed)
        node.kernel.unwatch(showtime, feed)
        await asyncio.sleep(2 * IDLE_S)
        assert not node.kernel.is_resident(showtime)
        assert node.kernel.watched.count == 0


# --- ticks


@in_virtual_time
async def test_holds_that_come_due_together_are_woken_over_many_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        node, _ = await residents(world, 1)
        queue = inspection.due_of(node.kernel)
        due_us = node.clock.now_us() + 1
        for _ in range(2 * DUE_PER_STEP + 7):
            queue.add(due_us, some_id())
        steps = StepCounts()
        counted = _Counted(inspection.actors_of(node.kernel), steps)
        inspection.replace_actors(monkeypatch, node.kernel, counted)
        await asyncio.sleep(2.5 * TICK_S)
        assert steps.most <= DUE_PER_STEP
        assert steps.total == 2 * DUE_PER_STEP + 7
        await asyncio.sleep(HOLD_TTL_S)


class _Counted(dict[bytes, Any]):
    """Counts who is looked up."""

    def __init__(self, real: dict[bytes, Any], steps: StepCounts) -> None:
        super().__init__(real)
        self._steps = steps

    def get(self, key: bytes, default: Any = None) -> Any:
        self._steps.note()
        return super().get(key, default)


@in_virtual_time
async def test_strangers_are_looked_for_over_many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        old.hood.owner[showtime] = new
        hood = old.hood.owner
        for _ in range(2 * SLICE_PIECES):
            one = some_id()
            hood[one] = old
            inspection.actors_of(old.node.kernel)[one] = old.node.actor(showtime)
        steps = StepCounts()
        monkeypatch.setattr(old, "owns", steps.counted(old.owns))
        assert await old.node.kernel.showtimes_of_others() == [showtime]
        assert steps.most <= SLICE_PIECES
        for one in [one for one in hood if one != showtime]:
            del inspection.actors_of(old.node.kernel)[one]


# --- batches


@in_virtual_time
async def test_a_batch_looks_at_no_more_actors_than_it_may_need(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit = 4
    async with audited_world() as world:
        node, showtimes = await residents(world, 20 * limit, batch_limit_events=limit)
        (lane,) = inspection.lanes_of(node.kernel)
        ready = _CountedKeys()
        inspection.replace_ready(monkeypatch, lane, ready)
        mails = [node.tell(one, hold(ANNA, "A2")) for one in showtimes]
        await asyncio.gather(*(mail.answered.wait() for mail in mails))
        assert {mail.code for mail in mails} == {"OK"}
        assert max(ready.looks) == 2 * limit


class _CountedKeys(dict[Any, None]):
    """Counts how many are looked at each time that somebody goes through them."""

    def __init__(self) -> None:
        super().__init__()
        self.looks: list[int] = []

    def __iter__(self) -> Any:
        self.looks.append(0)
        for one in super().__iter__():
            self.looks[-1] += 1
            yield one


# --- what is told of all


@in_virtual_time
async def test_phases_are_counted_over_many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    async with audited_world() as world:
        node, (showtime,) = await residents(world, 1)
        actors = inspection.actors_of(node.kernel)
        for _ in range(2 * SLICE_PIECES):
            actors[some_id()] = node.actor(showtime)
        steps = StepCounts()
        inspection.replace_actors(monkeypatch, node.kernel, _CountedValues(actors, steps))
        assert await phases(node.kernel) == {"serving": 2 * SLICE_PIECES + 1}
        assert steps.most <= SLICE_PIECES
        for one in [one for one in actors if one != showtime]:
            del actors[one]
        monkeypatch.undo()


@in_virtual_time
async def test_mail_is_told_without_a_look_at_any_actor(monkeypatch: pytest.MonkeyPatch) -> None:
    async with audited_world() as world:
        node, showtimes = await residents(world, 3)
        mails = [node.tell(one, hold(ANNA, "A2")) for one in showtimes]
        steps = StepCounts()
        with monkeypatch.context() as patched:
            counted = _CountedValues(inspection.actors_of(node.kernel), steps)
            inspection.replace_actors(patched, node.kernel, counted)
            assert node.kernel.mailbox_depth == 3
        assert steps.total == 0
        await asyncio.gather(*(mail.answered.wait() for mail in mails))
        assert node.kernel.mailbox_depth == 0


class _CountedValues(dict[bytes, Any]):
    """Counts whose phase or mail is asked for."""

    def __init__(self, real: dict[bytes, Any], steps: StepCounts) -> None:
        super().__init__(real)
        self._steps = steps

    def values(self) -> Any:
        return [_CountedActor(actor, self._steps) for actor in super().values()]


class _CountedActor:
    def __init__(self, actor: Any, steps: StepCounts) -> None:
        self._actor = actor
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        self._steps.note()
        return getattr(self._actor, name)


# --- turns


class _SlowDecisions:
    """Each decision takes a while by the clock of a node."""

    def __init__(self, node: Node, monkeypatch: pytest.MonkeyPatch, each_ns: int) -> None:
        self.late_ns = 0
        clock: Any = node.clock
        real, decide = clock.boot_ns, actor_module.decide
        clock.boot_ns = lambda: real() + self.late_ns

        def slow(*arguments: Any) -> Any:
            self.late_ns += each_ns
            return decide(*arguments)

        monkeypatch.setattr(actor_module, "decide", slow)


def seats_of(accepted: Any) -> list[str]:
    return [PLAN.labels[seat] for seat in accepted.event.seats]


def _some(seat: int) -> HoldBestAvailable:
    return HoldBestAvailable(
        command_id=some_id(),
        fingerprint=b"",
        hold_id=some_id(),
        customer=ANNA,
        quantity=seat % 2 + 1,
    )


@pytest.mark.parametrize(
    ("command", "each_ns", "most"),
    [
        # Holds of named seats are quick: not each of them is worth a look at the clock.
        (lambda seat: hold(ANNA, f"A{seat}"), 14_000_000, 1),
        (lambda seat: hold(ANNA, f"A{seat}"), 2_000_000, HOLDS_A_LOOK + 1),
        (lambda seat: hold(ANNA, f"A{seat}"), 0, 10),
        (_some, 14_000_000, 1),
        (_some, 2_000_000, 3),
    ],
)
@in_virtual_time
async def test_a_turn_gives_way_once_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch, command: Callable[[int], Any], each_ns: int, most: int
) -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        _SlowDecisions(node, monkeypatch, each_ns)
        steps = stepper(monkeypatch, actor_module, "decide")
        mails = [node.tell(showtime, command(seat)) for seat in range(1, 11)]
        late = node.tell(showtime, hold(ANNA, "A1"))
        await asyncio.gather(*(mail.answered.wait() for mail in (*mails, late)))
        assert steps.most <= most + (not each_ns)
        assert [mail.outcome.seq for mail in mails] == list(range(1, 11))
        taken = {label for mail in mails for label in seats_of(mail.outcome)}
        assert late.code == ("SEAT_UNAVAILABLE" if "A1" in taken else "OK")


@in_virtual_time
async def test_a_full_turn_of_slow_decisions_gives_way_and_keeps_the_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        _SlowDecisions(node, monkeypatch, 1_000_000)
        steps = stepper(monkeypatch, actor_module, "decide")
        mails = [node.tell(showtime, release(ANNA, some_id())) for _ in range(TURN_COMMANDS + 9)]
        await asyncio.gather(*(mail.answered.wait() for mail in mails))
        assert steps.most < TURN_COMMANDS
        assert [mail for mail in node.order if mail in mails] == mails


@in_virtual_time
async def test_a_slow_showtime_lets_others_and_newcomers_have_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        slow, quick = world.showtime(), world.showtime()
        node = await world.node()
        for showtime in (slow, quick):
            await node.ask(showtime, release(ANNA, some_id()))
        _SlowDecisions(node, monkeypatch, 14_000_000)
        first = [node.tell(slow, release(ANNA, some_id())) for _ in range(3)]
        other = node.tell(quick, release(ANNA, some_id()))
        await asyncio.sleep(0)
        last = node.tell(slow, release(ANNA, some_id()))
        await settle()
        order = [mail for mail in node.order if mail in (*first, other, last)]
        assert order.index(other) == 1
        assert [mail for mail in order if mail is not other] == [*first, last]


# --- the tools


@in_virtual_time
async def test_a_slice_ends_by_count_or_by_time() -> None:
    now_ns = 0
    steps = StepCounts()
    slices = Slices(lambda: now_ns, pieces=4)
    for piece in range(12):
        steps.note()
        now_ns += SLICE_NS // 2 if piece >= 8 else 0
        await slices.give_way()
    assert list(steps.work.values()) == [4, 4, 2, 2]


def test_the_oldest_comes_first_and_none_before_its_time() -> None:
    recency = Recency()
    assert recency.take(100) is None
    for tick, name in [(30, b"c"), (10, b"a"), (20, b"b"), (10, b"d")]:
        recency.add(tick, name)
    assert recency.take(9) is None
    taken = [recency.take(25) for _ in range(4)]
    assert {taken[0], taken[1]} == {(10, b"a"), (10, b"d")}
    assert taken[2:] == [(20, b"b"), None]
    recency.add(5, b"e")
    assert [recency.take(30), recency.take(30), recency.take(30)] == [(5, b"e"), (30, b"c"), None]
