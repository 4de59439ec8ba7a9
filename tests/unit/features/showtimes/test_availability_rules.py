"""How full a showtime is, in one word."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cinema.domain.sale_rules import CHANNEL_CODES, ChannelQuota
from cinema.domain.seatmap import AVAILABLE, BLOCKED, BOOKED, HELD
from cinema.domain.times import to_us
from cinema.features.showtimes.availability_rules import best_of, level_of, may_change_by_itself
from cinema.features.showtimes.shapes import AvailabilityLevel


def room(*, free: int = 0, held: int = 0, booked: int = 0, blocked: int = 0) -> bytes:
    counts = {AVAILABLE: free, HELD: held, BOOKED: booked, BLOCKED: blocked}
    return b"".join(bytes([status]) * count for status, count in counts.items())


@pytest.mark.parametrize(
    ("seats", "level"),
    [
        (room(booked=90, blocked=10), "sold_out"),
        (room(booked=90, held=10), "sold_out"),
        (room(), "sold_out"),
        (room(free=1, booked=99), "few_left"),
        (room(free=10, booked=90), "few_left"),
        (room(free=11, booked=89), "available"),
        # Seats that are not sold at all make no room fuller.
        (room(free=11, booked=89, blocked=100), "available"),
        (room(free=4, booked=4), "few_left"),
        (room(free=5, booked=3), "available"),
    ],
)
def test_a_room_is_called_by_its_free_seats(seats: bytes, level: AvailabilityLevel) -> None:
    assert level_of(seats) == level


def test_only_held_seats_become_free_by_themselves() -> None:
    assert may_change_by_itself(room(free=1, held=1))
    assert not may_change_by_itself(room(free=1, booked=1, blocked=1))


def test_what_is_kept_for_other_channels_is_not_free_on_the_web() -> None:
    later = datetime(2030, 1, 1, tzinfo=UTC)
    quotas = (ChannelQuota(channel="box_office", seats=10, released_at=later),)
    seats, release_us = room(free=10, booked=10), to_us(later)
    unsold, sold = bytes(20), bytes(10) + bytes([CHANNEL_CODES["box_office"]]) * 5 + bytes(5)
    assert level_of(seats, quotas, unsold, release_us - 1) == "sold_out"
    assert level_of(seats, quotas, sold, release_us - 1) == "available"
    assert level_of(seats, quotas, unsold, release_us) == "available"
    assert level_of(seats, quotas, b"", release_us - 1) == "sold_out"
    own = (ChannelQuota(channel="web", seats=10),)
    assert level_of(seats, own, unsold, 0) == "available"
    assert may_change_by_itself(seats, quotas, release_us - 1)
    assert not may_change_by_itself(seats, quotas, release_us)
    assert not may_change_by_itself(seats, own, 0)


def test_the_emptiest_showtime_speaks_for_all() -> None:
    assert best_of(["sold_out", "few_left"]) == "few_left"
    assert best_of(["few_left", "sold_out", "available"]) == "available"
    assert best_of(["sold_out"]) == "sold_out"
