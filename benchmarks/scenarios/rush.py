"""`rush`: five thousand clients before five hundred seats: all are sold, in a fair order."""

import asyncio
import random
import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import asyncpg
import msgspec

from benchmarks.house import House
from benchmarks.load.histogram import Histogram
from benchmarks.load.watching import allow_open_files
from benchmarks.results import Fairness, Figures, Measurement, Outcome, Target, Turn
from benchmarks.server import HOST, Server
from benchmarks.session import Bench, Options, Scenario
from cinema.features.waitingroom.rules import shuffled

CLIENTS, CLIENTS_QUICK = 5_000, 1_500
ROWS, COLUMNS = 20, 25
SEATS = ROWS * COLUMNS
SHOPPERS = 100
GATHER_S = 20.0
"""Before the start all clients get their places."""

BUSY_S = 1.0
"""After a 503 a client waits as long as `Retry-After` says."""

SOLD_WITHIN_S, ANSWER_WITHIN_S = 60.0, 2.0
GIVE_UP_S = 300.0

SUMMARY = f"{CLIENTS} clients in a waiting room in front of {SEATS} seats"

SOLD = "SELECT count(*) FROM booking_seats WHERE showtime_id = $1 AND live"
PLACES = """
SELECT p.id, p.number, p.ended_by FROM waiting_places p JOIN waiting_rooms r ON r.id = p.room_id
WHERE r.showtime_id = $1 AND p.number IS NOT NULL ORDER BY p.number
"""
SEED = "SELECT encode(seed_digest, 'hex') FROM waiting_rooms WHERE showtime_id = $1"


class Crowd:
    """Clients of one showtime, who do as the waiting room tells them."""

    def __init__(self, base: str, session: aiohttp.ClientSession, showtime: str) -> None:
        self._base = base
        self._session = session
        self._path = f"/showtimes/{showtime}"
        self.showtime = showtime
        self.answers = Histogram()
        self.slowest_s = 0.0
        self.busy = 0
        self.unexpected: dict[str, int] = {}
        self.joined: list[str] = []
        self.entered_at_s: dict[str, float] = {}
        self.booked: list[str] = []
        self.sold_at_s = 0.0
        self.over = asyncio.Event()

    async def ask(
        self, token: str, method: str, path: str, body: dict[str, object] | None = None
    ) -> tuple[int, Any]:
        """A request, sent again while the server is busy; each answer's time is measured."""
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": secrets.token_hex(8)}
        while True:
            status, answer = await self._once(method, path, body, headers)
            if status != 503:
                return status, answer
            self.busy += 1
            await asyncio.sleep(BUSY_S)

    async def _once(
        self, method: str, path: str, body: dict[str, object] | None, headers: dict[str, str]
    ) -> tuple[int, Any]:
        begun_ns = time.monotonic_ns()
        async with self._session.request(
            method, self._base + path, json=body, headers=headers
        ) as reply:
            answer = msgspec.json.decode(await reply.read())
        took_ns = time.monotonic_ns() - begun_ns
        self.answers.record(took_ns)
        self.slowest_s = max(self.slowest_s, took_ns / 1e9)
        return reply.status, answer.get("data") or answer.get("error")

    async def buy(self, token: str, delay_s: float) -> None:
        """Come at some moment before the start, wait, go in, hold the best seat, book it."""
        await asyncio.sleep(delay_s)
        status, room = await self.ask(token, "POST", f"{self._path}/queue", {})
        if status != 201:
            self._note(f"join {status}")
            return
        place = room["place"]
        self.joined.append(place["id"])
        while place["status"] == "waiting":
            if await self._is_over(place["poll_after_s"]):
                return
            _, room = await self.ask(token, "GET", f"{self._path}/queue?token={place['token']}")
            place = room["place"]
        status, room = await self.ask(
            token, "POST", f"{self._path}/queue/entry", {"token": place["token"]}
        )
        if status != 200:
            self._note(f"entry {status}")
            return
        self.entered_at_s[place["id"]] = time.monotonic()
        wish: dict[str, object] = {"best_available": {"quantity": 1}}
        status, held = await self.ask(token, "POST", f"{self._path}/holds", wish)
        if status != 201:
            self._note(f"hold {status} {held['code']}")
            return
        body: dict[str, object] = {
            "showtime_id": self.showtime,
            "hold_id": held["hold_id"],
            "payment": {"method": "demo"},
        }
        status, _ = await self.ask(token, "POST", "/bookings", body)
        if status != 201:
            self._note(f"booking {status}")
            return
        self.booked.append(place["id"])
        if len(self.booked) == SEATS:
            self.sold_at_s = time.monotonic()
            self.over.set()

    def _note(self, what: str) -> None:
        self.unexpected[what] = self.unexpected.get(what, 0) + 1

    async def _is_over(self, wait_s: float) -> bool:
        try:
            async with asyncio.timeout(wait_s):
                await self.over.wait()
        except TimeoutError:
            return False
        return True


