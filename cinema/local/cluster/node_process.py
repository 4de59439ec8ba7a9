"""One node of a local cluster: its process, started again whenever it ends."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from cinema.local.cluster.pace import Pace
from cinema.local.cluster.plan import NodePlan
from cinema.local.cluster.readiness import is_ready
from cinema.local.tether import tethered
from cinema.settings import reachable

MISCONFIGURED: Final = 2
"""Exit code of a node whose settings are wrong: starting it again would not help."""

NOT_STARTED: Final = 1
"""What stands for the exit code of a node that the system did not start."""

READY_POLL_S: Final = 0.05
NODE_PROCESS_STARTED: Final = "node_process_started"
NODE_PROCESS_ENDED: Final = "node_process_ended"
NODE_START_FAILED: Final = "node_start_failed"

log = structlog.get_logger()


class NodeMisconfigured(Exception):
    """A node says that its settings are wrong; it has told the problems on standard error."""


class NodeProcess:
    """Keeps one node running: `keep` until `stop`, and `replace` for a new process in between."""

    def __init__(
        self,
        plan: NodePlan,
        host: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        listening: Sequence[int],
        longest_stop_s: float,
    ) -> None:
        self.plan = plan
        self._host = reachable(host)
        self._command = command
        self._environment = environment
        self._listening = listening
        self._longest_stop_s = longest_stop_s
        self._pace = Pace()
        self._process: asyncio.subprocess.Process | None = None
        self._stopped = asyncio.Event()
        self._doomed = False
        self._replacing = False
        self._born = asyncio.Event()
        self._hurry = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The process id of the one that runs."""
        return None if self._process is None else self._process.pid

    async def keep(self) -> None:
        """Start the process, and start it again after each end, until `stop`."""
        clock = asyncio.get_running_loop().time
        while not self._stopped.is_set():
            started_s = clock()
            try:
                code = await self._run()
            except OSError:
                # The machine may have no room for a process now; it may have later.
                log.exception(NODE_START_FAILED, node=self.plan.number)
                code = NOT_STARTED
            ran_s = clock() - started_s
            if self._stopped.is_set():
                return
            if code == MISCONFIGURED:
                raise NodeMisconfigured(f"node {self.plan.number} does not accept its settings")
            delay_s = 0.0 if self._replacing else self._pace.delay_s(code, ran_s)
            log.info(
                NODE_PROCESS_ENDED,
                node=self.plan.number,
                exit_code=code,
                ran_s=round(ran_s, 3),
                delay_s=delay_s,
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._hurry.wait()
            self._hurry.clear()

    async def stop(self) -> None:
        """End it for good: gracefully, and with force when that takes too long."""
        self._stopped.set()
        self._hurry.set()
        await self._end()

    async def replace(self) -> None:
        """End it gracefully, and return when its successor runs (which may not be ready yet)."""
        self._replacing = True
        self._born.clear()
        try:
            self._hurry.set()
            await self._end()
            await self._born.wait()
        finally:
            self._replacing = False

    def kill(self) -> None:
        """End it at once, and for good."""
        self._doomed = True
        self._stopped.set()
        self._hurry.set()
        self._send(signal.SIGKILL)

    async def await_ready(self, timeout_s: float) -> bool:
        """Whether it says in time that it can serve."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    if await is_ready(self._host, self.plan.port):
                        return True
                    await asyncio.sleep(READY_POLL_S)
        except TimeoutError:
            return False

    async def _run(self) -> int:
        """One life of the process; its exit code, negative for a signal."""
        process = await asyncio.create_subprocess_exec(
            *tethered(self._command, listening=self._listening),
            stdin=asyncio.subprocess.DEVNULL,
            # A node says its address there; ours says all of them.
            stdout=asyncio.subprocess.DEVNULL,
            env=self._environment,
            pass_fds=self._listening,
            # A terminal's Ctrl-C is for the supervisor, which stops the nodes in order.
            start_new_session=True,
        )
        self._process = process
        self._born.set()
        log.info(NODE_PROCESS_STARTED, node=self.plan.number, pid=process.pid, port=self.plan.port)
        if self._stopped.is_set():
            # It was being started when the end came.
            self._send(signal.SIGKILL if self._doomed else signal.SIGTERM)
        code = await process.wait()
        self._process = None
        return code

    async def _end(self) -> None:
        process = self._process
        if process is None:
            return
        self._send(signal.SIGTERM)
        # One that was frozen hears it only now.
        self._send(signal.SIGCONT)
        try:
            async with asyncio.timeout(self._longest_stop_s):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _send(self, how: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(how)
