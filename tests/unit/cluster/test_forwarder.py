"""Any node takes any message: it reaches the owner, wherever that is, or is answered in time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import structlog

from cinema.actors.messages import (
    NO_SHOWTIME,
    HoldSeen,
    ReadHold,
    ReadSeats,
    SeatsSeen,
    TruncateJournal,
)
from cinema.cluster.forwarder import HOPS_MAX, LATE_ANSWER_NS, PARKED_S, RELEASE_WAIT_S
from cinema.domain.seatmap import grid_layout, parse_layout
from cinema.domain.showtime.commands import (
    BlockSeats,
    ChangePlan,
    ExpireDue,
    HoldBestAvailable,
    PauseSales,
    ResumeSales,
    UnblockSeats,
)
from tests.support import inspection
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import (
    ANNA,
    BERT,
    PLAN,
    SETTINGS,
    accepted,
    book,
    cancel,
    extend,
    hold,
    release,
    some_id,
)
from tests.unit.cluster.small_cluster import (
    HEARTBEAT_TIMEOUT_S,
    Place,
    SmallCluster,
    blindfold,
    small_cluster,
)

LEASE_S = SETTINGS.lease_ms / 1000
DEADLINE_S = SETTINGS.command_deadline_ms / 1000
LATE_S = LATE_ANSWER_NS / 1e9


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """The log events of the test, instead of lines and tracebacks on the terminal."""
    with structlog.testing.capture_logs() as events:
        yield events


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _moved(cluster: SmallCluster, observer: Place, before: Place, after: Place) -> bytes:
    """A showtime of `after` that an observer with an older view takes for another's."""
    while True:
        showtime = cluster.showtime_of(after)
        if observer.forwarder.placement.owner_of(showtime) == before.me:
            return showtime


# --- every kind of message


@in_virtual_time
async def test_every_message_is_answered_by_the_owner_as_if_it_were_asked_there() -> None:
    async with small_cluster() as cluster:
        one, owner = await cluster.members(2)
        showtime = cluster.showtime_of(owner)
        wish = hold(ANNA, "A1", "A2", key=some_id())
        held = accepted(await one.ask(showtime, wish))
        assert (held.seq, held.epoch, held.replayed) == (1, 1, False)
        assert held.terms.currency == "EUR"
        again = accepted(await one.ask(showtime, wish))
        assert (again.seq, again.event, again.replayed) == (1, held.event, True)
        best = HoldBestAvailable(command_id=some_id(), hold_id=some_id(), customer=BERT, quantity=2)
        assert len(accepted(await one.ask(showtime, best)).event.seats) == 2
        assert accepted(await one.ask(showtime, extend(ANNA, wish.hold_id))).seq == 3
        assert accepted(await one.ask(showtime, release(ANNA, wish.hold_id, "A2"))).seq == 4
        seen = await one.ask(showtime, ReadHold(hold_id=wish.hold_id, customer=ANNA))
        assert isinstance(seen, HoldSeen)
        assert seen == await owner.ask(showtime, ReadHold(hold_id=wish.hold_id, customer=ANNA))
        sold = book(ANNA, wish.hold_id)
        assert accepted(await one.ask(showtime, sold)).event.code == sold.code
        seats = await one.ask(showtime, ReadSeats(customer=ANNA))
        assert isinstance(seats, SeatsSeen)
        assert (seats.seq, seats.mine) == (5, {PLAN.index["A1"]})
        assert seats == await owner.ask(showtime, ReadSeats(customer=ANNA))
        assert accepted(await one.ask(showtime, cancel(ANNA, sold.booking_id))).seq == 6
        for command in (
            BlockSeats(command_id=some_id(), labels=["D1"]),
            PauseSales(command_id=some_id()),
        ):
            assert accepted(await one.ask(showtime, command)).event is not None
        refused = await one.ask(showtime, hold(BERT, "D2"))
        assert refused.code == "SALES_PAUSED"
        for command in (
            UnblockSeats(command_id=some_id(), labels=["D1"]),
            ResumeSales(command_id=some_id()),
        ):
            assert accepted(await one.ask(showtime, command)).event is not None
        same = accepted(await one.ask(showtime, ResumeSales(command_id=some_id())))
        assert (same.event, same.seq) == (None, 10)
        assert owner.kernel.is_resident(showtime)
        assert not one.kernel.is_resident(showtime)


