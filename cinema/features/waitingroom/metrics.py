"""Waiting rooms as this node sees them, and what it has done for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from cinema.features.waitingroom.gate import Gates
from cinema.features.waitingroom.jobs import RoomsPaced
from cinema.features.waitingroom.service import WaitingRoomService
from cinema.telemetry.metrics import Families


def room_families(
    gates: Gates, rooms: WaitingRoomService, paced: RoomsPaced, *, now: Callable[[], datetime]
) -> Families:
    """As Prometheus families; every node reports the same gauges, and its own counts."""

    def families() -> Iterator[Metric]:
        open_rooms = [one.room for one in gates.by_room.values() if one.is_closed]
        places = GaugeMetricFamily(
            "cinema_queue_places",
            "Places in all waiting rooms that are on, by what their owners do.",
            labels=("state",),
        )
        places.add_metric(["waiting"], sum(one.waiting for one in open_rooms))
        places.add_metric(["shopping"], sum(one.shopping for one in open_rooms))
        yield places
        yield GaugeMetricFamily("cinema_queue_rooms", "Waiting rooms that are on.", len(open_rooms))
        moment = now()
        late_s = [
            (moment - (one.paced_at or one.starts_at)).total_seconds()
            for one in open_rooms
            if one.starts_at is not None and one.starts_at <= moment
        ]
        yield GaugeMetricFamily(
            "cinema_queue_late_seconds",
            "Since when the waiting room that waits longest has had no round.",
            max(0.0, *late_s) if late_s else 0.0,
        )
        yield CounterMetricFamily(
            "cinema_queue_joins", "Requests for a place that got one.", value=rooms.joined
        )
        admitted = CounterMetricFamily(
            "cinema_queue_admissions", "Places that were called in.", value=paced.admitted
        )
        yield admitted
        yield CounterMetricFamily(
            "cinema_queue_entries", "Places that were used.", value=rooms.entered
        )
        ended = CounterMetricFamily(
            "cinema_queue_places_ended", "Places that ended after their call.", labels=("why",)
        )
        for why in ("booked", "missed", "time"):
            ended.add_metric([why], paced.ended[why])
        yield ended
        yield CounterMetricFamily(
            "cinema_queue_holds_refused", "Holds refused for want of a place.", value=gates.refused
        )

    return families
