"""Nodes over one journal in virtual time, with everything that leaves them audited."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from msgspec.structs import fields

from cinema.actors.kernel import Kernel
from cinema.actors.messages import Accepted, Message, Outcome, SeatsSeen, Watch
from cinema.actors.settings import KernelSettings
from cinema.domain.sale_rules import SaleRules
from cinema.domain.seatmap import SeatPlan, grid_layout, parse_layout
from cinema.domain.showtime.commands import (
    BookHold,
    CancelBooking,
    ChangeTerms,
    ExtendHold,
    HoldSeats,
    ReleaseHold,
)
from cinema.domain.showtime.events import ShowConditions
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.storage.journal.memory import WrittenRow
from tests.support import inspection
from tests.support.actors.auditor import Auditor, Feed
from tests.support.actors.scripted_store import RecordingJournal, ScriptedStore
from tests.support.actors.switched_rows import terms_of_row

START_US = 1_800_000_000_000_000
HOLD_TTL_S = 60
SETTINGS = KernelSettings(commit_lanes=1, lease_ms=500, idle_passivation_s=100_000.0)

PLAN = parse_layout(grid_layout(4, 25), 1)

_serials = itertools.count(1)


def some_id() -> bytes:
    """An id nobody else has, random-looking at its end as the archive's filter expects."""
    serial = next(_serials)
    return serial.to_bytes(8, "big") + (serial * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "big")


ANNA = some_id()
BERT = some_id()


class NodeClock:
    """Postgres time as one node estimates it, and its own boot clock; both follow the loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.offset_us = 0
        self.error_us = 0
        self.asleep_ns = 0

    def now_us(self) -> int:
        return true_time_us() + self.offset_us

    def uncertainty_us(self) -> int:
        return self.error_us

    def boot_ns(self) -> int:
        return round(self._loop.time() * 1e9) + 7_000_000_000

    def awake_ns(self) -> int:
        """What a clock says that stands still while the machine sleeps, `asleep_ns` by now."""
        return self.boot_ns() - self.asleep_ns


def true_time_us() -> int:
    """What Postgres' clock says."""
    return START_US + round(asyncio.get_running_loop().time() * 1e6)


class Terms:
    """The terms of every showtime; can be made unreachable."""

    def __init__(self) -> None:
        self.of: dict[bytes, ShowtimeTerms] = {}
        self.layouts: dict[int, SeatPlan] = {}
        self.error: Exception | None = None

    async def load_terms(self, showtime_id: bytes) -> ShowtimeTerms | None:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return self.of.get(showtime_id)

    async def load_layout(self, screen_id: bytes, version: int) -> SeatPlan | None:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return self.layouts.get(version)


