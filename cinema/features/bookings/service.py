"""Bookings: book a hold, read bookings, cancel them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final
from uuid import UUID

import msgspec

from cinema.actors.asking import NOT_FOUND, command_key, refusal_of
from cinema.actors.dispatch import Dispatch
from cinema.actors.messages import Accepted, Outcome
from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.paging import BY_MOMENT, Page, after, page
from cinema.domain.principal import ADMIN, GUEST, Principal
from cinema.domain.rejections import Rejection, refuse
from cinema.domain.showtime.commands import BookHold, CancelBooking
from cinema.domain.showtime.events import BookingCancelled, HoldBooked
from cinema.domain.times import from_us, to_us
from cinema.features.accounts.authority import COUNTER_ROLES, serves
from cinema.features.accounts.shapes import email_key, tidy_email
from cinema.features.accounts.throttles import Throttles
from cinema.features.bookings.order_store import NewOrder, OrdersRepository
from cinema.features.bookings.shapes import Booking, BookingInput, BookingQuery, Payment
from cinema.features.bookings.store import BookingsRepository, Sale
from cinema.features.refusals import found, granted
from cinema.features.seats.service import held_seats, money

CODE_ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
CODE_CHARS: Final = 8
"""Booking codes are read out and typed: no letters that look or sound alike."""

LANGUAGE_CHARS: Final = 100
"""How much of `Accept-Language` is kept; the best language comes first."""

EMAIL_NEEDED: Final = "A guest's booking needs an e-mail address: the link to it is sent there."
NO_EMAIL_NEEDED: Final = "Only guests send an e-mail address: your account has one."


class BookingsService:
    """Use cases of bookings; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        dispatch: Dispatch,
        bookings: BookingsRepository,
        orders: OrdersRepository,
        throttles: Throttles,
        *,
        demo_payment: bool,
        next_id: Callable[[], bytes],
    ) -> None:
        self._dispatch = dispatch
        self._bookings = bookings
        self._orders = orders
        self._throttles = throttles
        self._demo_payment = demo_payment
        self._next_id = next_id

    async def book(
        self,
        principal: Principal,
        request: BookingInput,
        key: IdempotencyKey | None,
        language: str = "",
    ) -> Booking:
        """Turn a hold into a booking. Refuses payment methods that the caller may not use.

        A guest gets a mail, in the first supported language of `language` (an `Accept-Language`).
        The mail is recorded before the hold is booked, so that a crash in between loses nothing.
        """
        booking_id = UUID(bytes=self._next_id())
        if principal.role != GUEST:
            if request.email is not None:
                raise refuse("VALIDATION_ERROR", NO_EMAIL_NEEDED, path="$.email")
            await self._check_payment(principal, request)
            return await self._book(principal, request, key, booking_id)
        email, unique = _address(request.email)
        await self._check_payment(principal, request)
        guest_id, now = UUID(bytes=principal.user_id), from_us(self._dispatch.clock.now_us())
        async with self._throttles.guest_sale(unique):
            new = NewOrder(
                booking_id=booking_id,
                guest_id=guest_id,
                email=email,
                email_key=unique,
                language=language.encode("ascii", "ignore").decode()[:LANGUAGE_CHARS],
                at=now,
            )
            await self._orders.expect(new)
            return await self._book(principal, request, key, booking_id)

    async def _book(
        self,
        principal: Principal,
        request: BookingInput,
        key: IdempotencyKey | None,
        booking_id: UUID,
    ) -> Booking:
        showtime_id = request.showtime_id
        if key is not None:
            # The key is valid for all showtimes, but each showtime knows only its own keys.
            now = from_us(self._dispatch.clock.now_us())
            if not await self._bookings.reserve_key(key.digest, showtime_id, now):
                raise refuse("IDEMPOTENCY_MISMATCH")
        command_id, fingerprint = command_key(key)
        command = BookHold(
            command_id=command_id,
            fingerprint=fingerprint,
            hold_id=request.hold_id.bytes,
            customer=principal.user_id,
            booking_id=booking_id.bytes,
            code="".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_CHARS)),
            payment_id=self._next_id(),
            payment_method=request.payment.method,
        )
        outcome = await self._dispatch.ask(showtime_id.bytes, command)
        for guest in principal.guest_ids:
            if outcome != NOT_FOUND:
                break
            # A hold of a guest that the caller has claimed is booked in the name of the guest.
            command = msgspec.structs.replace(command, customer=guest)
            outcome = await self._dispatch.ask(showtime_id.bytes, command)
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
        at_counter = serves(principal, sale.cinema_id)
        if UUID(bytes=principal.user_id) not in {sale.user_id, sale.claimed_by} and not at_counter:
            raise refuse("NOT_FOUND")
        customer = None if at_counter else sale.user_id
        return await self._cancel(booking_id, sale, customer, labels, key)

    async def ordered(self, booking_id: UUID) -> Booking:
        """A booking, for a caller who has shown the link to it."""
        return found(await self._bookings.find(booking_id, None))

    async def cancel_ordered(
        self, booking_id: UUID, labels: list[str] | None, key: IdempotencyKey | None
    ) -> Booking:
        """Cancel a booking or part of it, for a caller who has shown the link to it."""
        sale = found(await self._bookings.sale_of(booking_id))
        return await self._cancel(booking_id, sale, sale.user_id, labels, key)

    async def _cancel(
        self,
        booking_id: UUID,
        sale: Sale,
        customer: UUID | None,
        labels: list[str] | None,
        key: IdempotencyKey | None,
    ) -> Booking:
        """Cancel in the name of `customer`, None for the counter."""
        command_id, fingerprint = command_key(key)
        command = CancelBooking(
            command_id=command_id,
            fingerprint=fingerprint,
            booking_id=booking_id.bytes,
            customer=None if customer is None else customer.bytes,
            labels=labels,
        )
        outcome = await self._dispatch.ask(sale.showtime_id.bytes, command)
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


def _address(email: str | None) -> tuple[str, str]:
    """The e-mail address of a guest, and its unique form. Refuses VALIDATION_ERROR."""
    unique = None if email is None else email_key(email)
    if email is None or unique is None:
        text = "This is not an e-mail address." if email else EMAIL_NEEDED
        raise refuse("VALIDATION_ERROR", text, path="$.email")
    return tidy_email(email), unique


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
