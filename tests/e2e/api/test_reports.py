"""Reports over HTTP: they say what bookings, the ledger and the journal say, whatever happened."""

from __future__ import annotations

import asyncio
import csv
import io
import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import pytest
import pytest_asyncio

from cinema.domain.showtime.events import (
    BookingCancelled,
    HoldBooked,
    SeatsChanged,
    decode_recorded,
    paid_more,
    refund_of,
)
from cinema.features.reports.figure_jobs import FiguresKept
from cinema.features.reports.funnel_store import FunnelRepository
from cinema.features.reports.metrics import FigureCounts
from cinema.features.reports.projection_store import ProjectionRepository
from tests.e2e.api.books import sells_by
from tests.e2e.api.doors import open_doors, scan, sold
from tests.e2e.api.house import GUEST_EMAIL, PATIENCE_S, TIME_ZONE, House, Site
from tests.e2e.api.money import faults_of
from tests.e2e.api.paying import verify

pytestmark = pytest.mark.asyncio(loop_scope="module")

FEES = [{"code": "service", "name": "Service", "per": "ticket", "amount": 70}]
STEPS = 40
LAYOUT = {
    "rows": [
        {
            "label": label,
            "seats": [
                {"number": number, "category": "premium" if label in "BDF" else "regular"}
                for number in range(1, 11)
            ],
        }
        for label in "ABCDEF"
    ]
}
"""Rows by turns dearer and cheaper, so that other seats cost more or less."""


class Counting:
    """What counts figures on the house's node, called by hand as well."""

    def __init__(self, house: House, pool: Any) -> None:
        self._house = house
        self._projection = ProjectionRepository(pool)
        self._kept = FiguresKept(
            self._projection, FunnelRepository(pool), FigureCounts(), now=self._now
        )

    def _now(self) -> datetime:
        """Later than what anybody has written, whatever the clocks say."""
        return datetime.fromtimestamp(self._house.clocks.now_s() + 5, UTC)

    async def all(self) -> None:
        """Return once all that has happened is in the figures."""
        async with asyncio.timeout(6 * PATIENCE_S):
            while await self._house.database.fetchval(
                "select exists (select from outbox where kind like 'booking.%' and died_at is null)"
                " or exists (select from refunds where told is distinct from status)"
                " or (select position from projections where name = 'reports')"
                " < (select coalesce(max(position), 0) from public_events)"
                " or (select rebuilt_to is not null from projections where name = 'reports')"
            ):
                await self._kept.round()
            # The node does the same, and then it is not our turn.
            while await self._projection.follow_scans(self._now()) is None:
                pass

    async def funnels(self) -> None:
        """Count the showtimes that are over."""
        await self._kept.count_funnels()


@pytest_asyncio.fixture(loop_scope="module")
async def counting(house: House, site: Site) -> AsyncIterator[Counting]:
    async with asyncpg.create_pool(site.address, min_size=1, max_size=2) as pool:
        yield Counting(house, pool)


async def report(house: House, name: str, person: str = "manager", **query: Any) -> list[Any]:
    """The rows of a report about all days of the house's cinema."""
    today = date.today()  # noqa: DTZ011  (a month either way is meant)
    asked = {"from": today - timedelta(days=40), "to": today + timedelta(days=120), **query}
    text = "&".join(f"{key}={value}" for key, value in asked.items())
    answer = await house.ask(person, "GET", f"admin/reports/{name}?{text}")
    assert answer.status == 200, answer
    assert answer.envelope["meta"]["rebuilding"] is False
    return list(answer.data)


