"""How this feature is built."""

from __future__ import annotations

from typing import Final

from cinema.features.catalog import (
    cinema_routes,
    layout_routes,
    movie_routes,
    poster_routes,
    screen_routes,
)
from cinema.features.catalog.deletion_store import DeletionsRepository
from cinema.features.catalog.errors import ERRORS
from cinema.features.catalog.jobs import CatalogFigures
from cinema.features.catalog.layout_service import LayoutsService
from cinema.features.catalog.layout_store import LayoutsRepository
from cinema.features.catalog.metrics import cache_families
from cinema.features.catalog.poster_service import PostersService
from cinema.features.catalog.poster_store import PostersRepository
from cinema.features.catalog.service import CatalogService
from cinema.features.catalog.store import CatalogRepository
from cinema.features.catalog.versions_store import CatalogVersions
from cinema.features.feature import Feature
from cinema.features.jobs.store import JobsRepository
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.http.routes import bound
from cinema.integrations.images.worker import ImageProcesses
from cinema.storage.cache.values import MemoryValues
from cinema.storage.cache.versioned import Cache, NoCache, VersionedCache
from cinema.storage.database.pool import close_pool, open_pool
from cinema.storage.redis.shared_values import SharedValues
from cinema.telemetry.metrics import Families


async def build(node: NodeParts, offered: Offered) -> Feature:
    cache, families = await _cache(node)
    store = offered.add(CatalogRepository(node.pool, node.reads, cache))
    now = node.now
    deletions = offered.add(DeletionsRepository(node.pool, offered[JobsRepository]))
    catalog = CatalogService(store, deletions, new_id=node.next_id, now=now)
    layouts = LayoutsService(store, LayoutsRepository(node.pool, node.reads), now=now)
    posters = offered.add(
        PostersService(
            store,
            PostersRepository(node.pool),
            ImageProcesses(),
            node.objects,
            now=now,
        )
    )
    return Feature(
        routes=(
            *bound(movie_routes.ROUTES, catalog),
            *bound(cinema_routes.ROUTES, catalog),
            *bound(screen_routes.ROUTES, catalog),
            *bound(layout_routes.ROUTES, layouts),
            *bound(poster_routes.ROUTES, posters),
        ),
        metrics=families,
        sweeps={"unused-posters": posters.sweep},
        tasks={"catalog-figures": CatalogFigures(store.movie_lists, now=now).run},
    )


async def _cache(node: NodeParts) -> tuple[Cache, tuple[Families, ...]]:
    """What the catalogue is kept in, and its metrics; nothing where the settings say so."""
    settings = node.settings
    if not settings.catalog_cache_mb:
        return NoCache(), ()
    asking = await open_pool(node.database, size=1)
    node.stack.push_async_callback(close_pool, asking)
    versions = CatalogVersions(asking)
    memory = MemoryValues(limit_bytes=settings.catalog_cache_mb << 20)
    shared = None
    if node.redis is not None:
        shared = SharedValues(node.redis)
        node.stack.push_async_callback(shared.close)
    cache = VersionedCache(versions.now, memory, shared, unix_s=node.unix_s)
    return cache, (cache_families(cache, memory, shared, versions),)


TAGS: Final = {
    "Movies": "Films that are, were or will be shown.",
    "Cinemas": "Buildings with screens.",
    "Screens": "The screens of cinemas, and the fixed part of their seat maps.",
}

CATALOG: Final = Listed(build, errors=ERRORS, tags=TAGS)
