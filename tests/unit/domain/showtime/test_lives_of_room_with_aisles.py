"""Random lives of showtimes in a room that leaves no seat alone."""

from __future__ import annotations

from typing import ClassVar

from cinema.domain.seatmap import Layout
from tests.unit.domain.seat_drawing import draw_layout, numbered
from tests.unit.domain.showtime.oracle import Rules
from tests.unit.domain.showtime.random_lives import SETTINGS, Showtime
from tests.unit.domain.showtime.story import second


class RoomWithAisles(Showtime):
    """Three rows of six in two blocks and three categories; no seat may be left alone.

    The rows have numbers, and the seats letters.
    """

    layouts: ClassVar[list[Layout]] = [
        numbered(draw_layout("rrr rrr", "ppp ppp", "vvvvvv")),
        numbered(draw_layout("rrr rrr", "ppp ppp", "vvv vvv")),
        numbered(draw_layout("rrr rrr", "pppppp")),
        numbered(draw_layout("rrr rrr", "ppp ppp", "vvvrrr")),
    ]
    rules_ = Rules(
        second(0), second(300), second(310), max_s=10_000, seats_per_hold=4, protect_orphans=True
    )


TestRoomWithAisles = RoomWithAisles.TestCase
TestRoomWithAisles.settings = SETTINGS
