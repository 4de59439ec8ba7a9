"""Real processes that are killed, stopped, frozen and cut off under load, one node's worth.

What is checked after each is the whole of `tests/support/history.py`; the tests only see to it
that the bad thing really happened in the middle of something.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.durable_postgres import DurablePostgres
from tests.support.server_process import ServerProcess, running
from tests.support.stage import staged

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.postgres]


def postmaster_pid(folder: Path) -> int:
    """The process id of the Postgres that a server has started in its folder."""
    return int((folder / "postgres" / "postmaster.pid").read_text().splitlines()[0])


async def test_a_killed_server_has_kept_all_it_acknowledged_and_a_stopped_one_leaves_nothing(
    tmp_path: Path,
) -> None:
    async with (
        running(ServerProcess(tmp_path / "data")) as server,
        staged([server], seed=1) as stage,
    ):
        for kill in range(1, 3):
            async with stage.load():
                await stage.history.until(acknowledged=150 * kill)
                server.send(signal.SIGKILL)
                await server.ended()
                await stage.history.until(told={"lost": kill})
                await server.start()
                await stage.history.until(acknowledged=150 * kill + 50)
        async with stage.load():
            await stage.history.until(acknowledged=stage.history.acknowledged + 100)
            server.send(signal.SIGTERM)
            assert await server.ended() == 0, server.log()[-4000:]
        assert not server.left_behind()
        await server.start()
        await stage.verify(server.dsn)
        assert "Traceback" not in server.log()


async def test_an_embedded_postgres_that_is_killed_comes_back_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    server = ServerProcess(tmp_path / "data", COMMAND_DEADLINE_MS="1000")
    async with running(server), staged([server], seed=3) as stage:
        for kill in range(1, 3):
            async with stage.load():
                await stage.history.until(acknowledged=stage.history.acknowledged + 100)
                os.kill(postmaster_pid(tmp_path / "data"), signal.SIGKILL)
                await stage.history.until(told={"RETRY": stage.history.count("RETRY") + 1})
                await stage.history.until(acknowledged=stage.history.acknowledged + 100)
            assert server.log().count("postgres_restarted") == kill
        assert server.running
        await stage.verify(server.dsn)
        server.send(signal.SIGTERM)
        assert await server.ended() == 0, server.log()[-4000:]
        assert not server.left_behind()


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGINT])
async def test_postgres_away_for_a_while_is_a_503_and_nothing_is_lost(
    tmp_path: Path, durable_postgres: DurablePostgres, seeded: str, how: signal.Signals
) -> None:
    dsn = durable_postgres.dsn(seeded)
    server = ServerProcess(tmp_path / "data", DATABASE_URL=dsn, COMMAND_DEADLINE_MS="1000")
    async with running(server), staged([server], seed=2) as stage:
        async with stage.load():
            await stage.history.until(acknowledged=150)
            await durable_postgres.crash(how)
            told = stage.history.count("RETRY")
            await stage.history.until(told={"RETRY": told + 20})
            await durable_postgres.restart()
            await stage.history.until(acknowledged=stage.history.acknowledged + 100)
        assert server.running
        await stage.verify(dsn)
