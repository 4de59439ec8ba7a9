"""What a showtime can be asked to do.

A command carries the ids it may create (the domain draws none) and a `command_id` of 16 bytes:
the digest of the client's idempotency key, or one the server made. `fingerprint` (8 bytes) is
set only with a client's key; with it a success is remembered and answers a repetition.
`unpaid_limit` is how many seats the customer may hold unpaid over all showtimes; 0 is no limit.

Nodes of neighbouring versions send commands to each other: never reuse a tag, give new fields
defaults and append them.
"""

from __future__ import annotations

import msgspec

from cinema.domain.sale_rules import SaleRules
from cinema.domain.seatmap import SeatPlan
from cinema.domain.showtime.events import Conditions


class Command(msgspec.Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """What every command carries."""

    command_id: bytes
    fingerprint: bytes = b""


class HoldSeats(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=1):
    """Hold the seats named by `labels` for `customer`, all or none.

    Under the limits of a till instead of a customer's: `by_staff`, or where the showtime's cinema
    is one of `staff_cinemas`; `staff_unpaid_limit` goes with the latter.
    """

    hold_id: bytes
    customer: bytes
    labels: list[str]
    unpaid_limit: int = 0
    by_staff: bool = False
    staff_cinemas: frozenset[bytes] = frozenset()
    staff_unpaid_limit: int = 0


class HoldBestAvailable(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=2):
    """Hold the best `quantity` free seats, chosen by the showtime itself."""

    hold_id: bytes
    customer: bytes
    quantity: int
    category: str | None = None
    accessible: bool = False
    unpaid_limit: int = 0
    by_staff: bool = False
    staff_cinemas: frozenset[bytes] = frozenset()
    staff_unpaid_limit: int = 0


def sells(command: HoldSeats | HoldBestAvailable, cinema_id: bytes) -> bool:
    """Whether a hold is under the limits of a till; elsewhere staff are customers."""
    return command.by_staff or cinema_id in command.staff_cinemas


class ExtendHold(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=3):
    """Give a live hold its full time again, up to the cap of its whole life."""

    hold_id: bytes
    customer: bytes


class ReleaseHold(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=4):
    """Give back a live hold, or only the seats named by `labels`."""

    hold_id: bytes
    customer: bytes
    labels: list[str] | None = None


class BookHold(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=5):
    """Turn a live hold into a booking; `code` is what people read out at the door."""

    hold_id: bytes
    customer: bytes
    booking_id: bytes
    code: str
    payment_id: bytes
    payment_method: str


class CancelBooking(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=6):
    """Cancel a booking, or only the seats named by `labels`; `customer` None means staff."""

    booking_id: bytes
    customer: bytes | None
    labels: list[str] | None = None


class BlockSeats(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=7):
    """Take free seats off sale."""

    labels: list[str]


class UnblockSeats(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=8):
    """Put blocked seats back on sale."""

    labels: list[str]


class PauseSales(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=9):
    """Refuse new holds until sales resume; live holds can still be booked."""


class ResumeSales(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=10):
    """Accept holds again."""


class ChangeTerms(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=11):
    """Sell by other terms from here on, unless the showtime has changed since it was `seen`.

    `seen` are the versions of its row that the sender may have had before it; `rules` are those
    that come of the conditions' own, the screen's and the settings'. If the conditions are for
    another screen, `layout_version` is the version of its layout.
    """

    seen: tuple[int, ...]
    conditions: Conditions
    rules: SaleRules
    layout_version: int = 0


class CancelShowtime(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=12):
    """End all holds and sell nothing any more; the job `job_id` cancels what was booked.

    `seen` as with `ChangeTerms`.
    """

    seen: tuple[int, ...]
    reason: str
    job_id: bytes


class ChangeLayout(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=13):
    """Pin this version of the screen's layout; its owner looks the plan up.

    `seen` as with `ChangeTerms`.
    """

    seen: tuple[int, ...]
    layout_version: int


class ChangePlan(Command, frozen=True, kw_only=True, gc=False, array_like=True):
    """Pin another version of the seat plan; what a `ChangeLayout` becomes.

    Without `prices_minor`, one for each of its categories, they follow from the terms. `seen` are
    the versions of the row that may be changed, all of them if there are none.
    """

    plan: SeatPlan
    prices_minor: tuple[int, ...] = ()
    seen: tuple[int, ...] = ()


class MoveShowtime(ChangeTerms, frozen=True, kw_only=True, gc=False, array_like=True):
    """A `ChangeTerms` that is for another screen, with the plan that its owner has looked up."""

    plan: SeatPlan


class ExpireDue(Command, frozen=True, kw_only=True, gc=False, array_like=True):
    """Expire what is due; the timer's command, and a no-op when nothing is."""


SentCommand = (
    HoldSeats
    | HoldBestAvailable
    | ExtendHold
    | ReleaseHold
    | BookHold
    | CancelBooking
    | BlockSeats
    | UnblockSeats
    | PauseSales
    | ResumeSales
    | ChangeTerms
    | CancelShowtime
    | ChangeLayout
)
AnyCommand = SentCommand | ChangePlan | MoveShowtime | ExpireDue

NeedsLayout = ChangeLayout | ChangeTerms


def with_plan(command: NeedsLayout, plan: SeatPlan, version: int) -> ChangePlan | MoveShowtime:
    """What a command becomes when the plan that it needs was looked up.

    It was looked up for the showtime as its row was at `version`. A later one, on another screen,
    cannot be sold by it, even if the sender has seen it too.
    """
    if isinstance(command, ChangeLayout):
        return ChangePlan(
            command_id=command.command_id,
            fingerprint=command.fingerprint,
            plan=plan,
            seen=(version,),
        )
    return MoveShowtime(**(msgspec.structs.asdict(command) | {"seen": (version,)}), plan=plan)
