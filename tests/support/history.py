"""What clients asked and were told, and whether Postgres' journal bears it out.

Every command of a history carries an idempotency key, so that each event in the journal can be
traced to the request that caused it. `check` then holds, for each showtime:

- the journal is one that could have happened, and the tables agree with it (`Replay`);
- an acknowledged command is in the journal once, as acknowledged, at the (epoch, seq) it was given;
- a command that was refused, or told RETRY, each time it was sent is not in the journal;
- nothing is in the journal that nobody asked for, save expiries;
- real time: what was sent after an answer that shows seq s comes after s, or sees at least s;
- a read, a refusal and a watcher's frame show the showtime as it was at some seq in their time.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

import msgspec

from cinema.domain.showtime.events import (
    BookingCancelled,
    HoldBooked,
    HoldExpired,
    HoldExtended,
    HoldReleased,
    PaymentEnded,
    SeatsHeld,
)
from tests.support.ledger import Entry, Ledger, Moment, Replay

Kind = Literal["hold", "extend", "release", "book", "cancel", "seats", "see_hold", "see_booking"]

READS = frozenset({"seats", "see_hold", "see_booking"})
UNSENT = "UNSENT"
"""Stands where a code would: the connection was refused, so nothing was asked."""

NOT_NOW = frozenset({UNSENT, "RETRY", "OVERLOADED"})
"""No effect, and no word about the state."""

EXPECTED_REFUSALS = frozenset(
    {"SEAT_UNAVAILABLE", "NOT_ENOUGH_SEATS", "ORPHAN_SEAT", "HOLD_LIMIT", "HOLD_ENDED"}
    | {"BOOKING_ENDED"}
)
"""What a load that names only real seats, and holds it was given, may be refused with."""

UNTIL_TIMEOUT_S = 40.0
"""How long a load may go on without getting anywhere."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a client wants; a repetition is the same request again."""

    kind: Kind
    showtime_id: str
    customer: bytes
    command_id: bytes = b""
    method: str = "GET"
    path: str = ""
    key: str | None = None
    body: bytes | None = None
    message: Mapping[str, Any] | None = None
    seats: tuple[str, ...] | None = None
    target_id: str | None = None


class Attempt:
    """One time a request was sent; without an answer, nobody knows whether it was heard."""

    __slots__ = ("answered_ns", "code", "data", "details", "last_word", "request", "sent_ns")

    def __init__(self, request: Request, sent_ns: int) -> None:
        self.request = request
        self.sent_ns = sent_ns
        self.answered_ns: int | None = None
        self.code: str | None = None
        self.data: Any = None
        self.details: Mapping[str, Any] = {}
        self.last_word = False

    @property
    def acknowledged(self) -> bool:
        """A success came back."""
        return self.data is not None

    @property
    def uncertain(self) -> bool:
        """It may or may not have happened."""
        return not self.acknowledged and self.code in {None, "OUTCOME_UNKNOWN", "INTERNAL"}

    def __repr__(self) -> str:
        said = self.code or ("no answer" if self.data is None else self.data)
        asked = self.request
        return f"{asked.kind} {asked.seats or asked.target_id} key={asked.key} -> {said}"


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """A watcher's seat map after one frame, or a gap that it should never have seen."""

    showtime_id: str
    epoch: int
    seq: int
    taken: Mapping[str, str]
    fault: str = ""


