"""The composition root: the only place that wires the rooms together."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import structlog

from cinema import __version__
from cinema.actors.dispatch import Dispatch
from cinema.actors.kernel import Kernel
from cinema.actors.settings import KernelSettings
from cinema.actors.tasks import Tasks
from cinema.cluster.node import ClusterNode, DeclaredDead
from cinema.clustering import member_of, open_cluster
from cinema.control import Control
from cinema.domain.limits import CLOCK_SYNC_S
from cinema.domain.sale_rules import SaleRules
from cinema.http.assets import docs_routes
from cinema.http.auth import auth_routes
from cinema.http.bookings import booking_routes
from cinema.http.cinemas import cinema_routes
from cinema.http.cluster_metrics import cluster_families
from cinema.http.health import health_routes
from cinema.http.holds import hold_routes
from cinema.http.inherited import inherited_sockets, ports_of
from cinema.http.kernel_metrics import kernel_families, log_families, watch_families
from cinema.http.limits import KEPT_CONNECTIONS_S
from cinema.http.loop_metrics import LoopProbe, loop_families
from cinema.http.metrics import (
    Metrics,
    disk_families,
    durability_families,
    pool_families,
    replica_families,
)
from cinema.http.movies import movie_routes
from cinema.http.openapi import openapi_document, openapi_route
from cinema.http.routing import Route
from cinema.http.screens import screen_routes
from cinema.http.seats import seat_routes
from cinema.http.server import Edge, edge_options
from cinema.http.showtimes import showtime_routes
from cinema.http.steps import OwnerOf
from cinema.http.throttle_metrics import login_families, throttle_families
from cinema.http.throttling import EdgeLimits
from cinema.http.turn_metrics import turn_families
from cinema.http.turns import Turns
from cinema.http.users import user_routes
from cinema.http.watch import WatchHub, WatchOptions
from cinema.jobs.housekeeping import Housekeeping
from cinema.logging import LogLimit, LogSink, configure_logging, standard_error_sink
from cinema.progress import Report, unheard
from cinema.services.accounts import AccountsService
from cinema.services.admission import Admission
from cinema.services.catalog import CatalogService
from cinema.services.hold_limits import HoldLimits, HoldRates
from cinema.services.ids import IdSource
from cinema.services.login_throttle import LoginThrottle
from cinema.services.passwords import PasswordHasher
from cinema.services.seats import SeatsService, UnpaidLimits
from cinema.services.showtimes import ShowtimesService
from cinema.services.throttles import ThrottleRules, Throttles
from cinema.services.tokens import TokenIssuer, TokenVerifier
from cinema.settings import Settings, url_of
from cinema.storage.account_changes import AccountStandings
from cinema.storage.accounts import AccountsRepository
from cinema.storage.bookings import BookingsRepository
from cinema.storage.catalog import CatalogRepository
from cinema.storage.clock import DatabaseClock, boot_s
from cinema.storage.durability import DurabilityWatch, require_durability
from cinema.storage.failures import UNREACHABLE
from cinema.storage.journal_postgres import PostgresJournal
from cinema.storage.keep_postgres import OwnPostgres, keep_postgres
from cinema.storage.login_addresses import LoginAddresses
from cinema.storage.migrate import migrate
from cinema.storage.pool import close_pool, open_pool
from cinema.storage.read_replica import ReplicaReads, open_replica_pool
from cinema.storage.showtimes import ShowtimesRepository
from cinema.storage.terms import TermsSource
from cinema.storage.throttle_counts import ThrottleCounts
from cinema.storage.transactions import Pool

SERVER_STARTED: Final = "server_started"
SERVER_STOPPING: Final = "server_stopping"
SERVER_STOPPED: Final = "server_stopped"
DATABASE_MIGRATED: Final = "database_migrated"
CLOCK_SYNC_FAILED: Final = "clock_sync_failed"

KERNEL_CONNECTIONS: Final = 8
"""Connections for takeovers and loads, besides one for each lane: with fewer, activations at once
would wait for each other more than for Postgres."""

CLOCK_FAILURES_LOGGED_S: Final = 600.0
"""In such a time three failed comparisons with Postgres time are logged: more say nothing new."""

TAKEOVER_LOCK_S: Final = 1.0
"""How long a takeover waits for a statement of the former owner before it tries again."""

CANCEL_AGAIN_S: Final = 1.0
"""How long what is given up may take to end until it is cancelled once more."""

COLLECT_AFTER: Final = (20_000, 20, 50)
"""Garbage collection thresholds: requests leave few cycles, and looking for them takes a tenth
of a hold's time with the defaults."""

