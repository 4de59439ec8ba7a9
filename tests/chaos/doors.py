"""Visitors who buy tickets and show each at several doors, whatever happens to the nodes meanwhile.

A scanner asks again under the same nonce, at any node, until it has an answer. In the end each
ticket that was shown has been let in by one scan, which knows it, and the log has it once.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any, Self

import aiohttp
import msgspec

from benchmarks.house import House, Screen
from cinema.features.tickets.rules import ticket_id
from cinema.storage.database.pool import AnyConnection
from tests.support.nodes import Answer, AnyNode
from tests.support.server_process import ServerProcess

DOORS = 12
VISITORS = 4
SHOWTIMES = 4
ROWS, COLUMNS = 10, 20
SEATS_A_VISIT = 2
VISIT_PAUSE_S = 1.0
"""What a visitor waits before the next visit, on average."""

AGAIN = 0.25
"""Share of scans that are sent once more although they were answered."""

SETTLE_TIMEOUT_S = 60.0
TOLD_POLL_S = 0.1

OPEN_EARLY = "update cinemas set ticket_early_minutes = 20160"
"""The doors are open: showtimes start tomorrow, and later."""

_LOG = """
select booking_id, place, scanner from ticket_scans
where showtime_id = any($1::uuid[]) and outcome = 'admitted' and direction = 'entry'"""
_INSIDE = """
select booking_id, place from ticket_entries where showtime_id = any($1::uuid[]) and inside"""
_TOLD = """
select data->>'ticket_id' as ticket_id, count(*) as times from public_events
where showtime_id = any($1::uuid[]) and type = 'ticket.admitted' group by 1"""
_UNTOLD = "select exists (select from outbox where showtime_id = any($1::uuid[]))"


class Scan(msgspec.Struct, kw_only=True):
    """A ticket that is shown at a door, under one nonce."""

    ticket_id: str
    door: str
    nonce: str
    answers: list[Answer] = []

    @property
    def let_in(self) -> bool:
        return bool(self.answers) and self.answers[0].status == 200


class Foyer:
    """A screen of its own, those who visit it, and the scanners at its doors."""

    def __init__(self, house: House, screen: Screen, scanners: Mapping[str, str]) -> None:
        self._house = house
        self._screen = screen
        self._scanners = scanners

    @classmethod
    async def build(cls, house: House, database: AnyConnection) -> Self:
        """Open the doors of a house; its customers are the visitors."""
        screen = await house.screen("Doors", ROWS, COLUMNS)
        await database.execute(OPEN_EARLY)
        names = [f"Door {number}" for number in range(1, DOORS + 1)]
        return cls(house, screen, {name: await house.scanner(name) for name in names})

    async def doors(
        self,
        session: aiohttp.ClientSession,
        servers: Sequence[ServerProcess],
        rules: Mapping[str, Any],
        seed: int,
    ) -> Doors:
        """Of new showtimes."""
        showtimes = await self._house.showtimes(self._screen, SHOWTIMES, rules)
        visitors, labels = self._house.tokens, self._screen.labels
        return Doors(session, servers, showtimes, labels, visitors, self._scanners, seed)


class Doors:
    """The doors of some showtimes, and those who come there."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        servers: Sequence[ServerProcess],
        showtimes: Sequence[str],
        labels: Sequence[str],
        visitors: Sequence[str],
        scanners: Mapping[str, str],
        seed: int,
    ) -> None:
        """`visitors` are access tokens, `scanners` the tokens of scanners by their names."""
        self.scans: list[Scan] = []
        self.faults: list[str] = []
        self._showtimes = showtimes
        self._visitors = visitors
        self._scanners = scanners
        self._seed = seed
        self._draw = random.Random(seed)
        self._nodes = AnyNode(session, [server.url for server in servers], self._draw)
        self._seats = _pairs(showtimes, labels)
        self._nonces = count(1)
        self._closing = asyncio.Event()

    @property
    def admitted(self) -> int:
        """How many scans were told that they let somebody in."""
        return sum(scan.let_in for scan in self.scans)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Visitors come for as long as the body runs; then each scan is brought to its end."""
        coming = [
            asyncio.create_task(self._visit_again_and_again(token), name="visitor")
            for token in self._visitors
        ]
        try:
            yield
            self._closing.set()
            try:
                async with asyncio.timeout(SETTLE_TIMEOUT_S):
                    await asyncio.gather(*coming)
            except TimeoutError:
                self.faults.append("doors: there are scans without an answer")
        finally:
            for task in coming:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    # --- visitors

    async def _visit_again_and_again(self, token: str) -> None:
        for showtime_id, seats in self._seats:
            tickets = await self._buy(token, showtime_id, seats)
            await asyncio.gather(*(self._show(one["id"], one["token"]) for one in tickets))
            with suppress(TimeoutError):
                await asyncio.wait_for(
                    self._closing.wait(), self._draw.uniform(0, 2 * VISIT_PAUSE_S)
                )
            if self._closing.is_set():
                return

    async def _buy(
        self, token: str, showtime_id: str, seats: Sequence[str]
    ) -> list[dict[str, Any]]:
        """The tickets of a new booking; none if its hold has expired before it was paid."""
        headers = {"Authorization": f"Bearer {token}"}
        path = f"/showtimes/{showtime_id}/holds"
        held = await self._nodes.ask("POST", path, {"seats": seats}, headers)
        if held.status != 201:
            return []
        body = {
            "showtime_id": showtime_id,
            "hold_id": held.said["hold_id"],
            "payment": {"method": "demo"},
        }
        booked = await self._nodes.ask("POST", "/bookings", body, headers)
        if booked.status != 201:
            return []
        path = f"/tickets?booking_id={booked.said['id']}"
        shown = await self._nodes.ask("GET", path, None, headers)
        assert shown.status == 200, shown
        return list(shown.said)

    async def _show(self, ticket: str, token: str) -> None:
        """At two doors at the same moment, and then at a third one."""
        first, second, third = self._draw.sample(list(self._scanners), 3)
        await asyncio.gather(self._scan(ticket, token, first), self._scan(ticket, token, second))
        await self._scan(ticket, token, third)

    async def _scan(self, ticket: str, token: str, door: str) -> None:
        scan = Scan(ticket_id=ticket, door=door, nonce=f"{self._seed}-{next(self._nonces)}")
        self.scans.append(scan)
        headers = {"Device-Token": self._scanners[door]}
        body = {"token": token, "nonce": scan.nonce}
        times = 2 if self._draw.random() < AGAIN else 1
        for _ in range(times):
            answer = await self._nodes.ask("POST", "/tickets/scan", body, headers, named=False)
            scan.answers.append(answer)

    # --- the check

    async def check(self, database: AnyConnection) -> list[str]:
        """What is wrong; empty when all is well."""
        faults = [*self.faults, *self._nodes.bugs, *self._faults_of_answers()]
        ids = [uuid.UUID(one) for one in self._showtimes]
        let_in: dict[str, list[str]] = defaultdict(list)
        for row in await database.fetch(_LOG, ids):
            let_in[str(ticket_id(row["booking_id"], row["place"]))].append(row["scanner"])
        inside = {
            str(ticket_id(row["booking_id"], row["place"]))
            for row in await database.fetch(_INSIDE, ids)
        }
        acknowledged = {scan.ticket_id: scan.door for scan in self.scans if scan.let_in}
        for ticket, door in acknowledged.items():
            if let_in[ticket] != [door]:
                faults.append(f"doors: {ticket} was let in at {door}, in the log {let_in[ticket]}")
            if ticket not in inside:
                faults.append(f"doors: {ticket} was let in, and is not inside")
        faults += [
            f"doors: nobody was told that {ticket} was let in"
            for ticket in let_in.keys() - acknowledged.keys()
        ]
        return faults + await self._faults_of_events(database, ids, let_in)

    def _faults_of_answers(self) -> Iterator[str]:
        winners: Counter[str] = Counter()
        for scan in self.scans:
            if not scan.answers:
                continue
            first = scan.answers[0]
            if any(one != first for one in scan.answers):
                yield f"doors: the same scan was answered in two ways: {scan}"
            if not scan.let_in and first.said[0] != "ALREADY_USED":
                yield f"doors: a good ticket was refused: {scan}"
            winners[scan.ticket_id] += scan.let_in
        for ticket, times in winners.items():
            if times != 1:
                yield f"doors: {times} scans were told that they let in {ticket}"

    async def _faults_of_events(
        self, database: AnyConnection, ids: list[uuid.UUID], let_in: Mapping[str, object]
    ) -> list[str]:
        """Partners are told once of each admission."""
        try:
            async with asyncio.timeout(SETTLE_TIMEOUT_S):
                while await database.fetchval(_UNTOLD, ids):  # noqa: ASYNC110  (a node tells)
                    await asyncio.sleep(TOLD_POLL_S)
        except TimeoutError:
            return ["doors: partners are not told of what happened"]
        told = {row["ticket_id"]: row["times"] for row in await database.fetch(_TOLD, ids)}
        if told != dict.fromkeys(let_in, 1):
            return [f"doors: {len(let_in)} were let in, and partners were told {told}"]
        return []


def _pairs(showtimes: Sequence[str], labels: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
    """Seats side by side, each once: nobody at the doors is to lose against another buyer."""
    for start in range(0, len(labels) - SEATS_A_VISIT + 1, SEATS_A_VISIT):
        for showtime_id in showtimes:
            yield showtime_id, labels[start : start + SEATS_A_VISIT]