class History:
    """Everything a run's clients sent, got and saw, on one monotonic clock."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self.frames: list[Frame] = []
        self.faults: list[str] = []
        self.acknowledged = 0
        self._told: dict[str, int] = defaultdict(int)
        self._changed = asyncio.Event()

    def begin(self, request: Request) -> Attempt:
        """Note that a request is being sent."""
        attempt = Attempt(request, time.monotonic_ns())
        self.attempts.append(attempt)
        return attempt

    def succeed(self, attempt: Attempt, data: Any) -> None:
        """Note a success."""
        attempt.data = data
        if attempt.request.kind not in READS:
            self.acknowledged += 1
        self._answered(attempt)

    def refuse(self, attempt: Attempt, code: str, details: Mapping[str, Any] = {}) -> None:
        """Note a refusal, or anything else that has a code."""
        attempt.code = code
        attempt.details = details
        self._told[code] += 1
        self._answered(attempt)

    def lose(self, _attempt: Attempt) -> None:
        """Note that no answer will come."""
        self._told["lost"] += 1
        self._changed.set()

    def _answered(self, attempt: Attempt) -> None:
        attempt.answered_ns = time.monotonic_ns()
        self._changed.set()

    def count(self, code: str) -> int:
        """How often clients were told `code`; "lost" counts the requests without an answer."""
        return self._told[code]

    async def until(self, *, acknowledged: int = 0, told: Mapping[str, int] = {}) -> None:
        """Wait until so many commands were acknowledged, and so many refusals of each code came."""
        async with asyncio.timeout(UNTIL_TIMEOUT_S):
            while self.acknowledged < acknowledged or any(
                self._told[code] < count for code, count in told.items()
            ):
                self._changed.clear()
                await self._changed.wait()

    def unsettled(self) -> list[Request]:
        """Commands of which nobody knows yet whether they happened."""
        last: dict[bytes, Attempt] = {}
        maybe: set[bytes] = set()
        for attempt in self.attempts:
            command_id = attempt.request.command_id
            if not command_id:
                continue
            last[command_id] = attempt
            if attempt.uncertain:
                maybe.add(command_id)
            elif attempt.code not in NOT_NOW:
                maybe.discard(command_id)
        return [last[command_id].request for command_id in maybe]


def check(history: History, ledgers: Sequence[Ledger]) -> list[str]:
    """Everything in the history or the ledgers that cannot be; empty when all is well."""
    faults = [*history.faults]
    for ledger in ledgers:
        faults.extend(_ShowtimeCheck(history, ledger).faults())
    known = {ledger.showtime_id for ledger in ledgers}
    faults.extend(
        f"no ledger for {attempt!r}"
        for attempt in history.attempts
        if attempt.request.showtime_id not in known
    )
    return faults


class _ShowtimeCheck:
    """The rules, for one showtime."""

    def __init__(self, history: History, ledger: Ledger) -> None:
        self._ledger = ledger
        self._replay = Replay(ledger)
        self._faults: list[str] = []
        self._attempts = [
            one for one in history.attempts if one.request.showtime_id == ledger.showtime_id
        ]
        self._frames = [one for one in history.frames if one.showtime_id == ledger.showtime_id]
        self._by_command: dict[bytes, list[Attempt]] = defaultdict(list)
        for attempt in self._attempts:
            if attempt.request.command_id:
                self._by_command[attempt.request.command_id].append(attempt)
        self._entry_of: dict[bytes, Entry] = {}
        self._shown = self._seqs_shown()
        self._begun = self._seqs_begun()

    def faults(self) -> list[str]:
        """All that is wrong."""
        self._faults.extend(self._replay.faults)
        self._trace_events()
        for attempt in self._attempts:
            self._check_attempt(attempt)
        for frame in self._frames:
            self._check_frame(frame)
        return self._faults

    def _fault(self, what: str, about: object) -> None:
        self._faults.append(f"{what}: {about!r}")

    # --- time

    def _seqs_shown(self) -> list[tuple[int, int]]:
        """(answered at, highest seq shown by then), ascending."""
        entries = {entry.command_id: entry.seq for entry in self._ledger.entries}
        shown = []
        for attempt in self._attempts:
            if attempt.answered_ns is None or not attempt.acknowledged:
                continue
            if attempt.request.kind in READS:
                seq = attempt.data.get("seq", 0)
            else:
                seq = entries.get(attempt.request.command_id, 0)
            shown.append((attempt.answered_ns, seq))
        return _running_max(shown)

    def _seqs_begun(self) -> list[tuple[int, int]]:
        """(-first sent at, -lowest seq of what was first sent then or later), ascending."""
        begun = []
        for entry in self._ledger.entries:
            attempts = self._by_command.get(entry.command_id)
            if attempts:
                begun.append((-attempts[0].sent_ns, -entry.seq))
        return _running_max(begun)

    def _at_least(self, sent_ns: int) -> int:
        """The seq that everything sent at this moment comes after."""
        return _latest(self._shown, sent_ns, 0)

    def _window(self, attempt: Attempt) -> Sequence[Moment]:
        """The showtime's states during an attempt that was answered."""
        assert attempt.answered_ns is not None
        last = -_latest(self._begun, -attempt.answered_ns, -self._ledger.seq - 1) - 1
        return self._replay.moments[self._at_least(attempt.sent_ns) : last + 1]

    # --- commands

    def _trace_events(self) -> None:
        for entry in self._ledger.entries:
            # The server itself looks for what was not paid in time.
            if isinstance(entry.event, HoldExpired | PaymentEnded):
                continue
            attempts = self._by_command.get(entry.command_id)
            if entry.command_id in self._entry_of:
                self._fault("a key had two effects", entry)
            self._entry_of[entry.command_id] = entry
            if not attempts:
                self._fault("nobody asked for this", entry)
            elif not any(one.acknowledged or one.uncertain for one in attempts):
                self._fault("refused, and yet it happened", (entry, attempts))
            elif entry.seq <= self._at_least(attempts[0].sent_ns):
                self._fault("happened before it was asked for", (entry, attempts))

    def _check_attempt(self, attempt: Attempt) -> None:
        if attempt.request.kind in READS:
            if attempt.acknowledged:
                self._check_read(attempt)
        elif attempt.acknowledged:
            self._check_acknowledged(attempt)
        if attempt.code is not None and attempt.code not in NOT_NOW | {"OUTCOME_UNKNOWN"}:
            self._check_refusal(attempt)

    def _check_acknowledged(self, attempt: Attempt) -> None:
        entry = self._entry_of.get(attempt.request.command_id)
        if entry is None:
            self._fault("acknowledged, and lost", attempt)
            return
        if not self._tells(attempt.request, attempt.data, entry):
            self._fault("acknowledged otherwise than it happened", (attempt, entry))

    def _tells(self, request: Request, data: Mapping[str, Any], entry: Entry) -> bool:
        event = entry.event
        if isinstance(event, SeatsHeld | HoldExtended | HoldReleased):
            shown = event.seats
            status = "active"
            if isinstance(event, HoldReleased) and not event.seats:
                shown, status = event.released, "released"
            return (
                _id(event.hold_id) == data["hold_id"]
                and request.target_id in {None, data["hold_id"]}
                and event.customer == request.customer
                and self._seats(shown) == _labels(data)
                and (entry.epoch, entry.seq) == (data["epoch"], data["seq"])
                and status == data["status"]
            )
        if isinstance(event, HoldBooked):
            return (
                (_id(event.booking_id), event.code) == (data["id"], data["code"])
                and _id(event.hold_id) == request.target_id
                and self._seats(event.seats) == _labels(data)
                and sum(event.prices) == data["total"]["amount"]
            )
        if isinstance(event, BookingCancelled):
            return _id(event.booking_id) == data["id"] == request.target_id
        return False

    # --- what is said about the state

    def _check_refusal(self, attempt: Attempt) -> None:
        if attempt.code not in EXPECTED_REFUSALS:
            self._fault("no such refusal was called for", (attempt, attempt.details))
            return
        entry = self._entry_of.get(attempt.request.command_id)
        if entry is not None and entry.seq <= self._at_least(attempt.sent_ns):
            self._fault("refused, though it had happened under this key", (attempt, entry))
        if not any(_explains(moment, attempt) for moment in self._window(attempt)):
            self._fault("refused for a reason that did not hold", (attempt, attempt.details))

    def _check_read(self, attempt: Attempt) -> None:
        if attempt.request.kind == "see_booking":
            if attempt.last_word:
                self._check_last_booking(attempt)
            return
        epoch, seq = attempt.data["epoch"], attempt.data["seq"]
        if seq < self._at_least(attempt.sent_ns):
            self._fault(f"read behind {self._at_least(attempt.sent_ns)}", attempt)
        moment = self._moment(epoch, seq, attempt)
        if moment is None:
            return
        if attempt.request.kind == "seats":
            taken = {
                seat["label"]: seat["status"]
                for seat in attempt.data["seats"]
                if seat["status"] != "available"
            }
            if taken != moment.taken:
                self._fault("seat map is not the journal's", (seq, _difference(taken, moment)))
            return
        hold_id = attempt.request.target_id or ""
        held = moment.holds.get(hold_id)
        status = "active" if held else moment.ended.get(hold_id)
        if status != attempt.data["status"]:
            self._fault(f"the journal says {status} at {seq}", attempt)
        if held is not None and self._seats(held.seats) != _labels(attempt.data):
            self._fault("another hold than the journal's", attempt)

    def _check_last_booking(self, attempt: Attempt) -> None:
        booking = self._replay.moments[-1].bookings.get(attempt.request.target_id or "")
        status = "confirmed" if booking else "cancelled"
        if status != attempt.data["status"] or (
            booking is not None and self._seats(booking.seats) != _labels(attempt.data)
        ):
            self._fault(f"the journal says {status}, {booking}", attempt)

    def _check_frame(self, frame: Frame) -> None:
        if frame.fault:
            self._fault(frame.fault, frame)
            return
        moment = self._moment(frame.epoch, frame.seq, frame)
        if moment is not None and frame.taken != moment.taken:
            self._fault(
                "watchers were shown what was not", (frame, _difference(frame.taken, moment))
            )

    def _moment(self, epoch: int, seq: int, about: object) -> Moment | None:
        moments = self._replay.moments
        if seq >= len(moments):
            self._fault("shows a seq that was never durable", about)
            return None
        later = moments[seq + 1].epoch if seq + 1 < len(moments) else self._ledger.epoch
        if not moments[seq].epoch <= epoch <= later:
            self._fault(f"epoch is not between {moments[seq].epoch} and {later}", about)
        return moments[seq]

    def _seats(self, seats: Sequence[int] | frozenset[int]) -> set[str]:
        return {self._ledger.labels[seat] for seat in seats}


