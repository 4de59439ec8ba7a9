"""Seats of a showtime for one caller: see, hold, extend, release, book, cancel."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

import msgspec

from cinema.actors.dispatch import Dispatch
from cinema.actors.messages import (
    Accepted,
    HoldSeen,
    NoShowtime,
    Outcome,
    ReadSeats,
    SeatsSeen,
    Unavailable,
)
from cinema.domain.accounts import ADMIN
from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.ids import format_id
from cinema.domain.money import Money
from cinema.domain.rejections import Rejection, refuse
from cinema.domain.reservations import (
    Booking,
    BookingInput,
    BookingQuery,
    HeldSeat,
    Hold,
    HoldInput,
    Payment,
)
from cinema.domain.showtime.commands import (
    AnyCommand,
    BookHold,
    CancelBooking,
    ExtendHold,
    HoldBestAvailable,
    HoldSeats,
    ReleaseHold,
)
from cinema.domain.showtime.events import (
    AnyEvent,
    BookingCancelled,
    HoldBooked,
    HoldExtended,
    HoldReleased,
    Prices,
    Seats,
    SeatsHeld,
)
from cinema.domain.showtime.state import HoldStatus
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.domain.times import to_us
from cinema.services.authority import COUNTER_ROLES, serves
from cinema.services.ids import IdSource
from cinema.services.paging import BY_MOMENT, after, page
from cinema.services.shapes import Page
from cinema.services.tokens import Principal
from cinema.storage.bookings import BookingsRepository, Sale

CODE_ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
CODE_CHARS: Final = 8
"""Booking codes are read out and typed: no letters that look or sound alike."""

SEATS_SHOWN_KEPT: Final = 16_384
"""Seats kept as they are shown, alike in all showtimes; making one takes longer than a look-up."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_NOWHERE: Final[frozenset[bytes]] = frozenset()

_NOT_FOUND: Final = Rejection(code="NOT_FOUND")
_INTERNAL: Final = Rejection(code="INTERNAL")


class UnpaidLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Seats one may hold unpaid over all showtimes; the settings of the same names say more."""

    unpaid_seats_per_customer: int = 20
    unpaid_seats_per_unverified: int = 10
    unpaid_seats_per_staff: int = 200


class SeatsService:
    """Use cases of one showtime's seats; each answers a shape or a `Rejection`."""

    def __init__(
        self,
        dispatch: Dispatch,
        bookings: BookingsRepository,
        *,
        demo_payment: bool,
        unpaid: UnpaidLimits,
    ) -> None:
        self._dispatch = dispatch
        self._bookings = bookings
        self._demo_payment = demo_payment
        self._unpaid = unpaid
        self._now_us: Callable[[], int] = dispatch.clock.now_us
        self._next_id = IdSource(self._now_us).next_id

    @property
    def dispatch(self) -> Dispatch:
        """The way to the showtimes."""
        return self._dispatch

    # --- seats

    async def seats(self, showtime_id: bytes, customer: bytes | None) -> SeatsSeen | Rejection:
        """The seat map as it is now; a showtime nobody uses is read without waking it."""
        outcome = await self._dispatch.read_seats(showtime_id, ReadSeats(customer=customer))
        if isinstance(outcome, SeatsSeen):
            return outcome
        return refusal_of(outcome)

    async def exists(self, showtime_id: bytes) -> bool:
        """Whether there is such a showtime."""
        return await self._dispatch.exists(showtime_id)

    # --- holds

    def hold_command(
        self, principal: Principal, request: HoldInput, key: IdempotencyKey | None
    ) -> AnyCommand:
        """The command of a request to hold; staff have those of a till at their cinemas."""
        customer, limits = principal.user_id, self._unpaid
        by_staff = principal.role == ADMIN
        staff_cinemas = principal.cinema_ids if principal.role in COUNTER_ROLES else _NOWHERE
        if by_staff:
            unpaid_limit = limits.unpaid_seats_per_staff
        elif principal.verified:
            unpaid_limit = limits.unpaid_seats_per_customer
        else:
            unpaid_limit = limits.unpaid_seats_per_unverified
        hold_id = self._next_id()
        if key is None:
            command_id, fingerprint = hold_id, b""
        else:
            command_id, fingerprint = key.digest, key.fingerprint
        if request.seats is not None:
            return HoldSeats(
                command_id=command_id,
                fingerprint=fingerprint,
                hold_id=hold_id,
                customer=customer,
                labels=request.seats,
                unpaid_limit=unpaid_limit,
                by_staff=by_staff,
                staff_cinemas=staff_cinemas,
                staff_unpaid_limit=limits.unpaid_seats_per_staff,
            )
        wanted = request.best_available
        if wanted is None:
            raise refuse("VALIDATION_ERROR")
        return HoldBestAvailable(
            command_id=command_id,
            fingerprint=fingerprint,
            hold_id=hold_id,
            customer=customer,
            quantity=wanted.quantity,
            category=wanted.category,
            accessible=wanted.accessible,
            unpaid_limit=unpaid_limit,
            by_staff=by_staff,
            staff_cinemas=staff_cinemas,
            staff_unpaid_limit=limits.unpaid_seats_per_staff,
        )

    # --- bookings

    async def book(
        self, principal: Principal, request: BookingInput, key: IdempotencyKey | None
    ) -> Booking | Rejection:
        """Turn a hold into a booking. Refuses payment methods that are not for the caller."""
        await self._check_payment(principal, request)
        showtime_id = request.showtime_id.bytes
        if key is not None:
            # The key's scope is all showtimes, each of which knows only its own keys.
            now = _moment(self._now_us())
            if not await self._bookings.reserve_key(key.digest, showtime_id, now):
                return Rejection(code="IDEMPOTENCY_MISMATCH")
        command_id, fingerprint = _command_key(key)
        outcome = await self._dispatch.ask(
            showtime_id,
            BookHold(
                command_id=command_id,
                fingerprint=fingerprint,
                hold_id=request.hold_id.bytes,
                customer=principal.user_id,
                booking_id=self._next_id(),
                code="".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_CHARS)),
                payment_id=self._next_id(),
                payment_method=request.payment.method,
            ),
        )
        if isinstance(outcome, Accepted) and isinstance(outcome.event, HoldBooked):
            return _booking_of(outcome, outcome.event)
        return refusal_of(outcome)

    async def booking(self, principal: Principal, booking_id: bytes) -> Booking | Rejection:
        """A booking of the caller's own; staff see anybody's at their cinemas, admins all."""
        owner = None if principal.role == ADMIN else principal.user_id
        cinemas = principal.cinema_ids if principal.role in COUNTER_ROLES else ()
        return await self._bookings.find(booking_id, owner, cinemas) or _NOT_FOUND

    async def bookings(self, principal: Principal, query: BookingQuery) -> Page[Booking]:
        """The caller's bookings, newest first."""
        position = after(query.cursor, BY_MOMENT)
        rows = await self._bookings.list_of_user(
            principal.user_id,
            when=query.when,
            now=_moment(self._now_us()),
            after=None if position is None else (_moment(position[0]), position[1]),
            limit=query.limit + 1,
        )
        return page(rows, query.limit, lambda one: (to_us(one.created_at), one.id))

    async def cancel(
        self,
        principal: Principal,
        booking_id: bytes,
        labels: list[str] | None,
        key: IdempotencyKey | None,
    ) -> Booking | Rejection:
        """Cancel a booking or part of it; staff of its cinema may for anybody, and after the start.

        To other cinemas' staff it is as unknown as to other customers.
        """
        sale = await self._bookings.sale_of(booking_id)
        if sale is None:
            return _NOT_FOUND
        showtime_id = sale.showtime_id
        at_counter = serves(principal, sale.cinema_id)
        if sale.user_id != principal.user_id and not at_counter:
            return _NOT_FOUND
        command_id, fingerprint = _command_key(key)
        outcome = await self._dispatch.ask(
            showtime_id,
            CancelBooking(
                command_id=command_id,
                fingerprint=fingerprint,
                booking_id=booking_id,
                customer=None if at_counter else principal.user_id,
                labels=labels,
            ),
        )
        if isinstance(outcome, Accepted) and isinstance(outcome.event, BookingCancelled):
            return _cancelled(outcome, outcome.event, sale)
        return refusal_of(outcome)

    async def _check_payment(self, principal: Principal, request: BookingInput) -> None:
        method = request.payment.method
        if method == "counter":
            if principal.role not in COUNTER_ROLES:
                raise refuse("FORBIDDEN", "Only staff can take money at the counter.")
            cinema_id = await self._bookings.cinema_of(request.showtime_id.bytes)
            if cinema_id is not None and not serves(principal, cinema_id):
                raise refuse("FORBIDDEN", "You do not work at this showtime's cinema.")
        elif method != "demo" or not self._demo_payment:
            raise refuse("UNKNOWN_PAYMENT_METHOD", method=method)
        if request.promo_code is not None:
            raise refuse("UNKNOWN_PROMO_CODE")


def extend_command(customer: bytes, hold_id: bytes, key: IdempotencyKey | None) -> ExtendHold:
    """The command of a request to extend."""
    command_id, fingerprint = _command_key(key)
    return ExtendHold(
        command_id=command_id, fingerprint=fingerprint, hold_id=hold_id, customer=customer
    )


def release_command(
    customer: bytes, hold_id: bytes, labels: list[str] | None, key: IdempotencyKey | None
) -> ReleaseHold:
    """The command of a request to release."""
    command_id, fingerprint = _command_key(key)
    return ReleaseHold(
        command_id=command_id,
        fingerprint=fingerprint,
        hold_id=hold_id,
        customer=customer,
        labels=labels,
    )


