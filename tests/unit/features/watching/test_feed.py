"""The feed of one showtime, with an actor and clients that do only what a test says."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec
import pytest

from cinema.actors.kernel import Kernel
from cinema.actors.messages import TRY_AGAIN, Message, OnOutcome, Outcome, SeatsSeen
from cinema.domain.epochs import EPOCHS_PER_ERA
from cinema.domain.seatmap import SeatPlan, grid_layout, parse_layout
from cinema.domain.showtime.events import PlanChanged, SeatsBlocked
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.features.watching import feed as seat_feed
from cinema.features.watching.feed import WatchedShowtime
from cinema.features.watching.frames import text_frame
from cinema.features.watching.socket import SLOW_BUFFER_BYTES, Socket

SHOWTIME = bytes(16)
PLAN: SeatPlan = parse_layout(grid_layout(2, 4), 1)
TERMS = ShowtimeTerms(
    showtime_id=SHOWTIME,
    plan=PLAN,
    currency="EUR",
    prices_minor=(1000,),
    starts_at_us=0,
    ends_at_us=1,
    sales_opens_at_us=0,
    sales_closes_at_us=1,
    hold_ttl_s=1,
    hold_max_s=1,
    seats_per_hold=1,
    live_holds_per_customer=1,
    seats_per_staff_hold=100,
    live_holds_per_staff=100,
    protect_orphans=False,
    companions_need_accessible=False,
)


class Actor:
    """Keeps what it is asked until the test answers; `at_once` answers before `tell` returns."""

    def __init__(self) -> None:
        self.asked: list[OnOutcome] = []
        self.at_once: Outcome | None = None
        self.unwatched = 0

    def tell(self, _showtime_id: bytes, _message: Message, reply: OnOutcome) -> None:
        if self.at_once is not None:
            reply(self.at_once)
        else:
            self.asked.append(reply)

    def unwatch(self, _showtime_id: bytes, _feed: Any) -> None:
        self.unwatched += 1

    def answer(self, outcome: Outcome) -> None:
        self.asked.pop(0)(outcome)


class Client:
    """What was sent to it, decoded; `unsent_bytes` is the test's to set."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.unsent_bytes = 0
        self.aborted = False

    def send(self, payload: bytes) -> None:
        self.got.append(msgspec.json.decode(payload))

    def send_frame(self, frame: bytes) -> None:
        payload = frame[2:] if frame[1] < 126 else frame[4:]
        assert text_frame(payload) == frame
        self.send(payload)

    write_now = send_frame

    def abort(self) -> None:
        self.aborted = True

    def types(self) -> list[str]:
        return [message["type"] for message in self.got]


def seen(epoch: int, seq: int, *blocked: int) -> SeatsSeen:
    seats = bytes(3 if seat in blocked else 0 for seat in range(PLAN.seat_count))
    return SeatsSeen(epoch, seq, seats, frozenset(), False, TERMS)


class Stage:
    """A feed between an actor and its clients."""

    def __init__(self) -> None:
        self.actor = Actor()
        self.feed = WatchedShowtime(SHOWTIME, cast("Kernel", self.actor), 0.0)

    def joining(
        self, client: Client, since: tuple[int, int] | None = None
    ) -> asyncio.Task[Outcome | None]:
        return asyncio.ensure_future(self.feed.join(cast("Socket", client), since))

    async def joined(self, client: Client, at: SeatsSeen) -> None:
        task = self.joining(client)
        await turns(2)
        if self.actor.asked:
            self.actor.answer(at)
        assert await task is None

    def block(self, seq: int, *seats: int, epoch: int = 1) -> None:
        self.feed.changed(epoch, seq - 1, seq, SeatsBlocked(seats), TERMS)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(seat_feed, "RESTART_PAUSE_S", 0.0)
    monkeypatch.setattr(seat_feed, "SLOW_CHECK_S", 0.0)
    return Stage()


