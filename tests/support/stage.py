"""One run: servers under load, something happens to them, and at the end the books are checked."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count

import aiohttp
import asyncpg

from tests.support.history import NOT_NOW, Attempt, History, Request, check
from tests.support.ledger import Ledger, read_ledger
from tests.support.load import (
    API,
    PAUSE_S,
    Client,
    Customer,
    HttpCaller,
    Showtime,
    SocketCaller,
    customers,
    enrol,
    http_request,
    http_session,
)
from tests.support.server_process import SECRET, ServerProcess

ACTIONS = 2000
"""More than a client does before it is stopped; bounds a run that nobody stops."""

SETTLE_TIMEOUT_S = 30.0
TRIES = 50
"""How often a read is tried before a server that only says RETRY has failed."""

SEATS = 96

CUSTOMERS = 64
_first_customers = count(1, CUSTOMERS)


class Stage:
    """Clients of one or more servers on one database, and all they were told."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        servers: Sequence[ServerProcess],
        seed: int,
        *,
        people: int = CUSTOMERS,
        history: History | None = None,
    ) -> None:
        self.history = history or History()
        self.showtimes: list[Showtime] = []
        self.draw = random.Random(seed)
        self.session = session
        self._servers = list(servers)
        self._urls = [server.url for server in servers]
        first = next(_first_customers)
        self._people = customers(SECRET, first, people, now_s=time.time())
        self._customers = iter(self._people)
        self._callers: dict[bytes, HttpCaller] = {}
        self._sockets: dict[bytes, SocketCaller] = {}

    def send_all_to(self, *servers: ServerProcess) -> None:
        """From now on every HTTP request goes to one of these servers."""
        self._urls[:] = [server.url for server in servers]

    async def choose_showtimes(self, number: int, used: set[str]) -> None:
        """Take some showtimes of the demo's plain screen that nobody uses yet; adds to `used`."""
        url = self._servers[0].url + API
        query = {"limit": "100"}
        async with self.session.get(f"{url}/showtimes", params=query) as reply:
            found = (await reply.json())["data"]
        for one in reversed(found):
            if one["id"] in used:
                continue
            async with self.session.get(f"{url}/showtimes/{one['id']}/seats") as reply:
                shown = (await reply.json())["data"]
            if len(shown["seats"]) == SEATS:
                labels = tuple(seat["label"] for seat in shown["seats"])
                self.showtimes.append(Showtime(one["id"], labels))
                used.add(one["id"])
            if len(self.showtimes) == number:
                return
        raise AssertionError("the demo has too few showtimes")

    async def enrol(self) -> None:
        """Open the accounts of its customers."""
        await enrol(self._servers[0].dsn, self._people)

    def caller(self, customer: Customer) -> HttpCaller:
        """The customer's connection to any of the servers."""
        caller = HttpCaller(self.history, self.session, self._urls, customer, self.draw)
        self._callers[customer.user_id] = caller
        return caller

    def customer(self) -> Customer:
        """Somebody who has done nothing yet."""
        return next(self._customers)

    def client(self) -> tuple[HttpCaller, Client]:
        """A new customer over HTTP, to be sent step by step."""
        customer = self.customer()
        caller = self.caller(customer)
        return caller, Client(caller, customer, self.showtimes, self.draw)

    @asynccontextmanager
    async def load(
        self, http: int = 8, sockets: int = 2, pause_s: float = 0.0
    ) -> AsyncIterator[None]:
        """Clients at work for as long as the body runs; then they finish what they are at.

        Each socket has three of them.
        """
        tasks: list[asyncio.Task[None]] = []
        lines: list[asyncio.Task[None]] = []
        for _ in range(http):
            _, client = self.client()
            tasks.append(asyncio.create_task(client.run(ACTIONS, pause_s), name="client"))
        for position in range(sockets):
            showtime = self.showtimes[position % len(self.showtimes)]
            server = self._servers[position % len(self._servers)].url
            customer = self.customer()
            line = SocketCaller(self.history, self.session, server, customer, showtime.id)
            self._sockets[customer.user_id] = line
            lines.append(asyncio.create_task(line.run(), name="socket"))
            for _ in range(3):
                client = Client(line, customer, [showtime], self.draw)
                tasks.append(
                    asyncio.create_task(client.run(ACTIONS, pause_s), name="socket-client")
                )
        try:
            yield
        finally:
            for task in [*tasks, *lines]:
                task.cancel()
            for task in [*tasks, *lines]:
                with suppress(asyncio.CancelledError):
                    await task

    async def settle(self) -> None:
        """Repeat every command in doubt with its key until the servers say what became of it."""
        lines = [asyncio.create_task(line.run(), name="socket") for line in self._sockets.values()]
        try:
            async with asyncio.timeout(SETTLE_TIMEOUT_S):
                while unsettled := self.history.unsettled():
                    await asyncio.gather(*map(self._repeat, unsettled))
                    await asyncio.sleep(PAUSE_S)
        finally:
            for line in lines:
                line.cancel()
                with suppress(asyncio.CancelledError):
                    await line

    async def _repeat(self, request: Request) -> None:
        if request.message is not None:
            await self._sockets[request.customer].send(request)
        else:
            await self._callers[request.customer].send(request)

    async def look_at_everything(self, *, most: int | None = None) -> None:
        """Read each seat map, acknowledged hold and booking once more, as its owner sees it.

        Not more than `most` of the holds and bookings, chosen at random; seat maps show them all.
        """
        requests = []
        seen: set[str] = set()
        for attempt in self.history.attempts:
            if not attempt.acknowledged or attempt.request.kind not in {"hold", "book"}:
                continue
            kind = "see_hold" if attempt.request.kind == "hold" else "see_booking"
            target_id = attempt.data.get("hold_id") or attempt.data["id"]
            if target_id not in seen:
                asked = attempt.request
                seen.add(target_id)
                requests.append(http_request(kind, asked.showtime_id, asked.customer, target_id))
        if most is not None and len(requests) > most:
            requests = self.draw.sample(requests, most)
        caller, _ = self.client()
        for showtime in self.showtimes:
            request = http_request("seats", showtime.id, b"")
            attempt = await _insist(caller, request)
            assert attempt.acknowledged, f"no seat map: {attempt}"
        for start in range(0, len(requests), 32):
            attempts = await asyncio.gather(*map(self._look, requests[start : start + 32]))
            for attempt in attempts:
                attempt.last_word = True
                assert attempt.acknowledged, f"acknowledged, and gone: {attempt}"

    async def _look(self, request: Request) -> Attempt:
        caller = self._callers.get(request.customer)
        if caller is None:
            line = self._sockets[request.customer]
            caller = HttpCaller(self.history, self.session, self._urls, line.customer, self.draw)
        return await _insist(caller, request)

    async def ledgers(self, dsn: str) -> list[Ledger]:
        """The books of every showtime under load."""
        connection = await asyncpg.connect(dsn)
        try:
            return [await read_ledger(connection, one.id, one.labels) for one in self.showtimes]
        finally:
            await connection.close()

    async def verify(self, dsn: str) -> None:
        """The end of every run: nothing in doubt, all that was acknowledged is there, all true."""
        await self.settle()
        await self.look_at_everything()
        faults = check(self.history, await self.ledgers(dsn))
        assert not faults, "\n".join([f"{len(faults)} faults", *faults[:20]])


async def _insist(caller: HttpCaller, request: Request) -> Attempt:
    """Ask again while the server says that it cannot tell now, as a slow machine makes it."""
    attempt = await caller.send(request)
    for _ in range(TRIES):
        if attempt.code not in NOT_NOW:
            break
        await asyncio.sleep(PAUSE_S)
        attempt = await caller.send(request)
    return attempt


@asynccontextmanager
async def staged(
    servers: Sequence[ServerProcess],
    *,
    seed: int,
    showtimes: int = 2,
    used: set[str] | None = None,
) -> AsyncIterator[Stage]:
    """A stage on servers that run, with showtimes that are not among those `used`."""
    async with http_session() as session:
        stage = Stage(session, servers, seed)
        await stage.enrol()
        await stage.choose_showtimes(showtimes, set() if used is None else used)
        yield stage
