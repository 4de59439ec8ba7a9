"""The two journals as the contract suite meets them, and the values it writes."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from cinema.domain.seatmap import grid_layout, parse_layout
from cinema.domain.showtime.events import (
    BookingCancelled,
    HoldBooked,
    Offer,
    PaymentEnded,
    PaymentReturned,
    PaymentStarted,
    PlanChanged,
    SalesPaused,
    SalesResumed,
    SeatsChanged,
    ShowConditions,
    ShowtimeCancelled,
    TermsChanged,
)
from cinema.domain.showtime.state import NEVER_US
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.features.bookings.rows import BOOKING_BRANCHES
from cinema.features.invoices.rows import INVOICE_BRANCHES
from cinema.features.ledger.rows import LEDGER_BRANCHES
from cinema.features.loyalty.rows import LOYALTY_BRANCHES
from cinema.features.pricing.rows import PRICING_BRANCHES
from cinema.features.showtimes.rows import SHOWTIME_BRANCHES
from cinema.features.tickets.rows import TICKET_BRANCHES
from cinema.features.waitlist.rows import WAITLIST_BRANCHES
from cinema.storage.journal.branches import Happened, RowBranches
from cinema.storage.journal.memory import MemoryJournal
from cinema.storage.journal.postgres import PostgresJournal
from cinema.storage.journal.store import (
    Append,
    ArchiveRow,
    JournalStore,
    LaneStore,
    NewEvent,
    SnapshotSave,
)
from tests.support.booking_tables import BookingTables

STATEMENT_TIMEOUT_S = 5.0
LOCK_TIMEOUT_S = 2.0

BOOKED_AT_US = 1_700_000_000_000_000
CANCELLED_AT_US = 1_700_000_001_000_000

BRANCHES = RowBranches(
    [
        *PRICING_BRANCHES,
        *LEDGER_BRANCHES,
        *LOYALTY_BRANCHES,
        *BOOKING_BRANCHES,
        *SHOWTIME_BRANCHES,
        *INVOICE_BRANCHES,
        *WAITLIST_BRANCHES,
        *TICKET_BRANCHES,
    ]
)

_serials = itertools.count(1)


def _terms() -> ShowtimeTerms:
    """Of any showtime: rows A to F, the last of them in another category."""
    layout = grid_layout(6, 60)
    *rows, last = layout.rows
    vip = msgspec.structs.replace(
        last, seats=tuple(msgspec.structs.replace(seat, category="vip") for seat in last.seats)
    )
    plan = parse_layout(msgspec.structs.replace(layout, rows=(*rows, vip)), 1)
    return ShowtimeTerms(
        showtime_id=bytes(16),
        plan=plan,
        currency="EUR",
        prices_minor=(1000, 1600),
        starts_at_us=0,
        ends_at_us=0,
        sales_opens_at_us=0,
        sales_closes_at_us=0,
        hold_ttl_s=60,
        hold_max_s=60,
        seats_per_hold=10,
        live_holds_per_customer=10,
        seats_per_staff_hold=10,
        live_holds_per_staff=10,
        protect_orphans=False,
        companions_need_accessible=False,
    )


TERMS = _terms()


class Stage(NamedTuple):
    """A journal, one of its lanes, and how a showtime's head comes to be."""

    journal: JournalStore
    lane: LaneStore
    create: Callable[[bytes], Awaitable[None]]
    outbox: Callable[[], Awaitable[list[tuple[bytes, int, str, Any]]]]

    async def showtime(self) -> bytes:
        """A new showtime that nobody has owned yet."""
        showtime_id = some_id()
        await self.create(showtime_id)
        return showtime_id

    async def owned(self) -> tuple[bytes, int]:
        """A new showtime and the epoch of its first owner."""
        showtime_id = await self.showtime()
        taken = await self.journal.take_over(showtime_id)
        assert taken is not None
        return showtime_id, taken.epoch

    async def write(
        self, showtime_id: bytes, epoch: int, prev_seq: int, *effects: Happened, events: int = 1
    ) -> bool:
        """Append some events of one showtime alone; whether its head matched."""
        part = append(showtime_id, epoch, prev_seq, *effects, events=events)
        return showtime_id in await self.lane.append([part])

    async def where(self, showtime_id: bytes) -> tuple[int, int]:
        """The head's epoch and seq."""
        loaded = await self.journal.load(showtime_id)
        assert loaded is not None
        return loaded.epoch, loaded.seq


@asynccontextmanager
async def memory_stage() -> AsyncIterator[Stage]:
    """The in-memory twin."""
    tables = BookingTables()
    journal = MemoryJournal(BRANCHES, tables)

    async def outbox() -> list[tuple[bytes, int, str, Any]]:
        return [
            (row.showtime_id, row.seq, row.row["kind"], row.row["payload"])
            for row in tables.rows.get("bookings_told", [])
        ]

    async def create(showtime_id: bytes) -> None:
        journal.add_showtime(showtime_id)

    lane = journal.lane()
    yield Stage(journal, lane, create, outbox)
    await lane.close()


