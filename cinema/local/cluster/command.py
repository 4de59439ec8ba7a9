"""`cinema serve --nodes N`: what all nodes need, then their supervisor."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType

import msgspec

from cinema.domain.progress import Report
from cinema.integrations.objects.folder import FolderObjects
from cinema.local.cluster.node_process import NodeMisconfigured
from cinema.local.cluster.plan import connections_needed
from cinema.local.cluster.supervisor import Supervisor
from cinema.local.keep_postgres import OwnPostgres
from cinema.local.redis_server import LocalRedis
from cinema.settings import Secret, Settings, SettingsError
from cinema.storage.database.migrate import migrate
from cinema.storage.database.pool import connections_limit, open_pool
from cinema.telemetry.logging import configure_logging, standard_error_sink


def serve_cluster(settings: Settings, postgres: OwnPostgres | None, report: Report) -> None:
    """Serve with `settings.nodes` processes until SIGTERM, SIGINT or SIGHUP, then stop cleanly.

    Postgres runs already (`postgres` is ours to bring back if it dies); a Redis is started unless
    one is given. Raises `SettingsError` when the nodes do not accept their settings or Postgres
    cannot take them all. `report` is told each step that takes a while.
    """
    # Until the loop takes the signals over, a stop has to unwind through what is open.
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGUSR1, _ignore)
    sink = standard_error_sink()
    configure_logging(settings.log_level, sink)
    try:
        with _redis(settings) as (complete, redis):
            asyncio.run(_serve(complete, postgres, redis, report))
    except NodeMisconfigured as error:
        raise SettingsError([str(error)]) from error
    finally:
        sink.close()


async def _serve(
    settings: Settings, postgres: OwnPostgres | None, redis: LocalRedis | None, report: Report
) -> None:
    await _prepare(settings, report)
    await Supervisor(settings, postgres, redis, _say).run()


async def _prepare(settings: Settings, report: Report) -> None:
    """Do once what every node would do at its start, and see whether Postgres takes them all."""
    await migrate(settings.database_url, report=report)
    needed = connections_needed(settings)
    limit = await connections_limit(settings.database_url)
    if needed > limit:
        problem = (
            f"{settings.nodes} nodes may need {needed} connections, and Postgres takes {limit}: "
            "lower DATABASE_POOL_SIZE or NODES, or raise max_connections"
        )
        raise SettingsError([problem])
    if settings.demo_data and not settings.production:
        from cinema.demo.seed import seed

        # Into a bucket the nodes put the posters themselves.
        objects = None if settings.s3_url else FolderObjects(settings.uploads)
        async with await open_pool(settings.database_url, size=4) as pool:
            await seed(pool, settings, datetime.now(UTC), report=report, objects=objects)


@contextmanager
def _redis(settings: Settings) -> Iterator[tuple[Settings, LocalRedis | None]]:
    """The settings with the address of a Redis that runs: the given one, or our own."""
    if settings.redis_url:
        yield settings, None
        return
    redis = LocalRedis(settings.data_dir / "redis")
    try:
        address = redis.start()
        yield msgspec.structs.replace(settings, redis_url=Secret(address)), redis
    finally:
        # A second signal would leave Postgres behind; the stop is bounded in time.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        redis.stop()


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def _interrupt(signum: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)


def _ignore(_signum: int, _frame: FrameType | None) -> None:
    """A rolling restart of what has not started yet."""
