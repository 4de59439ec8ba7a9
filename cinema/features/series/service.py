"""Series: held everywhere, decided by one row, and then booked everywhere or nowhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from cinema.actors.asking import refusal_of
from cinema.actors.dispatch import Dispatch
from cinema.actors.messages import Accepted, Outcome
from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.ids import parse_id
from cinema.domain.paging import BY_MOMENT, Page, PageQuery, after, page
from cinema.domain.principal import ADMIN, Principal
from cinema.domain.rejections import Refused, Rejection, refuse
from cinema.domain.showtime.commands import BookHold, StartPayment
from cinema.domain.times import from_us, to_us
from cinema.features.accounts.authority import serves
from cinema.features.bookings.change_service import PAY_AT_ONCE
from cinema.features.bookings.checks import check_tender
from cinema.features.bookings.outcomes import paying
from cinema.features.bookings.service import BookingsService, booking_code
from cinema.features.bookings.shapes import Booking, BookingInput, PaymentInput
from cinema.features.bookings.store import BookingsRepository, ShowtimePlace
from cinema.features.cashdesk.shapes import Tendered
from cinema.features.cashdesk.till_store import TillsRepository
from cinema.features.ledger.methods import COUNTER, MethodRegistry
from cinema.features.ledger.parts import PART_METHODS
from cinema.features.ledger.rules import SERIES
from cinema.features.payments.stripe_rules import STRIPE
from cinema.features.refusals import found, granted
from cinema.features.seats.service import HoldOutcome, SeatsService, hold_of, money
from cinema.features.seats.shapes import Hold, HoldInput
from cinema.features.series.end_service import SeriesEndings
from cinema.features.series.payment_service import Choices, SeriesPayments
from cinema.features.series.rules import discount_of
from cinema.features.series.shapes import PaymentOfSeries, Series, SeriesInput, SeriesStatus
from cinema.features.series.store import KeptSeries, SeriesPart, SeriesRepository

COMMIT_WITHIN: Final = timedelta(seconds=60)
"""From when on any node may abort a series that was begun: longer than a request takes."""

CURRENCY: Final = "All showtimes of a series must be sold in one currency."
NOT_FOR_SERIES: Final = "A series is not paid by this method."

NOT_ENOUGH: Final = "This does not pay all of it: name a method that pays the rest."

ASKED: Final = frozenset({STRIPE})
"""Methods of whose provider a series waits for the money."""

STATUS: Final[dict[str, SeriesStatus]] = {
    "pending": "pending",
    "committed": "confirmed",
    "done": "confirmed",
    "aborted": "cancelled",
}


class SeriesService:
    """Books series; each refusal has a code of `docs/errors.md`."""

    def __init__(
        self,
        dispatch: Dispatch,
        store: SeriesRepository,
        seats: SeatsService,
        bookings: BookingsRepository,
        selling: BookingsService,
        methods: MethodRegistry,
        tills: TillsRepository,
        endings: SeriesEndings,
        payments: SeriesPayments,
        *,
        next_id: Callable[[], bytes],
    ) -> None:
        self._dispatch = dispatch
        self._store = store
        self._seats = seats
        self._bookings = bookings
        self._selling = selling
        self._methods = methods
        self._tills = tills
        self._endings = endings
        self._payments = payments
        self._next_id = next_id

    async def series(self, principal: Principal, series_id: UUID) -> Series:
        """A series of the caller; admins see all. Refuses NOT_FOUND."""
        kept = found(await self._store.find(series_id))
        if principal.role != ADMIN and kept.customer_id.bytes != principal.user_id:
            raise refuse("NOT_FOUND")
        return await self._shown(kept)

    async def mine(self, principal: Principal, query: PageQuery) -> Page[Series]:
        """The caller's series, newest first; what was called off is left out."""
        position = granted(after(query.cursor, BY_MOMENT))
        rows = await self._store.of_customer(
            UUID(bytes=principal.user_id),
            None if position is None else (from_us(position[0]), position[1]),
            query.limit + 1,
        )
        found_here = page(rows, query.limit, lambda one: (to_us(one.started_at), one.id))
        bookings = await self._bookings.of_ids(
            [part.booking_id for kept in found_here.items for part in kept.parts]
        )
        return Page(
            items=[_series(kept, bookings) for kept in found_here.items],
            next_cursor=found_here.next_cursor,
        )

    async def book(
        self, principal: Principal, request: SeriesInput, key: IdempotencyKey | None
    ) -> Series:
        """Book seats of several showtimes, all or none.

        What one of the showtimes refuses is refused with its `showtime_id`, and nothing is held.
        """
        if key is not None and (known := await self._store.by_key(key.digest)) is not None:
            if known.fingerprint != key.fingerprint:
                raise refuse("IDEMPOTENCY_MISMATCH")
            return await self.settled(known)
        places = await self._places(principal, request)
        choices = await self._payments.parts_of(principal, request.payment, places[0].currency)
        holds = await self._hold_all(principal, request)
        try:
            at_counter = request.payment.method == COUNTER
            starts = [
                await self._offer(principal, hold, place, at_counter=at_counter)
                for hold, place in zip(holds, places, strict=True)
            ]
            kept = self._worked_out(principal, request, places, starts, key)
            if not await self._store.begin(kept):
                raise refuse("RETRY", "The same request is being worked on.")
        except Refused:
            await self._let_go(principal.user_id, holds)
            raise
        return await self._decide(principal, request, kept, places, starts, choices)

    async def _places(self, principal: Principal, request: SeriesInput) -> list[ShowtimePlace]:
        """Where the showtimes are.

        Refuses NOT_FOUND, FORBIDDEN, UNKNOWN_PAYMENT_METHOD, VALIDATION_ERROR.
        """
        payment = request.payment
        check_tender(payment.method, payment.tender, payment.reference, "$.payment")
        if self._methods.get(payment.method).name not in {*PAY_AT_ONCE, *ASKED, *PART_METHODS}:
            raise refuse("UNKNOWN_PAYMENT_METHOD", NOT_FOR_SERIES, method=payment.method)
        places = []
        for showtime_id in request.showtime_ids:
            place = found(await self._bookings.place_of(showtime_id))
            if payment.method == COUNTER and not serves(principal, place.cinema_id):
                raise refuse("FORBIDDEN", "Only staff of all these cinemas can take the money.")
            places.append(place)
        if len({place.currency for place in places}) > 1:
            raise refuse("VALIDATION_ERROR", CURRENCY, path="$.showtime_ids")
        return places

    # --- holds

    async def _hold_all(self, principal: Principal, request: SeriesInput) -> list[Hold]:
        """A hold at each showtime, or none: what was held is let go."""
        asked = HoldInput(
            seats=request.seats, best_available=request.best_available, channel=request.channel
        )
        outcomes = await asyncio.gather(
            *(self._held(principal, showtime_id, asked) for showtime_id in request.showtime_ids)
        )
        held = [hold_of(outcome) for outcome in outcomes]
        holds = [one for one in held if not isinstance(one, Rejection)]
        for showtime_id, outcome in zip(request.showtime_ids, held, strict=True):
            if isinstance(outcome, Rejection):
                await self._let_go(principal.user_id, holds)
                details = {**(outcome.details or {}), "showtime_id": str(showtime_id)}
                granted(msgspec.structs.replace(outcome, details=details))
        return holds

    async def _held(self, principal: Principal, showtime_id: UUID, asked: HoldInput) -> HoldOutcome:
        """A hold as the caller could have it alone, behind the same waiting rooms and limits."""
        answered: asyncio.Future[HoldOutcome] = asyncio.get_running_loop().create_future()

        def answer(outcome: HoldOutcome) -> None:
            if not answered.done():
                answered.set_result(outcome)

        self._seats.place_hold(showtime_id.bytes, principal, asked, None, answer)
        return await answered

    async def _let_go(self, customer: bytes, holds: Sequence[Hold]) -> None:
        """Release holds for which there is no series; one that cannot be asked expires."""
        for hold in holds:
            showtime_id, hold_id = parse_id(hold.showtime_id), parse_id(hold.hold_id)
            assert showtime_id is not None
            assert hold_id is not None
            await self._endings.release(showtime_id, hold_id, customer)

    async def _offer(
        self, principal: Principal, hold: Hold, place: ShowtimePlace, *, at_counter: bool
    ) -> StartPayment:
        """The command for one showtime, quoted. Refuses RETRY if the hold is not there any more."""
        hold_id = UUID(hold.hold_id)
        booking = BookHold(
            command_id=self._next_id(),
            hold_id=hold_id.bytes,
            customer=principal.user_id,
            booking_id=self._next_id(),
            code=booking_code(),
            payment_id=self._next_id(),
            payment_method=SERIES,
        )
        asked = BookingInput(
            showtime_id=UUID(hold.showtime_id),
            hold_id=hold_id,
            payment=PaymentInput(method=SERIES),
        )
        offer = await self._selling.offered(
            principal,
            asked,
            booking,
            sold_at="counter" if at_counter else "online",
            off=discount_of(place.series_discount_percent),
        )
        if offer.sale is None:
            raise refuse("RETRY")
        # The discount is a line of the booking, and no code that somebody has used.
        sale = msgspec.structs.replace(offer.sale, promo_code="")
        offer = msgspec.structs.replace(offer, sale=sale, payment_method=SERIES)
        return paying(offer, for_exchange=True)

    def _worked_out(
        self,
        principal: Principal,
        request: SeriesInput,
        places: Sequence[ShowtimePlace],
        starts: Sequence[StartPayment],
        key: IdempotencyKey | None,
    ) -> KeptSeries:
        now = from_us(self._dispatch.clock.now_us())
        return KeptSeries(
            id=UUID(bytes=self._next_id()),
            customer_id=UUID(bytes=principal.user_id),
            payment_method=request.payment.method,
            total_minor=sum(start.sale.total_minor for start in starts if start.sale is not None),
            currency=places[0].currency,
            request_key=None if key is None else key.digest,
            fingerprint=None if key is None else key.fingerprint,
            started_at=now,
            commit_until=now + COMMIT_WITHIN,
            parts=[
                SeriesPart(
                    showtime_id=showtime_id,
                    hold_id=UUID(bytes=start.hold_id),
                    booking_id=UUID(bytes=start.booking_id),
                    code=start.code,
                    payment_id=UUID(bytes=start.payment_id),
                )
                for showtime_id, start in zip(request.showtime_ids, starts, strict=True)
            ],
        )

    # --- the decision

    async def _decide(
        self,
        principal: Principal,
        request: SeriesInput,
        kept: KeptSeries,
        places: Sequence[ShowtimePlace],
        starts: Sequence[StartPayment],
        choices: Choices,
    ) -> Series:
        """Have all showtimes wait, and then decide by the row; whatever is not known it says."""
        refused: Rejection | None = None
        is_asked = False
        try:
            if kept.payment_method == COUNTER:
                await self._take(principal, request, kept, places)
            outcomes = await asyncio.gather(
                *(
                    self._dispatch.ask(part.showtime_id.bytes, start)
                    for part, start in zip(kept.parts, starts, strict=True)
                )
            )
            refused = _first_refusal(kept.parts, outcomes)
            if refused is None:
                due_minor = await self._payments.put_aside(kept, choices)
                if due_minor and kept.payment_method in ASKED:
                    return await self._asked(kept, due_minor)
                if due_minor and kept.payment_method in PART_METHODS:
                    refused = _required(due_minor, kept.currency)
            is_asked = refused is None
            if is_asked and await self._store.commit(kept.id, self._now()):
                return await self._promised(found(await self._store.find(kept.id)))
        except Refused as failed:
            refused = failed.rejection
        try:
            # Nobody commits it behind this, or it is committed, or waits for its money.
            await self._store.abort(kept.id, self._now())
            decided = found(await self._store.find(kept.id))
        except Refused:
            if is_asked:
                raise refuse("OUTCOME_UNKNOWN") from None
            raise
        if decided.waits_for_money:
            return await self._shown(decided)
        if decided.state != "aborted":
            return await self._promised(decided)
        await self._endings.abandon(decided)
        if refused is None or refused.code == "OUTCOME_UNKNOWN":
            # It is known by now: it did not happen, and will not.
            raise refuse("RETRY")
        return granted(refused)

    async def _asked(self, kept: KeptSeries, due_minor: int) -> Series:
        """A series that waits for what is due, with what its customer needs to pay.

        Refuses RETRY if it was called off, and PAYMENT_FAILED if nobody can pay so much.
        """
        try:
            begun = await self._payments.ask(kept, due_minor)
        except Refused:
            # The provider does not answer: `pay` asks again, or it ends in time.
            return await self._shown(found(await self._store.find(kept.id)))
        if begun is None:
            raise refuse("RETRY")
        asked, progress = begun
        if asked.state == "aborted":
            raise refuse("PAYMENT_FAILED", reason=progress.error_code)
        return await self._shown(asked, progress.client_secret)

    async def pay(self, principal: Principal, series_id: UUID) -> Series:
        """Go on with the payment of a series; one that is decided is answered as it is.

        Refuses NOT_FOUND, SERIES_ENDED, RETRY.
        """
        kept = found(await self._store.find(series_id))
        if kept.customer_id.bytes != principal.user_id:
            raise refuse("NOT_FOUND")
        return await self.settled(kept)

    async def _promised(self, kept: KeptSeries) -> Series:
        """A series that is committed; what its showtimes do not answer now is booked soon.

        It is never refused as if nothing had happened. Refuses OUTCOME_UNKNOWN.
        """
        with suppress(Refused):
            return await self._shown(await self._endings.complete(kept))
        try:
            return await self._shown(msgspec.structs.replace(kept, state="committed"))
        except Refused:
            raise refuse("OUTCOME_UNKNOWN") from None

    async def settled(self, kept: KeptSeries) -> Series:
        """A series that may be decided; aborts one that is not, in time.

        Refuses RETRY while it is being decided, SERIES_ENDED if it was aborted.
        """
        client_secret = None
        if kept.waits_for_money:
            kept, progress = await self._payments.resume(kept)
            client_secret = progress.client_secret
        elif kept.state == "pending":
            if self._now() < kept.commit_until:
                raise refuse("RETRY", "This series is being decided.")
            await self._store.abort(kept.id, self._now())
            kept = found(await self._store.find(kept.id))
        if kept.state == "aborted":
            await self._endings.abandon(kept)
            raise refuse("SERIES_ENDED")
        if kept.state == "committed":
            kept = await self._endings.complete(kept)
        return await self._shown(kept, client_secret)

    async def _take(
        self,
        principal: Principal,
        request: SeriesInput,
        kept: KeptSeries,
        places: Sequence[ShowtimePlace],
    ) -> None:
        """Note whose drawer the money goes into. Refuses CASH_SESSION_REQUIRED."""
        payment = request.payment
        how = Tendered(tender=payment.tender or "cash", reference=payment.reference)
        person = UUID(bytes=principal.user_id)
        for part, place in zip(kept.parts, places, strict=True):
            await self._tills.take(part.payment_id, place.cinema_id, person, how, self._now())

    async def _shown(self, kept: KeptSeries, client_secret: str | None = None) -> Series:
        bookings = await self._bookings.of_ids([part.booking_id for part in kept.parts])
        return _series(kept, bookings, client_secret)

    def _now(self) -> datetime:
        return from_us(self._dispatch.clock.now_us())


