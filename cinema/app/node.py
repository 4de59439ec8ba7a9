"""One running server: wires the packages together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Final

import structlog

from cinema import __version__
from cinema.actors.dispatch import Dispatch
from cinema.actors.kernel import Kernel
from cinema.actors.tasks import Tasks
from cinema.app.cluster import open_cluster, secrets_in
from cinema.app.features import (
    ERRORS,
    PRODUCT,
    build_features,
    job_queue,
    row_branches,
    silent_branches,
)
from cinema.app.operators import Control
from cinema.app.settings_parts import kernel_settings, object_store, sale_rules
from cinema.cluster.node import ClusterNode
from cinema.domain.limits import CLOCK_SYNC_S
from cinema.domain.progress import Report, unheard
from cinema.features.accounts.admission import TokenAdmission
from cinema.features.accounts.throttles import Throttles
from cinema.features.accounts.tokens import TimeSource
from cinema.features.events.tail import EventTail
from cinema.features.feature import Feature
from cinema.features.giftcards.order_service import CardOrdersService
from cinema.features.ids import IdSource
from cinema.features.jobs.jobs import JobQueue
from cinema.features.jobs.store import DUE as JOBS_DUE
from cinema.features.ledger.service import AttemptsService
from cinema.features.node_parts import NodeParts, Offered
from cinema.features.owned import SHOWTIMES
from cinema.features.seats.hold_limits import HoldLimits
from cinema.features.watching.hub import WatchHub
from cinema.http.connections.proxies import TrustedProxies
from cinema.http.connections.wire import ReplyWriter
from cinema.http.document import assets, openapi
from cinema.http.limits import KEPT_CONNECTIONS_S
from cinema.http.loop_metrics import LoopProbe, loop_families
from cinema.http.routes import bound
from cinema.http.server import Edge, edge_options
from cinema.http.throttling import EdgeLimits
from cinema.http.turn_metrics import turn_families
from cinema.http.turns import Turns
from cinema.integrations.objects.s3 import S3Objects
from cinema.jobs.housekeeping import Housekeeping
from cinema.jobs.lookout import Lookout
from cinema.jobs.secret_files import SecretFile, SecretFiles
from cinema.jobs.worker import AT_ONCE, Worker
from cinema.settings import Secret, Settings, encryption_keys
from cinema.settings.connections import FOR_SESSIONS
from cinema.storage.database.address import DatabaseAddress
from cinema.storage.database.durability import (
    Durability,
    DurabilityWatch,
    require_durability,
)
from cinema.storage.database.failures import UNREACHABLE
from cinema.storage.database.migrate import migrate
from cinema.storage.database.pool import close_pool, open_pool
from cinema.storage.database.pooler import require_pooler
from cinema.storage.database.read_replica import ReplicaReads, open_replica_pool
from cinema.storage.database.reads import ConfirmedReads, PrimaryReads, Reads
from cinema.storage.database.server_log import warn_of_server_log
from cinema.storage.database.standby import StandbyWait
from cinema.storage.database.transactions import Pool
from cinema.storage.encryption import Cipher
from cinema.storage.journal.clock import DatabaseClock
from cinema.storage.journal.postgres import PostgresJournal
from cinema.storage.journal.terms import TermsSource
from cinema.storage.redis.address import RedisAddress
from cinema.telemetry.logging import LogLimit, LogSink
from cinema.telemetry.metrics import Metrics

DATABASE_MIGRATED: Final = "database_migrated"
CLOCK_SYNC_FAILED: Final = "clock_sync_failed"

CLOCK_FAILURES_LOGGED_S: Final = 600.0
"""In this time at most three failed comparisons with Postgres time are logged."""

TAKEOVER_LOCK_S: Final = 1.0
"""How long a takeover waits for a statement of the former owner before it tries again."""

log = structlog.get_logger()


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
        jobs: Tasks,
        attempts: AttemptsService,
        card_orders: CardOrdersService,
        tail: EventTail,
    ) -> None:
        self.edge = edge
        self.kernel = kernel
        self.hub = hub
        self.cluster = cluster
        self.control = control
        self.loop_probe = loop_probe
        self.tasks = tasks
        self.attempts = attempts
        self.card_orders = card_orders
        self._jobs = jobs
        self.tail = tail

    async def stop(self, grace_s: float, drain_s: float = 0.0) -> None:
        """Close sockets, finish requests, give every showtime back.

        Jobs go to other nodes at once. A member of a cluster first hands its showtimes over, and
        goes on serving meanwhile.
        """
        await self._jobs.cancel()
        self.tail.close()
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


async def _look_at_database(dsn: str, *, production: bool) -> Durability:
    """What Postgres may lose, and in production also what its log would tell."""
    durability = await require_durability(dsn, production=production)
    if production:
        await warn_of_server_log(dsn)
    return durability


@asynccontextmanager
async def running_node(
    settings: Settings,
    sink: LogSink,
    stopping: asyncio.Event | None = None,
    report: Report = unheard,
    *,
    clock: DatabaseClock | None = None,
    unix_s: TimeSource = time.time,
) -> AsyncIterator[Node]:
    """Everything except the listening sockets and the loop's probe, migrated, seeded and started.

    `stopping` is set when an operator drains the node; the caller then calls its `stop`. `report`
    is called for each step that takes a while. `clock` is the time of the kernel, `unix_s` that of
    tokens and the catalogue.
    """
    stopping = stopping or asyncio.Event()
    async with AsyncExitStack() as stack:
        address = DatabaseAddress(settings.database_url)
        production = settings.production
        durability = await _look_at_database(address.dsn, production=production)
        revision = await migrate(address.dsn, report=report)
        if revision is not None:
            log.info(DATABASE_MIGRATED, revision=revision)
        pooler = DatabaseAddress(settings.database_pooler_url)
        pool, sessions = await _pools(settings, address, pooler, durability, stack)
        watch = DurabilityWatch(
            address,
            production=production,
            risks=durability.risks,
            has_standby=durability.has_standby,
        )
        await _seed_demo(settings, pool, report)
        clock = clock or DatabaseClock()
        journal = await PostgresJournal.open(
            address,
            row_branches(),
            connections=settings.kernel_pool_size,
            statement_timeout_s=settings.command_deadline_ms / 1000,
            lock_timeout_s=TAKEOVER_LOCK_S,
            synchronous_commit=durability.commits,
            has_standby=lambda: watch.has_standby,
        )
        stack.push_async_callback(journal.close)
        await clock.synchronise(journal.pool)
        terms = TermsSource(journal.pool, sale_rules(settings))
        kernel = Kernel(journal, terms, clock, kernel_settings(settings))
        tasks = Tasks(kernel.metrics.task_failures)
        stack.push_async_callback(tasks.cancel)
        tasks.keep("clock-sync", partial(_keep_clock, clock, journal))
        tasks.keep("durability-watch", watch.run)
        await kernel.start()
        redis = RedisAddress(settings.redis_url) if settings.redis_url else None
        cluster = await open_cluster(settings, sessions, kernel, journal, terms, stack, redis)
        dispatch: Dispatch = kernel if cluster is None else cluster.forwarder
        control = Control(settings, kernel, cluster, journal, terms, sink, stopping.set)
        metrics = Metrics()
        replica = DatabaseAddress(settings.database_read_url)
        lookout = Lookout(pool)
        reads, sold = await _reads(settings, replica, pool, watch, stack)
        parts = NodeParts(
            settings=settings,
            errors=ERRORS,
            pool=pool,
            sessions=sessions,
            database=address,
            reads=reads,
            sold=sold,
            kernel=kernel,
            redis=redis,
            cluster=cluster,
            dispatch=dispatch,
            durability=watch,
            sink=sink,
            metrics=metrics,
            proxies=TrustedProxies(settings.trusted_proxies),
            writer=ReplyWriter(allowed_origins=settings.allowed_origins, hsts=settings.production),
            turns=Turns(asyncio.get_running_loop()),
            cipher=Cipher(encryption_keys(settings.encryption_keys)),
            objects=object_store(settings),
            sale_rules=sale_rules(settings),
            demo_accounts=_demo_accounts(settings),
            next_id=IdSource(clock.now_us).next_id,
            unix_s=unix_s,
            stack=stack,
            looking=lookout.rest,
        )
        offered = Offered(control.service)
        features = await build_features(parts, offered)
        control.count(metrics, offered[WatchHub])
        background = Tasks(kernel.metrics.task_failures)
        # They end before what they use is closed.
        stack.push_async_callback(background.cancel)
        _start(parts, lookout, features, background, metrics)
        _complete_demo(settings, pool, address, background)
        jobs = _work_off(job_queue(parts, offered, features), parts, stack)
        housekeeping = _housekeeping(parts, journal, features)
        background.keep("housekeeping", housekeeping.run)
        secrets = _secret_files(settings, _takers(parts, replica, pooler), features)
        background.keep("secret-files", SecretFiles(secrets).run)
        edge = _edge(parts, offered, features)
        loop_probe = LoopProbe(asyncio.get_running_loop())
        stack.callback(loop_probe.stop)
        for families in (loop_families(loop_probe), turn_families(parts.turns)):
            metrics.add_collector(families)
        yield Node(
            edge,
            kernel,
            offered[WatchHub],
            cluster,
            control,
            loop_probe,
            tasks,
            jobs,
            offered[AttemptsService],
            offered[CardOrdersService],
            offered[EventTail],
        )


def _start(
    parts: NodeParts,
    lookout: Lookout,
    features: Sequence[Feature],
    background: Tasks,
    metrics: Metrics,
) -> None:
    """Start what features have running besides requests, and show what they count."""
    background.keep("lookout", lookout.run)
    for feature in features:
        for families in feature.metrics:
            metrics.add_collector(families)
        for name, task in feature.tasks.items():
            background.keep(name, task)
        for name, queue in feature.queues.items():
            at_once = feature.at_once.get(name, AT_ONCE)
            question = feature.questions.get(name)
            rest = asyncio.sleep if question is None else parts.looking(question)
            background.keep(name, Worker(name, queue, at_once, rest).run)


async def _seed_demo(settings: Settings, pool: Pool, report: Report) -> None:
    """Add what the demo lacks, but for its posters."""
    if settings.demo_data and not settings.production:
        from cinema.demo.seed import seed

        await seed(pool, settings, datetime.now(UTC), report=report)


def _complete_demo(
    settings: Settings, pool: Pool, address: DatabaseAddress, background: Tasks
) -> None:
    """Draw posters of the demo and make up its past, without anybody waiting for them."""
    if not settings.demo_data or settings.production:
        return
    from cinema.demo.seed import add_posters

    now = datetime.now(UTC)
    background.start("demo-posters", add_posters(pool, object_store(settings), now))
    if settings.demo_past:
        from cinema.demo.past_jobs import add_past

        branches, rules = silent_branches(), sale_rules(settings)
        work = add_past(pool, address, branches, rules, settings.bcrypt_cost, now)
        background.start("demo-past", work)


def _demo_accounts(settings: Settings) -> Mapping[str, tuple[str, str]]:
    """Who can log in with the demo's data: by role the address and the password."""
    if not settings.demo_data or settings.production:
        return {}
    from cinema.demo.seed import DEMO_ACCOUNTS

    return DEMO_ACCOUNTS