@in_virtual_time
async def test_refusals_come_with_all_they_say() -> None:
    async with small_cluster() as cluster:
        one, owner = await cluster.members(2)
        showtime = cluster.showtime_of(owner)
        await owner.ask(showtime, hold(ANNA, "A1"))
        refused = await one.ask(showtime, hold(BERT, "A1", "A2"))
        assert refused == await owner.ask(showtime, hold(BERT, "A1", "A2"))
        assert (refused.code, refused.details) == ("SEAT_UNAVAILABLE", {"seats": ["A1"]})


@in_virtual_time
async def test_a_showtime_that_is_none_is_none_from_everywhere() -> None:
    async with small_cluster() as cluster:
        one, owner = await cluster.members(2)
        unknown = next(iter(filter(owner.owns, (some_id() for _ in range(1000)))))
        assert await one.ask(unknown, hold(ANNA, "A1")) == NO_SHOWTIME
        assert await one.forwarder.read_seats(unknown, ReadSeats()) == NO_SHOWTIME
        assert not await one.forwarder.exists(unknown)
        showtime = cluster.showtime_of(owner)
        assert await one.forwarder.exists(showtime)
        assert not one.kernel.is_resident(showtime)


@in_virtual_time
async def test_what_is_the_owners_own_business_is_not_sent() -> None:
    async with small_cluster() as cluster:
        one, owner = await cluster.members(2)
        showtime = cluster.showtime_of(owner)
        await owner.ask(showtime, hold(ANNA, "A1"))
        plan = parse_layout(grid_layout(4, 25), 2)
        for message in (
            TruncateJournal(),
            ExpireDue(command_id=b""),
            ChangePlan(command_id=some_id(), plan=plan, prices_minor=(1,)),
        ):
            outcomes: list[Any] = []
            one.forwarder.tell(showtime, message, outcomes.append)
            assert [outcome.code for outcome in outcomes] == ["RETRY"]
        await one.forwarder.truncate(showtime)
        assert len(cluster.world.journal.journal[showtime]) == 1
        await owner.forwarder.truncate(showtime)
        await settle()
        assert cluster.world.journal.journal[showtime] == []


@in_virtual_time
async def test_seats_are_read_without_waking_a_showtime_of_this_node() -> None:
    async with small_cluster() as cluster:
        one, owner = await cluster.members(2)
        showtime = cluster.showtime_of(owner)
        seen = await owner.forwarder.read_seats(showtime, ReadSeats())
        assert isinstance(seen, SeatsSeen)
        assert not owner.kernel.is_resident(showtime)
        seen = await one.forwarder.read_seats(showtime, ReadSeats())
        assert isinstance(seen, SeatsSeen)
        assert not one.kernel.is_resident(showtime)


@in_virtual_time
async def test_the_same_key_through_two_nodes_has_one_effect() -> None:
    async with small_cluster() as cluster:
        one, other, owner = await cluster.members(3)
        showtime = cluster.showtime_of(owner)
        wish = hold(ANNA, "A1", key=some_id())
        first, second = await asyncio.gather(one.ask(showtime, wish), other.ask(showtime, wish))
        assert accepted(first).event == accepted(second).event
        assert {first.replayed, second.replayed} == {True, False}
        assert cluster.world.events(showtime) == ["SeatsHeld"]


@in_virtual_time
async def test_a_reply_that_fails_harms_nobody_else(logged: list[Any]) -> None:
    async with small_cluster() as cluster:
        one, owner = await cluster.members(2)
        showtime = cluster.showtime_of(owner)
        await one.ask(showtime, hold(ANNA, "A1"))

        def fail(_outcome: object) -> None:
            raise RuntimeError("a bug")

        one.forwarder.tell(showtime, ReadSeats(), fail)
        mail = one.tell(showtime, hold(BERT, "A2"))
        await mail.answered.wait()
        assert mail.code == "OK"
        assert "forwarded_answer_failed" in [event["event"] for event in logged]


# --- terms, which answers do not carry


@in_virtual_time
async def test_terms_are_looked_up_once_for_all_answers_of_a_showtime() -> None:
    async with small_cluster() as cluster:
        one, owner = await cluster.members(2)
        showtime = cluster.showtime_of(owner)
        for label in ("A1", "A2", "A3"):
            accepted(await one.ask(showtime, hold(ANNA, label)))
        assert one.plans.loads == 1
        assert (await one.ask(showtime, hold(ANNA, "A1"))).code == "SEAT_UNAVAILABLE"
        assert one.plans.loads == 1


@in_virtual_time
async def test_terms_of_no_more_showtimes_are_kept_than_may_be() -> None:
    async with small_cluster(terms_kept=2) as cluster:
        one, owner = await cluster.members(2)
        first, second, third = (cluster.showtime_of(owner) for _ in range(3))
        for showtime in (first, second, first, third, first):
            await one.ask(showtime, ReadSeats())
        assert one.plans.loads == 3
        # The one least recently asked for had to go.
        await one.ask(second, ReadSeats())
        assert one.plans.loads == 4