def _series(
    kept: KeptSeries, bookings: Mapping[UUID, Booking], client_secret: str | None = None
) -> Series:
    """A series with those of its bookings that are there, and how it is paid if it is not yet."""
    payment = None
    if kept.waits_for_money and kept.due_minor is not None:
        payment = PaymentOfSeries(
            method=kept.payment_method,
            due=money(kept.due_minor, kept.currency),
            pay_until=kept.commit_until,
            client_secret=client_secret,
        )
    return Series(
        id=kept.id,
        status=STATUS[kept.state],
        total=money(kept.total_minor, kept.currency),
        created_at=kept.started_at,
        bookings=[bookings[part.booking_id] for part in kept.parts if part.booking_id in bookings],
        payment=payment,
    )


def _required(due_minor: int, currency: str) -> Rejection:
    details = {"amount": {"amount": due_minor, "currency": currency}}
    return Rejection(code="PAYMENT_REQUIRED", message=NOT_ENOUGH, details=details)


def _first_refusal(parts: Sequence[SeriesPart], outcomes: Sequence[Outcome]) -> Rejection | None:
    """Why one of the showtimes does not wait, and which; None if all do."""
    for part, outcome in zip(parts, outcomes, strict=True):
        if not isinstance(outcome, Accepted):
            refusal = refusal_of(outcome)
            details = {**(refusal.details or {}), "showtime_id": str(part.showtime_id)}
            return msgspec.structs.replace(refusal, details=details)
    return None
