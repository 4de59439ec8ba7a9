"""One node's process: started again, replaced, stopped and, if it hangs, killed."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from cinema.local.cluster.node_process import NodeMisconfigured, NodeProcess
from cinema.local.cluster.plan import NodePlan

PLAN = NodePlan(number=1, port=1, cluster_port=2, control_port=3)
PATIENCE_S = 20.0

OBEYS = (
    "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [15]); {ready}; signal.sigwait([15])"
)
HANGS = "import signal; signal.signal(15, signal.SIG_IGN); {ready}\nwhile True: signal.pause()"
ENDS = "{ready}; raise SystemExit({code})"
"""Each life writes a line, so that a test sees how often there was one and when it is set up."""


class Kept:
    """A node that a task keeps running."""

    def __init__(self, node: NodeProcess, keeping: asyncio.Task[None], lives: Path) -> None:
        self.node = node
        self.keeping = keeping
        self._lives = lives

    def lives(self) -> int:
        return len(self._lives.read_text().splitlines()) if self._lives.exists() else 0

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                if true():
                    return
                await asyncio.sleep(0.01)


@asynccontextmanager
async def kept(
    folder: Path, script: str, *, longest_stop_s: float = PATIENCE_S, code: int = 0
) -> AsyncIterator[Kept]:
    lives = folder / "lives"
    ready = f"open({str(lives)!r}, 'a').write('x\\n')"
    node = NodeProcess(
        PLAN,
        "127.0.0.1",
        [sys.executable, "-I", "-S", "-c", script.format(ready=ready, code=code)],
        {},
        listening=[],
        longest_stop_s=longest_stop_s,
    )
    keeping = asyncio.ensure_future(node.keep())
    try:
        yield Kept(node, keeping, lives)
    finally:
        node.kill()
        await asyncio.gather(keeping, return_exceptions=True)


async def test_a_killed_process_is_started_again(tmp_path: Path) -> None:
    async with kept(tmp_path, OBEYS) as one:
        await one.until(lambda: one.lives() == 1)
        assert one.node.pid is not None
        psutil.Process(one.node.pid).send_signal(signal.SIGKILL)
        await one.until(lambda: one.lives() == 2)


async def test_a_stopped_one_is_not_started_again(tmp_path: Path) -> None:
    async with kept(tmp_path, OBEYS) as one:
        await one.until(lambda: one.lives() == 1)
        await one.node.stop()
        await asyncio.wait_for(one.keeping, PATIENCE_S)
        assert one.lives() == 1
        assert one.node.pid is None


async def test_a_stop_does_not_wait_for_the_next_start(tmp_path: Path) -> None:
    async with kept(tmp_path, ENDS, code=1) as one:
        await one.until(lambda: one.lives() == 5)
        await one.node.stop()
        await asyncio.wait_for(one.keeping, PATIENCE_S)
        assert one.lives() <= 6, "each restart waits longer than the one before"


async def test_one_that_hangs_at_a_stop_is_killed(tmp_path: Path) -> None:
    async with kept(tmp_path, HANGS, longest_stop_s=0.1) as one:
        await one.until(lambda: one.lives() == 1)
        await one.node.stop()
        await asyncio.wait_for(one.keeping, PATIENCE_S)
        assert one.node.pid is None


async def test_one_that_is_frozen_can_still_stop_in_order(tmp_path: Path) -> None:
    async with kept(tmp_path, OBEYS) as one:
        await one.until(lambda: one.lives() == 1)
        assert one.node.pid is not None
        psutil.Process(one.node.pid).suspend()
        await asyncio.wait_for(one.node.stop(), PATIENCE_S / 2)
        await asyncio.wait_for(one.keeping, PATIENCE_S)


async def test_a_replaced_one_has_a_successor_at_once(tmp_path: Path) -> None:
    async with kept(tmp_path, OBEYS) as one:
        await one.until(lambda: one.lives() == 1)
        before = one.node.pid
        await one.node.replace()
        assert one.node.pid not in {None, before}
        await one.until(lambda: one.lives() == 2)


async def test_one_that_is_killed_while_it_starts_does_not_live(tmp_path: Path) -> None:
    async with kept(tmp_path, HANGS) as one:
        await asyncio.sleep(0)
        assert one.node.pid is None
        one.node.kill()
        await asyncio.wait_for(one.keeping, PATIENCE_S)


async def test_one_with_wrong_settings_is_given_up(tmp_path: Path) -> None:
    async with kept(tmp_path, ENDS, code=2) as one:
        with pytest.raises(NodeMisconfigured, match="node 1"):
            await asyncio.wait_for(one.keeping, PATIENCE_S)
        assert one.lives() == 1


async def test_one_that_does_not_answer_is_not_ready(tmp_path: Path) -> None:
    async with kept(tmp_path, OBEYS) as one:
        assert not await one.node.await_ready(0.1)