async def rush(
    server: Server, house: House, showtime: str, clients: int, figures: Figures
) -> tuple[float, float, list[Turn]]:
    """One sale: how long it took to sell all, how long the slowest answer took, and all turns."""
    base = f"http://{HOST}:{server.port}/api/v1"
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=GIVE_UP_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        starts_at = datetime.now(UTC) + timedelta(seconds=GATHER_S)
        start_s = time.monotonic() + GATHER_S
        room = {
            "mode": "on",
            "starts_at": starts_at.isoformat(),
            "shoppers": SHOPPERS,
            "places_per_address": 100_000,
        }
        opened = await house.waiting_room(showtime, room)
        crowd = Crowd(base, session, showtime)
        random_order = random.Random(1)
        buying = asyncio.gather(
            *(
                crowd.buy(token, random_order.uniform(0, GATHER_S / 2))
                for token in house.tokens[:clients]
            )
        )
        try:
            async with asyncio.timeout(GIVE_UP_S):
                await buying
        except TimeoutError:
            figures.problem(f"not all was sold within {GIVE_UP_S:.0f} s")
        _, seen = await crowd.ask(house.tokens[0], "GET", f"/showtimes/{showtime}/queue")
    sold_s = (crowd.sold_at_s or time.monotonic()) - start_s
    for what, count in sorted(crowd.unexpected.items()):
        figures.problem(f"{what}: {count}")
    places = await _check(server, crowd, opened["commitment"], seen["seed"], figures)
    figures.add("cinema", "until all is sold", "s", Measurement(value=sold_s))
    figures.add("cinema", "slowest answer", "s", Measurement(value=crowd.slowest_s))
    answer_ms = crowd.answers.quantile(0.99) / 1e6
    figures.add("cinema", "answers 503, sent again", "", Measurement(value=crowd.busy))
    figures.add("cinema", "answer, p99", "ms", Measurement(value=answer_ms))
    return sold_s, crowd.slowest_s, _turns(crowd, places, start_s)


def _turns(crowd: Crowd, places: list[str], start_s: float) -> list[Turn]:
    """Who came when, which number they got, and when they went in."""
    numbers = {place: number for number, place in enumerate(places, 1)}
    entered = crowd.entered_at_s
    return [
        Turn(
            came=came,
            number=numbers[place],
            entered_s=round(entered[place] - start_s, 3) if place in entered else None,
        )
        for came, place in enumerate(crowd.joined, 1)
        if place in numbers
    ]


async def _check(
    server: Server, crowd: Crowd, promised: str, seed: str | None, figures: Figures
) -> list[str]:
    """Each seat is sold once, and the order is that of the seed that was promised.

    Returns the places in that order.
    """
    connection = await asyncpg.connect(server.postgres.dsn)
    try:
        sold = await connection.fetchval(SOLD, crowd.showtime)
        rows = await connection.fetch(PLACES, crowd.showtime)
        committed = await connection.fetchval(SEED, crowd.showtime)
    finally:
        await connection.close()
    if sold != SEATS:
        figures.problem(f"{sold} of {SEATS} seats sold")
    if committed != promised or seed is None:
        figures.problem("the seed is not the one that was promised")
        return []
    places = [row["id"] for row in rows]
    if places != shuffled(bytes.fromhex(seed), places):
        figures.problem("the order is not that of the seed")
    if len(places) != len(crowd.joined):
        figures.problem(f"{len(crowd.joined)} got a place, {len(places)} have one")
    # Fair: how early somebody came says nothing about who could buy.
    came = {place: number for number, place in enumerate(crowd.joined)}
    quarters = [0, 0, 0, 0]
    for place in crowd.booked:
        quarters[4 * came[place] // len(came)] += 1
    for number, count in enumerate(quarters, 1):
        share = 100 * count / max(1, len(crowd.booked))
        measure = f"came in quarter {number}"
        figures.add("cinema", measure, "% of buyers", Measurement(value=share))
    return [str(place) for place in places]


async def run_rush(bench: Bench) -> Outcome:
    """Each run has a showtime of its own."""
    figures = Figures()
    clients = CLIENTS_QUICK if bench.options.quick else CLIENTS
    allow_open_files(clients + 200)
    sold_s, slowest_s = 0.0, 0.0
    turns: list[Turn] = []
    async with bench.cinema() as server:
        house = await House.open(server, clients)
        screen = await house.screen("Screen of the rush", ROWS, COLUMNS)
        for _ in range(runs(bench.options)):
            (showtime,) = await house.showtimes(screen, 1)
            sold, slowest, turns = await rush(server, house, showtime, clients, figures)
            sold_s, slowest_s = max(sold_s, sold), max(slowest_s, slowest)
            bench.step()
    return Outcome(
        scenario="rush",
        summary=SUMMARY,
        figures=figures.all(),
        targets=[
            Target(
                text="until all seats are sold, from the start",
                unit="s",
                wanted=SOLD_WITHIN_S,
                measured=sold_s,
                at_least=False,
            ),
            Target(
                text="the slowest answer of all",
                unit="s",
                wanted=ANSWER_WITHIN_S,
                measured=slowest_s,
                at_least=False,
            ),
        ],
        notes=[
            f"{clients} clients over as many connections, {SHOPPERS} of them in the shop at a time",
            "the clients run in the process of the benchmark, on the same cores",
        ],
        problems=figures.problems,
        fairness=Fairness(title=f"rush: {clients} clients, one point each", turns=turns),
    )


def runs(options: Options) -> int:
    return min(2, options.runs)


RUSH = Scenario(name="rush", summary=SUMMARY, steps=runs, run=run_rush)
