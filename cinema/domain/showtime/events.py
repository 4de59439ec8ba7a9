"""What happened at a showtime, as its journal keeps it.

Seats are indexes into the plan pinned at that moment. Every event names all the seats it
touches, so that a reply, a watcher's frame and a relational row follow from the event alone.
Tags and field order are the stored format: add fields at the end only, never reuse a tag.
"""

from __future__ import annotations

import msgspec

Seats = tuple[int, ...]
Prices = tuple[int, ...]


class Event(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What all events have in common: nothing but being one."""


class SeatsHeld(Event, frozen=True, gc=False, array_like=True, tag=1):
    """Seats were free and are now held by one customer; `prices` in minor units, one a seat.

    They are those of adults by `book_version` of the cinema's price book, 0 for none, when `taken`
    seats were held or booked. `channel` is the one that has sold them, 0 without quotas.
    """

    hold_id: bytes
    customer: bytes
    seats: Seats
    prices: Prices
    expires_at_us: int
    book_version: int = 0
    taken: int = 0
    channel: int = 0


class HoldExtended(Event, frozen=True, gc=False, array_like=True, tag=2):
    """A live hold got a later deadline."""

    hold_id: bytes
    customer: bytes
    seats: Seats
    prices: Prices
    expires_at_us: int


class Offer(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Seats that are held for somebody who waited, from the moment at which they were free.

    `hold_id` is the id of the entry in the wait list. The rest is as in `SeatsHeld`.
    """

    hold_id: bytes
    customer: bytes
    seats: Seats
    prices: Prices
    expires_at_us: int
    book_version: int = 0
    taken: int = 0
    channel: int = 0


Offers = tuple[Offer, ...]
"""What an event that frees seats offers of the free seats, in the order of the wait list."""


class HoldReleased(Event, frozen=True, gc=False, array_like=True, tag=3):
    """`released` are free again; `seats` stay held, and the hold ended if there are none."""

    hold_id: bytes
    customer: bytes
    released: Seats
    released_prices: Prices
    seats: Seats
    prices: Prices
    expires_at_us: int
    offers: Offers = ()


class HoldExpired(Event, frozen=True, gc=False, array_like=True, tag=4):
    """A hold's deadline passed; its seats are free again."""

    hold_id: bytes
    seats: Seats
    offers: Offers = ()


class OrderLine(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A line of an order beside its seats.

    `kind` is `group_discount`, `promo`, `fee`, `product` or `tax`. Discounts have negative amounts,
    which are in the prices of the seats already; fees and products add to these. The amount of a
    tax is part of `gross_minor`, which are all lines with its `rate`, hundredths of a percent.
    """

    kind: str
    code: str
    name: str
    amount_minor: int
    quantity: int = 1
    refundable: bool = False
    rate: int = 0
    gross_minor: int = 0
    tax_minor: int = 0


class SoldBy(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What prices follow from besides the price book, as it was before it changed.

    `categories` are the former ones of held seats, by label, where they are others now.
    """

    movie_id: bytes
    base_price_minor: int
    price_overrides: tuple[tuple[str, int], ...]
    format: str
    starts_at_us: int
    seat_count: int
    categories: tuple[tuple[str, str], ...] = ()


class HoldBooked(Event, frozen=True, gc=False, array_like=True, tag=5):
    """A hold became a booking.

    `pending` if it waited for its payment before: then its rows exist. Such a hold may have ended
    meanwhile, if its seats were still free when the payment came.

    `prices` are what each seat costs after all discounts. `fees_minor` is paid beside them, fees
    and products. `fees_tax_minor` of it is no income from fees: the tax in the fees, and all that
    products cost. `tax_minor` is the tax in all that is paid. `types` are those of the
    tickets, none if all are for adults, and `taxes` the tax in each price, none if there is none.
    A pending booking has these and the `lines` in its rows. `promo_code` is one that was used.

    The hold was priced by `book_version` of the price book at `priced_at_us`, when `taken` seats
    were held or booked; zeros without a book. `sold_by` is what its prices follow from besides, if
    that is no longer in the terms. `channel` is the one that sells the seats of a hold that had
    ended, 0 without quotas.
    """

    hold_id: bytes
    customer: bytes
    seats: Seats
    prices: Prices
    booking_id: bytes
    code: str
    payment_id: bytes
    payment_method: str
    currency: str
    pending: bool = False
    fees_minor: int = 0
    tax_minor: int = 0
    fees_tax_minor: int = 0
    types: tuple[str, ...] = ()
    taxes: Prices = ()
    lines: tuple[OrderLine, ...] = ()
    promo_code: str = ""
    book_version: int = 0
    priced_at_us: int = 0
    taken: int = 0
    sold_by: SoldBy | None = None
    channel: int = 0


class BookingCancelled(Event, frozen=True, gc=False, array_like=True, tag=6):
    """`cancelled` are free again; `seats` stay booked, and the booking ended if there are none.

    `refund_minor` goes back, -1 for what the cancelled seats have cost: read `refund_of`. Of it,
    `products_minor` is for products of the booking. In an exchange for seats of another
    showtime, `carried_minor` of it pays for these.
    """

    booking_id: bytes
    customer: bytes
    cancelled: Seats
    cancelled_prices: Prices
    seats: Seats
    prices: Prices
    refund_minor: int = -1
    products_minor: int = 0
    exchange_id: bytes = b""
    carried_minor: int = 0
    offers: Offers = ()


def refund_of(event: BookingCancelled) -> int:
    """What is to go back with a cancellation; what was paid is a bound that others know."""
    return sum(event.cancelled_prices) if event.refund_minor < 0 else event.refund_minor


class SeatsBlocked(Event, frozen=True, gc=False, array_like=True, tag=7):
    """Free seats were taken off sale."""

    seats: Seats


class SeatsUnblocked(Event, frozen=True, gc=False, array_like=True, tag=8):
    """Blocked seats were put back on sale; none, if quotas were released."""

    seats: Seats
    offers: Offers = ()


class SalesPaused(Event, frozen=True, gc=False, array_like=True, tag=9):
    """New holds are refused from here on."""


class SalesResumed(Event, frozen=True, gc=False, array_like=True, tag=10):
    """New holds are accepted from here on."""

    offers: Offers = ()


class ShowConditions(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What a showtime sells and when, as its row in the catalogue has it.

    `price_overrides` gives categories a price of their own, minor units; `rules` is the JSON of the
    rules that the showtime has of its own; `local_date` is the day of the start at the cinema.
    """

    movie_id: bytes
    screen_id: bytes
    starts_at_us: int
    ends_at_us: int
    clear_at_us: int
    local_date: str
    base_price_minor: int
    price_overrides: tuple[tuple[str, int], ...]
    format: str
    language: str
    sales_opens_at_us: int
    sales_closes_at_us: int
    rules: str


class TermsChanged(Event, frozen=True, gc=False, array_like=True, tag=12):
    """The showtime is sold by other terms from here on; holds keep what they were quoted.

    `version` is that of its row. `promised_start_us` is the start that its customers count on;
    until `free_refund_until_us` (0: there is no such time) they may give all of it back.
    `told_starts_us` are the earliest and the latest start at which those who have seats now may
    have got them; zeros from builds that did not say it. The job `job_id` tells those who have
    booked; it is empty if they need not be told, or there are none. `before` is for those who hold
    seats now: their prices stay. It was changed `by` a user, or by nobody who is known.
    """

    version: int
    conditions: ShowConditions
    promised_start_us: int
    free_refund_until_us: int
    told_starts_us: tuple[int, int] = (0, 0)
    job_id: bytes = b""
    before: SoldBy | None = None
    offers: Offers = ()
    by: bytes = b""


class PlanChanged(Event, frozen=True, gc=False, array_like=True, tag=11):
    """Another plan version is pinned; `mapping` gives each old seat's new index or -1.

    `terms_version` is the version of the showtime's row, 0 from builds that did not raise it.
    `moved` says what else changed if the plan is that of another screen; otherwise `before` is as
    in `TermsChanged`, and so is `by`. `offers` are seats of the new plan; those of `moved` are
    empty.
    """

    old_layout_version: int
    layout_version: int
    seat_count: int
    mapping: tuple[int, ...]
    terms_version: int = 0
    moved: TermsChanged | None = None
    before: SoldBy | None = None
    offers: Offers = ()
    by: bytes = b""


class ShowtimeCancelled(Event, frozen=True, gc=False, array_like=True, tag=13):
    """The showtime does not take place: `holds` end, and their `seats` are free again.

    `bookings` so many are still to be cancelled, which the job `job_id` does. `unpaid` are the
    bookings of those holds that were being paid: they end with the event, and the job tells their
    customers. It is empty if there are none of either. `version` is that of the showtime's row,
    `by` as in `TermsChanged`.
    """

    version: int
    reason: str
    holds: tuple[bytes, ...]
    seats: Seats
    bookings: int
    job_id: bytes
    unpaid: tuple[bytes, ...] = ()
    by: bytes = b""


class PaymentStarted(Event, frozen=True, gc=False, array_like=True, tag=14):
    """A live hold waits for its payment, as the pending booking `booking_id`.

    `prices` are those of the booking. It should be paid until `pay_until_us`. The seats are freed
    when the payment is certainly not coming, or at `expires_at_us` whatever comes. If it is to be
    paid `before_start_s` before the start, both move with the start; otherwise that is -1. The rest
    is as in `HoldBooked`.
    """

    hold_id: bytes
    customer: bytes
    seats: Seats
    prices: Prices
    expires_at_us: int
    pay_until_us: int
    booking_id: bytes
    code: str
    payment_id: bytes
    payment_method: str
    currency: str
    before_start_s: int = -1
    fees_minor: int = 0
    tax_minor: int = 0
    fees_tax_minor: int = 0
    types: tuple[str, ...] = ()
    taxes: Prices = ()
    lines: tuple[OrderLine, ...] = ()
    promo_code: str = ""
    book_version: int = 0
    priced_at_us: int = 0
    taken: int = 0
    sold_by: SoldBy | None = None


class PaymentEnded(Event, frozen=True, gc=False, array_like=True, tag=15):
    """A pending booking was not paid: its hold ended, and its seats are free again.

    `expired` if its time was over, otherwise its customer gave it up.
    """

    hold_id: bytes
    customer: bytes
    seats: Seats
    prices: Prices
    booking_id: bytes
    expired: bool
    offers: Offers = ()


class PaymentReturned(Event, frozen=True, gc=False, array_like=True, tag=16):
    """Money that came for a pending booking goes back: from here on nothing books it.

    `seats` and `prices` are those of its hold. If it `waited` for its payment, it ends, and its
    seats are free again. Otherwise it had ended before, as `expired` or given up.
    """

    hold_id: bytes
    customer: bytes
    seats: Seats
    prices: Prices
    booking_id: bytes
    waited: bool
    expired: bool = False
    offers: Offers = ()


class HoldUsed(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Seats of a live hold that went into a booking; `seats` stay held, and it ended if none do."""

    hold_id: bytes
    used: Seats
    seats: Seats
    prices: Prices


class SeatsChanged(Event, frozen=True, gc=False, array_like=True, tag=17):
    """Tickets of a booking are for other seats from here on: those of `left` for those of `chosen`.

    They are in the same order; a seat may be in both, for another ticket. `seats` and `prices` are
    those of the whole booking afterwards. `holds` are those in which chosen seats were held.
    `types` and `taxes` are those of the chosen seats, as in `HoldBooked`.

    What the chosen seats cost more was paid as `payment_id`, with `tax_minor` in it. If they cost
    less, `refund_minor` goes back.
    """

    booking_id: bytes
    customer: bytes
    left: Seats
    left_prices: Prices
    chosen: Seats
    chosen_prices: Prices
    seats: Seats
    prices: Prices
    currency: str
    holds: tuple[HoldUsed, ...] = ()
    types: tuple[str, ...] = ()
    taxes: Prices = ()
    payment_id: bytes = b""
    payment_method: str = ""
    tax_minor: int = 0
    refund_minor: int = 0
    offers: Offers = ()


class WaitlistJoined(Event, frozen=True, gc=False, array_like=True, tag=18):
    """A customer waits for seats, at `position` from 1, behind all who waited already.

    The other fields are as in `JoinWaitlist`.
    """

    entry_id: bytes
    customer: bytes
    quantity: int
    category: str | None
    accessible: bool
    together: bool
    position: int


class WaitlistLeft(Event, frozen=True, gc=False, array_like=True, tag=19):
    """A customer waits no longer, of their own accord."""

    entry_id: bytes
    customer: bytes


def paid_more(event: SeatsChanged) -> int:
    """What was paid with a change of seats."""
    return max(0, sum(event.chosen_prices) - sum(event.left_prices))


AnyEvent = (
    SeatsHeld
    | HoldExtended
    | HoldReleased
    | HoldExpired
    | HoldBooked
    | BookingCancelled
    | SeatsBlocked
    | SeatsUnblocked
    | SalesPaused
    | SalesResumed
    | PlanChanged
    | TermsChanged
    | ShowtimeCancelled
    | PaymentStarted
    | PaymentEnded
    | PaymentReturned
    | SeatsChanged
    | WaitlistJoined
    | WaitlistLeft
)

Offering = (
    HoldReleased
    | HoldExpired
    | BookingCancelled
    | SeatsUnblocked
    | SalesResumed
    | PlanChanged
    | TermsChanged
    | PaymentEnded
    | PaymentReturned
    | SeatsChanged
)
"""The events by which seats become free for those who wait, who get them in the same event."""


class Recorded(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An event as the journal stores it: with the command that caused it.

    `command_id` is empty for what the clock caused; `fingerprint` is empty without a client's key.
    """

    command_id: bytes
    fingerprint: bytes
    event: AnyEvent


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Recorded).decode


def encode_recorded(command_id: bytes, fingerprint: bytes, event: AnyEvent) -> bytes:
    """The journal payload of one event."""
    return _encode((command_id, fingerprint, event))


def decode_recorded(payload: bytes) -> Recorded:
    """The event of a journal payload; raises `msgspec.DecodeError` on a damaged one."""
    return _decode(payload)