class Histories:
    """People who book, give back, change, exchange, and staff who sell and give money back."""

    def __init__(self, house: House, seed: int, showtimes: list[str]) -> None:
        self.house = house
        self.luck = random.Random(seed)
        self.showtimes = showtimes
        self.bookings: list[tuple[str, str, str]] = []
        self.done: Counter[str] = Counter()

    async def step(self) -> None:
        kinds = (
            "book",
            "book",
            "counter",
            "cancel",
            "part",
            "goodwill",
            "seats_change",
            "exchange",
        )
        kind = self.luck.choice(kinds)
        if await getattr(self, f"_{kind}")():
            self.done[kind] += 1

    def _seats(self) -> list[str]:
        row, first = self.luck.choice("ABCDEF"), self.luck.randint(1, 8)
        return [f"{row}{number}" for number in range(first, first + self.luck.randint(1, 3))]

    async def _sold(self, person: str, method: str) -> bool:
        showtime_id = self.luck.choice(self.showtimes)
        held = await self.house.hold(person, showtime_id, *self._seats())
        if held.status != 201:
            return False
        seats = [one["label"] for one in held.data["seats"]]
        types = self.luck.choices(("adult", "child"), weights=(2, 1), k=len(seats))
        body: dict[str, Any] = {
            "showtime_id": showtime_id,
            "hold_id": held.data["hold_id"],
            "payment": {"method": method},
            "tickets": [
                {"seat": one, "type": type_} for one, type_ in zip(seats, types, strict=True)
            ],
        }
        if person == "guest":
            body["email"] = GUEST_EMAIL
        booked = await self.house.ask(person, "POST", "bookings", body)
        if booked.status != 201:
            # Too many children.
            assert booked.error == (422, "TICKETS_NOT_ALLOWED"), booked
            return False
        self.bookings.append((person, booked.data["id"], showtime_id))
        return True

    async def _book(self) -> bool:
        return await self._sold(self.luck.choice(("ada", "bob", "guest")), "demo")

    async def _counter(self) -> bool:
        return await self._sold("staff", "counter")

    async def _one(self) -> tuple[str, str, str, list[str]] | None:
        if not self.bookings:
            return None
        person, booking_id, showtime_id = self.luck.choice(self.bookings)
        booking = (await self.house.ask("admin", "GET", f"bookings/{booking_id}")).data
        if booking["status"] != "confirmed":
            return None
        return person, booking_id, showtime_id, [one["label"] for one in booking["seats"]]

    async def _cancel(self, *, part: bool = False) -> bool:
        found = await self._one()
        if found is None:
            return False
        person, booking_id, _, seats = found
        query = f"?seats={seats[0]}" if part else ""
        answer = await self.house.ask(person, "DELETE", f"bookings/{booking_id}{query}")
        return answer.status == 200

    async def _part(self) -> bool:
        return await self._cancel(part=True)

    async def _goodwill(self) -> bool:
        found = await self._one()
        if found is None:
            return False
        amount = {"amount": self.luck.randint(1, 300), "currency": "EUR"}
        body = {"booking_id": found[1], "amount": amount, "reason": "Rain."}
        return (await self.house.ask("manager", "POST", "payments/refund", body)).status == 200

    async def _seats_changed(self, booking_id: str, seats: list[str], person: str) -> bool:
        body = {
            "from": seats[:1],
            "to": self._seats()[:1],
            "payment": {"method": "counter" if person == "staff" else "demo"},
        }
        answer = await self.house.ask(person, "POST", f"bookings/{booking_id}/seats", body)
        return answer.status == 200

    async def _seats_change(self) -> bool:
        found = await self._one()
        return found is not None and await self._seats_changed(found[1], found[3], found[0])

    async def _exchange(self) -> bool:
        found = await self._one()
        if found is None:
            return False
        person, booking_id, showtime_id, _ = found
        others = [one for one in self.showtimes if one != showtime_id]
        other = self.luck.choice(others)
        held = await self.house.hold(person, other, *self._seats())
        if held.status != 201:
            return False
        body = {
            "showtime_id": other,
            "hold_id": held.data["hold_id"],
            "payment": {"method": "counter" if person == "staff" else "demo"},
        }
        answer = await self.house.ask(person, "POST", f"bookings/{booking_id}/exchange", body)
        if answer.status != 200:
            return False
        self.bookings.append((person, answer.data["id"], other))
        return True


async def from_rows(house: House, showtimes: list[str]) -> dict[str, Counter[str]]:
    """What each showtime comes to by its bookings and the ledger, line by line."""
    found: dict[str, Counter[str]] = {one: Counter() for one in showtimes}
    ids = [UUID(one) for one in showtimes]
    for row in await house.database.fetch(
        "select b.showtime_id, s.type, s.price_minor, s.tax_minor from booking_seats s"
        " join bookings b on b.id = s.booking_id"
        " where b.showtime_id = any($1) and b.status = 'confirmed' and s.live",
        ids,
    ):
        counts = found[str(row["showtime_id"])]
        counts["tickets"] += 1
        for name in ("price", "tax"):
            counts[f"{name} {row['type']}"] += row[f"{name}_minor"]
    for row in await house.database.fetch(
        "select b.showtime_id, l.kind, l.account, l.amount from ledger_lines l"
        " join bookings b on b.id = l.booking_id where b.showtime_id = any($1)",
        ids,
    ):
        counts, amount = found[str(row["showtime_id"])], row["amount"]
        match row["kind"], row["account"]:
            case (("sale" | "seat_change"), "customer"):
                counts["gross"] += amount
            case "cancellation", "customer":
                counts["refunds"] -= amount
            case "payment", account if account != "customer":
                counts[f"taken {account}"] += amount
            case (("refund" | "refund_failed"), account) if account != "customer":
                counts[f"returned {account}"] -= amount
            case _, "tax":
                counts["tax"] -= amount
            case _, "fees":
                counts["fees"] -= amount
        if row["account"] == "customer":
            counts["owed"] -= amount
    return found