@in_virtual_time
async def test_terms_that_changed_at_the_owner_are_looked_up_anew() -> None:
    async with small_cluster() as cluster:
        one, owner = await cluster.members(2)
        showtime = cluster.showtime_of(owner)
        await one.ask(showtime, hold(ANNA, "A1"))
        shifted = parse_layout(grid_layout(4, 25), 2)
        prices = (2000,) * len(PLAN.categories)
        change = ChangePlan(command_id=some_id(), plan=shifted, prices_minor=prices)
        outcomes: list[Any] = []
        owner.forwarder.tell(showtime, change, outcomes.append)
        await settle()
        assert accepted(outcomes[0]).event.layout_version == 2
        cluster.world.terms.of[showtime] = msgspec.structs.replace(
            cluster.world.terms.of[showtime], plan=shifted, prices_minor=prices
        )
        seen = await one.ask(showtime, ReadSeats())
        assert seen.terms.plan.version == 2
        assert seen.terms.prices_minor == prices
        assert one.plans.loads == 2
        cluster.world.auditor.violations.clear()
        cluster.world.journal.ledger.clear()


@in_virtual_time
async def test_prices_are_those_of_the_answer_even_if_the_catalogue_has_others_by_now() -> None:
    async with small_cluster() as cluster:
        one, owner = await cluster.members(2)
        showtime = cluster.showtime_of(owner)
        await owner.ask(showtime, release(ANNA, some_id()))
        terms = cluster.world.terms.of[showtime]
        dearer = msgspec.structs.replace(terms, prices_minor=(9999,) * len(PLAN.categories))
        cluster.world.terms.of[showtime] = dearer
        for _ in range(2):
            seen = await one.ask(showtime, ReadSeats())
            assert seen.terms.prices_minor == terms.prices_minor


@in_virtual_time
async def test_an_answer_whose_terms_cannot_be_found_is_not_made_up(logged: list[Any]) -> None:
    async with small_cluster() as cluster:
        one, owner = await cluster.members(2)
        showtime = cluster.showtime_of(owner)
        await owner.ask(showtime, release(ANNA, some_id()))
        one.plans.load_terms = _unavailable  # type: ignore[method-assign]
        assert (await one.ask(showtime, ReadSeats())).code == "RETRY"
        # It was carried out: nobody may be told that it had no effect.
        assert (await one.ask(showtime, hold(ANNA, "A1"))).code == "OUTCOME_UNKNOWN"
        assert cluster.world.events(showtime) == ["SeatsHeld"]
        assert "forwarded_answer_failed" in [event["event"] for event in logged]


async def _unavailable(_showtime_id: bytes) -> None:
    from cinema.storage.journal.store import StoreUnavailable

    raise StoreUnavailable("away")


@in_virtual_time
async def test_an_answer_in_a_plan_that_is_no_more_is_not_made_up() -> None:
    async with small_cluster() as cluster:
        one, owner = await cluster.members(2)
        showtime = cluster.showtime_of(owner)
        await owner.ask(showtime, release(ANNA, some_id()))
        newer = parse_layout(grid_layout(4, 25), 2)
        terms = cluster.world.terms.of[showtime]
        cluster.world.terms.of[showtime] = msgspec.structs.replace(terms, plan=newer)
        asked: list[int] = []

        async def load_plan(_showtime_id: bytes, version: int) -> Any:
            asked.append(version)
            return PLAN if len(asked) > 1 else None

        one.plans.load_plan = load_plan  # type: ignore[method-assign]
        assert (await one.ask(showtime, ReadSeats())).code == "RETRY"
        seen = await one.ask(showtime, ReadSeats())
        assert seen.terms.plan is PLAN
        assert asked == [1, 1]


# --- views that differ


@in_virtual_time
async def test_a_message_to_a_former_owner_comes_back_and_goes_by_the_newer_view() -> None:
    async with small_cluster() as cluster:
        one, former = await cluster.members(2)
        take_off = blindfold(one)
        third = await cluster.member()
        await former.membership.refresh()
        showtime = _moved(cluster, one, former, third)
        mail = one.tell(showtime, hold(ANNA, "A1"))
        await asyncio.sleep(1)
        assert mail.outcome is None
        assert one.forwarder.metrics.misdirected > 0
        # It was nobody's to carry out.
        assert cluster.world.events(showtime) == []
        take_off()
        await mail.answered.wait()
        assert mail.code == "OK"
        assert third.kernel.is_resident(showtime)
        assert not former.kernel.is_resident(showtime)


