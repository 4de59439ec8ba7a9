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
from cinema.actors.messages import Accepted, Outcome, Unavailable
from cinema.domain.idempotency import ANONYMOUS, IdempotencyKey, idempotency_key
from cinema.domain.ids import parse_id
from cinema.domain.paging import BY_MOMENT, Page, PageQuery, after, page
from cinema.domain.principal import ADMIN, Principal
from cinema.domain.rejections import Refused, Rejection, refuse
from cinema.domain.showtime.commands import (
    AbandonPayment,
    BookHold,
    ConfirmPayment,
    ReleaseHold,
    StartPayment,
)
from cinema.domain.showtime.payment_decisions import IS_BOOKED
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
from cinema.features.ledger.rules import SERIES
from cinema.features.refusals import found, granted
from cinema.features.seats.service import HoldOutcome, SeatsService, hold_of, money
from cinema.features.seats.shapes import Hold, HoldInput
from cinema.features.series.shapes import Series, SeriesInput, SeriesStatus
from cinema.features.series.store import KeptSeries, SeriesPart, SeriesRepository

COMMIT_WITHIN: Final = timedelta(seconds=60)
"""From when on any node may abort a series that was begun: longer than a request takes."""

CONFIRMATION: Final = "confirmSeries"
ABANDONMENT: Final = "abandonSeries"

