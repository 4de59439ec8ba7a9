"""What a plain read shows counts once the standby has it: until then it is not known."""

from __future__ import annotations

from cinema.actors.messages import TRY_AGAIN, ReadSeats, SeatsSeen
from cinema.storage.journal.store import CommitUnknown, StoreUnavailable
from tests.support.actors.neighbourhood import pair
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import ANNA, accepted, audited_world, hold

UNCONFIRMED = StoreUnavailable("the standby is away")


@in_virtual_time
async def test_a_seat_map_from_the_journal_is_shown_once_the_standby_has_it() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        await old.node.ask(showtime, hold(ANNA, "A1"))
        node = new.node
        node.store.down["confirmed"] = UNCONFIRMED
        assert await node.kernel.read_seats(showtime, ReadSeats()) == TRY_AGAIN
        assert not node.kernel.is_resident(showtime)
        del node.store.down["confirmed"]
        assert isinstance(await node.kernel.read_seats(showtime, ReadSeats()), SeatsSeen)
        # The word comes behind the read, and not before it.
        assert [name for name, _ in node.store.seen][-2:] == ["load", "confirmed"]


@in_virtual_time
async def test_a_doubt_is_not_settled_by_an_event_that_the_standby_lacks() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        old.node.store.held.add("append")
        old.node.store.down["confirmed"] = UNCONFIRMED
        mail = old.node.tell(showtime, hold(ANNA, "A1"))
        call = await old.node.store.next("append")
        call.execute()
        old.hood.owner[showtime] = new
        await world.journal.take_over(showtime, new.node_id)
        call.fail(CommitUnknown("connection lost"))
        await settle()
        assert mail.outcome is None
        del old.node.store.down["confirmed"]
        await mail.answered.wait()
        assert accepted(mail.outcome).seq == 1


@in_virtual_time
async def test_a_doubt_that_the_standby_never_confirms_stays_in_doubt() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        old.node.store.held.add("append")
        old.node.store.down["confirmed"] = UNCONFIRMED
        mail = old.node.tell(showtime, hold(ANNA, "A1"))
        call = await old.node.store.next("append")
        call.execute()
        old.hood.owner[showtime] = new
        await world.journal.take_over(showtime, new.node_id)
        call.fail(CommitUnknown("connection lost"))
        await mail.answered.wait()
        assert mail.code == "OUTCOME_UNKNOWN"
