"""A box office on paper: what a showtime must do, said as plainly as possible.

Seats are known by their labels, every question is answered by looking at every seat and every
slip, and nothing here comes from the kernel but the commands' names.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cinema.domain.showtime.commands import (
    AnyCommand,
    BlockSeats,
    BookHold,
    CancelBooking,
    ExtendHold,
    HoldBestAvailable,
    HoldSeats,
    PauseSales,
    ReleaseHold,
    ResumeSales,
    UnblockSeats,
)
from tests.unit.domain.showtime.oracle_room import (
    Prices,
    Room,
    companions_alone,
    orphans,
    windows,
)


@dataclass(frozen=True)
class Rules:
    """The conditions of a showtime; moments in microseconds, lengths in seconds."""

    opens_us: int
    closes_us: int
    starts_us: int
    ttl_s: int = 10
    max_s: int = 25
    seats_per_hold: int = 3
    holds_per_customer: int = 2
    seats_per_staff_hold: int = 4
    holds_per_staff: int = 3
    protect_orphans: bool = False
    companions_need_accessible: bool = False


@dataclass
class Slip:
    """A hold or a booking."""

    customer: bytes
    seats: Prices
    placed_us: int = 0
    until_us: int = 0
    status: str = "active"


@dataclass
class Done:
    """What a command did: to which hold or booking, with what gone and what left."""

    what: str
    subject: bytes = b""
    who: bytes = b""
    gone: Prices = field(default_factory=dict)
    left: Prices = field(default_factory=dict)
    until_us: int = 0


@dataclass(frozen=True)
class Refused:
    """Why not; `seats` are those named in the refusal, in any order."""

    code: str
    seats: frozenset[str] | None = None


@dataclass
class Repeated:
    """The key was used before for `done`, recorded as event `seq`."""

    done: Done
    seq: int


class NothingToDo:
    """It already is as asked."""


@dataclass
class WhereverBest:
    """Seats must be offered unless the party cannot sit side by side; the choice is free."""


Answer = Done | Refused | Repeated | NothingToDo | WhereverBest


@dataclass
class Kept:
    """A success under a client's key."""

    fingerprint: bytes
    done: Done
    seq: int
    at_us: int


