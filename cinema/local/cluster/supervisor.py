"""The supervisor of a local cluster: opens the shared socket and keeps the nodes running."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import structlog

import cinema
from cinema.actors.tasks import Tasks
from cinema.local.cluster.node_process import NodeMisconfigured, NodeProcess
from cinema.local.cluster.plan import NodePlan, longest_stop_s, node_environment, plan_nodes
from cinema.local.cluster.ports import Ports
from cinema.local.keep_postgres import OwnPostgres, keep_postgres
from cinema.settings import Settings, url_of

READY_TIMEOUT_S: Final = 60.0
"""How long a node may take until it can serve; a rolling restart ends at one that takes longer."""

REDIS_LOOK_S: Final = 0.5
"""How often the supervisor looks whether Redis still runs."""

CLUSTER_STARTED: Final = "cluster_started"
CLUSTER_STOPPING: Final = "cluster_stopping"
NODE_NOT_READY: Final = "node_not_ready"
ROLLING_RESTART_STARTED: Final = "rolling_restart_started"
ROLLING_RESTART_FINISHED: Final = "rolling_restart_finished"
ROLLING_RESTART_GIVEN_UP: Final = "rolling_restart_given_up"
REDIS_RESTARTED: Final = "redis_restarted"
REDIS_RESTART_FAILED: Final = "redis_restart_failed"

log = structlog.get_logger()


class Redis(Protocol):
    """A Redis of our own."""

    @property
    def running(self) -> bool:
        """Whether it has not ended."""

    def start(self) -> str:
        """Bring it up."""


class Supervisor:
    """Runs the nodes of one local cluster until it is told to stop.

    SIGTERM, SIGINT and SIGHUP stop all nodes at once, gracefully; SIGUSR1 restarts one after the
    other, each when the one before serves again.
    """

    def __init__(
        self,
        settings: Settings,
        postgres: OwnPostgres | None,
        redis: Redis | None,
        say: Callable[[str], object],
    ) -> None:
        self._settings = settings
        self._postgres = postgres
        self._redis = redis
        self._say = say
        self._stopping = asyncio.Event()
        self._restart = asyncio.Event()

    async def run(self) -> None:
        """Start the nodes, keep them running, and stop them all.

        Raises `NodeMisconfigured` when a node's settings are wrong; it has said why.
        """
        self._listen_to_signals()
        ports = Ports()
        try:
            shared = ports.listen(self._settings.host, self._settings.port)
            shared_port: int = shared[0].getsockname()[1]
            plans = plan_nodes(self._settings, shared_port, ports)
            nodes = self._nodes(plans, [one.fileno() for one in shared])
            await self._keep(nodes, shared_port)
        except* NodeMisconfigured as found:
            raise found.exceptions[0] from None
        finally:
            ports.close()

    def _nodes(self, plans: list[NodePlan], listening: list[int]) -> list[NodeProcess]:
        inherited = _environment_of_python(os.environ)
        return [
            NodeProcess(
                plan,
                self._settings.host,
                [sys.executable, "-P", "-m", "cinema", "serve"],
                node_environment(self._settings, plan, inherited),
                listening=listening,
                longest_stop_s=longest_stop_s(self._settings),
            )
            for plan in plans
        ]

    async def _keep(self, nodes: list[NodeProcess], shared_port: int) -> None:
        # A failure of the tasks around the nodes must not end the nodes.
        around = Tasks()
        try:
            async with asyncio.TaskGroup() as group:
                for node in nodes:
                    group.create_task(node.keep())
                around.start("announce", self._announce(nodes, shared_port))
                around.keep("rolling-restart", partial(self._restart_when_told, nodes))
                around.keep("redis", self._keep_redis)
                if self._postgres is not None:
                    around.keep("postgres", partial(keep_postgres, self._postgres))
                await self._stopping.wait()
                log.info(CLUSTER_STOPPING)
                await around.cancel()
                await asyncio.gather(*(node.stop() for node in nodes))
        finally:
            for node in nodes:
                node.kill()
            await around.cancel()

    async def _announce(self, nodes: list[NodeProcess], shared_port: int) -> None:
        """Say all addresses as soon as every node can serve."""
        await asyncio.gather(*(self._await_ready(node) for node in nodes))
        host = self._settings.host
        self._say(f"cinema: {url_of(host, shared_port)} ({len(nodes)} nodes; reference at /docs)")
        for node in nodes:
            plan = node.plan
            self._say(
                f"cinema: node {plan.number} at {url_of(host, plan.port)}, "
                f"control {url_of(self._settings.control_host, plan.control_port)}"
            )
        log.info(CLUSTER_STARTED, nodes=len(nodes), port=shared_port)

    async def _restart_when_told(self, nodes: list[NodeProcess]) -> None:
        while True:
            await self._restart.wait()
            self._restart.clear()
            log.info(ROLLING_RESTART_STARTED, nodes=len(nodes))
            for node in nodes:
                await node.replace()
                if not await self._await_ready(node):
                    # The others continue with what they run, which is known to work.
                    log.error(ROLLING_RESTART_GIVEN_UP, node=node.plan.number)
                    break
            else:
                log.info(ROLLING_RESTART_FINISHED, nodes=len(nodes))

    async def _await_ready(self, node: NodeProcess) -> bool:
        ready = await node.await_ready(READY_TIMEOUT_S)
        if not ready:
            log.error(NODE_NOT_READY, node=node.plan.number, waited_s=READY_TIMEOUT_S)
        return ready

    async def _keep_redis(self) -> None:
        while self._redis is not None:
            await asyncio.sleep(REDIS_LOOK_S)
            if not self._redis.running:
                try:
                    await asyncio.to_thread(self._redis.start)
                except Exception:
                    log.exception(REDIS_RESTART_FAILED)
                else:
                    log.warning(REDIS_RESTARTED)

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, self._stopping.set)
        # Under nohup the end of the terminal is to be ignored.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            loop.add_signal_handler(signal.SIGHUP, self._stopping.set)
        loop.add_signal_handler(signal.SIGUSR1, self._restart.set)


def _environment_of_python(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment in which a node finds the same `cinema` as this process."""
    places = [str(Path(cinema.__file__).parents[1]), environ.get("PYTHONPATH", "")]
    return {**environ, "PYTHONPATH": os.pathsep.join(place for place in places if place)}