@in_virtual_time
async def test_a_message_that_comes_before_the_view_does_waits_for_it() -> None:
    async with small_cluster() as cluster:
        one, other = await cluster.members(2)
        take_off = blindfold(other)
        # By the newest view everything is the other's; it knows nothing of that.
        await one.membership.drain()
        showtime = cluster.world.showtime()
        while other.owns(showtime):
            showtime = cluster.world.showtime()
        mail = one.tell(showtime, hold(ANNA, "A1"))
        await asyncio.sleep(1)
        assert mail.outcome is None
        assert one.forwarder.metrics.misdirected == 0
        # It counts among what waits there; one more than may wait is sent back.
        assert other.forwarder.load.waiting == 1
        other.forwarder.load.limit = 1
        second = one.tell(showtime, hold(ANNA, "A2"))
        await asyncio.sleep(0.1)
        assert second.outcome is None
        assert one.forwarder.metrics.misdirected > 0
        other.forwarder.load.limit = 2
        take_off()
        for waits in (mail, second):
            await waits.answered.wait()
            assert waits.code == "OK"
        assert other.kernel.is_resident(showtime)
        assert other.forwarder.load.waiting == 0


@in_virtual_time
async def test_nodes_that_disagree_do_not_send_a_message_round_in_circles() -> None:
    async with small_cluster() as cluster:
        one, other, third = await cluster.members(3)
        showtime = cluster.showtime_of(third)
        ring = (one, other, third)
        for place, believed in zip(ring, (other, third, one), strict=True):
            blindfold(place)
            place.forwarder.placement.owner_of = (  # type: ignore[method-assign]
                lambda _id, believed=believed: believed.me
            )
            place.forwarder.placement.owns = lambda _id: False  # type: ignore[method-assign]
        mail = one.tell(showtime, hold(ANNA, "A1"))
        await mail.answered.wait()
        assert mail.code == "RETRY"
        sent = sum(place.forwarder.metrics.forwarded for place in ring)
        assert sent <= 2 * DEADLINE_S / PARKED_S + 2
        assert cluster.world.events(showtime) == []


@in_virtual_time
async def test_a_peer_that_contradicts_itself_is_not_asked_without_a_pause() -> None:
    async with small_cluster() as cluster:
        one, other = await cluster.members(2)
        showtime = cluster.showtime_of(other)
        other.forwarder.placement.owns = lambda _id: False  # type: ignore[method-assign]
        mail = one.tell(showtime, hold(ANNA, "A1"))
        await asyncio.sleep(10 * PARKED_S)
        assert one.forwarder.metrics.forwarded <= 11 * HOPS_MAX
        await mail.answered.wait()
        assert mail.code == "RETRY"


@in_virtual_time
async def test_a_message_waits_for_the_first_view_up_to_its_deadline() -> None:
    async with small_cluster() as cluster:
        one = await cluster.place()
        showtime = cluster.world.showtime()
        started_s = _now_s()
        early = one.tell(showtime, hold(ANNA, "A1"))
        await early.answered.wait()
        assert early.code == "RETRY"
        assert DEADLINE_S - 0.01 <= _now_s() - started_s <= DEADLINE_S + 2 * PARKED_S
        in_time = one.tell(showtime, hold(ANNA, "A1"))
        await one.node.join(one.me)
        await in_time.answered.wait()
        assert in_time.code == "OK"


# --- owners that are slow, silent or gone


@in_virtual_time
async def test_an_owner_that_does_not_answer_in_time_leaves_commands_in_doubt() -> None:
    async with small_cluster() as cluster:
        one, owner = await cluster.members(2)
        showtime = cluster.showtime_of(owner)
        await one.ask(showtime, hold(ANNA, "A1"))
        cluster.network.swallows_answers = True
        started_s = _now_s()
        mails = [one.tell(showtime, hold(ANNA, "A2")), one.tell(showtime, ReadSeats())]
        for mail in mails:
            await mail.answered.wait()
        assert [mail.code for mail in mails] == ["OUTCOME_UNKNOWN", "RETRY"]
        assert DEADLINE_S - 0.01 <= _now_s() - started_s <= DEADLINE_S + LATE_S + 0.2