CURRENCY: Final = "All showtimes of a series must be sold in one currency."
AT_ONCE: Final = "A series is paid at once: name a method that does that."

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
        holds = await self._hold_all(principal, request)
        try:
            at_counter = request.payment.method == COUNTER
            starts = [await self._offer(principal, hold, at_counter=at_counter) for hold in holds]
            kept = self._worked_out(principal, request, places, starts, key)
            if not await self._store.begin(kept):
                raise refuse("RETRY", "The same request is being worked on.")
        except Refused:
            await self._let_go(principal.user_id, holds)
            raise
        return await self._decide(principal, request, kept, places, starts)

    async def _places(self, principal: Principal, request: SeriesInput) -> list[ShowtimePlace]:
        """Where the showtimes are.

        Refuses NOT_FOUND, FORBIDDEN, UNKNOWN_PAYMENT_METHOD, VALIDATION_ERROR.
        """
        payment = request.payment
        check_tender(payment.method, payment.tender, payment.reference, "$.payment")
        if self._methods.get(payment.method).name not in PAY_AT_ONCE:
            raise refuse("UNKNOWN_PAYMENT_METHOD", AT_ONCE, method=payment.method)
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
            await self._release(showtime_id, hold_id, customer)

    async def _release(self, showtime_id: bytes, hold_id: bytes, customer: bytes) -> Outcome:
        command = ReleaseHold(command_id=self._next_id(), hold_id=hold_id, customer=customer)
        return await self._dispatch.ask(showtime_id, command)

    async def _offer(self, principal: Principal, hold: Hold, *, at_counter: bool) -> StartPayment:
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
            principal, asked, booking, sold_at="counter" if at_counter else "online"
        )
        if offer.sale is None:
            raise refuse("RETRY")
        return paying(msgspec.structs.replace(offer, payment_method=SERIES), for_exchange=True)

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
            is_asked = refused is None
            if is_asked and await self._store.commit(kept.id, self._now()):
                return await self._promised(kept)
        except Refused as failed:
            refused = failed.rejection
        try:
            # Nobody commits it behind this, or it is committed.
            await self._store.abort(kept.id, self._now())
            decided = found(await self._store.find(kept.id))
        except Refused:
            if is_asked:
                raise refuse("OUTCOME_UNKNOWN") from None
            raise
        if decided.state != "aborted":
            return await self._promised(decided)
        await self._abandon(decided)
        if refused is None or refused.code == "OUTCOME_UNKNOWN":
            # It is known by now: it did not happen, and will not.
            raise refuse("RETRY")
        return granted(refused)

    async def _promised(self, kept: KeptSeries) -> Series:
        """A series that is committed; what its showtimes do not answer now is booked soon.

        It is never refused as if nothing had happened. Refuses OUTCOME_UNKNOWN.
        """
        with suppress(Refused):
            return await self._complete(kept)
        try:
            return await self._shown(msgspec.structs.replace(kept, state="committed"))
        except Refused:
            raise refuse("OUTCOME_UNKNOWN") from None

    async def settled(self, kept: KeptSeries) -> Series:
        """A series that may be decided; aborts one that is not, in time.

        Refuses RETRY while it is being decided, SERIES_ENDED if it was aborted.
        """
        if kept.state == "pending":
            if self._now() < kept.commit_until:
                raise refuse("RETRY", "This series is being decided.")
            await self._store.abort(kept.id, self._now())
            kept = found(await self._store.find(kept.id))
        if kept.state == "aborted":
            await self._abandon(kept)
            raise refuse("SERIES_ENDED")
        return await self._complete(kept) if kept.state == "committed" else await self._shown(kept)

    async def _complete(self, kept: KeptSeries) -> Series:
        """Book all of it; however often, and by whomever. Refuses RETRY."""
        unpaid = []
        for part in kept.parts:
            named = (kept.id.bytes, part.booking_id.bytes)
            key = idempotency_key(ANONYMOUS, CONFIRMATION, named, "")
            command = ConfirmPayment(
                command_id=key.digest,
                fingerprint=key.fingerprint,
                hold_id=part.hold_id.bytes,
                customer=kept.customer_id.bytes,
                booking_id=part.booking_id.bytes,
                code=part.code,
                payment_id=part.payment_id.bytes,
                payment_method=kept.payment_method,
                seat_count=0,
            )
            outcome = await self._dispatch.ask(part.showtime_id.bytes, command)
            if isinstance(outcome, Unavailable):
                return granted(refusal_of(outcome))
            if not isinstance(outcome, Accepted) and outcome != IS_BOOKED:
                # The showtime does not take place: nobody has paid for it.
                unpaid.append(part)
        for part in unpaid:
            await self._tills.not_taken(part.payment_id)
        await self._store.done(kept.id, [part.booking_id for part in unpaid])
        return await self._shown(found(await self._store.find(kept.id)))

    async def _abandon(self, kept: KeptSeries) -> None:
        """Free the seats of all showtimes that wait or hold them; the till has taken nothing.

        What is not free now the row says, and a job frees it.
        """
        is_free = True
        for part in kept.parts:
            await self._tills.not_taken(part.payment_id)
            is_free &= await self._abandon_part(kept, part)
        if is_free:
            await self._store.freed(kept.id)

    async def _abandon_part(self, kept: KeptSeries, part: SeriesPart) -> bool:
        """Free the seats of one showtime; False if they may still be held."""
        named = (kept.id.bytes, part.booking_id.bytes)
        key = idempotency_key(ANONYMOUS, ABANDONMENT, named, "")
        command = AbandonPayment(
            command_id=key.digest,
            hold_id=part.hold_id.bytes,
            customer=kept.customer_id.bytes,
            booking_id=part.booking_id.bytes,
            expired=False,
        )
        outcome = await self._dispatch.ask(part.showtime_id.bytes, command)
        if not isinstance(outcome, Accepted | Unavailable):
            # It does not wait: it may still be a hold.
            outcome = await self._release(
                part.showtime_id.bytes, part.hold_id.bytes, kept.customer_id.bytes
            )
        if isinstance(outcome, Rejection):
            # It began to wait in between.
            return outcome.code != "PAYMENT_IN_PROGRESS"
        return not isinstance(outcome, Unavailable)

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

    async def _shown(self, kept: KeptSeries) -> Series:
        return _series(kept, await self._bookings.of_ids([part.booking_id for part in kept.parts]))

    def _now(self) -> datetime:
        return from_us(self._dispatch.clock.now_us())


def _series(kept: KeptSeries, bookings: Mapping[UUID, Booking]) -> Series:
    """A series with those of its bookings that are there."""
    return Series(
        id=kept.id,
        status=STATUS[kept.state],
        total=money(kept.total_minor, kept.currency),
        created_at=kept.started_at,
        bookings=[bookings[part.booking_id] for part in kept.parts if part.booking_id in bookings],
    )


def _first_refusal(parts: Sequence[SeriesPart], outcomes: Sequence[Outcome]) -> Rejection | None:
    """Why one of the showtimes does not wait, and which; None if all do."""
    for part, outcome in zip(parts, outcomes, strict=True):
        if not isinstance(outcome, Accepted):
            refusal = refusal_of(outcome)
            details = {**(refusal.details or {}), "showtime_id": str(part.showtime_id)}
            return msgspec.structs.replace(refusal, details=details)
    return None
