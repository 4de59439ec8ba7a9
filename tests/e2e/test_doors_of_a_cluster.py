"""Scanners at three nodes, of which one is killed while it lets people in.

A minute on a slow machine: three nodes cannot be killed in any other way.
"""

from __future__ import annotations

import asyncio
import random
import signal
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from benchmarks.house import House
from benchmarks.postgres import Postgres
from cinema.features.tickets.rules import place_of
from cinema.storage.database.pool import AnyConnection
from tests.support.nodes import Answer, AnyNode
from tests.support.server_process import SECRET, ServerProcess, serving_together

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.postgres]

NODES = 3
SCANNERS = 50
PATIENCE_S = 60.0
POLL_S = 0.05

_OPEN_EARLY = "update cinemas set ticket_early_minutes = 20160"
_SELLS = {"rows": 2, "columns": 10}
_WAITING = """
select count(*) from pg_stat_activity
where datname = current_database() and wait_event_type = 'Lock' and query like '%ticket_entries%'"""
_LOGGED = """
select outcome, count(*) from ticket_scans where booking_id = $1 and place = $2 group by outcome"""
_ENTER = """
insert into ticket_entries (booking_id, place, showtime_id, inside, entered_at, scanner_id, scanner)
values ($1, $2, $3, true, now(), $4, 'nobody')"""
_ENTERED = """
select place, entered_at, scanner from ticket_entries where booking_id = $1 order by place"""


class Trio:
    """Three nodes on one database, and a cinema that they serve."""

    def __init__(self, folder: Path, dsn: str, redis_url: str) -> None:
        self.postgres = Postgres(pid=0, dsn=dsn)
        self.jwt_secret = SECRET
        self.nodes = [
            ServerProcess(
                folder / f"node-{number}",
                DATABASE_URL=dsn,
                REDIS_URL=redis_url,
                CLUSTER_PORT="0",
                DEMO_DATA="false",
                TICKET_SIGNING_KEYS="ab" * 32,
                ENCRYPTION_KEYS="cd" * 32,
            )
            for number in range(NODES)
        ]

    @property
    def port(self) -> int:
        return self.nodes[0].port


class Doors:
    """What the tests ask the nodes."""

    def __init__(
        self,
        trio: Trio,
        house: House,
        session: aiohttp.ClientSession,
        database: AnyConnection,
    ) -> None:
        self.nodes = trio.nodes
        self.database = database
        self._house = house
        self._any = AnyNode(session, [node.url for node in trio.nodes], random.Random(1))
        self._buyer = {"Authorization": f"Bearer {house.tokens[0]}"}

    async def sold(self, seats: int) -> list[dict[str, Any]]:
        """The tickets of a booking for a showtime whose doors are open."""
        screen = await self._house.screen("One", **_SELLS)
        await self.database.execute(_OPEN_EARLY)
        (showtime,) = await self._house.showtimes(screen, 1)
        path = f"/showtimes/{showtime}/holds"
        held = await self._any.ask("POST", path, {"seats": screen.labels[:seats]}, self._buyer)
        assert held.status == 201, held
        body = {
            "showtime_id": showtime,
            "hold_id": held.said["hold_id"],
            "payment": {"method": "demo"},
        }
        booked = await self._any.ask("POST", "/bookings", body, self._buyer)
        assert booked.status == 201, booked
        path = f"/tickets?booking_id={booked.said['id']}"
        return list((await self._any.ask("GET", path, None, self._buyer)).said)

    async def scanners(self, number: int) -> list[dict[str, str]]:
        """The headers of new scanners."""
        return [{"Device-Token": await self._house.scanner(f"Door {one}")} for one in range(number)]

    async def scan(self, token: str, scanner: dict[str, str], node: int) -> Answer:
        """One scan, first at this node, and then at any until there is an answer."""
        body = {"token": token, "nonce": uuid.uuid4().hex}
        url = self.nodes[node].url
        return await self._any.ask("POST", "/tickets/scan", body, scanner, first=url, named=False)

    async def upload(
        self, scans: Sequence[dict[str, Any]], scanner: dict[str, str], node: int
    ) -> Answer:
        """A batch, in the same way."""
        url, body = self.nodes[node].url, {"scans": scans}
        return await self._any.ask("POST", "/tickets/scans", body, scanner, first=url, named=False)

    async def waiting(self, number: int) -> None:
        """Until so many statements wait for an entry."""
        async with asyncio.timeout(PATIENCE_S):
            while await self.database.fetchval(_WAITING) < number:  # noqa: ASYNC110  (of Postgres)
                await asyncio.sleep(POLL_S)

    async def kill(self, node: int) -> None:
        """Without a word."""
        self.nodes[node].send(signal.SIGKILL)
        await self.nodes[node].ended()


