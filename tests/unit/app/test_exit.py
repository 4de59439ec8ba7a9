"""A process that was told to stop ends, whatever does not."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.process

STUBBORN = """
import asyncio, sys
from cinema.app.serve import end_anyway
from cinema.telemetry.logging import configure_logging, standard_error_sink

async def takes_no_cancellation():
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass

async def serve():
    sink = standard_error_sink()
    configure_logging("info", sink)
    asyncio.create_task(takes_no_cancellation(), name="stubborn")
    await asyncio.sleep(0)
    return end_anyway(asyncio.get_running_loop(), sink, 0.1)

asyncio.run(serve()).cancel()
"""

PATIENCE_S = 60


def test_a_task_that_takes_no_cancellation_does_not_keep_the_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STUBBORN],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stderr.splitlines()[-1])
    assert line["event"] == "exit_forced"
    assert any(one.startswith("stubborn takes_no_cancellation:") for one in line["tasks"])


def test_a_process_that_ends_in_time_says_nothing() -> None:
    ends = STUBBORN.replace('asyncio.create_task(takes_no_cancellation(), name="stubborn")', "")
    done = subprocess.run(
        [sys.executable, "-c", ends.replace("0.1", "30.0")],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_node_that_was_declared_dead_says_so_when_it_is_forced_to_end() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STUBBORN.replace("sink, 0.1", "sink, 0.1, 70")],
        check=False,
        capture_output=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 70, done.stderr
