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

    `paid_more` is what was paid for dearer seats, `back` what goes back, by booking. `exchanges`
    has the state of each exchange, `exchanged_for` the exchange of each new booking.

    While it is `occupied`, another showtime has the screen to which one is moved; `is_taken` says
    the same of one row, behind those before it in its statement.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live_seats: dict[tuple[bytes, str], bytes] = {}
        self.bookings: dict[bytes, Sold] = {}
        self.codes: set[str] = set()
        self.pending: set[bytes] = set()
        self.statuses: dict[bytes, str] = {}
        self.paid_more: dict[bytes, int] = {}
        self.back: dict[bytes, int] = {}
        self.exchanges: dict[bytes, str] = {}
        self.exchanged_for: dict[bytes, bytes] = {}
        self._showtimes: dict[bytes, bytes] = {}
        self.occupied = False
        self.is_taken: Callable[[WrittenRow, Sequence[WrittenRow]], bool] = lambda _row, _: False
        self.on_row: Callable[[WrittenRow], None] = lambda _row: None

    def check(self, rows: Sequence[WrittenRow]) -> None:
        self._check_exchanges(rows)
        codes, taken = set(self.codes), set(self.live_seats)
        for at, written in enumerate(rows):
            showtime_id, _, branch, row = written
            if branch == "bookings":
                _refuse_second(codes, row["code"], "bookings_code")
            elif branch == "switched" and "starts_at_us" in row:
                if self.occupied or self.is_taken(written, rows[:at]):
                    raise CommitAborted("23P01", "showtimes_screen_occupied")
            elif branch in {"seats", "seats_chosen"}:
                _refuse_second(taken, (showtime_id, row["seat"]), "booking_seats_live")
            elif branch == "seats_left":
                taken.discard((showtime_id, row["seat"]))
            elif branch == "pending_seats_decided" and row["status"] == "confirmed":
                booking_id = _id(row["booking_id"])
                for seat in self.bookings[booking_id].prices:
                    if self.live_seats.get((showtime_id, seat)) != booking_id:
                        _refuse_second(taken, (showtime_id, seat), "booking_seats_live")

    def write(self, row: WrittenRow) -> None:
        super().write(row)
        self.on_row(row)
        self._count(row)
        self._decide_exchange(row)
        showtime_id, _, branch, values = row
        if branch == "bookings":
            self.codes.add(values["code"])
            self.statuses[_id(values["id"])] = values["status"]
            self._showtimes[_id(values["id"])] = showtime_id
            if values["status"] == "pending":
                self.pending.add(_id(values["id"]))
            self.bookings[_id(values["id"])] = Sold(_id(values["user_id"]), {})
        elif branch == "seats":
            booking_id = _id(values["booking_id"])
            self.bookings[booking_id].prices[values["seat"]] = values["price_minor"]
            self.live_seats[showtime_id, values["seat"]] = booking_id
        elif branch == "seats_left":
            self.live_seats.pop((showtime_id, values["seat"]), None)
        elif branch == "seats_chosen":
            self.live_seats[showtime_id, values["seat"]] = _id(values["booking_id"])
        elif branch == "pending_seats_cancelled":
            # The domain knows which these are; here all that is held as pending ends with it.
            self._cancel_pending(showtime_id)
        elif branch == "pending_decided":
            self.statuses[_id(values["booking_id"])] = values["status"]
        elif branch == "bookings_reduced" and values["whole"]:
            self.statuses[_id(values["booking_id"])] = "cancelled"
        elif branch == "pending_seats_decided":
            self._decide(showtime_id, _id(values["booking_id"]), values["status"])
        elif branch == "seats_given_back":
            self.live_seats.pop((showtime_id, values["seat"]), None)

    def _check_exchanges(self, rows: Sequence[WrittenRow]) -> None:
        """What is decided stays so."""
        for *_, branch, values in rows:
            if branch == "exchanges_committed":
                open_ = self.exchanges.get(_id(values["exchange_id"])) == "pending"
            elif branch == "exchanges_given_up":
                exchange_id = self.exchanged_for.get(_id(values["booking_id"]))
                open_ = exchange_id is None or self.exchanges[exchange_id] != "committed"
            else:
                continue
            if not open_:
                raise CommitAborted("23514", "exchanges_decided_once")

    def _decide_exchange(self, row: WrittenRow) -> None:
        *_, branch, values = row
        if branch == "exchanges_committed":
            self.exchanges[_id(values["exchange_id"])] = "committed"
        elif branch in {"exchanges_called_off", "exchanges_given_up"}:
            self.abort_exchange(self.exchanged_for.get(_id(values["booking_id"])))

    def abort_exchange(self, exchange_id: bytes | None) -> None:
        """Nobody commits it from here on, unless it is committed."""
        if exchange_id is not None and self.exchanges[exchange_id] == "pending":
            self.exchanges[exchange_id] = "aborted"

    def _count(self, row: WrittenRow) -> None:
        """Add up the money that moves."""
        *_, branch, values = row
        if branch == "changes_paid":
            _add(self.paid_more, values["booking_id"], values["amount_minor"])
        elif branch == "payments_reduced":
            _add(self.back, values["booking_id"], values["refund_minor"])

    def _cancel_pending(self, showtime_id: bytes) -> None:
        """All pending bookings of a showtime lose their seats."""
        for (of, seat), booking_id in list(self.live_seats.items()):
            if of == showtime_id and booking_id in self.pending:
                del self.live_seats[showtime_id, seat]
        for booking_id, status in self.statuses.items():
            if status == "pending" and self._showtimes[booking_id] == showtime_id:
                self.statuses[booking_id] = "cancelled"

    def _decide(self, showtime_id: bytes, booking_id: bytes, status: str) -> None:
        """A pending booking has its seats from now on, or no longer."""
        self.pending.discard(booking_id)
        for seat in self.bookings[booking_id].prices:
            if status == "confirmed":
                self.live_seats[showtime_id, seat] = booking_id
            elif self.live_seats.get((showtime_id, seat)) == booking_id:
                del self.live_seats[showtime_id, seat]


def _refuse_second(known: set[Any], value: Any, constraint: str) -> None:
    if value in known:
        raise CommitAborted(_UNIQUE_VIOLATION, constraint)
    known.add(value)


def _add(sums: dict[bytes, int], booking_id: str, amount_minor: int) -> None:
    sums[_id(booking_id)] = sums.get(_id(booking_id), 0) + amount_minor


def _id(text: str) -> bytes:
    return bytes.fromhex(text)