def _explains(moment: Moment, attempt: Attempt) -> bool:
    """Whether this state gives just this refusal."""
    asked = attempt.request
    match attempt.code:
        case "SEAT_UNAVAILABLE":
            taken = {label for label in asked.seats or () if label in moment.taken}
            return taken == set(attempt.details["seats"])
        case "HOLD_ENDED":
            return moment.ended.get(asked.target_id or "") == attempt.details["status"]
        case "BOOKING_ENDED":
            return asked.target_id not in moment.bookings
        case "HOLD_LIMIT":
            held = sum(one.customer == asked.customer for one in moment.holds.values())
            limit = attempt.details
            return limit["limit"] != "live_holds_per_customer" or held >= limit["value"]
        case _:
            return True


def _running_max(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pairs by their first part, each second part raised to the highest so far."""
    highest = None
    raised = []
    for moment, value in sorted(pairs):
        highest = value if highest is None else max(highest, value)
        raised.append((moment, highest))
    return raised


def _latest(raised: list[tuple[int, int]], before: int, otherwise: int) -> int:
    """The value of the last pair whose first part is below `before`."""
    found = bisect_left(raised, before, key=lambda pair: pair[0])
    return raised[found - 1][1] if found else otherwise


def _difference(taken: Mapping[str, str], moment: Moment) -> dict[str, tuple[Any, Any]]:
    return {
        label: (taken.get(label), moment.taken.get(label))
        for label in taken.keys() | moment.taken.keys()
        if taken.get(label) != moment.taken.get(label)
    }


def _labels(data: Mapping[str, Any]) -> set[str]:
    return {seat["label"] for seat in data["seats"]}


def _id(raw: bytes) -> str:
    return str(UUID(bytes=raw))