async def given_besides(house: House, showtime_id: str) -> int:
    """What was given back of a showtime without seats: no event of its journal says that."""
    given: int = await house.database.fetchval(
        "select coalesce(sum(amount_minor), 0)::bigint from refunds"
        " where showtime_id = $1 and kind = 'goodwill'",
        UUID(showtime_id),
    )
    return given


async def from_journal(house: House, showtime_id: str) -> Counter[str]:
    """Seats and money of a showtime, by the events of its journal alone.

    `given back at most` is what its seats have cost: what was given without seats before is less.
    """
    counts: Counter[str] = Counter()
    for row in await house.database.fetch(
        "select payload from showtime_journal where showtime_id = $1 order by seq",
        UUID(showtime_id),
    ):
        event = decode_recorded(row["payload"]).event
        if isinstance(event, HoldBooked):
            counts["tickets"] += len(event.seats)
            counts["gross"] += sum(event.prices) + event.fees_minor
        elif isinstance(event, BookingCancelled):
            counts["tickets"] -= len(event.cancelled)
            counts["given back at most"] += refund_of(event)
        elif isinstance(event, SeatsChanged):
            counts["gross"] += paid_more(event)
            counts["given back at most"] += event.refund_minor
    return counts


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_reports_agree_with_bookings_ledger_and_journal_after_any_history(
    house: House, counting: Counting, seed: int
) -> None:
    screen_id = await house.screen(layout=LAYOUT)
    showtimes = [await house.showtime(screen_id=screen_id) for _ in range(3)]
    await verify(house, "ada", "bob")
    await house.till("staff", "manager")
    for showtime_id in showtimes:
        await sells_by(house, showtime_id, fees=FEES)
    histories = Histories(house, seed, showtimes)
    for _ in range(STEPS):
        await histories.step()
    assert len(histories.done) >= 4, histories.done
    assert await faults_of(house) == []
    await counting.all()
    rows = await from_rows(house, showtimes)
    capacity = {one["key"]: one for one in await report(house, "capacity", group_by="showtime")}
    revenue = {one["key"]: one for one in await report(house, "revenue", group_by="showtime")}
    for showtime_id, counts in rows.items():
        journal = await from_journal(house, showtime_id)
        shown = capacity[showtime_id]
        assert (shown["seats"], shown["sold"]) == (60, counts["tickets"])
        assert counts["tickets"] == journal["tickets"]
        money = revenue.get(showtime_id, dict.fromkeys(("gross", "refunds", "tax", "fees"), 0))
        for name in ("gross", "refunds", "tax", "fees"):
            assert money[name] == counts[name], (showtime_id, name)
        assert money["gross"] == journal["gross"]
        besides = await given_besides(house, showtime_id)
        at_most = journal["given back at most"]
        assert at_most <= money["refunds"] <= at_most + besides, showtime_id
        taken = sum(amount for name, amount in counts.items() if name.startswith("taken "))
        returned = sum(amount for name, amount in counts.items() if name.startswith("returned "))
        assert money["gross"] - money["refunds"] == taken - returned - counts["owed"]
    totals = sum(rows.values(), Counter())
    (chain,) = await report(house, "revenue", group_by="cinema")
    assert chain["net"] == chain["gross"] - chain["refunds"] - chain["tax"]
    assert (chain["gross"], chain["tickets"]) == (totals["gross"], totals["tickets"])
    for group in ("date", "movie"):
        parts = await report(house, "revenue", group_by=group)
        for name in ("gross", "refunds", "tax", "fees", "net", "tickets"):
            assert sum(one[name] for one in parts) == chain[name], (group, name)
    types = await report(house, "revenue", group_by="ticket_type")
    assert {one["key"]: (one["gross"], one["tax"]) for one in types} == {
        name.removeprefix("price "): (amount, totals[name.replace("price", "tax")])
        for name, amount in totals.items()
        if name.startswith("price ")
    }
    methods = await report(house, "revenue", group_by="method")
    assert {one["key"]: (one["gross"], one["refunds"]) for one in methods} == {
        name.removeprefix("taken "): (amount, totals[name.replace("taken", "returned")])
        for name, amount in totals.items()
        if name.startswith("taken ")
    }
    (film,) = await report(house, "distributor")
    assert film["admissions"] == totals["tickets"]
    assert film["gross"] == sum(one["gross"] for one in types)
    (popular,) = await report(house, "popular-movies")
    assert (popular["rank"], popular["key"], popular["tickets"]) == (
        1,
        house.movie_id,
        totals["tickets"],
    )
    (tills,) = await report(house, "cash", group_by="cinema")
    assert tills["cash_taken"] == totals["taken cash"]
    assert tills["cash_returned"] == totals["returned cash"]
    # Made anew they are the same.
    before = await house.database.fetch(
        "select f::text from showtime_figures f where showtime_id = any($1) order by 1",
        [UUID(one) for one in showtimes],
    )
    await house.database.execute("delete from showtime_figures")
    await house.database.execute(
        "update projections set rebuilt_to = '00000000-0000-0000-0000-000000000000'"
        " where name = 'reports'"
    )
    await counting.all()
    after = await house.database.fetch(
        "select f::text from showtime_figures f where showtime_id = any($1) order by 1",
        [UUID(one) for one in showtimes],
    )
    assert after == before


