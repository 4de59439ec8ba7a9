"""`scan`: twenty scanners at the doors of a full auditorium, each ticket shown twice."""

import asyncio
from typing import Any

import aiohttp
import asyncpg

from benchmarks.house import House, Screen
from benchmarks.load.specs import Scans, Window
from benchmarks.results import Figures, Outcome, Target, measurement
from benchmarks.server import HOST, Server
from benchmarks.session import Bench, Options, Scenario

SCANNERS = 20
SEATS_OF_A_BOOKING = 10
BUYERS = 64
P99_MS = 50.0
LONGEST_S = 120.0

SUMMARY = f"{SCANNERS} scanners at the doors of a full auditorium, each ticket shown twice"

OPEN_EARLY = "UPDATE cinemas SET ticket_early_minutes = 20160"
"""The doors are open: showtimes of a benchmark start tomorrow, and later."""

LET_IN = """
SELECT count(*) AS entries, (
    SELECT count(*) FROM ticket_scans s WHERE s.showtime_id = $1 AND s.outcome = 'admitted'
) AS admitted
FROM ticket_entries WHERE showtime_id = $1
"""


class Doors:
    """One showtime after the other is sold out, and then let in."""

    def __init__(self, bench: Bench, server: Server, house: House, figures: Figures) -> None:
        self._base = f"http://{HOST}:{server.port}/api/v1"
        self._bench = bench
        self._server = server
        self._house = house
        self._figures = figures
        self.wrong = 0
        self.p99_ms = 0.0

    async def measure(self, showtime: str, screen: Screen) -> None:
        """Sell all seats, then scan all tickets, and all of them again."""
        connector = aiohttp.TCPConnector(limit=BUYERS)
        async with aiohttp.ClientSession(connector=connector) as session:
            tokens = await self._sold(session, showtime, screen)
        scanners = [await self._house.scanner(f"Door {one}") for one in range(SCANNERS)]
        await self._scan(showtime, scanners, tokens)
        await self._check(showtime, len(tokens))

    async def _sold(
        self, session: aiohttp.ClientSession, showtime: str, screen: Screen
    ) -> list[str]:
        labels, size = screen.labels, SEATS_OF_A_BOOKING
        groups = [labels[start : start + size] for start in range(0, len(labels), size)]

        async def sell(token: str, seats: list[str]) -> list[str]:
            held = await self._ask(
                session, token, "POST", f"/showtimes/{showtime}/holds", {"seats": seats}
            )
            body = {
                "showtime_id": showtime,
                "hold_id": held["hold_id"],
                "payment": {"method": "demo"},
            }
            booking = await self._ask(session, token, "POST", "/bookings", body)
            path = f"/tickets?booking_id={booking['id']}&limit=100"
            tickets: Any = await self._ask(session, token, "GET", path)
            return [str(one["token"]) for one in tickets]

        buyers = self._house.tokens
        sold = await asyncio.gather(
            *(sell(buyers[number % len(buyers)], seats) for number, seats in enumerate(groups))
        )
        return [token for tokens in sold for token in tokens]

    async def _scan(self, showtime: str, scanners: list[str], tokens: list[str]) -> None:
        window = Window(warmup_s=0.0, seconds=LONGEST_S, observe=self._server.observed)
        scans = Scans(
            host=HOST,
            port=self._server.port,
            window=window,
            showtime=showtime,
            scanners=scanners,
            tickets=tokens,
        )
        report = await self._bench.load(scans, "scanning tickets")
        scanned = measurement(report, ["200", "409"])
        assert scanned.latency is not None
        self.p99_ms = max(self.p99_ms, scanned.latency.p99_ms)
        self._figures.add("cinema", "scans", "/s", scanned)
        if report.outcomes != {"200": len(tokens), "409": len(tokens)}:
            self._figures.problem(f"scans were answered {report.outcomes}")

    async def _ask(
        self,
        session: aiohttp.ClientSession,
        token: str,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}"}
        async with session.request(method, self._base + path, json=body, headers=headers) as reply:
            answer = await reply.json()
            assert reply.status in {200, 201}, answer
            data: dict[str, Any] = answer["data"]
            return data

    async def _check(self, showtime: str, tickets: int) -> None:
        connection = await asyncpg.connect(self._server.postgres.dsn)
        try:
            row = await connection.fetchrow(LET_IN, showtime)
        finally:
            await connection.close()
        assert row is not None
        self.wrong += abs(row["entries"] - tickets) + abs(row["admitted"] - tickets)


async def run_scan(bench: Bench) -> Outcome:
    """Each run lets in the audience of another showtime."""
    figures = Figures()
    rows = 5 if bench.options.quick else 25
    async with bench.cinema() as server:
        house = await House.open(server, BUYERS)
        screen = await house.screen("Screen of doors", rows, 20)
        connection = await asyncpg.connect(server.postgres.dsn)
        try:
            await connection.execute(OPEN_EARLY)
        finally:
            await connection.close()
        doors = Doors(bench, server, house, figures)
        for showtime in await house.showtimes(screen, bench.options.runs):
            bench.say("selling tickets")
            await doors.measure(showtime, screen)
    return Outcome(
        scenario="scan",
        summary=SUMMARY,
        figures=figures.all(),
        targets=[
            Target(
                text=f"p99 of a scan at {SCANNERS} scanners",
                unit="ms",
                wanted=P99_MS,
                measured=doors.p99_ms,
                at_least=False,
            ),
            Target(
                text="tickets that were let in twice, or not",
                unit="",
                wanted=0,
                measured=doors.wrong,
                at_least=False,
            ),
        ],
        notes=[
            f"{len(screen.labels)} tickets a run; every second scan is of one that is in already"
        ],
        problems=figures.problems,
    )


def steps(options: Options) -> int:
    return options.runs


SCAN = Scenario(name="scan", summary=SUMMARY, steps=steps, run=run_scan)