DISK_FREE_BYTES_MIN: Final = 200 * 1024 * 1024
"""Below this the node is not ready: Postgres must not run out of space while it commits."""

Part = TypeVar("Part", ThrottleRules, HoldRates, UnpaidLimits)

log = structlog.get_logger()


async def serve(settings: Settings, report: Report, postgres: OwnPostgres | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then stop cleanly; `report` is told what a start waits for.

    `postgres` is the one of our own, which is brought back if it dies.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stopping.set)
    sink = standard_error_sink()
    configure_logging(settings.log_level, sink)
    try:
        async with running_node(settings, sink, stopping, report) as node:
            # What is loaded by now stays: no collection needs to look at it again. Nobody waits
            # yet for the tenth of a second that this takes.
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
                # Only now: others may accept from these too, and serve while this node joins.
                await node.edge.share(inherited)
                sys.stdout.write(f"cinema: {url_of(settings.host, port)} (reference at /docs)\n")
                sys.stdout.flush()
                log.info(SERVER_STARTED, host=settings.host, port=port, version=__version__)
                await _until_stopped(node, stopping)
            log.info(SERVER_STOPPING)
            node.loop_probe.begin_anew()
            await node.stop(settings.shutdown_grace_seconds, settings.drain_seconds)
            log.info(
                SERVER_STOPPED,
                longest_step_ms=round(node.loop_probe.longest_s * 1000, 1),
                longest_step_cpu_ms=round(node.loop_probe.longest_cpu_s * 1000, 1),
            )
    finally:
        sink.close()