@pytest.fixture
async def doors(tmp_path: Path, database: str, redis_url: str) -> AsyncIterator[Doors]:
    trio = Trio(tmp_path, database, redis_url)
    connection = await asyncpg.connect(database)
    try:
        async with serving_together(trio.nodes), aiohttp.ClientSession() as session:
            house = await House.open(trio, 1)
            yield Doors(trio, house, session, connection)
    finally:
        await connection.close()


@pytest.fixture
async def locking(database: str) -> AsyncIterator[AnyConnection]:
    """What the scans have to wait for."""
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


async def test_fifty_scanners_at_one_ticket_let_one_in_though_the_node_dies_that_did(
    doors: Doors, locking: AnyConnection
) -> None:
    """Statements of the dead node wait in front of all others, and Postgres carries them out."""
    (ticket,) = await doors.sold(1)
    devices = await doors.scanners(5)
    headers = [devices[number % len(devices)] for number in range(SCANNERS)]
    async with asyncio.TaskGroup() as group, locking.transaction():
        await locking.execute("lock table ticket_entries in share row exclusive mode")
        scans = [group.create_task(doors.scan(ticket["token"], one, 0)) for one in headers[::NODES]]
        await doors.waiting(1)
        for node in range(1, NODES):
            scans += [
                group.create_task(doors.scan(ticket["token"], one, node))
                for one in headers[node::NODES]
            ]
        await doors.waiting(NODES)
        await doors.kill(0)
    answers = [scan.result() for scan in scans]
    assert Counter(one.status for one in answers) == {200: 1, 409: SCANNERS - 1}
    (let_in,) = [one.said["ticket"] for one in answers if one.status == 200]
    for answer in answers:
        if answer.status == 409:
            code, details = answer.said
            assert code == "ALREADY_USED"
            assert details["used_at"] == let_in["used_at"]
    booking, place = uuid.UUID(ticket["booking_id"]), place_of(uuid.UUID(ticket["id"]))
    logged = dict(await doors.database.fetch(_LOGGED, booking, place))
    assert logged == {"admitted": 1, "ALREADY_USED": SCANNERS - 1}


async def test_uploads_to_three_nodes_agree_though_one_dies_in_the_middle(
    doors: Doors, locking: AnyConnection
) -> None:
    """Each of four scanners has scanned all tickets; of each ticket the earliest entry counts."""
    tickets = await doors.sold(8)
    devices = await doors.scanners(4)
    now = datetime.now(UTC).replace(microsecond=0)

    def at(ticket: int, scanner: int) -> datetime:
        """In the order of the tickets; who was first at one changes from one to the next."""
        turn = (scanner + ticket) % len(devices)
        return now - timedelta(minutes=20 - ticket, seconds=turn)

    batches = [
        [
            {"token": one["token"], "at": at(number, scanner).isoformat(), "nonce": f"n{number}"}
            for number, one in enumerate(tickets)
        ]
        for scanner in range(len(devices))
    ]
    booking = uuid.UUID(tickets[0]["booking_id"])
    showtime = uuid.UUID(tickets[0]["showtime_id"])
    async with asyncio.TaskGroup() as group:
        stuck = locking.transaction()
        await stuck.start()
        place = place_of(uuid.UUID(tickets[4]["id"]))
        await locking.execute(_ENTER, booking, place, showtime, uuid.uuid4())
        uploads = [
            group.create_task(doors.upload(batch, device, number % NODES))
            for number, (batch, device) in enumerate(zip(batches, devices, strict=True))
        ]
        await doors.waiting(len(batches))
        await doors.kill(0)
        await stuck.rollback()
    answers = [upload.result() for upload in uploads]
    assert [one.status for one in answers] == [200] * len(batches), answers
    rows = await doors.database.fetch(_ENTERED, booking)
    earliest = [min(at(ticket, one) for one in range(len(devices))) for ticket in range(8)]
    assert [row["entered_at"] for row in rows] == earliest
    first = [min(range(len(devices)), key=lambda one: at(ticket, one)) for ticket in range(8)]
    assert [row["scanner"] for row in rows] == [f"Door {one}" for one in first]
    # Whoever came first to a ticket, by the order of the uploads, met nobody; all others did.
    for number, ticket in enumerate(tickets):
        outcomes = Counter(answer.said["scans"][number]["outcome"] for answer in answers)
        assert outcomes == {"admitted": 1, "conflict": len(batches) - 1}, ticket
    assert sum(len(answer.said["conflicts"]) for answer in answers) == 8 * (len(batches) - 1)
    # What was lost with the node is answered as it was.
    again = await doors.upload(batches[0], devices[0], 1)
    assert again == answers[0]
