"""What is watched, as Prometheus families."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from cinema.features.watching.hub import WatchHub
from cinema.telemetry.metrics import Families


def watch_families(hub: WatchHub) -> Families:
    """Watch sockets and watched showtimes."""

    def families() -> Iterator[Metric]:
        for name, documentation, value in (
            ("cinema_watch_sockets", "Open watch sockets.", hub.socket_count),
            ("cinema_watched_showtimes", "Showtimes watched.", hub.showtime_count),
        ):
            yield GaugeMetricFamily(name, documentation, value=value)

    return families