class Mail:
    """One message and what came back."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.answered = asyncio.Event()

    @property
    def outcome(self) -> Outcome | None:
        """The answer, None while there is none."""
        return self.outcomes[0] if self.outcomes else None

    @property
    def code(self) -> str | None:
        """The code of a refusal or failure; "OK" for success, None while there is no answer."""
        return None if self.outcome is None else getattr(self.outcome, "code", "OK")


class Node:
    """A kernel, its clock and its own way to the journal."""

    def __init__(self, world: World, kernel_type: type[Kernel], settings: KernelSettings) -> None:
        self.world = world
        self.clock = NodeClock()
        self.store = ScriptedStore(world.journal)
        self.kernel = kernel_type(self.store, world.terms, self.clock, settings)
        self.order: list[Mail] = []

    def tell(self, showtime_id: bytes, message: Message) -> Mail:
        """Send a message; its answer is audited the moment it leaves."""
        mail = Mail()
        self.kernel.tell(showtime_id, message, self.audited(showtime_id, message, mail))
        return mail

    def audited(
        self, showtime_id: bytes, message: Message, mail: Mail
    ) -> Callable[[Outcome], None]:
        """A reply that files the outcome and checks it."""
        auditor = self.world.auditor
        asked_at_seq = auditor.durable_seq(showtime_id)

        def reply(outcome: Outcome) -> None:
            auditor.answered(showtime_id, message, asked_at_seq, outcome)
            mail.outcomes.append(outcome)
            mail.answered.set()
            self.order.append(mail)

        return reply

    async def ask(self, showtime_id: bytes, message: Message) -> Any:
        """`tell`, and the outcome."""
        mail = self.tell(showtime_id, message)
        await mail.answered.wait()
        return mail.outcome

    async def watch(self, showtime_id: bytes) -> tuple[Feed, SeatsSeen]:
        """Begin to watch: the feed and the snapshot it continues."""
        feed = Feed(self.world.auditor, showtime_id)
        seen = await self.ask(showtime_id, Watch(feed=feed))
        assert isinstance(seen, SeatsSeen)
        return feed, seen

    def actor(self, showtime_id: bytes) -> Any:
        """The actor in memory."""
        return inspection.actors_of(self.kernel)[showtime_id]


class World:
    """A journal, showtimes of 4 x 25 seats, and nodes that may all serve all of them."""

    def __init__(self, journal_type: type[RecordingJournal] = RecordingJournal) -> None:
        self.journal = journal_type(true_time_us)
        self.terms = Terms()
        self.auditor = Auditor(self.journal, PLAN)
        self.nodes: list[Node] = []
        self.journal.sold.on_row = self._switch

    def _switch(self, row: WrittenRow) -> None:
        """What changes of a showtime write into the catalogue; a plan is pinned by the test."""
        if row.branch == "switched":
            before = self.terms.of[row.showtime_id]
            self.terms.of[row.showtime_id] = terms_of_row(before, row.row)

    def showtime(self, showtime_id: bytes = b"", **terms: Any) -> bytes:
        """A new showtime, on sale."""
        showtime_id = showtime_id or some_id()
        self.journal.add_showtime(showtime_id)
        given = ShowtimeTerms(
            showtime_id=showtime_id,
            plan=PLAN,
            currency="EUR",
            prices_minor=(1000,) * len(PLAN.categories),
            starts_at_us=START_US + 10**11,
            ends_at_us=START_US + 2 * 10**11,
            sales_opens_at_us=0,
            sales_closes_at_us=START_US + 10**11,
            hold_ttl_s=HOLD_TTL_S,
            hold_max_s=3 * HOLD_TTL_S,
            seats_per_hold=100,
            live_holds_per_customer=1000,
            seats_per_staff_hold=100,
            live_holds_per_staff=100,
            protect_orphans=False,
            companions_need_accessible=False,
            movie_id=bytes(16),
            screen_id=bytes(16),
            base_price_minor=1000,
        )
        self.terms.of[showtime_id] = msgspec.structs.replace(given, **terms)
        return showtime_id

    async def node(self, kernel_type: type[Kernel] = Kernel, **settings: Any) -> Node:
        """One more node, started."""
        made = Node(self, kernel_type, msgspec.structs.replace(SETTINGS, **settings))
        self.nodes.append(made)
        await made.kernel.start()
        return made

    async def warm_node(self, showtime_id: bytes, **settings: Any) -> Node:
        """A node that serves a showtime already, with a fresh lease."""
        node = await self.node(**settings)
        await node.ask(showtime_id, release(ANNA, some_id()))
        return node

    def events(self, showtime_id: bytes) -> list[str]:
        """The names of all events that were ever durable."""
        from cinema.domain.showtime.events import decode_recorded

        written = self.journal.ledger[showtime_id]
        return [type(decode_recorded(one.row.payload).event).__name__ for one in written]


@asynccontextmanager
async def audited_world(
    journal_type: type[RecordingJournal] = RecordingJournal,
) -> AsyncIterator[World]:
    """A world whose history must be faultless in the end."""
    world = World(journal_type)
    yield world
    for node in world.nodes:
        check_counts(node.kernel)
    await stop(world)
    assert world.auditor.finish() == []


def check_counts(kernel: Kernel) -> None:
    """Each message counts once from when it is taken until it is answered, and in its mailbox."""
    actors = list(inspection.actors_of(kernel).values())
    for actor in actors:
        assert actor.waiting == inspection.messages_held(actor)
    assert kernel.load.waiting == sum(actor.waiting for actor in actors)
    assert kernel.mailbox_depth == sum(actor.mailbox_depth for actor in actors)


async def stop(world: World) -> None:
    """End all nodes as a killed process ends: nothing is given back."""
    for node in world.nodes:
        await inspection.kill(node.kernel)


def hold(customer: bytes, *labels: str, key: bytes | None = None) -> HoldSeats:
    """A hold; `key` stands for the client's idempotency key."""
    return HoldSeats(
        command_id=key or some_id(),
        fingerprint=b"the-hold" if key else b"",
        hold_id=some_id(),
        customer=customer,
        labels=list(labels),
    )


def release(customer: bytes, hold_id: bytes, *labels: str) -> ReleaseHold:
    """Give a hold back, or some of its seats."""
    chosen = list(labels) or None
    return ReleaseHold(command_id=some_id(), hold_id=hold_id, customer=customer, labels=chosen)


def extend(customer: bytes, hold_id: bytes) -> ExtendHold:
    """Give a hold its time again."""
    return ExtendHold(command_id=some_id(), hold_id=hold_id, customer=customer)


def book(
    customer: bytes, hold_id: bytes, *, code: str | None = None, key: bytes | None = None
) -> BookHold:
    """Book a hold."""
    booking_id = some_id()
    return BookHold(
        command_id=key or some_id(),
        fingerprint=b"the-book" if key else b"",
        hold_id=hold_id,
        customer=customer,
        booking_id=booking_id,
        code=code or booking_id.hex(),
        payment_id=some_id(),
        payment_method="demo",
    )


def cancel(customer: bytes, booking_id: bytes, *labels: str) -> CancelBooking:
    """Cancel a booking, or some of its seats."""
    chosen = list(labels) or None
    return CancelBooking(
        command_id=some_id(), booking_id=booking_id, customer=customer, labels=chosen
    )


def change_terms(terms: ShowtimeTerms, *, seen: int = 0, **changes: Any) -> ChangeTerms:
    """Sell by other conditions than `terms`, whose version was `seen` (0: theirs)."""
    before = ShowConditions(
        movie_id=terms.movie_id,
        screen_id=terms.screen_id,
        starts_at_us=terms.starts_at_us,
        ends_at_us=terms.ends_at_us,
        clear_at_us=terms.ends_at_us,
        local_date="2027-01-15",
        base_price_minor=terms.base_price_minor,
        price_overrides=terms.price_overrides,
        format="2D",
        language="en",
        sales_opens_at_us=terms.sales_opens_at_us,
        sales_closes_at_us=terms.sales_closes_at_us,
        rules="{}",
    )
    return ChangeTerms(
        command_id=some_id(),
        seen=(seen or terms.version,),
        conditions=msgspec.structs.replace(before, **changes),
        rules=SaleRules(**{field.name: getattr(terms, field.name) for field in fields(SaleRules)}),
    )


def accepted(outcome: Any) -> Accepted:
    """The outcome, which must be a success."""
    assert isinstance(outcome, Accepted), outcome
    return outcome
