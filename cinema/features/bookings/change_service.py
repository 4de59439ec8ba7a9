"""Other seats for tickets of a booking."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final
from uuid import UUID

import msgspec

from cinema.actors.asking import command_key, refusal_of
from cinema.actors.dispatch import Dispatch
from cinema.actors.messages import Accepted, Outcome, ReadSeats, SeatsSeen
from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.pricing.showing import AskedTicket
from cinema.domain.pricing.tariffs import ADULT
from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused, refuse
from cinema.domain.showtime.booking_decisions import BOOKING_CHANGED
from cinema.domain.showtime.commands import ChangeSeats
from cinema.domain.showtime.events import SeatsChanged, paid_more
from cinema.domain.showtime.prices import PriceInputs, sold_now
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.domain.times import from_us
from cinema.features.accounts.authority import serves
from cinema.features.accounts.shapes import Client
from cinema.features.bookings.checks import check_tender, check_undisputed, check_until
from cinema.features.bookings.rules import PricedBy, booked_seats, new_prices
from cinema.features.bookings.service import act_of
from cinema.features.bookings.shapes import Booking, Payment, PaymentInput, SeatChangeInput
from cinema.features.bookings.store import BookingsRepository, SoldBooking
from cinema.features.cashdesk.shapes import Tendered
from cinema.features.cashdesk.till_store import TillsRepository
from cinema.features.ledger.cards import check_code
from cinema.features.ledger.methods import COUNTER, DEMO, MethodRegistry
from cinema.features.ledger.refund_rules import paid_status
from cinema.features.pricing.sale_service import SalesService
from cinema.features.refusals import found, granted
from cinema.features.seats.service import money

OFFERS_A_CHANGE: Final = 3
"""How often prices are worked out for a booking that changes meanwhile."""

PAY_AT_ONCE: Final = frozenset({COUNTER, DEMO})
"""Methods with which nothing is left to be done, to be put aside or to fail behind the event."""

UNPAID: Final = "A booking that is not paid yet keeps its seats: pay it first, or cancel it."
AT_ONCE: Final = "What other seats cost more is paid at once: name a method that does that."


class SeatChangesService:
    """Changes the seats of bookings; each refusal has a code of `docs/errors.md`."""

    def __init__(
        self,
        dispatch: Dispatch,
        bookings: BookingsRepository,
        methods: MethodRegistry,
        sales: SalesService,
        tills: TillsRepository,
        *,
        next_id: Callable[[], bytes],
    ) -> None:
        self._dispatch = dispatch
        self._bookings = bookings
        self._methods = methods
        self._sales = sales
        self._tills = tills
        self._next_id = next_id

    async def change(
        self,
        principal: Principal,
        booking_id: UUID,
        request: SeatChangeInput,
        client: Client,
        key: IdempotencyKey | None,
    ) -> Booking:
        """Give tickets of a booking other seats, all or none.

        Staff of its cinema may too, and also after the start. Staff of other cinemas get NOT_FOUND,
        as other customers do.
        """
        sale = found(await self._bookings.sale_of(booking_id))
        at_counter = serves(principal, sale.cinema_id)
        if UUID(bytes=principal.user_id) not in {sale.user_id, sale.claimed_by} and not at_counter:
            raise refuse("NOT_FOUND")
        if len(request.left) != len(request.chosen):
            text = "Name one seat in `to` for each in `from`."
            raise refuse("VALIDATION_ERROR", text, path="$.to")
        if request.left == request.chosen:
            raise refuse("VALIDATION_ERROR", "These are the same seats.", path="$.to")
        self._check_payment(request.payment, at_counter=at_counter)
        if sale.status == "pending":
            raise refuse("PAYMENT_IN_PROGRESS", UNPAID)
        check_undisputed(sale)
        if at_counter:
            act = act_of(principal, client, self._dispatch, self._next_id)
            seats = {"from": request.left, "to": request.chosen}
            await self._bookings.note_act(booking_id, "booking_seats_changed", act, seats)
        command_id, fingerprint = command_key(key)
        share = sale.share_at(from_us(self._dispatch.clock.now_us()))
        command = ChangeSeats(
            command_id=command_id,
            fingerprint=fingerprint,
            booking_id=booking_id.bytes,
            customer=None if at_counter else sale.user_id.bytes,
            left=request.left,
            chosen=request.chosen,
            holder=principal.user_id,
            payment_id=self._next_id(),
            payment_method="" if request.payment is None else request.payment.method,
            refund_bp=share.of_price_bp,
        )
        accepted = await self._sent(principal, sale, command, request.payment)
        assert isinstance(accepted.event, SeatsChanged)
        return await self._changed(booking_id, accepted, accepted.event, sale)

    async def _sent(
        self,
        principal: Principal,
        sale: SoldBooking,
        command: ChangeSeats,
        payment: PaymentInput | None,
    ) -> Accepted:
        """What the showtime says to prices as they are now; the till that takes the difference."""
        payment_id, is_taken = UUID(bytes=command.payment_id), False
        outcome: Outcome = BOOKING_CHANGED
        try:
            for _ in range(OFFERS_A_CHANGE):
                offered, more_minor = await self._offered(sale, command)
                if payment and payment.method == COUNTER and more_minor > 0 and not is_taken:
                    try:
                        await self._take(principal, sale, payment, payment_id)
                    except Refused:
                        # A repetition may come after the close: without prices it can only be that.
                        outcome = await self._dispatch.ask(sale.showtime_id.bytes, command)
                        if isinstance(outcome, Accepted):
                            return outcome
                        raise
                    is_taken = True
                outcome = await self._dispatch.ask(sale.showtime_id.bytes, offered)
                # Otherwise another request has changed the booking since its seats were read.
                if outcome != BOOKING_CHANGED:
                    break
            accepted = granted(outcome if isinstance(outcome, Accepted) else refusal_of(outcome))
        except Refused as refused:
            # If it may have been paid all the same, the note stays, and the payment decides.
            if is_taken and refused.rejection.code != "OUTCOME_UNKNOWN":
                await self._tills.not_taken(payment_id)
            raise
        if is_taken and not _is_paid_by(accepted, command):
            await self._tills.not_taken(payment_id)
        return accepted

    async def _offered(self, sale: SoldBooking, command: ChangeSeats) -> tuple[ChangeSeats, int]:
        """The command with the prices of the chosen seats, and what they cost more. Refuses RETRY.

        Where none can be worked out the showtime refuses, or repeats its answer.
        """
        booking_id = UUID(bytes=command.booking_id)
        answer = await self._dispatch.ask(sale.showtime_id.bytes, ReadSeats())
        seen = granted(answer if isinstance(answer, SeatsSeen) else refusal_of(answer))
        plan, seats = seen.terms.plan, await self._bookings.live_seats(booking_id)
        pairs = list(zip(command.left, command.chosen, strict=True))
        if not all(left in seats and chosen in plan.index for left, chosen in pairs):
            return command, 0
        left = [seats[label] for label, _ in pairs]
        tickets = [AskedTicket(seat.category, seat.type) for seat in left] + [
            AskedTicket(plan.categories[plan.category_of[plan.index[label]]], seat.type)
            for seat, (_, label) in zip(left, pairs, strict=True)
        ]
        listed = await self._sales.listed(
            seen.terms, _price_inputs(sale.prices_from(), seen.terms), tickets
        )
        before, after = listed.minor[: len(left)], listed.minor[len(left) :]
        new = new_prices(
            [(seat.price_minor, seat.tax_minor) for seat in left],
            list(zip(before, after, strict=True)),
            listed.tax_rate,
        )
        types = tuple([seat.type for seat in left])
        offered = msgspec.structs.replace(
            command,
            layout_version=plan.version,
            seen=tuple([(label, seat.price_minor) for label, seat in seats.items()]),
            types=() if set(types) <= {ADULT} else types,
            prices=new.prices,
            taxes=new.taxes,
            tax_minor=new.tax_minor,
        )
        return offered, sum(new.prices) - sum(seat.price_minor for seat in left)

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
        self, principal: Principal, sale: SoldBooking, payment: PaymentInput, payment_id: UUID
    ) -> None:
        """Note whose drawer the money goes into. Refuses CASH_SESSION_REQUIRED."""
        assert sale.cinema_id is not None
        how = Tendered(tender=payment.tender or "cash", reference=payment.reference)
        now = from_us(self._dispatch.clock.now_us())
        person = UUID(bytes=principal.user_id)
        await self._tills.take(payment_id, sale.cinema_id, person, how, now)

    async def _changed(
        self, booking_id: UUID, accepted: Accepted, event: SeatsChanged, sale: SoldBooking
    ) -> Booking:
        """The booking after the change, made from the event: the database may be away by now.

        Then nothing else was given back meanwhile, as far as anybody knows.
        """
        # The sale was read before the event, unless this is a repeated answer.
        more_minor = 0 if accepted.replayed else paid_more(event)
        amount_minor = sale.amount_minor + more_minor
        back_minor = 0 if accepted.replayed else event.refund_minor
        back_minor = min(back_minor, amount_minor - sale.refunded_minor)
        refunded_minor, waiting_minor = sale.refunded_minor + back_minor, 0
        with suppress(Refused):
            refunded = await self._bookings.refunded(booking_id, accepted.seq)
            if refunded is not None:
                refunded_minor, back_minor, waiting_minor = refunded
                back_minor = 0 if accepted.replayed else back_minor
        terms, currency = accepted.terms, sale.currency
        labels, types = terms.plan.labels, sale.type_of()
        of_chosen = event.types or (ADULT,) * len(event.chosen)
        types |= {labels[seat]: type_ for seat, type_ in zip(event.chosen, of_chosen, strict=True)}
        of_seats = [types.get(labels[seat], ADULT) for seat in event.seats]
        return Booking(
            id=booking_id,
            code=sale.code,
            showtime_id=sale.showtime_id,
            status="confirmed",
            seats=booked_seats(terms, event.seats, event.prices, of_seats, currency),
            total=money(sale.total_minor + more_minor - back_minor, currency),
            created_at=sale.created_at,
            payment=Payment(
                sale.payment_id,
                sale.method,
                paid_status(amount_minor, refunded_minor),
                money(amount_minor, currency),
                money(refunded_minor, currency) if refunded_minor else None,
                refund_pending=money(waiting_minor, currency) if waiting_minor else None,
            ),
            lines=sale.shown_lines(),
            pick_up=sale.pick_up(),
        )


def _is_paid_by(accepted: Accepted, command: ChangeSeats) -> bool:
    """Whether the payment of this command was used; a repeated key is answered with another."""
    event = accepted.event
    return isinstance(event, SeatsChanged) and event.payment_id == command.payment_id


def _price_inputs(kept: PricedBy | None, terms: ShowtimeTerms) -> PriceInputs:
    """From what the prices of a booking follow; without that, what they follow from now.

    The builds that did not keep it sold by the plain book.
    """
    sold_by = sold_now(terms) if kept is None else kept.sold_by
    return PriceInputs(
        0 if kept is None else kept.book_version,
        0 if kept is None else kept.at_us,
        0 if kept is None else kept.taken,
        sold_by.seat_count,
        sold_by.movie_id,
        sold_by.base_price_minor,
        sold_by.price_overrides,
        sold_by.format,
        sold_by.starts_at_us,
        (),
    )
