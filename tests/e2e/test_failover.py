"""Postgres fails over to its synchronous standby under load, as docs/runbook.md says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.server_process import ServerProcess
from tests.support.stage import staged
from tests.support.standby import replicated

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.postgres]


async def test_nodes_go_on_with_the_standby_and_nothing_acknowledged_is_lost(
    tmp_path: Path,
) -> None:
    async with replicated(tmp_path / "pair") as pair:
        settings = {"DATABASE_URL": pair.dsn, "COMMAND_DEADLINE_MS": "1000"}
        server = ServerProcess(tmp_path / "data", **settings)
        try:
            await server.start()
            async with staged([server], seed=18) as stage:
                async with stage.load():
                    await stage.history.until(acknowledged=150)
                    await pair.lose_primary()
                    refused = stage.history.count("RETRY")
                    await stage.history.until(told={"RETRY": refused + 20})
                    await pair.promote()
                    await stage.history.until(acknowledged=stage.history.acknowledged + 100)
                await stage.verify(pair.standby_dsn)
            for event in ("request_failed", "lane_failed", "task_failed"):
                assert event not in server.log()
        finally:
            await server.stop()
