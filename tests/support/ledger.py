"""What Postgres says happened at one showtime, replayed by a model that shares no code with ours.

The model keeps plain dicts and believes nothing: every event that could not have followed the
ones before it is a fault. Only the codec of the journal is the server's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_never
from uuid import UUID

import asyncpg
import msgspec

from cinema.domain.showtime.events import (
    AnyEvent,
    BookingCancelled,
    HoldBooked,
    HoldExpired,
    HoldExtended,
    HoldReleased,
    Offering,
    PaymentEnded,
    PaymentReturned,
    PaymentStarted,
    PlanChanged,
    SalesPaused,
    SalesResumed,
    SeatsBlocked,
    SeatsChanged,
    SeatsHeld,
    SeatsUnblocked,
    ShowtimeCancelled,
    TermsChanged,
    WaitlistJoined,
    WaitlistLeft,
    decode_recorded,
)
from tests.support.told import TOLD


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the journal."""

    seq: int
    epoch: int
    at_us: int
    command_id: bytes
    event: AnyEvent


class BookingRow(msgspec.Struct, frozen=True, kw_only=True):
    """A booking as the tables have it; `seats` are the live ones."""

    user_id: bytes
    status: str
    seats: frozenset[str]
    paid_minor: int
    refunded_minor: int


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """All rows of one showtime, read at one moment.

    `labels` are the seats of the plan that it begins with, `later_labels` those of the versions
    that it may change to.
    """

    showtime_id: str
    labels: tuple[str, ...]
    later_labels: Mapping[int, tuple[str, ...]] = {}
    epoch: int
    seq: int
    entries: tuple[Entry, ...]
    bookings: Mapping[str, BookingRow]
    told: tuple[tuple[int, str, str], ...] | None = None
    """Seq, kind and booking of what the outbox says of bookings, in its order."""


class HeldNow(msgspec.Struct, frozen=True):
    """A live hold or booking in the model."""

    customer: bytes
    seats: frozenset[int]
    prices_minor: int
    expires_at_us: int


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """The showtime at one seq; seats that are free are not in `taken`."""

    epoch: int
    taken: Mapping[str, str]
    holds: Mapping[str, HeldNow]
    ended: Mapping[str, str]
    bookings: Mapping[str, HeldNow]


