"""`cinema serve`: one node from start to stop."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import Coroutine
from functools import partial
from typing import Any, Final

import structlog

from cinema import __version__
from cinema.app.cluster import member_of
from cinema.app.node import Node, running_node
from cinema.cluster.node import DECLARED_DEAD_EXIT, DeclaredDead
from cinema.domain.progress import Report
from cinema.http.connections.inherited import inherited_sockets, ports_of
from cinema.local.keep_postgres import OwnPostgres, keep_postgres
from cinema.settings import Settings, url_of
from cinema.telemetry.logging import LogSink, configure_logging, standard_error_sink

SERVER_STARTED: Final = "server_started"
SERVER_STOPPING: Final = "server_stopping"
SERVER_STOPPED: Final = "server_stopped"

EXIT_FORCED: Final = "exit_forced"

CLOSING_S: Final = 8.0
"""How long a node that has stopped may take to close its connections. By then nothing of it matters
to anybody, and a process that was told to stop must end."""

CANCEL_AGAIN_S: Final = 1.0
"""How long cancelled work may take to end before it is cancelled once more."""

COLLECT_AFTER: Final = (5_000, 5, 1_000)
"""Garbage collection thresholds. Requests leave few cycles, and with the defaults the search for
them takes a tenth of a hold's time. A showtime in memory is nine objects, and a search through
25,000 objects takes up to 30 ms in one step of the loop (measured with 20,000 showtimes that came
and went). A search through all objects would take a fifth of a second then, so it waits for
millions of new objects, since actors leave no cycles."""

log = structlog.get_logger()


async def serve(
    settings: Settings, report: Report, postgres: OwnPostgres | None = None
) -> threading.Timer:
    """Serve until SIGTERM or SIGINT, then stop cleanly; `report` gets the steps of the start.

    `postgres` is the embedded one, which is started again if it dies. Cancel what this returns
    once the loop is closed: until then it ends the process if closing takes too long.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stopping.set)
    sink = standard_error_sink()
    configure_logging(settings.log_level, sink)
    try:
        async with running_node(settings, sink, stopping, report) as node:
            # Objects that exist by now stay, so no collection needs to look at them again. This
            # takes a tenth of a second, and nobody waits yet.
            gc.collect()
            gc.freeze()
            gc.set_threshold(*COLLECT_AFTER)
            node.loop_probe.start()
            if postgres is not None:
                node.tasks.keep("postgres", partial(keep_postgres, postgres))
            await node.control.start()
            inherited = inherited_sockets(os.environ)
            port = settings.port
            if port not in ports_of(inherited):
                port = await node.edge.start(settings.host, port)
            node.control.serves_on(port)
            if node.cluster is not None:
                me = member_of(settings, node.cluster, port)
                await _unless(stopping, node.cluster.join(me))
            if not stopping.is_set():
                # Not earlier: other processes may accept from these sockets, and serve meanwhile.
                await node.edge.share(inherited)
                sys.stdout.write(f"cinema: {url_of(settings.host, port)} (reference at /docs)\n")
                sys.stdout.flush()
                log.info(SERVER_STARTED, host=settings.host, port=port, version=__version__)
                try:
                    await _until_stopped(node, stopping)
                except DeclaredDead:
                    end_anyway(loop, sink, code=DECLARED_DEAD_EXIT)
                    raise
            log.info(SERVER_STOPPING)
            node.loop_probe.begin_anew()
            await node.stop(settings.shutdown_grace_seconds, settings.drain_seconds)
            log.info(
                SERVER_STOPPED,
                longest_step_ms=round(node.loop_probe.longest_s * 1000, 1),
                longest_step_cpu_ms=round(node.loop_probe.longest_cpu_s * 1000, 1),
            )
            return end_anyway(loop, sink)
    finally:
        sink.close()


def end_anyway(
    loop: asyncio.AbstractEventLoop, sink: LogSink, after_s: float = CLOSING_S, code: int = 0
) -> threading.Timer:
    """End this process in `after_s` unless that is cancelled, and log what it waits for.

    A task of a library that takes no cancellation would keep it alive for ever. Nothing is lost:
    every showtime has been given back, and every answer sent.
    """

    def end() -> None:
        try:
            tasks = [_where(task) for task in asyncio.all_tasks(loop)]
            log.error(EXIT_FORCED, tasks=tasks, threads=[one.name for one in threading.enumerate()])
            sink.close()
        finally:
            os._exit(code)

    last = threading.Timer(after_s, end)
    last.daemon = True
    last.start()
    return last


def _where(task: asyncio.Task[Any]) -> str:
    """A task's name, and where it and what it awaits stand."""
    parts = [task.get_name()]
    one: Any = task.get_coro()
    while (frame := getattr(one, "cr_frame", None)) is not None:
        parts.append(f"{frame.f_code.co_qualname}:{frame.f_lineno}")
        one = one.cr_await
    return " ".join(parts)


async def _unless(stopping: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do the work, and cancel it at a stop, because without Postgres a join waits for ever."""
    working = asyncio.ensure_future(work)
    told = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({working, told}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        for one in (working, told):
            # More than once, because a failure on the way out may replace the cancellation.
            while not one.done():
                one.cancel()
                await asyncio.wait({one}, timeout=CANCEL_AGAIN_S)


async def _until_stopped(node: Node, stopping: asyncio.Event) -> None:
    """Wait for a signal; raises `DeclaredDead` if the cluster has removed this node."""
    if node.cluster is None:
        await stopping.wait()
        return
    signalled = asyncio.ensure_future(stopping.wait())
    removed = asyncio.ensure_future(node.cluster.membership.declared_dead.wait())
    await asyncio.wait({signalled, removed}, return_when=asyncio.FIRST_COMPLETED)
    for waiter in (signalled, removed):
        waiter.cancel()
    if node.cluster.membership.declared_dead.is_set():
        raise DeclaredDead("the other nodes took this node for dead; it must start anew")