async def test_who_is_let_in_is_counted(house: House, counting: Counting) -> None:
    showtime_id = await open_doors(house)
    first, second = await sold(house, showtime_id, "A1", "A2")
    assert (await scan(house, first["token"])).status == 200
    await counting.all()
    (row,) = await report(house, "capacity", group_by="showtime")
    assert (row["seats"], row["sold"], row["admitted"]) == (24, 2, 1)
    assert row["occupancy"] == 8.3
    assert (await scan(house, second["token"])).status == 200
    await counting.all()
    (row,) = await report(house, "capacity", group_by="movie")
    assert (row["key"], row["label"], row["admitted"]) == (house.movie_id, "Film", 2)
    board = (await house.ask("manager", "GET", "admin/dashboard")).data
    (live,) = board["live"]
    assert (live["showtime_id"], live["sold"], live["admitted"]) == (showtime_id, 2, 2)
    elsewhere = (await house.ask("manager elsewhere", "GET", "admin/dashboard")).data
    assert elsewhere["live"] == elsewhere["today"] == elsewhere["this_week"] == []


async def test_days_are_business_days_and_move_with_the_showtime(
    house: House, counting: Counting
) -> None:
    """In Berlin, half past one at night belongs to the evening before, and seven does not."""
    showtime_id = await house.showtime()
    await house.booked("ada", showtime_id, "A1")
    await counting.all()
    for starts_at, day, hour in (
        ("2026-02-03T00:30:00Z", "2026-02-02", "01"),
        ("2026-02-03T06:00:00Z", "2026-02-03", "07"),
    ):
        await house.database.execute(
            "update showtimes set starts_at = $2, ends_at = $3, clear_at = $3 where id = $1",
            showtime_id,
            datetime.fromisoformat(starts_at),
            datetime.fromisoformat(starts_at) + timedelta(hours=2),
        )
        asked = {"from": day, "to": day}
        (row,) = await report(house, "revenue", **asked)
        assert (row["key"], row["gross"], row["net"]) == (day, 1000, 1000)
        (row,) = await report(house, "occupancy", group_by="hour", **asked)
        assert (row["key"], row["label"], row["fullest"]) == (hour, f"{hour}:00", 4.2)
        assert await report(house, "revenue", **{"from": "2026-02-04", "to": "2026-02-05"}) == []