@in_virtual_time
async def test_the_deadline_goes_along_with_the_message() -> None:
    async with small_cluster() as cluster:
        one, owner = await cluster.members(2)
        showtime = cluster.showtime_of(owner)
        owner.store.held.add("take_over")
        outcomes: list[Any] = []
        deadline_ns = one.forwarder.clock.boot_ns() + 1_000_000_000
        one.forwarder.tell(showtime, hold(ANNA, "A1"), outcomes.append, deadline_ns)
        await asyncio.sleep(0.9)
        assert outcomes == []
        await asyncio.sleep(0.25)
        # The owner said so itself: it had no effect.
        assert [outcome.code for outcome in outcomes] == ["RETRY"]


@in_virtual_time
async def test_a_command_without_a_key_whose_connection_broke_is_not_sent_again() -> None:
    async with small_cluster() as cluster:
        one, owner = await cluster.members(2)
        showtime = cluster.showtime_of(owner)
        await one.ask(showtime, release(ANNA, some_id()))
        owner.store.held.add("append")
        unkeyed = one.tell(showtime, hold(ANNA, "A1"))
        keyed = one.tell(showtime, hold(ANNA, "A2", key=some_id()))
        read = one.tell(showtime, ReadSeats())
        call = await owner.store.next("append")
        owner.store.held.clear()
        cluster.network.cut()
        await settle()
        assert unkeyed.code == "OUTCOME_UNKNOWN"
        assert (keyed.outcome, read.outcome) == (None, None)
        call.finish()
        await asyncio.gather(keyed.answered.wait(), read.answered.wait())
        assert accepted(keyed.outcome).seq == 2
        assert isinstance(read.outcome, SeatsSeen)
        assert cluster.world.events(showtime) == ["SeatsHeld", "SeatsHeld"]
        assert one.forwarder.metrics.in_doubt == 1


@in_virtual_time
async def test_a_command_that_was_never_sent_is_sent_again_with_or_without_a_key() -> None:
    async with small_cluster() as cluster:
        one, owner = await cluster.members(2)
        showtime = cluster.showtime_of(owner)
        cluster.network.cut()
        await settle()
        cluster.network.dial_error = ConnectionRefusedError()
        mail = one.tell(showtime, hold(ANNA, "A1"))
        await asyncio.sleep(1)
        assert mail.outcome is None
        cluster.network.dial_error = None
        await mail.answered.wait()
        assert mail.code == "OK"


@in_virtual_time
async def test_an_owner_nobody_reaches_costs_a_message_its_deadline_and_no_more() -> None:
    async with small_cluster() as cluster:
        one, owner = await cluster.members(2)
        showtime = cluster.showtime_of(owner)
        cluster.network.cut()
        await settle()
        cluster.network.dial_error = ConnectionRefusedError()
        started_s = _now_s()
        mail = one.tell(showtime, hold(ANNA, "A1"))
        await mail.answered.wait()
        # It still beats, and so it stays a member.
        assert mail.code == "RETRY"
        assert _now_s() - started_s <= DEADLINE_S + 2 * PARKED_S
        assert one.membership.view.member(owner.node_id) is not None


@in_virtual_time
async def test_a_killed_nodes_showtimes_serve_elsewhere_within_the_timeout_and_two_seconds() -> (
    None
):
    async with small_cluster() as cluster:
        one, other, dead = await cluster.members(3)
        showtimes = [cluster.showtime_of(dead) for _ in range(5)]
        for showtime in showtimes:
            await one.ask(showtime, hold(ANNA, "A1"))
        started_s = _now_s()
        cluster.kill(dead)
        asked = [(one, other)[at % 2].tell(s, hold(BERT, "A2")) for at, s in enumerate(showtimes)]
        while not all(mail.code == "OK" for mail in asked):
            await asyncio.gather(*(mail.answered.wait() for mail in asked))
            asked = [
                mail if mail.code == "OK" else one.tell(s, hold(BERT, "A2"))
                for mail, s in zip(asked, showtimes, strict=True)
            ]
        assert _now_s() - started_s <= HEARTBEAT_TIMEOUT_S + 2
        assert {accepted(mail.outcome).epoch for mail in asked} == {2}
        assert [(await one.ask(s, hold(BERT, "A1"))).code for s in showtimes] == [
            "SEAT_UNAVAILABLE"
        ] * 5


@in_virtual_time
async def test_what_nobody_asked_for_when_a_node_died_need_not_be_waited_for_later() -> None:
    async with small_cluster() as cluster:
        one, dead = await cluster.members(2)
        showtimes = [cluster.showtime_of(dead) for _ in range(3)]
        for showtime in showtimes:
            await one.ask(showtime, hold(ANNA, "A1"))
        cluster.kill(dead)
        await asyncio.sleep(HEARTBEAT_TIMEOUT_S + 2)
        started_s = _now_s()
        for showtime in showtimes:
            assert accepted(await one.ask(showtime, hold(BERT, "A2"))).epoch == 2
        assert _now_s() - started_s < LEASE_S / 10
        assert one.store.count("take_over") == 0


