"""A node takes as many connections to Postgres as its settings say, however busy it is."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from cinema.actors.messages import Accepted
from cinema.app import node as app_node
from cinema.app.node import running_node
from cinema.settings import Secret, Settings
from cinema.settings.connections import FOR_LOOKS, connections_of_node
from cinema.storage.journal.postgres import PostgresJournal
from cinema.telemetry.logging import LogSink
from tests.support.actors.world import hold, some_id
from tests.support.server_process import POLL_S

pytestmark = pytest.mark.postgres

OPEN = """
select count(*) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
"""

PATIENCE_S = 30.0


async def test_a_node_takes_what_its_settings_say(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools: list[Any] = []
    open_pool, open_journal = app_node.open_pool, PostgresJournal.open

    async def seen_pool(*arguments: Any, **options: Any) -> Any:
        pools.append(await open_pool(*arguments, **options))
        return pools[-1]

    async def seen_journal(*arguments: Any, **options: Any) -> Any:
        journal = await open_journal(*arguments, **options)
        pools.append(journal.pool)
        return journal

    monkeypatch.setattr(app_node, "open_pool", seen_pool)
    monkeypatch.setattr(PostgresJournal, "open", seen_journal)
    watching = await asyncpg.connect(database)
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory() as folder:
        sink = LogSink(log.fileno())
        settings = Settings(
            database_url=Secret(database),
            data_dir=Path(folder),
            jwt_secret_key=Secret("0123456789abcdef" * 2),
            encryption_keys=Secret("ab" * 32),
            ticket_signing_keys=Secret("cd" * 32),
            bcrypt_cost=10,
            demo_past=False,
            database_pool_size=4,
            kernel_pool_size=3,
            commit_lanes=2,
        )
        async with running_node(settings, sink) as node:
            lanes = set()
            for row in await watching.fetch("select id from showtimes where starts_at > now()"):
                outcome = await node.kernel.ask(row["id"].bytes, hold(some_id(), "A1"))
                if isinstance(outcome, Accepted):
                    lanes.add(row["id"].bytes[-1] % settings.commit_lanes)
                if len(lanes) == settings.commit_lanes:
                    break
            assert len(pools) == 2
            for pool in pools:
                for _ in range(pool.get_max_size()):
                    await pool.acquire()
            limit = connections_of_node(settings)
            async with asyncio.timeout(PATIENCE_S):
                # Those of the start may still be on their way out.
                while True:
                    if limit - FOR_LOOKS <= await watching.fetchval(OPEN) <= limit:
                        break
                    await asyncio.sleep(POLL_S)
            for pool in pools:
                pool.terminate()
            await node.stop(0.1)
        sink.close()
    await watching.close()


def test_the_defaults_and_what_a_hundred_nodes_take() -> None:
    assert connections_of_node(Settings()) == 24
    frugal = Settings(database_pool_size=4, kernel_pool_size=2)
    assert 100 * connections_of_node(frugal) == 1000
    pooled = Settings(kernel_pool_size=2, database_pooler_url=Secret("postgresql://pooler/cinema"))
    assert 100 * connections_of_node(pooled) == 900