async def test_today_and_the_weeks_are_those_of_the_cinema(
    house: House, counting: Counting
) -> None:
    house.clocks.end_the_day_that_ends_soon()
    noon = datetime.combine(house.clocks.business_day(), time(12), ZoneInfo(TIME_ZONE))
    showtimes = [await house.showtime() for _ in range(4)]
    for showtime_id in showtimes:
        await house.booked("ada", showtime_id, "A1")
    await counting.all()
    # At noon on its clock, however late it is.
    for days, showtime_id in zip((0, 6, 7, 13), showtimes, strict=True):
        await house.database.execute(
            "update showtimes set starts_at = $2, ends_at = $3, clear_at = $3 where id = $1",
            showtime_id,
            noon - timedelta(days=days),
            noon - timedelta(days=days) + timedelta(hours=1),
        )
    board = (await house.ask("manager", "GET", f"admin/dashboard?cinema_id={house.cinema_id}")).data
    sums = {
        name: [(one["showtimes"], one["sold"], one["gross"]) for one in board[name]]
        for name in ("today", "this_week", "last_week")
    }
    assert sums == {
        "today": [(1, 1, 1000)],
        "this_week": [(2, 2, 2000)],
        "last_week": [(2, 2, 2000)],
    }


async def test_how_holds_went_on_is_counted_once_a_showtime_is_over(
    house: House, counting: Counting
) -> None:
    showtime_id = await house.showtime()
    await house.booked("ada", showtime_id, "A1")
    kept = await house.held("bob", showtime_id, "A2")
    given_up = await house.held("bob", showtime_id, "A3")
    await house.ask("bob", "DELETE", f"showtimes/{showtime_id}/holds/{given_up}")
    await verify(house, "bob")
    later = await house.book("bob", showtime_id, kept, method="counter_later")
    assert later.data["status"] == "pending"
    await counting.all()
    assert await report(house, "funnel") == []
    await house.database.execute(
        "insert into showtime_visits (showtime_id, seat_maps, checkout_pages) values ($1, 7, 5)",
        showtime_id,
    )
    await house.database.execute(
        "update showtimes set starts_at = now() - interval '5 hours',"
        " ends_at = now() - interval '3 hours', clear_at = now() - interval '3 hours'"
        " where id = $1",
        showtime_id,
    )
    async with asyncio.timeout(6 * PATIENCE_S):
        while not (rows := await report(house, "funnel", group_by="showtime")):
            await counting.funnels()
    (row,) = rows
    assert (row["holds"], row["released"], row["checkouts"], row["confirmed"]) == (3, 1, 2, 1)
    assert (row["completion"], row["expiry"]) == (50.0, 0.0)
    assert (row["seat_maps"], row["checkout_pages"]) == (7, 5)


async def test_reports_come_as_csv_too(house: House, counting: Counting) -> None:
    await house.booked("ada", await house.showtime(), "A1", "A2")
    await counting.all()
    rows = await report(house, "revenue", group_by="movie")
    today = date.today()  # noqa: DTZ011
    path = f"admin/reports/revenue?group_by=movie&from={today}&to={today + timedelta(days=90)}"
    bearer = {"Authorization": f"Bearer {house.token('manager')}"}
    for query, more in (("&format=csv", {}), ("", {"Accept": "text/csv"})):
        async with house.client.get(path + query, headers={**bearer, **more}) as reply:
            assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
            read = list(csv.DictReader(io.StringIO(await reply.text())))
        assert [{**one, "gross": int(one["gross"])} for one in read] == [
            {key: "" if value is None else str(value) for key, value in rows[0].items()}
            | {"gross": 2000}
        ]
    json = await house.ask("manager", "GET", f"{path}&format=json", headers={"Accept": "text/csv"})
    assert json.data == rows
    async with house.client.get(path, headers={**bearer, "Accept": "image/png"}) as reply:
        assert reply.status == 406


async def test_managers_read_about_their_own_cinemas(house: House, counting: Counting) -> None:
    await house.booked("ada", await house.showtime(), "A1")
    await counting.all()
    for name in ("capacity", "revenue", "popular-movies", "occupancy", "distributor"):
        assert await report(house, name), name
        assert await report(house, name, "admin", cinema_id=house.cinema_id), name
        assert await report(house, name, "manager elsewhere") == []
        path = f"admin/reports/{name}?from=2026-01-01&to=2026-01-02&cinema_id={house.cinema_id}"
        assert (await house.ask("manager elsewhere", "GET", path)).error == (403, "FORBIDDEN")
        assert (await house.ask("ada", "GET", path)).error == (403, "FORBIDDEN")
    for period in ("from=2026-01-02&to=2026-01-01", "from=2026-01-01&to=2028-01-01"):
        wrong = await house.ask("manager", "GET", f"admin/reports/revenue?{period}")
        assert wrong.error == (400, "VALIDATION_ERROR")