async def read_ledger(
    connection: asyncpg.Connection[asyncpg.Record], showtime_id: str, labels: Sequence[str]
) -> Ledger:
    """Everything about one showtime from one snapshot of the database."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        head = await connection.fetchrow(
            "select epoch, seq from showtime_heads where showtime_id = $1", UUID(showtime_id)
        )
        rows = await connection.fetch(
            "select seq, epoch, recorded_at, payload from showtime_journal "
            "where showtime_id = $1 order by seq",
            UUID(showtime_id),
        )
        bookings = await connection.fetch(
            "select b.id, b.user_id, b.status, p.amount_minor, p.refunded_minor, "
            "array(select seat from booking_seats s where s.booking_id = b.id and s.live) as seats "
            "from bookings b cross join lateral (select sum(amount_minor)::bigint as amount_minor, "
            "sum(refunded_minor)::bigint as refunded_minor from payments one "
            "where one.booking_id = b.id and (one.id = b.payment_id or one.for_change)) p "
            "where b.showtime_id = $1",
            UUID(showtime_id),
        )
        told = await connection.fetch(
            f"select seq, kind, booking_id from {TOLD} where showtime_id = $1 "
            "and kind like 'booking.%'",
            UUID(showtime_id),
        )
    assert head is not None, f"no head row of {showtime_id}"
    entries = []
    for seq, epoch, at_us, payload in rows:
        recorded = decode_recorded(payload)
        entries.append(
            Entry(
                seq=seq,
                epoch=epoch,
                at_us=at_us,
                command_id=recorded.command_id,
                event=recorded.event,
            )
        )
    return Ledger(
        showtime_id=showtime_id,
        labels=tuple(labels),
        epoch=head["epoch"],
        seq=head["seq"],
        entries=tuple(entries),
        bookings={
            str(row["id"]): BookingRow(
                user_id=row["user_id"].bytes,
                status=row["status"],
                seats=frozenset(row["seats"]),
                paid_minor=row["amount_minor"],
                refunded_minor=row["refunded_minor"],
            )
            for row in bookings
        },
        told=tuple((seq, kind, booking_id) for seq, kind, booking_id in told),
    )


SeatEvent = (
    SeatsHeld
    | HoldExtended
    | HoldReleased
    | HoldExpired
    | HoldBooked
    | PaymentStarted
    | PaymentEnded
    | PaymentReturned
    | BookingCancelled
    | SeatsChanged
    | SeatsBlocked
    | SeatsUnblocked
    | SalesPaused
    | SalesResumed
    | PlanChanged
    | TermsChanged
    | ShowtimeCancelled
)
"""All events but those of the wait list itself."""

_TOLD: Mapping[type, str] = {
    HoldBooked: "booking.confirmed",
    BookingCancelled: "booking.cancelled",
    SeatsChanged: "booking.changed",
}


class Replay:
    """The showtime at every seq of a ledger, and what is wrong with the ledger by itself.

    `moments[seq]` is the state after that event; `moments[0]` is the empty showtime.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.faults: list[str] = []
        self._labels = ledger.labels
        self._paused = False
        self._cancelled = False
        self._version = 1
        self._taken: dict[str, str] = {}
        self._holds: dict[str, HeldNow] = {}
        self._ended: dict[str, str] = {}
        self._bookings: dict[str, HeldNow] = {}
        self._paying: dict[str, str] = {}
        self._unpaid: dict[str, tuple[str, int]] = {}
        self._returned: set[str] = set()
        self._waiting: dict[bytes, WaitlistJoined] = {}
        self.moments: list[Moment] = [self._moment(0)]
        for expected, entry in enumerate(ledger.entries, 1):
            self._check_order(expected, entry)
            self._apply(entry)
            self.moments.append(self._moment(entry.epoch))
        self._check_end()
        self._check_told()

    def _check_told(self) -> None:
        """Whoever acts on bookings hears of each event once, in order, and of nothing else."""
        expected = [
            (
                entry.seq,
                _TOLD[type(entry.event)],
                str(UUID(bytes=entry.event.booking_id)),
            )
            for entry in self.ledger.entries
            if isinstance(entry.event, HoldBooked | BookingCancelled | SeatsChanged)
        ]
        if self.ledger.told not in {None, tuple(expected)}:
            self.faults.append(f"the outbox tells {self.ledger.told}, not {expected}")

    def _moment(self, epoch: int) -> Moment:
        return Moment(
            epoch=epoch,
            taken=dict(self._taken),
            holds=dict(self._holds),
            ended=dict(self._ended),
            bookings=dict(self._bookings),
        )

    def _fault(self, entry: Entry, what: str) -> None:
        self.faults.append(f"journal {entry.epoch}:{entry.seq} {entry.event!r}: {what}")

    def _check_order(self, expected: int, entry: Entry) -> None:
        if entry.seq != expected:
            self._fault(entry, f"expected seq {expected}")
        if entry.epoch < self.moments[-1].epoch:
            self._fault(entry, "an older epoch wrote after a newer one")

    def _apply(self, entry: Entry) -> None:
        if isinstance(entry.event, WaitlistJoined | WaitlistLeft):
            self._wait(entry, entry.event)
            return
        self._change(entry, entry.event)
        if isinstance(entry.event, Offering):
            self._offer(entry, entry.event)

    def _wait(self, entry: Entry, event: WaitlistJoined | WaitlistLeft) -> None:
        """Customers wait once each, in the order in which they came."""
        waits = self._waiting.pop(event.customer, None)
        if isinstance(event, WaitlistLeft):
            if waits is None or waits.entry_id != event.entry_id:
                self._fault(entry, f"of this customer there is {waits}")
            return
        if waits is not None:
            self._fault(entry, "this customer waits already")
        if self._paused or self._cancelled:
            self._fault(entry, "nothing is sold")
        self._waiting[event.customer] = event

    def _offer(self, entry: Entry, event: Offering) -> None:
        """Who waited holds seats that are free behind the event; the others keep their order."""
        if event.offers and (self._paused or self._cancelled):
            self._fault(entry, "seats were offered while nothing is sold")
        customers = [offer.customer for offer in event.offers]
        if customers != [one for one in self._waiting if one in set(customers)]:
            self._fault(entry, f"not in the order of {list(self._waiting)}")
        for offer in event.offers:
            waits = self._waiting.pop(offer.customer, None)
            if waits is None:
                continue
            if (waits.entry_id, waits.quantity) != (offer.hold_id, len(offer.seats)):
                self._fault(entry, f"what was waited for is {waits}")
            self._take(entry, offer.seats, "held")
            self._holds[str(UUID(bytes=offer.hold_id))] = HeldNow(
                offer.customer, frozenset(offer.seats), sum(offer.prices), offer.expires_at_us
            )

    def _change(self, entry: Entry, event: SeatEvent) -> None:
        match event:
            case SeatsHeld(hold_id, customer, seats, prices, expires_at_us):
                if self._paused:
                    self._fault(entry, "sales were paused")
                if self._cancelled:
                    self._fault(entry, "the showtime was cancelled")
                self._take(entry, seats, "held")
                self._holds[str(UUID(bytes=hold_id))] = HeldNow(
                    customer, frozenset(seats), sum(prices), expires_at_us
                )
            case HoldExtended(hold_id, _, seats, _, expires_at_us):
                held = self._live(entry, self._holds, hold_id, seats)
                if held is not None:
                    self._holds[str(UUID(bytes=hold_id))] = msgspec.structs.replace(
                        held, expires_at_us=expires_at_us
                    )
            case HoldReleased(hold_id, _, released, _, seats, prices):
                self._shrink(entry, self._holds, hold_id, (released, seats, prices), "released")
            case HoldExpired(hold_id, seats):
                held = self._live(entry, self._holds, hold_id, seats)
                if held is not None and entry.at_us < held.expires_at_us:
                    self._fault(entry, f"expired before {held.expires_at_us}")
                self._shrink(entry, self._holds, hold_id, (seats, (), ()), "expired")
            case HoldBooked():
                self._book(entry, event)
            case PaymentStarted() | PaymentEnded() | PaymentReturned():
                self._pay(entry, event)
            case BookingCancelled() | SeatsChanged():
                self._change_booking(entry, event)
            case _:
                self._apply_staff(entry, event)

    def _apply_staff(
        self,
        entry: Entry,
        event: SeatsBlocked
        | SeatsUnblocked
        | SalesPaused
        | SalesResumed
        | PlanChanged
        | TermsChanged
        | ShowtimeCancelled,
    ) -> None:
        match event:
            case SeatsBlocked(seats):
                self._take(entry, seats, "blocked")
            case SeatsUnblocked(seats):
                for seat in seats:
                    if self._taken.pop(self._labels[seat], None) != "blocked":
                        self._fault(entry, f"seat {self._labels[seat]} was not blocked")
            case SalesPaused() | SalesResumed():
                self._paused = isinstance(event, SalesPaused)
            case PlanChanged():
                self._change_plan(entry, event)
            case TermsChanged():
                self._raise_version(entry, event.version)
            case ShowtimeCancelled():
                self._cancel_showtime(entry, event)
            case _:
                assert_never(event)

    def _raise_version(self, entry: Entry, version: int) -> None:
        if version <= self._version:
            self._fault(entry, f"its terms were of version {self._version} already")
        self._version = version

    def _cancel_showtime(self, entry: Entry, event: ShowtimeCancelled) -> None:
        """All holds end, and nothing is held from here on."""
        self._raise_version(entry, event.version)
        self._cancelled = True
        self._waiting.clear()
        held = {str(UUID(bytes=hold_id)) for hold_id in event.holds}
        seats = {seat for hold in self._holds.values() for seat in hold.seats}
        if held != set(self._holds) or seats != set(event.seats):
            self._fault(entry, f"it leaves holds: {sorted(self._holds)}")
        if event.bookings != len(self._bookings):
            self._fault(entry, f"there are {len(self._bookings)} bookings")
        unpaid = [str(UUID(bytes=booking_id)) for booking_id in event.unpaid]
        if sorted(unpaid) != sorted(self._paying.values()):
            self._fault(entry, f"it leaves pending bookings: {self._paying}")
        for hold_id, booking_id in self._paying.items():
            self._unpaid[booking_id] = ("cancelled", self._holds[hold_id].prices_minor)
        self._paying.clear()
        for seat in event.seats:
            self._taken.pop(self._labels[seat], None)
        self._ended |= dict.fromkeys(self._holds, "released")
        self._holds.clear()

    def _take(self, entry: Entry, seats: Sequence[int], status: str) -> None:
        for seat in seats:
            label = self._labels[seat]
            if label in self._taken:
                self._fault(entry, f"seat {label} has two owners")
            self._taken[label] = status

    def _change_plan(self, entry: Entry, event: PlanChanged) -> None:
        """Seats keep their labels, and whoever has some keeps them; also on another screen."""
        if event.terms_version:
            self._raise_version(entry, event.terms_version)
        before, after = self._labels, self.ledger.later_labels[event.layout_version]
        lost = set(self._taken) - set(after)
        if lost:
            self._fault(entry, f"{sorted(lost)} were taken, and are gone")
        if tuple(after.index(one) if one in after else -1 for one in before) != event.mapping:
            self._fault(entry, "it mixes seats up")
        self._labels = after
        for groups in (self._holds, self._bookings):
            for group_id, group in groups.items():
                seats = frozenset(event.mapping[seat] for seat in group.seats)
                groups[group_id] = msgspec.structs.replace(group, seats=seats)

    def _live(
        self, entry: Entry, groups: Mapping[str, HeldNow], raw_id: bytes, seats: Sequence[int]
    ) -> HeldNow | None:
        held = groups.get(str(UUID(bytes=raw_id)))
        if held is None:
            self._fault(entry, "there is no such live hold or booking")
        elif held.seats != frozenset(seats):
            self._fault(entry, f"its seats are {sorted(held.seats)}")
        return held

    def _shrink(
        self,
        entry: Entry,
        groups: dict[str, HeldNow],
        raw_id: bytes,
        part: tuple[Sequence[int], Sequence[int], Sequence[int]],
        end: str,
    ) -> None:
        gone, kept, kept_prices = part
        held = self._live(entry, groups, raw_id, (*gone, *kept))
        for seat in gone:
            self._taken.pop(self._labels[seat], None)
        group_id = str(UUID(bytes=raw_id))
        if held is None:
            return
        if kept:
            groups[group_id] = HeldNow(
                held.customer, frozenset(kept), sum(kept_prices), held.expires_at_us
            )
            return
        del groups[group_id]
        if end:
            self._ended[group_id] = end

    def _pay(self, entry: Entry, event: PaymentStarted | PaymentEnded | PaymentReturned) -> None:
        """A hold waits for its payment as a pending booking, or no longer does."""
        if isinstance(event, PaymentReturned):
            self._give_back(entry, event)
            return
        hold_id, booking_id = (str(UUID(bytes=raw)) for raw in (event.hold_id, event.booking_id))
        held = self._live(entry, self._holds, event.hold_id, event.seats)
        if isinstance(event, PaymentStarted):
            if hold_id in self._paying or booking_id in self._bookings:
                self._fault(entry, "it is being paid, or has been")
            self._paying[hold_id] = booking_id
            self._holds[hold_id] = HeldNow(
                event.customer, frozenset(event.seats), sum(event.prices), event.expires_at_us
            )
            return
        if self._paying.pop(hold_id, None) != booking_id:
            self._fault(entry, "another booking was waited for")
        if held is not None and not entry.command_id and entry.at_us < held.expires_at_us:
            self._fault(entry, f"expired before {held.expires_at_us}")
        self._unpaid[booking_id] = (
            "expired" if event.expired else "cancelled",
            sum(event.prices),
        )
        end = "expired" if event.expired else "released"
        self._shrink(entry, self._holds, event.hold_id, (event.seats, (), ()), end)

    def _give_back(self, entry: Entry, event: PaymentReturned) -> None:
        """Money that came goes back: its booking is not booked, now or later."""
        hold_id, booking_id = (str(UUID(bytes=raw)) for raw in (event.hold_id, event.booking_id))
        if booking_id in self._bookings or booking_id in self._returned:
            self._fault(entry, "it is booked, or the money went back before")
        self._returned.add(booking_id)
        if event.waited:
            if self._paying.pop(hold_id, None) != booking_id:
                self._fault(entry, "another booking was waited for")
            self._unpaid[booking_id] = ("cancelled", sum(event.prices))
            self._shrink(entry, self._holds, event.hold_id, (event.seats, (), ()), "released")
        elif booking_id not in self._unpaid:
            self._fault(entry, "no such booking was waiting for its payment")

    def _book(self, entry: Entry, event: HoldBooked) -> None:
        hold_id, booking_id = (str(UUID(bytes=raw)) for raw in (event.hold_id, event.booking_id))
        if booking_id in self._returned:
            self._fault(entry, "its money went back")
        if event.pending and hold_id not in self._holds:
            # Paid too late: the seats have to be free.
            if self._unpaid.pop(booking_id, None) is None:
                self._fault(entry, "no such booking was waiting for its payment")
            self._take(entry, event.seats, "booked")
        else:
            self._live(entry, self._holds, event.hold_id, event.seats)
            if self._paying.pop(hold_id, None) != (booking_id if event.pending else None):
                self._fault(entry, "another booking was waited for")
            self._holds.pop(hold_id, None)
        self._ended[hold_id] = "booked"
        for seat in event.seats:
            self._taken[self._labels[seat]] = "booked"
        self._bookings[str(UUID(bytes=event.booking_id))] = HeldNow(
            event.customer, frozenset(event.seats), sum(event.prices), 0
        )

    def _change_booking(self, entry: Entry, event: BookingCancelled | SeatsChanged) -> None:
        if isinstance(event, SeatsChanged):
            self._change_seats(entry, event)
            return
        part = (event.cancelled, event.seats, event.prices)
        self._shrink(entry, self._bookings, event.booking_id, part, "")

    def _change_seats(self, entry: Entry, event: SeatsChanged) -> None:
        """All that is left is free before anything is taken; one old seat for one new one."""
        kept = frozenset(event.seats) - frozenset(event.chosen)
        held = self._live(entry, self._bookings, event.booking_id, (*kept, *event.left))
        if len(event.left) != len(event.chosen) or len(event.seats) != len(kept) + len(event.left):
            self._fault(entry, "it has more seats than before, or fewer")
        for seat in event.left:
            self._taken.pop(self._labels[seat], None)
        for hold in event.holds:
            if str(UUID(bytes=hold.hold_id)) in self._paying:
                self._fault(entry, "it takes seats that are being paid")
                continue
            part = (hold.used, hold.seats, hold.prices)
            self._shrink(entry, self._holds, hold.hold_id, part, "booked")
        self._take(entry, event.chosen, "booked")
        if held is not None:
            self._bookings[str(UUID(bytes=event.booking_id))] = msgspec.structs.replace(
                held, seats=frozenset(event.seats), prices_minor=sum(event.prices)
            )

    def _check_end(self) -> None:
        """Head row and relational rows must say what the journal says."""
        ledger = self.ledger
        if ledger.seq != len(ledger.entries):
            self.faults.append(f"head at {ledger.seq}, journal at {len(ledger.entries)}")
        if ledger.epoch < self.moments[-1].epoch:
            self.faults.append(f"head has epoch {ledger.epoch}, its journal a newer one")
        ever = {
            str(UUID(bytes=entry.event.booking_id))
            for entry in ledger.entries
            if isinstance(entry.event, HoldBooked | PaymentStarted)
        }
        if ever != set(ledger.bookings):
            self.faults.append(f"bookings in one place only: {ever ^ set(ledger.bookings)}")
        held = {booking_id: self._holds[hold_id] for hold_id, booking_id in self._paying.items()}
        for booking_id, row in ledger.bookings.items():
            if booking_id in self._unpaid:
                status, price_minor = self._unpaid[booking_id]
                if (row.seats, row.status, row.paid_minor) != (frozenset(), status, price_minor):
                    self.faults.append(f"booking {booking_id} is {row}, and was not paid")
                continue
            now = self._bookings.get(booking_id) or held.get(booking_id)
            seats = frozenset(self._labels[seat] for seat in now.seats) if now else frozenset()
            left_minor = now.prices_minor if now else 0
            status = "confirmed" if now else "cancelled"
            if booking_id in held:
                status = "pending"
            if (row.seats, row.status, row.paid_minor - row.refunded_minor) != (
                seats,
                status,
                left_minor,
            ):
                self.faults.append(f"booking {booking_id} is {row}, the journal says {now}")
