"""Who waits is offered seats as they become free: durable first, and nobody sees them free."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cinema.actors.messages import (
    EntrySeen,
    NoShowtime,
    ReadHold,
    ReadSeats,
    ReadWaitlist,
    WaitlistSeen,
    Watch,
)
from cinema.domain.limits import EXPIRIES_WITH_WAITLIST, WAITLIST_END_S
from cinema.domain.seatmap import AVAILABLE
from cinema.domain.showtime import offers
from cinema.domain.showtime.changes import seat_changes
from cinema.domain.showtime.commands import JoinWaitlist, LeaveWaitlist, StartPayment
from cinema.domain.showtime.events import AnyEvent, decode_recorded
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.storage.journal.store import CommitUnknown
from tests.support import inspection
from tests.support.actors.auditor import Feed
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import (
    ANNA,
    BERT,
    HOLD_TTL_S,
    PLAN,
    START_US,
    Node,
    World,
    accepted,
    audited_world,
    book,
    hold,
    release,
    some_id,
    true_time_us,
)

CARL, DORA = some_id(), some_id()
OFFER_S = 60


def join(customer: bytes, quantity: int = 1, **more: Any) -> JoinWaitlist:
    entry_id = some_id()
    return JoinWaitlist(
        command_id=entry_id, entry_id=entry_id, customer=customer, quantity=quantity, **more
    )


async def full(world: World, **terms: Any) -> tuple[Node, bytes, bytes]:
    """A node with a showtime whose seats Anna holds, in one hold."""
    showtime = world.showtime(**terms)
    node = await world.warm_node(showtime)
    held = accepted(await node.ask(showtime, hold(ANNA, *PLAN.labels)))
    return node, showtime, held.event.hold_id


def last_event(world: World, showtime: bytes) -> Any:
    return decode_recorded(world.journal.ledger[showtime][-1].row.payload).event


async def listed(node: Node, showtime: bytes, **whose: Any) -> tuple[EntrySeen, ...]:
    seen = await node.ask(showtime, ReadWaitlist(**whose))
    assert isinstance(seen, WaitlistSeen)
    return seen.entries


class Frames(Feed):
    """A watcher that keeps what it is told of seats."""

    def __init__(self, world: World, showtime: bytes) -> None:
        super().__init__(world.auditor, showtime)
        self.statuses: list[int] = []

    def changed(
        self, epoch: int, prev_seq: int, seq: int, event: AnyEvent, terms: ShowtimeTerms
    ) -> None:
        super().changed(epoch, prev_seq, seq, event, terms)
        self.statuses += [status for _, status in seat_changes(event)]


@in_virtual_time
async def test_a_released_seat_is_held_for_whoever_waits_before_anybody_sees_it_free() -> None:
    async with audited_world() as world:
        node, showtime, hold_id = await full(world)
        entry = join(BERT, 2)
        accepted(await node.ask(showtime, entry))
        feed = Frames(world, showtime)
        await node.ask(showtime, Watch(feed=feed))
        mails = [
            node.tell(showtime, release(ANNA, hold_id, "A1", "A2")),
            node.tell(showtime, hold(CARL, "A1")),
            node.tell(showtime, ReadSeats()),
        ]
        for mail in mails:
            await mail.answered.wait()
        assert mails[1].code == "SEAT_UNAVAILABLE"
        assert AVAILABLE not in mails[2].outcome.seats  # type: ignore[union-attr]
        assert AVAILABLE not in feed.statuses
        (offer,) = last_event(world, showtime).offers
        assert (offer.hold_id, offer.customer, offer.seats) == (entry.entry_id, BERT, (0, 1))
        booked = accepted(await node.ask(showtime, book(BERT, entry.entry_id)))
        assert booked.event.seats == (0, 1)


@in_virtual_time
async def test_an_offer_ends_in_time_and_goes_on_in_the_same_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(offers, "OFFER_TTL_S", OFFER_S)
    async with audited_world() as world:
        node, showtime, hold_id = await full(world, hold_ttl_s=7200, hold_max_s=7200)
        first, then = join(BERT), join(CARL)
        for entry in (first, then):
            accepted(await node.ask(showtime, entry))
        accepted(await node.ask(showtime, release(ANNA, hold_id, "A1")))
        await asyncio.sleep(OFFER_S + 1)
        expired = last_event(world, showtime)
        assert (expired.hold_id, expired.offers[0].hold_id) == (first.entry_id, then.entry_id)
        seen = await node.ask(showtime, ReadHold(hold_id=first.entry_id, customer=BERT))
        assert seen.status == "expired"
        await asyncio.sleep(OFFER_S + 1)
        assert last_event(world, showtime).hold_id == then.entry_id
        seats = await node.ask(showtime, ReadSeats())
        assert seats.seats[0] == AVAILABLE


@in_virtual_time
async def test_a_mass_expiry_offers_in_several_turns() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        for label in PLAN.labels:
            accepted(await node.ask(showtime, hold(ANNA, label)))
        waiting = [some_id() for _ in range(3 * EXPIRIES_WITH_WAITLIST)]
        for customer in waiting:
            accepted(await node.ask(showtime, join(customer)))
        await asyncio.sleep(HOLD_TTL_S + 1)
        told = [
            offer.customer
            for one in world.journal.ledger[showtime]
            for offer in getattr(decode_recorded(one.row.payload).event, "offers", ())
        ]
        assert told == waiting
        assert await listed(node, showtime, customer=waiting[0]) != ()


@in_virtual_time
async def test_the_list_and_its_offers_are_where_the_showtime_is() -> None:
    async with audited_world() as world:
        node, showtime, hold_id = await full(world, hold_ttl_s=7200, hold_max_s=7200)
        entries = [join(BERT), join(CARL), join(DORA, 2, together=True)]
        for entry in entries:
            accepted(await node.ask(showtime, entry))
        accepted(await node.ask(showtime, release(ANNA, hold_id, "A1")))
        before = await listed(node, showtime)
        assert [one.customer for one in before] == [CARL, DORA, BERT]
        await inspection.kill(node.kernel)
        other = await world.node(idle_passivation_s=1.0)
        assert await listed(other, showtime) == before
        await asyncio.sleep(5)
        assert not other.kernel.is_resident(showtime)
        assert await listed(other, showtime) == before
        accepted(await other.ask(showtime, release(ANNA, hold_id, "B1")))
        assert [one.customer for one in last_event(world, showtime).offers] == [CARL]


@in_virtual_time
async def test_nobody_is_told_of_an_offer_whose_commit_is_in_doubt() -> None:
    async with audited_world() as world:
        node, showtime, hold_id = await full(world)
        entry = join(BERT)
        accepted(await node.ask(showtime, entry))
        node.store.held.add("append")
        mail = node.tell(showtime, release(ANNA, hold_id, "A1"))
        call = await node.store.next("append")
        reads = [
            node.tell(showtime, ReadHold(hold_id=entry.entry_id, customer=BERT)),
            node.tell(showtime, ReadWaitlist(customer=BERT)),
        ]
        await settle()
        assert not any(one.answered.is_set() for one in (mail, *reads))
        node.store.held.clear()
        call.execute()
        call.fail(CommitUnknown("lost"))
        await settle()
        assert accepted(mail.outcome).event.offers[0].hold_id == entry.entry_id
        (seen,) = await listed(node, showtime, customer=BERT)
        assert seen.offer is not None


@in_virtual_time
async def test_everybody_sees_their_own_place_and_staff_see_all() -> None:
    async with audited_world() as world:
        node, showtime, hold_id = await full(world)
        first, own = join(BERT, 3, category="regular"), join(CARL, 2, together=True)
        for entry in (first, own):
            accepted(await node.ask(showtime, entry))
        (seen,) = await listed(node, showtime, customer=CARL)
        assert seen == EntrySeen(
            2, CARL, own.entry_id, seen.joined_at_us, 2, None, accessible=False, together=True
        )
        assert START_US <= seen.joined_at_us <= true_time_us()
        assert await listed(node, showtime, customer=DORA) == ()
        (seen,) = await listed(node, showtime, customer=DORA, guests=(BERT,))
        assert (seen.position, seen.category, seen.quantity) == (1, "regular", 3)
        accepted(await node.ask(showtime, release(ANNA, hold_id, "A1", "A2")))
        assert [(one.position, one.customer) for one in await listed(node, showtime)] == [
            (1, BERT),
            (0, CARL),
        ]
        assert await listed(node, showtime, customer=DORA) == ()
        (seen,) = await listed(node, showtime, customer=CARL)
        assert seen.offer is not None
        assert (seen.offer.seats, seen.is_paying) == ((0, 1), False)
        pay = StartPayment(
            command_id=some_id(),
            hold_id=own.entry_id,
            customer=CARL,
            booking_id=some_id(),
            code="7KXQ2MPA",
            payment_id=some_id(),
            payment_method="stripe",
        )
        accepted(await node.ask(showtime, pay))
        (seen,) = await listed(node, showtime, customer=CARL)
        assert seen.is_paying
        accepted(await node.ask(showtime, LeaveWaitlist(command_id=some_id(), customer=BERT)))
        assert [one.customer for one in await listed(node, showtime)] == [CARL]


@in_virtual_time
async def test_an_offer_that_has_ended_is_shown_to_nobody() -> None:
    async with audited_world() as world:
        node, showtime, hold_id = await full(world)
        entry = join(BERT)
        accepted(await node.ask(showtime, entry))
        accepted(await node.ask(showtime, release(ANNA, hold_id, "A1")))
        assert len(await listed(node, showtime)) == 1
        accepted(await node.ask(showtime, book(BERT, entry.entry_id)))
        assert await listed(node, showtime) == ()


@in_virtual_time
async def test_nobody_waits_once_the_list_has_ended() -> None:
    async with audited_world() as world:
        start_us = START_US + (WAITLIST_END_S + 60) * 1_000_000
        node, showtime, _ = await full(world, starts_at_us=start_us, hold_ttl_s=600)
        accepted(await node.ask(showtime, join(BERT)))
        await asyncio.sleep(59)
        assert len(await listed(node, showtime)) == 1
        await asyncio.sleep(1)
        assert await listed(node, showtime) == ()
        assert (await node.ask(showtime, join(CARL))).code == "WAITLIST_CLOSED"


@in_virtual_time
async def test_nobody_waits_for_more_than_they_may_hold_over_all_showtimes() -> None:
    async with audited_world() as world:
        node, showtime, _ = await full(world)
        other = world.showtime()
        accepted(await node.ask(other, hold(BERT, "A1", "A2")))
        refused = await node.ask(showtime, join(BERT, 3, unpaid_limit=4))
        assert refused.code == "HOLD_LIMIT"
        assert refused.details == {"limit": "unpaid_seats", "value": 4, "unpaid": 2}
        accepted(await node.ask(showtime, join(BERT, 2, unpaid_limit=4)))


@in_virtual_time
async def test_what_somebody_waits_for_elsewhere_counts_for_the_next_place() -> None:
    """Else somebody could wait at many showtimes, and be offered more than may be held."""
    async with audited_world() as world:
        node, showtime, _ = await full(world)
        others = [world.showtime() for _ in range(2)]
        for other in others:
            accepted(await node.ask(other, hold(ANNA, *PLAN.labels)))
        accepted(await node.ask(showtime, join(BERT, 2, unpaid_limit=4)))
        refused = await node.ask(others[0], join(BERT, 3, unpaid_limit=4))
        assert refused.code == "HOLD_LIMIT"
        assert refused.details == {"limit": "unpaid_seats", "value": 4, "unpaid": 0, "waiting": 2}
        accepted(await node.ask(others[0], join(CARL, 3, unpaid_limit=4)))
        accepted(await node.ask(others[0], join(BERT, 2, unpaid_limit=4)))
        assert (await node.ask(others[1], join(BERT, unpaid_limit=4))).code == "HOLD_LIMIT"
        leave = LeaveWaitlist(command_id=some_id(), customer=BERT)
        accepted(await node.ask(showtime, leave))
        accepted(await node.ask(others[1], join(BERT, 2, unpaid_limit=4)))
        # No limit, nothing to look at.
        accepted(await node.ask(showtime, join(BERT, 3)))


@in_virtual_time
async def test_who_waits_outside_of_memory_counts_while_that_is_this_nodes_and_goes_on() -> None:
    async with audited_world() as world:
        showtimes = [world.showtime() for _ in range(4)]
        node = await world.node(idle_passivation_s=1.0)
        for showtime in showtimes:
            accepted(await node.ask(showtime, hold(ANNA, *PLAN.labels)))
        for showtime in showtimes[:3]:
            accepted(await node.ask(showtime, join(BERT)))
        await asyncio.sleep(3)
        assert not node.kernel.is_resident(showtimes[0])
        unpaid, now_us = node.kernel.unpaid, node.kernel.clock.now_us()

        async def waiting() -> Any:
            refused = await node.ask(showtimes[3], join(BERT, 9, unpaid_limit=9))
            return refused.details.get("waiting")

        assert await waiting() == 3
        unpaid.sift(lambda one: one != showtimes[0], now_us)
        assert await waiting() == 2
        # Back in memory it counts once, and not at all when it is another node's.
        accepted(await node.ask(showtimes[1], join(CARL)))
        assert await waiting() == 2
        state = inspection.actors_of(node.kernel)[showtimes[1]].state
        unpaid.left(showtimes[1], state, is_ours=False)
        assert await waiting() == 1
        unpaid.sift(lambda _: True, START_US + 10**11)
        accepted(await node.ask(showtimes[3], join(BERT, 9, unpaid_limit=9)))


@in_virtual_time
async def test_offered_seats_count_as_unpaid_at_once() -> None:
    async with audited_world() as world:
        node, showtime, hold_id = await full(world)
        accepted(await node.ask(showtime, join(BERT, 2)))
        accepted(await node.ask(showtime, release(ANNA, hold_id, "A1", "A2")))
        assert node.kernel.unpaid.of(BERT) == 2


@in_virtual_time
async def test_there_is_no_list_of_what_is_no_showtime() -> None:
    async with audited_world() as world:
        node = await world.node()
        assert isinstance(await node.ask(some_id(), ReadWaitlist()), NoShowtime)
