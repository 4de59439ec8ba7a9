"""Random lives of showtimes in a room with wheelchair places."""

from __future__ import annotations

from typing import ClassVar

from cinema.domain.seatmap import Layout
from tests.unit.domain.seat_drawing import draw_layout
from tests.unit.domain.showtime.oracle import Rules
from tests.unit.domain.showtime.random_lives import SETTINGS, Showtime
from tests.unit.domain.showtime.story import second


class RoomForEverybody(Showtime):
    """Wheelchair places with companion seats; a hold's whole life is shorter than its time."""

    layouts: ClassVar[list[Layout]] = [
        draw_layout("WCrr CW", "rrrrrr"),
        draw_layout("WCrr CW", "rrrrr W"),
        draw_layout("WCrr rr", "rrrrrr"),
    ]
    rules_ = Rules(
        second(0),
        second(400),
        second(300),
        ttl_s=20,
        max_s=15,
        holds_per_customer=1,
        protect_orphans=True,
        companions_need_accessible=True,
    )


TestRoomForEverybody = RoomForEverybody.TestCase
TestRoomForEverybody.settings = SETTINGS
