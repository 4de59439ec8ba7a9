"""Bookings: book a hold, read bookings, cancel them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final
from uuid import UUID

from cinema.actors.asking import command_key, refusal_of
from cinema.actors.dispatch import Dispatch
from cinema.actors.messages import Accepted, Outcome
from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.paging import BY_MOMENT, Page, after, page
from cinema.domain.principal import ADMIN, Principal
from cinema.domain.rejections import Rejection, refuse
from cinema.domain.showtime.commands import BookHold, CancelBooking
from cinema.domain.showtime.events import BookingCancelled, HoldBooked
from cinema.domain.times import from_us, to_us
from cinema.features.accounts.authority import COUNTER_ROLES, serves
from cinema.features.bookings.shapes import Booking, BookingInput, BookingQuery, Payment
from cinema.features.bookings.store import BookingsRepository, Sale
from cinema.features.refusals import found, granted
from cinema.features.seats.service import held_seats, money

CODE_ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
CODE_CHARS: Final = 8
"""Booking codes are read out and typed: no letters that look or sound alike."""


class BookingsService:
    """Use cases of bookings; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        dispatch: Dispatch,
        bookings: BookingsRepository,
        *,
        demo_payment: bool,
        next_id: Callable[[], bytes],
    ) -> None:
        self._dispatch = dispatch
        self._bookings = bookings
        self._demo_payment = demo_payment
        self._next_id = next_id

    async def book(
        self, principal: Principal, request: BookingInput, key: IdempotencyKey | None
    ) -> Booking:
        """Turn a hold into a booking. Refuses payment methods that the caller may not use."""
        await self._check_payment(principal, request)
        showtime_id = request.showtime_id
        if key is not None:
            # The key is valid for all showtimes, but each showtime knows only its own keys.
            now = from_us(self._dispatch.clock.now_us())
            if not await self._bookings.reserve_key(key.digest, showtime_id, now):
                raise refuse("IDEMPOTENCY_MISMATCH")
        command_id, fingerprint = command_key(key)
        outcome = await self._dispatch.ask(
            showtime_id.bytes,
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
        return granted(_booked(outcome))

    async def booking(self, principal: Principal, booking_id: UUID) -> Booking:
        """A booking of the caller; staff see all bookings of their cinemas, admins all."""
        owner = None if principal.role == ADMIN else UUID(bytes=principal.user_id)
        cinema_ids = principal.cinema_ids if principal.role in COUNTER_ROLES else ()
        return found(
            await self._bookings.find(booking_id, owner, [UUID(bytes=one) for one in cinema_ids])
        )

    async def bookings(self, principal: Principal, query: BookingQuery) -> Page[Booking]:
        """The caller's bookings, newest first."""
        position = granted(after(query.cursor, BY_MOMENT))
        rows = await self._bookings.list_of_user(
            UUID(bytes=principal.user_id),
            when=query.when,
            now=from_us(self._dispatch.clock.now_us()),
            after=None if position is None else (from_us(position[0]), position[1]),
            limit=query.limit + 1,
        )
        return page(rows, query.limit, lambda one: (to_us(one.created_at), one.id))

    async def cancel(
        self,
        principal: Principal,
        booking_id: UUID,
        labels: list[str] | None,
        key: IdempotencyKey | None,
    ) -> Booking:
        """Cancel a booking or part of it; staff of its cinema may too, and also after the start.

        Staff of other cinemas get NOT_FOUND, as other customers do.
        """
        sale = found(await self._bookings.sale_of(booking_id))
        showtime_id = sale.showtime_id
        at_counter = serves(principal, sale.cinema_id)
        if sale.user_id.bytes != principal.user_id and not at_counter:
            raise refuse("NOT_FOUND")
        command_id, fingerprint = command_key(key)
        outcome = await self._dispatch.ask(
            showtime_id.bytes,
            CancelBooking(
                command_id=command_id,
                fingerprint=fingerprint,
                booking_id=booking_id.bytes,
                customer=None if at_counter else principal.user_id,
                labels=labels,
            ),
        )
        return granted(_cancelled(outcome, sale))

    async def _check_payment(self, principal: Principal, request: BookingInput) -> None:
        method = request.payment.method
        if method == "counter":
            if principal.role not in COUNTER_ROLES:
                raise refuse("FORBIDDEN", "Only staff can take money at the counter.")
            cinema_id = await self._bookings.cinema_of(request.showtime_id)
            if cinema_id is not None and not serves(principal, cinema_id):
                raise refuse("FORBIDDEN", "You do not work at this showtime's cinema.")
        elif method != "demo" or not self._demo_payment:
            raise refuse("UNKNOWN_PAYMENT_METHOD", method=method)
        if request.promo_code is not None:
            raise refuse("UNKNOWN_PROMO_CODE")


def _booked(outcome: Outcome) -> Booking | Rejection:
    """The booking in an outcome; refuses if the outcome is a refusal."""
    if not isinstance(outcome, Accepted) or not isinstance(outcome.event, HoldBooked):
        return refusal_of(outcome)
    accepted, event = outcome, outcome.event
    terms = accepted.terms
    total = money(sum(event.prices), event.currency)
    return Booking(
        id=UUID(bytes=event.booking_id),
        code=event.code,
        showtime_id=UUID(bytes=terms.showtime_id),
        status="confirmed",
        seats=held_seats(terms, event.seats, event.prices),
        total=total,
        created_at=from_us(accepted.at_us),
        payment=Payment(UUID(bytes=event.payment_id), event.payment_method, "succeeded", total),
    )


def _cancelled(outcome: Outcome, sale: Sale) -> Booking | Rejection:
    """The booking after a cancellation, made from the event: the database may be away by now."""
    if not isinstance(outcome, Accepted) or not isinstance(outcome.event, BookingCancelled):
        return refusal_of(outcome)
    accepted, event = outcome, outcome.event
    terms = accepted.terms
    whole = not event.seats
    seats, prices = event.seats, event.prices
    if whole:
        seats, prices = event.cancelled, event.cancelled_prices
    refunded_minor = sale.amount_minor - sum(event.prices)
    return Booking(
        id=UUID(bytes=event.booking_id),
        code=sale.code,
        showtime_id=UUID(bytes=terms.showtime_id),
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