def _work_off(queue: JobQueue, parts: NodeParts, stack: AsyncExitStack) -> Tasks:
    """Start the worker of jobs; it ends before all else does, since jobs need the rest."""
    kernel = parts.kernel
    jobs = Tasks(kernel.metrics.task_failures)
    stack.push_async_callback(jobs.cancel)
    rest = parts.rest(JOBS_DUE, parts.common_time)
    jobs.keep("jobs", Worker("jobs", queue, rest=rest).run)
    return jobs


def _housekeeping(
    parts: NodeParts, journal: PostgresJournal, features: Sequence[Feature]
) -> Housekeeping:
    sweeps = {name: sweep for one in features for name, sweep in one.sweeps.items()}
    kept_days = parts.settings.journal_retention_days
    return Housekeeping(
        journal, parts.pool, parts.dispatch, kept_days, sweeps, sessions=parts.sessions
    )


def _edge(parts: NodeParts, offered: Offered, features: Sequence[Feature]) -> Edge:
    """The edge for clients: the routes of all features, and the document that describes them."""
    holds, throttles = offered[HoldLimits], offered[Throttles]
    edge = Edge(
        edge_options(parts.settings),
        errors=parts.errors,
        verify_token=offered[TokenAdmission].verify,
        look_up_token=offered[TokenAdmission].look_up,
        metrics=parts.metrics,
        writer=parts.writer,
        proxies=parts.proxies,
        write_log=parts.sink.write,
        owned=SHOWTIMES,
        owner_of=parts.owner_of(),
        limits=EdgeLimits(count_write=throttles.count_write, take_command=holds.check),
        turns=parts.turns,
    )
    routes = [route for feature in features for route in feature.routes]
    routes += bound(assets.ROUTES, assets.ReferencePage())
    url = parts.settings.public_url
    note = ""
    if parts.settings.demo_data and not parts.settings.production:
        from cinema.demo.seed import accounts_note

        note = accounts_note()
    make = partial(
        openapi.openapi_document,
        routes,
        parts.errors,
        PRODUCT,
        version=__version__,
        server_url=url,
        note=note,
    )
    edge.add_routes([*routes, *bound(openapi.ROUTES, openapi.ServedDocument(make))])
    for feature in features:
        if feature.fallback is not None:
            edge.set_fallback(feature.fallback)
    return edge