@in_virtual_time
async def test_the_first_node_after_the_end_of_all_inherits_what_they_left() -> None:
    async with small_cluster() as cluster:
        before = await cluster.member()
        showtimes = [cluster.world.showtime() for _ in range(3)]
        for showtime in showtimes:
            await before.ask(showtime, hold(ANNA, "A1"))
        cluster.kill(before)
        anew = await cluster.place()
        await anew.node.join(msgspec.structs.replace(anew.me, port=before.me.port))
        await settle()
        assert {cluster.world.journal.heads[one].owner for one in showtimes} == {anew.node_id}
        assert accepted(await anew.ask(showtimes[0], hold(BERT, "A2"))).epoch == 2


@in_virtual_time
async def test_a_silent_member_that_is_too_busy_to_answer_lives() -> None:
    async with small_cluster() as cluster:
        one = await cluster.member()
        cluster.options["asks_at_once"] = 0
        busy = await cluster.member()
        busy.beats.away = True
        await asyncio.sleep(4 * HEARTBEAT_TIMEOUT_S)
        assert one.membership.view.member(busy.node_id) is not None


@in_virtual_time
async def test_a_router_that_stops_answers_what_waits_for_a_view() -> None:
    async with small_cluster() as cluster:
        one = await cluster.place()
        mail = one.tell(cluster.world.showtime(), hold(ANNA, "A1"))
        await one.forwarder.stop()
        assert mail.code == "RETRY"


# --- handing over


@in_virtual_time
async def test_a_node_that_joins_gets_its_share_and_nobody_notices() -> None:
    async with small_cluster() as cluster:
        one, other = await cluster.members(2)
        showtimes = [cluster.world.showtime() for _ in range(60)]
        for showtime in showtimes:
            await one.ask(showtime, hold(ANNA, "A1"))
        third = await cluster.member()
        moved = [showtime for showtime in showtimes if third.owns(showtime)]
        assert moved
        started_s = _now_s()
        for label in ("A2", "A3", "A4"):
            asked = [
                place.tell(showtime, hold(BERT, label))
                for showtime, place in zip(showtimes, [one, other, third] * 20, strict=True)
            ]
            await asyncio.gather(*(mail.answered.wait() for mail in asked))
            assert [mail.code for mail in asked] == ["OK"] * 60
        # Nobody waited for a lease.
        assert _now_s() - started_s < LEASE_S
        for place in (one, other):
            await place.node.handover.finished()
            assert await place.kernel.showtimes_of_others() == []
            assert place.kernel.metrics.fenced == 0
        assert all(third.kernel.is_resident(showtime) for showtime in moved)


@in_virtual_time
async def test_a_node_that_drains_hands_everything_over_and_still_forwards() -> None:
    async with small_cluster() as cluster:
        one, leaving = await cluster.members(2)
        showtimes = [cluster.showtime_of(leaving) for _ in range(20)]
        for showtime in showtimes:
            await leaving.ask(showtime, hold(ANNA, "A1"))
        under_way = [leaving.tell(showtime, hold(ANNA, "A2")) for showtime in showtimes]
        await leaving.node.drain(10.0)
        assert not leaving.node.is_ready
        assert [mail.code for mail in under_way] == ["OK"] * 20
        assert leaving.kernel.resident_count == 0
        heads = cluster.world.journal.heads
        assert all(heads[s].released or heads[s].owner == one.node_id for s in showtimes)
        for showtime in showtimes:
            assert accepted(await leaving.ask(showtime, hold(BERT, "A3"))).epoch == 2
        await leaving.node.leave(1.0)
        await settle()
        assert one.membership.view.member(leaving.node_id) is None
        assert not leaving.membership.declared_dead.is_set()


@in_virtual_time
async def test_a_drain_that_cannot_finish_ends_all_the_same(logged: list[Any]) -> None:
    async with small_cluster() as cluster:
        one, leaving = await cluster.members(2)
        showtime = cluster.showtime_of(leaving)
        await leaving.ask(showtime, hold(ANNA, "A1"))
        leaving.store.held.add("save")
        started_s = _now_s()
        await leaving.node.drain(2.0)
        assert 2.0 <= _now_s() - started_s < 2.2
        (late,) = (event for event in logged if event["event"] == "handover_late")
        assert late["showtimes"] == 1
        # Its successor takes it, after a lease.
        await one.membership.refresh()
        assert accepted(await one.ask(showtime, hold(BERT, "A2"))).epoch == 2