async def test_all_who_come_at_once_share_one_question(stage: Stage) -> None:
    clients = [Client(), Client(), Client()]
    tasks = [stage.joining(client) for client in clients]
    await turns(2)
    assert len(stage.actor.asked) == 1
    stage.actor.answer(seen(1, 5, 0))
    await asyncio.gather(*tasks)
    for client in clients:
        assert [(one["seq"], one["taken"]) for one in client.got] == [(5, {"A1": "blocked"})]


async def test_changes_of_one_moment_are_one_frame(stage: Stage) -> None:
    client = Client()
    await stage.joined(client, seen(1, 5))
    stage.block(6, 0)
    stage.block(7, 1)
    await turns(3)
    (delta,) = client.got[1:]
    assert (delta["prev_seq"], delta["seq"]) == (5, 7)
    assert delta["changes"] == {"A1": "blocked", "A2": "blocked"}


async def test_after_a_loss_nothing_is_told_before_a_new_snapshot(stage: Stage) -> None:
    client, late = Client(), Client()
    await stage.joined(client, seen(1, 5))
    stage.feed.lost()
    stage.block(9, 3, epoch=2)
    joining = stage.joining(late)
    await turns(3)
    assert client.types() == ["snapshot"]
    assert late.got == []
    stage.actor.answer(seen(2, 10, 3, 4))
    await joining
    assert client.types() == ["snapshot", "delta"]
    assert (client.got[1]["epoch"], client.got[1]["prev_seq"], client.got[1]["seq"]) == (2, 5, 10)
    assert client.got[1]["changes"] == {"A4": "blocked", "B1": "blocked"}
    assert late.types() == ["snapshot"]
    assert late.got[0]["taken"] == {"A4": "blocked", "B1": "blocked"}
    stage.block(11, 5, epoch=2)
    await turns(3)
    assert client.got[-1]["prev_seq"] == late.got[-1]["prev_seq"] == 10


async def test_who_asks_during_a_loss_gets_the_next_snapshot(stage: Stage) -> None:
    client = Client()
    await stage.joined(client, seen(1, 5))
    stage.feed.lost()
    stage.feed.catch_up(cast("Socket", client), (1, 5))
    stage.actor.answer(seen(2, 10, 3))
    assert client.types() == ["snapshot", "resync", "resync", "snapshot"]


async def test_seats_freed_during_a_loss_are_told(stage: Stage) -> None:
    client = Client()
    await stage.joined(client, seen(1, 5, 2))
    stage.feed.lost()
    stage.actor.answer(seen(1, 6))
    assert client.got[1]["changes"] == {"A3": "available"}


async def test_new_plan_is_a_loss(stage: Stage) -> None:
    client = Client()
    await stage.joined(client, seen(1, 5))
    stage.feed.changed(1, 5, 6, PlanChanged(1, 2, 8, tuple(range(8))), TERMS)
    stage.actor.answer(seen(1, 6))
    assert client.types() == ["snapshot", "resync", "snapshot"]


async def test_loss_while_the_store_is_away_is_made_good_when_it_is_back(stage: Stage) -> None:
    client = Client()
    await stage.joined(client, seen(1, 5))
    stage.feed.lost()
    for _ in range(3):
        stage.actor.answer(TRY_AGAIN)
        await turns(3)
        assert len(stage.actor.asked) == 1
    stage.actor.answer(seen(3, 8))
    assert client.types() == ["snapshot", "delta"]


async def test_nobody_is_asked_again_for_when_nobody_is_left(stage: Stage) -> None:
    client = Client()
    await stage.joined(client, seen(1, 5))
    stage.feed.lost()
    stage.actor.answer(TRY_AGAIN)
    stage.feed.leave(cast("Socket", client))
    await turns(3)
    assert stage.actor.asked == []
    assert stage.feed.empty