def _takers(
    parts: NodeParts, replica: DatabaseAddress, pooler: DatabaseAddress
) -> dict[str, Callable[[str], None]]:
    """What takes the new text of a secret that no single feature has."""
    takers: dict[str, Callable[[str], None]] = {
        "ENCRYPTION_KEYS": lambda text: parts.cipher.replace(encryption_keys(text)),
        "DATABASE_URL": parts.database.replace,
        "DATABASE_READ_URL": replica.replace,
        "DATABASE_POOLER_URL": pooler.replace,
    }
    if parts.redis is not None:
        takers["REDIS_URL"] = parts.redis.replace
    if parts.cluster is not None:
        known = parts.cluster.secrets
        takers["CLUSTER_SECRET"] = lambda text: known.replace(secrets_in(text))
    if isinstance(parts.objects, S3Objects):
        takers["S3_ACCESS_KEY_ID"] = parts.objects.replace_id
        takers["S3_SECRET_ACCESS_KEY"] = parts.objects.replace_key
    return takers


def _secret_files(
    settings: Settings, takers: Mapping[str, Callable[[str], None]], features: Sequence[Feature]
) -> list[SecretFile]:
    """The secrets that come from files, with the functions that take a new text."""
    files = []
    of_features = [pair for feature in features for pair in feature.secrets.items()]
    for variable, take in (*takers.items(), *of_features):
        secret: Secret = getattr(settings, variable.lower())
        if secret.file is not None:
            files.append(SecretFile(variable, secret.file, secret, take))
    return files


