"""The cluster's counters as Prometheus families."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from cinema.cluster.node import ClusterNode
from cinema.telemetry.metrics import Families


def cluster_families(cluster: ClusterNode) -> Families:
    """Membership, forwarding, handovers."""

    def families() -> Iterator[Metric]:
        view, metrics = cluster.placement.view, cluster.forwarder.metrics
        fanout = cluster.fanout.metrics
        for name, text, value in (
            ("cinema_cluster_view_version", "The view that this node uses.", view.version),
            ("cinema_cluster_members", "Members of that view.", len(view.members)),
            (
                "cinema_cluster_frozen",
                "1 while Redis is away and nobody can be declared dead.",
                int(cluster.membership.frozen),
            ),
            ("cinema_cluster_draining", "1 while this node hands over.", int(cluster.draining)),
        ):
            yield GaugeMetricFamily(name, text, value=value)
        forwarded = CounterMetricFamily(
            "cinema_forwarded_messages",
            "Messages for other nodes' showtimes, by outcome: sent, misdirected, parked (to be "
            "sent again), in_doubt.",
            labels=("outcome",),
        )
        for outcome, count in (
            ("sent", metrics.forwarded),
            ("misdirected", metrics.misdirected),
            ("parked", metrics.parked),
            ("in_doubt", metrics.in_doubt),
        ):
            forwarded.add_metric((outcome,), count)
        yield forwarded
        for name, text, value in (
            ("cinema_served_messages", "Messages that peers forwarded here.", metrics.served),
            (
                "cinema_releases_asked",
                "Times another node was asked to release a showtime.",
                metrics.releases_asked,
            ),
            (
                "cinema_handovers",
                "Showtimes given to their next owners.",
                cluster.handover.released_count,
            ),
            ("cinema_changes_published", "Changes sent to other nodes.", fanout.published),
            ("cinema_changes_unpublished", "Changes that Redis refused.", fanout.unpublished),
            ("cinema_changes_heard", "Changes received from other nodes.", fanout.heard),
            ("cinema_change_gaps", "Times that missing changes were requested.", fanout.gaps),
        ):
            yield CounterMetricFamily(name, text, value=value)

    return families
