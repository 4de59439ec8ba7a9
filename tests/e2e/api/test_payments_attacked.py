"""Reservations and payments over HTTP, where two things happen at once or one is told twice."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused
from cinema.domain.times import from_us
from cinema.features.bookings.pending_jobs import UnpaidBookings
from cinema.features.bookings.store import BookingsRepository, SoldBooking
from cinema.features.cashdesk.till_store import TillsRepository
from cinema.features.payments.service import PaymentsService
from cinema.features.payments.shapes import ProcessInput
from cinema.features.payments.store import PaymentsRepository
from cinema.storage.database.reads import PrimaryReads
from tests.e2e.api.house import LABELS, Clocks, House, open_house
from tests.e2e.api.paying import get, process, reserve, verify
from tests.e2e.api.showtimes import cancel as cancel_showtime
from tests.e2e.api.showtimes import change, ended, moved, shown
from tests.support.ledger import Replay, read_ledger

NO_CARDS: Any = None
"""Nobody pays by gift card here."""

NO_POINTS: Any = None

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_cancellation_that_is_repeated_under_its_key_gets_the_same_answer(
    house: House,
) -> None:
    await verify(house, "ada")
    showtime_id = await house.showtime()
    booking = await reserve(house, "ada", showtime_id, "A1")
    first, again = [
        await house.ask("ada", "DELETE", f"bookings/{booking['id']}", key="once") for _ in range(2)
    ]
    assert (first.status, again.status) == (200, 200), again
    assert first.data == again.data


class _Overtaken(BookingsRepository):
    """Reads a sale, and lets something else happen before anybody acts on it."""

    def __init__(self, pool: Any, meanwhile: Any) -> None:
        super().__init__(pool)
        self._meanwhile = meanwhile

    async def sale_of(self, booking_id: UUID) -> SoldBooking | None:
        sale = await super().sale_of(booking_id)
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return sale


async def test_a_payment_of_what_was_paid_and_cancelled_meanwhile_confirms_nothing(
    house: House, site: Any
) -> None:
    await verify(house, "ada")
    showtime_id = await house.showtime()
    booking = await reserve(house, "ada", showtime_id, "A1")

    async def meanwhile() -> None:
        assert (await process(house, "staff", booking["id"])).status == 200
        assert (await house.ask("ada", "DELETE", f"bookings/{booking['id']}")).status == 200

    staff = UUID(house.people["staff"]).bytes
    principal = Principal(staff, "staff", staff, 9e9, frozenset([UUID(house.cinema_id).bytes]))
    dsn = site.address if "://" in str(site.address) else None
    assert dsn, site.address
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        payments = PaymentsService(
            house.node.attempts,
            PaymentsRepository(PrimaryReads(pool)),
            _Overtaken(pool, meanwhile),
            TillsRepository(pool),
            NO_CARDS,
            NO_POINTS,
            now=lambda: datetime.now(UTC),
        )
        wanted = ProcessInput(booking_id=UUID(booking["id"]), method="counter")
        with pytest.raises(Refused) as refused:
            await payments.process(principal, wanted)
    assert refused.value.rejection.code == "BOOKING_ENDED"


async def _messages(house: House, showtime_id: str) -> dict[str, str]:
    rows = await house.database.fetch(
        "select b.id::text, m.kind from bookings b "
        "left join messages m on m.dedupe_key = 'showtime_cancelled:' || b.id "
        "where b.showtime_id = $1",
        showtime_id,
    )
    return {row["id"]: row["kind"] for row in rows}


async def test_everybody_with_a_reservation_hears_that_the_showtime_is_cancelled(
    house: House,
) -> None:
    await verify(house, "ada")
    showtime_id = await house.showtime()
    booking = await reserve(house, "ada", showtime_id, "A1")
    answer = await cancel_showtime(house, showtime_id)
    assert answer.status in {200, 202}
    assert answer.data["job_id"] is not None, "nobody tells those who only have reserved"
    assert booking["id"] in await _messages(house, showtime_id)


async def test_a_cancelled_showtime_promises_no_refund_of_what_was_never_paid(
    house: House,
) -> None:
    """Its job counts, and writes "You get all of it back: 10.00 EUR", to those who paid nothing."""
    await verify(house, "ada")
    showtime_id = await house.showtime()
    await reserve(house, "ada", showtime_id, "A1")
    await house.booked("bob", showtime_id, "A3")
    answer = await cancel_showtime(house, showtime_id)
    job = await ended(house, answer.data["job_id"])
    assert (job["done"], job["remaining"]) == (2, 0), job
    assert len(await _messages(house, showtime_id)) == 2


async def test_a_reservation_moves_with_a_start_that_is_moved_ahead(house: House) -> None:
    await verify(house, "ada")
    showtime_id = await house.showtime()
    booking = await reserve(house, "ada", showtime_id, "A1")
    before = await shown(house, showtime_id)
    answer = await change(house, showtime_id, starts_at=moved(before, hours=-4))
    assert answer.status == 200, answer
    after = await shown(house, showtime_id)
    stored = await get(house, "ada", f"bookings/{booking['id']}")
    assert stored["payment"]["pay_until"] < after["starts_at"], "still unpaid when the film runs"


async def test_unpaid_reservations_count_after_a_restart(database: str) -> None:
    async with open_house(database, unpaid_seats_per_customer=10) as house:
        await verify(house, "ada")
        showtime_id, other_id = await house.showtime(), await house.showtime()
        await reserve(house, "ada", showtime_id, *(f"A{at}" for at in range(1, 9)))
        assert (await house.hold("ada", other_id, "A1", "A2", "A3")).error == (409, "HOLD_LIMIT")
        people, cinema_id = house.people, house.cinema_id
    async with open_house(database, unpaid_seats_per_customer=10) as house:
        house.people, house.cinema_id = people, cinema_id
        hold_id = await house.held("ada", other_id, "A1", "A2", "A3")
        answer = await house.book("ada", other_id, hold_id, method="counter_later")
        assert answer.error == (409, "HOLD_LIMIT")
        # Paying for them at once is no reservation.
        assert (await house.book("ada", other_id, hold_id)).status == 201


_ROWS = """
select b.id::text, b.status, b.cancelled_at, p.status as paid, p.method, p.amount_minor,
    p.refunded_minor, b.total_minor,
    (select count(*) from booking_seats s where s.booking_id = b.id and s.live) as live,
    (
        select count(*) from payments one
        where one.booking_id = b.id and one.status in ('succeeded', 'partially_refunded')
    ) as times_paid
