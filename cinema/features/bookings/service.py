"""Bookings: book a hold, read bookings, cancel them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Final
from uuid import UUID

import msgspec

from cinema.actors.asking import NOT_FOUND, command_key, refusal_of
from cinema.actors.dispatch import Dispatch
from cinema.actors.messages import (
    Accepted,
    HoldSeen,
    Outcome,
    ReadHold,
)
from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.paging import BY_MOMENT, Page, after, page
from cinema.domain.pricing.book import Channel, Promo
from cinema.domain.principal import GUEST, Principal
from cinema.domain.rejections import Refused, Rejection, refuse
from cinema.domain.showtime.commands import AbandonPayment, BookHold, CancelBooking, StartPayment
from cinema.domain.showtime.events import (
    BookingCancelled,
    PaymentEnded,
    refund_of,
)
from cinema.domain.showtime.sales import HOLD_CHANGED
from cinema.domain.times import from_us, to_us
from cinema.features.accounts.authority import COUNTER_ROLES, serves, sight_of
from cinema.features.accounts.shapes import Client, email_key
from cinema.features.accounts.throttles import Throttles
from cinema.features.accounts.user_store import Act
from cinema.features.bookings.billing_store import BillingRepository
from cinema.features.bookings.checks import (
    address_of_guest,
    check_members,
    check_tender,
    check_undisputed,
    check_until,
    check_unused,
)
from cinema.features.bookings.order_store import NewOrder, OrdersRepository
from cinema.features.bookings.outcomes import (
    booked,
    cancelled_booking,
    given_up,
    goes_on,
    may_use,
    paying,
)
from cinema.features.bookings.shapes import (
    Booking,
    BookingInput,
    BookingQuery,
)
from cinema.features.bookings.store import BookingsRepository, SoldBooking
from cinema.features.cashdesk.shapes import Tendered
from cinema.features.cashdesk.till_store import TillsRepository
from cinema.features.concessions.service import ConcessionsService
from cinema.features.giftcards.rules import Card
from cinema.features.giftcards.service import GiftCardsService, check_currency
from cinema.features.ledger.cards import check_code
from cinema.features.ledger.methods import COUNTER, COUNTER_LATER, FREE
from cinema.features.ledger.parts import PART_METHODS, POINTS
from cinema.features.ledger.refund_rules import Share
from cinema.features.ledger.rules import EXCHANGE, SERIES
from cinema.features.ledger.service import AttemptsService
from cinema.features.loyalty.service import LoyaltyService
from cinema.features.pricing.code_service import CodesService
from cinema.features.pricing.promo_store import terms_of
from cinema.features.pricing.rules import promo_of, types_of
from cinema.features.pricing.sale_service import SalesService
from cinema.features.pricing.shapes import PromoCode
from cinema.features.refusals import found, granted

CODE_ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
CODE_CHARS: Final = 8
"""Booking codes are read out and typed: no letters that look or sound alike."""

CODES: Final = len(CODE_ALPHABET) ** CODE_CHARS

UNPAID_RESERVATION_SEATS: Final = 10
"""Most seats in a reservation that is paid at the counter."""

PAID_BEFORE_START_S: Final = 1800
"""Reservations that nobody has paid so long before the start are given up, unless staff have said
otherwise."""

LANGUAGE_CHARS: Final = 100
"""How much of `Accept-Language` is kept; the best language comes first."""

QUOTES_A_BOOKING: Final = 3
"""How often a hold is quoted that changes while it is being booked."""

NO_EMAIL_NEEDED: Final = "Only guests send an e-mail address: your account has one."


class UnpaidBounds(msgspec.Struct, frozen=True, kw_only=True):
    """How many seats may be reserved and not paid, over all showtimes."""

    by_customer: int
    by_staff: int


class BookingsService:
    """Use cases of bookings; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        dispatch: Dispatch,
        bookings: BookingsRepository,
        orders: OrdersRepository,
        throttles: Throttles,
        attempts: AttemptsService,
        sales: SalesService,
        codes: CodesService,
        tills: TillsRepository,
        cards: GiftCardsService,
        loyalty: LoyaltyService,
        concessions: ConcessionsService,
        billing: BillingRepository,
        *,
        unpaid_seats: UnpaidBounds,
        next_id: Callable[[], bytes],
    ) -> None:
        self._dispatch = dispatch
        self._bookings = bookings
        self._orders = orders
        self._throttles = throttles
        self._attempts = attempts
        self._sales = sales
        self._codes = codes
        self._tills = tills
        self._cards = cards
        self._loyalty = loyalty
        self._concessions = concessions
        self._billing = billing
        self._unpaid_seats = unpaid_seats
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
            await self._expect_billing(request, booking_id)
            return await self._book(principal, request, key, booking_id)
        email, unique = address_of_guest(request.email)
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
            await self._expect_billing(request, booking_id)
            return await self._book(principal, request, key, booking_id)

    async def _expect_billing(self, request: BookingInput, booking_id: UUID) -> None:
        """Note who the invoice is for, before anything is sold. Refuses RETRY."""
        if request.billing is None:
            return
        try:
            now = from_us(self._dispatch.clock.now_us())
            await self._billing.put(booking_id, request.billing, now)
        except Refused as refused:
            if refused.rejection.code == "OUTCOME_UNKNOWN":
                # Nothing is booked: a note for a booking that is never made is deleted.
                raise refuse("RETRY") from None
            raise

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
        booking = BookHold(
            command_id=command_id,
            fingerprint=fingerprint,
            hold_id=request.hold_id.bytes,
            customer=principal.user_id,
            booking_id=booking_id.bytes,
            code=booking_code(),
            payment_id=self._next_id(),
            payment_method=request.payment.method,
        )
        payment_id = UUID(bytes=booking.payment_id)
        is_taken = request.payment.method == COUNTER and await self._take(
            principal, request, key, payment_id
        )
        card = await self._chosen_card(principal, request, key, payment_id)
        try:
            made = granted(booked(await self._sent(principal, request, booking, card)))
            if request.concessions:
                made = await self._with_code(made)
        except Refused as refused:
            # If it may have been sold all the same, the note stays, and the payment decides.
            if is_taken and refused.rejection.code != "OUTCOME_UNKNOWN":
                await self._tills.not_taken(payment_id)
            raise
        if is_taken and made.payment.id != payment_id:
            await self._tills.not_taken(payment_id)
        return made if made.status != "pending" else await self._begun(made)

    async def _with_code(self, made: Booking) -> Booking:
        """A new booking with the code by which its products are handed out.

        It is booked: if the database is away now, whoever asks for the booking is told the code.
        """
        with suppress(Refused):
            pick_up = await self._concessions.pick_up_of(made.id)
            return msgspec.structs.replace(made, pick_up=pick_up)
        return made

    async def _chosen_card(
        self,
        principal: Principal,
        request: BookingInput,
        key: IdempotencyKey | None,
        payment_id: UUID,
    ) -> Card | None:
        """The card that pays, noted before the booking is made; None for other methods.

        Also for a repetition behind the last use of a card. Refuses RATE_LIMITED,
        UNKNOWN_GIFT_CARD, GIFT_CARD_UNUSABLE, RETRY.
        """
        if request.payment.code is None:
            return None
        try:
            known = await self._cards.usable(request.payment.code, principal.user_id)
        except Refused:
            if key is None or not await self._bookings.was_booked_by(key.digest):
                raise
            return None
        await self._cards.choose(payment_id, known.id)
        return known.card

    async def _sent(
        self,
        principal: Principal,
        request: BookingInput,
        booking: BookHold,
        card: Card | None,
    ) -> Outcome:
        """What the showtime says to the booking; codes that it does not use go back."""
        booking_id, reserved = UUID(bytes=booking.booking_id), False
        has_code = False
        answer: Outcome = HOLD_CHANGED
        try:
            for _ in range(QUOTES_A_BOOKING):
                offer, promo = await self._offer(principal, request, booking, card)
                command = await self._command(principal, request, offer)
                if promo is not None and not reserved:
                    await self._reserve(principal, request, promo, booking)
                    reserved = True
                if request.concessions and command.sale is not None and not has_code:
                    await self._concessions.reserve(
                        booking_id, found(await self._bookings.cinema_of(request.showtime_id))
                    )
                    has_code = True
                answer = await self._dispatch.ask(request.showtime_id.bytes, command)
                # Otherwise its owner has given seats back while it was being booked.
                if answer != HOLD_CHANGED:
                    break
        except Refused:
            if reserved:
                await self._codes.give_back(booking_id)
            if has_code:
                await self._concessions.give_back(booking_id)
            raise
        is_used = may_use(answer, booking.booking_id)
        if reserved and not is_used:
            await self._codes.give_back(booking_id)
        if has_code and not is_used:
            await self._concessions.give_back(booking_id)
        return answer

    async def _reserve(
        self, principal: Principal, request: BookingInput, promo: PromoCode, booking: BookHold
    ) -> None:
        at_counter = request.payment.method == COUNTER
        await self._codes.reserve(
            promo,
            UUID(bytes=booking.booking_id),
            None if at_counter else UUID(bytes=principal.user_id),
            None if request.email is None else email_key(request.email),
        )

    async def _offer(
        self,
        principal: Principal,
        request: BookingInput,
        booking: BookHold,
        card: Card | None,
        sold_at: Channel = "online",
        off: tuple[Promo, ...] = (),
    ) -> tuple[BookHold, PromoCode | None]:
        """The command with the customer of the hold and what its tickets cost; the code it uses.

        If the hold is not active, nothing is quoted: the showtime refuses, or repeats its answer.
        Refuses UNKNOWN_SEAT, DUPLICATE_SEAT, SEAT_NOT_INCLUDED, UNKNOWN_TICKET_TYPE,
        RATE_LIMITED, UNKNOWN_PROMO_CODE, TICKETS_NOT_ALLOWED, PROMO_NOT_APPLICABLE,
        UNKNOWN_PRODUCT, VALIDATION_ERROR, UNKNOWN_PAYMENT_METHOD, GIFT_CARD_UNUSABLE,
        POINTS_UNUSABLE, RETRY.
        """
        seen, customer = await self._hold(principal, request)
        booking = msgspec.structs.replace(booking, customer=customer)
        is_free = booking.payment_method == FREE
        if seen is None or seen.status != "active":
            return booking, None
        if card is not None:
            check_currency(card, seen.terms.currency)
        if booking.payment_method == POINTS:
            await self._loyalty.check_usable(principal, seen.terms.currency)
        if seen.price_inputs is None:
            # Its owner is of a build that does not tell. It is replaced in a moment.
            if request.tickets or request.promo_code or request.concessions or is_free:
                raise refuse("RETRY")
            return booking, None
        named = [(one.seat, one.type) for one in request.tickets]
        hold = await self._sales.priced(seen, seen.price_inputs)
        types = types_of(named, hold.labels, seen.terms.plan)
        channel: Channel = "counter" if booking.payment_method == COUNTER else sold_at
        products = await self._concessions.sold(
            request.concessions, UUID(bytes=seen.terms.cinema_id), seen.terms.currency
        )
        promo: PromoCode | None = None
        promos = off
        if request.promo_code is not None:
            promo = await self._codes.usable_for(
                request.promo_code, hold.show, principal.user_id, hold.price_inputs.at_us
            )
            promos = (*off, promo_of(promo.code, terms_of(promo)))
        sale = self._sales.sale(hold, types, channel, promos, products)
        check_members(principal, sale.types)
        promo = promo if sale.promo_code else None
        if not sale.total_minor:
            # Nobody has to pay, now or later.
            return msgspec.structs.replace(booking, sale=sale, payment_method=FREE), promo
        if is_free:
            message = "Only what costs nothing is booked for free."
            raise refuse("UNKNOWN_PAYMENT_METHOD", message, method=FREE)
        return msgspec.structs.replace(booking, sale=sale), promo

    async def offered(
        self,
        principal: Principal,
        request: BookingInput,
        booking: BookHold,
        *,
        sold_at: Channel = "online",
        off: tuple[Promo, ...] = (),
    ) -> BookHold:
        """The command with the customer of the hold and what its tickets cost; see `_offer`.

        `off` is a discount that nobody has to have a code for.
        """
        offer, _ = await self._offer(principal, request, booking, None, sold_at, off)
        return offer

    async def _hold(
        self, principal: Principal, request: BookingInput
    ) -> tuple[HoldSeen | None, bytes]:
        """The hold and its customer: the caller, or a guest that the caller has claimed."""
        for customer in (principal.user_id, *principal.guest_ids):
            question = ReadHold(
                hold_id=request.hold_id.bytes, customer=customer, with_price_inputs=True
            )
            outcome = await self._dispatch.ask(request.showtime_id.bytes, question)
            if isinstance(outcome, HoldSeen):
                return outcome, customer
            if outcome != NOT_FOUND:
                granted(refusal_of(outcome))
        return None, principal.user_id

    async def _command(
        self, principal: Principal, request: BookingInput, booking: BookHold
    ) -> BookHold | StartPayment:
        """The command, by how the booking is paid.

        Refuses HOLD_LIMIT, FORBIDDEN, VALIDATION_ERROR.
        """
        if booking.payment_method == COUNTER_LATER:
            at_counter, before_start_s = await self._reservation(principal, request)
            return paying(
                booking,
                before_start_s=before_start_s,
                seats_limit=await self._seats_to_reserve(principal, at_counter=at_counter),
            )
        if self._attempts.methods.get(booking.payment_method).waits:
            return paying(booking)
        return booking

    async def _take(
        self,
        principal: Principal,
        request: BookingInput,
        key: IdempotencyKey | None,
        payment_id: UUID,
    ) -> bool:
        """Note whose drawer the money goes into; False for a repetition behind its close.

        Refuses CASH_SESSION_REQUIRED.
        """
        cinema_id = await self._bookings.cinema_of(request.showtime_id)
        if cinema_id is None:
            return False  # The showtime says so.
        how = Tendered(tender=request.payment.tender or "cash", reference=request.payment.reference)
        now = from_us(self._dispatch.clock.now_us())
        try:
            await self._tills.take(payment_id, cinema_id, UUID(bytes=principal.user_id), how, now)
        except Refused:
            if key is None or not await self._bookings.was_booked_by(key.digest):
                raise
            return False
        return True

    async def _begun(self, made: Booking) -> Booking:
        """A new pending booking, with what its customer needs to pay.

        If the provider does not answer, the booking is there all the same: `POST
        /payments/process` asks again. One that points or a gift card pay is confirmed now.
        """
        if made.payment.method in PART_METHODS:
            return await self._from_here(made)
        try:
            progress = await self._attempts.begin(made.payment.id)
        except Refused:
            return made
        if progress is None or progress.client_secret is None:
            return made
        payment = msgspec.structs.replace(made.payment, client_secret=progress.client_secret)
        return msgspec.structs.replace(made, payment=payment)

    async def _from_here(self, made: Booking) -> Booking:
        """A new booking after its money was put aside: confirmed, or pending with what is `due`.

        What cannot be said now is said by `POST /payments/process`. Refuses what the showtime
        refuses; then the money is where it was again in a few seconds.
        """
        try:
            progress = await self._attempts.begin(made.payment.id)
            if progress is not None and progress.status == "succeeded":
                outcome = await self._attempts.confirm_reserved(made.id, made.payment.id)
                if isinstance(outcome, Rejection) and outcome.code != "HOLD_ENDED":
                    return granted(booked(outcome))
            return found(await self._bookings.find(made.id, None))
        except Refused as refused:
            if refused.rejection.code not in {"RETRY", "OUTCOME_UNKNOWN", "OVERLOADED"}:
                raise
            return made

    async def booking(self, principal: Principal, booking_id: UUID) -> Booking:
        """A booking of the caller; staff see all bookings of their cinemas, admins all."""
        return found(await self._bookings.find(booking_id, *sight_of(principal)))

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
        client: Client,
        key: IdempotencyKey | None,
    ) -> Booking:
        """Cancel a booking or part of it; staff of its cinema may too, and also after the start.

        Staff of other cinemas get NOT_FOUND, as other customers do. What staff do is audited.
        """
        sale = found(await self._bookings.sale_of(booking_id))
        at_counter = serves(principal, sale.cinema_id)
        if UUID(bytes=principal.user_id) not in {sale.user_id, sale.claimed_by} and not at_counter:
            raise refuse("NOT_FOUND")
        customer = None if at_counter else sale.user_id
        if at_counter:
            act = act_of(principal, client, self._dispatch, self._next_id)
            await self._bookings.note_act(booking_id, "booking_cancelled", act, {"seats": labels})
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
        sale: SoldBooking,
        customer: UUID | None,
        labels: list[str] | None,
        key: IdempotencyKey | None,
    ) -> Booking:
        """Cancel in the name of `customer`, None for the counter."""
        if sale.status == "pending":
            unpaid = await self._give_up(booking_id, sale, labels, key)
            if unpaid is not None:
                return unpaid
        if customer is not None:
            check_undisputed(sale)
            check_unused(sale, labels)
        share = sale.share_at(from_us(self._dispatch.clock.now_us()))
        return await self.give_back(booking_id, sale, customer, labels, key, share)

    async def give_back(
        self,
        booking_id: UUID,
        sale: SoldBooking,
        customer: UUID | None,
        labels: list[str] | None,
        key: IdempotencyKey | None,
        share: Share,
        refund_minor: int = -1,
    ) -> Booking:
        """Give seats back in the name of `customer`, None for staff; with a share of their price.

        `refund_minor` is an amount instead. Never more goes back than is left of what was paid.
        """
        check_undisputed(sale)
        command_id, fingerprint = command_key(key)
        products_minor, kept = 0, False
        if sale.products_minor:
            found_as = await self._concessions.keep(booking_id, command_id)
            kept = found_as == "kept"
            if found_as == "picked_up" and sale.picked_up_at is None:
                # They were handed out in this moment: what goes back has to be worked out again.
                raise refuse("RETRY")
            products_minor = sale.products_back_minor(share) if kept else 0
        command = CancelBooking(
            command_id=command_id,
            fingerprint=fingerprint,
            booking_id=booking_id.bytes,
            customer=None if customer is None else customer.bytes,
            labels=labels,
            refund_bp=share.of_price_bp,
            fees_minor=(sale.fees_minor if share.fees else 0) + products_minor,
            refund_minor=refund_minor,
            products_minor=products_minor,
        )
        outcome = await self._dispatch.ask(sale.showtime_id.bytes, command)
        if kept and goes_on(outcome, has_key=key is not None):
            with suppress(Refused):  # It is no longer kept after a quarter of an hour.
                await self._concessions.release(booking_id, command_id)
        return await self._ended(booking_id, outcome, sale)

    async def _reservation(self, principal: Principal, request: BookingInput) -> tuple[bool, int]:
        """Whether staff reserve for a group, and how long before the start it is to be paid.

        Only they name another moment than everybody's; it moves with the showtime.
        """
        place = await self._bookings.place_of(request.showtime_id)
        at_counter = place is not None and serves(principal, place.cinema_id)
        until = request.payment.pay_until
        if until is None or place is None:
            return at_counter, PAID_BEFORE_START_S
        if not at_counter:
            raise refuse("FORBIDDEN", "Only staff of the cinema can say until when to pay.")
        before_start_s = int((place.starts_at - until).total_seconds())
        if before_start_s < 0:
            text = "This is after the start of the showtime."
            raise refuse("VALIDATION_ERROR", text, path="$.payment.pay_until")
        return at_counter, before_start_s

    async def _seats_to_reserve(self, principal: Principal, *, at_counter: bool) -> int:
        """How many more seats the caller may reserve unpaid. Refuses HOLD_LIMIT if there are none.

        The showtimes count what is in their memory; reservations live longer than that.
        """
        reserved = await self._bookings.reserved_seats(UUID(bytes=principal.user_id))
        unpaid = self._unpaid_seats
        most, name = unpaid.by_customer, "unpaid_seats_per_customer"
        if at_counter:
            most, name = unpaid.by_staff, "unpaid_seats_per_staff"
        left = most - reserved
        if left <= 0:
            message = f"At most {most} seats can be reserved unpaid at a time."
            raise refuse("HOLD_LIMIT", message, limit=name, value=most)
        # A group is as large as a hold of staff may be.
        return left if at_counter else min(UNPAID_RESERVATION_SEATS, left)

    async def _give_up(
        self,
        booking_id: UUID,
        sale: SoldBooking,
        labels: list[str] | None,
        key: IdempotencyKey | None,
    ) -> Booking | None:
        """End a booking that nobody has paid; None if it is paid by now."""
        if labels is not None:
            message = "A booking that is not paid yet can only be cancelled as a whole."
            raise refuse("PAYMENT_IN_PROGRESS", message)
        stopped = await self._attempts.stop(booking_id)
        if stopped == "paid":
            return None
        if stopped == "under_way":
            message = "A payment is under way and cannot be stopped now. Try again in a minute."
            raise refuse("PAYMENT_IN_PROGRESS", message)
        command_id, fingerprint = command_key(key)
        command = AbandonPayment(
            command_id=command_id,
            fingerprint=fingerprint,
            hold_id=sale.hold_id.bytes,
            customer=sale.user_id.bytes,
            booking_id=booking_id.bytes,
            expired=False,
        )
        outcome = await self._dispatch.ask(sale.showtime_id.bytes, command)
        if isinstance(outcome, Rejection) and outcome.code == "HOLD_ENDED":
            return None
        if isinstance(outcome, Accepted) and outcome.event is None:
            # It ended meanwhile. That is no success that a repetition could be answered with.
            raise refuse("BOOKING_ENDED")
        return await self._ended(booking_id, outcome, sale)

    async def _ended(self, booking_id: UUID, outcome: Outcome, sale: SoldBooking) -> Booking:
        """The booking after it was given up or cancelled; a repeated key may mean either.

        It is made from the event: the database may be away by now. Then nothing else was given
        back, as far as anybody knows.
        """
        if isinstance(outcome, Accepted) and isinstance(outcome.event, PaymentEnded):
            return given_up(outcome.terms, outcome.event, sale)
        if not isinstance(outcome, Accepted) or not isinstance(outcome.event, BookingCancelled):
            refusal: Booking | Rejection = refusal_of(outcome)
            return granted(refusal)
        before_minor = 0 if outcome.replayed else sale.refunded_minor
        now_minor = refund_of(outcome.event)
        refunded = min(before_minor + now_minor, sale.amount_minor), now_minor, 0
        with suppress(Refused):
            refunded = await self._bookings.refunded(booking_id, outcome.seq) or refunded
        return cancelled_booking(outcome, outcome.event, sale, *refunded)

    async def _check_payment(self, principal: Principal, request: BookingInput) -> None:
        method = request.payment.method
        check_tender(method, request.payment.tender, request.payment.reference, "$.payment")
        check_code(method, request.payment.code, "$.payment")
        check_until(request.payment, "$.payment")
        if method == COUNTER_LATER:
            if principal.role == GUEST:
                raise refuse("FORBIDDEN", "Guests pay at once.")
            if not principal.verified:
                raise refuse("EMAIL_NOT_VERIFIED")
        elif method == COUNTER:
            if principal.role not in COUNTER_ROLES:
                raise refuse("FORBIDDEN", "Only staff can take money at the counter.")
            cinema_id = await self._bookings.cinema_of(request.showtime_id)
            if cinema_id is not None and not serves(principal, cinema_id):
                raise refuse("FORBIDDEN", "You do not work at this showtime's cinema.")
        elif method in {EXCHANGE, SERIES} or self._attempts.methods.find(method) is None:
            raise refuse("UNKNOWN_PAYMENT_METHOD", method=method)
        elif method == POINTS:
            self._loyalty.check_customer(principal)


def booking_code() -> str:
    """A code that nobody can guess, all of them equally likely."""
    number, chars = secrets.randbelow(CODES), []
    for _ in range(CODE_CHARS):
        number, at = divmod(number, len(CODE_ALPHABET))
        chars.append(CODE_ALPHABET[at])
    return "".join(chars)


def act_of(
    principal: Principal, client: Client, dispatch: Dispatch, next_id: Callable[[], bytes]
) -> Act:
    """What staff do now, for the audit log."""
    return Act(
        by=UUID(bytes=principal.user_id),
        at=from_us(dispatch.clock.now_us()),
        client=client,
        entry_id=UUID(bytes=next_id()),
    )
