"""Bookings that are given up for seats of another showtime (docs/adr/060-exchange.md)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final
from uuid import UUID

import msgspec

from cinema.actors.asking import refusal_of
from cinema.actors.dispatch import Dispatch
from cinema.actors.messages import OUTCOME_UNKNOWN, Accepted, Outcome, Unavailable
from cinema.domain.idempotency import ANONYMOUS, IdempotencyKey, idempotency_key
from cinema.domain.money import Money
from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused, refuse
from cinema.domain.showtime.commands import (
    AbandonPayment,
    BookHold,
    CancelBooking,
    ConfirmPayment,
    StartPayment,
)
from cinema.domain.showtime.events import PaymentStarted
from cinema.domain.times import from_us
from cinema.features.accounts.authority import serves
from cinema.features.accounts.shapes import Client
from cinema.features.bookings.change_service import PAY_AT_ONCE, UNPAID
from cinema.features.bookings.checks import (
    check_tender,
    check_undisputed,
    check_until,
    check_unused,
)
from cinema.features.bookings.exchange_store import Exchange, ExchangesRepository
from cinema.features.bookings.outcomes import paying
from cinema.features.bookings.service import BookingsService, act_of, booking_code
from cinema.features.bookings.shapes import Booking, BookingInput, ExchangeInput, PaymentInput
from cinema.features.bookings.store import BookingsRepository, SoldBooking, SoldSeat
from cinema.features.cashdesk.shapes import Tendered
from cinema.features.cashdesk.till_store import TillsRepository
from cinema.features.ledger.cards import check_code
from cinema.features.ledger.methods import COUNTER, FREE, MethodRegistry
from cinema.features.ledger.refund_rules import given_back
from cinema.features.ledger.rules import EXCHANGE
from cinema.features.refusals import found, granted

COMMIT_WITHIN: Final = timedelta(seconds=60)
"""From when on any node may abort an exchange that was begun: longer than a request takes."""

RETRY_AFTER_S: Final = 1

CONFIRMATION: Final = "confirmExchange"
ABANDONMENT: Final = "abandonExchange"

AT_ONCE: Final = "What the new seats cost more is paid at once: name a method that does that."
SAME: Final = "This is the same showtime: change the seats of the booking instead."
OTHER_HOLD: Final = (
    "The new seats must be held by whoever has the booking, or by staff of both cinemas."
)
CURRENCY: Final = "The new showtime is sold in another currency."


def is_theirs(waiting: Accepted, exchange: Exchange) -> bool:
    """Whether the new seats wait for the customer of the exchange.

    A node of the version before this leaves them to whoever has held them.
    """
    event = waiting.event
    return isinstance(event, PaymentStarted) and event.customer == exchange.user_id.bytes


class ExchangesService:
    """Exchanges bookings; each refusal has a code of `docs/errors.md`."""

    def __init__(
        self,
        dispatch: Dispatch,
        exchanges: ExchangesRepository,
        bookings: BookingsRepository,
        selling: BookingsService,
        methods: MethodRegistry,
        tills: TillsRepository,
        *,
        next_id: Callable[[], bytes],
    ) -> None:
        self._dispatch = dispatch
        self._exchanges = exchanges
        self._bookings = bookings
        self._selling = selling
        self._methods = methods
        self._tills = tills
        self._next_id = next_id

    async def exchange(
        self,
        principal: Principal,
        booking_id: UUID,
        request: ExchangeInput,
        client: Client,
        key: IdempotencyKey | None,
    ) -> Booking:
        """Give up a booking for the seats of a hold; the new booking.

        What the refund policy would give back of the old one now pays for the new one.
        """
        sale = found(await self._bookings.sale_of(booking_id))
        at_counter = serves(principal, sale.cinema_id)
        if UUID(bytes=principal.user_id) not in {sale.user_id, sale.claimed_by} and not at_counter:
            raise refuse("NOT_FOUND")
        if key is not None and (known := await self._exchanges.by_key(key.digest)) is not None:
            if known.fingerprint != key.fingerprint:
                raise refuse("IDEMPOTENCY_MISMATCH")
            return await self.settled(known)
        if request.showtime_id == sale.showtime_id:
            raise refuse("VALIDATION_ERROR", SAME, path="$.showtime_id")
        self._check_payment(request.payment, at_counter=at_counter)
        _check_given_up(sale, at_counter=at_counter)
        seats = await self._bookings.live_seats(booking_id)
        start = await self._offer(principal, request)
        if UUID(bytes=start.customer) not in {sale.user_id, sale.claimed_by}:
            start = await self._handed_over(principal, request, sale, start, at_counter=at_counter)
        if at_counter:
            await self._note(principal, booking_id, request, client)
        exchange = await self._worked_out(sale, seats, booking_id, request, start, key)
        if not await self._exchanges.begin(exchange):
            raise refuse("RETRY", "The same request is being worked on.")
        if exchange.more_minor and exchange.payment_method == COUNTER:
            await self._take(principal, sale, request.payment, exchange)
        customer = None if at_counter else sale.user_id.bytes
        return await self._decide(exchange, start, self._giving_up(exchange, sale, seats, customer))

    async def _offer(self, principal: Principal, request: ExchangeInput) -> StartPayment:
        """The command for the target, quoted."""
        hold = BookHold(
            command_id=self._next_id(),
            hold_id=request.hold_id.bytes,
            customer=principal.user_id,
            booking_id=self._next_id(),
            code=booking_code(),
            payment_id=self._next_id(),
            payment_method=EXCHANGE,
        )
        asked = BookingInput(
            showtime_id=request.showtime_id,
            hold_id=request.hold_id,
            payment=PaymentInput(method=EXCHANGE),
            tickets=request.tickets,
        )
        offer = await self._selling.offered(principal, asked, hold)
        return paying(msgspec.structs.replace(offer, payment_method=EXCHANGE), for_exchange=True)

    async def _handed_over(
        self,
        principal: Principal,
        request: ExchangeInput,
        sale: SoldBooking,
        start: StartPayment,
        *,
        at_counter: bool,
    ) -> StartPayment:
        """The command by which a hold of staff, at a counter of theirs, becomes the customer's.

        Refuses FORBIDDEN.
        """
        cinema_id = await self._bookings.cinema_of(request.showtime_id)
        if not at_counter or not serves(principal, cinema_id):
            raise refuse("FORBIDDEN", OTHER_HOLD)
        return msgspec.structs.replace(start, for_customer=sale.user_id.bytes)

    async def _note(
        self, principal: Principal, booking_id: UUID, request: ExchangeInput, client: Client
    ) -> None:
        act = act_of(principal, client, self._dispatch, self._next_id)
        there = {"showtime_id": request.showtime_id, "hold_id": request.hold_id}
        await self._bookings.note_act(booking_id, "booking_exchanged", act, there)

    async def _worked_out(
        self,
        sale: SoldBooking,
        seats: dict[str, SoldSeat],
        booking_id: UUID,
        request: ExchangeInput,
        start: StartPayment,
        key: IdempotencyKey | None,
    ) -> Exchange:
        """What is carried, and what is paid beside it. Refuses PAYMENT_REQUIRED, VALIDATION_ERROR.

        Without an active hold nothing is quoted, and its showtime says why not.
        """
        place = await self._bookings.place_of(request.showtime_id)
        if place is None:
            raise refuse("NOT_FOUND")
        if place.currency != sale.currency:
            raise refuse("VALIDATION_ERROR", CURRENCY, path="$.showtime_id")
        if start.sale is None:
            refused = await self._dispatch.ask(request.showtime_id.bytes, start)
            raise refuse(refusal_of(refused).code)
        now = from_us(self._dispatch.clock.now_us())
        gives_minor = self._gives(sale, seats)
        total_minor = start.sale.total_minor
        more_minor = max(0, total_minor - gives_minor)
        if more_minor and request.payment is None:
            amount = Money(more_minor, sale.currency)
            raise refuse("PAYMENT_REQUIRED", amount=amount)
        return Exchange(
            id=UUID(bytes=self._next_id()),
            user_id=UUID(bytes=start.for_customer or start.customer),
            from_booking_id=booking_id,
            from_showtime_id=sale.showtime_id,
            to_booking_id=UUID(bytes=start.booking_id),
            to_showtime_id=request.showtime_id,
            to_hold_id=request.hold_id,
            code=start.code,
            carried_minor=min(gives_minor, total_minor),
            more_minor=more_minor,
            currency=sale.currency,
            payment_id=UUID(bytes=self._next_id()),
            payment_method=FREE if request.payment is None else request.payment.method,
            request_key=None if key is None else key.digest,
            fingerprint=None if key is None else key.fingerprint,
            started_at=now,
            commit_until=now + COMMIT_WITHIN,
        )

    def _gives(self, sale: SoldBooking, seats: dict[str, SoldSeat]) -> int:
        """What goes back of a booking now, as if it were cancelled."""
        share = sale.share_at(from_us(self._dispatch.clock.now_us()))
        price_minor = sum(seat.price_minor for seat in seats.values())
        fees_minor = sale.fees_minor if share.fees else 0
        left_minor = sale.amount_minor - sale.refunded_minor
        return min(given_back(price_minor, share) + fees_minor, left_minor)

    def _giving_up(
        self,
        exchange: Exchange,
        sale: SoldBooking,
        seats: dict[str, SoldSeat],
        customer: bytes | None,
    ) -> CancelBooking:
        return CancelBooking(
            command_id=self._next_id(),
            booking_id=exchange.from_booking_id.bytes,
            customer=customer,
            refund_minor=self._gives(sale, seats),
            exchange_id=exchange.id.bytes,
            carried_minor=exchange.carried_minor,
            seen=tuple([(label, seat.price_minor) for label, seat in seats.items()]),
        )

    async def _decide(
        self, exchange: Exchange, start: StartPayment, giving_up: CancelBooking
    ) -> Booking:
        """Have the target wait, and the source decide; whatever is not known the row says."""
        outcome = await self._dispatch.ask(exchange.to_showtime_id.bytes, start)
        if isinstance(outcome, Accepted) and not is_theirs(outcome, exchange):
            # It ends unpaid; soon its showtime is on a node of this version.
            outcome = Unavailable(code="RETRY", retry_after_s=RETRY_AFTER_S)
        if isinstance(outcome, Accepted):
            outcome = await self._dispatch.ask(exchange.from_showtime_id.bytes, giving_up)
            if isinstance(outcome, Accepted):
                return await self._complete(exchange)
        # Nobody commits it behind this, or it is committed.
        now = from_us(self._dispatch.clock.now_us())
        await self._exchanges.abort(exchange.id, now)
        decided = found(await self._exchanges.find(exchange.id))
        if decided.state != "aborted":
            return await self.settled(decided)
        await self._abandon(decided)
        if isinstance(outcome, Unavailable) and outcome.code == OUTCOME_UNKNOWN:
            # It is known by now: it did not happen, and will not.
            raise refuse("RETRY")
        return granted(refusal_of(outcome))

    async def settled(self, exchange: Exchange) -> Booking:
        """The new booking of an exchange that may be decided; aborts one that is not, in time.

        Refuses RETRY while it is being decided, EXCHANGE_ENDED if it was aborted.
        """
        now = from_us(self._dispatch.clock.now_us())
        if exchange.state == "pending":
            if now < exchange.commit_until:
                raise refuse("RETRY", "This exchange is being decided.")
            await self._exchanges.abort(exchange.id, now)
            exchange = found(await self._exchanges.find(exchange.id))
        if exchange.state == "aborted":
            await self._abandon(exchange)
            raise refuse("EXCHANGE_ENDED")
        if exchange.state == "committed":
            return await self._complete(exchange)
        return found(await self._bookings.find(exchange.to_booking_id, None))

    async def _complete(self, exchange: Exchange) -> Booking:
        """Book the new seats; however often, and by whomever. Refuses RETRY."""
        key = idempotency_key(ANONYMOUS, CONFIRMATION, (exchange.id.bytes,), "")
        command = ConfirmPayment(
            command_id=key.digest,
            fingerprint=key.fingerprint,
            hold_id=exchange.to_hold_id.bytes,
            customer=exchange.user_id.bytes,
            booking_id=exchange.to_booking_id.bytes,
            code=exchange.code,
            payment_id=found(await self._bookings.payment_of(exchange.to_booking_id)).bytes,
            payment_method=EXCHANGE,
            seat_count=0,
        )
        outcome: Outcome = await self._dispatch.ask(exchange.to_showtime_id.bytes, command)
        if isinstance(outcome, Unavailable):
            return granted(refusal_of(outcome))
        refusal = None if isinstance(outcome, Accepted) else refusal_of(outcome)
        if refusal is None or (refusal.details or {}).get("status") == "booked":
            await self._exchanges.done(exchange.id)
        else:
            # Its showtime does not take place.
            now = from_us(self._dispatch.clock.now_us())
            await self._exchanges.give_back(exchange.id, now)
        return found(await self._bookings.find(exchange.to_booking_id, None))

    async def _abandon(self, exchange: Exchange) -> None:
        """Free the new seats, if they wait; the till has taken nothing."""
        await self._tills.not_taken(exchange.payment_id)
        key = idempotency_key(ANONYMOUS, ABANDONMENT, (exchange.id.bytes,), "")
        command = AbandonPayment(
            command_id=key.digest,
            hold_id=exchange.to_hold_id.bytes,
            customer=exchange.user_id.bytes,
            booking_id=exchange.to_booking_id.bytes,
            expired=False,
        )
        await self._dispatch.ask(exchange.to_showtime_id.bytes, command)

    def _check_payment(self, payment: PaymentInput | None, *, at_counter: bool) -> None:
        if payment is None:
            return
        check_tender(payment.method, payment.tender, payment.reference, "$.payment")
        check_until(payment, "$.payment")
        check_code(payment.method, payment.code, "$.payment")
        if payment.method == COUNTER and not at_counter:
            raise refuse("FORBIDDEN", "Only staff can take money at the counter.")
        if self._methods.get(payment.method).name not in PAY_AT_ONCE:
            raise refuse("UNKNOWN_PAYMENT_METHOD", AT_ONCE, method=payment.method)

    async def _take(
        self,
        principal: Principal,
        sale: SoldBooking,
        payment: PaymentInput | None,
        exchange: Exchange,
    ) -> None:
        """Note whose drawer the money goes into; without one the exchange ends here."""
        assert payment is not None
        assert sale.cinema_id is not None
        how = Tendered(tender=payment.tender or "cash", reference=payment.reference)
        now = from_us(self._dispatch.clock.now_us())
        person = UUID(bytes=principal.user_id)
        try:
            await self._tills.take(exchange.payment_id, sale.cinema_id, person, how, now)
        except Refused:
            await self._exchanges.abort(exchange.id, now)
            raise


def _check_given_up(sale: SoldBooking, *, at_counter: bool) -> None:
    """Whether a booking can be given up for another one.

    Refuses PAYMENT_IN_PROGRESS, BOOKING_ENDED, PAYMENT_DISPUTED, ALREADY_USED, PRODUCTS_IN_BOOKING.
    """
    if sale.status == "pending":
        raise refuse("PAYMENT_IN_PROGRESS", UNPAID)
    if sale.status != "confirmed":
        raise refuse("BOOKING_ENDED")
    check_undisputed(sale)
    if not at_counter:
        check_unused(sale)
    if sale.products_minor and sale.picked_up_at is None:
        # They may be handed out at any moment, with the old booking.
        raise refuse("PRODUCTS_IN_BOOKING")
