"""Random lives of showtimes in a room without rules."""

from __future__ import annotations

from typing import ClassVar

from cinema.domain.seatmap import Layout
from tests.unit.domain.seat_drawing import draw_layout
from tests.unit.domain.showtime.oracle import Rules
from tests.unit.domain.showtime.random_lives import SETTINGS, Showtime, mirrored
from tests.unit.domain.showtime.story import second


class PlainRoom(Showtime):
    """Two rows of four, no rules; open for days, so that keys grow old."""

    layouts: ClassVar[list[Layout]] = [
        draw_layout("rrrr", "rrrr"),
        mirrored(draw_layout("rrrr", "rrrr")),
        draw_layout("rrrr", "rrr"),
        draw_layout("rrrrr", "rrrr", "rr"),
    ]
    rules_ = Rules(second(0), second(864_000), second(864_000))


TestPlainRoom = PlainRoom.TestCase
TestPlainRoom.settings = SETTINGS