@asynccontextmanager
async def postgres_stage(database: str) -> AsyncIterator[Stage]:
    """The journal of a migrated database."""
    journal = await PostgresJournal.open(
        database,
        BRANCHES,
        connections=3,
        statement_timeout_s=STATEMENT_TIMEOUT_S,
        lock_timeout_s=LOCK_TIMEOUT_S,
        lane_lock_timeout_s=LOCK_TIMEOUT_S,
    )

    async def create(showtime_id: bytes) -> None:
        await journal.pool.execute(
            "insert into showtime_heads (showtime_id) values ($1)", UUID(bytes=showtime_id)
        )

    async def outbox() -> list[tuple[bytes, int, str, Any]]:
        rows = await journal.pool.fetch(
            "select showtime_id, seq, kind, payload from outbox order by id"
        )
        return [(row[0].bytes, row[1], row[2], msgspec.json.decode(row[3])) for row in rows]

    lane = journal.lane()
    yield Stage(journal, lane, create, outbox)
    await lane.close()
    await journal.close()


def some_id() -> bytes:
    """An id nobody else has; later ones sort later."""
    return next(_serials).to_bytes(16, "big")


def append(
    showtime_id: bytes,
    epoch: int,
    prev_seq: int,
    *effects: Happened,
    events: int = 1,
    branches: RowBranches = BRANCHES,
    next_due_us: int = NEVER_US,
) -> Append:
    """One showtime's share of a batch, with payloads that say who wrote them."""
    last_seq = prev_seq + events
    rows = [
        NewEvent(
            f"{epoch}:{seq}".encode(),
            seq * 1000,
            next_due_us,
            None if effect is None else branches.rows_of(seq, effect),
        )
        for seq, effect in itertools.zip_longest(range(prev_seq + 1, last_seq + 1), effects)
    ]
    return Append(showtime_id, epoch, prev_seq, last_seq, rows)


def batch(*parts: Append) -> list[Append]:
    """The parts in the order a lane sends them."""
    return sorted(parts, key=lambda part: part.showtime_id)


def booking(
    *labels: str, code: str | None = None, request_key: bytes | None = None, **event: Any
) -> Happened:
    """A booking of some seats; `event` has the fields that a test looks at."""
    booking_id = some_id()
    seats = tuple(TERMS.plan.index[label] for label in labels)
    made = HoldBooked(
        hold_id=some_id(),
        customer=some_id(),
        seats=seats,
        prices=tuple(TERMS.prices_minor[TERMS.plan.category_of[seat]] for seat in seats),
        booking_id=booking_id,
        code=code or booking_id.hex(),
        payment_id=some_id(),
        payment_method="demo",
        currency="EUR",
    )
    return Happened(msgspec.structs.replace(made, **event), TERMS, BOOKED_AT_US, request_key)


def pending(made: Happened) -> Happened:
    """The same booking, waiting for its payment."""
    booked = made.event
    assert isinstance(booked, HoldBooked)
    event = PaymentStarted(
        hold_id=booked.hold_id,
        customer=booked.customer,
        seats=booked.seats,
        prices=booked.prices,
        expires_at_us=BOOKED_AT_US + 2,
        pay_until_us=BOOKED_AT_US + 1,
        booking_id=booked.booking_id,
        code=booked.code,
        payment_id=booked.payment_id,
        payment_method=booked.payment_method,
        currency=booked.currency,
    )
    return msgspec.structs.replace(made, event=event)


def given_up(made: Happened) -> Happened:
    """All seats of a booking are given up for those of another showtime."""
    event = msgspec.structs.replace(
        cancellation(made).event, exchange_id=some_id(), carried_minor=500
    )
    return msgspec.structs.replace(made, event=event)


def paid(made: Happened) -> Happened:
    """A booking that waited for its payment has got it."""
    return msgspec.structs.replace(made, event=msgspec.structs.replace(made.event, pending=True))


def unpaid(made: Happened) -> Happened:
    """A booking that waited for its payment did not get it."""
    booked = made.event
    assert isinstance(booked, HoldBooked)
    event = PaymentEnded(
        booked.hold_id, booked.customer, booked.seats, booked.prices, booked.booking_id, True
    )
    return msgspec.structs.replace(made, event=event)


def given_back(made: Happened, *, waited: bool = True) -> Happened:
    """The money of a booking that waited for it, or had waited, goes back."""
    booked = made.event
    assert isinstance(booked, HoldBooked)
    event = PaymentReturned(
        booked.hold_id, booked.customer, booked.seats, booked.prices, booked.booking_id, waited
    )
    return msgspec.structs.replace(made, event=event)


