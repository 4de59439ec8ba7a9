"""A server whose way to Postgres loses, delays and breaks what passes, a real Postgres behind it.

What is checked after each is the whole of `tests/support/history.py`.
"""

from __future__ import annotations

import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.durable_postgres import DurablePostgres
from tests.support.history import Attempt
from tests.support.load import Client, HttpCaller
from tests.support.postgres_proxy import APPEND, LOAD, TAKE_OVER, Fault, PostgresProxy, proxied
from tests.support.server_process import ServerProcess
from tests.support.stage import Stage, staged

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.postgres]

DEADLINE_MS = "600"


class Rig:
    """A server behind the proxy, and one customer who acts step by step."""

    def __init__(self, stage: Stage, proxy: PostgresProxy, dsn: str) -> None:
        self.stage = stage
        self.proxy = proxy
        self.dsn = dsn
        self.caller: HttpCaller
        self.client: Client
        self.caller, self.client = stage.client()

    async def hold(self, position: int) -> Attempt:
        """Hold two seats."""
        showtime = self.stage.showtimes[0]
        labels = showtime.labels[position : position + 2]
        return await self.caller.send(self.client.request("hold", showtime.id, seats=labels))

    async def again(self, attempt: Attempt) -> Attempt:
        """The same request with the same key."""
        return await self.caller.send(attempt.request)


@pytest.fixture
async def rig(tmp_path: Path, durable_postgres: DurablePostgres, seeded: str) -> AsyncIterator[Rig]:
    """The rig on a database of its own; at the end the books are checked."""
    async with _rig(tmp_path, durable_postgres, seeded) as made:
        yield made


@asynccontextmanager
async def _rig(folder: Path, postgres: DurablePostgres, database: str) -> AsyncIterator[Rig]:
    async with proxied(postgres.socket_folder, database, "cinema") as proxy:
        server = ServerProcess(
            folder / "data",
            DATABASE_URL=proxy.dsn,
            COMMAND_DEADLINE_MS=DEADLINE_MS,
            OVERLOADED_AFTER_MS="500",
            DEMO_DATA="false",
        )
        try:
            await server.start()
            async with staged([server], seed=3) as stage:
                rig = Rig(stage, proxy, postgres.dsn(database))
                assert (await rig.hold(0)).acknowledged
                yield rig
                proxy.cause_chaos(random.Random(0), 0)
                await stage.verify(rig.dsn)
        finally:
            await server.stop()


async def test_commit_whose_answer_is_lost_is_acknowledged_from_the_journal(rig: Rig) -> None:
    lost = rig.proxy.order(APPEND, Fault.LOSE_ANSWER)
    attempt = await rig.hold(2)
    assert lost.tag == "SELECT 1"
    assert attempt.acknowledged
    assert (await rig.again(attempt)).data == attempt.data


async def test_commit_in_doubt_past_the_deadline_is_unknown_and_then_one_effect(rig: Rig) -> None:
    lost = rig.proxy.order(APPEND, Fault.LOSE_ANSWER)
    unreachable = rig.proxy.order(TAKE_OVER, Fault.STALL)
    attempt = await rig.hold(2)
    assert lost.tag == "SELECT 1"
    assert unreachable.happened.is_set()
    assert attempt.code == "OUTCOME_UNKNOWN"
    await unreachable.deliver()
    await rig.stage.settle()
    again = await rig.again(attempt)
    assert again.acknowledged
    assert (await rig.again(attempt)).data == again.data


async def test_append_that_arrives_after_the_takeover_has_no_effect(rig: Rig) -> None:
    late = rig.proxy.order(APPEND, Fault.HOLD_BACK)
    refused = await rig.hold(2)
    assert refused.code == "RETRY"
    accepted = await rig.again(refused)
    assert accepted.acknowledged
    assert await late.deliver() == "SELECT 0"
    assert (await rig.again(refused)).data == accepted.data


async def test_late_append_finds_the_seats_with_their_new_owner(rig: Rig) -> None:
    late = rig.proxy.order(APPEND, Fault.STALL)
    refused = await rig.hold(2)
    assert refused.code == "RETRY"
    other, client = rig.stage.client()
    showtime = rig.stage.showtimes[0]
    taken = await other.send(client.request("hold", showtime.id, seats=showtime.labels[2:4]))
    assert taken.acknowledged
    assert await late.deliver() in {"SELECT 0", ""}
    assert (await rig.again(refused)).code == "SEAT_UNAVAILABLE"


