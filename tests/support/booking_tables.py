"""Tables of bookings in memory: what Postgres keeps of them, and what its unique indexes refuse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from cinema.storage.journal.memory import Tables, WrittenRow
from cinema.storage.journal.store import CommitAborted

_UNIQUE_VIOLATION = "23505"


class Sold(NamedTuple):
    """A booking as it was made; `prices` by the labels of its seats."""

    user_id: bytes
    prices: dict[str, int]


class BookingTables(Tables):
    """The rows of `cinema.features.bookings.rows`; `on_row` hears of each row of all features.

    While it is `occupied`, another showtime has the screen to which one is moved.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live_seats: dict[tuple[bytes, str], bytes] = {}
        self.bookings: dict[bytes, Sold] = {}
        self.codes: set[str] = set()
        self.occupied = False
        self.on_row: Callable[[WrittenRow], None] = lambda _row: None

    def check(self, rows: Sequence[WrittenRow]) -> None:
        codes, taken = set(self.codes), set(self.live_seats)
        for showtime_id, _, branch, row in rows:
            if branch == "bookings":
                _refuse_second(codes, row["code"], "bookings_code")
            elif branch == "switched" and self.occupied and "starts_at_us" in row:
                raise CommitAborted("23P01", "showtimes_screen_occupied")
            elif branch == "seats":
                _refuse_second(taken, (showtime_id, row["seat"]), "booking_seats_live")

    def write(self, row: WrittenRow) -> None:
        super().write(row)
        self.on_row(row)
        showtime_id, _, branch, values = row
        if branch == "bookings":
            self.codes.add(values["code"])
            self.bookings[_id(values["id"])] = Sold(_id(values["user_id"]), {})
        elif branch == "seats":
            booking_id = _id(values["booking_id"])
            self.bookings[booking_id].prices[values["seat"]] = values["price_minor"]
            self.live_seats[showtime_id, values["seat"]] = booking_id
        elif branch == "seats_given_back":
            self.live_seats.pop((showtime_id, values["seat"]), None)


def _refuse_second(known: set[Any], value: Any, constraint: str) -> None:
    if value in known:
        raise CommitAborted(_UNIQUE_VIOLATION, constraint)
    known.add(value)


def _id(text: str) -> bytes:
    return bytes.fromhex(text)
