"""`promo-rush`: two hundred clients, one code with a hundred uses: exactly a hundred."""

import asyncio
import time
from collections import Counter
from typing import Any

import aiohttp
import asyncpg

from benchmarks.house import House
from benchmarks.results import Figures, Measurement, Outcome, Target
from benchmarks.server import HOST, Server
from benchmarks.session import Bench, Options, Scenario

CLIENTS, USES = 200, 100
SCREEN = ("Screen of codes", 10, 25)

SUMMARY = f"{CLIENTS} clients who hold a seat each book at once, one code with {USES} uses"

COUNTED = """
SELECT c.uses, (
    SELECT count(*) FROM bookings b WHERE b.promo_code = c.code AND b.status = 'confirmed'
) AS booked
FROM promo_codes c WHERE c.code = $1
"""


class Rush:
    """One code after the other, each on a showtime of its own."""

    def __init__(self, server: Server, house: House, figures: Figures) -> None:
        self._server = server
        self._house = house
        self._figures = figures
        self.wrong = 0

    async def measure(self, showtime: str, labels: list[str], code: str) -> None:
        """Hold a seat for each client, then all book with the code."""
        await self._house.promo(code, USES)
        base = f"http://{HOST}:{self._server.port}/api/v1"
        connector = aiohttp.TCPConnector(limit=CLIENTS)
        outcomes: Counter[int] = Counter()
        async with aiohttp.ClientSession(connector=connector) as session:

            async def ask(
                token: str, path: str, body: dict[str, object]
            ) -> tuple[int, dict[str, Any]]:
                headers = {"Authorization": f"Bearer {token}"}
                async with session.post(base + path, json=body, headers=headers) as reply:
                    return reply.status, await reply.json()

            async def hold(token: str, label: str) -> str:
                status, held = await ask(token, f"/showtimes/{showtime}/holds", {"seats": [label]})
                assert status == 201, held
                return str(held["data"]["hold_id"])

            async def book(token: str, hold_id: str) -> None:
                body: dict[str, object] = {
                    "showtime_id": showtime,
                    "hold_id": hold_id,
                    "promo_code": code,
                    "payment": {"method": "demo"},
                }
                status, _ = await ask(token, "/bookings", body)
                outcomes[status] += 1

            clients = list(zip(self._house.tokens, labels, strict=False))
            holds = await asyncio.gather(*(hold(*client) for client in clients))
            begun_s = time.monotonic()
            await asyncio.gather(
                *(book(token, one) for (token, _), one in zip(clients, holds, strict=True))
            )
            lasted_s = time.monotonic() - begun_s
        await self._check(code, outcomes)
        self._figures.add(
            "cinema", "bookings and refusals", "/s", Measurement(value=CLIENTS / lasted_s)
        )

    async def _check(self, code: str, outcomes: Counter[int]) -> None:
        connection = await asyncpg.connect(self._server.postgres.dsn)
        try:
            row = await connection.fetchrow(COUNTED, code)
        finally:
            await connection.close()
        assert row is not None
        if (outcomes[201], outcomes[422]) != (USES, CLIENTS - USES):
            self._figures.problem(f"{code}: {dict(outcomes)}")
        self.wrong += abs(row["uses"] - USES) + abs(row["booked"] - USES)


async def run_promo_rush(bench: Bench) -> Outcome:
    """Each run has a code and a showtime of its own."""
    figures = Figures()
    async with bench.cinema() as server:
        house = await House.open(server, CLIENTS)
        screen = await house.screen(*SCREEN)
        rush = Rush(server, house, figures)
        for run in range(bench.options.runs):
            (showtime,) = await house.showtimes(screen, 1)
            await rush.measure(showtime, screen.labels, f"RUSH-{run}")
            bench.step()
    return Outcome(
        scenario="promo-rush",
        summary=SUMMARY,
        figures=figures.all(),
        targets=[
            Target(
                text=f"uses that were counted or booked beyond {USES}, or missing",
                unit="",
                wanted=0,
                measured=rush.wrong,
                at_least=False,
            )
        ],
        notes=[f"{CLIENTS} requests at once over {CLIENTS} connections, holds before"],
        problems=figures.problems,
    )


def steps(options: Options) -> int:
    return options.runs


PROMO_RUSH = Scenario(name="promo-rush", summary=SUMMARY, steps=steps, run=run_promo_rush)
