"""A restore to a moment under load: what was acknowledged by then is there, and nothing later."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from cinema.domain.epochs import EPOCHS_PER_ERA
from tests.support.history import History, check
from tests.support.server_process import POLL_S, ROOT, ServerProcess, running
from tests.support.stage import staged

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.postgres]

COMMAND_TIMEOUT_S = 60.0


class Backups:
    """`cinema backup` and `cinema restore` for one server, as an operator runs them."""

    def __init__(self, server: ServerProcess, folder: Path) -> None:
        self._folder = folder
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "DATA_DIR": str(server.folder),
            "BACKUP_DIR": str(folder),
        }
        self._follower: subprocess.Popen[bytes] | None = None

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-P", "-m", "cinema", *arguments]

    async def run(self, *arguments: str) -> Any:
        """Run it to its end; what it prints as JSON."""
        ended = await asyncio.to_thread(
            subprocess.run,
            self.command(*arguments, "--json"),
            env=self._environment,
            capture_output=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr.decode()
        return json.loads(ended.stdout)

    def follow(self) -> None:
        self._follower = subprocess.Popen(
            self.command("backup", "--follow"), env=self._environment, stderr=subprocess.DEVNULL
        )

    async def base_taken(self) -> None:
        async with asyncio.timeout(COMMAND_TIMEOUT_S):
            while True:
                if any(self._folder.glob("base/*/backup.json")):
                    return
                await asyncio.sleep(POLL_S)

    async def stop_following(self) -> None:
        """Ask it to stop; all that was committed until now is archived then."""
        if self._follower is not None:
            self._follower.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(self._follower.wait, COMMAND_TIMEOUT_S) == 0
            self._follower = None


class Moment:
    """A moment of the server, and what clients know at it."""

    def __init__(self, history: History, at: datetime, before_ns: int, frames: int) -> None:
        self.at = at
        self._history = history
        self._before_ns = before_ns
        self._after_ns = time.monotonic_ns()
        self._frames = frames

    def forget_what_came_later(self) -> None:
        """What was sent later never happened, and answers under way were never got."""
        history = self._history
        del history.frames[self._frames :]
        history.attempts[:] = [one for one in history.attempts if one.sent_ns <= self._after_ns]
        for attempt in history.attempts:
            if attempt.answered_ns is not None and attempt.answered_ns >= self._before_ns:
                attempt.answered_ns = attempt.code = attempt.data = None


async def moment_of(history: History, server: ServerProcess) -> Moment:
    connection = await asyncpg.connect(server.dsn)
    try:
        before_ns, frames = time.monotonic_ns(), len(history.frames)
        at = await connection.fetchval("select clock_timestamp()")
        return Moment(history, at, before_ns, frames)
    finally:
        await connection.close()


async def test_a_moment_under_load_is_restored_and_the_house_sells_on(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data")
    backups = Backups(server, tmp_path / "backups")
    async with running(server), staged([server], seed=5) as stage:
        backups.follow()
        try:
            async with stage.load():
                await stage.history.until(acknowledged=100)
                await backups.base_taken()
                await stage.history.until(acknowledged=stage.history.acknowledged + 150)
                moment = await moment_of(stage.history, server)
                shown = stage.history.acknowledged
                await stage.history.until(acknowledged=shown + 150)
        finally:
            await backups.stop_following()
        server.send(signal.SIGTERM)
        assert await server.ended() == 0
        done = await backups.run(
            "restore", "--to-time", moment.at.isoformat(), "--move-old-to", str(tmp_path / "old")
        )
        assert done["timeline"] == 2
        await server.start()

        moment.forget_what_came_later()
        acknowledged = [one for one in stage.history.attempts if one.acknowledged]
        assert len(acknowledged) >= 200
        ledgers = await stage.ledgers(server.dsn)
        faults = check(stage.history, ledgers)
        assert not faults, "\n".join([f"{len(faults)} faults", *faults[:20]])
        assert all(ledger.epoch >= 2 * EPOCHS_PER_ERA for ledger in ledgers)

        acknowledged_before = stage.history.acknowledged
        async with stage.load():
            await stage.history.until(acknowledged=acknowledged_before + 100)
        await stage.verify(server.dsn)
        assert "Traceback" not in server.log()


async def test_the_end_of_the_archive_has_all_that_was_acknowledged(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data")
    backups = Backups(server, tmp_path / "backups")
    async with running(server), staged([server], seed=6) as stage:
        backups.follow()
        try:
            async with stage.load():
                await backups.base_taken()
                await stage.history.until(acknowledged=stage.history.acknowledged + 150)
                server.send(signal.SIGKILL)
                await server.ended()
        finally:
            await backups.stop_following()
        # The server is lost with its disk; of its Postgres and its uploads nothing is left but the
        # archive.
        await server.start()
        server.send(signal.SIGTERM)
        await server.ended()
        for part in ("postgres", "uploads"):
            (server.folder / part).rename(tmp_path / f"lost {part}")
        await backups.run("restore")
        await server.start()
        await stage.verify(server.dsn)
