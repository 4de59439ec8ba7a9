"""Bookings on a real Postgres, as their events write them, and nodes that issue documents."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from cinema.domain.ids import new_id
from cinema.domain.times import to_us
from cinema.features.invoices.checking_jobs import Checking
from cinema.features.invoices.checking_store import ChecksRepository
from cinema.features.invoices.jobs import Issuing
from cinema.features.invoices.metrics import CheckCounts, InvoiceCounts
from cinema.features.invoices.rules import RefundedItems
from cinema.features.invoices.shapes import Document
from cinema.features.invoices.store import InvoicesRepository
from cinema.storage.database.reads import PrimaryReads
from tests.support.catalog_rows import INSERT_SHOWTIMES

NOW = datetime(2026, 6, 1, 17, 31, tzinfo=UTC)

_CONFIRM = """
with booking as (
    insert into bookings (id, code, showtime_id, user_id, hold_id, status, total_minor, currency,
        created_at)
    values ($1, $2, $3, $4, $1, 'confirmed', $5, $6, $7)
), payment as (
    insert into payments (id, booking_id, method, status, amount_minor, currency, created_at)
    values ($1, $1, 'demo', 'succeeded', $5, $6, $7)
), seats as (
    insert into booking_seats (booking_id, position, showtime_id, seat, category, price_minor)
    select $1, place, $3, seat, 'regular', price
    from unnest($8::text[], $9::bigint[]) with ordinality as one (seat, price, place)
)
insert into invoices_due (showtime_id, seq, booking_id, what, due_at, next_try_at)
values ($3, $10, $1, '{}', $7, $7)
"""
_GIVE_BACK = """
with payment as (
    update payments set refunded_minor = refunded_minor + $5 where booking_id = $1
), seats as (
    update booking_seats set live = false where booking_id = $1 and seat = any($4)
), booking as (
    update bookings set status = case when $7 then 'cancelled' else status end where id = $1
)
insert into invoices_due (showtime_id, seq, booking_id, what, due_at, next_try_at)
values ($2, $3, $1, $6::text::jsonb, $8, $8)
"""


class Booked(msgspec.Struct):
    """A booking, and the prices of the seats that it still has."""

    id: UUID
    showtime_id: UUID
    left: dict[str, int]


class Till:
    """Sells and takes back, by rows alone."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self.pool = pool
        self.now = NOW
        self.counts = InvoiceCounts()
        self.checked = CheckCounts()
        self.bookings: list[Booked] = []
        self.refunds = 0
        self._ids = itertools.count(1)
        self._seqs = itertools.count(1)

    def new_id(self) -> UUID:
        return UUID(bytes=new_id(to_us(self.now), next(self._ids)))

    def store(self) -> InvoicesRepository:
        return InvoicesRepository(
            self.pool, PrimaryReads(self.pool), new_id=self.new_id, now=lambda: self.now
        )

    def node(self) -> Issuing:
        """One more node."""
        return Issuing(self.store(), self.counts, now=lambda: self.now)

    def checking(self) -> Checking:
        """The check of one more node."""
        return Checking(
            ChecksRepository(self.pool), self.store(), self.checked, now=lambda: self.now
        )

    async def showtimes(self, count: int = 2) -> list[UUID]:
        """Showtimes of a cinema of their own."""
        ids = [self.new_id() for _ in range(count)]
        await self.pool.execute(INSERT_SHOWTIMES, ids)
        return ids

    async def set_cinema(self, showtime_id: UUID, **columns: Any) -> None:
        for name, value in columns.items():
            await self.pool.execute(
                f"update cinemas set {name} = $2"
                " where id = (select cinema_id from showtimes where id = $1)",
                showtime_id,
                value,
            )

    async def confirm(
        self, showtime_id: UUID, *prices: int, currency: str = "EUR", user_id: UUID | None = None
    ) -> Booked:
        booking_id = self.new_id()
        seats = {f"{booking_id.hex}-{place}": price for place, price in enumerate(prices)}
        await self.pool.execute(
            _CONFIRM,
            *(booking_id, booking_id.hex, showtime_id, user_id or booking_id),
            *(sum(prices), currency, self.now, list(seats), list(prices), next(self._seqs)),
        )
        self.bookings.append(booked := Booked(booking_id, showtime_id, seats))
        return booked

    async def give_back(self, booked: Booked, *seats: str) -> None:
        """Give back some seats, all that are left unless they are named."""
        given = {seat: booked.left.pop(seat) for seat in seats or list(booked.left)}
        refund = RefundedItems(tuple(given.items()), sum(given.values()), not booked.left)
        await self.pool.execute(
            _GIVE_BACK,
            *(booked.id, booked.showtime_id, next(self._seqs), list(given)),
            *(refund.amount_minor, msgspec.json.encode(refund).decode()),
            *(refund.whole, self.now),
        )
        self.refunds += 1

    async def anything(self, draw: random.Random, showtime_ids: list[UUID]) -> None:
        """One step of a random history."""
        living = [one for one in self.bookings if one.left]
        if living and draw.random() < 0.4:
            booked = draw.choice(living)
            await self.give_back(booked, *draw.sample(list(booked.left), 1))
        else:
            prices = [draw.randrange(1, 2000) for _ in range(draw.randrange(1, 4))]
            await self.confirm(draw.choice(showtime_ids), *prices)
        self.now += timedelta(seconds=1)

    async def issue_all(self) -> None:
        """Have a node issue until nothing is due."""
        node = self.node()
        while await node.round():
            pass

    async def documents(self, *bookings: Booked) -> list[Document]:
        """The documents of some bookings, or all, in the order of their ids."""
        rows = await self.pool.fetch(
            "select content from invoices where cardinality($1::uuid[]) = 0 or booking_id = any($1)"
            " order by id",
            [one.id for one in bookings],
        )
        return [msgspec.json.decode(row["content"], type=Document) for row in rows]

    async def numbers(self) -> dict[tuple[UUID, str, int], list[int]]:
        """All that were given, in order, for each counter."""
        rows = await self.pool.fetch(
            "select cinema_id, kind, year, array_agg(seq order by seq) from invoices"
            " group by 1, 2, 3"
        )
        return {(row[0], row[1], row[2]): row[3] for row in rows}

    async def check(self) -> None:
        """No gaps, an invoice for each booking, before a correction for each refund."""
        for key, given in (await self.numbers()).items():
            assert given == list(range(1, len(given) + 1)), key
        counters = await self.pool.fetch("select cinema_id, kind, year, last from invoice_counters")
        lasts = {(row[0], row[1], row[2]): row[3] for row in counters}
        assert lasts == {key: given[-1] for key, given in (await self.numbers()).items()}
        by_booking: dict[UUID, list[Document]] = {one.id: [] for one in self.bookings}
        for document in await self.documents():
            by_booking[document.booking.id].append(document)
        corrections = 0
        for booked in self.bookings:
            first, *others = by_booking[booked.id]
            assert first.kind == "invoice"
            assert {one.kind for one in others} <= {"credit_note", "cancellation"}
            back = sum(one.total.amount for one in others)
            assert first.total.amount - back == sum(booked.left.values())
            corrections += len(others)
        assert corrections == self.refunds