def hold_of(outcome: Outcome) -> Hold | Rejection:
    """The hold that an outcome shows, or why there is none."""
    if isinstance(outcome, Accepted):
        return _hold_of_event(outcome, outcome.event)
    if isinstance(outcome, HoldSeen):
        group = outcome.group
        return _hold(
            outcome.terms,
            outcome.hold_id,
            outcome.status,
            group.seats,
            group.prices,
            group.expires_at_us,
            outcome.epoch,
            outcome.seq,
        )
    return refusal_of(outcome)


def refusal_of(outcome: Outcome) -> Rejection:
    """The refusal of an outcome that is not the answer hoped for."""
    match outcome:
        case Rejection():
            return outcome
        case Unavailable(code, retry_after_s):
            if code == _INTERNAL.code:
                return _INTERNAL
            return Rejection(code=code, details={"retry_after_s": retry_after_s})
        case NoShowtime():
            return _NOT_FOUND
        case _:
            raise TypeError(f"{type(outcome).__name__} is no answer to this request")


def _hold_of_event(accepted: Accepted, event: AnyEvent | None) -> Hold:
    status: HoldStatus
    match event:
        case SeatsHeld() | HoldExtended():
            status, seats, prices = "active", event.seats, event.prices
        case HoldReleased() if event.seats:
            status, seats, prices = "active", event.seats, event.prices
        case HoldReleased():
            status, seats, prices = "released", event.released, event.released_prices
        case _:
            raise TypeError(f"{type(event).__name__} shows no hold")
    return _hold(
        accepted.terms,
        event.hold_id,
        status,
        seats,
        prices,
        event.expires_at_us,
        accepted.epoch,
        accepted.seq,
    )


def _hold(
    terms: ShowtimeTerms,
    hold_id: bytes,
    status: HoldStatus,
    seats: Seats,
    prices: Prices,
    expires_at_us: int,
    epoch: int,
    seq: int,
) -> Hold:
    return Hold(
        format_id(hold_id),
        _showtime_text(terms.showtime_id),
        status,
        held_seats(terms, seats, prices),
        money(sum(prices), terms.currency),
        _moment(expires_at_us),
        epoch,
        seq,
    )


def held_seats(terms: ShowtimeTerms, seats: Seats, prices: Prices) -> list[HeldSeat]:
    """Seats as a client sees them."""
    plan, currency = terms.plan, terms.currency
    labels, categories, category_of = plan.labels, plan.categories, plan.category_of
    return [
        _held_seat(labels[seat], categories[category_of[seat]], price, currency)
        for seat, price in zip(seats, prices, strict=True)
    ]


@lru_cache(maxsize=SEATS_SHOWN_KEPT)
def _held_seat(label: str, category: str, price_minor: int, currency: str) -> HeldSeat:
    return HeldSeat(label, category, money(price_minor, currency))


@lru_cache(maxsize=4096)
def money(amount_minor: int, currency: str) -> Money:
    """An amount; a cinema has few different ones."""
    return Money(amount_minor, currency)


def _booking_of(accepted: Accepted, event: HoldBooked) -> Booking:
    terms = accepted.terms
    total = money(sum(event.prices), event.currency)
    return Booking(
        id=format_id(event.booking_id),
        code=event.code,
        showtime_id=format_id(terms.showtime_id),
        status="confirmed",
        seats=held_seats(terms, event.seats, event.prices),
        total=total,
        created_at=_moment(accepted.at_us),
        payment=Payment(format_id(event.payment_id), event.payment_method, "succeeded", total),
    )


_showtime_text: Final = lru_cache(maxsize=4096)(format_id)


def _cancelled(accepted: Accepted, event: BookingCancelled, sale: Sale) -> Booking:
    """The booking behind a cancellation: from the event, for the database may be away by now."""
    terms = accepted.terms
    whole = not event.seats
    seats, prices = event.seats, event.prices
    if whole:
        seats, prices = event.cancelled, event.cancelled_prices
    refunded_minor = sale.amount_minor - sum(event.prices)
    return Booking(
        id=format_id(event.booking_id),
        code=sale.code,
        showtime_id=format_id(terms.showtime_id),
        status="cancelled" if whole else "confirmed",
        seats=held_seats(terms, seats, prices),
        total=money(sum(prices), sale.currency),
        created_at=sale.created_at,
        payment=Payment(
            sale.payment_id,
            sale.method,
            "refunded" if whole else "partially_refunded",
            money(sale.amount_minor, sale.currency),
            money(refunded_minor, sale.currency),
        ),
    )


@lru_cache(maxsize=256)
def _moment(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_us)


def _command_key(key: IdempotencyKey | None) -> tuple[bytes, bytes]:
    if key is None:
        return secrets.token_bytes(16), b""
    return key.digest, key.fingerprint