async def _unless(stopping: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do the work, and give it up when told to stop: without Postgres a join waits for ever."""
    working = asyncio.ensure_future(work)
    told = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({working, told}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        for one in (working, told):
            # More than once: a failure on the way out may take the place of the cancellation.
            while not one.done():
                one.cancel()
                await asyncio.wait({one}, timeout=CANCEL_AGAIN_S)


async def _until_stopped(node: Node, stopping: asyncio.Event) -> None:
    """Wait for a signal; raises `DeclaredDead` if the cluster goes on without this node."""
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


class Node:
    """One running server: its edges, its kernel, and the cluster if it is in one."""

    def __init__(
        self,
        edge: Edge,
        kernel: Kernel,
        hub: WatchHub,
        cluster: ClusterNode | None,
        control: Control,
        loop_probe: LoopProbe,
        tasks: Tasks,
    ) -> None:
        self.edge = edge
        self.kernel = kernel
        self.hub = hub
        self.cluster = cluster
        self.control = control
        self.loop_probe = loop_probe
        self.tasks = tasks

    async def stop(self, grace_s: float, drain_s: float = 0.0) -> None:
        """Close sockets, finish requests, give every showtime back.

        A member of a cluster first hands its showtimes over, serving on all the while.
        """
        cluster = self.cluster
        if cluster is not None:
            self.edge.announce_end()
            await cluster.drain(drain_s)
        await self.hub.close()
        if cluster is not None or self.edge.shares:
            await self.edge.drain(KEPT_CONNECTIONS_S)
        await self.edge.stop(grace_s)
        if cluster is not None:
            await cluster.leave(grace_s)
        await self.kernel.stop(grace_s)
        if cluster is not None:
            await cluster.stop()
        await self.control.stop()


@asynccontextmanager
async def running_node(
    settings: Settings,
    sink: LogSink,
    stopping: asyncio.Event | None = None,
    report: Report = unheard,
) -> AsyncIterator[Node]:
    """Everything but the listening sockets and the loop's probe, migrated, seeded and started.

    `stopping` is set when an operator drains the node: whoever runs it then calls its `stop`.
    `report` is told each step that takes a while, where there is something to do.
    """
    stopping = stopping or asyncio.Event()
    async with AsyncExitStack() as stack:
        dsn = settings.database_url
        production = settings.production
        durability = await require_durability(dsn, production=production)
        revision = await migrate(dsn, report=report)
        if revision is not None:
            log.info(DATABASE_MIGRATED, revision=revision)
        pool = await open_pool(
            dsn, size=settings.database_pool_size, synchronous_commit=durability.commits
        )
        stack.push_async_callback(close_pool, pool)
        watch = DurabilityWatch(dsn, production=production, risks=durability.risks)
        if settings.demo_data and not settings.production:
            from cinema.demo.seed import seed as seed_demo

            await seed_demo(pool, settings, datetime.now(UTC), report=report)
        clock = DatabaseClock()
        journal = await PostgresJournal.open(
            dsn,
            connections=KERNEL_CONNECTIONS,
            statement_timeout_s=settings.command_deadline_ms / 1000,
            lock_timeout_s=TAKEOVER_LOCK_S,
            synchronous_commit=durability.commits,
        )
        stack.push_async_callback(journal.close)
        await clock.synchronise(journal.pool)
        terms = TermsSource(journal.pool, sale_rules(settings))
        kernel = Kernel(journal, terms, clock, kernel_of(settings))
        tasks = Tasks(kernel.metrics.task_failures)
        stack.push_async_callback(tasks.cancel)
        tasks.keep("clock-sync", partial(_keep_clock, clock, journal))
        tasks.keep("durability-watch", watch.run)
        await kernel.start()
        cluster = await open_cluster(settings, pool, kernel, journal, terms, stack)
        dispatch: Dispatch = kernel if cluster is None else cluster.router
        tasks.keep(
            "housekeeping",
            Housekeeping(journal, pool, dispatch, settings.journal_retention_days).run,
        )
        control = Control(settings, kernel, cluster, journal, terms, sink, stopping.set)
        edge, hub, metrics = await _edge(
            settings, pool, kernel, cluster, dispatch, watch, sink, stack
        )
        loop_probe = LoopProbe(asyncio.get_running_loop())
        stack.callback(loop_probe.stop)
        metrics.add_collector(loop_families(loop_probe))
        yield Node(edge, kernel, hub, cluster, control, loop_probe, tasks)


async def _edge(
    settings: Settings,
    pool: Pool,
    kernel: Kernel,
    cluster: ClusterNode | None,
    dispatch: Dispatch,
    durability: DurabilityWatch,
    sink: LogSink,
    stack: AsyncExitStack,
) -> tuple[Edge, WatchHub, Metrics]:
    keys = [settings.jwt_secret_key.encode()]
    ttl_s = settings.jwt_access_token_expire_minutes * 60
    now_s = time.time
    next_id = IdSource(kernel.clock.now_us).next_id
    admission = await _admission(settings, pool, keys, kernel.metrics.task_failures, stack)
    accounts_store = AccountsRepository(pool)
    hasher = PasswordHasher(settings.bcrypt_cost, share=settings.hashing_per_address)
    stack.callback(hasher.close)
    counts = ThrottleCounts(boot_s, redis_url=settings.redis_url)
    stack.push_async_callback(counts.close)
    throttles = Throttles(counts, throttle_rules(settings))
    accounts = AccountsService(
        accounts_store,
        hasher,
        throttles,
        LoginThrottle(throttles, LoginAddresses(pool), clock=now_s),
        TokenIssuer(keys, ttl_s=ttl_s, clock=now_s),
        admission,
        new_id=next_id,
        log_key=keys[0],
    )
    reads = await _replica(settings, pool, stack)
    catalog_store = CatalogRepository(pool, reads)
    catalog = CatalogService(catalog_store, new_id=next_id, now=_now)
    showtimes = ShowtimesService(
        ShowtimesRepository(pool, reads), catalog_store, new_id=next_id, now=_now
    )
    seats = SeatsService(
        dispatch,
        BookingsRepository(pool, reads),
        demo_payment=settings.demo_payment,
        unpaid=_part_of(settings, UnpaidLimits),
    )
    metrics = Metrics()
    limits = EdgeLimits(throttles, HoldLimits(throttles, hold_rates(settings)))
    owner_of = None if cluster is None else cluster.placement.address_of_owner
    turns = Turns(asyncio.get_running_loop())
    edge = Edge(
        edge_options(settings),
        verify_token=admission.verify,
        look_up_token=admission.look_up,
        metrics=metrics,
        write_log=sink.write,
        owner_of=owner_of,
        limits=limits,
        turns=turns,
    )
    hub = WatchHub(
        seats,
        admission.verify,
        admission.look_up,
        edge.writer.allows_origin,
        _watch_options(settings, owner_of),
        limits=limits,
        turns=turns,
        key_of=edge.proxies.client_key,
    )
    metrics.add_collector(kernel_families(kernel))
    metrics.add_collector(watch_families(hub))
    metrics.add_collector(turn_families(turns))
    if cluster is not None:
        metrics.add_collector(cluster_families(cluster))
    if reads is not None:
        metrics.add_collector(replica_families(reads.outcomes))
    metrics.add_collector(login_families(accounts.logins))
    metrics.add_collector(throttle_families(throttles, counts, hasher))
    metrics.add_collector(log_families(lambda: sink.dropped_chunks, sink.events))
    metrics.add_collector(
        durability_families(lambda: len(durability.risks), lambda: durability.changes)
    )
    metrics.add_collector(disk_families(_existing(settings.data_dir)))
    metrics.add_collector(
        pool_families(pool.get_size, pool.get_idle_size, settings.database_pool_size)
    )
    routes: list[Route] = [
        *auth_routes(accounts, edge.proxies),
        *user_routes(accounts),
        *movie_routes(catalog, showtimes),
        *cinema_routes(catalog),
        *screen_routes(catalog),
        *showtime_routes(showtimes),
        *seat_routes(seats),
        *hold_routes(seats),
        *booking_routes(seats),
        *hub.routes(),
        *health_routes(_checks(settings, pool, cluster, durability), metrics),
        *docs_routes(),
    ]
    document = openapi_document(routes, version=__version__, server_url=settings.public_url)
    routes.append(openapi_route(document))
    edge.add_routes(routes)
    return edge, hub, metrics


async def _admission(
    settings: Settings,
    pool: Pool,
    keys: list[bytes],
    task_failures: Counter[str],
    stack: AsyncExitStack,
) -> Admission:
    """What lets tokens in, and reads who may no longer."""
    feed = await open_pool(settings.database_url, size=1)
    stack.push_async_callback(close_pool, feed)
    admission = Admission(
        TokenVerifier(keys, clock=time.time),
        AccountStandings(pool, feed),
        clock=time.time,
        steady=boot_s,
    )
    tasks = Tasks(task_failures)
    stack.push_async_callback(tasks.cancel)
    await admission.read_changes()
    tasks.keep("account-changes", admission.follow)
    return admission


async def _replica(settings: Settings, pool: Pool, stack: AsyncExitStack) -> ReplicaReads | None:
    """Reads on the replica, if one is set; the kernel never sees them."""
    if not settings.database_read_url:
        return None
    replica = await open_replica_pool(settings.database_read_url, size=settings.database_pool_size)
    # Nothing is lost with a read: it is not waited for.
    stack.callback(replica.terminate)
    return ReplicaReads(pool, replica)


def kernel_of(settings: Settings) -> KernelSettings:
    """The kernel's part of the settings."""
    return KernelSettings(
        commit_lanes=settings.commit_lanes,
        lease_ms=settings.lease_ms,
        snapshot_every_events=settings.snapshot_every_events,
        mailbox_limit=settings.mailbox_limit,
        node_waiting_limit=settings.node_waiting_limit,
        overloaded_after_ms=settings.overloaded_after_ms,
        command_deadline_ms=settings.command_deadline_ms,
        max_resident_showtimes=settings.max_resident_showtimes,
        # Whoever is watched stays in memory.
        max_watched_showtimes=settings.max_resident_showtimes,
        idle_passivation_s=settings.idle_passivation_seconds,
        batch_limit_events=settings.batch_limit_events,
    )


def throttle_rules(settings: Settings) -> ThrottleRules:
    """How often clients may do what; each has a setting of its name."""
    return _part_of(settings, ThrottleRules)


def hold_rates(settings: Settings) -> HoldRates:
    """How fast one may hold; each has a setting of its name."""
    return _part_of(settings, HoldRates)


def _part_of(settings: Settings, part: type[Part]) -> Part:
    names = (field.name for field in msgspec.structs.fields(part))
    return part(**{name: getattr(settings, name) for name in names})


def sale_rules(settings: Settings) -> SaleRules:
    """The rules of showtimes and screens that say nothing else."""
    return SaleRules(
        seats_per_hold=settings.seats_per_hold,
        live_holds_per_customer=settings.live_holds_per_customer,
        seats_per_staff_hold=settings.seats_per_staff_hold,
        live_holds_per_staff=settings.live_holds_per_staff,
        hold_ttl_s=settings.seat_hold_ttl_seconds,
        hold_max_s=settings.seat_hold_max_seconds,
    )


def _watch_options(settings: Settings, owner_of: OwnerOf | None) -> WatchOptions:
    return WatchOptions(
        sockets_limit=settings.watchers_limit,
        coalesce_s=settings.watch_coalesce_ms / 1000,
        frame_limit_bytes=settings.ws_frame_limit_bytes,
        commands_in_flight=settings.ws_commands_in_flight,
        pending_limit_bytes=settings.ws_pending_limit_bytes,
        heartbeat_s=settings.ws_heartbeat_seconds,
        sockets_per_address=settings.watchers_per_address,
        sockets_per_user=settings.watchers_per_user,
        owner_of=owner_of,
    )


def _checks(
    settings: Settings, pool: Pool, cluster: ClusterNode | None, durability: DurabilityWatch
) -> dict[str, Callable[[], Awaitable[str | None]]]:
    async def database() -> str | None:
        async with pool.acquire() as connection:
            await connection.execute("select 1")
        return None

    async def disk() -> str | None:
        free = shutil.disk_usage(_existing(settings.data_dir)).free
        return None if free >= DISK_FREE_BYTES_MIN else "too little free space"

    async def membership() -> str | None:
        if cluster is None or cluster.is_ready:
            return None
        return "draining" if cluster.draining else "no member yet"

    checks: dict[str, Callable[[], Awaitable[str | None]]] = {
        "database": database,
        "durability": durability.ready,
        "disk": disk,
    }
    if cluster is not None:
        checks["cluster"] = membership
    return checks


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists: a node without data of its own."""
    while not folder.exists():
        folder = folder.parent
    return folder


async def _keep_clock(clock: DatabaseClock, journal: PostgresJournal) -> None:
    """Compare with Postgres time for as long as the node runs."""
    limit = LogLimit(lines=3, period_s=CLOCK_FAILURES_LOGGED_S)
    while True:
        await asyncio.sleep(CLOCK_SYNC_S)
        try:
            async with asyncio.timeout(CLOCK_SYNC_S):
                await clock.synchronise(journal.pool)
        except UNREACHABLE as error:
            reason = str(error) or type(error).__name__
            limit.write(log.warning, CLOCK_SYNC_FAILED, reason=reason)


def _now() -> datetime:
    return datetime.now(UTC)
