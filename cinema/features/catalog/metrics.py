"""What the cache of the catalogue does on this node."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from cinema.features.catalog.versions_store import CatalogVersions
from cinema.storage.cache.values import MemoryValues
from cinema.storage.cache.versioned import VersionedCache
from cinema.storage.redis.shared_values import SharedValues


def cache_families(
    cache: VersionedCache, memory: MemoryValues, shared: SharedValues | None, asked: CatalogVersions
) -> Callable[[], Iterator[Metric]]:
    """Reads by outcome, and what the cache takes and asks."""

    def families() -> Iterator[Metric]:
        reads = CounterMetricFamily(
            "cinema_catalog_cache_reads",
            "Reads of the catalogue that may come from the cache.",
            labels=("kind", "outcome"),
        )
        for (kind, outcome), count in cache.outcomes.items():
            reads.add_metric((kind.removeprefix("catalog:"), outcome), count)
        yield reads
        yield CounterMetricFamily(
            "cinema_catalog_cache_questions",
            "Questions to Postgres how often the catalogue has changed.",
            value=asked.asked,
        )
        yield CounterMetricFamily(
            "cinema_catalog_cache_errors",
            "Calls to Redis for the cache that failed.",
            value=0 if shared is None else shared.errors,
        )
        yield GaugeMetricFamily(
            "cinema_catalog_cache_bytes",
            "What the cache keeps in this node's memory.",
            value=memory.size_bytes,
        )

    return families
