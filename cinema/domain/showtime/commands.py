"""What a showtime can be asked to do.

A command carries the ids it may create (the domain draws none) and a `command_id` of 16 bytes:
the digest of the client's idempotency key, or one the server made. `fingerprint` (8 bytes) is
set only with a client's key; with it a success is remembered and answers a repetition.
`unpaid_limit` is how many seats the customer may hold unpaid over all showtimes; 0 is no limit.

Nodes of neighbouring versions send commands to each other: never reuse a tag, give new fields
defaults and append them.
"""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.domain.sale_rules import BOX_OFFICE, WEB, SaleRules
from cinema.domain.seatmap import SeatPlan
from cinema.domain.showtime.events import OrderLine, ShowConditions


class Sale(msgspec.Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """What a hold is to be booked for, as its quote says: the seats in the order of the hold.

    The quote was made by `book_version`. `prices`, `lines` and the rest are as in `HoldBooked`.
    """

    book_version: int
    labels: tuple[str, ...]
    types: tuple[str, ...]
    prices: tuple[int, ...]
    taxes: tuple[int, ...]
    fees_minor: int = 0
    tax_minor: int = 0
    fees_tax_minor: int = 0
    lines: tuple[OrderLine, ...] = ()
    promo_code: str = ""

    @property
    def total_minor(self) -> int:
        """All that is to be paid."""
        return sum(self.prices) + self.fees_minor


class Command(msgspec.Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """What every command carries."""

    command_id: bytes
    fingerprint: bytes = b""


class HoldSeats(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=1):
    """Hold the seats named by `labels` for `customer`, all or none.

    Under the limits of a till instead of a customer's: `by_staff`, or where the showtime's cinema
    is one of `staff_cinemas`; `staff_unpaid_limit` goes with the latter. A `member` may come before
    sales open to everybody, if the showtime has early access. A till is a `channel` of its own. A
    `presale` hold was let in before sales open by a code that has been used for it.
    """

    hold_id: bytes
    customer: bytes
    labels: list[str]
    unpaid_limit: int = 0
    by_staff: bool = False
    staff_cinemas: frozenset[bytes] = frozenset()
    staff_unpaid_limit: int = 0
    member: bool = False
    channel: int = WEB
    presale: bool = False


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
    member: bool = False
    channel: int = WEB
    presale: bool = False


def sells(command: HoldSeats | HoldBestAvailable, cinema_id: bytes) -> bool:
    """Whether a hold is under the limits of a till; elsewhere staff are customers."""
    return command.by_staff or cinema_id in command.staff_cinemas


def channel_of(command: HoldSeats | HoldBestAvailable, cinema_id: bytes) -> int:
    """Through which channel seats are sold."""
    return BOX_OFFICE if sells(command, cinema_id) else command.channel


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
    """Turn a live hold into a booking; `code` is what people read out at the door.

    For what `sale` says; without it, for what the seats of the hold cost.
    """

    hold_id: bytes
    customer: bytes
    booking_id: bytes
    code: str
    payment_id: bytes
    payment_method: str
    sale: Sale | None = None


class CancelBooking(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=6):
    """Cancel a booking, or only the seats named by `labels`; `customer` None means staff.

    Of what the seats have cost, `refund_bp` goes back, hundredths of a percent, halves up; and
    `fees_minor` beside it, if no seat is left; `products_minor` of these are for products. With
    `refund_minor` so much goes back instead.

    With `exchange_id` all seats, as they were `seen` with their prices, are given up for those of
    another showtime: of what goes back, `carried_minor` pays for these.
    """

    booking_id: bytes
    customer: bytes | None
    labels: list[str] | None = None
    refund_bp: int = 10_000
    fees_minor: int = 0
    refund_minor: int = -1
    products_minor: int = 0
    exchange_id: bytes = b""
    carried_minor: int = 0
    seen: tuple[tuple[str, int], ...] = ()


class BlockSeats(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=7):
    """Take free seats off sale."""

    labels: list[str]


class UnblockSeats(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=8):
    """Put blocked seats back on sale.

    Without any, and without a key: offer what is free to those who wait, since a quota was released
    and no event says so. Earlier builds refuse that.
    """

    labels: list[str]


class PauseSales(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=9):
    """Refuse new holds until sales resume; live holds can still be booked."""


class ResumeSales(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=10):
    """Accept holds again."""


class ChangeTerms(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=11):
    """Sell by other terms from now on, unless the showtime has changed since it was `seen`.

    `seen` are the versions of its row that the sender may have had before it; `rules` are those
    that come of the conditions' own, the screen's and the settings'. If the conditions are for
    another screen, `layout_version` is the version of its layout. The job `job_id` tells customers
    what they have to know of the change; without it nobody is told. It is changed `by` a user.
    """

    seen: tuple[int, ...]
    conditions: ShowConditions
    rules: SaleRules
    layout_version: int = 0
    job_id: bytes = b""
    by: bytes = b""


class CancelShowtime(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=12):
    """End all holds and stop selling; the job `job_id` cancels the bookings.

    `seen` as with `ChangeTerms`. With `unless_booked` any version will do, and nobody may have
    booked; builds that do not know of this refuse it, because no version was seen.
    """

    seen: tuple[int, ...]
    reason: str
    job_id: bytes
    unless_booked: bool = False
    by: bytes = b""


class ChangeLayout(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=13):
    """Pin this version of the screen's layout; its owner looks the plan up.

    `seen` as with `ChangeTerms`.
    """

    seen: tuple[int, ...]
    layout_version: int
    by: bytes = b""


class StartPayment(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=14):
    """Keep a live hold until its payment has come or failed, as a pending booking.

    It should be paid within the showtime's `payment_window_s`; or, with `before_start_s`, until so
    many seconds before the start. At most `seats_limit` seats, unless that is 0. `sale` as in
    `BookHold`. `for_exchange`: it is paid by giving up seats of another showtime, and a row says
    whether that has happened; whoever ends the hold asks it first. `for_customer`: from here on
    hold and booking are this customer's, for whom `customer`, who is staff, has held the seats.
    """

    hold_id: bytes
    customer: bytes
    booking_id: bytes
    code: str
    payment_id: bytes
    payment_method: str
    before_start_s: int | None = None
    seats_limit: int = 0
    sale: Sale | None = None
    for_exchange: bool = False
    for_customer: bytes = b""


IN_TIME_ONLY: Final = 0
"""A `seat_count` that no hold has, so that a late payment is refused, also by earlier builds."""


class ConfirmPayment(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=15):
    """The payment has come: book the hold.

    A payment that comes after the end of its hold gets the seats if all `seat_count` are free;
    never with `IN_TIME_ONLY`, for money that goes back by itself when the hold ends. The sender
    gives each payment one `command_id` and a fingerprint, so that it is booked only once.
    """

    hold_id: bytes
    customer: bytes
    booking_id: bytes
    code: str
    payment_id: bytes
    payment_method: str
    seat_count: int


class AbandonPayment(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=16):
    """The payment will certainly not come: free the seats of a pending booking."""

    hold_id: bytes
    customer: bytes
    booking_id: bytes
    expired: bool


class ReturnPayment(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=17):
    """The money of a pending booking goes back: never book it, whoever says that it was paid.

    To be sent before the money is given back. A refusal says that it must not be: it is booked.
    """

    hold_id: bytes
    customer: bytes
    booking_id: bytes


class ChangeSeats(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=18):
    """Give tickets of a booking other seats: those of `left` get those of `chosen`, in this order.

    The chosen seats are free, left by another ticket, or held by the customer or by `holder`.
    `customer` None means staff. `types`, `prices` and `taxes` are those of the chosen seats, worked
    out for the booking as it was `seen` (its seats with their prices) and for this version of the
    plan. What they cost more is paid as `payment_id`, with `tax_minor` in it; without a
    `payment_method` it is not. Of what they cost less, `refund_bp` goes back.
    """

    booking_id: bytes
    customer: bytes | None
    left: list[str]
    chosen: list[str]
    layout_version: int = 0
    seen: tuple[tuple[str, int], ...] = ()
    types: tuple[str, ...] = ()
    prices: tuple[int, ...] = ()
    taxes: tuple[int, ...] = ()
    holder: bytes = b""
    payment_id: bytes = b""
    payment_method: str = ""
    tax_minor: int = 0
    refund_bp: int = 10_000


class JoinWaitlist(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=19):
    """Wait for `quantity` seats, in the order of these commands.

    The entry has the id of the hold that it becomes. With `together` the seats are adjacent, or as
    near to each other as `HoldBestAvailable` chooses them. `unpaid_limit` as for a hold.
    """

    entry_id: bytes
    customer: bytes
    quantity: int
    category: str | None = None
    accessible: bool = False
    together: bool = False
    unpaid_limit: int = 0


class LeaveWaitlist(Command, frozen=True, kw_only=True, gc=False, array_like=True, tag=20):
    """Wait no longer. Seats that were offered are given back as those of any hold."""

    customer: bytes


class ChangePlan(Command, frozen=True, kw_only=True, gc=False, array_like=True):
    """Pin another version of the seat plan; a `ChangeLayout` becomes this.

    Without `prices_minor`, one for each of its categories, they follow from the terms. `seen` are
    the versions of the row that may be changed, all of them if there are none.
    """

    plan: SeatPlan
    prices_minor: tuple[int, ...] = ()
    seen: tuple[int, ...] = ()
    by: bytes = b""


class MoveShowtime(ChangeTerms, frozen=True, kw_only=True, gc=False, array_like=True):
    """A `ChangeTerms` that is for another screen, with the plan that its owner has looked up."""

    plan: SeatPlan


class ExpireDue(Command, frozen=True, kw_only=True, gc=False, array_like=True):
    """Expire what is due: the command of the timer. It does nothing if nothing is due."""


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
    | StartPayment
    | ConfirmPayment
    | AbandonPayment
    | ReturnPayment
    | ChangeSeats
    | JoinWaitlist
    | LeaveWaitlist
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
            by=command.by,
        )
    return MoveShowtime(**(msgspec.structs.asdict(command) | {"seen": (version,)}), plan=plan)
