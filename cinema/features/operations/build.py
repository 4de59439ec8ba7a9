"""How this feature is built."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final

from cinema.cluster.node import ClusterNode
from cinema.features.feature import Feature
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.features.operations import health_routes, live_routes
from cinema.features.operations.cluster_metrics import cluster_families
from cinema.features.operations.errors import ERRORS
from cinema.features.operations.health_routes import HealthParts
from cinema.features.operations.kernel_metrics import kernel_families, log_families
from cinema.features.operations.live_service import LOOK_S, LiveService
from cinema.features.operations.live_store import LiveRepository
from cinema.features.operations.service import ControlService
from cinema.http.routes import bound
from cinema.storage.database.reads import PrimaryReads
from cinema.storage.database.transactions import Pool
from cinema.telemetry.metrics import (
    disk_families,
    durability_families,
    pool_families,
    replica_families,
)

DISK_FREE_BYTES_MIN: Final = 200 * 1024 * 1024
"""With less space the node is not ready, so that Postgres does not run out of it at a commit."""


async def build(node: NodeParts, offered: Offered) -> Feature:
    settings, pool, durability = node.settings, node.pool, node.durability
    families = [
        kernel_families(node.kernel),
        log_families(lambda: node.sink.dropped_chunks, node.sink.events),
        durability_families(lambda: len(durability.risks), lambda: durability.changes),
        disk_families(_existing(settings.data_dir)),
        pool_families(pool.get_size, pool.get_idle_size, settings.database_pool_size),
    ]
    if node.cluster is not None:
        families.append(cluster_families(node.cluster))
    if node.reads is not None:
        families.append(replica_families(node.reads.outcomes))
    checks: dict[str, Callable[[], Awaitable[str | None]]] = {
        "database": partial(_database, pool),
        "durability": durability.ready,
        "disk": partial(_disk, settings.data_dir),
    }
    if node.cluster is not None:
        checks["cluster"] = partial(_membership, node.cluster)
    return Feature(
        routes=(
            *bound(health_routes.ROUTES, HealthParts(checks, node.metrics)),
            *bound(
                live_routes.ROUTES,
                LiveService(
                    partial(offered[ControlService].nodes, LOOK_S),
                    LiveRepository(PrimaryReads(pool)),
                    now=node.common_time,
                ),
            ),
        ),
        metrics=tuple(families),
    )


async def _database(pool: Pool) -> str | None:
    async with pool.acquire() as connection:
        await connection.execute("select 1")
    return None


async def _disk(folder: Path) -> str | None:
    free = shutil.disk_usage(_existing(folder)).free
    return None if free >= DISK_FREE_BYTES_MIN else "too little free space"


async def _membership(cluster: ClusterNode) -> str | None:
    if cluster.is_ready:
        return None
    return "draining" if cluster.draining else "not a member yet"


def _existing(folder: Path) -> Path:
    """The folder, or the nearest parent that exists, for a node without data of its own."""
    while not folder.exists():
        folder = folder.parent
    return folder


TAGS: Final = {
    "Operations": "For probes and scrapers.",
}

OPERATIONS: Final = Listed(build, errors=ERRORS, tags=TAGS)
