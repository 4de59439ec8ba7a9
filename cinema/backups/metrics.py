"""What a folder of backups can restore, as a file for Prometheus.

It has times, not ages, so that a file that is no longer renewed is visibly old.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cinema.backups.listing import BackupList


class _Backups(Collector):
    def __init__(self, listed: BackupList, now: datetime) -> None:
        self._listed = listed
        self._now = now

    def collect(self) -> Iterator[Metric]:
        listed = self._listed
        yield GaugeMetricFamily(
            "cinema_backup_bases", "Base backups kept.", value=len(listed.backups)
        )
        yield GaugeMetricFamily(
            "cinema_backup_holes",
            "Base backups whose log has a gap.",
            value=sum(one.hole is not None for one in listed.backups),
        )
        if listed.backups:
            newest = max(one.since for one in listed.backups)
            yield GaugeMetricFamily(
                "cinema_backup_base_timestamp_seconds",
                "End of the newest base backup.",
                value=newest.timestamp(),
            )
        if listed.behind_s is not None:
            reached = self._now - timedelta(seconds=listed.behind_s)
            yield GaugeMetricFamily(
                "cinema_backup_log_timestamp_seconds",
                "Time up to which all commits are archived.",
                value=reached.timestamp(),
            )


def backup_metrics(listed: BackupList, now: datetime) -> str:
    """The text exposition format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Backups(listed, now))
    return generate_latest(registry).decode()