@in_virtual_time
async def test_the_last_node_keeps_what_it_has_while_it_drains() -> None:
    async with small_cluster() as cluster:
        one = await cluster.member()
        showtime = cluster.world.showtime()
        await one.ask(showtime, hold(ANNA, "A1"))
        await one.node.drain(10.0)
        assert accepted(await one.ask(showtime, hold(ANNA, "A2"))).epoch == 1


@in_virtual_time
async def test_a_message_that_waits_where_a_showtime_leaves_goes_on_and_is_answered() -> None:
    async with small_cluster() as cluster:
        one, former = await cluster.members(2)
        showtimes = [cluster.showtime_of(former) for _ in range(30)]
        for showtime in showtimes:
            await one.ask(showtime, hold(ANNA, "A1"))
        former.store.held.add("append")
        before = [one.tell(showtime, hold(ANNA, "A2")) for showtime in showtimes]
        call = await former.store.next("append")
        third = await cluster.member()
        former.store.held.clear()
        await former.membership.refresh()
        await asyncio.sleep(0.1)
        moved = [showtime for showtime in showtimes if third.owns(showtime)]
        assert moved
        # By an older view these still come to the former owner, who has them no more for long.
        waiting = [former.kernel.is_resident(showtime) for showtime in moved]
        assert all(waiting)
        after = [former.world_node.tell(showtime, hold(BERT, "A3")) for showtime in moved]
        call.finish()
        await asyncio.gather(*(mail.answered.wait() for mail in [*before, *after]))
        assert [mail.code for mail in before] == ["OK"] * 30
        assert {accepted(mail.outcome).epoch for mail in after} == {2}
        assert all(third.kernel.is_resident(showtime) for showtime in moved)


@in_virtual_time
async def test_an_owner_by_an_older_view_is_asked_and_learns_that_it_is_none() -> None:
    async with small_cluster() as cluster:
        one, former = await cluster.members(2)
        take_off = blindfold(former)
        third = await cluster.member()
        await one.membership.refresh()
        showtime = _moved(cluster, former, former, third)
        assert accepted(await former.ask(showtime, hold(ANNA, "A1"))).epoch == 1
        take_off()
        started_s = _now_s()
        assert accepted(await one.ask(showtime, hold(BERT, "A2"))).epoch == 2
        assert _now_s() - started_s < LEASE_S
        assert third.forwarder.metrics.releases_asked == 1
        assert not former.owns(showtime)


@in_virtual_time
async def test_a_node_with_an_older_view_that_asks_the_owner_learns_that_it_is_none() -> None:
    async with small_cluster() as cluster:
        one, former = await cluster.members(2)
        showtime = cluster.showtime_of(former)
        await former.membership.stop()
        drained = msgspec.structs.replace(former.me, draining=True)
        await inspection.propose(one.membership, one.membership.view.with_member(drained))
        assert accepted(await one.ask(showtime, hold(ANNA, "A1"))).epoch == 1
        assert former.owns(showtime)
        # It finds out before it takes the showtime from its owner.
        assert accepted(await former.ask(showtime, hold(BERT, "A2"))).epoch == 1
        assert not former.owns(showtime)
        assert former.forwarder.metrics.releases_asked == 1


@in_virtual_time
async def test_a_message_on_its_way_to_a_node_that_is_removed_goes_to_the_next_owner() -> None:
    async with small_cluster() as cluster:
        one, dead = await cluster.members(2)
        showtime = cluster.showtime_of(dead)
        await one.ask(showtime, hold(ANNA, "A1"))
        dead.store.held.add("append")
        mail = one.tell(showtime, hold(ANNA, "A2", key=some_id()))
        unkeyed = one.tell(showtime, hold(ANNA, "A3"))
        await dead.store.next("append")
        started_s = _now_s()
        # Its connection stands, and nothing will ever come over it.
        await inspection.propose(
            one.membership, one.membership.view.without(frozenset({dead.node_id}))
        )
        await mail.answered.wait()
        assert accepted(mail.outcome).epoch == 2
        assert unkeyed.code == "OUTCOME_UNKNOWN"
        assert _now_s() - started_s < 2 * LEASE_S