def cancellation(made: Happened, *labels: str) -> Happened:
    """Some seats leave a booking, or all if none is named."""
    booked = made.event
    assert isinstance(booked, HoldBooked)
    gone = tuple(TERMS.plan.index[label] for label in labels) or booked.seats
    prices = dict(zip(booked.seats, booked.prices, strict=True))
    left = tuple(seat for seat in booked.seats if seat not in gone)
    cancelled = BookingCancelled(
        booking_id=booked.booking_id,
        customer=booked.customer,
        cancelled=gone,
        cancelled_prices=tuple(prices[seat] for seat in gone),
        seats=left,
        prices=tuple(prices[seat] for seat in left),
    )
    return Happened(cancelled, TERMS, CANCELLED_AT_US, None)


def seat_change(made: Happened, pairs: dict[str, str], more_minor: int = 0) -> Happened:
    """Tickets of a booking get other seats, the first for so much more, or less if below 0."""
    booked = made.event
    assert isinstance(booked, HoldBooked | SeatsChanged)
    index = TERMS.plan.index
    prices = dict(zip(booked.seats, booked.prices, strict=True))
    left, chosen = [index[one] for one in pairs], [index[one] for one in pairs.values()]
    now = [prices[seat] for seat in left]
    now[0] += more_minor
    others = dict(zip(left, zip(chosen, now, strict=True), strict=True))
    after = [others.get(seat, (seat, price)) for seat, price in prices.items()]
    changed = SeatsChanged(
        booking_id=booked.booking_id,
        customer=booked.customer,
        left=tuple(left),
        left_prices=tuple(prices[seat] for seat in left),
        chosen=tuple(chosen),
        chosen_prices=tuple(now),
        seats=tuple(seat for seat, _ in after),
        prices=tuple(price for _, price in after),
        currency=booked.currency,
        taxes=tuple(range(len(chosen))),
        payment_id=some_id() if more_minor > 0 else b"",
        payment_method="demo" if more_minor > 0 else "",
        tax_minor=max(0, more_minor // 10),
        refund_minor=max(0, -more_minor),
    )
    return Happened(changed, TERMS, CANCELLED_AT_US, None)


def plan_change(version: int) -> Happened:
    """Another version of the plan is pinned."""
    return Happened(PlanChanged(1, version, 4, (0, 1, 2, 3)), TERMS, BOOKED_AT_US, None)


def move() -> Happened:
    """The plan of another screen is pinned."""
    moved = terms_change().event
    assert isinstance(moved, TermsChanged)
    event = PlanChanged(1, 2, 4, (0, 1, 2, 3), 2, moved)
    return Happened(event, TERMS, BOOKED_AT_US, None)


def called_off() -> Happened:
    """The showtime is cancelled, with a booking, and one that was not paid yet."""
    event = ShowtimeCancelled(2, "no heating", (some_id(),), (0,), 1, some_id(), (some_id(),))
    return Happened(event, TERMS, BOOKED_AT_US, None)


def switch(*, paused: bool) -> Happened:
    """Sales are paused, or resumed."""
    event = SalesPaused() if paused else SalesResumed()
    return Happened(event, TERMS, BOOKED_AT_US, None)


def offered() -> Happened:
    """Sales go on, and what has become free is held for somebody who waited."""
    offer = Offer(some_id(), some_id(), (0,), (1000,), BOOKED_AT_US + 1)
    return Happened(SalesResumed((offer,)), TERMS, BOOKED_AT_US, None)


def terms_change(version: int = 2, **changes: Any) -> Happened:
    """Other terms; `changes` are those of the conditions that a test looks at."""
    usual = ShowConditions(
        movie_id=some_id(),
        screen_id=some_id(),
        starts_at_us=BOOKED_AT_US,
        ends_at_us=BOOKED_AT_US + 1,
        clear_at_us=BOOKED_AT_US + 2,
        local_date="2026-06-01",
        base_price_minor=1000,
        price_overrides=(("vip", 5),),
        format="2D",
        language="en",
        sales_opens_at_us=1,
        sales_closes_at_us=2,
        rules="{}",
    )
    event = TermsChanged(version, msgspec.structs.replace(usual, **changes), BOOKED_AT_US, 0)
    return Happened(event, TERMS, BOOKED_AT_US, None)


def labels_of(made: Happened) -> list[str]:
    """The seats of a booking."""
    assert isinstance(made.event, HoldBooked)
    return [TERMS.plan.labels[seat] for seat in made.event.seats]


def snapshot(
    showtime_id: bytes,
    epoch: int,
    seq: int,
    *,
    next_due_us: int = NEVER_US,
    payload: bytes | None = b"snapshot",
    archive: Sequence[ArchiveRow] = (),
    release: bool = False,
    truncate: bool = False,
) -> SnapshotSave:
    """A snapshot to save."""
    return SnapshotSave(
        showtime_id=showtime_id,
        epoch=epoch,
        seq=seq,
        next_due_us=next_due_us,
        payload=payload,
        archive=tuple(archive),
        release=release,
        truncate=truncate,
    )


def archive_row(
    key: bytes, kind: int, *, seq: int = 1, at_us: int = 1000, payload: bytes = b"row"
) -> ArchiveRow:
    """A row for the archive."""
    return ArchiveRow(key, kind, seq, 1, 1, at_us, payload)