class BoxOffice:
    """The naive twin of a showtime."""

    def __init__(self, room: Room, rules: Rules) -> None:
        self.room = room
        self.rules = rules
        self.holds: dict[bytes, Slip] = {}
        self.bookings: dict[bytes, Slip] = {}
        self.blocked: set[str] = set()
        self.paused = False
        self.kept: dict[bytes, Kept] = {}

    # --- what is

    def live(self) -> dict[bytes, Slip]:
        return {key: slip for key, slip in self.holds.items() if slip.status == "active"}

    def owners(self, label: str) -> list[str]:
        """Everybody who has the seat: more than one would be the end of us."""
        return (
            ["held" for slip in self.live().values() if label in slip.seats]
            + ["booked" for slip in self.bookings.values() if label in slip.seats]
            + ["blocked" for _ in self.blocked & {label}]
        )

    def free(self, label: str) -> bool:
        return not self.owners(label)

    def due(self, now_us: int) -> list[bytes]:
        due = [(slip.until_us, key) for key, slip in self.live().items() if slip.until_us <= now_us]
        return [key for _, key in sorted(due)]

    # --- what a command is answered

    def answer(self, command: AnyCommand, now_us: int) -> Answer:
        if command.fingerprint and command.command_id in self.kept:
            kept = self.kept[command.command_id]
            if kept.fingerprint != command.fingerprint:
                return Refused("IDEMPOTENCY_MISMATCH")
            return Repeated(kept.done, kept.seq)
        match command:
            case HoldSeats():
                return self._hold(command, now_us)
            case HoldBestAvailable():
                return self._hold_best(command, now_us)
            case ExtendHold() | ReleaseHold() | BookHold():
                return self._change_hold(command, now_us)
            case CancelBooking():
                return self._cancel(command, now_us)
            case BlockSeats():
                return self._block(command)
            case UnblockSeats():
                wrong = self._impossible(command.labels)
                blocked = _unpriced([at for at in command.labels if at in self.blocked])
                done = Done("unblocked", gone=blocked)
                return wrong or (done if blocked or command.fingerprint else NothingToDo())
            case PauseSales():
                changes = bool(command.fingerprint) or not self.paused
                return Done("paused") if changes else NothingToDo()
            case ResumeSales():
                changes = bool(command.fingerprint) or self.paused
                return Done("resumed") if changes else NothingToDo()
            case _:
                raise AssertionError(command)

    def _hold(self, command: HoldSeats, now_us: int) -> Answer:
        refused = self._impossible(command.labels) or self._no_sale(
            command, len(command.labels), now_us
        )
        if refused:
            return refused
        taken = [label for label in command.labels if not self.free(label)]
        if taken:
            return Refused("SEAT_UNAVAILABLE", frozenset(taken))
        lonely = companions_alone(self.room, command.labels)
        if self.rules.companions_need_accessible and lonely:
            return Refused("COMPANION_ONLY", frozenset(lonely))
        free = {label for label in self.room.places if self.free(label)}
        left_alone = orphans(self.room, free, command.labels)
        if self.rules.protect_orphans and left_alone:
            return Refused("ORPHAN_SEAT", frozenset(left_alone))
        return self.held(command, command.labels, now_us)

    def held(self, command: HoldSeats | HoldBestAvailable, labels: list[str], now_us: int) -> Done:
        until_us = now_us + min(self.rules.ttl_s, self.rules.max_s) * 1_000_000
        prices = {label: self.room.prices[label] for label in labels}
        return Done("held", command.hold_id, command.customer, {}, prices, until_us)

    def _hold_best(self, command: HoldBestAvailable, now_us: int) -> Answer:
        known = {place.sold_as[0] for place in self.room.places.values()}
        if command.category is not None and command.category not in known:
            return Refused("UNKNOWN_CATEGORY")
        return self._no_sale(command, command.quantity, now_us) or WhereverBest()

    def fits_side_by_side(self, command: HoldBestAvailable) -> bool:
        """Whether so many free seats that may be offered lie next to each other in one block."""
        return any(
            all(self.offered(label, command) for label in window)
            for block in self.room.blocks()
            for window in windows(block, command.quantity)
            if not command.accessible or any(self.room.places[at].accessible for at in window)
        )

    def offers(self, command: HoldBestAvailable) -> int:
        return sum(self.offered(label, command) for label in self.room.places)

    def offered(self, label: str, command: HoldBestAvailable) -> bool:
        place = self.room.places[label]
        return (
            self.free(label)
            and (command.accessible or place.ordinary)
            and command.category in {None, place.sold_as[0]}
        )

    def _change_hold(self, command: ExtendHold | ReleaseHold | BookHold, now_us: int) -> Answer:
        slip = self.holds.get(command.hold_id)
        if slip is None or slip.customer != command.customer:
            return Refused("NOT_FOUND")
        if slip.status != "active":
            return Refused(f"HOLD_ENDED {slip.status}")
        if isinstance(command, BookHold):
            return Done("booked", command.hold_id, slip.customer, {}, dict(slip.seats))
        if isinstance(command, ReleaseHold):
            return self._part("released", command.hold_id, slip, command.labels)
        last_us = slip.placed_us + self.rules.max_s * 1_000_000
        if slip.until_us >= last_us:
            return Refused("HOLD_LIMIT")
        until_us = max(slip.until_us, min(last_us, now_us + self.rules.ttl_s * 1_000_000))
        return Done("extended", command.hold_id, slip.customer, {}, dict(slip.seats), until_us)

    def _cancel(self, command: CancelBooking, now_us: int) -> Answer:
        slip = self.bookings.get(command.booking_id)
        if slip is None:
            return Refused("BOOKING_ENDED")
        if command.customer is not None and command.customer != slip.customer:
            return Refused("NOT_FOUND")
        if command.customer is not None and now_us >= self.rules.starts_us:
            return Refused("SHOWTIME_STARTED")
        return self._part("cancelled", command.booking_id, slip, command.labels)

    def _part(self, what: str, subject: bytes, slip: Slip, labels: list[str] | None) -> Answer:
        if labels is None:
            return Done(what, subject, slip.customer, dict(slip.seats), {}, slip.until_us)
        refused = self._impossible(labels)
        if refused:
            return refused
        foreign = [label for label in labels if label not in slip.seats]
        if foreign:
            return Refused("SEAT_NOT_INCLUDED", frozenset(foreign))
        gone = {label: slip.seats[label] for label in labels}
        left = {label: price for label, price in slip.seats.items() if label not in gone}
        return Done(what, subject, slip.customer, gone, left, slip.until_us)

    def _block(self, command: BlockSeats) -> Answer:
        labels = command.labels
        sold = frozenset(at for at in labels if not {"held", "booked"}.isdisjoint(self.owners(at)))
        refused = self._impossible(labels)
        if refused or sold:
            return refused or Refused("SEAT_UNAVAILABLE", sold)
        free = _unpriced([label for label in labels if self.free(label)])
        return Done("blocked", left=free) if free or command.fingerprint else NothingToDo()

    def _impossible(self, labels: list[str]) -> Refused | None:
        unknown = frozenset(label for label in labels if label not in self.room.places)
        if unknown:
            return Refused("UNKNOWN_SEAT", unknown)
        twice = frozenset(label for label in labels if labels.count(label) > 1)
        return Refused("DUPLICATE_SEAT", twice) if twice else None

    def _no_sale(
        self, command: HoldSeats | HoldBestAvailable, count: int, now_us: int
    ) -> Refused | None:
        if now_us < self.rules.opens_us or now_us >= self.rules.closes_us:
            return Refused("SALES_CLOSED")
        if self.paused:
            return Refused("SALES_PAUSED")
        mine = [slip for slip in self.live().values() if slip.customer == command.customer]
        seats, holds = self.rules.seats_per_hold, self.rules.holds_per_customer
        if command.by_staff:
            seats, holds = self.rules.seats_per_staff_hold, self.rules.holds_per_staff
        if count > seats or len(mine) >= holds:
            return Refused("HOLD_LIMIT")
        return None

    # --- what a command does

    def carry_out(self, done: Done, now_us: int, booking_id: bytes = b"") -> None:
        match done.what:
            case "held":
                self.holds[done.subject] = Slip(done.who, dict(done.left), now_us, done.until_us)
            case "extended":
                self.holds[done.subject].until_us = done.until_us
            case "released" if done.left:
                self.holds[done.subject].seats = dict(done.left)
            case "released" | "expired" | "booked":
                self.holds[done.subject].status = done.what
            case "cancelled" if done.left:
                self.bookings[done.subject].seats = dict(done.left)
            case "cancelled":
                del self.bookings[done.subject]
            case "blocked":
                self.blocked |= set(done.left)
            case "unblocked":
                self.blocked -= set(done.gone)
            case "paused" | "resumed":
                self.paused = done.what == "paused"
        if done.what == "booked":
            self.bookings[booking_id] = Slip(done.who, dict(done.left))

    def in_the_way_of(self, room: Room) -> set[str]:
        """Taken seats that another plan has not, or sells as something else."""
        return {
            label
            for label, place in self.room.places.items()
            if not self.free(label)
            and (label not in room.places or room.places[label].sold_as != place.sold_as)
        }

    def move_to(self, room: Room) -> None:
        self.room = room
        papers = [slip.seats for slip in (*self.holds.values(), *self.bookings.values())]
        papers += [part for kept in self.kept.values() for part in (kept.done.gone, kept.done.left)]
        for paper in papers:
            for label in paper.keys() - room.places.keys():
                del paper[label]


def _unpriced(labels: list[str]) -> Prices:
    return dict.fromkeys(labels, 0)