@in_virtual_time
async def test_a_message_that_is_passed_on_keeps_its_deadline() -> None:
    async with small_cluster() as cluster:
        _, former = await cluster.members(2)
        showtimes = [cluster.showtime_of(former) for _ in range(20)]
        for showtime in showtimes:
            await former.ask(showtime, hold(ANNA, "A1"))
        former.store.held.add("save")
        third = await cluster.member()
        third.store.held.add("load")
        moved = next(showtime for showtime in showtimes if third.owns(showtime))
        await asyncio.sleep(0.1)
        outcomes: list[Any] = []
        deadline_ns = former.forwarder.clock.boot_ns() + 1_000_000_000
        former.kernel.tell(moved, hold(BERT, "A2"), outcomes.append, deadline_ns)
        former.store.held.clear()
        for call in former.store.calls:
            call.finish()
        await asyncio.sleep(1.0 + LATE_S + 0.2)
        assert not former.kernel.is_resident(moved)
        assert len(outcomes) == 1
        assert outcomes[0].code in {"RETRY", "OUTCOME_UNKNOWN"}


@in_virtual_time
async def test_a_showtime_that_cannot_settle_in_time_is_taken_from_its_owner() -> None:
    async with small_cluster() as cluster:
        _, former = await cluster.members(2)
        showtimes = [cluster.showtime_of(former) for _ in range(20)]
        for showtime in showtimes:
            await former.ask(showtime, hold(ANNA, "A1"))
        former.store.held.add("save")
        third = await cluster.member()
        moved = next(showtime for showtime in showtimes if third.owns(showtime))
        started_s = _now_s()
        assert accepted(await third.ask(moved, hold(BERT, "A2"))).epoch == 2
        assert RELEASE_WAIT_S <= _now_s() - started_s <= RELEASE_WAIT_S + 2 * LEASE_S


@in_virtual_time
async def test_a_node_without_views_keeps_what_it_takes_for_its_own() -> None:
    async with small_cluster() as cluster:
        _, former = await cluster.members(2)
        blindfold(former)
        third = await cluster.member()
        showtime = _moved(cluster, former, former, third)
        await former.ask(showtime, hold(ANNA, "A1"))
        started_s = _now_s()
        # It refuses to give it back, and so is fenced; its lease is waited for.
        taken = accepted(await third.ask(showtime, hold(BERT, "A2")))
        assert taken.epoch == 2
        assert _now_s() - started_s >= LEASE_S
        assert (await former.ask(showtime, hold(ANNA, "A3"))).code == "RETRY"


@in_virtual_time
async def test_two_that_take_a_showtime_for_their_own_never_both_serve_it() -> None:
    async with small_cluster() as cluster:
        one, former = await cluster.members(2)
        blindfold(former)
        third = await cluster.member()
        showtime = _moved(cluster, former, former, third)
        labels = iter(PLAN.labels)
        outcomes = []
        for _ in range(10):
            outcomes += await asyncio.gather(
                former.ask(showtime, hold(ANNA, next(labels))),
                third.ask(showtime, hold(BERT, next(labels))),
                one.ask(showtime, ReadSeats()),
            )
            await asyncio.sleep(0.1)
        # The auditor has checked each answer; and somebody was served.
        assert any(isinstance(outcome, SeatsSeen) for outcome in outcomes)
        assert cluster.world.events(showtime)


@in_virtual_time
async def test_wishes_for_the_same_seats_at_all_nodes_get_each_seat_once() -> None:
    async with small_cluster() as cluster:
        places = list(await cluster.members(3))
        showtimes = [cluster.world.showtime() for _ in range(6)]
        asked = [
            place.tell(showtime, hold(customer, label))
            for showtime in showtimes
            for label in ("A1", "A2", "A3")
            for place, customer in zip(places, (ANNA, BERT, some_id()), strict=True)
        ]
        await asyncio.gather(*(mail.answered.wait() for mail in asked))
        codes = [mail.code for mail in asked]
        assert codes.count("OK") == 18
        assert codes.count("SEAT_UNAVAILABLE") == 36


@in_virtual_time
async def test_what_is_under_way_to_other_nodes_is_bounded() -> None:
    async with small_cluster() as cluster:
        one, other = await cluster.members(2)
        one.forwarder.load.limit = 3
        showtime_id = cluster.showtime_of(other)
        other.store.held.add("take_over")
        mails = [one.tell(showtime_id, hold(ANNA, label)) for label in PLAN.labels[:5]]
        assert [mail.code for mail in mails] == [None] * 3 + ["OVERLOADED"] * 2
        assert one.forwarder.load.waiting == 3
        takeover = await other.store.next("take_over")
        other.store.held.clear()
        takeover.finish()
        await mails[2].answered.wait()
        assert [mail.code for mail in mails[:3]] == ["OK"] * 3
        assert one.forwarder.load.waiting == other.forwarder.load.waiting == 0