async def _pools(
    settings: Settings,
    address: DatabaseAddress,
    pooler: DatabaseAddress,
    durability: Durability,
    stack: AsyncExitStack,
) -> tuple[Pool, Pool]:
    """Connections for transactions, and those for work that needs a session of its own.

    Without a pooler these are the same.
    """
    commits = durability.commits
    is_pooled = bool(settings.database_pooler_url)
    if is_pooled:
        await require_pooler(pooler.dsn, address.dsn, synchronous_commit=commits)
    pool = await open_pool(
        pooler if is_pooled else address,
        size=settings.database_pool_size,
        synchronous_commit=commits,
        behind_pooler=is_pooled,
    )
    stack.push_async_callback(close_pool, pool)
    if not is_pooled:
        return pool, pool
    sessions = await open_pool(address, size=FOR_SESSIONS, synchronous_commit=commits)
    stack.push_async_callback(close_pool, sessions)
    return pool, sessions


async def _reads(
    settings: Settings,
    address: DatabaseAddress,
    pool: Pool,
    watch: DurabilityWatch,
    stack: AsyncExitStack,
) -> tuple[ReplicaReads | None, Reads]:
    """Reads on the replica, if there is one, and those of what was sold; not for the kernel."""
    confirmation = StandbyWait(
        pool, lambda: watch.has_standby, timeout_s=settings.command_deadline_ms / 1000
    )
    if not settings.database_read_url:
        return None, ConfirmedReads(PrimaryReads(pool), confirmation)
    replica = await open_replica_pool(address, size=settings.database_pool_size)
    # A read loses nothing when it is cut off, so the stop does not wait for it.
    stack.callback(replica.terminate)
    reads = ReplicaReads(pool, replica, confirmation)
    return reads, reads.confirmed(confirmation)


async def _keep_clock(clock: DatabaseClock, journal: PostgresJournal) -> None:
    """Compare with Postgres time as long as the node runs."""
    limit = LogLimit(lines=3, period_s=CLOCK_FAILURES_LOGGED_S)
    while True:
        await asyncio.sleep(CLOCK_SYNC_S)
        try:
            async with asyncio.timeout(CLOCK_SYNC_S):
                await clock.synchronise(journal.pool)
        except UNREACHABLE as error:
            reason = str(error) or type(error).__name__
            limit.write(log.warning, CLOCK_SYNC_FAILED, reason=reason)