from bookings b join payments p on p.id = coalesce(b.payment_id, (
    select one.id from payments one where one.booking_id = b.id
    order by one.created_at, one.id limit 1
))
where b.showtime_id = $1"""
"""Bookings with the payment that counts: an attempt that came too late, for seats that others had
then, has failed, and may stand beside one that succeeded later."""

_FITS = {
    "pending": {"pending"},
    "confirmed": {"succeeded", "partially_refunded"},
    "cancelled": {"refunded", "failed"},
    "expired": {"failed"},
}


_CUT = """
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and pid <> all($1::int[])"""


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("seed", range(3))
async def test_rows_and_journal_agree_whatever_happens_at_once(
    database: str, clocks: Clocks, seed: int, cut: bool
) -> None:
    """With `cut`, connections are lost in the middle: commits are unknown, and taken over."""
    chance = random.Random(seed)
    async with open_house(
        database,
        clocks=clocks,
        snapshot_every_events=7,
        unpaid_seats_per_customer=100_000,
        live_holds_per_customer=1000,
    ) as house:
        await verify(house, "ada", "bob", "staff")
        await house.till("staff")
        # All goes back whenever it is asked for: the hours go by quickly here.
        all_back = [{"hours_before": 0, "percent": 100}]
        await house.database.execute(
            "update cinemas set refund_policy = $1::text::jsonb", json.dumps(all_back)
        )
        showtime_id = await house.showtime()
        await house.move(showtime_id, starts_in=timedelta(minutes=300))
        bookings: list[tuple[str, str]] = []
        cutting = asyncio.Lock()
        async with asyncpg.create_pool(database, min_size=1, max_size=2) as pool:
            job = UnpaidBookings(
                house.node.kernel,
                BookingsRepository(pool),
                house.node.attempts,
                now=lambda: from_us(clocks.database.now_us()),
            )

            async def live(person: str) -> None:
                for _ in range(25):
                    what = chance.random()
                    if what < 0.45 or not bookings:
                        seats = chance.sample(LABELS[:16], chance.randint(1, 3))
                        held = await house.hold(person, showtime_id, *seats)
                        if held.status == 201:
                            method = chance.choice(["counter_later", "counter_later", "demo"])
                            booked = await house.book(
                                person, showtime_id, held.data["hold_id"], method=method
                            )
                            if booked.status == 201:
                                bookings.append((person, booked.data["id"]))
                    elif what < 0.72:
                        _, booking_id = chance.choice(bookings)
                        await process(house, "staff", booking_id)
                    elif what < 0.92:
                        owner, booking_id = chance.choice(bookings)
                        await house.ask(owner, "DELETE", f"bookings/{booking_id}")
                    elif what < 0.96:
                        clocks.ahead_s += 1500
                        with suppress(Refused, asyncpg.PostgresError, OSError):
                            await job.round()
                    elif cut:
                        async with cutting:
                            await house.database.execute(_CUT, [house.database.get_server_pid()])
                    else:
                        clocks.ahead_s += 700

            await asyncio.gather(*(live(person) for person in ("ada", "bob") * 4))
        rows = await house.database.fetch(_ROWS, showtime_id)
        assert rows
        for row in rows:
            assert row["paid"] in _FITS[row["status"]], dict(row)
            assert (row["live"] > 0) == (row["status"] in {"pending", "confirmed"}), dict(row)
            assert (row["cancelled_at"] is not None) == (row["status"] == "cancelled"), dict(row)
            assert row["times_paid"] == (row["status"] == "confirmed"), dict(row)
            if row["status"] == "confirmed":
                assert row["method"] in {"counter", "demo"}, dict(row)
                assert row["total_minor"] == row["amount_minor"] - row["refunded_minor"]
        faults = Replay(await read_ledger(house.database, showtime_id, LABELS)).faults
        assert faults == []