async def test_answer_that_comes_after_all_have_left_starts_no_feed(stage: Stage) -> None:
    client = Client()
    await stage.joined(client, seen(1, 5))
    stage.feed.lost()
    stage.feed.leave(cast("Socket", client))
    before = stage.actor.unwatched
    stage.actor.answer(seen(1, 6))
    assert stage.actor.unwatched == before + 1
    assert client.types() == ["snapshot"]


async def test_refusal_is_told_to_who_wanted_to_join(stage: Stage) -> None:
    stage.actor.at_once = TRY_AGAIN
    assert await stage.joining(Client()) is TRY_AGAIN
    assert stage.feed.empty


async def test_resuming_gets_the_frames_after_since_and_no_others(stage: Stage) -> None:
    client = Client()
    await stage.joined(client, seen(1, 5))
    for seq in (6, 7, 8):
        stage.block(seq, seq - 6)
        await turns(3)
    again = Client()
    assert await stage.feed.join(cast("Socket", again), (1, 6)) is None
    assert [(one["prev_seq"], one["seq"]) for one in again.got] == [(6, 7), (7, 8)]


async def test_who_saw_a_future_that_a_restore_undid_gets_a_snapshot(stage: Stage) -> None:
    client = Client()
    await stage.joined(client, seen(2 * EPOCHS_PER_ERA, 5))
    for since in ((1, 5), (EPOCHS_PER_ERA + 7, 5), (1, 500)):
        again = Client()
        assert await stage.feed.join(cast("Socket", again), since) is None
        assert again.types() == ["snapshot"]
    assert client.types() == ["snapshot"], "nobody else is troubled"
    again = Client()
    assert await stage.feed.join(cast("Socket", again), (2 * EPOCHS_PER_ERA, 5)) is None
    assert again.types() == ["delta"]


async def test_resuming_within_a_frame_gets_a_snapshot(stage: Stage) -> None:
    client = Client()
    await stage.joined(client, seen(1, 5))
    stage.block(6, 0)
    stage.block(7, 1)
    await turns(3)
    again = Client()
    assert await stage.feed.join(cast("Socket", again), (1, 6)) is None
    assert again.types() == ["snapshot"]


@pytest.mark.parametrize("since", [(1, 7), (2, 5)])
async def test_who_was_shown_more_elsewhere_is_not_shown_less(
    stage: Stage, since: tuple[int, int]
) -> None:
    first, second = Client(), Client()
    await stage.joined(first, seen(1, 5))
    task = stage.joining(second, since)
    await turns(2)
    assert second.got == []
    stage.actor.answer(seen(2, 7, 0))
    assert await task is None
    assert (second.got[0]["epoch"], second.got[0]["seq"]) == (2, 7)
    # The one who was there hears of it as of any change.
    assert first.types() == ["snapshot", "delta"]
    assert first.got[1]["changes"] == {"A1": "blocked"}


async def test_slow_watcher_gets_no_deltas_then_a_resync_and_a_snapshot(stage: Stage) -> None:
    slow, quick = Client(), Client()
    await stage.joined(slow, seen(1, 5))
    await stage.joined(quick, seen(1, 5))
    slow.unsent_bytes = SLOW_BUFFER_BYTES + 1
    for seq in (6, 7):
        stage.block(seq, seq - 6)
        await turns(3)
    assert (slow.types(), quick.types()) == (["snapshot"], ["snapshot", "delta", "delta"])
    slow.unsent_bytes = 0
    await turns(5)
    assert slow.types() == ["snapshot", "resync", "snapshot"]
    assert slow.got[-1]["taken"] == {"A1": "blocked", "A2": "blocked"}
    assert quick.types() == ["snapshot", "delta", "delta"]


async def test_watcher_that_stays_slow_is_dropped(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seat_feed, "SLOW_SECONDS", -1.0)
    slow = Client()
    await stage.joined(slow, seen(1, 5))
    slow.unsent_bytes = SLOW_BUFFER_BYTES + 1
    stage.block(6, 0)
    await turns(6)
    assert slow.aborted