async def test_answer_slower_than_the_deadline_is_not_a_refusal(rig: Rig) -> None:
    slow = rig.proxy.order(APPEND, Fault.STALL_ANSWER)
    attempt = await rig.hold(2)
    assert slow.tag == "SELECT 1"
    assert attempt.acknowledged
    await slow.deliver()


async def test_takeover_whose_answers_are_lost_or_late_is_tried_again(rig: Rig) -> None:
    faults = [
        rig.proxy.order(APPEND, Fault.LOSE_ANSWER),
        rig.proxy.order(TAKE_OVER, Fault.LOSE_ANSWER),
        rig.proxy.order(LOAD, Fault.LOSE_ANSWER),
    ]
    attempt = await rig.hold(2)
    await rig.stage.settle()
    assert (await rig.again(attempt)).acknowledged
    assert all(fault.happened.is_set() for fault in faults)


async def test_booking_and_cancellation_in_doubt_have_one_effect(rig: Rig) -> None:
    held = await rig.hold(2)
    rig.proxy.order(APPEND, Fault.LOSE_ANSWER)
    showtime_id = rig.stage.showtimes[0].id
    booked = await rig.caller.send(rig.client.request("book", showtime_id, held.data["hold_id"]))
    assert booked.acknowledged
    rig.proxy.order(APPEND, Fault.LOSE_ANSWER)
    cancelled = await rig.caller.send(rig.client.request("cancel", showtime_id, booked.data["id"]))
    await rig.stage.settle()
    assert (await rig.again(cancelled)).data["status"] == "cancelled"


async def test_cancellation_that_took_effect_is_told_though_the_database_has_gone(rig: Rig) -> None:
    held = await rig.hold(2)
    showtime_id = rig.stage.showtimes[0].id
    booked = await rig.caller.send(rig.client.request("book", showtime_id, held.data["hold_id"]))
    reading = rig.proxy.order("json_build_array", Fault.LOSE_ANSWER)
    cancelled = await rig.caller.send(rig.client.request("cancel", showtime_id, booked.data["id"]))
    assert cancelled.data["status"] == "cancelled"
    # Nothing was read after the commit that a lost connection could have turned into RETRY.
    assert not reading.happened.is_set()
    rig.proxy.forget(reading)


async def test_refused_connections_are_clear_503s_until_they_are_taken_again(rig: Rig) -> None:
    async with rig.stage.load():
        rig.proxy.refuse()
        retries = rig.stage.history.count("RETRY")
        await rig.stage.history.until(told={"RETRY": retries + 20})
        await rig.proxy.listen()
        await rig.stage.history.until(acknowledged=rig.stage.history.acknowledged + 100)


async def test_announced_end_of_a_connection_stops_neither_lane_nor_takeover(rig: Rig) -> None:
    async with rig.stage.load():
        for _ in range(5):
            await rig.stage.history.until(acknowledged=rig.stage.history.acknowledged + 30)
            rig.proxy.announce_shutdown()
            await rig.stage.history.until(acknowledged=rig.stage.history.acknowledged + 5)
            rig.proxy.cut()


@pytest.mark.parametrize("seed", [11, 12])
async def test_chaos_on_the_way_to_postgres_loses_and_doubles_nothing(rig: Rig, seed: int) -> None:
    async with rig.stage.load():
        rig.proxy.cause_chaos(random.Random(seed), 0.1)
        while rig.proxy.faults_done < 40:
            await rig.stage.history.until(acknowledged=rig.stage.history.acknowledged + 1)
        rig.proxy.cause_chaos(random.Random(seed), 0)
        await rig.stage.history.until(acknowledged=rig.stage.history.acknowledged + 100)


async def test_a_node_that_waits_for_postgres_to_join_its_cluster_can_be_stopped(
    tmp_path: Path, durable_postgres: DurablePostgres, seeded: str, redis_url: str
) -> None:
    async with proxied(durable_postgres.socket_folder, seeded, "cinema") as proxy:
        server = ServerProcess(
            tmp_path / "data",
            DATABASE_URL=proxy.dsn,
            REDIS_URL=redis_url,
            CLUSTER_PORT="0",
            DEMO_DATA="false",
        )
        stalled = proxy.order("cluster_views", Fault.STALL)
        try:
            server.launch()
            await stalled.happened.wait()
            proxy.refuse()
            server.send(signal.SIGTERM)
            assert await server.ended() == 0
        finally:
            await server.stop()
